package runtime

import (
	"context"
	"fmt"
	gort "runtime"
	"slices"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"
)

func cpu() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// fill writes n orders of about 236 bytes to a topic of four partitions.
func fill(b *testing.B, k *broker, n int) {
	ctx := context.Background()
	var failed atomic.Pointer[error]
	for i := range n {
		value := fmt.Sprintf(`{"customer":"c%d","amount":%d,"state":"CREATED","product":"JUMPERS","quantity":%d,"price":%d.50,"note":"an order of the benchmark, as long as orders are when they carry an address and a remark or two","channel":"web","v":1}`, i%5000, i%100, i%7, i%90)
		key := fmt.Sprintf("order-%d", i)
		k.client.Produce(ctx, &kgo.Record{Topic: "orders", Key: []byte(key), Value: []byte(value), Timestamp: time.UnixMilli(1_700_000_000_000 + int64(i)), Partition: partitionOf(key, 4)}, func(_ *kgo.Record, err error) {
			if err != nil {
				failed.Store(&err)
			}
		})
	}
	require.NoError(b, k.client.Flush(ctx))
	require.Nil(b, failed.Load())
}

// BenchmarkFilter runs a filter over records that are there already, exactly
// once. The broker is in the same process unless KAFKA_TEST_BROKERS names one,
// so its work counts as well then.
func BenchmarkFilter(b *testing.B) {
	k := newBroker(b)
	k.topics(4, "orders", "big")
	fill(b, k, b.N)
	r := k.runtime(b.TempDir())
	defer r.Close()
	gort.GC()
	b.ReportAllocs()
	b.ResetTimer()
	start, begin := cpu(), time.Now()
	q, err := r.Start(context.Background(), filterPlan("CSAS_B_1", "orders", "big"), settings())
	require.NoError(b, err)
	waitFor(b, func() bool { return q.Processed.Load() == int64(b.N) && q.Commits.Load() > 0 })
	b.StopTimer()
	b.ReportMetric(float64(b.N)/(cpu()-start).Seconds(), "records/CPU-s")
	b.ReportMetric(float64(b.N)/time.Since(begin).Seconds(), "records/s")
	b.ReportMetric(float64(q.Commits.Load()), "commits")
}

// BenchmarkCount is a stream's GROUP BY: two sub-topologies, a store and a
// changelog.
func BenchmarkCount(b *testing.B) {
	k := newBroker(b)
	k.topics(4, "orders", "counts")
	fill(b, k, b.N)
	r := k.runtime(b.TempDir())
	defer r.Close()
	gort.GC()
	b.ReportAllocs()
	b.ResetTimer()
	start, begin := cpu(), time.Now()
	q, err := r.Start(context.Background(), countPlan("CTAS_C_1", "orders", "counts"), settings())
	require.NoError(b, err)
	waitFor(b, func() bool { return q.Processed.Load() == 2*int64(b.N) })
	b.StopTimer()
	b.ReportMetric(float64(b.N)/(cpu()-start).Seconds(), "records/CPU-s")
	b.ReportMetric(float64(b.N)/time.Since(begin).Seconds(), "records/s")
	b.ReportMetric(float64(q.Commits.Load()), "commits")
}

// BenchmarkLatency is the way of one record through an idle query, from before
// it is written to when it is read behind it, committed.
func BenchmarkLatency(b *testing.B) {
	k := newBroker(b)
	k.topics(4, "orders", "big", "counts")
	r := k.runtime(b.TempDir())
	defer r.Close()
	for _, c := range []struct {
		name, sink string
	}{{"filter", "big"}, {"count", "counts"}} {
		b.Run(c.name, func(b *testing.B) {
			p := filterPlan("CSAS_B_1", "orders", "big")
			if c.sink == "counts" {
				p = countPlan("CTAS_C_2", "orders", "counts")
			}
			q, err := r.Start(context.Background(), p, Options{})
			require.NoError(b, err)
			defer r.Stop(context.Background(), p.ID, true)
			waitFor(b, func() bool { s, _ := q.State(); return s == Running })
			cl, err := kgo.NewClient(append(k.opts(), kgo.ConsumeTopics(c.sink), kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.ConsumeResetOffset(kgo.NewOffset().AtEnd()))...)
			require.NoError(b, err)
			defer cl.Close()
			one := func(i int) time.Duration {
				key := fmt.Sprintf("k%d", i)
				start := time.Now()
				k.write("orders", 4, rec{key, `{"customer":"c1","amount":99}`, int64(i), 0})
				for {
					if fs := cl.PollFetches(context.Background()); fs.NumRecords() > 0 {
						return time.Since(start)
					}
				}
			}
			ctx, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
			cl.PollFetches(ctx)
			cancel()
			for i := range 20 {
				one(i)
			}
			b.ResetTimer()
			var all []time.Duration
			for i := range b.N {
				time.Sleep(5 * time.Millisecond)
				all = append(all, one(i))
			}
			slices.Sort(all)
			b.ReportMetric(float64(all[len(all)/2].Microseconds()), "p50-µs")
			b.ReportMetric(float64(all[len(all)*99/100].Microseconds()), "p99-µs")
		})
	}
}

// BenchmarkTrickle is what a record costs, in CPU of client and broker, that comes
// alone, a thousand times a second.
func BenchmarkTrickle(b *testing.B) {
	k := newBroker(b)
	k.topics(4, "orders", "big", "counts")
	run := func(name string, qs int) {
		b.Run(name, func(b *testing.B) {
			r := k.runtime(b.TempDir())
			var list []*Query
			if qs > 0 {
				q, err := r.Start(context.Background(), filterPlan("CSAS_B_1", "orders", "big"), Options{})
				require.NoError(b, err)
				list = append(list, q)
			}
			if qs > 1 {
				q, err := r.Start(context.Background(), countPlan("CTAS_C_2", "orders", "counts"), Options{})
				require.NoError(b, err)
				list = append(list, q)
			}
			for _, q := range list {
				waitFor(b, func() bool { s, _ := q.State(); return s == Running })
			}
			tick := time.NewTicker(time.Millisecond)
			defer tick.Stop()
			b.ResetTimer()
			c := cpu()
			for i := range b.N {
				<-tick.C
				k.write("orders", 4, rec{fmt.Sprintf("k%d", i), `{"customer":"c1","amount":99}`, int64(i), 0})
			}
			b.StopTimer()
			b.ReportMetric(float64((cpu()-c).Microseconds())/float64(b.N), "cpu-µs/rec")
			n := int64(0)
			for _, q := range list {
				n += q.Commits.Load()
			}
			b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "commits/s")
			for _, q := range list {
				r.Stop(context.Background(), q.ID(), true)
			}
			r.Close()
		})
	}
	run("none", 0)
	run("filter", 1)
	run("both", 2)
}
