package exec

import (
	"github.com/sidestream/sidestream/sidecar/engine/plan"
)

// materialize keeps a table's rows, so that they can be looked up and that the
// row before is known.
type materialize struct {
	stage
	rows *tableStore
	row  Row
}

func (b *builder) materialize(n *plan.Materialize) (*stage, error) {
	store := b.env.Store(n.Store)
	m := &materialize{rows: newTableStore(store, &n.Output, false)}
	m.knowsOld = true
	m.get = tableGetter{newTableReader(store, &n.Output, false)}
	_, err := b.attach(n.Input, m)
	return &m.stage, err
}

func (m *materialize) process(r *Row) error {
	if r.Key == nil {
		return nil
	}
	m.row = *r
	m.row.Old = nil
	if m.wantsOld {
		old, err := m.rows.get(r.Key, r.Window)
		if err != nil {
			return err
		}
		if old != nil {
			m.row.Old = old.Value
		}
	}
	m.rows.put(r)
	return m.forward(&m.row)
}
