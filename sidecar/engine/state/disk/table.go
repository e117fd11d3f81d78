package disk

import (
	"bytes"
	"fmt"
	"unsafe"

	"github.com/RaduBerinde/btreemap"
	"github.com/cockroachdb/pebble/v2"
)

// Table is a Store over a Disk. What is written stays in memory, seen by this
// table alone, until Apply puts it into a batch; Discard forgets it. So a
// transaction's changes reach the disk all together, and only when it has ended.
//
// A table belongs to one goroutine. A disk that fails to read makes the table
// panic with a *Failure, since a Store has no errors: who runs a task recovers it.
type Table struct {
	disk   *Disk
	prefix []byte
	key    []byte // scratch: prefix ‖ key

	changes map[string]*change
	order   *btreemap.BTreeMap[[]byte, *change]
	fresh   []*change // not yet in order: only Range needs them there
	free    []*change

	// What Get hands out stays valid until the next write: it is cut from here.
	arena []byte
}

type change struct {
	key, value []byte
	deleted    bool
}

// Failure is what a Table panics with when the disk can't be read.
type Failure struct{ Err error }

func (f *Failure) Error() string { return fmt.Sprintf("state store can't be read: %v", f.Err) }
func (f *Failure) Unwrap() error { return f.Err }

// Table makes the store of the keys behind a prefix.
func (d *Disk) Table(prefix []byte) *Table {
	return &Table{disk: d, prefix: bytes.Clone(prefix), changes: map[string]*change{},
		order: btreemap.New[[]byte, *change](32, bytes.Compare)}
}

func (t *Table) diskKey(key []byte) []byte {
	t.key = append(append(t.key[:0], t.prefix...), key...)
	return t.key
}

// Get implements Reader.
func (t *Table) Get(key []byte) ([]byte, bool) {
	if c, ok := t.changes[string(key)]; ok {
		return c.value, !c.deleted
	}
	v, closer, err := t.disk.db.Get(t.diskKey(key))
	if err == pebble.ErrNotFound {
		return nil, false
	}
	if err != nil {
		panic(&Failure{err})
	}
	v = t.keep(v)
	closer.Close()
	return v, true
}

// keep copies v to where it stays until the next write. A full block is left to
// those who still look at it.
func (t *Table) keep(v []byte) []byte {
	if len(v) > cap(t.arena)-len(t.arena) {
		t.arena = make([]byte, 0, max(4<<10, len(v)))
	}
	from := len(t.arena)
	t.arena = append(t.arena, v...)
	return t.arena[from:len(t.arena):len(t.arena)]
}

// Put implements Store.
func (t *Table) Put(key, value []byte) {
	c := t.change(key)
	c.deleted = false
	c.value = append(c.value[:0], value...)
	t.arena = t.arena[:0]
}

// Delete implements Store.
func (t *Table) Delete(key []byte) {
	c := t.change(key)
	c.deleted = true
	c.value = c.value[:0]
	t.arena = t.arena[:0]
}

func (t *Table) change(key []byte) *change {
	if c, ok := t.changes[string(key)]; ok {
		return c
	}
	var c *change
	if n := len(t.free); n > 0 {
		c, t.free = t.free[n-1], t.free[:n-1]
	} else {
		c = &change{}
	}
	c.key = append(c.key[:0], key...)
	t.changes[unsafe.String(unsafe.SliceData(c.key), len(c.key))] = c // the key stays as it is while it is in the map
	t.fresh = append(t.fresh, c)
	return c
}

// Range implements Reader.
func (t *Table) Range(from, to []byte, fn func(key, value []byte) bool) {
	t.scan(from, to, false, fn)
}

// RangeReverse implements Reader.
func (t *Table) RangeReverse(from, to []byte, fn func(key, value []byte) bool) {
	t.scan(from, to, true, fn)
}

// scan merges the disk's keys with the changes.
func (t *Table) scan(from, to []byte, reverse bool, fn func(key, value []byte) bool) {
	for _, c := range t.fresh {
		t.order.ReplaceOrInsert(c.key, c)
	}
	t.fresh = t.fresh[:0]

	it, err := t.disk.iterate(t.prefix, from, to)
	if err != nil {
		panic(&Failure{err})
	}
	defer it.Close()
	step, ok := it.Next, false
	if reverse {
		step, ok = it.Prev, it.Last()
	} else {
		ok = it.First()
	}
	// disk hands out the disk's keys up to limit (nil: all); equal tells that the
	// key at limit is on the disk too.
	disk := func(limit []byte) (more bool) {
		for ; ok; ok = step() {
			k := it.Key()[len(t.prefix):]
			if limit != nil {
				cmp := bytes.Compare(k, limit)
				if reverse {
					cmp = -cmp
				}
				if cmp == 0 { // changed: the change is what counts
					ok = step()
					return true
				}
				if cmp > 0 {
					return true
				}
			}
			v, err := it.ValueAndErr()
			if err != nil {
				panic(&Failure{err})
			}
			if !fn(k, v) {
				return false
			}
		}
		if err := it.Error(); err != nil {
			panic(&Failure{err})
		}
		return true
	}
	more := true
	visit := func(k []byte, c *change) bool {
		if more = disk(k); more && !c.deleted {
			more = fn(k, c.value)
		}
		return more
	}
	high := btreemap.Max[[]byte]()
	if to != nil {
		high = btreemap.LT(to)
	}
	if reverse {
		t.order.DescendFunc(high, btreemap.GE(from), visit)
	} else {
		t.order.AscendFunc(btreemap.GE(from), high, visit)
	}
	if more {
		disk(nil)
	}
}

// Changed is the number of keys that changed since the last Apply or Discard.
func (t *Table) Changed() int { return len(t.changes) }

// Changes calls fn for each changed key, in no order.
func (t *Table) Changes(fn func(key, value []byte, deleted bool) error) error {
	for _, c := range t.changes {
		if err := fn(c.key, c.value, c.deleted); err != nil {
			return err
		}
	}
	return nil
}

// Apply puts the changes into a batch. Call Discard when the batch is committed.
func (t *Table) Apply(b *Batch) error {
	for _, c := range t.changes {
		var err error
		if c.deleted {
			err = b.Delete(t.diskKey(c.key))
		} else {
			err = b.Set(t.diskKey(c.key), c.value)
		}
		if err != nil {
			return fmt.Errorf("state store: %w", err)
		}
	}
	return nil
}

// Discard forgets the changes.
func (t *Table) Discard() {
	for _, c := range t.changes {
		if len(t.free) < maxFree && cap(c.value) < 4<<10 {
			t.free = append(t.free, c)
		}
	}
	clear(t.changes)
	if len(t.fresh) < cap(t.fresh) || len(t.fresh) > 0 {
		clear(t.fresh)
		t.fresh = t.fresh[:0]
	}
	if t.order.Len() > 0 {
		t.order.Clear(false)
	}
	t.arena = t.arena[:0]
}

// maxFree bounds the changes that are kept to be used again.
const maxFree = 1024
