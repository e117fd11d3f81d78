package transact_test

import (
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/sidestream/sidestream/services/transact"
	"github.com/sidestream/sidestream/services/transact/transacttest"
)

// holder has something under way for each record that it got; it ends when the
// partitions are given up, and then the tick writes it down.
type holder struct {
	mu       sync.Mutex
	held     []int32
	open     map[int32][]string
	released bool
}

func (h *holder) Process(tx *transact.Tx, r transact.Record) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.open[tx.Partition()] = append(h.open[tx.Partition()], string(r.Key))
	tx.State().Put(r.Key, []byte("open"))
	return nil
}

func (h *holder) Tick(tx *transact.Tx) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.released {
		return nil
	}
	for _, key := range h.open[tx.Partition()] {
		tx.State().Put([]byte(key), []byte("done"))
		tx.Emit(transact.Record{Topic: "out", Key: []byte(key), Value: []byte("done")})
	}
	delete(h.open, tx.Partition())
	return nil
}

func (h *holder) Take(partitions []int32) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.held, h.released, h.open = partitions, false, map[int32][]string{}
}

func (h *holder) Release() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.released = true
}

func (h *holder) holds() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.held)
}

func TestWhatIsUnderWayEndsBeforeAStop(t *testing.T) {
	b := newBroker(t)
	h := &holder{}
	_, stop := start(t, config(b.Addr), h)
	for i := range 5 {
		b.Put("in", string(rune('a'+i)), "x")
	}
	b.WaitFor("counter-state", func(rs []*kgo.Record) bool { return len(rs) == 5 })
	require.Empty(t, b.Committed("out"))
	require.Equal(t, partitions, h.holds())
	require.NoError(t, stop())
	require.Len(t, b.Committed("out"), 5)
}

func TestWhatIsUnderWayEndsBeforeARebalance(t *testing.T) {
	b := newBroker(t)
	h := &holder{}
	_, stop := start(t, config(b.Addr), h)
	for i := range 5 {
		b.Put("in", string(rune('a'+i)), "x")
	}
	b.WaitFor("counter-state", func(rs []*kgo.Record) bool { return len(rs) == 5 })
	cfg := config(b.Addr)
	cfg.InstanceID = "two"
	other := &holder{}
	_, stopOther := start(t, cfg, other)
	b.WaitCount("out", 5)
	require.Eventually(t, func() bool { return h.holds() == partitions/2 && other.holds() == partitions/2 }, transacttest.Patience, 10*time.Millisecond)
	require.NoError(t, stopOther())
	require.NoError(t, stop())
}
