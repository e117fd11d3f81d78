package exec

import (
	"fmt"

	"github.com/sidestream/sidestream/sidecar/engine/plan"
	"github.com/sidestream/sidestream/sidecar/engine/types"
)

// streamTableJoin looks each record of a stream up in a table. A record without
// value finds nothing, one without key only the NULLs of a LEFT JOIN.
type streamTableJoin struct {
	stage
	table getter
	left  bool
	vals  []types.Value
	split int // where the table's columns start
	row   Row
}

func (b *builder) streamTableJoin(n *plan.StreamTableJoin) (*stage, error) {
	nl := len(n.Left.Out().Schema.Value)
	j := &streamTableJoin{left: n.Type == plan.Left, vals: make([]types.Value, nl+len(n.Right.Out().Schema.Value)), split: nl}
	table, err := b.stage(n.Right)
	if err != nil {
		return nil, err
	}
	if table.get == nil {
		return nil, fmt.Errorf("%s: table %s is not kept in a store", n.Name, n.Right.Out().Name)
	}
	j.table = table.get
	_, err = b.attach(n.Left, j)
	return &j.stage, err
}

func (j *streamTableJoin) process(r *Row) error {
	if r.Value == nil {
		return nil
	}
	var match *Row
	if r.Key != nil {
		var err error
		if match, err = j.table.get(r.Key); err != nil {
			return err
		}
	}
	if match == nil && !j.left {
		return nil
	}
	copy(j.vals, r.Value)
	if match != nil {
		copy(j.vals[j.split:], match.Value)
	} else {
		clear(j.vals[j.split:])
	}
	j.row = *r
	j.row.Value, j.row.Old = j.vals, nil
	return j.forward(&j.row)
}

// tableJoin joins two tables by their keys: a change on one side meets the row
// that the other side has now.
type tableJoin struct {
	stage
	sides      [2]tableSide
	vals, olds []types.Value
	row        Row
}

type tableSide struct {
	get      getter
	keep     *tableStore // where the join itself keeps the side's rows
	knowsOld bool
	required bool // no result without a row of this side
	at, n    int  // its columns in the output
	row      Row
}

// tableSide attaches one side of a join of tables. Where the table isn't kept
// anywhere, the join keeps it.
func (b *builder) tableSide(step string, in plan.Node, kept *plan.Store, process func(r *Row) error) (tableSide, error) {
	side := tableSide{n: len(in.Out().Schema.Value)}
	s, err := b.attach(in, operatorFunc(process))
	if err != nil {
		return side, err
	}
	side.get, side.knowsOld = s.get, s.knowsOld
	s.needOld()
	if s.get != nil && (s.knowsOld || kept == nil) {
		return side, nil
	}
	if kept == nil {
		return side, fmt.Errorf("%s: table %s is not kept in a store", step, in.Out().Name)
	}
	store := b.env.Store(kept)
	side.keep = newTableStore(store, in.Out(), false)
	side.get, side.knowsOld = tableGetter{newTableReader(store, in.Out(), false)}, true
	return side, nil
}

// change is a row with what was there before.
func (s *tableSide) change(r *Row) (*Row, error) {
	if s.keep == nil {
		return r, nil
	}
	s.row = *r
	s.row.Old = nil
	old, err := s.keep.get(r.Key, r.Window)
	if err != nil {
		return nil, err
	}
	if old != nil {
		s.row.Old = old.Value
	}
	s.keep.put(r)
	return &s.row, nil
}

func (b *builder) tableTableJoin(n *plan.TableTableJoin) (*stage, error) {
	nl, nr := len(n.Left.Out().Schema.Value), len(n.Right.Out().Schema.Value)
	j := &tableJoin{vals: make([]types.Value, nl+nr), olds: make([]types.Value, nl+nr)}
	for side, in := range [...]struct {
		node  plan.Node
		store *plan.Store
	}{{n.Left, n.LeftStore}, {n.Right, n.RightStore}} {
		var err error
		j.sides[side], err = b.tableSide(n.Name, in.node, in.store, func(r *Row) error { return j.process(r, side) })
		if err != nil {
			return nil, err
		}
	}
	j.sides[left].required = n.Type == plan.Inner || n.Type == plan.Left
	j.sides[right].required = n.Type == plan.Inner || n.Type == plan.Right
	j.sides[right].at = nl
	j.knowsOld = j.sides[left].knowsOld && j.sides[right].knowsOld
	j.get = &tableJoinGetter{left: j.sides[left], right: j.sides[right], vals: make([]types.Value, nl+nr)}
	return &j.stage, nil
}

func (j *tableJoin) process(r *Row, side int) error {
	if r.Key == nil {
		return nil
	}
	s, other := &j.sides[side], &j.sides[1-side]
	r, err := s.change(r)
	if err != nil {
		return err
	}
	match, err := other.get.get(r.Key)
	if err != nil {
		return err
	}
	if match == nil && (other.required || r.Value == nil && r.Old == nil) {
		return nil
	}
	if r.Value == nil && r.Old == nil && s.required && j.knowsOld {
		return nil // there was no result and there is none
	}
	j.row = *r
	if match != nil {
		j.row.Time = max(r.Time, match.Time)
	}
	j.row.Value = j.combine(s, other, r.Value, match, j.vals)
	j.row.Old = j.combine(s, other, r.Old, match, j.olds)
	return j.forward(&j.row)
}

// combine is the result for a row of one side and its match on the other: nil
// without a required one, or without either.
func (j *tableJoin) combine(s, other *tableSide, value []types.Value, match *Row, dst []types.Value) []types.Value {
	if value == nil && (s.required || match == nil) {
		return nil
	}
	fill(dst[s.at:s.at+s.n], value)
	if match == nil {
		fill(dst[other.at:other.at+other.n], nil)
	} else {
		fill(dst[other.at:other.at+other.n], match.Value)
	}
	return dst
}

// fill copies columns, NULLs for none.
func fill(dst, src []types.Value) {
	if src == nil {
		clear(dst)
		return
	}
	copy(dst, src)
}

type tableJoinGetter struct {
	left, right tableSide
	vals        []types.Value
	row         Row
}

func (g *tableJoinGetter) get(key []types.Value) (*Row, error) {
	l, err := g.left.get.get(key)
	if err != nil {
		return nil, err
	}
	if l == nil && g.left.required {
		return nil, nil
	}
	g.row = Row{Key: key}
	if l != nil {
		copy(g.vals, l.Value)
		g.row.Time = l.Time
	} else {
		clear(g.vals[:g.left.n])
	}
	// Both sides may look the same store up through the same buffers: the left's
	// columns are copied by now.
	found := l != nil
	r, err := g.right.get.get(key)
	if err != nil {
		return nil, err
	}
	if r == nil && (g.right.required || !found) {
		return nil, nil
	}
	if r != nil {
		copy(g.vals[g.left.n:], r.Value)
		g.row.Time = max(g.row.Time, r.Time)
	} else {
		clear(g.vals[g.left.n:])
	}
	g.row.Value = g.vals
	return &g.row, nil
}
