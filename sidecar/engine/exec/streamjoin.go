package exec

import (
	"bytes"
	"math"

	"github.com/sidestream/sidestream/sidecar/engine/plan"
	"github.com/sidestream/sidestream/sidecar/engine/state"
	"github.com/sidestream/sidestream/sidecar/engine/types"
)

// outerInterval is Kafka Streams' setting of how often an outer join looks for
// rows that will find no match any more.
const outerInterval = "ksql.streams.__emit.interval.ms.kstreams.outer.join.spurious.results.fix__"

// dayMillis is the grace of a join without GRACE PERIOD, window included.
const dayMillis = 24 * 60 * 60 * 1000

// streamJoin joins records of two streams whose times are near each other. A
// record looks for its partners among those of the other side that came before
// it, so each pair comes out once.
//
// A row without match of an outer join comes out at once where the join has no
// grace period; else it waits among the outer rows until stream time has passed
// its window and grace, and then comes out with the next record.
type streamJoin struct {
	stage
	task     *Task
	sides    [2]joinSide // left, right
	outer    state.Store // rows that wait; nil without
	grace    int64
	stream   int64 // the latest time of either side
	earliest int64 // no row waits from before that
	throttle throttle

	key, value []byte
	keyVals    []types.Value
	vals       []types.Value
	row        Row
}

type joinSide struct {
	rows   *joinStore
	before int64 // partners may be that much earlier
	after  int64 // or later
	pads   bool  // its rows come out without a match too
	cols   []types.Value
	at     int  // where its columns start in the output
	mark   byte // in the keys of waiting rows
}

const left, right = 0, 1

func (b *builder) streamStreamJoin(n *plan.StreamStreamJoin) (*stage, error) {
	grace := n.Grace
	if grace < 0 {
		grace = max(0, dayMillis-n.Before-n.After)
	}
	keep := func(s *plan.Store) int64 {
		if s.Retention > 0 {
			return s.Retention
		}
		return n.Before + n.After + grace
	}
	nl, nr := len(n.Left.Out().Schema.Value), len(n.Right.Out().Schema.Value)
	j := &streamJoin{
		task: b.task, grace: grace, stream: noTime, earliest: noTime,
		throttle: throttle{task: b.task, interval: b.millis(outerInterval, 1000)},
		keyVals:  make([]types.Value, len(n.Schema.Key)), vals: make([]types.Value, nl+nr),
	}
	j.sides[left] = joinSide{rows: newJoinStore(b.env.Store(n.LeftStore), keep(n.LeftStore), n.Window != plan.NoWindow), before: n.Before, after: n.After,
		pads: n.Type == plan.Left || n.Type == plan.Full, cols: make([]types.Value, nl), at: 0}
	j.sides[right] = joinSide{rows: newJoinStore(b.env.Store(n.RightStore), keep(n.RightStore), n.Window != plan.NoWindow), before: n.After, after: n.Before,
		pads: n.Type == plan.Right || n.Type == plan.Full, cols: make([]types.Value, nr), at: nl}
	// Of two rows that wait since the same time, the one of the side that the
	// join doesn't start from is first.
	j.sides[left].mark, j.sides[right].mark = 1, 0
	if n.Type == plan.Right {
		// ksqlDB runs it as the left join of the right stream, whose window it
		// forgets to turn around.
		j.sides[left].before, j.sides[left].after = n.After, n.Before
		j.sides[right].before, j.sides[right].after = n.Before, n.After
		j.sides[left].mark, j.sides[right].mark = 0, 1
	}
	if n.Type != plan.Inner && n.Grace >= 0 && n.OuterStore != nil {
		j.outer = b.env.Store(n.OuterStore)
	}
	j.stream = max(j.sides[left].rows.observed, j.sides[right].rows.observed)
	b.task.flushes = append(b.task.flushes, j.flush)
	if _, err := b.attach(n.Left, operatorFunc(func(r *Row) error { return j.process(r, left) })); err != nil {
		return nil, err
	}
	if _, err := b.attach(n.Right, operatorFunc(func(r *Row) error { return j.process(r, right) })); err != nil {
		return nil, err
	}
	return &j.stage, nil
}

func (j *streamJoin) flush() {
	j.sides[left].rows.flush()
	j.sides[right].rows.flush()
}

func (j *streamJoin) process(r *Row, side int) error {
	s, other := &j.sides[side], &j.sides[1-side]
	if r.Value == nil {
		return nil
	}
	if r.Key != nil {
		s.rows.put(r)
	}
	j.stream = max(j.stream, r.Time)
	if r.Key == nil {
		if s.pads {
			return j.padded(r, side, r.Value)
		}
		return nil
	}
	if j.outer != nil && r.Time == j.stream {
		if err := j.emitWaiting(r); err != nil {
			return err
		}
	}
	matched := false
	copy(j.vals[s.at:], r.Value)
	err := other.rows.each(r, r.Time-s.before, r.Time+s.after, other.cols, func(time int64) error {
		matched = true
		if j.outer != nil {
			j.unwait(r, time, 1-side)
		}
		copy(j.vals[other.at:], other.cols)
		j.row = *r
		j.row.Value, j.row.Time, j.row.Old = j.vals, max(r.Time, time), nil
		return j.forward(&j.row)
	})
	if err != nil || matched || !s.pads {
		return err
	}
	if j.outer == nil || r.Time+s.after < j.stream {
		return j.padded(r, side, r.Value)
	}
	j.wait(r, s)
	return nil
}

// padded hands out a row of one side without a match.
func (j *streamJoin) padded(r *Row, side int, value []types.Value) error {
	s, other := &j.sides[side], &j.sides[1-side]
	copy(j.vals[s.at:], value)
	clear(j.vals[other.at : other.at+len(other.cols)])
	j.row = *r
	j.row.Value, j.row.Old = j.vals, nil
	return j.forward(&j.row)
}

// Waiting rows: time ‖ side ‖ key ‖ number → columns.

func (j *streamJoin) waitKey(r *Row, time int64, s *joinSide) []byte {
	j.key = s.rows.appendKey(append(appendTime(j.key[:0], time), s.mark), r)
	return j.key
}

func (j *streamJoin) wait(r *Row, s *joinSide) {
	j.key = appendNumber(j.outer, j.waitKey(r, r.Time, s))
	j.value = j.value[:0]
	for _, v := range r.Value {
		j.value = types.AppendBinary(j.value, v)
	}
	j.outer.Put(j.key, j.value)
	j.earliest = min(j.earliest, r.Time)
}

// unwait takes out the waiting rows of r's key and that time: they have a match.
func (j *streamJoin) unwait(r *Row, time int64, side int) {
	prefix := j.waitKey(r, time, &j.sides[side])
	n := len(prefix)
	j.key = append(prefix, 0, 0, 0, 0)
	if _, ok := j.outer.Get(j.key); !ok {
		return
	}
	var doomed [][]byte
	j.outer.Range(j.key[:n], state.PrefixEnd(j.key[:n]), func(k, _ []byte) bool {
		doomed = append(doomed, bytes.Clone(k))
		return true
	})
	for _, k := range doomed {
		j.outer.Delete(k)
	}
}

// emitWaiting hands out the waiting rows whose window and grace are over.
func (j *streamJoin) emitWaiting(r *Row) error {
	soonest := min(j.sides[left].after, j.sides[right].after)
	if j.earliest != noTime && j.earliest >= j.stream-soonest-j.grace || !j.throttle.ready() {
		return nil
	}
	type waiting struct{ key, value []byte }
	var due []waiting
	var open [2]bool
	j.earliest = math.MaxInt64
	var err error
	j.outer.Range(nil, nil, func(k, v []byte) bool {
		var time int64
		if time, _, err = decodeTime(k); err != nil {
			return false
		}
		side := j.sideOf(k[8])
		if time+j.sides[side].after+j.grace >= j.stream {
			j.earliest = min(j.earliest, time)
			open[side] = true
			return !(open[left] && open[right])
		}
		due = append(due, waiting{bytes.Clone(k), bytes.Clone(v)})
		return true
	})
	if err != nil {
		return err
	}
	for _, w := range due {
		j.outer.Delete(w.key)
		side := j.sideOf(w.key[8])
		time, rest, err := decodeTime(w.key)
		if err != nil {
			return err
		}
		if rest, err = decodeKey(rest[1:], j.keyVals); err != nil {
			return err
		}
		if err := decodeColumns(w.value, j.sides[side].cols); err != nil {
			return err
		}
		var win Window
		if j.sides[side].rows.windowed {
			if win.Start, rest, err = decodeTime(rest); err == nil {
				win.End, _, err = decodeTime(rest)
			}
			if err != nil {
				return err
			}
		}
		row := Row{Key: j.keyVals, Window: win, Time: time, Headers: r.Headers, Partition: r.Partition, Offset: r.Offset}
		if err := j.padded(&row, side, j.sides[side].cols); err != nil {
			return err
		}
	}
	return nil
}

func (j *streamJoin) sideOf(mark byte) int {
	if j.sides[left].mark == mark {
		return left
	}
	return right
}
