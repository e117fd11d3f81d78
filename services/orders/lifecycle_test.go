package main

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sidestream/sidestream/services/internal/order"
	"github.com/sidestream/sidestream/services/transact"
)

func dry(t *testing.T, l *lifecycle) (*transact.Dry, func(topic, key, value, request string) []transact.Record) {
	d, err := transact.NewDry(l)
	require.NoError(t, err)
	t.Cleanup(func() { d.Close() })
	return d, func(topic, key, value, request string) []transact.Record {
		t.Helper()
		r := transact.Record{Topic: topic, Key: []byte(key), Value: []byte(value), Time: time.Now()}
		if request != "" {
			r.Headers = []transact.Header{{Key: requestIDHeader, Value: []byte(request)}}
		}
		out, err := d.Process(r)
		require.NoError(t, err)
		return out
	}
}

func TestARequestThatComesThroughTwiceHasOneAnswer(t *testing.T) {
	_, process := dry(t, newLifecycle([]string{order.FraudCheck}, time.Minute))
	out := process(requestsTopic, "1", jumpers("1"), "request 1")
	require.Len(t, out, 1)
	require.Equal(t, ordersTopic, out[0].Topic)
	require.Equal(t, []transact.Header{{Key: requestIDHeader, Value: []byte("request 1")}}, out[0].Headers)
	require.Empty(t, process(requestsTopic, "1", jumpers("1"), "request 1"))
	out = process(requestsTopic, "1", jumpers("1"), "request 2")
	require.Len(t, out, 1)
	require.Equal(t, outcomesTopic, out[0].Topic)
}

func TestRequestsCannotSetWhatIsOurs(t *testing.T) {
	_, process := dry(t, newLifecycle([]string{order.FraudCheck}, time.Minute))
	out := process(requestsTopic, "1", `{"id":"1","state":"SHIPPED","version":9,"reasons":["x"],"price":1}`, "")
	require.Equal(t, `{"id":"1","customerId":0,"state":"CREATED","product":"","quantity":0,"price":1.00,"reasons":[],"version":1}`, string(out[0].Value))
}

func TestDeadline(t *testing.T) {
	l := newLifecycle([]string{order.FraudCheck, order.DetailsCheck}, time.Minute)
	d, process := dry(t, l)
	tick := func(at time.Time) (ids []string) {
		t.Helper()
		out, err := d.Tick(0, at)
		require.NoError(t, err)
		for _, r := range out {
			o, err := order.Decode(r.Value)
			require.NoError(t, err)
			require.Equal(t, order.Failed, o.State)
			require.Equal(t, int32(2), o.Version)
			ids = append(ids, o.ID+": "+strings.Join(o.Reasons, ";"))
		}
		return ids
	}
	now := time.Now()
	for _, id := range []string{"a", "b", "c", "d"} {
		process(requestsTopic, id, jumpers(id), "")
	}
	process(validationsTopic, "b", `{"CHECKTYPE":"FRAUD_CHECK"}`, "")
	process(validationsTopic, "c", `{"CHECKTYPE":"FRAUD_CHECK"}`, "")
	process(validationsTopic, "c", `{"CHECKTYPE":"ORDER_DETAILS_CHECK"}`, "")
	process(verdictsTopic, "d", `{"STATE":"VALIDATED"}`, "")

	at := now
	for ; at.Before(now.Add(59 * time.Second)); at = at.Add(time.Second) {
		require.Empty(t, tick(at), "before the deadline")
	}
	// A break of a minute: the verdicts that wait on the topic come first.
	at = at.Add(time.Minute)
	require.Empty(t, tick(at))
	process(verdictsTopic, "a", `{"STATE":"VALIDATED"}`, "")
	var failed []string
	for range 15 {
		at = at.Add(time.Second)
		failed = append(failed, tick(at)...)
	}
	require.Equal(t, []string{
		"b: TIMEOUT: no ORDER_DETAILS_CHECK within 1m0s",
		"c: TIMEOUT: no verdict within 1m0s, though every check has answered",
	}, failed)
	require.Empty(t, process(verdictsTopic, "b", `{"STATE":"VALIDATED"}`, ""), "decided")
	require.Empty(t, d.Bad)
}

func TestShipments(t *testing.T) {
	d, process := dry(t, newLifecycle([]string{order.FraudCheck}, time.Minute))
	process(requestsTopic, "1", jumpers("1"), "")
	require.Empty(t, process(shipmentsTopic, "1", `{"orderId":"1"}`, ""), "not validated")
	require.Len(t, d.Bad, 1)
	require.ErrorContains(t, d.Bad[0], `a shipment of order "1", which is CREATED, not VALIDATED`)

	require.Len(t, process(verdictsTopic, "1", `{"STATE":"VALIDATED"}`, ""), 1)
	out := process(shipmentsTopic, "1", `{"orderId":"1"}`, "")
	require.Len(t, out, 1)
	o, err := order.Decode(out[0].Value)
	require.NoError(t, err)
	require.Equal(t, order.Shipped, o.State)
	require.Equal(t, int32(3), o.Version)
	require.Empty(t, process(shipmentsTopic, "1", `{"orderId":"1"}`, ""), "told twice")
	require.Empty(t, process(verdictsTopic, "1", `{"STATE":"FAILED"}`, ""), "decided")

	process(requestsTopic, "2", jumpers("2"), "")
	process(verdictsTopic, "2", `{"STATE":"FAILED","REASONS":["no"]}`, "")
	require.Empty(t, process(shipmentsTopic, "2", `{"orderId":"2"}`, ""))
	require.Empty(t, process(shipmentsTopic, "nobody", `{"orderId":"nobody"}`, ""))
	require.Len(t, d.Bad, 3)
}
