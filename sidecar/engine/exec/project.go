package exec

import (
	"github.com/sidestream/sidestream/sidecar/engine/plan"
	"github.com/sidestream/sidestream/sidecar/engine/types"
)

// project computes new value columns. A null value stays null.
type project struct {
	stage
	cols          *columns
	vals, oldVals []types.Value
	row, old      Row
}

func (b *builder) project(n *plan.Project) (*stage, error) {
	cols, err := b.columns(n.Name, n.Values, func(i int) string { return n.Schema.Value[i].Name })
	if err != nil {
		return nil, err
	}
	p := &project{cols: cols, vals: make([]types.Value, len(n.Values)), oldVals: make([]types.Value, len(n.Values))}
	in, err := b.attach(n.Input, p)
	if err != nil {
		return nil, err
	}
	if n.Table {
		p.knowsOld = in.knowsOld
		p.inputs = []*stage{in}
		if in.get != nil {
			p.get = &projectGetter{in: in.get, cols: cols, vals: make([]types.Value, len(n.Values))}
		}
	}
	return &p.stage, nil
}

func (p *project) process(r *Row) error {
	p.row = *r
	if r.Value != nil {
		p.cols.eval(r, p.vals)
		p.row.Value = p.vals
	}
	if r.Old != nil {
		if p.wantsOld {
			p.old = *r
			p.old.Value = r.Old
			p.cols.eval(&p.old, p.oldVals)
			p.row.Old = p.oldVals
		} else {
			p.row.Old = nil
		}
	}
	return p.forward(&p.row)
}

type projectGetter struct {
	in   getter
	cols *columns
	vals []types.Value
	row  Row
}

func (g *projectGetter) get(key []types.Value) (*Row, error) {
	r, err := g.in.get(key)
	if err != nil || r == nil {
		return nil, err
	}
	g.cols.eval(r, g.vals)
	g.row = *r
	g.row.Value = g.vals
	return &g.row, nil
}
