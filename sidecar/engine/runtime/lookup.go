package runtime

import (
	"context"
	"errors"
	"fmt"

	"github.com/sidestream/sidestream/sidecar/engine/exec"
	"github.com/sidestream/sidestream/sidecar/engine/plan"
	"github.com/sidestream/sidestream/sidecar/engine/schema"
	"github.com/sidestream/sidestream/sidecar/engine/serde"
	"github.com/sidestream/sidestream/sidecar/engine/types"
)

// ErrNotReady is what a pull query gets while the table is being restored.
var ErrNotReady = errors.New("the table's state is still being restored")

// Pull calls fn with the rows of a query's table that sel selects, as they are
// committed, until fn returns false. Partition by partition, each in the order
// of the keys; keys are looked up in their own partition only. The row is valid
// during the call. Pull may be called from any goroutine.
//
// It gives ErrNotReady until the query's state is restored.
func (r *Runtime) Pull(ctx context.Context, queryID string, sel exec.Selection, fn func(*exec.Row) bool) error {
	q, ok := r.Query(queryID)
	if !ok {
		return fmt.Errorf("query %s does not run", queryID)
	}
	if q.plan.Materialized == nil {
		return fmt.Errorf("query %s keeps no table that can be looked up", queryID)
	}
	if !q.ready.Load() {
		return fmt.Errorf("query %s: %w", queryID, ErrNotReady)
	}
	lookup, err := exec.NewLookup(q.plan, r.cfg.Functions, nil)
	if err != nil {
		return err
	}
	store := q.plan.Materialized.Store
	sub := q.subOf(store)
	if sub == nil {
		return fmt.Errorf("query %s: no task keeps store %s", queryID, store.Name)
	}
	n := q.partitionsOf(sub)
	byPartition := q.spread(sub, sel, n)
	for p := range n {
		part := sel
		if byPartition != nil {
			if part.Keys = byPartition[p]; len(part.Keys) == 0 {
				continue
			}
		}
		more := true
		view := r.disk.View(storePrefix('d', q.id, store.Name, p))
		err := lookup.Each(view, part, func(row *exec.Row) bool {
			more = ctx.Err() == nil && fn(row)
			return more
		})
		if err == nil {
			err = view.Err()
		}
		if err == nil {
			err = ctx.Err()
		}
		if err != nil || !more {
			return err
		}
	}
	return nil
}

// subOf is the sub-topology that keeps a store.
func (q *Query) subOf(s *plan.Store) *plan.SubTopology {
	for i, have := range q.stores {
		if have == s || have.Name == s.Name {
			return q.subs[q.storeSubs[i]]
		}
	}
	return nil
}

// spread sorts the keys to look up by the partition that holds them; nil when
// any may.
func (q *Query) spread(sub *plan.SubTopology, sel exec.Selection, n int32) map[int32][][]types.Value {
	if sel.Keys == nil || n == 1 {
		return nil
	}
	var format plan.Format
	var cols []schema.Column
	switch read := sub.Reads[0].(type) {
	case *plan.Source:
		format, cols = read.KeyFormat, read.KeyColumns
	case *plan.Repartition:
		format, cols = read.KeyFormat, read.Schema.Key
	}
	stored := q.plan.Materialized.Stored.Schema.Key
	if len(cols) != len(stored) {
		return nil
	}
	for i := range cols {
		if !cols[i].Type.Equal(stored[i].Type) {
			return nil
		}
	}
	if serde.SchemaType(format.Name) != "" {
		// The bytes of a key, and with them its partition, depend on the schema that
		// whoever wrote it had registered.
		return nil
	}
	enc, err := serde.NewEncoder(format, cols, serde.Options{IsKey: true})
	if err != nil {
		return nil
	}
	out := map[int32][][]types.Value{}
	for _, key := range sel.Keys {
		data, err := enc.Encode(nil, key)
		if err != nil || data == nil {
			return nil
		}
		p := exec.Partition(data, n)
		out[p] = append(out[p], key)
	}
	return out
}
