package exec

import (
	"fmt"
	"strings"

	"github.com/sidestream/sidestream/sidecar/engine/plan"
	"github.com/sidestream/sidestream/sidecar/engine/types"
)

// exprText is an expression as the processing log shows it.
func exprText(e plan.Expr) string {
	switch e := e.(type) {
	case *plan.Column:
		return e.Name
	case *plan.Pseudo:
		return [...]string{"ROWTIME", "ROWPARTITION", "ROWOFFSET", "WINDOWSTART", "WINDOWEND"}[e.Kind]
	case *plan.Literal:
		if e.Value.Kind() == types.String {
			return "'" + strings.ReplaceAll(e.Value.Str(), "'", "''") + "'"
		}
		return types.Text(e.Value, e.Type)
	case *plan.Call:
		return e.Name + "(" + listText(e.Args) + ")"
	case *plan.Lambda:
		return "(" + strings.Join(e.Params, ", ") + ") => " + exprText(e.Body)
	case *plan.LambdaVar:
		return e.Name
	case *plan.Arith:
		return binaryText(e.L, [...]string{"+", "-", "*", "/", "%"}[e.Op], e.R)
	case *plan.Negate:
		return "-" + exprText(e.X)
	case *plan.Compare:
		ops := [...]string{"=", "<>", "<", "<=", ">", ">=", "IS DISTINCT FROM", "IS NOT DISTINCT FROM"}
		return binaryText(e.L, ops[e.Op], e.R)
	case *plan.And:
		return binaryText(e.L, "AND", e.R)
	case *plan.Or:
		return binaryText(e.L, "OR", e.R)
	case *plan.Not:
		return "(NOT " + exprText(e.X) + ")"
	case *plan.IsNull:
		if e.Negated {
			return "(" + exprText(e.X) + " IS NOT NULL)"
		}
		return "(" + exprText(e.X) + " IS NULL)"
	case *plan.In:
		return "(" + exprText(e.X) + " IN (" + listText(e.List) + "))"
	case *plan.Between:
		return "(" + exprText(e.X) + " BETWEEN " + exprText(e.Low) + " AND " + exprText(e.High) + ")"
	case *plan.Like:
		return binaryText(e.X, "LIKE", e.Pattern)
	case *plan.Case:
		var b strings.Builder
		b.WriteString("(CASE")
		for _, w := range e.Whens {
			b.WriteString(" WHEN " + exprText(w.Cond) + " THEN " + exprText(w.Result))
		}
		if e.Else != nil {
			b.WriteString(" ELSE " + exprText(e.Else))
		}
		return b.String() + " END)"
	case *plan.Cast:
		return "CAST(" + exprText(e.X) + " AS " + e.Type.String() + ")"
	case *plan.FieldOf:
		return exprText(e.X) + "->" + e.Name
	case *plan.Subscript:
		return exprText(e.X) + "[" + exprText(e.Index) + "]"
	case *plan.MakeArray:
		return "ARRAY[" + listText(e.Items) + "]"
	case *plan.MakeMap:
		parts := make([]string, len(e.Keys))
		for i := range e.Keys {
			parts[i] = exprText(e.Keys[i]) + ":=" + exprText(e.Values[i])
		}
		return "MAP(" + strings.Join(parts, ", ") + ")"
	case *plan.MakeStruct:
		parts := make([]string, len(e.Values))
		for i, v := range e.Values {
			parts[i] = e.Type.Fields[i].Name + ":=" + exprText(v)
		}
		return "STRUCT(" + strings.Join(parts, ", ") + ")"
	}
	return fmt.Sprintf("%T", e)
}

func binaryText(l plan.Expr, op string, r plan.Expr) string {
	return "(" + exprText(l) + " " + op + " " + exprText(r) + ")"
}

func listText(list []plan.Expr) string {
	parts := make([]string, len(list))
	for i, e := range list {
		parts[i] = exprText(e)
	}
	return strings.Join(parts, ", ")
}
