package exec

import (
	"github.com/sidestream/sidestream/sidecar/engine/plan"
	"github.com/sidestream/sidestream/sidecar/engine/types"
)

// rekey gives rows a new key. A single key that is NULL or can't be computed is
// a null key; among several, each may be NULL by itself.
type rekey struct {
	stage
	keys          *columns
	table         bool
	fromKey       []bool // which keys need no more than the old key
	vals, oldVals []types.Value
	row, old      Row
}

func (b *builder) rekey(n *plan.Rekey) (*stage, error) {
	keys, err := b.columns(n.Name, n.Keys, func(i int) string { return n.Schema.Key[i].Name })
	if err != nil {
		return nil, err
	}
	k := &rekey{keys: keys, table: n.Table, vals: make([]types.Value, len(n.Keys)), oldVals: make([]types.Value, len(n.Keys))}
	for _, e := range n.Keys {
		k.fromKey = append(k.fromKey, readsKeyOnly(e))
	}
	in, err := b.attach(n.Input, k)
	if err != nil {
		return nil, err
	}
	if n.Table {
		k.knowsOld = in.knowsOld
		in.needOld()
	}
	return &k.stage, nil
}

func (k *rekey) process(r *Row) error {
	k.row = *r
	k.row.Key = k.key(r, k.vals)
	if !k.table || r.Old == nil {
		return k.forward(&k.row)
	}
	// A table's row that moves to another key leaves the one it had.
	k.old = *r
	k.old.Value = r.Old
	was := k.key(&k.old, k.oldVals)
	if r.Value != nil && sameKey(was, k.row.Key) {
		return k.forward(&k.row)
	}
	k.old.Key, k.old.Old, k.old.Value = was, r.Old, nil
	if err := k.forward(&k.old); err != nil || r.Value == nil {
		return err
	}
	k.row.Old = nil
	return k.forward(&k.row)
}

func (k *rekey) key(r *Row, dst []types.Value) []types.Value {
	k.keys.eval(r, dst)
	if r.Value == nil { // what is read of the value is NULL, and so is the key
		for i := range dst {
			if !k.fromKey[i] {
				dst[i] = types.Value{}
			}
		}
	}
	if len(dst) == 0 || len(dst) == 1 && dst[0].IsNull() {
		return nil
	}
	return dst
}

func sameKey(a, b []types.Value) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if !types.Equal(a[i], b[i]) {
			return false
		}
	}
	return true
}

// readsKeyOnly tells whether an expression reads nothing of a row but its key.
func readsKeyOnly(e plan.Expr) bool {
	only := true
	plan.Walk(e, func(x plan.Expr) {
		switch x := x.(type) {
		case *plan.Pseudo:
			only = false
		case *plan.Column:
			only = only && x.InKey
		}
	})
	return only
}
