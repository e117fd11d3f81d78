package exec

import (
	"fmt"

	"github.com/sidestream/sidestream/sidecar/engine/function"
	"github.com/sidestream/sidestream/sidecar/engine/plan"
	"github.com/sidestream/sidestream/sidecar/engine/types"
)

// flatMap runs table functions side by side: as many rows come out as the
// longest result has, the others are NULL behind their end. A row without value
// or without results yields nothing.
type flatMap struct {
	stage
	calls   []tableCall
	results [][]types.Value
	vals    []types.Value
	row     Row
}

type tableCall struct {
	eval func(args []types.Value) ([]types.Value, error)
	args *columns
	buf  []types.Value
	name string
}

func (b *builder) flatMap(n *plan.FlatMap) (*stage, error) {
	f := &flatMap{results: make([][]types.Value, len(n.Functions))}
	for _, c := range n.Functions {
		argTypes := make([]types.Type, len(c.Args))
		for i, a := range c.Args {
			argTypes[i] = a.ResultType()
		}
		overload, _, err := b.env.Functions.ResolveTable(c.Name, argTypes)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", n.Name, err)
		}
		args, err := b.columns(n.Name, widenArgs(c.Args, overload), func(i int) string { return c.Name })
		if err != nil {
			return nil, err
		}
		f.calls = append(f.calls, tableCall{eval: overload.Eval, args: args, buf: make([]types.Value, len(c.Args)), name: c.Name})
	}
	_, err := b.attach(n.Input, f)
	return &f.stage, err
}

// widenArgs adds the casts of whole numbers that a table function's signature
// implies.
func widenArgs(args []plan.Expr, o *function.TableOverload) []plan.Expr {
	out := append([]plan.Expr(nil), args...)
	for i, a := range args {
		p := o.Params[min(i, len(o.Params)-1)]
		from := a.ResultType()
		if p.Shape == nil && from.IsNumeric() && p.Type.IsNumeric() && from.Kind < p.Type.Kind && p.Type.Kind != types.Decimal {
			out[i] = &plan.Cast{X: a, Type: p.Type}
		}
	}
	return out
}

func (f *flatMap) process(r *Row) error {
	if r.Value == nil {
		return nil
	}
	rows := 0
	for i, c := range f.calls {
		f.results[i] = nil
		if c.args.eval(r, c.buf) {
			continue
		}
		out, err := c.eval(c.buf)
		if err != nil {
			c.args.log(Problem{
				Type: recordProcessing, Logger: c.args.step, Row: r, Cause: []string{err.Error()},
				Message: fmt.Sprintf("Table function %s threw an exception: %v", c.name, err),
			})
			continue
		}
		f.results[i] = out
		rows = max(rows, len(out))
	}
	for i := range rows {
		f.vals = append(f.vals[:0], r.Value...)
		for _, out := range f.results {
			var v types.Value
			if i < len(out) {
				v = out[i]
			}
			f.vals = append(f.vals, v)
		}
		f.row = *r
		f.row.Value = f.vals
		if err := f.forward(&f.row); err != nil {
			return err
		}
	}
	return nil
}
