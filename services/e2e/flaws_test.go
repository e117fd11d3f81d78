package e2e

import (
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestFlawOneCheckThreeTimesValidatesAnOrder(t *testing.T) {
	s := start(t, options{only: []string{"orders"}})
	s.post(newOrder("1", 1, "JUMPERS", 1, "1.00"))
	for range 3 {
		s.answer("FRAUD_CHECK", "1", "PASS", "")
	}
	s.await("order-validations", 3)
	s.answer("INVENTORY_CHECK", "1", "PASS", "")
	s.await("order-validations", 4)
	assert.Empty(t, s.read("order-verdicts"), "two distinct checks of three have answered")
	s.answer("ORDER_DETAILS_CHECK", "1", "PASS", "")
	assert.Equal(t, "VALIDATED", s.final("1").State)
}

func TestFlawTwoFailuresWriteFailedTwice(t *testing.T) {
	s := start(t, options{only: []string{"orders"}})
	s.post(newOrder("1", 1, "JUMPERS", 1, "1.00"))
	s.answer("FRAUD_CHECK", "1", "FAIL", "too much")
	assert.Equal(t, "FAILED", s.final("1").State)
	s.answer("INVENTORY_CHECK", "1", "FAIL", "too little")
	s.await("order-verdicts", 2)
	s.caughtUp("orders", "order-verdicts")
	s.await("orders", 2)
}

func TestFlawAFourthPassWritesValidatedAgain(t *testing.T) {
	s := start(t, options{only: []string{"orders"}})
	s.post(newOrder("1", 1, "JUMPERS", 1, "1.00"))
	s.pass("1")
	assert.Equal(t, "VALIDATED", s.final("1").State)
	s.answer("FRAUD_CHECK", "1", "PASS", "")
	s.await("order-verdicts", 2)
	s.caughtUp("orders", "order-verdicts")
	s.await("orders", 2)
}

func TestFlawARedeliveryWritesFailedAndThenValidated(t *testing.T) {
	s := start(t, options{only: []string{"orders"}})
	s.post(newOrder("1", 1, "JUMPERS", 1, "1.00"))
	s.answer("FRAUD_CHECK", "1", "FAIL", "too much")
	require.Equal(t, "FAILED", s.final("1").State)
	s.pass("1")
	s.await("order-validations", 4)
	s.await("order-verdicts", 4)
	s.caughtUp("orders", "order-verdicts")
	s.await("orders", 2)
	assert.Equal(t, "FAILED", s.final("1").State)
}

func TestFlawALateOrderNeverGetsAnAnswer(t *testing.T) {
	s := start(t, options{only: []string{"fraud"}})
	now := time.Now()
	s.produceAt("orders", "now", orderFields("now", 1, "CREATED", "JUMPERS", 1, "1.00"), now)
	s.await("fraud-validations", 1)
	s.produceAt("orders", "late", orderFields("late", 1, "CREATED", "JUMPERS", 1, "1.00"), now.Add(-3*24*time.Hour))
	assert.Equal(t, map[string]string{"now": "PASS", "late": "PASS"}, byKey(s.await("fraud-validations", 2), "VALIDATIONRESULT"))
}

func TestFlawAProductWithoutAStockRecordNeverGetsAnAnswer(t *testing.T) {
	s := start(t, options{})
	s.post(newOrder("1", 1, "NOBODY-STOCKS-THIS", 1, "1.00"))
	got := s.final("1")
	assert.Equal(t, "FAILED", got.State)
	require.Len(t, got.Reasons, 1)
	assert.Contains(t, got.Reasons[0], "NOBODY-STOCKS-THIS")
}

func TestFlawAValidationThatComesLateIsLost(t *testing.T) {
	s := start(t, options{only: []string{"orders"}, env: map[string]string{"ORDER_DEADLINE": "1h"}})
	s.post(newOrder("1", 1, "JUMPERS", 1, "1.00"))
	late := time.Now().Add(20 * time.Minute)
	for check, topic := range map[string]string{"FRAUD_CHECK": "fraud-validations", "INVENTORY_CHECK": "inventory-validations", "ORDER_DETAILS_CHECK": "details-validations"} {
		s.produceAt(topic, "1", fieldsOf{"orderId": "1", "checkType": check, "validationResult": "PASS"}, late)
	}
	assert.Equal(t, "VALIDATED", s.final("1").State)
}

func TestFlawAnOrderIsStuckWhenACheckStaysAway(t *testing.T) {
	s := start(t, options{only: []string{"orders"}, env: map[string]string{"ORDER_DEADLINE": "2s"}})
	s.post(newOrder("1", 1, "JUMPERS", 1, "1.00"))
	s.answer("FRAUD_CHECK", "1", "PASS", "")
	s.answer("ORDER_DETAILS_CHECK", "1", "PASS", "")
	got := s.final("1")
	assert.Equal(t, "FAILED", got.State)
	require.Len(t, got.Reasons, 1)
	assert.Contains(t, got.Reasons[0], "TIMEOUT")
	assert.Contains(t, got.Reasons[0], "INVENTORY_CHECK")
	assert.NotContains(t, got.Reasons[0], "FRAUD_CHECK")
}

func TestFlawANegativeQuantityLowersTheFraudTotal(t *testing.T) {
	s := start(t, options{only: []string{"fraud"}})
	s.created("1", 1, "JUMPERS", 1, "1500.00")
	s.await("fraud-validations", 1)
	s.created("2", 1, "JUMPERS", -10, "100.00")
	s.await("fraud-validations", 2)
	s.created("3", 1, "JUMPERS", 1, "500.00")
	assert.Equal(t, map[string]string{"1": "PASS", "2": "PASS", "3": "FAIL"}, byKey(s.await("fraud-validations", 3), "VALIDATIONRESULT"))
}

func TestFlawANegativeQuantitySellsStockTwice(t *testing.T) {
	s := start(t, options{})
	s.stock("JUMPERS", 2)
	s.post(newOrder("1", 1, "JUMPERS", 2, "1.00"))
	require.Equal(t, "VALIDATED", s.final("1").State)
	s.post(newOrder("2", 1, "JUMPERS", -2, "1.00"))
	require.Equal(t, "FAILED", s.final("2").State)
	s.post(newOrder("3", 1, "JUMPERS", 2, "1.00"))
	require.Equal(t, "FAILED", s.final("3").State)
	s.checkBooks(3)
}

func TestFlawReservationsAreNeverReleased(t *testing.T) {
	s := start(t, options{})
	s.stock("JUMPERS", 5)
	s.post(newOrder("fraud", 1, "JUMPERS", 5, "1000.00"))
	require.Equal(t, "FAILED", s.final("fraud").State)
	s.checkBooks(1) // the five are free again
	s.post(newOrder("next", 2, "JUMPERS", 5, "1.00"))
	require.Equal(t, "VALIDATED", s.final("next").State)
	s.checkBooks(2)
}

func TestFlawRepostingAnIDCreatesAgain(t *testing.T) {
	s := start(t, options{replicas: 2})
	s.stock("JUMPERS", 10)
	o := newOrder("1", 1, "JUMPERS", 1, "1.00")
	var wg sync.WaitGroup
	statuses := make([]int, 16)
	for i := range statuses {
		base := []string{s.orders, s.second}[i%2]
		wg.Add(1)
		go func() {
			defer wg.Done()
			if a, err := call("POST", base+"/v1/orders", o); err == nil {
				statuses[i] = a.status
			}
		}()
	}
	wg.Wait()
	count := map[int]int{}
	for _, st := range statuses {
		count[st]++
	}
	assert.Equal(t, map[int]int{http.StatusCreated: 1, http.StatusOK: len(statuses) - 1}, count)
	require.Equal(t, "VALIDATED", s.final("1").State)

	again := s.call("POST", s.orders+"/v1/orders", o)
	assert.Equal(t, http.StatusOK, again.status, "%s", again.body)
	assert.Equal(t, "VALIDATED", again.order(s).State, "the order as it is now")
	other := s.call("POST", s.orders+"/v1/orders", newOrder("1", 1, "JUMPERS", 2, "1.00"))
	assert.Equal(t, http.StatusConflict, other.status)
	s.checkBooks(1)
}

func TestFlawTheClientsStateIsTrusted(t *testing.T) {
	s := start(t, options{only: []string{"orders"}})
	o := newOrder("1", 1, "JUMPERS", 1, "1.00")
	o["state"] = "VALIDATED"
	a := s.call("POST", s.orders+"/v1/orders", o)
	assert.Equal(t, http.StatusUnprocessableEntity, a.status)
	assert.Contains(t, string(a.body), "state")
	assert.Empty(t, s.read("orders"))
}

func TestFlawTimeoutZeroWaitsForEver(t *testing.T) {
	s := start(t, options{only: []string{"orders"}})
	s.post(newOrder("1", 1, "JUMPERS", 1, "1.00"))
	done := make(chan answer, 1)
	go func() {
		a, _ := call("GET", s.orders+"/v1/orders/1/validated?timeout=0", nil)
		done <- a
	}()
	select {
	case a := <-done:
		assert.Equal(t, http.StatusGatewayTimeout, a.status, "%s", a.body)
	case <-time.After(5 * time.Second):
		t.Fatal("no answer in 5 s")
	}
}

func TestFlawASecondWaiterReplacesTheFirst(t *testing.T) {
	s := start(t, options{only: []string{"orders"}})
	s.post(newOrder("1", 1, "JUMPERS", 1, "1.00"))
	const n = 20
	done := make(chan answer, n)
	for range n {
		go func() {
			a, _ := call("GET", s.orders+"/v1/orders/1/validated?timeout=30000", nil)
			done <- a
		}()
	}
	s.pass("1")
	for range n {
		a := <-done
		require.Equal(t, http.StatusOK, a.status, "%s", a.body)
		assert.Equal(t, "VALIDATED", a.order(s).State)
	}
}

// The verdict comes while the waiter asks: each order is decided at about the
// time of the request.
func TestFlawAnUpdateBetweenViewAndRegistrationIsMissed(t *testing.T) {
	s := start(t, options{})
	s.stock("JUMPERS", 1000)
	var wg sync.WaitGroup
	for i := range 100 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			id := fmt.Sprint(i)
			a, err := call("POST", s.orders+"/v1/orders", newOrder(id, i, "JUMPERS", 1, "1.00"))
			if !assert.NoError(t, err) || !assert.Equal(t, http.StatusCreated, a.status, "%s", a.body) {
				return
			}
			time.Sleep(time.Duration(i%10) * time.Millisecond)
			a, err = call("GET", s.orders+"/v1/orders/"+id+"/validated?timeout=30000", nil)
			assert.NoError(t, err)
			assert.Equal(t, http.StatusOK, a.status, "%s", a.body)
		}()
	}
	wg.Wait()
	s.checkBooks(100)
}

func TestFlawEveryRestartRebuildsFromNothing(t *testing.T) {
	s := start(t, options{})
	s.stock("JUMPERS", 10)
	s.post(newOrder("1", 1, "JUMPERS", 1, "1.00"))
	require.Equal(t, "VALIDATED", s.final("1").State)
	for _, name := range []string{"orders", "inventory", "details", "orders-sidecar", "fraud-sidecar", "inventory-sidecar"} {
		s.terminate(name)
	}
	for _, name := range []string{"orders-sidecar", "fraud-sidecar", "inventory-sidecar", "orders", "inventory", "details"} {
		s.run(name)
	}
	for _, name := range s.order {
		s.ready(name)
	}
	assert.Equal(t, "VALIDATED", s.final("1").State, "what was decided stays")
	s.post(newOrder("2", 1, "JUMPERS", 9, "1.00"))
	require.Equal(t, "VALIDATED", s.final("2").State)
	s.post(newOrder("3", 1, "JUMPERS", 1, "1.00"))
	require.Equal(t, "FAILED", s.final("3").State, "the first order's reservation is remembered")
	s.checkBooks(3)
}

// A bad record on a topic is passed by, and what comes behind it is not held up.
func TestFlawABadRecordStopsAValidator(t *testing.T) {
	s := start(t, options{})
	s.stock("JUMPERS", 10)
	for _, topic := range []string{"orders", "orders-by-product", "order-validations", "fraud-validations", "order-verdicts", "warehouse-inventory", "order-requests"} {
		for i := range 8 {
			s.produce(topic, fmt.Sprintf("bad-%d", i), []byte(`{"id": "bad", "quantity": `))
			s.produce(topic, fmt.Sprintf("worse-%d", i), []byte("\x00\xff not json"))
		}
	}
	for i := range 8 {
		s.post(newOrder(fmt.Sprint(i), 1, "JUMPERS", 1, "1.00"))
	}
	for i := range 8 {
		assert.Equal(t, "VALIDATED", s.final(fmt.Sprint(i)).State)
	}
}
