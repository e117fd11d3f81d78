package expression

import (
	"fmt"
	"strings"

	"github.com/sidestream/sidestream/sidecar/engine/plan"
	"github.com/sidestream/sidestream/sidecar/engine/types"
)

// Coerce makes e an expression of type to by what SQL converts without being
// asked: narrower numbers, NULL, and literals in quotes where a time, a number
// or a boolean is wanted; inside constructors too. ok is false where only an
// explicit CAST would do.
func Coerce(e plan.Expr, to types.Type) (plan.Expr, bool) {
	out, err := coerce(e, to)
	return out, err == nil
}

func castTo(e plan.Expr, to types.Type) plan.Expr {
	from := e.ResultType()
	if from.Equal(to) {
		return e
	}
	if lit, ok := e.(*plan.Literal); ok {
		if v, err := types.Cast(lit.Value, from, to); err == nil {
			return &plan.Literal{Value: v, Type: to}
		}
	}
	return &plan.Cast{X: e, Type: to}
}

// mismatch is ksqlDB's refusal of an expression where another type stands.
func mismatch(to types.Type, e plan.Expr) error {
	return fmt.Errorf("operator does not exist: %s = %s (%s)\nHint: You might need to add explicit type casts.",
		to, typeName(e.ResultType()), plan.Text(e))
}

func badText(to types.Type, text string) error {
	return fmt.Errorf("invalid input syntax for type %s: %q.", to.Kind, text)
}

func coerce(e plan.Expr, to types.Type) (plan.Expr, error) {
	from := e.ResultType()
	switch {
	case from.Equal(to):
		return e, nil
	case from.Kind == types.Null:
		return &plan.Literal{Type: to}, nil
	}
	switch x := e.(type) {
	case *plan.Literal:
		return coerceLiteral(x, to)
	case *plan.MakeArray:
		if to.Kind == types.Array {
			items, err := coerceAll(x.Items, *to.Elem)
			return &plan.MakeArray{Items: items, Type: to}, err
		}
	case *plan.MakeMap:
		if to.Kind == types.Map {
			keys, err := coerceAll(x.Keys, *to.Key)
			if err != nil {
				return nil, err
			}
			values, err := coerceAll(x.Values, *to.Elem)
			return &plan.MakeMap{Keys: keys, Values: values, Type: to}, err
		}
	case *plan.MakeStruct:
		if to.Kind == types.Struct {
			return coerceStruct(x, to)
		}
	}
	if !widens(from, to) {
		return nil, mismatch(to, e)
	}
	return castTo(e, to), nil
}

func coerceAll(list []plan.Expr, to types.Type) ([]plan.Expr, error) {
	out := make([]plan.Expr, len(list))
	for i, e := range list {
		var err error
		if out[i], err = coerce(e, to); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func coerceStruct(x *plan.MakeStruct, to types.Type) (plan.Expr, error) {
	values := make([]plan.Expr, len(to.Fields))
	for i, f := range to.Fields {
		values[i] = &plan.Literal{Type: f.Type}
		for j, g := range x.Type.Fields {
			if g.Name == f.Name {
				v, err := coerce(x.Values[j], f.Type)
				if err != nil {
					return nil, err
				}
				values[i] = v
			}
		}
	}
	return &plan.MakeStruct{Values: values, Type: to}, nil
}

// coerceLiteral converts a literal: text to what it spells, and anything to
// text.
func coerceLiteral(x *plan.Literal, to types.Type) (plan.Expr, error) {
	from := x.Type
	if x.Value.IsNull() && (from.Kind == types.String || to.Kind == types.String || widens(from, to)) {
		return &plan.Literal{Type: to}, nil
	}
	if from.Kind == types.String && to.Kind != types.String {
		text := strings.TrimSpace(x.Value.Str())
		switch to.Kind {
		case types.Boolean:
			b, ok := spelledBool(text)
			if !ok {
				return nil, badText(to, x.Value.Str())
			}
			return &plan.Literal{Value: types.NewBool(b), Type: to}, nil
		case types.Integer, types.Bigint, types.Decimal, types.Double:
			lit, ok := spelledNumber(text)
			if !ok {
				return nil, badText(to, x.Value.Str())
			}
			x, from = lit, lit.Type
		case types.Date, types.Time, types.Timestamp:
		default:
			return nil, mismatch(to, x)
		}
	} else if to.Kind == types.String {
		if from.Kind == types.Boolean || from.IsNumeric() {
			return &plan.Literal{Value: types.NewString(types.Text(x.Value, from)), Type: to}, nil
		}
		return nil, mismatch(to, x)
	} else if !widens(from, to) {
		return nil, mismatch(to, x)
	}
	v, err := types.Cast(x.Value, from, to)
	if err != nil {
		return nil, badText(to, types.Text(x.Value, from))
	}
	return &plan.Literal{Value: v, Type: to}, nil
}

// spelledBool reads true, yes, t, y, false, no, f and n in any case.
func spelledBool(s string) (value, ok bool) {
	s = strings.ToLower(s)
	switch {
	case s == "":
		return false, false
	case strings.HasPrefix("true", s), strings.HasPrefix("yes", s):
		return true, true
	case strings.HasPrefix("false", s), strings.HasPrefix("no", s):
		return false, true
	}
	return false, false
}

// spelledNumber reads a number in quotes: plain whole ones are INTEGER or
// BIGINT, others DECIMAL, also 2e1.
func spelledNumber(s string) (*plan.Literal, bool) {
	v, err := types.ParseDecimal(s)
	if err != nil {
		return nil, false
	}
	if !strings.ContainsAny(s, ".eE") {
		if i, err := types.Cast(v, decimalType(v), types.TInteger); err == nil && types.Equal(i, v) {
			return &plan.Literal{Value: i, Type: types.TInteger}, true
		}
		if i, err := types.Cast(v, decimalType(v), types.TBigint); err == nil && types.Equal(i, v) {
			return &plan.Literal{Value: i, Type: types.TBigint}, true
		}
	}
	return &plan.Literal{Value: v, Type: decimalType(v)}, true
}

// widens tells whether every value of a type is one of another.
func widens(from, to types.Type) bool {
	switch {
	case from.Kind == types.Null || from.Equal(to):
		return true
	case from.IsNumeric() && to.IsNumeric():
		if from.Kind == types.Decimal && to.Kind == types.Decimal {
			return from.Scale <= to.Scale && from.Precision-from.Scale <= to.Precision-to.Scale
		}
		return from.Kind < to.Kind
	case from.Kind != to.Kind:
		return false
	case from.Kind == types.Array:
		return widens(*from.Elem, *to.Elem)
	case from.Kind == types.Map:
		return widens(*from.Key, *to.Key) && widens(*from.Elem, *to.Elem)
	case from.Kind == types.Struct:
		for _, f := range from.Fields {
			found := false
			for _, g := range to.Fields {
				found = found || f.Name == g.Name && widens(f.Type, g.Type)
			}
			if !found {
				return false
			}
		}
		return true
	}
	return false
}

// unify brings a list of expressions to one type, as ksqlDB does for IN and for
// the elements of arrays and maps: the first type leads, numbers widen it,
// literals follow it. The type is NULL's where all are NULL.
func unify(list []plan.Expr) ([]plan.Expr, types.Type, error) {
	common := types.TNull
	for _, e := range list {
		var err error
		if common, err = join(common, e); err != nil {
			return nil, common, err
		}
	}
	if common.Kind == types.Null {
		return list, common, nil
	}
	out, err := coerceAll(list, common)
	return out, common, err
}

// join is the type that holds both the values of t and e.
func join(t types.Type, e plan.Expr) (types.Type, error) {
	from := e.ResultType()
	switch {
	case from.Kind == types.Null:
		return t, nil
	case t.Kind == types.Null:
		return from, nil
	}
	lit, isLiteral := e.(*plan.Literal)
	switch {
	case isLiteral && from.Kind == types.String && t.IsNumeric():
		if lit.Value.IsNull() {
			return t, nil
		}
		number, ok := spelledNumber(strings.TrimSpace(lit.Value.Str()))
		if !ok {
			return t, badText(t, lit.Value.Str())
		}
		return widest(t, number.Type), nil
	case isLiteral && from.Kind == types.String && (isTime(t.Kind) || t.Kind == types.Boolean),
		isLiteral && t.Kind == types.String && (from.Kind == types.Boolean || from.IsNumeric()):
		return t, nil
	}
	out, ok := joinTypes(t, e, from)
	if !ok {
		return t, mismatch(t, e)
	}
	return out, nil
}

// joinTypes joins t with the type of e, looking into constructors, whose
// literals adapt.
func joinTypes(t types.Type, e plan.Expr, from types.Type) (types.Type, bool) {
	switch {
	case t.Equal(from):
		return t, true
	case t.IsNumeric() && from.IsNumeric():
		return widest(t, from), true
	case t.Kind != from.Kind:
		return t, false
	}
	element := func(t types.Type, exprs []plan.Expr, from types.Type) (types.Type, bool) {
		if exprs == nil {
			return joinTypes(t, nil, from)
		}
		for _, x := range exprs {
			joined, err := join(t, x)
			if err != nil {
				if _, literal := x.(*plan.Literal); literal && x.ResultType().Kind == types.String {
					continue // coerce says what is wrong with it
				}
				return t, false
			}
			t = joined
		}
		return t, true
	}
	switch t.Kind {
	case types.Array:
		var items []plan.Expr
		if m, ok := e.(*plan.MakeArray); ok {
			items = m.Items
		}
		elem, ok := element(*t.Elem, items, *from.Elem)
		return types.TArray(elem), ok
	case types.Map:
		var keys, values []plan.Expr
		if m, ok := e.(*plan.MakeMap); ok {
			keys, values = m.Keys, m.Values
		}
		key, ok1 := element(*t.Key, keys, *from.Key)
		elem, ok2 := element(*t.Elem, values, *from.Elem)
		return types.TMap(key, elem), ok1 && ok2
	case types.Struct:
		out := append([]types.Field(nil), t.Fields...)
	fields:
		for i, f := range from.Fields {
			for j := range out {
				if out[j].Name != f.Name {
					continue
				}
				var values []plan.Expr
				if m, ok := e.(*plan.MakeStruct); ok {
					values = m.Values[i : i+1]
				}
				joined, ok := element(out[j].Type, values, f.Type)
				if !ok {
					return t, false
				}
				out[j].Type = joined
				continue fields
			}
			out = append(out, f)
		}
		return types.TStruct(out...), true
	}
	return t, false
}

// widest is the number type that holds both.
func widest(a, b types.Type) types.Type {
	switch {
	case a.Kind == types.Double || b.Kind == types.Double:
		return types.TDouble
	case a.Kind != types.Decimal && b.Kind != types.Decimal:
		return types.Type{Kind: max(a.Kind, b.Kind)}
	}
	x, y := types.AsDecimalType(a), types.AsDecimalType(b)
	scale := max(x.Scale, y.Scale)
	return types.TDecimal(max(x.Precision-x.Scale, y.Precision-y.Scale)+scale, scale)
}
