package expression

import (
	"strconv"
	"strings"

	"github.com/sidestream/sidestream/sidecar/engine/ast"
	"github.com/sidestream/sidestream/sidecar/engine/plan"
	"github.com/sidestream/sidestream/sidecar/engine/types"
)

// Text is an expression as messages show it: every operation in parentheses,
// columns by the names they have in s (a joined column is ALIAS_NAME). s may be
// nil, which leaves names as they are written.
func Text(e ast.Expr, s Scope) string {
	sub := func(x ast.Expr) string { return Text(x, s) }
	infix := func(l ast.Expr, op string, r ast.Expr) string { return "(" + sub(l) + " " + op + " " + sub(r) + ")" }
	list := func(l []ast.Expr) string {
		parts := make([]string, len(l))
		for i, x := range l {
			parts[i] = sub(x)
		}
		return strings.Join(parts, ", ")
	}
	switch n := e.(type) {
	case *ast.NullLit:
		return "null"
	case *ast.BoolLit:
		return strconv.FormatBool(n.Value)
	case *ast.IntLit:
		return strconv.FormatInt(n.Value, 10)
	case *ast.DecimalLit:
		return n.Text
	case *ast.DoubleLit:
		return types.FormatDouble(n.Value)
	case *ast.StringLit:
		return "'" + strings.ReplaceAll(n.Value, "'", "''") + "'"
	case *ast.UnitLit:
		return string(n.Unit)
	case *ast.ColumnRef:
		return columnText(n, s)
	case *ast.LambdaVar:
		return n.Name
	case *ast.Arith:
		return infix(n.L, n.Op.String(), n.R)
	case *ast.Concat:
		return "concat(" + sub(n.L) + ", " + sub(n.R) + ")"
	case *ast.Unary:
		if n.Minus {
			return "-" + sub(n.X)
		}
		return "+" + sub(n.X)
	case *ast.Compare:
		return infix(n.L, n.Op.String(), n.R)
	case *ast.Logical:
		if n.Or {
			return infix(n.L, "OR", n.R)
		}
		return infix(n.L, "AND", n.R)
	case *ast.Not:
		return "(NOT " + sub(n.X) + ")"
	case *ast.IsNull:
		if n.Negated {
			return "(" + sub(n.X) + " IS NOT NULL)"
		}
		return "(" + sub(n.X) + " IS NULL)"
	case *ast.In:
		return "(" + sub(n.X) + " IN (" + list(n.List) + "))"
	case *ast.Between:
		return "(" + sub(n.X) + " BETWEEN " + sub(n.Low) + " AND " + sub(n.High) + ")"
	case *ast.Like:
		if n.Escape != 0 {
			return "(" + sub(n.X) + " LIKE " + sub(n.Pattern) + " ESCAPE '" + string(n.Escape) + "')"
		}
		return infix(n.X, "LIKE", n.Pattern)
	case *ast.Case:
		return caseText(n, sub)
	case *ast.Cast:
		return "CAST(" + sub(n.X) + " AS " + writtenType(n.Type) + ")"
	case *ast.Call:
		if n.Name == "COUNT" && len(n.Args) == 0 {
			return "COUNT(*)"
		}
		return n.Name + "(" + list(n.Args) + ")"
	case *ast.Lambda:
		return lambdaText(n, s)
	case *ast.FieldOf:
		return sub(n.X) + "->" + n.Name
	case *ast.AllFields:
		return sub(n.X) + "->*"
	case *ast.Subscript:
		return sub(n.X) + "[" + sub(n.Index) + "]"
	case *ast.MakeArray:
		return "ARRAY[" + list(n.Items) + "]"
	case *ast.MakeMap:
		parts := make([]string, len(n.Keys))
		for i := range n.Keys {
			parts[i] = sub(n.Keys[i]) + ":=" + sub(n.Values[i])
		}
		return "MAP(" + strings.Join(parts, ", ") + ")"
	case *ast.MakeStruct:
		parts := make([]string, len(n.Fields))
		for i, f := range n.Fields {
			parts[i] = f.Name + ":=" + sub(f.Value)
		}
		return "STRUCT(" + strings.Join(parts, ", ") + ")"
	}
	return ""
}

func columnText(n *ast.ColumnRef, s Scope) string {
	if s != nil {
		if x, err := s.Column(n); err == nil {
			switch x.(type) {
			case *plan.Column, *plan.Pseudo, *plan.LambdaVar:
				return plan.Text(x)
			}
		}
	}
	if n.Source != "" {
		return n.Source + "." + n.Name
	}
	return n.Name
}

func caseText(n *ast.Case, sub func(ast.Expr) string) string {
	var parts []string
	for _, w := range n.Whens {
		cond := sub(w.Cond)
		if n.Operand != nil {
			cond = "(" + sub(n.Operand) + " = " + cond + ")"
		}
		parts = append(parts, "WHEN "+cond+" THEN "+sub(w.Result))
	}
	if n.Else != nil {
		parts = append(parts, "ELSE "+sub(n.Else))
	}
	return "(CASE " + strings.Join(parts, " ") + " END)"
}

func lambdaText(n *ast.Lambda, s Scope) string {
	names := make([]string, len(n.Params))
	for i, p := range n.Params {
		names[i] = p.Name
	}
	if s != nil {
		s = lambdaScope{s, n.Params}
	}
	return "(" + strings.Join(names, ", ") + ") => " + Text(n.Body, s)
}

func writtenType(t *ast.Type) string {
	if t.Name != "" {
		return t.Name
	}
	out, err := t.Resolve(func(string) (types.Type, bool) { return types.TString, true })
	if err != nil {
		return t.Kind.String()
	}
	return out.String()
}
