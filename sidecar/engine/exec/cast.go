package exec

import (
	"github.com/sidestream/sidestream/sidecar/engine/plan"
	"github.com/sidestream/sidestream/sidecar/engine/types"
)

// cast compiles CAST(X AS Type). A cast that fails, or whose operand does, is
// NULL, and nothing is logged.
func (c *compiler) cast(e *plan.Cast) (Expr, error) {
	x, err := c.expr(e.X)
	if err != nil {
		return nil, err
	}
	conv, err := types.NewCaster(e.X.ResultType(), e.Type)
	if err != nil {
		return nil, err
	}
	return func(r *Row) (types.Value, error) {
		v, err := x(r)
		if err != nil || v.IsNull() {
			return types.Value{}, nil
		}
		if v, err = conv(v); err != nil {
			return types.Value{}, nil
		}
		return v, nil
	}, nil
}

// as compiles e for a place of a type: numbers are widened where analysis left
// that to whoever takes them (a function's parameter, an array's element).
func (c *compiler) as(e plan.Expr, want types.Type) (Expr, error) {
	f, err := c.expr(e)
	if err != nil {
		return nil, err
	}
	from := e.ResultType()
	if !from.IsNumeric() || !want.IsNumeric() || from.Equal(want) {
		return f, nil
	}
	if want.Kind == types.Decimal && want.Precision == 0 { // any DECIMAL
		if want = types.AsDecimalType(from); from.Equal(want) {
			return f, nil
		}
	}
	conv, err := types.NewCaster(from, want)
	if err != nil {
		return nil, err
	}
	return func(r *Row) (types.Value, error) {
		v, err := f(r)
		if err != nil || v.IsNull() {
			return v, err
		}
		return conv(v)
	}, nil
}
