package exec

import (
	"bytes"

	"github.com/sidestream/sidestream/sidecar/engine/plan"
	"github.com/sidestream/sidestream/sidecar/engine/types"
)

// sessionAggregate folds rows by key and session: rows at most gap apart are one
// session, from its first row's time to its last's. A row that joins sessions
// takes their rows out (a deletion each, at that session's end) before the
// session that holds them all comes out.
type sessionAggregate struct {
	group
	windows    *windowStore
	gap, grace int64
	final      bool
	clock      clock
	throttle   throttle

	merged   []Window
	states   [][]types.Value
	bufs     [][]byte
	deletion Row
}

func (b *builder) sessionAggregate(n *plan.Aggregate, g group) (*stage, error) {
	w := n.Window
	s := &sessionAggregate{
		group: g, gap: w.Size, grace: w.Grace, final: n.Final,
		windows:  newWindowStore(g.store, retentionOf(w, n.Store), true),
		throttle: throttle{task: b.task, interval: b.millis(emitInterval, 1000)},
	}
	var err error
	if s.clock, err = s.windows.loadClock(); err != nil {
		return nil, err
	}
	b.task.flushes = append(b.task.flushes, func() { s.windows.saveClock(s.clock) })
	_, err = b.attach(n.Input, s)
	return &s.stage, err
}

func (s *sessionAggregate) process(r *Row) error {
	if r.Key == nil || r.Value == nil {
		return nil
	}
	s.clock.stream = max(s.clock.stream, r.Time)
	closing := s.clock.stream - s.grace - s.gap
	if err := s.update(r, closing); err != nil {
		return err
	}
	if !s.final || !s.throttle.ready() || closing <= s.clock.lastDone {
		return nil
	}
	from := s.clock.lastDone
	s.clock.lastDone = closing
	return s.windows.closed(from, closing, func(win Window, raw []byte) error { return s.emitWindow(r, win, raw) })
}

func (s *sessionAggregate) update(r *Row, closing int64) error {
	if err := s.find(r); err != nil {
		return err
	}
	win := Window{Start: r.Time, End: r.Time}
	for _, m := range s.merged {
		win.Start, win.End = min(win.Start, m.Start), max(win.End, m.End)
	}
	if win.End < closing {
		return nil
	}
	s.fold.init(s.state)
	for i, m := range s.merged {
		if err := s.fold.merge(s.state, s.states[i]); err != nil {
			return err
		}
		if m == (Window{Start: r.Time, End: r.Time}) && len(s.merged) == 1 {
			break // the same session again: it is written over
		}
		s.windows.remove(s.windows.keyBytes(r.Key, m.Start), m)
		if s.final {
			continue
		}
		s.deletion = Row{Key: r.Key, Window: m, Time: m.End, Partition: r.Partition, Offset: r.Offset}
		if s.wantsOld {
			s.deletion.Old = s.fold.final(s.states[i], s.oldVals)
		}
		if err := s.forward(&s.deletion); err != nil {
			return err
		}
	}
	if err := s.fold.add(r, s.state); err != nil {
		return err
	}
	key := s.windows.keyBytes(r.Key, win.Start)
	s.windows.put(key, win, true, win.End, win.End, s.state)
	s.windows.expire(0)
	if s.final {
		return nil
	}
	s.row = Row{Key: r.Key, Window: win, Time: win.End, Partition: r.Partition, Offset: r.Offset}
	s.row.Value = s.fold.final(s.state, s.vals)
	return s.forward(&s.row)
}

// find collects the sessions that the row belongs to, the earliest first.
func (s *sessionAggregate) find(r *Row) error {
	s.merged = s.merged[:0]
	var err error
	from := bytes.Clone(s.windows.keyBytes(r.Key, noTime))
	to := bytes.Clone(s.windows.keyBytes(r.Key, r.Time+s.gap+1))
	// Sessions of a key don't overlap, so from the last that starts early enough
	// on back, all match until one ends too early.
	s.windows.store.RangeReverse(from, to, func(k, v []byte) bool {
		var win Window
		if win.End, _, err = decodeTime(v); err != nil {
			return false
		}
		if win.End < r.Time-s.gap || s.windows.observed != noTime && win.End <= s.windows.observed-s.windows.retention {
			return false // too far away, or too old for the store to know it
		}
		if win.Start, _, err = decodeTime(k[len(k)-8:]); err != nil {
			return false
		}
		n := len(s.merged)
		if n == len(s.states) {
			s.states = append(s.states, make([]types.Value, len(s.state)))
			s.bufs = append(s.bufs, nil)
		}
		s.bufs[n] = append(s.bufs[n][:0], v[8:]...)
		if _, err = decodeRow(s.bufs[n], s.states[n]); err != nil {
			return false
		}
		s.merged = append(s.merged, win)
		return true
	})
	for i, j := 0, len(s.merged)-1; i < j; i, j = i+1, j-1 {
		s.merged[i], s.merged[j] = s.merged[j], s.merged[i]
		s.states[i], s.states[j] = s.states[j], s.states[i]
		s.bufs[i], s.bufs[j] = s.bufs[j], s.bufs[i]
	}
	return err
}
