package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sidestream/sidestream/services/internal/order"
	"github.com/sidestream/sidestream/services/transact/transacttest"
)

// The broker goes away and comes back, three times, while clients post and
// verdicts come: each client sends an order again until it has an answer, and
// each order is placed once and decided once.
func TestTheBrokerComesBack(t *testing.T) {
	t.Parallel()
	lasting := transacttest.NewLasting(t)
	for _, topic := range []string{ordersTopic, requestsTopic, outcomesTopic, validationsTopic, verdictsTopic, shipmentsTopic} {
		lasting.Topic(topic, 4)
	}
	lasting.Compacted(stateTopic, 4)
	b := &broker{t: t, addrs: lasting.Addr}
	in := startInstance(t, b, newFakeView(t, b), "orders-0", func(s *settings) { s.postTime = 2 * time.Second })

	var stop atomic.Bool
	var placed sync.Map
	var clients sync.WaitGroup
	for c := range 8 {
		clients.Go(func() {
			for i := 0; !stop.Load(); i++ {
				id := fmt.Sprintf("c%d-%d", c, i)
				for tries := 0; ; tries++ {
					resp, err := http.Post(in.url+"/v1/orders", "application/json", strings.NewReader(jumpers(id)))
					if err != nil {
						t.Errorf("post: %v", err)
						return
					}
					resp.Body.Close()
					if resp.StatusCode == 503 {
						continue
					}
					if resp.StatusCode != 201 && (resp.StatusCode != 200 || tries == 0) {
						t.Errorf("order %s: %d at try %d", id, resp.StatusCode, tries)
						return
					}
					break
				}
				placed.Store(id, true)
			}
		})
	}
	count := func() (n int) {
		placed.Range(func(any, any) bool { n++; return true })
		return n
	}
	for range 3 {
		before := count()
		require.Eventually(t, func() bool { return count() > before+20 || t.Failed() }, 60*time.Second, time.Millisecond)
		lasting.Restart(func() {})
	}
	before := count()
	require.Eventually(t, func() bool { return count() > before+20 || t.Failed() }, 60*time.Second, time.Millisecond)
	stop.Store(true)
	clients.Wait()
	require.False(t, t.Failed())

	placed.Range(func(id, _ any) bool {
		lasting.Put(verdictsTopic, id.(string), `{"STATE":"VALIDATED"}`)
		lasting.Put(verdictsTopic, id.(string), `{"STATE":"FAILED","REASONS":["x"]}`)
		return true
	})
	lasting.Restart(func() {})
	placed.Range(func(id, _ any) bool {
		resp, err := http.Get(in.url + "/v1/orders/" + id.(string) + "/validated?timeout=60000")
		require.NoError(t, err)
		defer resp.Body.Close()
		require.Equal(t, 200, resp.StatusCode)
		var o order.Order
		require.NoError(t, json.NewDecoder(resp.Body).Decode(&o))
		require.Equal(t, order.Validated, o.State)
		return true
	})
	states := map[string][]order.State{}
	for _, r := range lasting.Committed(ordersTopic) {
		o, err := order.Decode(r.Value)
		require.NoError(t, err)
		states[o.ID] = append(states[o.ID], o.State)
	}
	require.Len(t, states, count())
	for id, s := range states {
		require.Equal(t, []order.State{order.Created, order.Validated}, s, id)
	}
}
