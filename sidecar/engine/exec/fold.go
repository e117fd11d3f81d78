package exec

import (
	"fmt"

	"github.com/sidestream/sidestream/sidecar/engine/function"
	"github.com/sidestream/sidestream/sidecar/engine/plan"
	"github.com/sidestream/sidestream/sidecar/engine/types"
)

// fold computes the aggregate functions of a step. The state of a group is a
// list of values: the carried columns, then the state of each call.
type fold struct {
	carried *columns
	calls   []foldCall
	step    string
	log     func(Problem)
}

type foldCall struct {
	name string
	agg  function.Aggregator
	undo function.Undoer
	args *columns
	buf  []types.Value
}

func newFold(n *plan.Aggregate, functions function.Registry, log func(Problem)) (*fold, error) {
	b := &builder{env: Env{Functions: functions, Log: log}}
	carried, err := b.columns(n.Name, n.Carried, func(i int) string { return n.Schema.Value[i].Name })
	if err != nil {
		return nil, err
	}
	f := &fold{carried: carried, step: n.Name, log: log}
	for _, c := range n.Calls {
		argTypes := make([]types.Type, len(c.Args))
		for i, a := range c.Args {
			argTypes[i] = a.ResultType()
		}
		agg, err := functions.ResolveAggregate(c.Name, argTypes, c.Consts)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", n.Name, err)
		}
		args, err := b.columns(n.Name, c.Args, func(int) string { return c.Name })
		if err != nil {
			return nil, err
		}
		call := foldCall{name: c.Name, agg: agg, args: args, buf: make([]types.Value, len(c.Args))}
		if n.FromTable {
			undo, ok := agg.(function.Undoer)
			if !ok {
				return nil, fmt.Errorf("%s: The aggregation function %s cannot be applied to a table source, only to a stream source.", n.Name, c.Name)
			}
			call.undo = undo
		}
		f.calls = append(f.calls, call)
	}
	return f, nil
}

// width is the number of values in a state, and of columns in a result.
func (f *fold) width() int { return len(f.carried.exprs) + len(f.calls) }

func (f *fold) init(state []types.Value) {
	n := len(f.carried.exprs)
	clear(state[:n])
	for i, c := range f.calls {
		state[n+i] = c.agg.Init()
	}
}

// add folds a row into the state. A function that fails, on a sum that doesn't
// fit for one, ends the query, as in ksqlDB: its state would be wrong from there.
func (f *fold) add(r *Row, state []types.Value) error {
	f.carried.eval(r, state)
	return f.apply(r, state, "add", func(c *foldCall, s types.Value) (types.Value, error) { return c.agg.Add(s, c.buf) })
}

// undo takes a row back.
func (f *fold) undo(r *Row, state []types.Value) error {
	f.carried.eval(r, state)
	return f.apply(r, state, "undo", func(c *foldCall, s types.Value) (types.Value, error) { return c.undo.Undo(s, c.buf) })
}

func (f *fold) apply(r *Row, state []types.Value, what string, do func(c *foldCall, s types.Value) (types.Value, error)) error {
	n := len(f.carried.exprs)
	for i := range f.calls {
		c := &f.calls[i]
		c.args.eval(r, c.buf)
		s, err := do(c, state[n+i])
		if err != nil {
			return f.fail(r, c.name, what, err)
		}
		state[n+i] = s
	}
	return nil
}

// merge joins a later session's state into an earlier one's.
func (f *fold) merge(state, later []types.Value) error {
	n := len(f.carried.exprs)
	for i := range n {
		if state[i].IsNull() {
			state[i] = later[i]
		}
	}
	for i := range f.calls {
		c := &f.calls[i]
		s, err := c.agg.Merge(state[n+i], later[n+i])
		if err != nil {
			return f.fail(nil, c.name, "merge", err)
		}
		state[n+i] = s
	}
	return nil
}

// final turns a state into the result's columns.
func (f *fold) final(state, dst []types.Value) []types.Value {
	n := len(f.carried.exprs)
	copy(dst, state[:n])
	for i := range f.calls {
		c := &f.calls[i]
		v, err := c.agg.Final(state[n+i])
		if err != nil {
			_ = f.fail(nil, c.name, "result", err) // logged; the next row may have one
			v = types.Value{}
		}
		dst[n+i] = v
	}
	return dst
}

// fail logs what went wrong and returns it.
func (f *fold) fail(r *Row, name, what string, err error) error {
	f.log(Problem{
		Type: recordProcessing, Logger: f.step, Row: r, Cause: []string{err.Error()},
		Message: fmt.Sprintf("Error in aggregate function %s (%s): %v", name, what, err),
	})
	return fmt.Errorf("%s: aggregate function %s (%s): %w", f.step, name, what, err)
}
