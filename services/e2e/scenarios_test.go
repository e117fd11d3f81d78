package e2e

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestScenario02FraudAddsUpTheHour(t *testing.T) {
	s := start(t, options{only: []string{"fraud"}})
	for i, o := range []struct {
		customer, quantity int
		price              string
	}{{0, 3, "5.00"}, {0, 1, "75.00"}, {1, 1, "75.00"}, {1, 1, "75.00"}, {1, 50, "75.00"}, {2, 10, "100.00"}, {2, 10, "100.00"}, {2, 1, "5.00"}} {
		s.created(fmt.Sprint(i), o.customer, "UNDERPANTS", o.quantity, o.price)
		s.await("fraud-validations", i+1) // orders at once may count in either order
	}
	got := byKey(s.await("fraud-validations", 8), "VALIDATIONRESULT")
	assert.Equal(t, map[string]string{"0": "PASS", "1": "PASS", "2": "PASS", "3": "PASS", "4": "FAIL", "5": "PASS", "6": "FAIL", "7": "FAIL"}, got)
}

func TestScenario03InventoryReserves(t *testing.T) {
	s := start(t, options{only: []string{"inventory"}})
	s.stock("UNDERPANTS", 75)
	s.stock("JUMPERS", 1)
	s.created("1", 0, "UNDERPANTS", 3, "5.00")
	s.created("2", 0, "JUMPERS", 1, "75.00")
	s.await("inventory-validations", 2) // so that order 3 comes behind order 2
	s.created("3", 0, "JUMPERS", 1, "75.00")
	got := byKey(s.await("inventory-validations", 3), "VALIDATIONRESULT")
	assert.Equal(t, map[string]string{"1": "PASS", "2": "PASS", "3": "FAIL"}, got)
	assert.Equal(t, map[string]string{"UNDERPANTS": "3", "JUMPERS": "1"}, byKey(s.read("reserved-stock"), "RESERVED"))
}

func TestScenario04DetailsChecksTheFields(t *testing.T) {
	s := start(t, options{only: []string{"details"}})
	s.created("0", 0, "UNDERPANTS", 3, "5.00")
	s.created("1", 0, "JUMPERS", -1, "75.00")
	assert.Equal(t, map[string]string{"0": "PASS", "1": "FAIL"}, byKey(s.await("details-validations", 2), "VALIDATIONRESULT"))
}

func TestScenario05DetailsOverARestart(t *testing.T) {
	s := start(t, options{only: []string{"details"}})
	for i := range 3 {
		s.created(fmt.Sprint(i), 0, "UNDERPANTS", 3, "5.00")
		s.await("details-validations", i+1)
	}
	s.terminate("details")
	s.run("details")
	s.ready("details")
	s.created("after", 0, "UNDERPANTS", 3, "5.00")
	got := s.await("details-validations", 4)
	assert.Len(t, byKey(got, "VALIDATIONRESULT"), 4, "one validation an order")
}

func TestScenario06AggregatorGivesOneFinalState(t *testing.T) {
	s := start(t, options{only: []string{"orders"}})
	for i := range 2 {
		s.post(newOrder(fmt.Sprint(i), 0, "UNDERPANTS", 3, "5.00"))
	}
	for i, c := range []struct{ check, id, result, reason string }{
		{"FRAUD_CHECK", "0", "PASS", ""}, {"ORDER_DETAILS_CHECK", "0", "PASS", ""}, {"INVENTORY_CHECK", "0", "PASS", ""},
		{"FRAUD_CHECK", "1", "PASS", ""}, {"ORDER_DETAILS_CHECK", "1", "FAIL", "quantity"}, {"INVENTORY_CHECK", "1", "PASS", ""},
	} {
		s.answer(c.check, c.id, c.result, c.reason)
		s.await("order-validations", i+1) // they come by three topics
	}
	assert.Equal(t, "VALIDATED", s.final("0").State)
	failed := s.final("1")
	assert.Equal(t, "FAILED", failed.State)
	assert.Equal(t, []string{"ORDER_DETAILS_CHECK: quantity"}, failed.Reasons)

	s.await("order-verdicts", 3) // the failed order has one row more, for its last check
	s.caughtUp("orders", "order-verdicts")
	states := map[string]int{}
	for _, r := range s.await("orders", 4) {
		states[string(r.Key)+" "+r.str("STATE")]++
	}
	assert.Equal(t, map[string]int{"0 CREATED": 1, "1 CREATED": 1, "0 VALIDATED": 1, "1 FAILED": 1}, states)
}

func TestScenario07PostThenGet(t *testing.T) {
	s := start(t, options{only: []string{"orders"}})
	a := s.post(newOrder("1", 2, "JUMPERS", 10, "100.00"))
	want := order{ID: "1", CustomerID: 2, State: "CREATED", Product: "JUMPERS", Quantity: 10, Price: "100.00", Reasons: []string{}, Version: 1}
	assert.Equal(t, want, a.order(s))
	location := a.header.Get("Location")
	require.NotEmpty(t, location)
	for _, url := range []string{s.orders + location, s.orders + "/v1/orders/1", s.orders + "/orders/1"} {
		got := s.call("GET", url+"?timeout=10000", nil)
		require.Equal(t, http.StatusOK, got.status, "%s", got.body)
		assert.Equal(t, want, got.order(s), url)
	}
}

func TestScenario08BlockingGetReturnsTheValidatedOrder(t *testing.T) {
	s := start(t, options{only: []string{"orders"}})
	s.post(newOrder("1", 2, "JUMPERS", 10, "100.00"))
	done := make(chan answer, 1)
	go func() {
		a, _ := call("GET", s.orders+"/v1/orders/1/validated?timeout=30000", nil)
		done <- a
	}()
	s.pass("1")
	select {
	case a := <-done:
		require.Equal(t, http.StatusOK, a.status, "%s", a.body)
		assert.Equal(t, "VALIDATED", a.order(s).State)
	case <-time.After(40 * time.Second):
		t.Fatal("the waiter was not woken")
	}
}

func TestScenario09BlockingGetOfAnUnknownOrderTimesOut(t *testing.T) {
	s := start(t, options{only: []string{"orders"}})
	a := s.call("GET", s.orders+"/v1/orders/nobody/validated?timeout=100", nil)
	assert.Equal(t, http.StatusGatewayTimeout, a.status)
	assert.Equal(t, "application/problem+json", a.header.Get("Content-Type"))
}

func TestScenario10TwoInstancesOfTheOrdersService(t *testing.T) {
	s := start(t, options{only: []string{"orders"}, replicas: 2})
	var ids []string
	for i := range 8 { // some for each partition
		id := fmt.Sprintf("order-%d", i)
		s.post(newOrder(id, 2, "JUMPERS", 10, "100.00"))
		ids = append(ids, id)
	}
	for _, id := range ids {
		for _, base := range []string{s.orders, s.second} {
			a := s.call("GET", base+"/v1/orders/"+id+"?timeout=10000", nil)
			require.Equal(t, http.StatusOK, a.status, "%s: %s", base, a.body)
			assert.Equal(t, id, a.order(s).ID)
		}
	}
	s.pass(ids[0])
	for _, base := range []string{s.orders, s.second} {
		a := s.call("GET", base+"/v1/orders/"+ids[0]+"/validated?timeout=20000", nil)
		require.Equal(t, http.StatusOK, a.status, "%s: %s", base, a.body)
		assert.Equal(t, "VALIDATED", a.order(s).State)
	}
}

func TestScenario11WholeFlow(t *testing.T) {
	s := start(t, options{})
	s.stock("UNDERPANTS", 75)
	s.stock("JUMPERS", 10)
	s.post(newOrder("1", 1, "JUMPERS", 1, "1.00"))
	assert.Equal(t, order{ID: "1", CustomerID: 1, State: "VALIDATED", Product: "JUMPERS", Quantity: 1, Price: "1.00", Reasons: []string{}, Version: 2}, s.final("1"))
}

func TestScenario12TenOrdersInTurn(t *testing.T) {
	s := start(t, options{})
	s.stock("UNDERPANTS", 75)
	s.stock("JUMPERS", 10)
	for i := range 10 {
		id := fmt.Sprint(i)
		s.post(newOrder(id, 1, "JUMPERS", 1, "1.00"))
		assert.Equal(t, order{ID: id, CustomerID: 1, State: "VALIDATED", Product: "JUMPERS", Quantity: 1, Price: "1.00", Reasons: []string{}, Version: 2}, s.final(id))
	}
	s.checkBooks(10)
}

func TestScenario13TenOrdersWithoutStock(t *testing.T) {
	s := start(t, options{})
	s.stock("JUMPERS", 0)
	for i := range 10 {
		id := fmt.Sprint(i)
		s.post(newOrder(id, 1, "JUMPERS", 1, "1.00"))
		got := s.final(id)
		require.Len(t, got.Reasons, 1)
		assert.Contains(t, got.Reasons[0], "INVENTORY_CHECK")
		got.Reasons = nil
		assert.Equal(t, order{ID: id, CustomerID: 1, State: "FAILED", Product: "JUMPERS", Quantity: 1, Price: "1.00", Version: 2}, got)
	}
	s.checkBooks(10)
}

// pass answers all three checks of an order with PASS.
func (s *stack) pass(id string) {
	s.t.Helper()
	for _, check := range []string{"FRAUD_CHECK", "INVENTORY_CHECK", "ORDER_DETAILS_CHECK"} {
		s.answer(check, id, "PASS", "")
	}
}
