package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/sidestream/sidestream/services/internal/order"
	"github.com/sidestream/sidestream/services/transact"
	"github.com/sidestream/sidestream/services/transact/transacttest"
)

func newBroker(t *testing.T) *transacttest.Broker {
	b := transacttest.NewBroker(t)
	b.Topic(ordersTopic, 4)
	b.Compacted(warehouseTopic, 4)
	b.Topic(validationsTopic, 4)
	b.Compacted(reservedTopic, 4)
	b.Compacted(byOrderTopic, 4)
	b.Compacted(stateTopic, 4)
	return b
}

// run starts the service's processor on the broker; stop ends it cleanly.
func run(t *testing.T, b *transacttest.Broker) (stop func()) {
	s := service(inventory{keep: time.Hour})
	cfg := s.Config
	cfg.Name, cfg.InstanceID, cfg.Brokers, cfg.StateDir = "inventory", "inventory-0", b.Addr, t.TempDir()
	cfg.Logger = slog.New(slog.NewTextHandler(io.Discard, nil))
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- transact.Run(ctx, cfg, s.Processor) }()
	return func() {
		cancel()
		select {
		case err := <-done:
			require.NoError(t, err)
		case <-time.After(transacttest.Patience):
			require.Fail(t, "the service did not stop")
		}
	}
}

func put(b *transacttest.Broker, id string, state order.State, product string, quantity int32) {
	b.Put(ordersTopic, product, fmt.Sprintf(`{"ID":%q,"CUSTOMERID":1,"STATE":%q,"QUANTITY":%d,"PRICE":5.00}`, id, state, quantity))
}

func results(t *testing.T, rs []*kgo.Record) map[string]string {
	out := map[string]string{}
	for _, r := range rs {
		v, err := order.DecodeValidation(r.Value)
		require.NoError(t, err)
		require.Equal(t, order.InventoryCheck, v.CheckType)
		require.Equal(t, string(r.Key), v.OrderID)
		out[v.OrderID] = v.Result
	}
	return out
}

// reserved is the last word of reserved-stock on each product.
func reserved(t *testing.T, rs []*kgo.Record) map[string]int64 {
	out := map[string]int64{}
	for product, value := range transacttest.Latest(rs) {
		var v struct {
			Product  string
			Reserved int64
		}
		require.NoError(t, json.Unmarshal([]byte(value), &v))
		require.Equal(t, product, v.Product)
		out[product] = v.Reserved
	}
	return out
}

func TestScenario03Inventory(t *testing.T) {
	b := newBroker(t)
	b.Put(warehouseTopic, "UNDERPANTS", `{"stock":75}`)
	b.Put(warehouseTopic, "JUMPERS", `{"stock":1}`)
	put(b, "1", order.Created, "UNDERPANTS", 3)
	put(b, "2", order.Created, "JUMPERS", 1)
	put(b, "3", order.Created, "JUMPERS", 1)
	stop := run(t, b)
	got := results(t, b.WaitCount(validationsTopic, 3))
	require.Equal(t, map[string]string{"1": "PASS", "2": "PASS", "3": "FAIL"}, got)
	stop()
	require.Equal(t, map[string]int64{"UNDERPANTS": 3, "JUMPERS": 1}, reserved(t, b.Committed(reservedTopic)))
}

// TestTheBooksAddUp sends random lives of random orders, restarts the service
// in the middle, and compares the topics with each other.
func TestTheBooksAddUp(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 0))
	b := newBroker(t)
	stop := run(t, b)
	const products, orders = 5, 400
	most := map[string]int64{}
	for i := range products {
		p := fmt.Sprintf("P%d", i)
		most[p] = int64(rnd.IntN(60))
		b.Put(warehouseTopic, p, fmt.Sprintf(`{"stock":%d}`, most[p]))
	}
	type placed struct {
		id, product string
		quantity    int32
	}
	var all []placed
	answered := 0
	for i := range orders {
		o := placed{fmt.Sprint(i), fmt.Sprintf("P%d", rnd.IntN(products+1)), int32(rnd.IntN(8)) - 1}
		all = append(all, o)
		for range 1 + rnd.IntN(2) { // sometimes twice
			put(b, o.id, order.Created, o.product, o.quantity)
		}
		answered++
		if rnd.IntN(2) == 0 {
			old := all[rnd.IntN(len(all))]
			put(b, old.id, []order.State{order.Failed, order.Shipped, order.Validated}[rnd.IntN(3)], old.product, old.quantity)
		}
		if i == orders/2 {
			stop()
			stop = run(t, b)
		}
	}
	// One more per product comes behind all others of it.
	for i := range products + 1 {
		put(b, fmt.Sprintf("last%d", i), order.Created, fmt.Sprintf("P%d", i), 1)
		answered++
	}
	b.WaitFor(validationsTopic, func(rs []*kgo.Record) bool {
		got, last := results(t, rs), 0
		for i := range products + 1 {
			if got[fmt.Sprintf("last%d", i)] != "" {
				last++
			}
		}
		return last == products+1
	})
	stop()

	validations := b.Committed(validationsTopic)
	require.Len(t, validations, answered, "one answer an order")
	require.Len(t, results(t, validations), answered)
	for _, r := range b.Committed(reservedTopic) {
		var v struct{ Reserved int64 }
		require.NoError(t, json.Unmarshal(r.Value, &v))
		require.GreaterOrEqual(t, v.Reserved, int64(0))
		require.LessOrEqual(t, v.Reserved, most[string(r.Key)], "of %s", r.Key)
	}
	byProduct := map[string]int64{}
	for _, value := range transacttest.Latest(b.Committed(byOrderTopic)) {
		var v struct {
			Product  string
			Quantity int64
		}
		require.NoError(t, json.Unmarshal([]byte(value), &v))
		byProduct[v.Product] += v.Quantity
	}
	for product, n := range reserved(t, b.Committed(reservedTopic)) {
		require.Equal(t, byProduct[product], n, "reserved of %s against the detail by order", product)
	}
}
