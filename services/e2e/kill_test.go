package e2e

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestKill kills one process after the other with SIGKILL, at random moments,
// while orders come in, and then reads the topics: every accepted order has one
// final state, nobody was validated twice, nothing is oversold. The embedded
// broker is one of them; an Apache Kafka of TEST_KAFKA isn't. CHAOS_KILLS says how
// often, CHAOS_SEED which, CHAOS_ONLY=orders,broker among whom.
func TestKill(t *testing.T) {
	kills := number(t, "CHAOS_KILLS", 20)
	seed := number(t, "CHAOS_SEED", int(time.Now().UnixNano()&0xffffff))
	t.Logf("CHAOS_SEED=%d CHAOS_KILLS=%d", seed, kills)
	random := rand.New(rand.NewPCG(uint64(seed), 1))

	s := start(t, options{replicas: 2, env: map[string]string{"ORDER_DEADLINE": "10m"}})
	products := []string{"UNDERPANTS", "JUMPERS", "SOCKS", "HATS"}
	for _, p := range products {
		s.stock(p, 200)
	}

	only := strings.Split(os.Getenv("CHAOS_ONLY"), ",")
	var victims []string
	for _, name := range s.order {
		if only[0] == "" || slices.Contains(only, name) {
			victims = append(victims, name)
		}
	}
	load := s.load(products)
	counts := map[string]int{}
	for i := range kills {
		time.Sleep(time.Duration(100+random.IntN(900)) * time.Millisecond)
		victim := victims[random.IntN(len(victims))]
		counts[victim]++
		s.kill(victim)
		time.Sleep(time.Duration(random.IntN(300)) * time.Millisecond)
		s.run(victim)
		if i%10 == 9 {
			t.Logf("%d kills, %d orders accepted", i+1, load.accepted.Load())
		}
	}
	for _, name := range s.order {
		s.ready(name)
	}
	load.stop()
	ids := load.ids()
	t.Logf("%d kills %v, %d orders accepted, %d requests refused or unanswered", kills, counts, len(ids), load.refused.Load())
	require.NotEmpty(t, ids)
	for _, id := range ids {
		s.final(id)
	}
	s.checkBooks(len(ids))
}

type load struct {
	s        *stack
	end      chan struct{}
	wg       sync.WaitGroup
	accepted atomic.Int64
	refused  atomic.Int64
	mu       sync.Mutex
	all      []string
}

// load posts orders from a few clients until it is stopped. A client keeps
// posting an order until it knows that it was accepted, as a client that wants
// its order does.
func (s *stack) load(products []string) *load {
	l := &load{s: s, end: make(chan struct{})}
	for c := range 4 {
		l.wg.Add(1)
		go func() {
			defer l.wg.Done()
			for n := 0; ; n++ {
				select {
				case <-l.end:
					return
				default:
				}
				id := fmt.Sprintf("c%d-%d", c, n)
				l.place(newOrder(id, c*1000+n%50, products[n%len(products)], 1+n%3, "10.00"), id)
			}
		}()
	}
	return l
}

func (l *load) place(o fieldsOf, id string) {
	for try := 0; ; try++ {
		base := []string{l.s.orders, l.s.second}[try%2]
		a, err := call("POST", base+"/v1/orders", o)
		if err == nil && (a.status == http.StatusCreated || a.status == http.StatusOK) {
			l.accepted.Add(1)
			l.mu.Lock()
			l.all = append(l.all, id)
			l.mu.Unlock()
			time.Sleep(20 * time.Millisecond)
			return
		}
		if err == nil && a.status < 500 {
			l.s.t.Errorf("POST %s: %d %s", id, a.status, a.body)
			return
		}
		l.refused.Add(1)
		time.Sleep(50 * time.Millisecond)
	}
}

func (l *load) stop() {
	close(l.end)
	l.wg.Wait()
}

func (l *load) ids() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.all
}

func number(t testing.TB, name string, missing int) int {
	text := os.Getenv(name)
	if text == "" {
		return missing
	}
	n, err := strconv.Atoi(text)
	require.NoError(t, err, name)
	return n
}
