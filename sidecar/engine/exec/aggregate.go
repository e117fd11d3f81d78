package exec

import (
	"fmt"

	"github.com/sidestream/sidestream/sidecar/engine/plan"
	"github.com/sidestream/sidestream/sidecar/engine/state"
	"github.com/sidestream/sidestream/sidecar/engine/types"
)

// group is what the kinds of aggregation share: the fold, the buffers of one
// group's state, and the row that comes out.
type group struct {
	stage
	fold          *fold
	store         state.Store
	key, value    []byte
	scratch       []byte
	state         []types.Value
	vals, oldVals []types.Value
	keyVals       []types.Value // the key of a window that closes
	row           Row
}

func (b *builder) aggregate(n *plan.Aggregate) (*stage, error) {
	f, err := newFold(n, b.env.Functions, b.env.Log)
	if err != nil {
		return nil, err
	}
	g := group{fold: f, store: b.env.Store(n.Store),
		state: make([]types.Value, f.width()), vals: make([]types.Value, f.width()), oldVals: make([]types.Value, f.width()),
		keyVals: make([]types.Value, len(n.Schema.Key))}
	g.knowsOld = true
	switch {
	case n.Window == nil && n.Final:
		return nil, fmt.Errorf("%s: EMIT FINAL is only supported for windowed aggregations.", n.Name)
	case n.Window == nil:
		a := &aggregate{group: g, fromTable: n.FromTable}
		a.get = newAggregateGetter(g.store, f)
		in, err := b.attach(n.Input, a)
		if err == nil && n.FromTable {
			in.needOld()
		}
		return &a.stage, err
	case n.Window.Kind == plan.SessionWindow:
		return b.sessionAggregate(n, g)
	default:
		return b.windowAggregate(n, g)
	}
}

// load reads a group's state, or makes the first one.
func (g *group) load(key []byte) (time int64, found bool, err error) {
	data, ok := g.store.Get(key)
	if !ok {
		g.fold.init(g.state)
		return 0, false, nil
	}
	g.scratch = append(g.scratch[:0], data...)
	time, err = decodeRow(g.scratch, g.state)
	return time, true, err
}

func (g *group) save(key []byte, time int64) {
	g.value = appendRow(g.value[:0], time, g.state)
	g.store.Put(key, g.value)
}

// old is the result of the state as loaded, where somebody asks for it.
func (g *group) old(found bool) []types.Value {
	if !found || !g.wantsOld {
		return nil
	}
	return g.fold.final(g.state, g.oldVals)
}

// aggregate folds rows by key, without windows. The input is a stream, or a
// table, whose old rows are taken back first.
type aggregate struct {
	group
	fromTable bool
	before    Row
}

func (a *aggregate) process(r *Row) error {
	if r.Key == nil || r.Value == nil && !a.fromTable {
		return nil
	}
	a.key = appendKey(a.key[:0], r.Key)
	time, found, err := a.load(a.key)
	if err != nil {
		return err
	}
	old := a.old(found)
	if !found || r.Time > time {
		time = r.Time
	}
	if a.fromTable && r.Old != nil && found {
		a.before = *r
		a.before.Value = r.Old
		if err := a.fold.undo(&a.before, a.state); err != nil {
			return err
		}
	}
	if r.Value != nil {
		if err := a.fold.add(r, a.state); err != nil {
			return err
		}
	} else if !found {
		return nil // a deletion of what was never counted
	}
	a.save(a.key, time)
	a.row = *r
	a.row.Value, a.row.Old, a.row.Time = a.fold.final(a.state, a.vals), old, time
	return a.forward(&a.row)
}

// aggregateGetter looks results up.
type aggregateGetter struct {
	store        state.Reader
	fold         *fold
	key, scratch []byte
	state, vals  []types.Value
	row          Row
}

func newAggregateGetter(s state.Reader, f *fold) *aggregateGetter {
	return &aggregateGetter{store: s, fold: f, state: make([]types.Value, f.width()), vals: make([]types.Value, f.width())}
}

func (g *aggregateGetter) get(key []types.Value) (*Row, error) {
	g.key = appendKey(g.key[:0], key)
	data, ok := g.store.Get(g.key)
	if !ok {
		return nil, nil
	}
	return g.result(key, Window{}, data)
}

// result makes the row of a stored state.
func (g *aggregateGetter) result(key []types.Value, win Window, data []byte) (*Row, error) {
	g.scratch = append(g.scratch[:0], data...)
	time, err := decodeRow(g.scratch, g.state)
	if err != nil {
		return nil, err
	}
	g.row = Row{Key: key, Window: win, Value: g.fold.final(g.state, g.vals), Time: time}
	return &g.row, nil
}
