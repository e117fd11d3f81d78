package transact

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// Keys of the store: 'c' and the partition for its checkpoint; 'd', the
// partition and the state's key for its data. All other numbers big-endian.
const (
	checkpointKind = 'c'
	dataKind       = 'd'
)

// flushEvery bounds what a killed process has to read again from the changelog:
// only flushed changes outlive it.
const flushEvery = 5 * time.Second

// store keeps the committed state of the partitions of one Runner. It is used
// by one goroutine.
type store struct {
	db      *pebble.DB
	flushed time.Time
	dirty   bool
}

// checkpoint says how much of the changelog the store holds.
type checkpoint struct {
	topicID string    // of the changelog; it changes when the topic is made anew
	next    int64     // offset of the first changelog record that may be missing
	at      time.Time // when that was so
}

// openStore opens the store in dir, or one in memory if dir is empty.
func openStore(dir string) (*store, error) {
	opts := &pebble.Options{
		DisableWAL:   true, // the changelog is the log
		MemTableSize: 4 << 20,
		MaxOpenFiles: 256,
		Logger:       quiet{},
		// Local state can be rebuilt, so its format is always the newest.
		FormatMajorVersion: pebble.FormatNewest,
	}
	if dir == "" {
		opts.FS = vfs.NewMem()
	} else if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("state directory %s: %w", dir, err)
	}
	db, err := pebble.Open(dir, opts)
	if err == nil {
		return &store{db: db, flushed: time.Now()}, nil
	}
	if locked(err) {
		return nil, fmt.Errorf("state directory %s is in use by another process; stop it or set STATE_DIR to another directory", dir)
	}
	return nil, fmt.Errorf("state directory %s can't be opened (if it is damaged, remove it: it is rebuilt from the changelog): %w", dir, err)
}

func locked(err error) bool {
	s := err.Error()
	return strings.Contains(s, "resource temporarily unavailable") || strings.Contains(s, "lock held")
}

// storeDir is the directory of the named group below the state directory.
func storeDir(stateDir, name string) string {
	if stateDir == "" {
		return ""
	}
	return filepath.Join(stateDir, name)
}

func dataKey(partition int32, key []byte) []byte {
	k := make([]byte, 0, 5+len(key))
	k = append(k, dataKind)
	k = binary.BigEndian.AppendUint32(k, uint32(partition))
	return append(k, key...)
}

func checkpointKey(partition int32) []byte {
	return binary.BigEndian.AppendUint32([]byte{checkpointKind}, uint32(partition))
}

func (s *store) get(partition int32, key []byte) ([]byte, bool) {
	v, closer, err := s.db.Get(dataKey(partition, key))
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, false
	}
	if err != nil {
		panic(fmt.Sprintf("transact: the state store can't be read: %v", err))
	}
	out := append(make([]byte, 0, len(v)), v...)
	_ = closer.Close()
	return out, true
}

// scan calls fn for the keys in [from, to); what it passes is valid in fn only.
func (s *store) scan(partition int32, from, to []byte, fn func(k, v []byte) bool) {
	upper := dataKey(partition+1, nil)
	if to != nil {
		upper = dataKey(partition, to)
	}
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: dataKey(partition, from), UpperBound: upper})
	if err != nil {
		panic(fmt.Sprintf("transact: the state store can't be read: %v", err))
	}
	for ok := it.First(); ok && fn(it.Key()[5:], it.Value()); ok = it.Next() {
	}
	if err := it.Close(); err != nil {
		panic(fmt.Sprintf("transact: the state store can't be read: %v", err))
	}
}

func (s *store) checkpoint(partition int32) (checkpoint, bool) {
	v, closer, err := s.db.Get(checkpointKey(partition))
	if err != nil {
		return checkpoint{}, false
	}
	defer func() { _ = closer.Close() }()
	if len(v) < 16 {
		return checkpoint{}, false
	}
	return checkpoint{
		next:    int64(binary.BigEndian.Uint64(v)),
		at:      time.UnixMilli(int64(binary.BigEndian.Uint64(v[8:]))),
		topicID: string(v[16:]),
	}, true
}

// drop forgets a partition.
func (s *store) drop(partition int32) error {
	b := s.db.NewBatch()
	if err := b.DeleteRange(dataKey(partition, nil), dataKey(partition+1, nil), nil); err != nil {
		return err
	}
	if err := b.Delete(checkpointKey(partition), nil); err != nil {
		return err
	}
	s.dirty = true
	return b.Commit(pebble.NoSync)
}

// write is one atomic change of the store.
type write struct {
	s *store
	b *pebble.Batch
}

func (s *store) begin() write { return write{s: s, b: s.db.NewBatch()} }

func (w write) set(partition int32, key []byte, c change) {
	k := dataKey(partition, key)
	if c.deleted {
		_ = w.b.Delete(k, nil) // of a batch in memory: can't fail
	} else {
		_ = w.b.Set(k, c.value, nil)
	}
}

func (w write) checkpoint(partition int32, c checkpoint) {
	v := binary.BigEndian.AppendUint64(nil, uint64(c.next))
	v = binary.BigEndian.AppendUint64(v, uint64(c.at.UnixMilli()))
	_ = w.b.Set(checkpointKey(partition), append(v, c.topicID...), nil)
}

func (w write) commit() error {
	w.s.dirty = true
	if err := w.b.Commit(pebble.NoSync); err != nil {
		return fmt.Errorf("state store: %w", err)
	}
	return nil
}

// flush lets the store write to disk what it has, at times.
func (s *store) flush(now time.Time) error {
	if !s.dirty || now.Sub(s.flushed) < flushEvery {
		return nil
	}
	s.dirty, s.flushed = false, now
	if _, err := s.db.AsyncFlush(); err != nil {
		return fmt.Errorf("state store: %w", err)
	}
	return nil
}

func (s *store) close() error {
	err := s.db.Flush()
	return errors.Join(err, s.db.Close())
}

// quiet drops Pebble's reports of its housekeeping.
type quiet struct{}

func (quiet) Infof(string, ...any)  {}
func (quiet) Errorf(string, ...any) {}
func (quiet) Fatalf(f string, a ...any) {
	panic("transact: state store: " + fmt.Sprintf(f, a...))
}
