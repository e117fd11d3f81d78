package deploy

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// recordedEdits are the CREATE OR REPLACE statements that a real ksqlDB was sent,
// with its answers.
type recordedEdit struct {
	was, edit string
	taken     bool
	message   string
}

// readRecorded gives, of a recording, the statements that were accepted in order,
// and the edits with the text that each object had before.
func readRecorded(t *testing.T, name string) (created []string, edits []recordedEdit) {
	path := filepath.Join("../../../shared/golden/evolve", name)
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Skipf("recorded exchanges with a real ksqlDB aren't here: %v", err)
	}
	var file struct {
		Exchanges []struct {
			Request struct {
				Path string
				Body json.RawMessage
			}
			Response struct {
				Status int
				Body   json.RawMessage
			}
		}
	}
	require.NoError(t, json.Unmarshal(raw, &file))
	was := map[string]string{}
	for _, x := range file.Exchanges {
		var body struct{ Ksql string }
		if x.Request.Path != "/ksql" || json.Unmarshal(unquoted(x.Request.Body), &body) != nil {
			continue
		}
		s := parseOne(body.Ksql)
		if s == nil || s.Kind == Insert {
			continue
		}
		if !orReplace.MatchString(body.Ksql) {
			if x.Response.Status == 200 {
				was[s.Name] = body.Ksql
				created = append(created, body.Ksql)
			}
			continue
		}
		if was[s.Name] == "" {
			continue
		}
		var answer struct{ Message string }
		_ = json.Unmarshal(unquoted(x.Response.Body), &answer) // a list where it was taken
		edits = append(edits, recordedEdit{was[s.Name], body.Ksql, x.Response.Status == 200, answer.Message})
		if x.Response.Status == 200 && s.query() == nil {
			was[s.Name] = body.Ksql
		}
	}
	require.NotEmpty(t, edits)
	return created, edits
}

// unquoted is JSON that may have been recorded as text.
func unquoted(raw json.RawMessage) []byte {
	var text string
	if json.Unmarshal(raw, &text) == nil {
		return []byte(text)
	}
	return raw
}

var createOrReplace = regexp.MustCompile(`(?i)^CREATE OR REPLACE`)

// What a real ksqlDB took is in place or the same; what it refused needs a rebuild
// or is forbidden.
func TestClassesAsRecorded(t *testing.T) {
	for _, name := range []string{"e01_replace_csas.json", "e02_replace_inplace_and_ctas.json", "e03_replace_ddl.json"} {
		t.Run(name, func(t *testing.T) {
			created, edits := readRecorded(t, name)
			c, ledger := system(t)
			o := Options{Ledger: ledger}
			dir := t.TempDir()
			load := func(statements []string) *Folder {
				write(t, dir, "01-all.sql", strings.Join(statements, "\n"))
				f, err := LoadFolder(dir, nil)
				require.NoError(t, err)
				return f
			}
			_, err := Apply(bounded(t), c, load(created), o)
			require.NoError(t, err)
			for _, e := range edits {
				var edited []string
				for _, text := range created {
					if parseOne(text).Name == parseOne(e.edit).Name {
						text = createOrReplace.ReplaceAllString(e.edit, "CREATE")
					}
					edited = append(edited, text)
				}
				p, err := MakePlan(bounded(t), c, load(edited), o)
				if err != nil {
					require.False(t, e.taken, "%s: %v", e.edit, err)
					continue // a mistake in the SQL, for the server too
				}
				for _, s := range p.Steps {
					if s.Name != parseOne(e.edit).Name {
						continue
					}
					switch s.Class {
					case Unchanged, InPlace:
						require.True(t, e.taken || s.Class == Unchanged, "%s\nsaid to be %s, refused: %s", e.edit, s.Class, e.message)
					case RebuildNeeded:
						require.False(t, e.taken, "%s\nsaid to need a rebuild (%s), taken", e.edit, s.Reason)
						require.Contains(t, strings.ReplaceAll(e.message, "\n", " "), firstWords(s.Server), e.edit)
					case Forbidden:
						require.False(t, e.taken, "%s\nsaid to be forbidden (%s), taken", e.edit, s.Reason)
					default:
						t.Errorf("%s\nis %s", e.edit, s.Class)
					}
				}
			}
		})
	}
}

// firstWords are those of a message that don't depend on names and numbers that
// the server makes up.
func firstWords(message string) string {
	words := strings.Fields(message)
	return strings.Join(words[:min(len(words), 5)], " ")
}
