package main

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// feed tells clients what changed. It keeps the last changes, so that one who
// comes back after a moment misses nothing; one who was away for longer is told to
// ask for everything anew.
//
// A change is encoded once, however many clients there are. Each client reads at
// its own speed and costs a goroutine and its place in the ring.
type feed struct {
	life string // of this process: numbers of another's mean nothing here

	mu     sync.Mutex
	ring   [][]byte // the last changes, encoded; change n is at n % len
	last   int64    // number of the newest; they begin with 1
	change chan struct{}
}

// ringSize is how many changes are kept: a batch of rows is one change.
const ringSize = 4096

func newFeed() *feed {
	return &feed{life: rand.Text()[:8], ring: make([][]byte, ringSize), change: make(chan struct{})}
}

// publish tells of rows as they are now, and of orders whose stories have grown. A
// row that is there several times is told once, as it was last.
func (f *feed) publish(rows []row, told ...string) {
	newest := map[string]int{}
	for i, r := range rows {
		newest[r.ID] = i
	}
	var once []row
	var gone []string
	for i, r := range rows {
		switch {
		case newest[r.ID] != i:
		case r.gone:
			gone = append(gone, r.ID)
		default:
			once = append(once, r)
		}
	}
	slices.Sort(told)
	told = slices.Compact(told)
	const most = 200 // of each in one change
	for len(once) > 0 || len(gone) > 0 || len(told) > 0 {
		n, m, k := min(most, len(once)), min(most, len(gone)), min(most, len(told))
		b, err := json.Marshal(struct {
			Rows []row    `json:"rows,omitempty"`
			Gone []string `json:"gone,omitempty"`
			Told []string `json:"told,omitempty"`
		}{once[:n], gone[:m], told[:k]})
		if err != nil {
			panic(err) // texts and numbers can be encoded
		}
		once, gone, told = once[n:], gone[m:], told[k:]
		f.add(b)
	}
}

func (f *feed) add(b []byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.last++
	f.ring[f.last%ringSize] = b
	close(f.change)
	f.change = make(chan struct{})
}

// now is the place of a client that begins.
func (f *feed) now() int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.last
}

// place reads a Last-Event-ID. known is false if what came behind it is no longer
// known: the client must begin anew.
func (f *feed) place(id string) (at int64, known bool) {
	life, number, _ := strings.Cut(id, "-")
	n, err := strconv.ParseInt(number, 10, 64)
	f.mu.Lock()
	defer f.mu.Unlock()
	if err != nil || life != f.life || n < 0 || n > f.last || f.last-n > ringSize {
		return f.last, false
	}
	return n, true
}

// since are the changes behind a place, the place behind them, and a channel that
// closes when there are more. If some are no longer known, ok is false.
func (f *feed) since(at int64) (changes [][]byte, next int64, more <-chan struct{}, ok bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.last-at > ringSize {
		return nil, f.last, f.change, false
	}
	for n := at + 1; n <= f.last; n++ {
		changes = append(changes, f.ring[n%ringSize])
	}
	return changes, f.last, f.change, true
}

func (f *feed) id(at int64) string { return fmt.Sprintf("%s-%d", f.life, at) }
