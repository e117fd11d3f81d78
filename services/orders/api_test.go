package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sidestream/sidestream/services/internal/config"
	"github.com/sidestream/sidestream/services/internal/order"
)

func TestConditionalGet(t *testing.T) {
	b := newBroker(t)
	in := startInstance(t, b, newFakeView(t, b), "orders-0")
	in.post(jumpers("1")).is(201)
	require.Equal(t, `"1"`, in.get("/v1/orders/1").is(200).header.Get("ETag"))
	for _, tag := range []string{`"1"`, `W/"1"`, `"7", "1"`, `*`} {
		require.Empty(t, in.get("/v1/orders/1", "If-None-Match", tag).is(304).body)
	}
	in.get("/v1/orders/1", "If-None-Match", `"2"`).is(200)
	b.verdict("1", "VALIDATED")
	require.Equal(t, `"2"`, in.get("/v1/orders/1/validated").is(200).header.Get("ETag"))
	require.Equal(t, `"2"`, in.get("/v1/orders/1", "If-None-Match", `"1"`).is(200).header.Get("ETag"))
	h := in.do("HEAD", "/v1/orders/1", "").is(200)
	require.Empty(t, h.body)
	require.NotEmpty(t, h.header.Get("Content-Length"))
}

func TestGetWaitsForTheOrder(t *testing.T) {
	b := newBroker(t)
	in := startInstance(t, b, newFakeView(t, b), "orders-0")
	got := make(chan answer)
	go func() { got <- in.get("/v1/orders/1?timeout=60000") }()
	require.Eventually(t, func() bool { return in.svc.tail.recent.waiting() == 1 }, 10*time.Second, time.Millisecond)
	in.post(jumpers("1")).is(201)
	require.Equal(t, order.Created, (<-got).is(200).order().State)
}

// An order that was decided before this replica started is only in the view,
// and maybe not at once.
func TestWaitersSeeWhatOnlyTheViewHas(t *testing.T) {
	b := newBroker(t)
	v := newFakeView(t, nil)
	in := startInstance(t, b, v, "orders-0")
	o := order.Order{ID: "old", CustomerID: 2, State: order.Shipped, Product: "J", Quantity: 1, Price: 705, Version: 3}
	v.put(o)
	require.Equal(t, o, in.get("/v1/orders/old").is(200).order())
	require.Equal(t, o, in.get("/v1/orders/old/validated?timeout=0").is(200).order())

	got := make(chan answer)
	go func() { got <- in.get("/v1/orders/late/validated?timeout=60000") }()
	asked := v.asked()
	require.Eventually(t, func() bool { return v.asked() > asked }, 10*time.Second, time.Millisecond)
	o.ID = "late"
	v.put(o)
	require.Equal(t, o, (<-got).is(200).order())
}

func TestAWaiterThatLeavesCostsNothing(t *testing.T) {
	b := newBroker(t)
	in := startInstance(t, b, newFakeView(t, b), "orders-0")
	req, err := http.NewRequest("GET", in.url+"/v1/orders/1/validated?timeout=60000", nil)
	require.NoError(t, err)
	client := &http.Client{Transport: &http.Transport{}}
	left := make(chan error)
	go func() {
		_, err := client.Do(req.WithContext(cancelWhen(t, func() bool { return in.svc.tail.recent.waiting() == 1 })))
		left <- err
	}()
	require.Error(t, <-left)
	require.Eventually(t, func() bool { return in.svc.tail.recent.waiting() == 0 }, 10*time.Second, time.Millisecond)
	in.svc.tail.recent.mu.RLock()
	defer in.svc.tail.recent.mu.RUnlock()
	require.Empty(t, in.svc.tail.recent.watches)
}

func TestList(t *testing.T) {
	b := newBroker(t)
	v := newFakeView(t, nil)
	in := startInstance(t, b, v, "orders-0")
	states := []order.State{order.Created, order.Validated, order.Failed}
	for i := range 25 {
		v.put(order.Order{ID: fmt.Sprintf("o-%02d", i), CustomerID: int64(i % 2), State: states[i%3], Product: "J", Quantity: 1, Price: 100, Version: 1})
	}
	pages := func(path string) (ids []string, n int) {
		for path != "" {
			a := in.get(path).is(200)
			var page struct {
				Orders     []order.Order
				NextCursor string
			}
			require.NoError(t, json.Unmarshal([]byte(a.body), &page))
			for _, o := range page.Orders {
				ids = append(ids, o.ID)
			}
			n++
			link := a.header.Get("Link")
			require.Equal(t, page.NextCursor != "", link != "")
			path, _, _ = strings.Cut(strings.TrimPrefix(link, "<"), ">")
			// An order that comes in before the cursor moves no page.
			v.put(order.Order{ID: "a-new", CustomerID: 7, State: order.Created, Version: 1})
		}
		return ids, n
	}
	ids, n := pages("/v1/orders?limit=10")
	require.Equal(t, 3, n)
	require.Len(t, ids, 25)
	require.IsIncreasing(t, ids)
	ids, n = pages("/orders?limit=4&customerId=1&state=failed")
	require.Equal(t, []string{"o-05", "o-11", "o-17", "o-23"}, ids)
	require.Equal(t, 1, n)
	ids, _ = pages("/v1/orders")
	require.Len(t, ids, 26)
	require.JSONEq(t, `{"orders":[]}`, in.get("/v1/orders?customerId=99").is(200).body)
}

func TestTheSidecarIsAway(t *testing.T) {
	b := newBroker(t)
	v := newFakeView(t, b)
	in := startInstance(t, b, v, "orders-0", func(s *settings) { s.readTime = 500 * time.Millisecond })
	in.get("/readyz").is(200)
	away := func() {
		for _, path := range []string{"/v1/orders/1", "/v1/orders/1?timeout=50", "/v1/orders", "/v1/orders/2/validated?timeout=0", "/v1/orders/2/validated?timeout=50"} {
			a := in.get(path).is(503)
			require.Equal(t, "1", a.header.Get("Retry-After"), path)
		}
	}
	in.post(jumpers("1")).is(201)
	v.set(func() { v.down = true })
	away()
	require.Equal(t, 503, in.get("/readyz").status)
	in.get("/healthz").is(200)
	// Orders are taken and decided all the same.
	in.post(jumpers("3")).is(201)
	b.verdict("3", "VALIDATED")
	in.get("/v1/orders/3/validated").is(200)
	v.set(func() { v.down, v.hang = false, true })
	away()
	v.set(func() { v.hang = false })
	in.get("/v1/orders/1").is(200)
}

func TestTheBrokerIsAway(t *testing.T) {
	b := newBroker(t)
	v := newFakeView(t, b)
	in := startInstance(t, b, v, "orders-0", func(s *settings) { s.postTime = 300 * time.Millisecond; s.readTime = 200 * time.Millisecond })
	a := in.post(jumpers("1"))
	for a.status == 503 { // a slow machine
		a = in.post(jumpers("1"))
	}
	b.cluster.Close()
	a = in.post(jumpers("2")).is(503)
	require.Equal(t, "1", a.header.Get("Retry-After"))
	require.Contains(t, a.body, `"orderId":"2"`)
	a = in.post(`{"customerId":2,"product":"J","quantity":1,"price":1}`).is(503)
	require.Contains(t, a.body, `"orderId":"`)
	require.Eventually(t, func() bool { return in.get("/v1/orders/1/validated?timeout=20").status == 503 }, 20*time.Second, 10*time.Millisecond)
	require.Equal(t, 503, in.get("/readyz").status)
	in.get("/healthz").is(200)
}

func TestStartErrors(t *testing.T) {
	b := newBroker(t)
	v := newFakeView(t, b)
	s := settings{Common: config.Common{Brokers: b.addrs, HTTPAddr: "127.0.0.1:0", StartTimeout: time.Second}, sidecar: v.URL, postTime: time.Second, recent: 1, deadline: time.Second}
	in := startInstance(t, b, v, "orders-0")

	taken := s
	taken.HTTPAddr = in.svc.server.Addr()
	_, err := start(taken, testLog(t))
	require.ErrorContains(t, err, "in use by another program")

	nobody := s
	nobody.Brokers = "127.0.0.1:1"
	_, err = start(nobody, testLog(t))
	require.ErrorContains(t, err, "no Kafka broker at 127.0.0.1:1")

	wrong := s
	wrong.sidecar = "localhost"
	_, err = start(wrong, testLog(t))
	require.ErrorContains(t, err, "SIDECAR_URL")

}

func TestBadSettings(t *testing.T) {
	t.Setenv("ORDER_DEADLINE", "soon")
	t.Setenv("LOG_LEVEL", "loud")
	_, err := readSettings()
	require.ErrorContains(t, err, `ORDER_DEADLINE is "soon"`)
	require.ErrorContains(t, err, `LOG_LEVEL is "loud"`)
}

func TestDrain(t *testing.T) {
	b := newBroker(t)
	in := startInstance(t, b, newFakeView(t, b), "orders-0")
	got := make(chan answer)
	go func() { got <- in.get("/v1/orders/1/validated?timeout=60000") }()
	require.Eventually(t, func() bool { return in.svc.tail.recent.waiting() == 1 }, 10*time.Second, time.Millisecond)
	go in.stop()
	a := (<-got).is(503)
	require.Contains(t, a.body, "shutting down")
	in.stop()
}
