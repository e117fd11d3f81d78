package exec

import (
	"bytes"

	"github.com/sidestream/sidestream/sidecar/engine/state"
	"github.com/sidestream/sidestream/sidecar/engine/types"
)

// A windowed aggregation's store holds three kinds of entries, told apart by
// their first byte:
//
//	0 ‖ end ‖ start ‖ key → nothing   the windows by time: which close, which are too old
//	1 ‖ key ‖ start → end ‖ state     the windows by key
//	2 → stream time, last close       what the operator knows beside them
const (
	byTime  = 0
	byKey   = 1
	windows = 2
)

// windowStore keeps the windows of an aggregation, and drops those that are
// older than its retention.
type windowStore struct {
	store     state.Store
	retention int64
	// expires rounds: Kafka's session stores drop whole segments, its window
	// stores are exact.
	segment  int64
	observed int64 // the latest time by which windows were put
	expired  int64 // windows whose time is before that are gone

	key, index, value, scratch []byte
	doomed                     [][]byte
}

func newWindowStore(s state.Store, retention int64, segmented bool) *windowStore {
	w := &windowStore{store: s, retention: retention, observed: noTime, expired: noTime}
	if segmented {
		w.segment = max(retention/2, 60_000)
	}
	return w
}

func (w *windowStore) keyBytes(key []types.Value, start int64) []byte {
	w.key = appendTime(appendKey(append(w.key[:0], byKey), key), start)
	return w.key
}

func appendIndex(dst []byte, win Window, key []byte) []byte {
	return append(appendTime(appendTime(append(dst, byTime), win.End), win.Start), key...)
}

// rawKey is the key's part of a key made by keyBytes.
func rawKey(k []byte) []byte { return k[1 : len(k)-8] }

// put writes a window; time is the one that retention goes by.
func (w *windowStore) put(key []byte, win Window, fresh bool, retainBy, time int64, state []types.Value) {
	w.value = appendRow(appendTime(w.value[:0], win.End), time, state)
	w.store.Put(key, w.value)
	if !fresh {
		return
	}
	w.index = appendIndex(w.index[:0], win, rawKey(key))
	w.store.Put(w.index, nil)
	if retainBy > w.observed {
		w.observed = retainBy
	}
}

func (w *windowStore) remove(key []byte, win Window) {
	w.store.Delete(key)
	w.index = appendIndex(w.index[:0], win, rawKey(key))
	w.store.Delete(w.index)
}

// load decodes the window at key into state, and tells its end and time. The
// state points into the store's own buffer until the next load.
func (w *windowStore) load(key []byte, state []types.Value) (end, time int64, found bool, err error) {
	data, ok := w.store.Get(key)
	if !ok {
		return 0, 0, false, nil
	}
	w.scratch = append(w.scratch[:0], data...)
	end, rest, err := decodeTime(w.scratch)
	if err != nil {
		return 0, 0, false, err
	}
	time, err = decodeRow(rest, state)
	return end, time, true, err
}

// expire drops the windows that retention no longer covers. size is the
// difference between a window's end and the time that retention goes by.
func (w *windowStore) expire(size int64) {
	if w.observed == noTime {
		return
	}
	limit := w.observed - w.retention
	if w.segment > 0 {
		limit = floorDiv(limit, w.segment) * w.segment
	}
	if limit <= w.expired {
		return
	}
	w.expired = limit
	w.doomed = w.doomed[:0]
	w.store.Range([]byte{byTime}, appendTime([]byte{byTime}, limit+size), func(k, _ []byte) bool {
		w.doomed = append(w.doomed, bytes.Clone(k))
		return true
	})
	for _, k := range w.doomed {
		w.store.Delete(k)
		w.key = append(append(append(w.key[:0], byKey), k[17:]...), k[9:17]...)
		w.store.Delete(w.key)
	}
}

// closed calls fn for the windows that end in [from, to), by their end, start
// and key. fn may write.
func (w *windowStore) closed(from, to int64, fn func(win Window, key []byte) error) error {
	var found [][]byte
	w.store.Range(appendTime([]byte{byTime}, from), appendTime([]byte{byTime}, to), func(k, _ []byte) bool {
		found = append(found, bytes.Clone(k))
		return true
	})
	for _, k := range found {
		end, rest, err := decodeTime(k[1:])
		if err != nil {
			return err
		}
		start, raw, err := decodeTime(rest)
		if err != nil {
			return err
		}
		if err := fn(Window{Start: start, End: end}, raw); err != nil {
			return err
		}
	}
	return nil
}

// clock is what a windowed operator must remember over a restart.
type clock struct {
	stream   int64 // the latest time it has seen
	lastDone int64 // EMIT FINAL: windows that close at that time or before are out
}

func (w *windowStore) saveClock(c clock) {
	data := appendTime(appendTime(appendTime(nil, c.stream), c.lastDone), w.observed)
	if old, ok := w.store.Get([]byte{windows}); !ok || !bytes.Equal(old, data) {
		w.store.Put([]byte{windows}, data)
	}
}

func (w *windowStore) loadClock() (clock, error) {
	c := clock{noTime, noTime}
	data, ok := w.store.Get([]byte{windows})
	if !ok {
		return c, nil
	}
	var err error
	if c.stream, data, err = decodeTime(data); err != nil {
		return c, err
	}
	if c.lastDone, data, err = decodeTime(data); err != nil {
		return c, err
	}
	w.observed, _, err = decodeTime(data)
	return c, err
}
