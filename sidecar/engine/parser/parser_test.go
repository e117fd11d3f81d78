package parser_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"

	"github.com/sidestream/sidestream/sidecar/engine/ast"
	"github.com/sidestream/sidestream/sidecar/engine/diagnostic"
	"github.com/sidestream/sidestream/sidecar/engine/format"
	"github.com/sidestream/sidestream/sidecar/engine/parser"
)

// TestParse runs the files of testdata/parse. Commands: parse, test (a script of
// SQL tests), expr, type, schema, each a line; split; and substitute and script,
// whose arguments are variables.
func TestParse(t *testing.T) {
	datadriven.Walk(t, "testdata/parse", func(t *testing.T, path string) {
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			vars := map[string]string{}
			for _, arg := range d.CmdArgs {
				vars[arg.Key] = strings.Join(arg.Vals, " ")
			}
			switch d.Cmd {
			case "parse":
				return statements(d.Input, parser.Parse)
			case "test":
				return statements(d.Input, parser.ParseTest)
			case "script":
				return statements(d.Input, func(text string) ([]ast.Statement, error) { return parser.ParseScript(text, vars) })
			case "expr":
				return lines(d.Input, func(line string) (string, error) {
					e, err := parser.ParseExpr(line)
					if err != nil {
						return "", err
					}
					return format.Expr(e) + tree(e), nil
				})
			case "type":
				return lines(d.Input, func(line string) (string, error) {
					typ, err := parser.ParseType(line)
					if err != nil {
						return "", err
					}
					return format.Type(typ), nil
				})
			case "schema":
				return lines(d.Input, func(line string) (string, error) {
					elements, err := parser.ParseSchema(line)
					if err != nil {
						return "", err
					}
					return format.Statement(&ast.CreateSource{Name: ast.Ident{Name: "S"}, Elements: elements}), nil
				})
			case "substitute":
				return lines(d.Input, func(line string) (string, error) { return parser.Substitute(line, vars) })
			case "split":
				return split(d.Input)
			}
			t.Fatalf("unknown command %s", d.Cmd)
			return ""
		})
	})
}

func statements(text string, parse func(string) ([]ast.Statement, error)) string {
	list, err := parse(text)
	if err != nil {
		return diagnostic.Render("test.sql", text, err)
	}
	var b strings.Builder
	for _, s := range list {
		p := s.Position()
		fmt.Fprintf(&b, "%d:%d %s\n%s\n", p.Line, p.Col, strings.TrimPrefix(fmt.Sprintf("%T", s), "*ast."), format.Statement(s))
	}
	return b.String()
}

func lines(text string, f func(string) (string, error)) string {
	var b strings.Builder
	for _, line := range strings.Split(text, "\n") {
		out, err := f(line)
		if err != nil {
			b.WriteString(diagnostic.Render("test.sql", line, err))
			continue
		}
		b.WriteString(out + "\n")
	}
	return b.String()
}

// tree is what the text of an expression doesn't tell: the root's kind and place.
func tree(e ast.Expr) string {
	p := e.Position()
	return fmt.Sprintf("   %s at %d", strings.TrimPrefix(fmt.Sprintf("%T", e), "*ast."), p.Col)
}

func split(text string) string {
	pieces, err := parser.Split(text)
	if err != nil {
		return diagnostic.Render("test.sql", text, err)
	}
	var b strings.Builder
	for _, p := range pieces {
		for _, c := range p.Comments {
			where := "before"
			if c.Inside {
				where = "inside"
			}
			fmt.Fprintf(&b, "%d:%d %s: %q\n", c.Pos.Line, c.Pos.Col, where, c.Text)
		}
		fmt.Fprintf(&b, "%d:%d %q\n", p.Pos.Line, p.Pos.Col, p.Text)
	}
	return b.String()
}

// TestPositions: offsets are of the text that was given, columns count
// characters, and each statement has its own text.
func TestPositions(t *testing.T) {
	text := "-- é\n  SELECT 'é', x\n\tFROM s;\nSHOW STREAMS;"
	list, err := parser.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	if got := list[0].Source(); got != "SELECT 'é', x\n\tFROM s;" {
		t.Errorf("text %q", got)
	}
	q := list[0].(*ast.Select).Query
	x := q.Select[1].Expr.Position()
	if text[x.Offset:x.Offset+1] != "x" || x.Line != 2 || x.Col != 15 {
		t.Errorf("x is at %+v", x)
	}
	if from := q.From.Source.Pos; from.Line != 3 || from.Col != 7 {
		t.Errorf("s is at %+v", from)
	}
	if show := list[1]; show.Source() != "SHOW STREAMS;" || show.Position().Line != 4 {
		t.Errorf("%q at %+v", show.Source(), show.Position())
	}
}

// TestDeepNesting: text that nests without end is refused, and doesn't exhaust
// the stack.
func TestDeepNesting(t *testing.T) {
	for _, text := range []string{
		"SELECT " + strings.Repeat("(", 100000) + "1;",
		"SELECT " + strings.Repeat("NOT ", 100000) + "a FROM s;",
		"SELECT " + strings.Repeat("- ", 100000) + "a FROM s;",
		"SELECT " + strings.Repeat("f(", 100000) + "1 FROM s;",
		"CREATE STREAM s (a " + strings.Repeat("ARRAY<", 100000) + "INT;",
		"SELECT " + strings.Repeat("CASE WHEN ", 100000) + "1 FROM s;",
		strings.Repeat("EXPLAIN ", 100000) + "SHOW TABLES;",
	} {
		_, err := parser.Parse(text)
		if err == nil {
			t.Errorf("parsed %.30s…", text)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"SELECT * FROM s;", "CREATE STREAM s (id STRING KEY) WITH (A='b');", "SELECT a->b[1], x => 1 FROM s EMIT CHANGES;", "'", "${a}", "/*", "--", "a.b.c;;"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		list, err := parser.ParseTest(text)
		if err != nil {
			for _, e := range diagnostic.All(err) {
				if e.Pos.Offset > len(text) || !e.Pos.Known() {
					t.Errorf("position %+v", e.Pos)
				}
			}
			_ = diagnostic.Render("f", text, err)
			return
		}
		for _, s := range list {
			out := format.Statement(s)
			if _, err := parser.ParseTest(out); err != nil {
				t.Errorf("%q became %q: %v", text, out, err)
			}
		}
		_, _ = parser.Split(text)
		_, _ = parser.ParseScript(text, map[string]string{"a": "b"})
	})
}

// TestBounds: what would make the server busy for long, or large, is a mistake that
// says so.
func TestBounds(t *testing.T) {
	repeat := func(n int, part func(i int) string) string {
		var b strings.Builder
		for i := range n {
			b.WriteString(part(i))
		}
		return b.String()
	}
	same := func(s string) func(int) string { return func(int) string { return s } }
	for text, want := range map[string]string{
		"SELECT " + strings.Repeat("(", 100_000) + "1;":                                                                                "Nested too deeply: more than 500 levels",
		"SELECT 1" + repeat(30_000, same("+1")) + " FROM s;":                                                                           "Too long: more than 20000 operators",
		"SELECT a" + repeat(30_000, same("->b")) + " FROM s;":                                                                          "Too long: more than 20000 operators",
		"SELECT a" + repeat(30_000, same("[1]")) + " FROM s;":                                                                          "Too long: more than 20000 operators",
		"SELECT * FROM s WHERE a" + repeat(30_000, same(" OR a")) + ";":                                                                "Too long: more than 20000 operators",
		"SELECT * FROM s" + repeat(101, same(" JOIN t WITHIN 1 DAY ON a = b")) + ";":                                                   "Too long: more than 100 joins",
		"SELECT * FROM s GROUP BY a" + repeat(200, same(", a")) + ";":                                                                  "Too long: more than 200 expressions here",
		"DEFINE a0 = 'xxxxxxxxxx';" + repeat(60, func(i int) string { return fmt.Sprintf("DEFINE a%d = '${a%d}${a%d}';", i+1, i, i) }): "With their variables replaced the statements up to here are longer than",
	} {
		_, err := parser.ParseScript(text, nil)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.60s…: want %q, got %.200v", text, want, err)
		}
	}
	for _, text := range []string{strings.Repeat(";", 100_000), strings.Repeat("SELEC;", 100_000), strings.Repeat("${x} ", 100_000) + ";"} {
		_, err := parser.ParseScript(text, nil)
		if n := len(diagnostic.All(err)); n == 0 || n > 100 {
			t.Errorf("%.20s…: %d mistakes told", text, n)
		}
	}
}
