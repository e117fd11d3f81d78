package main

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sidestream/sidestream/services/internal/order"
)

func cancelWhen(t *testing.T, cond func() bool) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	t.Cleanup(cancel)
	go func() {
		for ctx.Err() == nil && !cond() {
			time.Sleep(time.Millisecond)
		}
		cancel()
	}()
	return ctx
}

// sse is an open event stream.
type sse struct {
	t    testing.TB
	resp *http.Response
	r    *bufio.Reader
	last string // id of the last event
}

func (in *instance) stream(last string) *sse {
	in.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	in.t.Cleanup(cancel)
	req, err := http.NewRequestWithContext(ctx, "GET", in.url+"/v1/orders/events", nil)
	require.NoError(in.t, err)
	if last != "" {
		req.Header.Set("Last-Event-ID", last)
	}
	resp, err := http.DefaultClient.Do(req)
	require.NoError(in.t, err)
	require.Equal(in.t, 200, resp.StatusCode)
	require.Equal(in.t, "text/event-stream", resp.Header.Get("Content-Type"))
	s := &sse{t: in.t, resp: resp, r: bufio.NewReader(resp.Body), last: last}
	in.t.Cleanup(func() { resp.Body.Close() })
	require.Contains(in.t, strings.Join(s.block(), "\n"), "retry:") // the stream is open
	return s
}

// block reads the lines up to an empty one.
func (s *sse) block() []string {
	s.t.Helper()
	var lines []string
	for {
		line, err := s.r.ReadString('\n')
		require.NoError(s.t, err)
		if line = strings.TrimSuffix(line, "\n"); line == "" {
			return lines
		}
		lines = append(lines, line)
	}
}

func (s *sse) next() order.Order {
	s.t.Helper()
	for {
		lines := s.block()
		if len(lines) != 3 {
			continue // a comment
		}
		require.Equal(s.t, "event: order", lines[1])
		s.last = strings.TrimPrefix(lines[0], "id: ")
		o, err := order.Decode([]byte(strings.TrimPrefix(lines[2], "data: ")))
		require.NoError(s.t, err)
		return o
	}
}

func TestEventStream(t *testing.T) {
	b := newBroker(t)
	v := newFakeView(t, b)
	in := startInstance(t, b, v, "orders-0", func(s *settings) { s.recent = 4 }) // of a partition
	in.post(jumpers("before")).is(201)
	s := in.stream("")
	in.post(jumpers("1")).is(201)
	b.verdict("1", "VALIDATED")
	first := s.next()
	require.Equal(t, []any{"1", order.Created}, []any{first.ID, first.State})
	afterCreated := s.last
	second := s.next()
	require.Equal(t, []any{"1", order.Validated}, []any{second.ID, second.State})
	s.resp.Body.Close()

	// Back from behind the first event: by memory.
	again := in.stream(afterCreated)
	require.Equal(t, order.Validated, again.next().State)
	again.resp.Body.Close()

	// More than memory holds, and another replica that has seen none of it.
	want := map[string]bool{}
	for i := range 40 {
		id := fmt.Sprint("more-", i)
		in.post(jumpers(id)).is(201)
		want[id] = true
	}
	other := startInstance(t, b, v, "orders-1")
	for i, replica := range []*instance{in, other} {
		s := replica.stream(afterCreated)
		got := map[string]int{}
		for range 41 + 2*i { // the second one also gets what was live for the first
			o := s.next()
			got[o.ID+string(o.State)]++
		}
		require.Equal(t, 1, got["1VALIDATED"])
		for id := range want {
			require.Equal(t, 1, got[id+"CREATED"], id)
		}
		// And then live.
		id := "live-" + strings.TrimPrefix(replica.url, "http://127.0.0.1:")
		replica.post(jumpers(id)).is(201)
		require.Equal(t, id, s.next().ID)
		// Cut in the middle, nothing is lost and nothing comes twice.
		s.resp.Body.Close()
		replica.post(jumpers(id + "-2")).is(201)
		require.Equal(t, id+"-2", replica.stream(s.last).next().ID)
	}
}

func TestEventIDs(t *testing.T) {
	at, err := parseEventID("0-17.1-4.12-0")
	require.NoError(t, err)
	require.Equal(t, map[int32]int64{0: 17, 1: 4, 12: 0}, at)
	require.Equal(t, "0-17.1-4.12-0", (&stream{at: at}).id())
	for _, bad := range []string{"", "0", "0-", "-1", "0--1", "0-1.", "0-1,1-2", "0-99999999999999999999", "0-1 "} {
		_, err := parseEventID(bad)
		require.Error(t, err, bad)
	}
}

func TestHeartbeatAndDrainOfStreams(t *testing.T) {
	b := newBroker(t)
	in := startInstance(t, b, newFakeView(t, b), "orders-0", func(s *settings) { s.heartbeat = 10 * time.Millisecond })
	s := in.stream("")
	require.Equal(t, []string{": alive"}, s.block())
	go in.stop()
	for {
		if _, err := s.r.ReadString('\n'); err != nil {
			require.Equal(t, "EOF", err.Error()) // ended in good order
			break
		}
	}
}
