package expression

import (
	"fmt"

	"github.com/sidestream/sidestream/sidecar/engine/ast"
	"github.com/sidestream/sidestream/sidecar/engine/diagnostic"
	"github.com/sidestream/sidestream/sidecar/engine/exec"
	"github.com/sidestream/sidestream/sidecar/engine/plan"
	"github.com/sidestream/sidestream/sidecar/engine/types"
)

// MismatchError says that a constant can't be a value of a type without loss.
type MismatchError struct {
	Pos  ast.Pos
	Want types.Type
	// Got is the constant with its kind: STRING(x).
	Got string
}

// Error is the message without the column's name.
func (e *MismatchError) Error() string {
	return fmt.Sprintf("Expected type %s but got %s", e.Want, e.Got)
}

// For is the message for a column of that name, in ksqlDB's words.
func (e *MismatchError) For(column string) string {
	return fmt.Sprintf("Expected type %s for field `%s` but got %s", e.Want, column, e.Got)
}

// noColumns is the scope of constants.
type noColumns struct{}

func (noColumns) Column(ref *ast.ColumnRef) (plan.Expr, error) {
	return nil, diagnostic.At(ref.Pos, "Only literals and expressions of literals are allowed here, but %s is a column.", ref.Name)
}

// Constant is the value of an expression without columns as a value of type to:
// of INSERT INTO … VALUES and of keys to look up. A value that to can't hold
// exactly is a *MismatchError; other errors are *diagnostic.Error.
func (a *Analyzer) Constant(e ast.Expr, to types.Type) (types.Value, error) {
	x, err := a.typed(e, noColumns{}, "expression")
	if err != nil {
		return types.Value{}, err
	}
	v, err := exec.EvalConst(x, a.Functions)
	if err != nil {
		return types.Value{}, diagnostic.At(e.Position(), "Failed to evaluate %s: %v", Text(e, noColumns{}), err)
	}
	from := x.ResultType()
	out, ok := exactly(v, from, to)
	if !ok {
		return types.Value{}, &MismatchError{Pos: e.Position(), Want: to, Got: v.Kind().String() + "(" + types.Text(v, from) + ")"}
	}
	return out, nil
}

// exactly converts a value to a type that holds it as it is.
func exactly(v types.Value, from, to types.Type) (types.Value, bool) {
	if v.IsNull() {
		return v, true
	}
	switch {
	case from.IsNumeric() && to.IsNumeric():
		if from.Kind > to.Kind {
			return v, false
		}
		if to.Kind == types.Decimal {
			out, err := types.Fit(types.AsDecimal(v), to)
			return out, err == nil
		}
		out, err := types.Cast(v, from, to)
		return out, err == nil
	case from.Kind == types.String && (isTime(to.Kind)):
		out, err := types.Cast(v, from, to)
		return out, err == nil
	case from.Kind == types.Date && to.Kind == types.Timestamp:
		out, err := types.Cast(v, from, to)
		return out, err == nil
	case from.Kind != to.Kind:
		return v, false
	}
	switch to.Kind {
	case types.Array:
		items := make([]types.Value, len(v.Items()))
		for i, x := range v.Items() {
			var ok bool
			if items[i], ok = exactly(x, *from.Elem, *to.Elem); !ok {
				return v, false
			}
		}
		return types.NewArray(items), true
	case types.Map:
		entries := make([]types.Entry, len(v.Entries()))
		for i, e := range v.Entries() {
			k, ok1 := exactly(e.Key, *from.Key, *to.Key)
			x, ok2 := exactly(e.Value, *from.Elem, *to.Elem)
			if !ok1 || !ok2 {
				return v, false
			}
			entries[i] = types.Entry{Key: k, Value: x}
		}
		return types.NewMap(entries), true
	case types.Struct:
		return exactStruct(v, from, to)
	}
	return v, true
}

func exactStruct(v types.Value, from, to types.Type) (types.Value, bool) {
	out := make([]types.Value, len(to.Fields))
	used := 0
	for i, f := range to.Fields {
		for j, g := range from.Fields {
			if f.Name != g.Name {
				continue
			}
			var ok bool
			if out[i], ok = exactly(v.Items()[j], g.Type, f.Type); !ok {
				return v, false
			}
			used++
		}
	}
	return types.NewStruct(out), used == len(from.Fields)
}
