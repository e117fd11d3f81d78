package plan

import (
	"fmt"
	"strings"

	"github.com/sidestream/sidestream/sidecar/engine/types"
)

// Text is an expression as SQL, for logs and dumps.
func Text(e Expr) string {
	switch e := e.(type) {
	case *Column:
		return e.Name
	case *Pseudo:
		return e.Kind.String()
	case *Literal:
		if e.Value.Kind() == types.String {
			return "'" + strings.ReplaceAll(e.Value.Str(), "'", "''") + "'"
		}
		return types.Text(e.Value, e.Type)
	case *Call:
		return e.Name + "(" + texts(e.Args) + ")"
	case *Lambda:
		return "(" + strings.Join(e.Params, ", ") + ") => " + Text(e.Body)
	case *LambdaVar:
		return e.Name
	case *Arith:
		return infix(e.L, e.Op.String(), e.R)
	case *Negate:
		return "-" + Text(e.X)
	case *Compare:
		return infix(e.L, e.Op.String(), e.R)
	case *And:
		return infix(e.L, "AND", e.R)
	case *Or:
		return infix(e.L, "OR", e.R)
	case *Not:
		return "(NOT " + Text(e.X) + ")"
	case *IsNull:
		if e.Negated {
			return "(" + Text(e.X) + " IS NOT NULL)"
		}
		return "(" + Text(e.X) + " IS NULL)"
	case *In:
		return "(" + Text(e.X) + " IN (" + texts(e.List) + "))"
	case *Between:
		return "(" + Text(e.X) + " BETWEEN " + Text(e.Low) + " AND " + Text(e.High) + ")"
	case *Like:
		if e.Escape != 0 {
			return "(" + Text(e.X) + " LIKE " + Text(e.Pattern) + " ESCAPE '" + string(e.Escape) + "')"
		}
		return infix(e.X, "LIKE", e.Pattern)
	case *Case:
		var b strings.Builder
		b.WriteString("(CASE")
		for _, w := range e.Whens {
			b.WriteString(" WHEN " + Text(w.Cond) + " THEN " + Text(w.Result))
		}
		if e.Else != nil {
			b.WriteString(" ELSE " + Text(e.Else))
		}
		return b.String() + " END)"
	case *Cast:
		return "CAST(" + Text(e.X) + " AS " + e.Type.String() + ")"
	case *FieldOf:
		return Text(e.X) + "->" + e.Name
	case *Subscript:
		return Text(e.X) + "[" + Text(e.Index) + "]"
	case *MakeArray:
		return "ARRAY[" + texts(e.Items) + "]"
	case *MakeMap:
		parts := make([]string, len(e.Keys))
		for i := range e.Keys {
			parts[i] = Text(e.Keys[i]) + ":=" + Text(e.Values[i])
		}
		return "MAP(" + strings.Join(parts, ", ") + ")"
	case *MakeStruct:
		parts := make([]string, len(e.Values))
		for i, v := range e.Values {
			parts[i] = e.Type.Fields[i].Name + ":=" + Text(v)
		}
		return "STRUCT(" + strings.Join(parts, ", ") + ")"
	}
	return fmt.Sprintf("%T", e)
}

func infix(l Expr, op string, r Expr) string { return "(" + Text(l) + " " + op + " " + Text(r) + ")" }

func texts(list []Expr) string {
	parts := make([]string, len(list))
	for i, e := range list {
		parts[i] = Text(e)
	}
	return strings.Join(parts, ", ")
}

// String is the operator's sign.
func (op ArithOp) String() string { return [...]string{"+", "-", "*", "/", "%"}[op] }

// String is the operator as it is written.
func (op CompareOp) String() string {
	return [...]string{"=", "<>", "<", "<=", ">", ">=", "IS DISTINCT FROM", "IS NOT DISTINCT FROM"}[op]
}

// String is the column's name.
func (k PseudoKind) String() string {
	return [...]string{"ROWTIME", "ROWPARTITION", "ROWOFFSET", "WINDOWSTART", "WINDOWEND"}[k]
}
