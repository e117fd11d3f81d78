package deploy

import (
	"context"
	"slices"
)

// anew drops the items and makes them again, in the same topics.
func (a *applier) anew(ctx context.Context, items []*item) error {
	for _, it := range slices.Backward(items) {
		old := it
		if it.renames != nil {
			old = it.renames
		}
		if old.queryID != "" && old.kind() == Insert {
			if err := a.server.terminate(ctx, old.queryID); err != nil {
				return it.stmt.failed(err)
			}
		}
		if old.queryID != "" && old.split() {
			if err := a.server.terminate(ctx, old.queryID); err != nil {
				return it.stmt.failed(err)
			}
		}
		for _, name := range old.names() {
			if old.kind() == Insert {
				break
			}
			if err := a.server.drop(ctx, name); err != nil {
				return it.stmt.failed(err)
			}
		}
	}
	for _, it := range items {
		key := it.key
		if it.renames != nil {
			key = it.renames.key
		}
		if (it.kind() == Insert || it.renames != nil) && key != "" && a.ledger != nil {
			if err := a.ledger.Save(ctx, key, nil); err != nil {
				return err
			}
		}
		it.entry = nil
		delete(a.objects, it.stmt.Name)
		id, err := a.create(ctx, it)
		if err != nil {
			return it.stmt.failed(err)
		}
		it.step.NewTopic = ""
		a.done(it, Rebuilt, id)
	}
	return nil
}
