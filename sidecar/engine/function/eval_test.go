package function_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
	"github.com/stretchr/testify/require"

	"github.com/sidestream/sidestream/sidecar/engine/analyze/expression"
	"github.com/sidestream/sidestream/sidecar/engine/ast"
	"github.com/sidestream/sidestream/sidecar/engine/diagnostic"
	"github.com/sidestream/sidestream/sidecar/engine/exec"
	"github.com/sidestream/sidestream/sidecar/engine/function"
	"github.com/sidestream/sidestream/sidecar/engine/parser"
	"github.com/sidestream/sidestream/sidecar/engine/plan"
	"github.com/sidestream/sidestream/sidecar/engine/types"
)

// columns is a scope of the value columns that a test file declares.
type columns []plan.Column

func (c columns) Column(ref *ast.ColumnRef) (plan.Expr, error) {
	for i := range c {
		if c[i].Name == ref.Name {
			return &c[i], nil
		}
	}
	return nil, diagnostic.At(ref.Pos, "column '%s' cannot be resolved.", ref.Name)
}

func evaluate(text string, scope columns, row []types.Value) string {
	e, err := parser.ParseExpr(text)
	if err != nil {
		return "parse error: " + err.Error()
	}
	a := &expression.Analyzer{Functions: function.Builtin()}
	x, err := a.Typed(e, scope)
	if err != nil {
		return "refused: " + err.Error()
	}
	f, err := exec.CompileExpr(x, function.Builtin())
	if err != nil {
		return "not compiled: " + err.Error()
	}
	v, err := f(&exec.Row{Value: row})
	if err != nil {
		return "error: " + err.Error()
	}
	return fmt.Sprintf("%s %s", x.ResultType(), shown(v, x.ResultType()))
}

func shown(v types.Value, t types.Type) string {
	s := types.Text(v, t)
	if v.Kind() == types.String {
		return fmt.Sprintf("%q", s)
	}
	return s
}

// TestFunctions evaluates the expressions in testdata: a line each, by the
// parser, the analyser and the compiler, as a query would.
func TestFunctions(t *testing.T) {
	files, err := filepath.Glob("testdata/scalar/*")
	require.NoError(t, err)
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			datadriven.RunTest(t, file, func(t *testing.T, d *datadriven.TestData) string {
				var out []string
				for _, line := range strings.Split(d.Input, "\n") {
					out = append(out, strings.Split(evaluate(line, nil, nil), "\n")[0])
				}
				return strings.Join(out, "\n") + "\n"
			})
		})
	}
}

// TestAggregates folds rows: the call says the function and its literals, the
// types those of its columns; a line adds a row of expressions, takes one back
// (undo), or merges a second state (merge), which the rows behind "other" make.
func TestAggregates(t *testing.T) {
	datadriven.RunTest(t, "testdata/aggregates", func(t *testing.T, d *datadriven.TestData) string {
		var scope columns
		for i, a := range d.CmdArgs {
			typ, err := parser.ParseType(strings.Join(a.Vals, ","))
			require.NoError(t, err)
			resolved, err := typ.Resolve(nil)
			require.NoError(t, err)
			scope = append(scope, plan.Column{Name: a.Key, Index: i, Type: resolved})
		}
		call, rows, _ := strings.Cut(d.Input, "\n")
		e, err := parser.ParseExpr(call)
		require.NoError(t, err)
		a := &expression.Analyzer{Functions: function.Builtin()}
		found, err := a.Aggregate(e.(*ast.Call), scope)
		if err != nil {
			return "refused: " + strings.Split(err.Error(), "\n")[0] + "\n"
		}
		argTypes := make([]types.Type, len(found.Args))
		for i, x := range found.Args {
			argTypes[i] = x.ResultType()
		}
		agg, err := function.Builtin().ResolveAggregate(found.Name, argTypes, found.Consts)
		require.NoError(t, err)
		require.Equal(t, found.Result, agg.Result())
		return foldRows(t, agg, found, scope, rows)
	})
}

func foldRows(t *testing.T, agg function.Aggregator, found *expression.Aggregation, scope columns, rows string) string {
	out := []string{fmt.Sprintf("%s, undo %v", agg.Result(), found.Undo)}
	state, other := agg.Init(), agg.Init()
	for _, line := range strings.Split(rows, "\n") {
		what, text, _ := strings.Cut(line, " ")
		var err error
		switch what {
		case "add":
			state, err = agg.Add(state, argsOf(t, found, scope, text))
		case "undo":
			state, err = agg.(function.Undoer).Undo(state, argsOf(t, found, scope, text))
		case "other":
			other, err = agg.Add(other, argsOf(t, found, scope, text))
		case "merge":
			state, err = agg.Merge(state, other)
		default:
			t.Fatalf("unknown line %q", line)
		}
		if err != nil {
			out = append(out, line+": error: "+err.Error())
			continue
		}
		if what == "other" {
			continue
		}
		// What a state store keeps must read back as what was written.
		kept, rest, err := types.DecodeBinary(types.AppendBinary(nil, state))
		require.NoError(t, err)
		require.Empty(t, rest)
		v, err := agg.Final(kept)
		require.NoError(t, err)
		out = append(out, line+": "+shown(v, agg.Result()))
	}
	return strings.Join(out, "\n") + "\n"
}

// argsOf evaluates a row's expressions as its columns, and the call's arguments
// on them.
func argsOf(t *testing.T, found *expression.Aggregation, scope columns, text string) []types.Value {
	row := make([]types.Value, len(scope))
	a := &expression.Analyzer{Functions: function.Builtin()}
	for i, part := range strings.Split(text, "; ") {
		if text == "" {
			break
		}
		e, err := parser.ParseExpr(part)
		require.NoError(t, err)
		x, err := a.Typed(e, columns(nil))
		require.NoError(t, err)
		x, ok := expression.Coerce(x, scope[i].Type)
		require.True(t, ok, "%s is no %s", part, scope[i].Type)
		row[i], err = exec.EvalConst(x, function.Builtin())
		require.NoError(t, err)
	}
	args := make([]types.Value, len(found.Args))
	for i, x := range found.Args {
		f, err := exec.CompileExpr(x, function.Builtin())
		require.NoError(t, err)
		args[i], err = f(&exec.Row{Value: row})
		require.NoError(t, err)
	}
	return args
}
