// Package state keeps what operators remember: ordered key-value stores, in
// memory or on disk.
//
// In: bytes that package exec encodes. Out: [Store]. Window and session stores
// are the same thing with composite keys, which package exec makes.
//
// Next: package runtime wraps a Store with a changelog and a transaction.
package state

// Reader is the half of a store that looks things up. What it hands out is
// valid, and must not be changed, until the next call that writes to the store.
type Reader interface {
	// Get gives the value at key, and whether there is one.
	Get(key []byte) ([]byte, bool)
	// Range calls fn for each key in [from, to) in order, until it returns false.
	// A nil to means no end. fn must not write to the store.
	Range(from, to []byte, fn func(key, value []byte) bool)
	// RangeReverse is Range from the last key to the first.
	RangeReverse(from, to []byte, fn func(key, value []byte) bool)
}

// Store is an ordered map of bytes. A store belongs to one task and is used by
// one goroutine, but for the reads that an implementation says are safe.
//
// Keys and values handed in may be kept by the store only as copies.
type Store interface {
	Reader
	Put(key, value []byte)
	Delete(key []byte)
}

// PrefixEnd is the smallest key that is behind every key with the prefix, or nil.
func PrefixEnd(prefix []byte) []byte {
	end := append([]byte(nil), prefix...)
	for i := len(end) - 1; i >= 0; i-- {
		if end[i] < 0xff {
			end[i]++
			return end[:i+1]
		}
	}
	return nil
}
