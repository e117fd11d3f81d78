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
