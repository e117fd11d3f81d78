package exec

import (
	"fmt"

	"github.com/sidestream/sidestream/sidecar/engine/plan"
	"github.com/sidestream/sidestream/sidecar/engine/types"
)

// predicate is the condition of a Filter: a row on which it fails doesn't pass.
type predicate struct {
	cond func(r *Row) (bool, error)
	plan plan.Expr
	step string
	log  func(Problem)
}

func (p *predicate) passes(r *Row) bool {
	ok, err := p.cond(r)
	if err != nil {
		p.log(Problem{
			Type: recordProcessing, Logger: p.step, Row: r, Cause: []string{err.Error()},
			Message: fmt.Sprintf("Error evaluating predicate %s: %v", exprText(p.plan), err),
		})
		return false
	}
	return ok
}

func (b *builder) filter(n *plan.Filter) (*stage, error) {
	cond, err := CompilePredicate(n.Pred, b.env.Functions)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", n.Name, err)
	}
	p := &predicate{cond: cond, plan: n.Pred, step: n.Name, log: b.env.Log}
	if !n.Table {
		f := &streamFilter{pred: p}
		_, err := b.attach(n.Input, f)
		return &f.stage, err
	}
	f := &tableFilter{pred: p}
	in, err := b.attach(n.Input, f)
	if err != nil {
		return nil, err
	}
	if in.knowsOld {
		f.knowsOld = true
		in.needOld()
	}
	if in.get != nil {
		f.get = filterGetter{in.get, p}
	}
	return &f.stage, nil
}

// streamFilter passes the rows that match. A null value never does.
type streamFilter struct {
	stage
	pred *predicate
}

func (f *streamFilter) process(r *Row) error {
	if r.Value == nil || !f.pred.passes(r) {
		return nil
	}
	return f.forward(r)
}

// tableFilter turns a row that matches no more into a deletion. A row that
// didn't match before either is passed over in silence; where that isn't known,
// a deletion too many is better than one too few.
type tableFilter struct {
	stage
	pred     *predicate
	row, old Row
}

func (f *tableFilter) process(r *Row) error {
	f.row = *r
	if r.Value != nil && !f.pred.passes(r) {
		f.row.Value = nil
	}
	if r.Old != nil {
		f.old = *r
		f.old.Value = r.Old
		if !f.pred.passes(&f.old) {
			f.row.Old = nil
		}
	}
	if f.knowsOld && f.row.Value == nil && f.row.Old == nil {
		return nil
	}
	return f.forward(&f.row)
}

type filterGetter struct {
	in   getter
	pred *predicate
}

func (g filterGetter) get(key []types.Value) (*Row, error) {
	r, err := g.in.get(key)
	if err != nil || r == nil || !g.pred.passes(r) {
		return nil, err
	}
	return r, nil
}
