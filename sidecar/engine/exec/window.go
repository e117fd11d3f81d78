package exec

import (
	"math"

	"github.com/sidestream/sidestream/sidecar/engine/plan"
)

// emitInterval is Kafka Streams' setting of how often EMIT FINAL looks for
// closed windows.
const emitInterval = "ksql.streams.__emit.interval.ms.kstreams.windowed.aggregation__"

// windowAggregate folds rows by key and by tumbling or hopping window. A window
// is closed once stream time has reached its end and grace; rows that come later
// are dropped in silence.
type windowAggregate struct {
	group
	windows              *windowStore
	size, advance, grace int64
	final                bool
	clock                clock
	throttle             throttle
}

func (b *builder) windowAggregate(n *plan.Aggregate, g group) (*stage, error) {
	w := n.Window
	advance := w.Advance
	if !w.Hopping || advance <= 0 {
		advance = w.Size
	}
	a := &windowAggregate{
		group: g, size: w.Size, advance: advance, grace: w.Grace, final: n.Final,
		windows:  newWindowStore(g.store, retentionOf(w, n.Store), false),
		throttle: throttle{task: b.task, interval: b.millis(emitInterval, 1000)},
	}
	var err error
	if a.clock, err = a.windows.loadClock(); err != nil {
		return nil, err
	}
	b.task.flushes = append(b.task.flushes, func() { a.windows.saveClock(a.clock) })
	_, err = b.attach(n.Input, a)
	return &a.stage, err
}

// retentionOf is how long windows are kept: as planned, else as long as a
// record may change them.
func retentionOf(w *plan.Window, s *plan.Store) int64 {
	switch {
	case w.Retention > 0:
		return w.Retention
	case s.Retention > 0:
		return s.Retention
	}
	return w.Size + w.Grace
}

func (a *windowAggregate) process(r *Row) error {
	if r.Key == nil || r.Value == nil {
		return nil
	}
	a.clock.stream = max(a.clock.stream, r.Time)
	closing := a.clock.stream - a.grace
	first := max(0, r.Time-a.size+a.advance) / a.advance * a.advance
	for start := first; start <= r.Time; start += a.advance {
		end := start + a.size
		if end < start {
			end = math.MaxInt64
		}
		if end <= closing {
			continue
		}
		if err := a.update(r, Window{Start: start, End: end}); err != nil {
			return err
		}
	}
	if !a.final {
		return nil
	}
	return a.emitClosed(r, closing)
}

func (a *windowAggregate) update(r *Row, win Window) error {
	key := a.windows.keyBytes(r.Key, win.Start)
	_, time, found, err := a.windows.load(key, a.state)
	if err != nil {
		return err
	}
	if !found {
		a.fold.init(a.state)
		time = r.Time
	}
	old := a.old(found)
	time = max(time, r.Time)
	if err := a.fold.add(r, a.state); err != nil {
		return err
	}
	a.windows.put(key, win, !found, win.Start, time, a.state)
	a.windows.expire(a.size)
	if a.final {
		return nil
	}
	a.row = *r
	a.row.Window, a.row.Time, a.row.Value, a.row.Old = win, time, a.fold.final(a.state, a.vals), old
	return a.forward(&a.row)
}

// emitClosed hands out the windows that have closed since it last did.
func (a *windowAggregate) emitClosed(r *Row, closing int64) error {
	if !a.throttle.ready() || closing <= a.clock.lastDone {
		return nil
	}
	// Only a window's end can close one.
	if a.clock.lastDone != noTime && floorDiv(closing-a.size, a.advance) == floorDiv(a.clock.lastDone-a.size, a.advance) {
		return nil
	}
	from := a.clock.lastDone
	if from != noTime {
		from++
	}
	a.clock.lastDone = closing
	return a.windows.closed(from, closing+1, func(win Window, raw []byte) error {
		return a.emitWindow(r, win, raw)
	})
}

// emitWindow hands out the final row of a window.
func (g *group) emitWindow(r *Row, win Window, raw []byte) error {
	g.key = appendTime(append(append(g.key[:0], byKey), raw...), win.Start)
	data, ok := g.store.Get(g.key)
	if !ok {
		return errStore
	}
	g.scratch = append(g.scratch[:0], data...)
	_, rest, err := decodeTime(g.scratch)
	if err != nil {
		return err
	}
	time, err := decodeRow(rest, g.state)
	if err != nil {
		return err
	}
	if _, err := decodeKey(raw, g.keyVals); err != nil {
		return err
	}
	g.row = Row{Key: g.keyVals, Window: win, Time: time, Value: g.fold.final(g.state, g.vals), Headers: r.Headers, Partition: r.Partition}
	return g.forward(&g.row)
}
