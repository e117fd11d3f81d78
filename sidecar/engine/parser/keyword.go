package parser

import "strings"

// longestKeyword is the length of MILLISECONDS.
const longestKeyword = 12

type keyword struct {
	word     string
	reserved bool
}

// reservedWords can't be identifiers unless they are quoted.
const reservedWords = `ALL AND AS AT BETWEEN BY CASE CAST CREATE DELETE DESCRIBE DISTINCT DROP ELSE END
EXISTS EXTENDED FALSE FROM FULL GROUP HAVING IN INNER INSERT INTO IS JOIN LEFT LIKE LIMIT LIST NOT NULL ON
OR OUTER PRINT RIGHT SELECT STREAM TABLE TERMINATE THEN TRUE UNSET VALUES WHEN WHERE WINDOW WITH WITHIN
DECIMAL DEFINE UNDEFINE HOPPING TUMBLING`

// openWords have a meaning in places, and may be identifiers.
const openWords = `ADD ADVANCE ALTER ARRAY ASSERT BEGINNING CHANGES COLUMN COLUMNS CONNECTOR CONNECTORS DATE
DAY DAYS EMIT ESCAPE EXPLAIN FINAL FUNCTION FUNCTIONS GRACE HEADER HEADERS HOUR HOURS ID IF INTEGER INTERVAL
KEY MAP MILLISECOND MILLISECONDS MINUTE MINUTES MONTH MONTHS PARTITION PARTITIONS PAUSE PERIOD PLUGINS PRIMARY
PROPERTIES QUERIES REPLACE RESUME RETENTION RUN SAMPLE SCHEMA SCRIPT SECOND SECONDS SESSION SET SHOW SINK SIZE
SOURCE STREAMS STRING STRUCT SUBJECT SYSTEM TABLES TIME TIMEOUT TIMESTAMP TOPIC TOPICS TYPE TYPES VARIABLES
YEAR YEARS ZONE INT BIGINT DOUBLE VARCHAR BOOLEAN BYTES OUTPUT`

var keywords = func() map[string]keyword {
	out := map[string]keyword{}
	for _, w := range strings.Fields(reservedWords) {
		out[w] = keyword{w, true}
	}
	for _, w := range strings.Fields(openWords) {
		out[w] = keyword{w, false}
	}
	return out
}()

// Reserved tells whether an identifier of that (upper-case) name needs quotes.
func Reserved(name string) bool { return keywords[name].reserved }

// starts are the words that statements begin with, the more likely ones first.
var starts = []string{"SET", "SELECT", "CREATE", "INSERT", "DROP", "SHOW", "LIST", "DESCRIBE", "PRINT", "EXPLAIN",
	"TERMINATE", "PAUSE", "RESUME", "UNSET", "DEFINE", "UNDEFINE", "ALTER", "ASSERT"}

// closestStart is the word of starts that takes the fewest edits to reach.
func closestStart(word string) string {
	best, found := len(word)+16, ""
	for _, s := range starts {
		if d := edits(strings.ToUpper(word), s); d < best {
			best, found = d, s
		}
	}
	return found
}

// edits is the Levenshtein distance of a and b.
func edits(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 0; i < len(a); i++ {
		diagonal := row[0]
		row[0] = i + 1
		for j := 0; j < len(b); j++ {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
