// Package schema names and orders the columns of a stream, a table or any step
// between them.
//
// In: types. Out: [Schema], the key columns and the value columns of a row.
// Rows are held as two slices of types.Value in these orders.
//
// Next: package catalog keeps the schemas of sources; package plan refers to
// columns by their place here.
package schema

import (
	"strings"

	"github.com/sidestream/sidestream/sidecar/engine/types"
)

// Names of the columns that every record has without declaring them.
const (
	RowTime      = "ROWTIME"
	RowPartition = "ROWPARTITION"
	RowOffset    = "ROWOFFSET"
	WindowStart  = "WINDOWSTART"
	WindowEnd    = "WINDOWEND"
)

// Column is a named, typed column. Headers marks a column filled from record
// headers: from all of them, or from the last one called HeaderKey when that is
// not nil.
type Column struct {
	Name      string
	Type      types.Type
	Headers   bool
	HeaderKey *string
}

// Schema is the shape of a row: its key columns and its value columns.
type Schema struct {
	Key   []Column
	Value []Column
}

// FindKey is the place of the key column of that exact name, or -1.
func (s *Schema) FindKey(name string) int { return find(s.Key, name) }

// FindValue is the place of the value column of that exact name, or -1.
func (s *Schema) FindValue(name string) int { return find(s.Value, name) }

func find(cols []Column, name string) int {
	for i := range cols {
		if cols[i].Name == name {
			return i
		}
	}
	return -1
}

// String is the schema as ksqlDB prints it: "`ID` STRING KEY, `TOTAL` BIGINT".
func (s *Schema) String() string {
	parts := make([]string, 0, len(s.Key)+len(s.Value))
	for _, c := range s.Key {
		parts = append(parts, Quote(c.Name)+" "+c.Type.String()+" KEY")
	}
	for _, c := range s.Value {
		text := Quote(c.Name) + " " + c.Type.String()
		if c.Headers {
			if c.HeaderKey != nil {
				text += " HEADER('" + *c.HeaderKey + "')"
			} else {
				text += " HEADERS"
			}
		}
		parts = append(parts, text)
	}
	return strings.Join(parts, ", ")
}

// Quote puts a name in backticks.
func Quote(name string) string { return "`" + strings.ReplaceAll(name, "`", "``") + "`" }
