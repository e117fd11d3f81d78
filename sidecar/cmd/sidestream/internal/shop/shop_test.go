package shop

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"
)

func TestOrdersAreTheSameForASeed(t *testing.T) {
	a, b := orders(1, 300), orders(1, 300)
	require.Equal(t, a, b)
	require.NotEqual(t, a, orders(2, 300))
	require.Len(t, a, 300)
	count := map[string]int{}
	customers := map[int]bool{}
	for _, o := range a {
		count[kinds[o.Kind].name]++
		require.False(t, customers[o.Customer], "one order a customer")
		customers[o.Customer] = true
		require.True(t, json.Valid(o.json()), string(o.json()))
		over := o.Quantity*o.Cents >= 200_000
		require.Equal(t, kinds[o.Kind].name == "over the fraud limit", over, "%+v", o)
	}
	for _, k := range kinds {
		require.Positive(t, count[k.name], k.name)
	}
	require.Greater(t, count["last pieces"], lastPieces.stock)
}

func books(t *testing.T, records ...[3]string) *Books {
	t.Helper()
	b := &Books{orders: map[string]*entry{}, answers: map[string]map[string]int{}, stock: map[string]int64{}, reserved: map[string]int64{}}
	for _, r := range records {
		require.NoError(t, b.record(&kgo.Record{Topic: r[0], Key: []byte(r[1]), Value: []byte(r[2])}))
	}
	return b
}

var good = [][3]string{
	{"warehouse-inventory", "A", `{"stock":2}`},
	{"orders", "1", `{"state":"CREATED","product":"A","quantity":2}`},
	{"fraud-validations", "1", `{}`}, {"inventory-validations", "1", `{}`}, {"details-validations", "1", `{}`},
	{"reserved-stock", "A", `{"reserved":2}`},
	{"orders", "1", `{"STATE":"VALIDATED","PRODUCT":"A","QUANTITY":2}`},
}

func TestBooksThatAddUp(t *testing.T) {
	b := books(t, good...)
	require.Empty(t, b.Faults())
	require.Zero(t, b.Open())
}

func TestBooksThatDoNot(t *testing.T) {
	base := good
	for want, more := range map[string][3]string{
		"order 1 was created 2 times":                                               {"orders", "1", `{"state":"CREATED","product":"A","quantity":2}`},
		"order 1 has 2 final states [VALIDATED FAILED] instead of one":              {"orders", "1", `{"state":"FAILED","product":"A","quantity":2}`},
		"order 2 has 0 final states [] instead of one":                              {"orders", "2", `{"state":"CREATED"}`},
		"order 1 is VALIDATED with 2 answers on details-validations instead of one": {"details-validations", "1", `{}`},
		"3 A are reserved, but VALIDATED orders hold 2":                             {"reserved-stock", "A", `{"reserved":3}`},
		"1 B are reserved, of 0 in stock":                                           {"reserved-stock", "B", `{"reserved":1}`},
	} {
		require.Contains(t, books(t, append(base[:len(base):len(base)], more)...).Faults(), want)
	}
}

func TestMailsThatMustAndMustNotBe(t *testing.T) {
	read := func(records ...[3]string) *post {
		p := &post{states: map[string]string{}, paid: map[string]bool{}, unpaid: map[string]bool{},
			statuses: map[string]string{}, levels: map[string]string{}, sentAt: map[string]int64{}}
		for _, r := range records {
			require.NoError(t, p.record(&kgo.Record{Topic: r[0], Key: []byte(r[1]), Value: []byte(r[2])}))
		}
		return p
	}
	order := [3]string{"orders", "1", `{"STATE":"VALIDATED"}`}
	failure := [3]string{"orders", "1", `{"state":"FAILED"}`}
	payment := [3]string{"payments", "p", `{"orderId":"1"}`}
	declined := [3]string{"payment-failures", "1", `{"orderId":"1"}`}
	mail := [3]string{"emails-sent", "1", `{"status":"SENT","level":"gold","sentAt":7}`}
	for _, c := range []struct {
		records      [][3]string
		open, faults []string
	}{
		{[][3]string{order, payment, mail}, nil, nil},
		{[][3]string{order, declined}, nil, nil},
		{[][3]string{failure, payment}, nil, nil},
		{[][3]string{order}, []string{"order 1 is VALIDATED and neither paid nor declined"}, nil},
		{[][3]string{order, payment}, []string{"order 1 is VALIDATED and paid, and its mail is none"}, nil},
		{[][3]string{failure, payment, mail}, nil, []string{"order 1 is FAILED, paid: true, and its mail is SENT"}},
		{[][3]string{mail}, nil, []string{"order 1 is none, paid: false, and its mail is SENT"}},
	} {
		p := read(c.records...)
		require.Equal(t, c.open, p.open())
		require.Equal(t, c.faults, p.faults())
	}
}

func TestPaidOrdersAreShippedAndBilled(t *testing.T) {
	read := func(records ...[3]string) *flows {
		f := &flows{states: map[string]string{}, paid: map[string]bool{}, declined: map[string]bool{}, sent: map[string]int{}, invoices: map[string]string{}}
		for _, r := range records {
			require.NoError(t, f.record(&kgo.Record{Topic: r[0], Key: []byte(r[1]), Value: []byte(r[2])}))
		}
		return f
	}
	order := [3]string{"orders", "1", `{"state":"VALIDATED"}`}
	payment := [3]string{"payments", "p", `{"orderId":"1"}`}
	sent := [3]string{"shipments", "1", `{"orderId":"1"}`}
	out := [3]string{"orders", "1", `{"state":"SHIPPED"}`}
	invoice := [3]string{"invoices", "1", `{"AMOUNT":5.00}`}
	for _, c := range []struct {
		records      [][3]string
		open, faults []string
	}{
		{[][3]string{order, payment, sent, out, invoice}, nil, nil},
		{[][3]string{order, {"payment-failures", "1", `{}`}}, nil, nil},
		{[][3]string{{"orders", "1", `{"state":"FAILED"}`}}, nil, nil},
		{[][3]string{order}, []string{"order 1 is VALIDATED and neither paid nor declined"}, nil},
		{[][3]string{order, payment}, []string{"order 1 is paid and VALIDATED, with 0 shipments"}, nil},
		{[][3]string{order, payment, sent, sent, out, invoice}, []string{"order 1 is paid and SHIPPED, with 2 shipments"}, nil},
		{[][3]string{order, payment, sent, out}, []string{"order 1 is paid and has no invoice"}, nil},
		{[][3]string{{"orders", "1", `{"state":"FAILED"}`}, payment, sent}, nil, []string{"order 1 was sent; it is FAILED, paid: true"}},
		{[][3]string{{"orders", "1", `{"state":"FAILED"}`}, invoice}, nil, []string{"order 1 has an invoice and isn't paid"}},
	} {
		f := read(c.records...)
		require.Equal(t, c.open, f.open())
		require.Equal(t, c.faults, f.faults())
	}
	// The books count a shipped order's stock as gone.
	b := books(t, append(good[:len(good):len(good)], [3]string{"orders", "1", `{"STATE":"SHIPPED","PRODUCT":"A","QUANTITY":2}`}, [3]string{"reserved-stock", "A", `{"reserved":0}`})...)
	require.Empty(t, b.Faults())
	require.Zero(t, b.Open())
}
