package format_test

import (
	"bufio"
	"compress/gzip"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/sidestream/sidestream/sidecar/engine/ast"
	"github.com/sidestream/sidestream/sidecar/engine/format"
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

// roundTrip checks that canonical text reads as the same tree, and is canonical.
func roundTrip(t *testing.T, sql string) {
	t.Helper()
	first, err := parser.ParseTest(sql)
	if err != nil {
		return // other tests say which statements must parse
	}
	for _, s := range first {
		text := format.Statement(s)
		second, err := parser.ParseTest(text)
		if err != nil || len(second) != 1 {
			t.Errorf("%s\nbecame %s\n%v", s.Source(), text, err)
			continue
		}
		if got := format.Statement(second[0]); got != text {
			t.Errorf("%s\nbecame %s\nthen   %s", s.Source(), text, got)
		}
		place(reflect.ValueOf(s))
		place(reflect.ValueOf(second[0]))
		sortProperties(s)
		sortProperties(second[0])
		if !reflect.DeepEqual(s, second[0]) {
			t.Errorf("another tree from %s", text)
		}
	}
}

// place forgets the positions and texts in a tree.
func place(v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if !v.IsNil() {
			place(v.Elem())
		}
	case reflect.Slice:
		for i := 0; i < v.Len(); i++ {
			place(v.Index(i))
		}
	case reflect.Struct:
		switch v.Type() {
		case reflect.TypeOf(ast.Pos{}), reflect.TypeOf(ast.Span{}):
			if v.CanSet() {
				v.SetZero()
			}
			return
		}
		for i := 0; i < v.NumField(); i++ {
			place(v.Field(i))
		}
	}
}

func sortProperties(s ast.Statement) {
	var with ast.Properties
	switch s := s.(type) {
	case *ast.CreateSource:
		with = s.With
	case *ast.CreateAs:
		with = s.With
	case *ast.CreateConnector:
		with = s.With
	}
	for i := range with {
		for j := i; j > 0 && with[j].Name < with[j-1].Name; j-- {
			with[j], with[j-1] = with[j-1], with[j]
		}
	}
}

func TestRoundTrip(t *testing.T) {
	text, err := os.ReadFile("testdata/round_trip.sql")
	if err != nil {
		t.Fatal(err)
	}
	statements, err := parser.ParseTest(string(text))
	if err != nil {
		t.Fatal(err)
	}
	if len(statements) < 60 {
		t.Errorf("only %d statements", len(statements))
	}
	roundTrip(t, string(text))
}

func TestRoundTripOfCases(t *testing.T) {
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
	for lines.Scan() {
		var c struct{ Statements []string }
		if err := json.Unmarshal(lines.Bytes(), &c); err != nil {
			t.Fatal(err)
		}
		for _, s := range c.Statements {
			roundTrip(t, s)
		}
	}
}

// TestRecordedTexts: what a real ksqlDB wrote as canonical text is canonical
// here too.
func TestRecordedTexts(t *testing.T) {
	files, _ := filepath.Glob(filepath.Join(shared(t, "golden"), "*.json"))
	more, _ := filepath.Glob(filepath.Join(shared(t, "golden"), "*", "*.json"))
	checked := 0
	for _, file := range append(files, more...) {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var recorded struct {
			Exchanges []struct {
				Response struct{ Body any }
			}
		}
		if err := json.Unmarshal(data, &recorded); err != nil {
			t.Fatal(err)
		}
		for _, e := range recorded.Exchanges {
			body, _ := e.Response.Body.(string)
			var answer any
			if json.Unmarshal([]byte(body), &answer) != nil {
				continue
			}
			for _, text := range statementTexts(answer) {
				// Canonical texts alone name the cleanup policy. a || b is written as a
				// function that there isn't.
				if !strings.Contains(text, "CLEANUP_POLICY=") || strings.Contains(text, "`concat`(") {
					continue
				}
				s, err := parser.Parse(text)
				if err != nil {
					t.Errorf("%s: %s: %v", file, text, err)
					continue
				}
				checked++
				if got := format.Statement(s[0]); got != text {
					t.Errorf("%s:\ngot  %s\nwant %s", file, got, text)
				}
			}
		}
	}
	if checked < 200 {
		t.Errorf("checked %d texts: there are more", checked)
	}
}

func statementTexts(v any) []string {
	var out []string
	switch v := v.(type) {
	case map[string]any:
		for key, value := range v {
			if text, ok := value.(string); ok && key == "statementText" {
				out = append(out, text)
			}
			out = append(out, statementTexts(value)...)
		}
	case []any:
		for _, value := range v {
			out = append(out, statementTexts(value)...)
		}
	}
	return out
}
