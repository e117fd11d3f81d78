package parser

import (
	"bufio"
	"compress/gzip"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sidestream/sidestream/sidecar/engine/diagnostic"
)

// shared is the folder of recorded material beside the repository; the test is
// skipped where it is absent.
func shared(t testing.TB, name string) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			break
		}
		if dir == filepath.Dir(dir) {
			t.Fatal("no go.mod above the working directory")
		}
		dir = filepath.Dir(dir)
	}
	path := filepath.Join(dir, "..", "shared", name)
	if _, err := os.Stat(path); err != nil {
		t.Skipf("recorded material is absent: no ../shared/%s beside the repository", name)
	}
	return path
}

type queryCase struct {
	ID                string
	Statements        []string
	ExpectedException *struct{ Type, Message string }
	ExpectedError     *struct{ Message string }
}

func cases(t testing.TB) []queryCase {
	f, err := os.Open(shared(t, "cases/cases-dev.jsonl.gz"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	var out []queryCase
	lines := bufio.NewScanner(z)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var c queryCase
		if err := json.Unmarshal(lines.Bytes(), &c); err != nil {
			t.Fatal(err)
		}
		out = append(out, c)
	}
	if lines.Err() != nil {
		t.Fatal(lines.Err())
	}
	return out
}

// TestQueryCases parses every statement of ksqlDB's query cases: exactly those
// whose case is about the syntax fail, and in the words the case gives.
func TestQueryCases(t *testing.T) {
	total, refused := 0, 0
	for _, c := range cases(t) {
		wanted, message := false, ""
		if e := c.ExpectedException; e != nil && strings.HasSuffix(e.Type, "ParseFailedException") {
			wanted, message = true, e.Message
		}
		if e := c.ExpectedError; e != nil && (strings.Contains(e.Message, "Syntax Error") || strings.Contains(e.Message, "must be integer")) {
			wanted, message = true, e.Message
		}
		// The harness of the cases runs the SELECTs one by one and joins the rest.
		var joined []string
		var scripts []string
		for _, s := range c.Statements {
			total++
			if strings.HasPrefix(c.ID, "rqtt/") && strings.HasPrefix(strings.TrimSpace(s), "SELECT ") {
				scripts = append(scripts, s)
			} else {
				joined = append(joined, s)
			}
		}
		scripts = append(scripts, strings.Join(joined, "\n"))
		for _, s := range scripts {
			_, err := Parse(s)
			if err == nil {
				continue
			}
			refused++
			if !wanted {
				t.Errorf("%s: %v\n%s", c.ID, err, s)
				continue
			}
			var first *diagnostic.Error
			var all diagnostic.Errors
			if errors.As(err, &all) {
				first = all[0]
			}
			if full := first.Message + "\nStatement: " + first.Statement; !strings.Contains(full, message) {
				t.Errorf("%s: got  %q\nwant %q", c.ID, full, message)
			}
			message, wanted = "", true
		}
	}
	t.Logf("%d statements, %d scripts refused", total, refused)
	if total < 4000 || refused < 15 {
		t.Errorf("read %d statements and refused %d scripts: the cases hold more", total, refused)
	}
}

// TestRecordedStatements parses what was sent to a real ksqlDB: what it refused
// as a syntax error fails in the same words, all else parses.
func TestRecordedStatements(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(shared(t, "golden"), "*.json"))
	if err != nil {
		t.Fatal(err)
	}
	more, _ := filepath.Glob(filepath.Join(shared(t, "golden"), "*", "*.json"))
	seen := map[string]bool{}
	for _, file := range append(files, more...) {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var recorded struct {
			Exchanges []struct {
				Request  struct{ Body any }
				Response struct{ Body any }
			}
		}
		if err := json.Unmarshal(text, &recorded); err != nil {
			t.Fatal(file, err)
		}
		for _, e := range recorded.Exchanges {
			body, _ := e.Request.Body.(string)
			var request struct {
				KSQL, SQL        string
				SessionVariables map[string]string
			}
			if json.Unmarshal([]byte(body), &request) != nil {
				continue
			}
			sql := request.KSQL + request.SQL
			if sql == "" || seen[sql] {
				continue
			}
			seen[sql] = true
			var answer struct{ Message string }
			response, _ := e.Response.Body.(string)
			_ = json.Unmarshal([]byte(response), &answer)
			_, err := ParseScript(sql, request.SessionVariables)
			wantsError := strings.HasPrefix(answer.Message, "line ")
			switch {
			case err == nil && wantsError:
				t.Errorf("%s: parsed %q\nksqlDB: %s", filepath.Base(file), sql, answer.Message)
			case err != nil && !wantsError:
				t.Errorf("%s: %q\n%v\nksqlDB: %s", filepath.Base(file), sql, err, answer.Message)
			case err != nil:
				want, _, _ := strings.Cut(answer.Message, "\nStatement: ")
				if got := diagnostic.All(err)[0].Message; got != want {
					t.Errorf("%s: %q\ngot  %q\nwant %q", filepath.Base(file), sql, got, want)
				}
			}
		}
	}
	t.Logf("%d scripts", len(seen))
	if len(seen) < 300 {
		t.Errorf("found %d scripts: there are more", len(seen))
	}
}
