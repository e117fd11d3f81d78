package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/sidestream/sidestream/services/internal/lookup"
	"github.com/sidestream/sidestream/services/internal/order"
	"github.com/sidestream/sidestream/services/transact"
	"github.com/sidestream/sidestream/services/transact/transacttest"
)

func newBroker(t *testing.T) *transacttest.Broker {
	b := transacttest.NewBroker(t)
	b.Compacted(ordersTopic, 4)
	b.Topic(validationsTopic, 4)
	b.Compacted(stateTopic, 4)
	return b
}

// run starts the service's processor on the broker; stop ends it cleanly.
func run(t *testing.T, b *transacttest.Broker) (stop func()) {
	s := service(details{prices: lookup.New(pricesTopic)})
	cfg := s.Config
	cfg.Name, cfg.InstanceID, cfg.Brokers, cfg.StateDir = "details", "details-0", b.Addr, t.TempDir()
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

func place(b *transacttest.Broker, id, product string, quantity int32, price order.Money) {
	o := order.Order{ID: id, State: order.Created, Product: product, Quantity: quantity, Price: price, Version: 1}
	b.Put(ordersTopic, id, string(o.Encode()))
}

func results(t *testing.T, rs []*kgo.Record) map[string]string {
	out := map[string]string{}
	for _, r := range rs {
		v, err := order.DecodeValidation(r.Value)
		require.NoError(t, err)
		require.Equal(t, order.DetailsCheck, v.CheckType)
		require.Equal(t, string(r.Key), v.OrderID)
		out[v.OrderID] = v.Result
	}
	return out
}

func TestScenario04Details(t *testing.T) {
	b := newBroker(t)
	stop := run(t, b)
	place(b, "0", "UNDERPANTS", 3, 500)
	place(b, "1", "JUMPERS", -1, 7500)
	require.Equal(t, map[string]string{"0": "PASS", "1": "FAIL"}, results(t, b.WaitCount(validationsTopic, 2)))
	stop()
}

func TestScenario05DetailsOverARestart(t *testing.T) {
	b := newBroker(t)
	stop := run(t, b)
	for i := range 3 {
		place(b, fmt.Sprint(i), "UNDERPANTS", 3, 500)
		b.WaitCount(validationsTopic, i+1)
	}
	stop()
	stop = run(t, b)
	place(b, "after", "UNDERPANTS", 3, 500) // once it is answered, so was all before it
	b.WaitFor(validationsTopic, func(rs []*kgo.Record) bool { return results(t, rs)["after"] != "" })
	stop()
	got := b.Committed(validationsTopic)
	require.Len(t, got, 4)
	require.Len(t, results(t, got), 4)
}

// The reference's flaw: posting an id again checks it again.
func TestFlawARepeatedOrderIsAnsweredOnce(t *testing.T) {
	b := newBroker(t)
	stop := run(t, b)
	for range 3 {
		place(b, "0", "UNDERPANTS", 3, 500)
	}
	place(b, "1", "UNDERPANTS", 3, 500)
	b.WaitFor(validationsTopic, func(rs []*kgo.Record) bool { return len(results(t, rs)) == 2 })
	stop()
	require.Len(t, b.Committed(validationsTopic), 2)
}
