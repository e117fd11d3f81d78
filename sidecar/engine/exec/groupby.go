package exec

import (
	"fmt"

	"github.com/sidestream/sidestream/sidecar/engine/plan"
	"github.com/sidestream/sidestream/sidecar/engine/types"
)

// groupBy sets the key of an aggregation. A row with a NULL in its key belongs
// to no group.
type groupBy struct {
	stage
	keys          *columns
	table         bool
	vals, oldVals []types.Value
	row, old      Row
}

func (b *builder) groupBy(n *plan.GroupBy) (*stage, error) {
	keys, err := b.columns(n.Name, n.Keys, func(i int) string { return n.Schema.Key[i].Name })
	if err != nil {
		return nil, err
	}
	g := &groupBy{keys: keys, table: n.Input.Out().Table, vals: make([]types.Value, len(n.Keys)), oldVals: make([]types.Value, len(n.Keys))}
	in, err := b.attach(n.Input, g)
	if err != nil {
		return nil, err
	}
	if g.table {
		g.knowsOld = in.knowsOld
		in.needOld()
	}
	return &g.stage, nil
}

func (g *groupBy) process(r *Row) error {
	if g.table {
		return g.change(r)
	}
	if r.Value == nil || !g.key(r, g.vals) {
		return nil
	}
	g.row = *r
	g.row.Key = g.vals
	return g.forward(&g.row)
}

// change sends the old row to the group it leaves and the new one to the group
// it enters: as one change when they are the same, else as two, in this order.
func (g *groupBy) change(r *Row) error {
	leaves, enters := false, false
	if r.Old != nil {
		g.old = *r
		g.old.Value = r.Old
		leaves = g.key(&g.old, g.oldVals)
		g.old.Key, g.old.Old, g.old.Value = g.oldVals, r.Old, nil
	}
	if r.Value != nil {
		enters = g.key(r, g.vals)
		g.row = *r
		g.row.Key, g.row.Old = g.vals, nil
	}
	if leaves && enters && sameKey(g.oldVals, g.vals) {
		g.row.Old = r.Old
		return g.forward(&g.row)
	}
	if leaves {
		if err := g.forward(&g.old); err != nil {
			return err
		}
	}
	if enters {
		return g.forward(&g.row)
	}
	return nil
}

// key computes the group of a row; false when it has none.
func (g *groupBy) key(r *Row, dst []types.Value) bool {
	g.keys.eval(r, dst)
	for i, v := range dst {
		if v.IsNull() {
			g.keys.log(Problem{
				Type: recordProcessing, Logger: g.keys.step, Row: r,
				Message: fmt.Sprintf("Group-by column with index %d resolved to null. The source row will be excluded from the table.", i),
			})
			return false
		}
	}
	return true
}
