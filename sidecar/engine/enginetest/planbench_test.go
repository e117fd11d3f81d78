package enginetest_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sidestream/sidestream/sidecar/deploy"
	"github.com/sidestream/sidestream/sidecar/engine/analyze"
	"github.com/sidestream/sidestream/sidecar/engine/ast"
	"github.com/sidestream/sidestream/sidecar/engine/enginetest"
	"github.com/sidestream/sidestream/sidecar/engine/parser"
)

// BenchmarkPlan plans the queries of the folders in ksql/ that are the order flow;
// the time is that of one statement, parsed already.
func BenchmarkPlan(b *testing.B) {
	type planned struct {
		env *analyze.Env
		st  ast.Statement
	}
	var queries []planned
	root := filepath.Join("..", "..", "..", "ksql")
	for _, service := range []string{"fraud", "inventory", "orders", "email", "payments"} {
		dir := filepath.Join(root, service)
		vars, err := deploy.Variables(dir, nil)
		require.NoError(b, err)
		files, err := filepath.Glob(filepath.Join(dir, "*.sql"))
		require.NoError(b, err)
		require.NotEmpty(b, files)
		s := enginetest.NewSession(nil, nil)
		for _, name := range files {
			text, err := os.ReadFile(name)
			require.NoError(b, err)
			statements, err := parser.ParseScript(string(text), vars)
			require.NoError(b, err)
			for _, st := range statements {
				switch st.(type) {
				case *ast.CreateAs, *ast.InsertInto:
					env := *s.Env
					env.Catalog = s.Env.Catalog.Copy()
					queries = append(queries, planned{&env, st})
				}
				require.NoError(b, s.Apply(st.Source()))
			}
		}
	}
	b.ReportAllocs()
	b.ResetTimer()
	for i := 0; i < b.N; i++ {
		q := queries[i%len(queries)]
		var err error
		switch st := q.st.(type) {
		case *ast.CreateAs:
			_, err = analyze.CreateAs(q.env, st, "CSAS_1")
		case *ast.InsertInto:
			_, err = analyze.InsertInto(q.env, st, "INSERTQUERY_1")
		}
		if err != nil {
			b.Fatal(err)
		}
	}
}
