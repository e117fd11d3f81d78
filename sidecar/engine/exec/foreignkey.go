package exec

import (
	"bytes"

	"github.com/sidestream/sidestream/sidecar/engine/plan"
	"github.com/sidestream/sidestream/sidecar/engine/state"
	"github.com/sidestream/sidestream/sidecar/engine/types"
)

// foreignKeyJoin joins a table to the rows of another by an expression over its
// own columns. The store of subscriptions finds the left rows that refer to a
// right row:
//
//	foreign key ‖ left key → nothing
//
// One task does it for all partitions, so a change goes through at once. What
// comes out is what Kafka Streams sends, deletions of rows that never came out
// included: an INNER JOIN says NULL when a row's foreign key changes to one that
// has no row, and when a row with a foreign key is deleted.
type foreignKeyJoin struct {
	stage
	left, right tableSide
	outer       bool // LEFT JOIN
	fk          *columns
	subs        state.Store

	fkOld, fkNew []types.Value
	leftKey      []types.Value
	key          []byte
	vals, olds   []types.Value
	row, old     Row
}

func (b *builder) foreignKeyJoin(n *plan.ForeignKeyJoin) (*stage, error) {
	fk, err := b.columns(n.Name, []plan.Expr{n.ForeignKey}, func(int) string { return "foreign key" })
	if err != nil {
		return nil, err
	}
	nl, nr := len(n.Left.Out().Schema.Value), len(n.Right.Out().Schema.Value)
	j := &foreignKeyJoin{
		outer: n.Type == plan.Left, fk: fk, subs: b.env.Store(n.Subscriptions),
		fkOld: make([]types.Value, 1), fkNew: make([]types.Value, 1),
		leftKey: make([]types.Value, len(n.Left.Out().Schema.Key)),
		vals:    make([]types.Value, nl+nr), olds: make([]types.Value, nl+nr),
	}
	j.knowsOld = true
	j.left, err = b.tableSide(n.Name, n.Left, n.LeftStore, j.changeLeft)
	if err != nil {
		return nil, err
	}
	j.right, err = b.tableSide(n.Name, n.Right, n.RightStore, j.changeRight)
	if err != nil {
		return nil, err
	}
	j.right.at = nl
	j.get = &foreignKeyGetter{join: j, vals: make([]types.Value, nl+nr), fk: make([]types.Value, 1)}
	return &j.stage, nil
}

func (j *foreignKeyJoin) changeLeft(r *Row) error {
	if r.Key == nil {
		return nil
	}
	r, err := j.left.change(r)
	if err != nil {
		return err
	}
	hadKey, hasKey := false, false
	if r.Old != nil {
		j.old = *r
		j.old.Value = r.Old
		hadKey = j.foreignKey(&j.old, j.fkOld)
	}
	if r.Value != nil {
		hasKey = j.foreignKey(r, j.fkNew)
	}
	moved := hadKey && hasKey && !sameKey(j.fkOld, j.fkNew)
	if hadKey && (!hasKey || moved) {
		j.subs.Delete(j.subscription(j.fkOld, r.Key))
	}
	if hasKey && (!hadKey || moved) {
		j.subs.Put(j.subscription(j.fkNew, r.Key), nil)
	}
	j.row = *r
	j.row.Value, j.row.Old = nil, nil
	if r.Old != nil && j.wantsOld {
		if j.row.Old, _, err = j.combine(r.Old, j.fkOld, hadKey, j.olds); err != nil {
			return err
		}
	}
	value, match, err := j.combine(r.Value, j.fkNew, hasKey, j.vals)
	if err != nil {
		return err
	}
	j.row.Value = value
	if match != nil {
		j.row.Time = max(r.Time, match.Time)
	}
	switch {
	case value != nil, moved:
	case j.outer && r.Old != nil:
	case hadKey && !hasKey:
	default:
		return nil
	}
	return j.forward(&j.row)
}

func (j *foreignKeyJoin) changeRight(r *Row) error {
	if r.Key == nil {
		return nil
	}
	r, err := j.right.change(r)
	if err != nil {
		return err
	}
	prefix := appendKey(nil, r.Key)
	var subscribers [][]byte
	j.subs.Range(prefix, state.PrefixEnd(prefix), func(k, _ []byte) bool {
		subscribers = append(subscribers, bytes.Clone(k[len(prefix):]))
		return true
	})
	for _, k := range subscribers {
		if _, err := decodeKey(k, j.leftKey); err != nil {
			return err
		}
		l, err := j.left.get.get(j.leftKey)
		if err != nil {
			return err
		}
		if l == nil {
			continue
		}
		j.row = *r
		j.row.Key, j.row.Time = j.leftKey, max(r.Time, l.Time)
		j.row.Value = j.pair(l.Value, r.Value, j.vals)
		j.row.Old = j.pair(l.Value, r.Old, j.olds)
		if err := j.forward(&j.row); err != nil {
			return err
		}
	}
	return nil
}

// foreignKey computes the key that a left row refers to; false when it is NULL.
func (j *foreignKeyJoin) foreignKey(r *Row, dst []types.Value) bool {
	j.fk.eval(r, dst)
	return !dst[0].IsNull()
}

func (j *foreignKeyJoin) subscription(fk, key []types.Value) []byte {
	j.key = appendKey(appendKey(j.key[:0], fk), key)
	return j.key
}

// combine is the result for a left row, and the right row that it found.
func (j *foreignKeyJoin) combine(value, fk []types.Value, refers bool, dst []types.Value) ([]types.Value, *Row, error) {
	if value == nil {
		return nil, nil, nil
	}
	if !refers {
		return j.pair(value, nil, dst), nil, nil
	}
	match, err := j.right.get.get(fk)
	if err != nil {
		return nil, nil, err
	}
	if match == nil {
		return j.pair(value, nil, dst), nil, nil
	}
	return j.pair(value, match.Value, dst), match, nil
}

func (j *foreignKeyJoin) pair(l, r []types.Value, dst []types.Value) []types.Value {
	if r == nil && !j.outer {
		return nil
	}
	fill(dst[:j.left.n], l)
	fill(dst[j.right.at:], r)
	return dst
}

type foreignKeyGetter struct {
	join *foreignKeyJoin
	fk   []types.Value
	vals []types.Value
	row  Row
}

func (g *foreignKeyGetter) get(key []types.Value) (*Row, error) {
	l, err := g.join.left.get.get(key)
	if err != nil || l == nil {
		return nil, err
	}
	g.row = *l
	refers := g.join.foreignKey(l, g.fk)
	value, match, err := g.join.combine(l.Value, g.fk, refers, g.vals)
	if err != nil || value == nil {
		return nil, err
	}
	g.row.Value = value
	if match != nil {
		g.row.Time = max(g.row.Time, match.Time)
	}
	return &g.row, nil
}
