package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"
)

// BenchmarkPostToDecided posts an order and waits for its decision, with the
// broker, the service and the client in one process. The verdict comes as soon
// as the order is there, from a client in the place of the validators and SQL.
//
//	go test -run '^$' -bench PostToDecided -benchtime 5000x ./services/orders
func BenchmarkPostToDecided(b *testing.B) {
	br := newBroker(b)
	v := newFakeView(b, nil)
	in := startInstance(b, br, v, "orders-0")
	c, err := kgo.NewClient(kgo.SeedBrokers(br.addrs), kgo.ConsumeTopics(ordersTopic), kgo.ProducerLinger(0), kgo.FetchIsolationLevel(kgo.ReadCommitted()))
	require.NoError(b, err)
	b.Cleanup(c.Close)
	go func() {
		for {
			fs := c.PollFetches(context.Background())
			if fs.IsClientClosed() {
				return
			}
			fs.EachRecord(func(r *kgo.Record) {
				if strings.Contains(string(r.Value), `"CREATED"`) {
					c.Produce(context.Background(), &kgo.Record{Topic: verdictsTopic, Key: r.Key, Value: []byte(`{"STATE":"VALIDATED","REASONS":[]}`)}, nil)
				}
			})
		}
	}()
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 1000}}
	do := func(method, path, body string) string {
		req, err := http.NewRequest(method, in.url+path, strings.NewReader(body))
		require.NoError(b, err)
		req.Header.Set("Content-Type", "application/json")
		resp, err := client.Do(req)
		require.NoError(b, err)
		defer resp.Body.Close()
		_, err = io.Copy(io.Discard, resp.Body)
		require.NoError(b, err)
		require.Less(b, resp.StatusCode, 300)
		return resp.Header.Get("Location")
	}
	for _, clients := range []int{1, 32, 128} {
		b.Run(fmt.Sprintf("clients=%d", clients), func(b *testing.B) {
			var left atomic.Int64
			left.Store(int64(b.N))
			took := make([][2][]float64, clients)
			var wg sync.WaitGroup
			for i := range clients {
				wg.Go(func() {
					for left.Add(-1) >= 0 {
						start := time.Now()
						location := do("POST", "/v1/orders", `{"customerId":2,"product":"J","quantity":1,"price":1}`)
						posted := time.Since(start)
						do("GET", location+"/validated", "")
						took[i][0] = append(took[i][0], float64(posted.Microseconds())/1000)
						took[i][1] = append(took[i][1], float64(time.Since(start).Microseconds())/1000)
					}
				})
			}
			wg.Wait()
			for k, what := range []string{"post", "decided"} {
				var all []float64
				for i := range took {
					all = append(all, took[i][k]...)
				}
				slices.Sort(all)
				b.ReportMetric(all[len(all)/2], "ms-"+what+"-p50")
				b.ReportMetric(all[len(all)*99/100], "ms-"+what+"-p99")
			}
		})
	}
}
