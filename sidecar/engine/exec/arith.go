package exec

import (
	"errors"
	"fmt"

	"github.com/sidestream/sidestream/sidecar/engine/plan"
	"github.com/sidestream/sidestream/sidecar/engine/types"
)

var errNullInLambda = errors.New("arithmetic on NULL in a lambda")

// arith compiles L op R. NULL makes NULL, but for the concatenation of strings,
// which writes it as "null".
func (c *compiler) arith(e *plan.Arith) (Expr, error) {
	if e.Type.Kind == types.String {
		return c.concat(e)
	}
	if !e.Type.IsNumeric() {
		return nil, fmt.Errorf("exec: no arithmetic yields %s", e.Type)
	}
	l, err := c.expr(e.L)
	if err != nil {
		return nil, err
	}
	r, err := c.expr(e.R)
	if err != nil {
		return nil, err
	}
	op, result := types.Op(e.Op), e.Type // the operators have the same order
	var null error
	if c.lambdas > 0 {
		null = errNullInLambda
	}
	return func(row *Row) (types.Value, error) {
		a, err := l(row)
		if err != nil {
			return types.Value{}, err
		}
		b, err := r(row)
		if err != nil {
			return types.Value{}, err
		}
		if a.IsNull() || b.IsNull() {
			return types.Value{}, null
		}
		v, err := types.Arith(op, a, b, result)
		if err != nil {
			return types.Value{}, err
		}
		return v, nil
	}, nil
}

func (c *compiler) concat(e *plan.Arith) (Expr, error) {
	l, err := c.expr(e.L)
	if err != nil {
		return nil, err
	}
	r, err := c.expr(e.R)
	if err != nil {
		return nil, err
	}
	lt, rt := e.L.ResultType(), e.R.ResultType()
	return func(row *Row) (types.Value, error) {
		a, err := l(row)
		if err != nil {
			return types.Value{}, err
		}
		b, err := r(row)
		if err != nil {
			return types.Value{}, err
		}
		x, y := types.Text(a, lt), types.Text(b, rt)
		return types.NewString(x + y), nil
	}, nil
}

func (c *compiler) negate(e *plan.Negate) (Expr, error) {
	x, err := c.expr(e.X)
	if err != nil {
		return nil, err
	}
	return func(r *Row) (types.Value, error) {
		v, err := x(r)
		if err != nil || v.IsNull() {
			return types.Value{}, err
		}
		return types.Negate(v), nil
	}, nil
}
