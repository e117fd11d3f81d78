package main

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sidestream/sidestream/services/internal/order"
)

func money(m order.Money) *order.Money { return &m }

func newStore(t *testing.T, dir string) *store {
	s, err := openStore(dir)
	require.NoError(t, err)
	t.Cleanup(func() { s.close() })
	return s
}

func TestARowKeepsTheTimeOfItsFirstRecord(t *testing.T) {
	s := newStore(t, "")
	first := row{ID: "1", State: "CREATED", Product: "SOCKS", Reasons: []string{}, Created: 10, Updated: 10}
	_, err := s.apply(&batch{rows: []row{first}, next: map[string]map[int32]int64{rowsTopic: {0: 1}}})
	require.NoError(t, err)
	now, err := s.apply(&batch{rows: []row{{ID: "1", State: "FAILED", Product: "SOCKS", Reasons: []string{"no"}, Paid: money(1575), Created: 20, Updated: 20}}})
	require.NoError(t, err)
	require.Equal(t, int64(10), now[0].Created)

	got, ok, err := s.row(t.Context(), "1")
	require.NoError(t, err)
	require.True(t, ok)
	require.Equal(t, row{ID: "1", State: "FAILED", Product: "SOCKS", Reasons: []string{"no"}, Paid: money(1575), Created: 10, Updated: 20}, got)
	_, ok, err = s.row(t.Context(), "2")
	require.NoError(t, err)
	require.False(t, ok)
	at, err := s.offsets(rowsTopic)
	require.NoError(t, err)
	require.Equal(t, map[int32]int64{0: 1}, at)

	_, err = s.apply(&batch{rows: []row{{ID: "1", gone: true}, {ID: "2", Reasons: []string{}}, {ID: "2", gone: true}, {ID: "2", State: "CREATED", Reasons: []string{}}}})
	require.NoError(t, err)
	_, total, err := s.rows(t.Context(), query{sort: "id", limit: 10})
	require.NoError(t, err)
	require.Equal(t, 1, total, "what came back after a tombstone is there")
}

func TestQueries(t *testing.T) {
	s := newStore(t, "")
	var all []row
	for i := range 250 {
		all = append(all, row{ID: fmt.Sprintf("o%03d", i), State: []string{"CREATED", "VALIDATED"}[i%2], Level: []string{"gold", "silver", ""}[i%3],
			Customer: fmt.Sprintf("Customer %d", i%10), Product: "SOCKS", Quantity: int64(i % 7), Reasons: []string{}, Created: int64(i)})
	}
	all[7].Product = `100% "wool"_`
	_, err := s.apply(&batch{rows: all})
	require.NoError(t, err)
	ids := func(q query) (out []string, total int) {
		rs, total, err := s.rows(t.Context(), q)
		require.NoError(t, err)
		for _, r := range rs {
			out = append(out, r.ID)
		}
		return out, total
	}
	got, total := ids(query{sort: "created", down: true, limit: 2})
	require.Equal(t, []string{"o249", "o248"}, got)
	require.Equal(t, 250, total)
	got, _ = ids(query{sort: "id", offset: 120, limit: 2})
	require.Equal(t, []string{"o120", "o121"}, got)
	got, total = ids(query{sort: "quantity", limit: 3, in: map[string][]string{"state": {"VALIDATED"}, "level": {"gold", "silver"}}})
	require.Equal(t, []string{"o007", "o021", "o049"}, got, "equals are in the order of their ids")
	require.Equal(t, 84, total)
	got, _ = ids(query{sort: "id", limit: 10, search: "R 3"})
	require.Len(t, got, 10)
	got, total = ids(query{sort: "id", limit: 10, search: `100% "wool"_`})
	require.Equal(t, []string{"o007"}, got)
	require.Equal(t, 1, total)
	got, _ = ids(query{sort: "id", limit: 10, search: "%"})
	require.Equal(t, []string{"o007"}, got, "a percent sign is a percent sign")
	for _, column := range sortable {
		for _, down := range []bool{false, true} {
			rs, _, err := s.rows(t.Context(), query{sort: column, down: down, limit: 1000})
			require.NoError(t, err)
			require.Len(t, rs, 250, column)
		}
	}
	counts, err := s.counts(t.Context(), "state", 10)
	require.NoError(t, err)
	require.Equal(t, []count{{"CREATED", 125}, {"VALIDATED", 125}}, counts)
}

func TestTheViewStays(t *testing.T) {
	dir := t.TempDir()
	s, err := openStore(dir)
	require.NoError(t, err)
	_, err = s.apply(&batch{rows: []row{{ID: "1", Reasons: []string{}}}, events: []event{
		{Order: "1", Topic: "orders", Partition: 2, Offset: 7, Time: 5, Value: []byte(`{"a":1}`)},
		{Order: "1", Topic: "orders", Partition: 2, Offset: 7, Time: 5, Value: []byte(`{"a":1}`)}, // read again
		{Order: "1", Topic: "order-verdicts", Partition: 2, Offset: 1, Time: 4, Value: []byte(`{}`)},
		{Order: "1", Topic: "details-validations", Partition: 2, Offset: 1, Time: 5, Value: []byte(`{}`)},
		{Order: "2", Topic: "orders", Partition: 2, Offset: 8, Time: 5, Value: []byte(`{}`)},
	}, next: map[string]map[int32]int64{"orders": {2: 9}}})
	require.NoError(t, err)
	require.NoError(t, s.close())

	s = newStore(t, dir)
	events, err := s.story(t.Context(), "1")
	require.NoError(t, err)
	require.Equal(t, []event{
		{Order: "1", Topic: "order-verdicts", Partition: 2, Offset: 1, Time: 4, Value: []byte(`{}`)},
		{Order: "1", Topic: "orders", Partition: 2, Offset: 7, Time: 5, Value: []byte(`{"a":1}`)},
		{Order: "1", Topic: "details-validations", Partition: 2, Offset: 1, Time: 5, Value: []byte(`{}`)},
	}, events)
	at, err := s.offsets("orders")
	require.NoError(t, err)
	require.Equal(t, map[int32]int64{2: 9}, at)
	require.NoError(t, s.forget())
	_, total, err := s.rows(t.Context(), query{sort: "id", limit: 1})
	require.NoError(t, err)
	require.Zero(t, total)
}

// BenchmarkScroll is a block of 100 rows anywhere among 100,000, in any order.
func BenchmarkScroll(b *testing.B) {
	s := fill(b, "")
	defer s.close()
	b.ResetTimer()
	for n := range b.N {
		_, _, err := s.rows(b.Context(), query{sort: sortable[n%len(sortable)], down: n%2 == 0, offset: n * 7919 % 100_000, limit: 100})
		require.NoError(b, err)
	}
}
