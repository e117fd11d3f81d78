package dev

import (
	"bytes"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"
)

// hold listens on a free address until the test ends.
func hold(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { ln.Close() })
	return ln.Addr().String()
}

func TestFigures(t *testing.T) {
	o := newObserver()
	start := o.started.Add(time.Second)
	created := map[string]time.Time{}
	put := func(id, state string, at, seen time.Duration) {
		o.record(&kgo.Record{Key: []byte(id), Value: []byte(`{"STATE":"` + state + `"}`), Timestamp: start.Add(at)}, start.Add(seen), created)
	}
	o.record(&kgo.Record{Key: []byte("old"), Value: []byte(`{"state":"CREATED"}`), Timestamp: start.Add(-time.Hour)}, start, created)
	put("old", "FAILED", 0, 0) // of an earlier run: counted, not timed
	put("a", "CREATED", 0, time.Millisecond)
	put("b", "CREATED", 0, time.Millisecond)
	put("c", "CREATED", 0, time.Millisecond)
	put("a", "VALIDATED", 0, 10*time.Millisecond)
	put("b", "FAILED", 0, 20*time.Millisecond)
	require.Equal(t, "orders 4  CREATED 1  VALIDATED 1  FAILED 2  │ 0/s  │ POST to final state p50 20.0 ms p99 20.0 ms", o.line(start.Add(time.Minute)))
	require.Len(t, created, 1)
}

func TestLinesWithoutATerminal(t *testing.T) {
	var b bytes.Buffer
	s := NewScreen(&b)
	s.Say("one %d", 1)
	s.Table([]string{"table", "more"})
	s.Table([]string{"again"}) // too soon
	s.Say("two\n")
	require.Equal(t, "one 1\ntable\ntwo\n", b.String())
}
