package transact

import (
	"bytes"
	"slices"
	"time"
)

// Tx is the view that one call of Process or Tick has: the state of its
// partition, and what it emits.
type Tx struct {
	task    *task
	batch   *batch
	now     time.Time
	time    time.Time // of the record; now in a tick
	undo    []undo    // how to take back what this call did to the overlay
	outputs int       // of the batch before this call
	bad     error
}

type undo struct {
	key     string
	old     change
	existed bool
}

// State is the state of the record's partition. Without Config.Changelog it
// is empty, and changing it panics.
func (t *Tx) State() State { return (*txState)(t) }

// Emit sends r to the partition of its topic that Kafka's default partitioner
// (murmur2 of the key) chooses, when the transaction commits.
func (t *Tx) Emit(r Record) { t.emit(r, -1) }

// EmitTo is Emit to a given partition.
func (t *Tx) EmitTo(partition int32, r Record) { t.emit(r, partition) }

func (t *Tx) emit(r Record, partition int32) {
	r.Partition, r.Offset = partition, -1
	if r.Time.IsZero() {
		r.Time = t.time
	}
	t.batch.outputs = append(t.batch.outputs, r)
}

// Now is the wall clock's time when this call began.
func (t *Tx) Now() time.Time { return t.now }

// Time is the timestamp of the record; in a tick it is Now.
func (t *Tx) Time() time.Time { return t.time }

// Partition is the number of the task.
func (t *Tx) Partition() int32 { return t.task.partition }

// Bad logs and counts the record as bad, as a Poison error does, but keeps what
// the call changes and emits: for a processor that has an answer to a record
// which it can't use.
func (t *Tx) Bad(err error) { t.bad = err }

// rollback takes back all that the call did.
func (t *Tx) rollback() {
	for _, u := range slices.Backward(t.undo) {
		if u.existed {
			t.task.overlay[u.key] = u.old
		} else {
			delete(t.task.overlay, u.key)
		}
	}
	t.batch.outputs = t.batch.outputs[:t.outputs]
}

// change is an uncommitted change of a key: its new value, or its deletion.
type change struct {
	value   []byte
	deleted bool
}

type txState Tx

func (s *txState) Get(key []byte) ([]byte, bool) {
	if c, ok := s.task.overlay[string(key)]; ok {
		return c.value, !c.deleted
	}
	if s.task.store == nil {
		return nil, false
	}
	return s.task.store.get(s.task.partition, key)
}

func (s *txState) Put(key, value []byte) {
	if value == nil {
		value = []byte{} // null is a deletion on the changelog
	}
	s.set(key, change{value: value})
}

func (s *txState) Delete(key []byte) {
	if _, ok := s.Get(key); ok {
		s.set(key, change{deleted: true})
	}
}

func (s *txState) set(key []byte, c change) {
	if s.task.store == nil {
		panic("transact: a processor without Config.Changelog changed its state")
	}
	old, existed := s.task.overlay[string(key)]
	s.undo = append(s.undo, undo{key: string(key), old: old, existed: existed})
	s.task.overlay[string(key)] = c
}

// Range merges the uncommitted changes into the store's order.
func (s *txState) Range(from, to []byte, fn func(k, v []byte) bool) {
	if s.task.store == nil {
		return
	}
	var keys []string
	for k := range s.task.overlay {
		if (from == nil || k >= string(from)) && (to == nil || k < string(to)) {
			keys = append(keys, k)
		}
	}
	slices.Sort(keys)
	own := func(k string) bool { // false: stop
		c := s.task.overlay[k]
		return c.deleted || fn([]byte(k), c.value)
	}
	stopped := false
	s.task.store.scan(s.task.partition, from, to, func(k, v []byte) bool {
		for len(keys) > 0 && keys[0] < string(k) {
			if !own(keys[0]) {
				stopped = true
				return false
			}
			keys = keys[1:]
		}
		if len(keys) > 0 && keys[0] == string(k) {
			return true // changed: comes with the next key or at the end
		}
		if !fn(bytes.Clone(k), bytes.Clone(v)) {
			stopped = true
		}
		return !stopped
	})
	if stopped {
		return
	}
	for _, k := range keys {
		if !own(k) {
			return
		}
	}
}
