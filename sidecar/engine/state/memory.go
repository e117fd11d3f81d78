package state

import (
	"bytes"

	"github.com/RaduBerinde/btreemap"
)

// Memory is a Store in memory. A hash map answers Get and changes values in
// place; the tree beside it gives the order, and is touched only when a key
// comes or goes.
type Memory struct {
	items map[string]*item
	order *btreemap.BTreeMap[[]byte, *item]
}

type item struct{ key, value []byte }

// NewMemory makes an empty store.
func NewMemory() *Memory {
	return &Memory{
		items: map[string]*item{},
		order: btreemap.New[[]byte, *item](32, bytes.Compare),
	}
}

// Len is the number of keys.
func (m *Memory) Len() int { return len(m.items) }

// Get implements Reader.
func (m *Memory) Get(key []byte) ([]byte, bool) {
	it, ok := m.items[string(key)]
	if !ok {
		return nil, false
	}
	return it.value, true
}

// Put implements Store.
func (m *Memory) Put(key, value []byte) {
	if it, ok := m.items[string(key)]; ok {
		it.value = append(it.value[:0], value...)
		return
	}
	// One allocation holds the key and the first value; a value that outgrows its
	// place moves out by itself.
	block := make([]byte, len(key)+len(value))
	copy(block, key)
	copy(block[len(key):], value)
	it := &item{key: block[:len(key):len(key)], value: block[len(key):]}
	m.items[string(key)] = it
	m.order.ReplaceOrInsert(it.key, it)
}

// Delete implements Store.
func (m *Memory) Delete(key []byte) {
	if _, ok := m.items[string(key)]; !ok {
		return
	}
	delete(m.items, string(key))
	m.order.Delete(key)
}

// Range implements Reader.
func (m *Memory) Range(from, to []byte, fn func(key, value []byte) bool) {
	stop := btreemap.Max[[]byte]()
	if to != nil {
		stop = btreemap.LT(to)
	}
	m.order.AscendFunc(btreemap.GE(from), stop, func(k []byte, it *item) bool { return fn(k, it.value) })
}

// RangeReverse implements Reader.
func (m *Memory) RangeReverse(from, to []byte, fn func(key, value []byte) bool) {
	start := btreemap.Max[[]byte]()
	if to != nil {
		start = btreemap.LT(to)
	}
	m.order.DescendFunc(start, btreemap.GE(from), func(k []byte, it *item) bool { return fn(k, it.value) })
}
