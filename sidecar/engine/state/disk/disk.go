// Package disk keeps stores in a directory: the state that a process has without
// reading its changelogs again.
//
// In: keys and values of package state's stores, in batches that a commit makes
// one. Out: the same after a restart. It is a package of its own so that what
// needs stores only (package exec) knows no disk.
//
// Next: package runtime opens it.
package disk

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/sidestream/sidestream/sidecar/engine/state"
)

// Disk keeps the stores of one process in one directory, told apart by key
// prefixes. It has no write-ahead log: what a crash takes from it is a tail of
// whole batches, which the changelogs give back.
//
// Its methods may be called from any goroutine.
type Disk struct {
	db *pebble.DB

	mu     sync.RWMutex // held for reading by readers, so that Close waits for them
	closed bool
}

// ErrClosed is what a store answers that has been closed.
var ErrClosed = errors.New("the state store is closed")

// Open opens the stores in a directory, or in memory when dir is empty. The
// directory belongs to one process at a time.
func Open(dir string) (*Disk, error) {
	opts := &pebble.Options{
		DisableWAL:                  true,
		MemTableSize:                4 << 20,
		MemTableStopWritesThreshold: 4,
		Logger:                      quiet{},
	}
	if dir == "" {
		opts.FS = vfs.NewMem()
		dir = "memory"
	} else if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("state directory %s: %w", dir, err)
	}
	cache := pebble.NewCache(8 << 20)
	defer cache.Unref()
	opts.Cache = cache
	db, err := pebble.Open(filepath.Clean(dir), opts)
	if err != nil {
		return nil, fmt.Errorf("state directory %s can't be opened: %w (is another process using it? If it is damaged, remove it: the state is rebuilt from Kafka)", dir, err)
	}
	return &Disk{db: db}, nil
}

// Close writes everything down and closes the stores. It waits for readers.
func (d *Disk) Close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return nil
	}
	d.closed = true
	return errors.Join(d.db.Flush(), d.db.Close())
}

// Flush writes down what is in memory, so that a crash doesn't take it.
func (d *Disk) Flush() error {
	d.mu.RLock()
	defer d.mu.RUnlock()
	if d.closed {
		return ErrClosed
	}
	return d.db.Flush()
}

// FlushSoon is Flush without waiting for it.
func (d *Disk) FlushSoon() {
	d.mu.RLock()
	defer d.mu.RUnlock()
	if !d.closed {
		d.db.AsyncFlush() // what goes wrong shows at the next write
	}
}

// Get appends the value at key to dst, and tells whether there is one.
func (d *Disk) Get(dst, key []byte) (value []byte, found bool, err error) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	if d.closed {
		return dst, false, ErrClosed
	}
	v, closer, err := d.db.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return dst, false, nil
	}
	if err != nil {
		return dst, false, fmt.Errorf("state store: %w", err)
	}
	dst = append(dst, v...)
	return dst, true, closer.Close()
}

// Wipe removes every key with the prefix.
func (d *Disk) Wipe(prefix []byte) error {
	d.mu.RLock()
	defer d.mu.RUnlock()
	if d.closed {
		return ErrClosed
	}
	end := state.PrefixEnd(prefix)
	if end == nil {
		end = []byte{0xff, 0xff, 0xff, 0xff}
	}
	return d.db.DeleteRange(prefix, end, pebble.NoSync)
}

// Batch collects writes that come into effect together.
type Batch struct {
	disk *Disk
	b    *pebble.Batch
}

// Batch starts an empty batch. Commit or drop it.
func (d *Disk) Batch() *Batch { return &Batch{disk: d, b: d.db.NewBatch()} }

// Set writes a key.
func (b *Batch) Set(key, value []byte) error { return b.b.Set(key, value, nil) }

// Delete removes a key.
func (b *Batch) Delete(key []byte) error { return b.b.Delete(key, nil) }

// Size is about how many bytes the batch takes.
func (b *Batch) Size() int { return b.b.Len() }

// Commit applies the batch. The batch is empty afterwards and can be used again.
func (b *Batch) Commit() error {
	b.disk.mu.RLock()
	defer b.disk.mu.RUnlock()
	if b.disk.closed {
		return ErrClosed
	}
	if b.b.Empty() {
		return nil
	}
	if err := b.b.Commit(pebble.NoSync); err != nil {
		return fmt.Errorf("state store: %w", err)
	}
	b.b.Reset()
	return nil
}

// Drop ends a batch without applying it.
func (b *Batch) Drop() { b.b.Close() }

// View reads the keys behind a prefix, as they are committed. It is a Reader
// for one goroutine, next to those that write. What it hands out is valid until
// the next call; Err tells whether reading failed.
type View struct {
	disk   *Disk
	prefix []byte
	key    []byte
	value  []byte
	err    error
}

// View makes a reader of the keys behind a prefix.
func (d *Disk) View(prefix []byte) *View {
	return &View{disk: d, prefix: append([]byte(nil), prefix...)}
}

// Err is the first error that reading met.
func (v *View) Err() error { return v.err }

// Get implements Reader.
func (v *View) Get(key []byte) ([]byte, bool) {
	v.key = append(append(v.key[:0], v.prefix...), key...)
	value, ok, err := v.disk.Get(v.value[:0], v.key)
	if err != nil {
		v.fail(err)
		return nil, false
	}
	v.value = value
	return value, ok
}

// Range implements Reader.
func (v *View) Range(from, to []byte, fn func(key, value []byte) bool) { v.scan(from, to, false, fn) }

// RangeReverse implements Reader.
func (v *View) RangeReverse(from, to []byte, fn func(key, value []byte) bool) {
	v.scan(from, to, true, fn)
}

func (v *View) scan(from, to []byte, reverse bool, fn func(key, value []byte) bool) {
	v.disk.mu.RLock()
	defer v.disk.mu.RUnlock()
	if v.disk.closed {
		v.fail(ErrClosed)
		return
	}
	it, err := v.disk.iterate(v.prefix, from, to)
	if err != nil {
		v.fail(err)
		return
	}
	step, ok := it.Next, false
	if reverse {
		step, ok = it.Prev, it.Last()
	} else {
		ok = it.First()
	}
	for ; ok; ok = step() {
		value, err := it.ValueAndErr()
		if err != nil {
			v.fail(err)
			break
		}
		if !fn(it.Key()[len(v.prefix):], value) {
			break
		}
	}
	v.fail(it.Close())
}

func (v *View) fail(err error) {
	if v.err == nil && err != nil {
		v.err = fmt.Errorf("state store: %w", err)
	}
}

// iterate makes an iterator over [from, to) behind a prefix.
func (d *Disk) iterate(prefix, from, to []byte) (*pebble.Iterator, error) {
	low := append(append(make([]byte, 0, len(prefix)+len(from)), prefix...), from...)
	high := state.PrefixEnd(prefix)
	if to != nil {
		high = append(append(make([]byte, 0, len(prefix)+len(to)), prefix...), to...)
	}
	return d.db.NewIter(&pebble.IterOptions{LowerBound: low, UpperBound: high})
}

type quiet struct{}

func (quiet) Infof(string, ...any)  {}
func (quiet) Errorf(string, ...any) {}
func (quiet) Fatalf(format string, args ...any) {
	panic(fmt.Sprintf("state store: "+format, args...))
}
