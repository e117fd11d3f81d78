package dev

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sort"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// observer reads the orders topic and keeps figures of it.
type observer struct {
	mu      sync.Mutex
	states  map[string]string // by order id
	counts  map[string]int
	took    []time.Duration // of the last orders, POST to final state
	next    int
	ends    []time.Time // when the last orders were final, for the rate
	started time.Time
}

const (
	observed = 10_000 // orders that percentiles are made of
	window   = 5 * time.Second
)

func newObserver() *observer {
	return &observer{states: map[string]string{}, counts: map[string]int{}, started: time.Now()}
}

// run reads until ctx ends.
func (o *observer) run(ctx context.Context, broker string) error {
	cl, err := kgo.NewClient(kgo.SeedBrokers(broker), kgo.ConsumeTopics("orders"),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.FetchIsolationLevel(kgo.ReadCommitted()))
	if err != nil {
		return err
	}
	defer cl.Close()
	created := map[string]time.Time{}
	for {
		fetches := cl.PollFetches(ctx)
		if ctx.Err() != nil {
			return nil
		}
		now := time.Now()
		o.mu.Lock()
		fetches.EachRecord(func(r *kgo.Record) { o.record(r, now, created) })
		o.mu.Unlock()
	}
}

// record takes an order's new state. The time of the CREATED record is the
// order's; how long it took is only known for orders made since the start.
func (o *observer) record(r *kgo.Record, now time.Time, created map[string]time.Time) {
	var order struct {
		State string `json:"state"`
	}
	if r.Value == nil || json.Unmarshal(r.Value, &order) != nil {
		return
	}
	id := string(r.Key)
	if old, ok := o.states[id]; ok {
		o.counts[old]--
	}
	o.states[id] = order.State
	o.counts[order.State]++
	switch order.State {
	case "CREATED":
		if r.Timestamp.After(o.started) {
			created[id] = r.Timestamp
		}
	case "VALIDATED", "FAILED":
		from, ok := created[id]
		if !ok {
			return
		}
		delete(created, id)
		if len(o.took) < observed {
			o.took = append(o.took, now.Sub(from))
		} else {
			o.took[o.next%observed] = now.Sub(from)
		}
		o.next++
		o.ends = append(o.ends, now)
	}
}

// line is the figures as one line of text.
func (o *observer) line(now time.Time) string {
	o.mu.Lock()
	defer o.mu.Unlock()
	from := sort.Search(len(o.ends), func(i int) bool { return o.ends[i].After(now.Add(-window)) })
	o.ends = slices.Delete(o.ends, 0, from)
	var b strings.Builder
	fmt.Fprintf(&b, "orders %d", len(o.states))
	for _, state := range []string{"CREATED", "VALIDATED", "FAILED", "SHIPPED"} {
		if n := o.counts[state]; n > 0 || state != "SHIPPED" {
			fmt.Fprintf(&b, "  %s %d", state, n)
		}
	}
	fmt.Fprintf(&b, "  │ %.0f/s", float64(len(o.ends))/window.Seconds())
	if len(o.took) > 0 {
		sorted := slices.Sorted(slices.Values(o.took))
		p50, p99 := sorted[len(sorted)/2], sorted[len(sorted)*99/100]
		fmt.Fprintf(&b, "  │ POST to final state p50 %s p99 %s", millis(p50), millis(p99))
	}
	return b.String()
}

func millis(d time.Duration) string {
	return fmt.Sprintf("%.1f ms", float64(d.Microseconds())/1000)
}
