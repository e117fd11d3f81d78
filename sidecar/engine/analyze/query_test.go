package analyze_test

import (
	"errors"
	"fmt"
	"sort"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
	"github.com/stretchr/testify/require"

	"github.com/sidestream/sidestream/sidecar/engine/analyze"
	"github.com/sidestream/sidestream/sidecar/engine/ast"
	"github.com/sidestream/sidestream/sidecar/engine/catalog"
	"github.com/sidestream/sidestream/sidecar/engine/diagnostic"
	"github.com/sidestream/sidestream/sidecar/engine/function"
	"github.com/sidestream/sidestream/sidecar/engine/parser"
	"github.com/sidestream/sidestream/sidecar/engine/plan"
)

// TestQueries runs the files in testdata/queries, one a feature:
//
//	setup       statements that make sources; nothing is shown
//	plan        a query's plan as it runs (plan.Dump), its warnings, or the mistake with
//	            its place in the text
//	explain     its steps in ksqlDB's words, as EXPLAIN prints them
//	topology    its processors, as Kafka Streams numbers them
//	sink        the source it makes and the topic it needs
//	replace     two statements: what happens when the second replaces the first
func TestQueries(t *testing.T) {
	datadriven.Walk(t, "testdata/queries", func(t *testing.T, path string) {
		env := &analyze.Env{Catalog: catalog.New(), Functions: function.Builtin()}
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			statements, err := parser.Parse(d.Input)
			require.NoError(t, err, d.Pos)
			if d.Cmd == "setup" {
				for _, s := range statements {
					setup(t, env, s)
				}
				return ""
			}
			if d.Cmd == "replace" {
				return replace(t, env, statements)
			}
			q, err := analyzed(env, statements[0])
			if err != nil {
				return diagnostic.Render("sql", d.Input, err)
			}
			switch d.Cmd {
			case "plan":
				return plan.Dump(q.plan) + warnings(q.warnings)
			case "explain":
				return plan.Explain(q.plan)
			case "topology":
				return strings.ReplaceAll(plan.Topology(q.plan), "\n\n", "\n")
			case "sink":
				return sinkText(q)
			}
			t.Fatalf("unknown command %s", d.Cmd)
			return ""
		})
	})
}

type analyzedQuery struct {
	plan     *plan.Query
	source   *catalog.Source
	topic    *analyze.TopicSpec
	warnings []string
	push     *analyze.Push
}

func analyzed(env *analyze.Env, s ast.Statement) (*analyzedQuery, error) {
	switch s := s.(type) {
	case *ast.CreateAs:
		p, err := analyze.CreateAs(env, s, "Q")
		if err != nil {
			return nil, err
		}
		return &analyzedQuery{plan: p.Plan, source: p.Source, topic: p.Topic, warnings: p.Warnings}, nil
	case *ast.InsertInto:
		p, err := analyze.InsertInto(env, s, "Q")
		if err != nil {
			return nil, err
		}
		return &analyzedQuery{plan: p.Plan, topic: p.Topic, warnings: p.Warnings}, nil
	case *ast.Select:
		p, err := analyze.PushQuery(env, s, "Q")
		if err != nil {
			return nil, err
		}
		return &analyzedQuery{plan: p.Plan, push: p}, nil
	}
	return nil, fmt.Errorf("%T has no plan", s)
}

func setup(t *testing.T, env *analyze.Env, s ast.Statement) {
	switch s := s.(type) {
	case *ast.CreateSource:
		c, err := analyze.CreateSource(env, s, "Q")
		require.NoError(t, err, s.Text)
		env.Catalog.Put(c.Source)
	case *ast.CreateAs:
		c, err := analyze.CreateAs(env, s, "Q")
		require.NoError(t, err, s.Text)
		env.Catalog.Put(c.Source)
	default:
		t.Fatalf("setup with %T", s)
	}
}

func replace(t *testing.T, env *analyze.Env, statements []ast.Statement) string {
	require.Len(t, statements, 2)
	env = &analyze.Env{Catalog: env.Catalog.Copy(), Functions: env.Functions}
	first, err := analyze.CreateAs(env, statements[0].(*ast.CreateAs), "Q")
	require.NoError(t, err)
	env.Catalog.Put(first.Source)
	second, err := analyze.CreateAs(env, statements[1].(*ast.CreateAs), "Q")
	if err == nil {
		err = analyze.Upgradeable(first.Plan, second.Plan)
	}
	var d *diagnostic.Error
	switch {
	case errors.As(err, &d):
		return "refused: " + d.Message + "\n"
	case err != nil:
		return "refused: " + err.Error() + "\n"
	}
	return "in place\n"
}

func warnings(list []string) string {
	out := ""
	for _, w := range list {
		out += "warning: " + strings.Split(w, "\n")[0] + "\n"
	}
	return out
}

func sinkText(q *analyzedQuery) string {
	var b strings.Builder
	if s := q.source; s != nil {
		fmt.Fprintf(&b, "%s %s %s\n", s.Kind(), s.Name, s.Schema.String())
		fmt.Fprintf(&b, "key %s, value %s", s.KeyFormat.Name, s.ValueFormat.Name)
		if s.WindowText != "" {
			fmt.Fprintf(&b, ", %s window", s.WindowText)
		}
		if s.Timestamp != nil {
			fmt.Fprintf(&b, ", time from %s", s.Timestamp.Column.Name)
		}
		fmt.Fprintf(&b, "\n%s\n", s.SQL)
	}
	if tp := q.topic; tp != nil {
		var config []string
		for k, v := range tp.Config {
			config = append(config, k+"="+v)
		}
		sort.Strings(config)
		fmt.Fprintf(&b, "topic %s, %d partitions, %s\n", tp.Name, tp.Partitions, strings.Join(config, " "))
	}
	if p := q.push; p != nil {
		for i, c := range p.Columns {
			key := ""
			if p.Key[i] {
				key = " KEY"
			}
			fmt.Fprintf(&b, "%s %s%s\n", c.Name, c.Type, key)
		}
		fmt.Fprintf(&b, "limit %d, table %t\n", p.Limit, p.Table)
	}
	return b.String()
}
