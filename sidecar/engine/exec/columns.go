package exec

import (
	"fmt"

	"github.com/sidestream/sidestream/sidecar/engine/plan"
	"github.com/sidestream/sidestream/sidecar/engine/types"
)

// columns computes a list of expressions on a row. One that fails is NULL, and
// the processing log hears of it.
type columns struct {
	exprs []Expr
	plans []plan.Expr
	names []string
	step  string
	log   func(Problem)
}

func (b *builder) columns(step string, list []plan.Expr, names func(i int) string) (*columns, error) {
	c := &columns{plans: list, step: step, log: b.env.Log, exprs: make([]Expr, len(list)), names: make([]string, len(list))}
	for i, e := range list {
		var err error
		if c.exprs[i], err = CompileExpr(e, b.env.Functions); err != nil {
			return nil, fmt.Errorf("%s: %w", step, err)
		}
		c.names[i] = names(i)
	}
	return c, nil
}

// eval fills dst, one place an expression, and tells whether one failed.
func (c *columns) eval(r *Row, dst []types.Value) (failed bool) {
	for i, f := range c.exprs {
		v, err := f(r)
		if err != nil {
			v, failed = types.Value{}, true
			c.fail(r, i, err)
		}
		dst[i] = v
	}
	return failed
}

func (c *columns) fail(r *Row, i int, err error) {
	c.log(Problem{
		Type:    recordProcessing,
		Logger:  c.step,
		Message: fmt.Sprintf("Error computing expression %s for column %s with index %d: %s", exprText(c.plans[i]), c.names[i], i, err),
		Cause:   []string{err.Error()},
		Row:     r,
	})
}

// Problem types, in ksqlDB's words.
const (
	deserialization  = "deserializationError"
	serialization    = "serializationError"
	recordProcessing = "recordProcessingError"
)
