package exec

import (
	"bytes"
	"strings"

	"github.com/sidestream/sidestream/sidecar/engine/plan"
	"github.com/sidestream/sidestream/sidecar/engine/types"
)

// emit hands rows out, each with bytes of its own.
func (b *builder) emit(n *plan.Emit) error {
	_, err := b.attach(n.Input, operatorFunc(func(r *Row) error { return b.env.EmitRow(r.Clone()) }))
	return err
}

// Clone is a copy of a row that shares no bytes with it, to be kept.
func (r *Row) Clone() *Row {
	c := *r
	c.Key, c.Value, c.Old = cloneValues(r.Key), cloneValues(r.Value), cloneValues(r.Old)
	return &c
}

func cloneValues(vs []types.Value) []types.Value {
	if vs == nil {
		return nil
	}
	out := make([]types.Value, len(vs))
	for i, v := range vs {
		out[i] = cloneValue(v)
	}
	return out
}

func cloneValue(v types.Value) types.Value {
	switch v.Kind() {
	case types.String:
		return types.NewString(strings.Clone(v.Str()))
	case types.Bytes:
		return types.NewBytes(bytes.Clone(v.Bytes()))
	case types.Array:
		return types.NewArray(cloneValues(v.Items()))
	case types.Struct:
		return types.NewStruct(cloneValues(v.Items()))
	case types.Map:
		entries := make([]types.Entry, len(v.Entries()))
		for i, e := range v.Entries() {
			entries[i] = types.Entry{Key: cloneValue(e.Key), Value: cloneValue(e.Value)}
		}
		return types.NewMap(entries)
	}
	return v
}
