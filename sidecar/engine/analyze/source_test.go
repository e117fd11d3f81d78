package analyze

import (
	"fmt"
	"sort"
	"strconv"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"

	"github.com/sidestream/sidestream/sidecar/engine/ast"
	"github.com/sidestream/sidestream/sidecar/engine/catalog"
	"github.com/sidestream/sidestream/sidecar/engine/diagnostic"
	"github.com/sidestream/sidestream/sidecar/engine/function"
	"github.com/sidestream/sidestream/sidecar/engine/parser"
	"github.com/sidestream/sidestream/sidecar/engine/plan"
	"github.com/sidestream/sidestream/sidecar/engine/types"
)

// world is a catalogue and a cluster that a test file changes as it goes.
type world struct {
	env     Env
	topics  map[string]int
	queries int
}

func newWorld() *world {
	w := &world{topics: map[string]int{}}
	w.env = Env{Catalog: catalog.New(), Functions: function.Builtin(), Config: map[string]string{}}
	w.env.Topics = func(topic string) (int, bool) { n, ok := w.topics[topic]; return n, ok }
	return w
}

// TestStatements runs the files of testdata/statements: DDL, INSERT VALUES and
// pull queries. Commands: topics (name partitions), config (name value), sql.
func TestStatements(t *testing.T) {
	datadriven.Walk(t, "testdata/statements", func(t *testing.T, path string) {
		w := newWorld()
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			switch d.Cmd {
			case "topics":
				for _, line := range strings.Split(d.Input, "\n") {
					name, n, _ := strings.Cut(line, " ")
					w.topics[name], _ = strconv.Atoi(n)
				}
				return ""
			case "config":
				for _, line := range strings.Split(d.Input, "\n") {
					name, value, _ := strings.Cut(line, " ")
					w.env.Config[name] = value
				}
				return ""
			case "sql":
				return w.run(d.Input, d.HasArg("quiet"))
			}
			t.Fatalf("unknown command %s", d.Cmd)
			return ""
		})
	})
}

// run analyses a script and shows what became of each statement.
func (w *world) run(script string, quiet bool) string {
	statements, err := parser.Parse(script)
	if err != nil {
		return diagnostic.Render("test.sql", script, err)
	}
	var b strings.Builder
	for _, s := range statements {
		text, err := w.statement(s)
		if err != nil {
			for _, e := range diagnostic.All(err) {
				if strings.HasPrefix(e.Statement, "INSERT") {
					fmt.Fprintf(&b, "for %s\n", e.Statement)
				}
			}
			b.WriteString(diagnostic.Render("test.sql", script, err))
			continue
		}
		if !quiet {
			b.WriteString(text)
		}
	}
	return b.String()
}

func (w *world) statement(s ast.Statement) (string, error) {
	switch s := s.(type) {
	case *ast.CreateSource:
		w.queries++
		made, err := CreateSource(&w.env, s, "CST_"+s.Name.Name+"_"+strconv.Itoa(w.queries))
		if err != nil {
			return "", err
		}
		if !made.Exists {
			w.env.Catalog.Put(made.Source)
			if made.Topic != nil {
				w.topics[made.Topic.Name] = made.Topic.Partitions
			}
		}
		return createdText(made), nil
	case *ast.CreateAs:
		w.queries++
		made, err := CreateAs(&w.env, s, "CTAS_"+s.Name.Name+"_"+strconv.Itoa(w.queries))
		if err != nil {
			return "", err
		}
		w.env.Catalog.Put(made.Source)
		return made.Source.Schema.String() + "\n", nil
	case *ast.CreateType:
		made, exists, err := CreateType(&w.env, s)
		if err != nil {
			return "", err
		}
		w.env.Catalog.PutType(s.Name.Name, made)
		return fmt.Sprintf("type %s is %s, was there: %t\n", s.Name.Name, made, exists), nil
	case *ast.DropType:
		found, err := DropType(&w.env, s)
		if err == nil {
			w.env.Catalog.DropType(s.Name.Name)
		}
		return fmt.Sprintf("dropped %t\n", found), err
	case *ast.DropSource:
		src, err := DropSource(&w.env, s)
		if err != nil || src == nil {
			return "nothing to drop\n", err
		}
		w.env.Catalog.Drop(src.Name)
		return "dropped " + src.Name + "\n", nil
	case *ast.AlterSource:
		src, err := AlterSource(&w.env, s)
		if err != nil {
			return "", err
		}
		w.env.Catalog.Put(src)
		return src.Schema.String() + "\n", nil
	case *ast.InsertValues:
		row, err := InsertValues(&w.env, s)
		if err != nil {
			return "", err
		}
		return insertText(row), nil
	case *ast.Select:
		pull, err := PullQuery(&w.env, s, "transient_1")
		if err != nil {
			return "", err
		}
		return pullText(pull), nil
	}
	return "", fmt.Errorf("no test for %T", s)
}

func createdText(c *Created) string {
	if c.Exists {
		return strings.Join(c.Warnings, "\n") + "\n"
	}
	src := c.Source
	var b strings.Builder
	b.WriteString(src.SQL + "\n")
	fmt.Fprintf(&b, "  schema: %s\n", src.Schema.String())
	fmt.Fprintf(&b, "  key %s, value %s, %d partitions\n", shortFormat(src.KeyFormat), shortFormat(src.ValueFormat), src.Partitions)
	if src.WindowText != "" {
		fmt.Fprintf(&b, "  window: %s %d ms\n", src.WindowText, src.WindowSize)
	}
	if ts := src.Timestamp; ts != nil {
		fmt.Fprintf(&b, "  time: %s %q\n", ts.Column.Name, ts.Layout)
	}
	if c.Topic != nil {
		fmt.Fprintf(&b, "  makes topic %s, %d partitions, %s\n", c.Topic.Name, c.Topic.Partitions, mapText(c.Topic.Config))
	}
	if c.Replaces {
		b.WriteString("  replaces\n")
	}
	if c.Query != nil {
		b.WriteString("  query " + c.Query.ID + "\n")
		for _, line := range strings.Split(strings.TrimSpace(plan.Dump(c.Query)), "\n") {
			b.WriteString("    " + line + "\n")
		}
	}
	return b.String()
}

func shortFormat(f plan.Format) string {
	out := f.Name
	if len(f.Props) > 0 {
		out += " " + mapText(f.Props)
	}
	if f.Unwrapped {
		out += " unwrapped"
	}
	return out
}

func mapText(m map[string]string) string {
	parts := make([]string, 0, len(m))
	for k, v := range m {
		parts = append(parts, k+"="+v)
	}
	sort.Strings(parts)
	return strings.Join(parts, " ")
}

func rowText(cols []types.Type, row []types.Value) string {
	if row == nil {
		return "none"
	}
	parts := make([]string, len(row))
	for i, v := range row {
		parts[i] = "null"
		if !v.IsNull() {
			parts[i] = types.Text(v, cols[i])
		}
	}
	return "[" + strings.Join(parts, ", ") + "]"
}

func insertText(row *Insert) string {
	var key, value []types.Type
	for _, c := range row.Source.Schema.Key {
		key = append(key, c.Type)
	}
	for _, c := range row.Source.Schema.Value {
		if !c.Headers {
			value = append(value, c.Type)
		}
	}
	return fmt.Sprintf("%s key %s value %s time %d\n", row.Source.Name, rowText(key, row.Key), rowText(value, row.Value), row.Time)
}

func pullText(p *Pull) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s by %q limit %d:", p.Source.Name, p.QueryID, p.Limit)
	for i, c := range p.Columns {
		key := ""
		if p.Key[i] {
			key = " KEY"
		}
		fmt.Fprintf(&b, " %s %s%s", c.Name, c.Type, key)
	}
	b.WriteString("\n")
	if p.Stream != nil {
		for _, line := range strings.Split(strings.TrimSpace(plan.Dump(p.Stream.Plan)), "\n") {
			b.WriteString("    " + line + "\n")
		}
		return b.String()
	}
	var key []types.Type
	for _, c := range p.Source.Schema.Key {
		key = append(key, c.Type)
	}
	sel := p.Selection
	switch {
	case sel.Keys != nil:
		b.WriteString("  keys")
		for _, k := range sel.Keys {
			b.WriteString(" " + rowText(key, k))
		}
		b.WriteString("\n")
	case sel.Low != nil || sel.High != nil:
		b.WriteString("  range")
		if sel.Low != nil {
			fmt.Fprintf(&b, " from %s included %t", types.Text(sel.Low.Value, key[0]), sel.Low.Inclusive)
		}
		if sel.High != nil {
			fmt.Fprintf(&b, " to %s included %t", types.Text(sel.High.Value, key[0]), sel.High.Inclusive)
		}
		b.WriteString("\n")
	default:
		b.WriteString("  scan\n")
	}
	for _, w := range []struct {
		what     string
		from, to int64
	}{{"start", sel.StartFrom, sel.StartTo}, {"end", sel.EndFrom, sel.EndTo}} {
		if w.from > -1<<62 || w.to < 1<<62 {
			fmt.Fprintf(&b, "  window %s from %d to %d\n", w.what, w.from, w.to)
		}
	}
	if p.Where != nil {
		fmt.Fprintf(&b, "  where %s\n", plan.Text(p.Where))
	}
	parts := make([]string, len(p.Select))
	for i, e := range p.Select {
		parts[i] = plan.Text(e)
	}
	fmt.Fprintf(&b, "  select %s\n", strings.Join(parts, ", "))
	return b.String()
}
