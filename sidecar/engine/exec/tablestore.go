package exec

import (
	"github.com/sidestream/sidestream/sidecar/engine/plan"
	"github.com/sidestream/sidestream/sidecar/engine/state"
	"github.com/sidestream/sidestream/sidecar/engine/types"
)

// tableStore reads and writes the rows of a table in a store. Reading decodes
// into buffers of its own, so each user of a store has a tableStore of its own.
type tableStore struct {
	store    state.Reader
	write    state.Store // nil for a reader
	windowed bool
	places   bool // rows remember partition and offset (source tables)

	key, value, scratch []byte
	vals                []types.Value
	row                 Row
}

func newTableStore(s state.Store, out *plan.Output, places bool) *tableStore {
	t := newTableReader(s, out, places)
	t.write = s
	return t
}

func newTableReader(s state.Reader, out *plan.Output, places bool) *tableStore {
	n := len(out.Schema.Value)
	if places {
		n += 2
	}
	return &tableStore{store: s, windowed: out.Window != plan.NoWindow, places: places, vals: make([]types.Value, n)}
}

func (t *tableStore) keyBytes(key []types.Value, w Window) []byte {
	t.key = appendKey(t.key[:0], key)
	if t.windowed {
		t.key = appendTime(appendTime(t.key, w.Start), w.End)
	}
	return t.key
}

// get finds a row; nil without one. It is valid until the next get.
func (t *tableStore) get(key []types.Value, w Window) (*Row, error) {
	data, ok := t.store.Get(t.keyBytes(key, w))
	if !ok {
		return nil, nil
	}
	return t.decode(key, w, data)
}

func (t *tableStore) decode(key []types.Value, w Window, data []byte) (*Row, error) {
	// The bytes are copied: the store may move them at the next write.
	t.scratch = append(t.scratch[:0], data...)
	time, err := decodeRow(t.scratch, t.vals)
	if err != nil {
		return nil, err
	}
	t.row = Row{Key: key, Value: t.vals, Window: w, Time: time}
	if t.places {
		n := len(t.vals) - 2
		t.row.Value = t.vals[:n:n]
		t.row.Partition, t.row.Offset = int32(t.vals[n].Int()), t.vals[n+1].Int()
	}
	return &t.row, nil
}

// put makes r the row of its key; a row without value is taken away.
func (t *tableStore) put(r *Row) {
	key := t.keyBytes(r.Key, r.Window)
	if r.Value == nil {
		t.write.Delete(key)
		return
	}
	t.value = appendRow(t.value[:0], r.Time, r.Value)
	if t.places {
		t.value = types.AppendBinary(t.value, types.NewInt(r.Partition))
		t.value = types.AppendBinary(t.value, types.NewBigint(r.Offset))
	}
	t.write.Put(key, t.value)
}

// tableGetter looks rows of a kept table up.
type tableGetter struct{ rows *tableStore }

func (g tableGetter) get(key []types.Value) (*Row, error) { return g.rows.get(key, Window{}) }
