package main

import (
	"sync"
	"time"

	"github.com/sidestream/sidestream/services/internal/order"
)

// record is one record of `orders`.
type record struct {
	partition int32
	offset    int64
	id        string
	value     []byte
	time      time.Time
}

func (r *record) order() (order.Order, error) { return order.Decode(r.value) }

// recent holds the newest records of `orders` that this replica has seen, and
// tells those who wait for an order or for any record.
//
// It is filled by one goroutine (the tail's). Readers and waiters may be any
// number; each costs one entry of a map until it leaves.
type recent struct {
	mu       sync.RWMutex
	parts    map[int32]*ring
	latest   map[string]*record
	watches  map[string]map[*watch]struct{}
	watching int
	bells    map[chan struct{}]struct{}
	size     int // records kept of a partition
}

// ring is the newest records of a partition: complete from floor to next.
type ring struct {
	floor, next int64 // offsets
	records     []*record
	start       int
}

func newRecent(size int) *recent {
	return &recent{
		parts: map[int32]*ring{}, latest: map[string]*record{},
		watches: map[string]map[*watch]struct{}{}, bells: map[chan struct{}]struct{}{}, size: size,
	}
}

// open says that the records of a partition will come from this offset on.
func (s *recent) open(partition int32, offset int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.parts[partition] = &ring{floor: offset, next: offset}
}

// add takes the next record of its partition, and wakes who waits for it. It
// returns the record that was the order's latest before.
func (s *recent) add(r *record) (before *record) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.parts[r.partition]
	if p == nil {
		p = &ring{floor: r.offset}
		s.parts[r.partition] = p
	}
	if r.offset < p.next { // read again after a reset of the client
		return nil
	}
	p.next = r.offset + 1
	if len(p.records) < s.size {
		p.records = append(p.records, r)
	} else {
		old := p.records[p.start]
		p.records[p.start] = r
		p.start = (p.start + 1) % s.size
		p.floor = old.offset + 1
		if s.latest[old.id] == old {
			delete(s.latest, old.id)
		}
	}
	before = s.latest[r.id]
	s.latest[r.id] = r
	for w := range s.watches[r.id] {
		w.put(r)
	}
	for bell := range s.bells {
		select {
		case bell <- struct{}{}:
		default: // rung already
		}
	}
	return before
}

// watch waits for records of one order.
type watch struct {
	of *recent
	id string
	C  chan *record // holds the newest record that wasn't taken yet
}

// watch begins to wait, and returns the order's latest record, if it is among
// the newest: nothing that comes after that one is missed.
func (s *recent) watch(id string) (*watch, *record) {
	w := &watch{of: s, id: id, C: make(chan *record, 1)}
	s.mu.Lock()
	defer s.mu.Unlock()
	set := s.watches[id]
	if set == nil {
		set = map[*watch]struct{}{}
		s.watches[id] = set
	}
	set[w] = struct{}{}
	s.watching++
	return w, s.latest[id]
}

// put is called with the lock held, so it is the only sender.
func (w *watch) put(r *record) {
	select {
	case <-w.C: // an older one that nobody took
	default:
	}
	w.C <- r
}

// stop ends the wait.
func (w *watch) stop() {
	s := w.of
	s.mu.Lock()
	defer s.mu.Unlock()
	set := s.watches[w.id]
	delete(set, w)
	if len(set) == 0 {
		delete(s.watches, w.id)
	}
	s.watching--
}

// waiting is the number of watches.
func (s *recent) waiting() int {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.watching
}

// bell rings (at most once until it is taken) when any record comes. Call the
// function when done.
func (s *recent) bell() (<-chan struct{}, func()) {
	ch := make(chan struct{}, 1)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.bells[ch] = struct{}{}
	return ch, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.bells, ch)
	}
}

// positions returns the offset behind the newest record of each partition.
func (s *recent) positions() map[int32]int64 {
	s.mu.RLock()
	defer s.mu.RUnlock()
	out := make(map[int32]int64, len(s.parts))
	for p, r := range s.parts {
		out[p] = r.next
	}
	return out
}

// since returns up to most records of a partition from the offset on. If the
// records from there on aren't all here any more, it returns none, and the
// offset from which on they are.
func (s *recent) since(partition int32, offset int64, most int) (records []*record, floor int64) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	p := s.parts[partition]
	if p == nil {
		return nil, offset
	}
	if offset < p.floor {
		return nil, p.floor
	}
	n := len(p.records)
	at := func(i int) *record { return p.records[(p.start+i)%n] }
	lo, hi := 0, n
	for lo < hi { // the first at or behind the offset
		if mid := (lo + hi) / 2; at(mid).offset < offset {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	for i := lo; i < n && len(records) < most; i++ {
		records = append(records, at(i))
	}
	return records, offset
}
