package main

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestFeed(t *testing.T) {
	f := newFeed()
	at := f.now()
	_, _, more, ok := f.since(at)
	require.True(t, ok)
	f.publish([]row{{ID: "1", State: "CREATED", Reasons: []string{}}, {ID: "2", gone: true}, {ID: "1", State: "FAILED", Reasons: []string{}}})
	<-more
	changes, next, _, ok := f.since(at)
	require.True(t, ok)
	require.Len(t, changes, 1)
	require.Contains(t, string(changes[0]), `"state":"FAILED"`)
	require.NotContains(t, string(changes[0]), "CREATED", "a row is told once, as it was last")
	require.Contains(t, string(changes[0]), `"gone":["2"]`)

	at, known := f.place(f.id(next))
	require.True(t, known)
	require.Equal(t, next, at)
	for _, id := range []string{"", "x", "other-1", f.life + "-99", f.life + "--1", f.life + "-x"} {
		_, known = f.place(id)
		require.False(t, known, id)
	}
}

func TestAClientThatWasAwayTooLong(t *testing.T) {
	f := newFeed()
	f.publish([]row{{ID: "0", Reasons: []string{}}})
	id := f.id(f.now())
	for i := range ringSize {
		f.publish([]row{{ID: fmt.Sprint(i), Reasons: []string{}}})
	}
	at, known := f.place(id)
	require.True(t, known, "all that came since is there")
	changes, _, _, ok := f.since(at)
	require.True(t, ok)
	require.Len(t, changes, ringSize)
	f.publish([]row{{ID: "one more", Reasons: []string{}}})
	_, known = f.place(id)
	require.False(t, known)
	_, _, _, ok = f.since(at)
	require.False(t, ok)
}

func TestManyRowsAreSeveralChanges(t *testing.T) {
	f := newFeed()
	var rows []row
	for i := range 450 {
		rows = append(rows, row{ID: fmt.Sprint(i), Reasons: []string{}})
	}
	f.publish(rows)
	changes, _, _, _ := f.since(0)
	require.Len(t, changes, 3)
}
