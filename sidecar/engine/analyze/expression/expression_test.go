package expression_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
	"github.com/stretchr/testify/require"

	"github.com/sidestream/sidestream/sidecar/engine/analyze/expression"
	"github.com/sidestream/sidestream/sidecar/engine/ast"
	"github.com/sidestream/sidestream/sidecar/engine/diagnostic"
	"github.com/sidestream/sidestream/sidecar/engine/function"
	"github.com/sidestream/sidestream/sidecar/engine/parser"
	"github.com/sidestream/sidestream/sidecar/engine/plan"
	"github.com/sidestream/sidestream/sidecar/engine/types"
)

// scope has the columns that "columns" declared, and ROWTIME.
type scope []plan.Column

func (s scope) Column(ref *ast.ColumnRef) (plan.Expr, error) {
	if ref.Name == "ROWTIME" {
		return &plan.Pseudo{Kind: plan.RowTime}, nil
	}
	for i := range s {
		if s[i].Name == ref.Name {
			return &s[i], nil
		}
	}
	return nil, diagnostic.At(ref.Pos, "Line: %d, Col: %d: SELECT column '%s' cannot be resolved.", ref.Line, ref.Col, ref.Name)
}

// TestAnalyze shows what becomes of expressions: their type and form with the
// implicit casts, or the refusal with its column.
//
//	columns   a schema; the commands below see its columns
//	expr      an expression a line
//	where     a condition a line
//	constant to=TYPE
func TestAnalyze(t *testing.T) {
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		var s scope
		a := &expression.Analyzer{Functions: function.Builtin(), CustomType: func(name string) (types.Type, bool) {
			return types.TString, name == "NAME"
		}}
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			if d.Cmd == "columns" {
				elements, err := parser.ParseSchema(d.Input)
				require.NoError(t, err)
				s = nil
				for i, e := range elements {
					typ, err := e.Type.Resolve(nil)
					require.NoError(t, err)
					s = append(s, plan.Column{Name: e.Name, Index: i, Type: typ})
				}
				return ""
			}
			var out strings.Builder
			for _, line := range strings.Split(d.Input, "\n") {
				e, err := parser.ParseExpr(line)
				require.NoError(t, err)
				switch d.Cmd {
				case "expr":
					x, err := a.Expr(e, s)
					out.WriteString(result(x, err))
				case "where":
					x, err := a.Predicate(e, s, "WHERE")
					out.WriteString(result(x, err))
				case "constant":
					var to string
					d.ScanArgs(t, "to", &to)
					typ, err := parser.ParseType(to)
					require.NoError(t, err)
					want, err := typ.Resolve(nil)
					require.NoError(t, err)
					v, err := a.Constant(e, want)
					if err == nil {
						fmt.Fprintf(&out, "%s\n", types.Text(v, want))
						continue
					}
					var m *expression.MismatchError
					if errors.As(err, &m) {
						err = errors.New(m.For("F"))
					}
					out.WriteString(result(nil, err))
				default:
					t.Fatalf("unknown command %s", d.Cmd)
				}
			}
			return out.String()
		})
	})
}

func result(x plan.Expr, err error) string {
	if err == nil {
		return fmt.Sprintf("%s: %s\n", x.ResultType(), plan.Text(x))
	}
	message := strings.ReplaceAll(err.Error(), "\n", "\\n")
	if i := strings.Index(message, "\\nValid alternatives"); i > 0 {
		message = message[:i]
	}
	var d *diagnostic.Error
	if errors.As(err, &d) {
		if d.Hint != "" {
			message += " [" + d.Hint + "]"
		}
		return fmt.Sprintf("%d: %s\n", d.Pos.Col, message)
	}
	return message + "\n"
}
