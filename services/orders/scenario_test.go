package main

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sidestream/sidestream/services/internal/order"
)

func TestScenario6AggregatorWritesEachStateOnce(t *testing.T) {
	b := newBroker(t)
	in := startInstance(t, b, newFakeView(t, b), "orders-0")
	in.post(jumpers("0")).is(201)
	in.post(jumpers("1")).is(201)
	b.verdict("0", "VALIDATED")
	b.verdict("1", "FAILED", "ORDER_DETAILS_CHECK: quantity")
	in.get("/v1/orders/0/validated").is(200)
	in.get("/v1/orders/1/validated").is(200)
	require.Len(t, b.read(ordersTopic, ""), 4)
	states := func(id string) (out []order.State) {
		for _, o := range b.orders(id) {
			out = append(out, o.State)
		}
		return out
	}
	require.Equal(t, []order.State{order.Created, order.Validated}, states("0"))
	require.Equal(t, []order.State{order.Created, order.Failed}, states("1"))
}

func TestScenario7PostThenGet(t *testing.T) {
	b := newBroker(t)
	v := newFakeView(t, b)
	v.frozen = true // a view that lags: the replica that took the order has it all the same
	in := startInstance(t, b, v, "orders-0")
	a := in.post(jumpers("1")).is(201)
	require.Equal(t, "/v1/orders/1", a.header.Get("Location"))
	require.Equal(t, `"1"`, a.header.Get("ETag"))
	want := `{"id":"1","customerId":2,"state":"CREATED","product":"JUMPERS","quantity":10,"price":100.00,"reasons":[],"version":1}`
	require.Equal(t, want, a.body)
	require.Equal(t, want, in.get(a.header.Get("Location")).is(200).body)
	require.Equal(t, want, in.get("/orders/1").is(200).body)

	a = in.do("POST", "/orders", jumpers("2")).is(201)
	require.Equal(t, "/orders/2", a.header.Get("Location"))
}

func TestScenario8BlockingGetReturnsTheValidatedOrder(t *testing.T) {
	b := newBroker(t)
	in := startInstance(t, b, newFakeView(t, b), "orders-0")
	in.post(jumpers("1")).is(201)
	b.send(validationsTopic, "1", `{"CHECKTYPE":"FRAUD_CHECK","VALIDATIONRESULT":"PASS","REASON":null}`)
	got := make(chan answer)
	paths := []string{"/v1/orders/1/validated", "/orders/validated/1?timeout=60000", "/orders/1/validated", "/v1/orders/validated/1"}
	for _, path := range paths {
		go func() { got <- in.get(path) }()
	}
	require.Eventually(t, func() bool { return in.svc.tail.recent.waiting() == len(paths) }, 10*time.Second, time.Millisecond)
	b.verdict("1", "VALIDATED")
	for range paths {
		a := (<-got).is(200)
		require.Equal(t, order.Order{ID: "1", CustomerID: 2, State: order.Validated, Product: "JUMPERS", Quantity: 10, Price: 10000, Version: 2}, a.order())
		require.Equal(t, `"2"`, a.header.Get("ETag"))
	}
	require.Eventually(t, func() bool { return in.svc.tail.recent.waiting() == 0 }, 10*time.Second, time.Millisecond)
}

func TestScenario9BlockingGetOfAnUnknownIDTimesOut(t *testing.T) {
	b := newBroker(t)
	in := startInstance(t, b, newFakeView(t, b), "orders-0")
	in.get("/v1/orders/nobody/validated?timeout=100").is(504)
	in.get("/orders/validated/nobody?timeout=100").is(504)
	in.get("/v1/orders/nobody").is(404)
	in.get("/v1/orders/nobody?timeout=50").is(404)
}

func TestScenario10TwoInstances(t *testing.T) {
	b := newBroker(t)
	v := newFakeView(t, b)
	one := startInstance(t, b, v, "orders-0")
	two := startInstance(t, b, v, "orders-1")
	for i := range 8 { // keys of all partitions, whichever instance has them
		id := fmt.Sprint("order-", i)
		one.post(jumpers(id)).is(201)
		require.Equal(t, id, one.get("/v1/orders/"+id).is(200).order().ID)
		require.Equal(t, id, two.get("/v1/orders/"+id+"?timeout=10000").is(200).order().ID)
		two.post(jumpers(id)).is(200)
		b.verdict(id, "VALIDATED")
		one.get("/v1/orders/" + id + "/validated").is(200)
		two.get("/v1/orders/" + id + "/validated").is(200)
	}
}

func TestFlawTimeoutZeroAnswersAtOnce(t *testing.T) {
	b := newBroker(t)
	in := startInstance(t, b, newFakeView(t, b), "orders-0")
	in.get("/v1/orders/1/validated?timeout=0").is(504)
	in.post(jumpers("1")).is(201)
	a := in.get("/v1/orders/1/validated?timeout=0").is(504)
	require.Contains(t, a.body, `"state":"CREATED"`)
	b.verdict("1", "FAILED", "no")
	in.get("/v1/orders/1/validated").is(200)
	in.get("/v1/orders/1/validated?timeout=0").is(200)
}

func TestFlawASecondWaiterDoesNotReplaceTheFirst(t *testing.T) {
	b := newBroker(t)
	in := startInstance(t, b, newFakeView(t, b), "orders-0")
	const n = 50
	got := make(chan answer, n)
	for range n { // before the order is there
		go func() { got <- in.get("/v1/orders/1/validated?timeout=60000") }()
	}
	require.Eventually(t, func() bool { return in.svc.tail.recent.waiting() == n }, 10*time.Second, time.Millisecond)
	in.post(jumpers("1")).is(201)
	b.verdict("1", "VALIDATED")
	for range n {
		(<-got).is(200)
	}
}

func TestFlawAnUpdateBetweenReadAndRegistrationIsNotMissed(t *testing.T) {
	b := newBroker(t)
	in := startInstance(t, b, newFakeView(t, b), "orders-0")
	var wg sync.WaitGroup
	for i := range 40 { // waiters and verdicts race
		wg.Go(func() {
			id := fmt.Sprint("race-", i)
			in.post(jumpers(id)).is(201)
			go b.verdict(id, "VALIDATED")
			require.Equal(t, order.Validated, in.get("/v1/orders/"+id+"/validated?timeout=60000").is(200).order().State)
		})
	}
	wg.Wait()
}

func TestFlawAPostAgainPlacesNothing(t *testing.T) {
	b := newBroker(t)
	in := startInstance(t, b, newFakeView(t, b), "orders-0")
	in.post(jumpers("1")).is(201)
	// The same, however it is written.
	a := in.post(`{ "price" : 1.0000e2, "product":"JUMP\u0045RS","quantity":10,"customerId":2,"id":"1" }`).is(200)
	require.Equal(t, order.Created, a.order().State)
	b.verdict("1", "VALIDATED")
	in.get("/v1/orders/1/validated").is(200)
	require.Equal(t, order.Validated, in.post(jumpers("1")).is(200).order().State)
	a = in.post(`{"id":"1","customerId":3,"product":"JUMPERS","quantity":11,"price":100}`).is(409)
	require.Equal(t, []string{"customerId", "quantity"}, a.fields())
	require.Len(t, b.orders("1"), 2)
}

func TestAnOrderPostedToTwoReplicasAtOnceIsPlacedOnce(t *testing.T) {
	b := newBroker(t)
	v := newFakeView(t, b)
	both := []*instance{startInstance(t, b, v, "orders-0"), startInstance(t, b, v, "orders-1")}
	const n = 20
	got := make(chan int, n)
	for i := range n {
		go func() {
			body := jumpers("1")
			if i%4 == 3 {
				body = strings.Replace(body, "10", "11", 1)
			}
			got <- both[i%2].post(body).status
		}()
	}
	count := map[int]int{}
	for range n {
		count[<-got]++
	}
	require.Equal(t, 1, count[201], count)
	require.Equal(t, n, count[201]+count[200]+count[409], count)
	require.Len(t, b.orders("1"), 1)
}

func TestFlawTheClientsStateIsNotTrusted(t *testing.T) {
	b := newBroker(t)
	in := startInstance(t, b, newFakeView(t, b), "orders-0")
	a := in.post(`{"id":"1","customerId":2,"product":"J","quantity":1,"price":1,"state":"VALIDATED","version":7,"reasons":[]}`).is(422)
	require.ElementsMatch(t, []string{"state", "version", "reasons"}, a.fields())
	in.get("/v1/orders/1").is(404)
}

func TestFlawAVerdictThatComesAgainChangesNothing(t *testing.T) {
	b := newBroker(t)
	in := startInstance(t, b, newFakeView(t, b), "orders-0")
	in.post(jumpers("1")).is(201)
	b.verdict("1", "FAILED", "FRAUD_CHECK: total")
	require.Equal(t, []string{"FRAUD_CHECK: total"}, in.get("/v1/orders/1/validated").is(200).order().Reasons)
	b.verdict("1", "FAILED", "FRAUD_CHECK: total", "INVENTORY_CHECK: none left")
	b.verdict("1", "VALIDATED")
	b.send(verdictsTopic, "1", "") // SQL takes its row back
	in.post(jumpers("2")).is(201)  // of the same stream of work, or behind it
	b.verdict("2", "VALIDATED")
	in.get("/v1/orders/2/validated").is(200)
	in.post(jumpers("1")).is(200) // on the partition of 1, behind the verdicts or before them
	require.Equal(t, order.Failed, in.get("/v1/orders/1").is(200).order().State)
	got := b.orders("1")
	require.Len(t, got, 2)
	require.Equal(t, order.Order{ID: "1", CustomerID: 2, State: order.Failed, Product: "JUMPERS", Quantity: 10, Price: 10000,
		Reasons: []string{"FRAUD_CHECK: total"}, Version: 2}, got[1])
}

func TestFlawNoOrderIsStuck(t *testing.T) {
	b := newBroker(t)
	in := startInstance(t, b, newFakeView(t, b), "orders-0", func(s *settings) { s.deadline = 600 * time.Millisecond })
	in.post(jumpers("1")).is(201)
	b.send(validationsTopic, "1", `{"CHECKTYPE":"FRAUD_CHECK","VALIDATIONRESULT":"PASS"}`)
	b.send(validationsTopic, "1", `{"CHECKTYPE":"FRAUD_CHECK","VALIDATIONRESULT":"PASS"}`)
	b.send(validationsTopic, "1", `{"CHECKTYPE":"WEATHER_CHECK","VALIDATIONRESULT":"PASS"}`)
	a := in.get("/v1/orders/1/validated").is(200)
	require.Equal(t, order.Failed, a.order().State)
	require.Equal(t, []string{"TIMEOUT: no INVENTORY_CHECK, ORDER_DETAILS_CHECK within 600ms"}, a.order().Reasons)
	b.verdict("1", "VALIDATED") // too late
	in.post(jumpers("1")).is(200)
	require.Len(t, b.orders("1"), 2)
}

func TestBadRecordsArePassedBy(t *testing.T) {
	b := newBroker(t)
	in := startInstance(t, b, newFakeView(t, b), "orders-0")
	for _, topic := range inputs {
		b.send(topic, "1", `{"STATE":`)
		b.send(topic, "1", `7`)
	}
	b.send(requestsTopic, "1", `{"id":"another"}`)
	b.send(requestsTopic, "a b", `{"id":"a b"}`)
	b.send(verdictsTopic, "1", `{"STATE":"SHIPPED"}`)
	b.verdict("nobody", "VALIDATED")
	in.post(jumpers("1")).is(201)
	b.verdict("1", "VALIDATED")
	in.get("/v1/orders/1/validated").is(200)
	require.Len(t, b.read(ordersTopic, ""), 2)
	require.Contains(t, in.get("/metrics").is(200).body, `transact_poison_records_total{group="orders",topic="order-requests"} 4`)
}

func TestAnOrderIsDecidedOnceOverARestart(t *testing.T) {
	b := newBroker(t)
	v := newFakeView(t, b)
	one := startInstance(t, b, v, "orders-0")
	one.post(jumpers("1")).is(201)
	one.post(jumpers("2"), "Idempotency-Key", "k").is(201)
	b.verdict("1", "FAILED", "no")
	one.get("/v1/orders/1/validated").is(200)
	one.stop()
	b.verdict("1", "VALIDATED")
	b.verdict("2", "VALIDATED")

	two := startInstance(t, b, v, "orders-0") // with an empty state directory: from the changelog
	require.Equal(t, order.Validated, two.get("/v1/orders/2/validated").is(200).order().State)
	two.post(jumpers("1")).is(200)
	two.post(jumpers("3"), "Idempotency-Key", "k").is(409)
	require.Equal(t, order.Failed, two.get("/v1/orders/1/validated").is(200).order().State)
	require.Len(t, b.orders("1"), 2)
	require.Len(t, b.orders("2"), 2)
	require.Empty(t, b.orders("3"))
}

func TestIdempotencyKey(t *testing.T) {
	b := newBroker(t)
	in := startInstance(t, b, newFakeView(t, b), "orders-0")
	body := `{"customerId":2,"product":"JUMPERS","quantity":10,"price":100}`
	first := in.post(body, "Idempotency-Key", "key 1").is(201).order()
	again := in.post(body, "Idempotency-Key", "key 1").is(200).order()
	require.Equal(t, first, again)
	require.NotEqual(t, first.ID, in.post(body, "Idempotency-Key", "key 2").is(201).order().ID)
	require.NotEqual(t, first.ID, in.post(body).is(201).order().ID)
	a := in.post(strings.Replace(body, "10,", "11,", 1), "Idempotency-Key", "key 1").is(409)
	require.Equal(t, []string{"quantity"}, a.fields())

	// With an id beside it the key holds the whole content, the id too.
	in.post(jumpers("1"), "Idempotency-Key", "key 3").is(201)
	in.post(jumpers("1"), "Idempotency-Key", "key 3").is(200)
	in.post(jumpers("1")).is(200)
	a = in.post(jumpers("2"), "Idempotency-Key", "key 3").is(409)
	require.Equal(t, []string{"id"}, a.fields())
	in.get("/v1/orders/2").is(404)

	for _, bad := range []string{"", strings.Repeat("x", 256), "schlüssel"} {
		req, err := http.NewRequest("POST", in.url+"/v1/orders", strings.NewReader(body))
		require.NoError(t, err)
		req.Header.Set("Content-Type", "application/json")
		req.Header["Idempotency-Key"] = []string{bad}
		resp, err := http.DefaultClient.Do(req)
		require.NoError(t, err)
		resp.Body.Close()
		require.Equal(t, 400, resp.StatusCode, bad)
	}
}

func TestDomainFaultsAreTheValidatorsMatter(t *testing.T) {
	b := newBroker(t)
	in := startInstance(t, b, newFakeView(t, b), "orders-0")
	o := in.post(`{"customerId":-1,"product":"","quantity":-1,"price":-1}`).is(201).order()
	require.Equal(t, int32(-1), o.Quantity)
	require.Equal(t, order.Money(-100), o.Price)
	require.Len(t, o.ID, 36)
	require.Equal(t, byte('7'), o.ID[14])
}
