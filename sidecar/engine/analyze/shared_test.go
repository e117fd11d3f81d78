package analyze

import (
	"bufio"
	"compress/gzip"
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/sidestream/sidestream/sidecar/engine/ast"
	"github.com/sidestream/sidestream/sidecar/engine/diagnostic"
	"github.com/sidestream/sidestream/sidecar/engine/parser"
)

// shared is the folder of recorded material beside the repository; the test is
// skipped where it is absent.
func shared(t *testing.T, name string) string {
	t.Helper()
	path := filepath.Join("..", "..", "..", "..", "shared", name)
	if _, err := os.Stat(path); err != nil {
		t.Skipf("recorded material is absent: no ../shared/%s beside the repository", name)
	}
	return path
}

// TestRecordedSources: a real ksqlDB's canonical text of CREATE STREAM | TABLE
// over a topic is the one made here.
func TestRecordedSources(t *testing.T) {
	files, _ := filepath.Glob(filepath.Join(shared(t, "golden"), "*.json"))
	more, _ := filepath.Glob(filepath.Join(shared(t, "golden"), "*", "*.json"))
	checked := 0
	for _, file := range append(files, more...) {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var recorded struct {
			Exchanges []struct{ Request, Response struct{ Body any } }
		}
		if err := json.Unmarshal(data, &recorded); err != nil {
			t.Fatal(err)
		}
		for _, e := range recorded.Exchanges {
			var request struct {
				KSQL             string
				SessionVariables map[string]string
			}
			var answer []struct{ StatementText string }
			ask, _ := e.Request.Body.(string)
			body, _ := e.Response.Body.(string)
			if json.Unmarshal([]byte(ask), &request) != nil || json.Unmarshal([]byte(body), &answer) != nil {
				continue
			}
			statements, err := parser.ParseScript(request.KSQL, request.SessionVariables)
			if err != nil || len(statements) != len(answer) {
				continue
			}
			for i, s := range statements {
				create, ok := s.(*ast.CreateSource)
				if !ok || !strings.Contains(answer[i].StatementText, "CLEANUP_POLICY") {
					continue
				}
				w := newWorld()
				if create.With.Get("PARTITIONS") == nil {
					w.env.Topics = func(string) (int, bool) { return 1, true }
				}
				made, err := CreateSource(&w.env, create, "CST_1")
				if err != nil {
					t.Errorf("%s: %s: %v", file, create.Text, err)
					continue
				}
				checked++
				if made.Source.SQL != answer[i].StatementText {
					t.Errorf("%s:\ngot  %s\nwant %s", file, made.Source.SQL, answer[i].StatementText)
				}
			}
		}
	}
	if checked < 70 {
		t.Errorf("checked %d statements: there are more", checked)
	}
}

// TestCaseMistakes: the mistakes in ksqlDB's query cases that are made in DDL, in
// INSERT VALUES and in pull queries are refused in the same words.
func TestCaseMistakes(t *testing.T) {
	f, err := os.Open(shared(t, "cases/cases-dev.jsonl.gz"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(z)
	lines.Buffer(nil, 16<<20)
	checked := 0
	for lines.Scan() {
		var c struct {
			ID                               string
			Statements                       []string
			Properties                       map[string]any
			NeedsSchemaRegistry              bool
			ExpectedException, ExpectedError *struct{ Message string }
		}
		if err := json.Unmarshal(lines.Bytes(), &c); err != nil {
			t.Fatal(err)
		}
		want := c.ExpectedException
		if want == nil {
			want = c.ExpectedError
		}
		if want == nil || c.NeedsSchemaRegistry || len(c.Statements) == 0 {
			continue
		}
		// A key that also is a value column is of versions long gone.
		if strings.HasSuffix(c.ID, "mismatch between key and key field values when stream has key") {
			continue
		}
		w := newWorld()
		w.env.Topics = nil
		for k, v := range c.Properties {
			switch v := v.(type) {
			case string:
				w.env.Config[k] = v
			case bool:
				w.env.Config[k] = strconv.FormatBool(v)
			}
		}
		last, err := parser.Parse(c.Statements[len(c.Statements)-1])
		if err != nil || len(last) != 1 || !mine(last[0]) {
			continue
		}
		prepared := true
		for _, text := range c.Statements[:len(c.Statements)-1] {
			statements, err := parser.Parse(text)
			if err != nil {
				t.Fatal(err)
			}
			for _, s := range statements {
				if _, err := w.statement(s); err != nil {
					prepared = false
				}
			}
		}
		if !prepared {
			continue // package enginetest tells
		}
		checked++
		_, err = w.statement(last[0])
		if err == nil {
			t.Errorf("%s: not refused\nwant %s", c.ID, want.Message)
		} else if got := diagnostic.All(err)[0].Message; !strings.Contains(got, strings.TrimSuffix(want.Message, "\n")) {
			t.Errorf("%s:\ngot  %s\nwant %s", c.ID, got, want.Message)
		}
	}
	if checked < 80 {
		t.Errorf("checked %d cases: there are more", checked)
	}
}

func mine(s ast.Statement) bool {
	switch s := s.(type) {
	case *ast.CreateSource, *ast.InsertValues, *ast.DropSource, *ast.AlterSource, *ast.CreateType:
		return true
	case *ast.Select:
		return s.Query.Emit == ast.EmitNone
	}
	return false
}
