package exec

import (
	"fmt"
	"math"

	"github.com/sidestream/sidestream/sidecar/engine/function"
	"github.com/sidestream/sidestream/sidecar/engine/plan"
	"github.com/sidestream/sidestream/sidecar/engine/state"
	"github.com/sidestream/sidestream/sidecar/engine/types"
)

// Lookup finds rows of a query's table in its stores, for pull queries: what is
// stored, led through the steps that make it the table's row. It keeps buffers:
// use it from one goroutine.
type Lookup struct {
	out     *plan.Output
	windows plan.WindowKind // of an aggregation's own store
	fold    *aggregateGetter
	rows    *tableStore
	steps   []lookupStep
	// defaults puts in what the table's format has instead of NULL; nil where it
	// has NULL.
	defaults *protoDefaults
	key      []types.Value
	low      []byte
}

// lookupStep is a Filter (pred) or a Project (cols).
type lookupStep struct {
	pred *predicate
	cols *columns
	vals []types.Value
	row  Row
}

// Selection says which rows a Lookup is to find. Start from Everything.
type Selection struct {
	// Keys are the keys to look up, in this order; nil for all.
	Keys [][]types.Value
	// Low and High bound the first key column; nil for no bound.
	Low, High *KeyBound
	// Bounds of a window's start and end, both included.
	StartFrom, StartTo, EndFrom, EndTo int64
}

// KeyBound is an end of a range of keys.
type KeyBound struct {
	Value     types.Value
	Inclusive bool
}

// Everything selects all rows.
func Everything() Selection {
	return Selection{StartFrom: math.MinInt64, StartTo: math.MaxInt64, EndFrom: math.MinInt64, EndTo: math.MaxInt64}
}

// NewLookup makes the lookup of a query whose plan says that it can be queried.
// Problems of its steps go to log.
func NewLookup(q *plan.Query, functions function.Registry, log func(Problem)) (*Lookup, error) {
	m := q.Materialized
	if m == nil {
		return nil, fmt.Errorf("query %s keeps no table that can be looked up", q.ID)
	}
	if log == nil {
		log = func(Problem) {}
	}
	l := &Lookup{out: m.Stored, defaults: newProtoDefaults(m), key: make([]types.Value, len(m.Stored.Schema.Key))}
	switch n := keeper(q.Root, m.Store).(type) {
	case *plan.Aggregate:
		f, err := newFold(n, functions, log)
		if err != nil {
			return nil, err
		}
		l.fold = newAggregateGetter(nil, f)
		if n.Window != nil {
			l.windows = n.Window.Kind
		}
	case *plan.Source:
		l.rows = newTableReader(nil, &n.Output, true)
	case nil:
		return nil, fmt.Errorf("query %s: no step keeps store %s", q.ID, m.Store.Name)
	default:
		l.rows = newTableReader(nil, m.Stored, false)
	}
	b := &builder{env: Env{Functions: functions, Log: log}}
	for _, s := range m.Steps {
		switch s := s.(type) {
		case *plan.Filter:
			cond, err := CompilePredicate(s.Pred, functions)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", s.Name, err)
			}
			l.steps = append(l.steps, lookupStep{pred: &predicate{cond: cond, plan: s.Pred, step: s.Name, log: log}})
		case *plan.Project:
			cols, err := b.columns(s.Name, s.Values, func(i int) string { return s.Schema.Value[i].Name })
			if err != nil {
				return nil, err
			}
			l.steps = append(l.steps, lookupStep{cols: cols, vals: make([]types.Value, len(s.Values))})
		default:
			return nil, fmt.Errorf("query %s: %T can't be applied to a row looked up", q.ID, s)
		}
	}
	return l, nil
}

// keeper is the step that a store belongs to.
func keeper(n plan.Node, s *plan.Store) plan.Node {
	switch n := n.(type) {
	case *plan.Aggregate:
		if n.Store == s {
			return n
		}
	case *plan.Source:
		if n.Store == s {
			return n
		}
	case *plan.Materialize:
		if n.Store == s {
			return n
		}
	case *plan.TableTableJoin:
		if n.LeftStore == s || n.RightStore == s {
			return n
		}
	case *plan.ForeignKeyJoin:
		if n.LeftStore == s || n.RightStore == s {
			return n
		}
	}
	for _, in := range n.Inputs() {
		if k := keeper(in, s); k != nil {
			return k
		}
	}
	return nil
}

// Each calls fn for the rows that sel selects, until it returns false: by key in
// the store's order, and by window start within a key. The row is valid during
// the call; Clone it to keep it.
func (l *Lookup) Each(s state.Reader, sel Selection, fn func(r *Row) bool) error {
	for _, key := range sel.Keys {
		from := l.prefix(key)
		to := state.PrefixEnd(from)
		if l.windows != plan.NoWindow {
			from, to = appendTime(from[:len(from):len(from)], sel.StartFrom), windowEnd(from, sel.StartTo)
		}
		more, err := l.scan(s, from, to, &sel, fn)
		if err != nil || !more {
			return err
		}
	}
	if sel.Keys != nil {
		return nil
	}
	from, to := l.bounds(&sel)
	_, err := l.scan(s, from, to, &sel, fn)
	return err
}

func windowEnd(prefix []byte, last int64) []byte {
	if last == math.MaxInt64 {
		return state.PrefixEnd(prefix)
	}
	return appendTime(prefix[:len(prefix):len(prefix)], last+1)
}

// prefix is the beginning of all entries of a key.
func (l *Lookup) prefix(key []types.Value) []byte {
	l.low = l.low[:0]
	if l.windows != plan.NoWindow {
		l.low = append(l.low, byKey)
	}
	l.low = appendKey(l.low, key)
	return l.low
}

// bounds are the ends of a scan. Only the order of texts is the order of their
// bytes; other bounds are checked row by row.
func (l *Lookup) bounds(sel *Selection) (from, to []byte) {
	if l.windows != plan.NoWindow {
		from, to = []byte{byKey}, []byte{byKey + 1}
	}
	if len(l.key) != 1 {
		return from, to
	}
	if b := sel.Low; b != nil && b.Value.Kind() == types.String {
		from = append(from[:0], l.prefix([]types.Value{b.Value})...)
	}
	if b := sel.High; b != nil && b.Value.Kind() == types.String {
		to = state.PrefixEnd(l.prefix([]types.Value{b.Value}))
	}
	return from, to
}

func (l *Lookup) scan(s state.Reader, from, to []byte, sel *Selection, fn func(r *Row) bool) (more bool, err error) {
	more = true
	s.Range(from, to, func(k, v []byte) bool {
		var r *Row
		if r, err = l.decode(k, v); err != nil {
			return false
		}
		if r == nil || !sel.holds(r) {
			return true
		}
		r = l.defaults.of(r)
		if r = l.apply(r); r == nil {
			return true
		}
		more = fn(r)
		return more
	})
	return more, err
}

func (l *Lookup) decode(k, v []byte) (*Row, error) {
	if l.windows != plan.NoWindow {
		if k[0] != byKey {
			return nil, nil
		}
		k = k[1:]
	}
	rest, err := decodeKey(k, l.key)
	if err != nil {
		return nil, err
	}
	var win Window
	switch {
	case l.windows != plan.NoWindow:
		if win.Start, _, err = decodeTime(rest); err != nil {
			return nil, err
		}
		if win.End, v, err = decodeTime(v); err != nil {
			return nil, err
		}
	case l.rows != nil && l.rows.windowed:
		if win.Start, rest, err = decodeTime(rest); err != nil {
			return nil, err
		}
		if win.End, _, err = decodeTime(rest); err != nil {
			return nil, err
		}
	}
	if l.fold != nil {
		return l.fold.result(l.key, win, v)
	}
	return l.rows.decode(l.key, win, v)
}

func (sel *Selection) holds(r *Row) bool {
	w := r.Window
	if w.Start < sel.StartFrom || w.Start > sel.StartTo || w.End < sel.EndFrom || w.End > sel.EndTo {
		return false
	}
	if b := sel.Low; b != nil {
		if c := types.Compare(r.Key[0], b.Value); c < 0 || c == 0 && !b.Inclusive {
			return false
		}
	}
	if b := sel.High; b != nil {
		if c := types.Compare(r.Key[0], b.Value); c > 0 || c == 0 && !b.Inclusive {
			return false
		}
	}
	return true
}

// apply leads a stored row through the steps; nil when a filter stops it.
func (l *Lookup) apply(r *Row) *Row {
	for i := range l.steps {
		s := &l.steps[i]
		if s.pred != nil {
			if !s.pred.passes(r) {
				return nil
			}
			continue
		}
		s.cols.eval(r, s.vals)
		s.row = *r
		s.row.Value = s.vals
		r = &s.row
	}
	return r
}
