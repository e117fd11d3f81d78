package main

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"
)

// BenchmarkPostToDecided posts an order and waits for its decision, with the
// broker, the service and the client in one process. The verdict comes as soon
// as the order is there, from a client in the place of the validators and SQL.
//
//	go test -run '^$' -bench PostToDecided ./services/orders              one client
//	go test -run '^$' -bench PostToDecided -cpu 64 ./services/orders      64 clients
func BenchmarkPostToDecided(b *testing.B) {
	br := newBroker(b)
	v := newFakeView(b, nil)
	in := startInstance(b, br, v, "orders-0")
	c, err := kgo.NewClient(kgo.SeedBrokers(br.addrs), kgo.ConsumeTopics(ordersTopic), kgo.FetchIsolationLevel(kgo.ReadCommitted()))
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
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			do("GET", do("POST", "/v1/orders", `{"customerId":2,"product":"J","quantity":1,"price":1}`)+"/validated", "")
		}
	})
}
