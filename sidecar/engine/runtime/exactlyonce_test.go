package runtime

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kversion"

	"github.com/sidestream/sidestream/sidecar/engine/exec"
	"github.com/sidestream/sidestream/sidecar/engine/plan"
)

// A query is stopped in the middle, in order or not, with its state kept or
// lost, again and again: the results are those of one that ran through.
func TestRestartsInTheMiddle(t *testing.T) {
	for _, c := range []struct {
		name       string
		kill, lose bool
	}{{"stop", false, false}, {"stop and lose the state", false, true}, {"kill", true, false}, {"kill and lose the state", true, true}} {
		t.Run(c.name, func(t *testing.T) {
			b := newBroker(t)
			b.topics(2, "orders", "counts", "big")
			dir := t.TempDir()
			var in []rec
			for round := range 6 {
				r := b.runtime(dir)
				c1, err := r.Start(context.Background(), countPlan("CTAS_C_1", "orders", "counts"), settings())
				require.NoError(t, err)
				q, err := r.Start(context.Background(), filterPlan("CSAS_B_2", "orders", "big"), settings())
				require.NoError(t, err)
				more := orders(round*400, 400)
				in = append(in, more...)
				b.write("orders", 2, more[:200]...)
				if round%2 == 0 {
					waitFor(t, func() bool { return q.Commits.Load() > 0 && c1.Emitted.Load() >= 200 })
				}
				b.write("orders", 2, more[200:]...)
				if c.kill {
					crash(t, r)
				} else {
					require.NoError(t, r.Close())
				}
				if c.lose {
					require.NoError(t, os.RemoveAll(dir))
				}
			}
			r := b.runtime(dir)
			defer r.Close()
			q, err := r.Start(context.Background(), countPlan("CTAS_C_1", "orders", "counts"), settings())
			require.NoError(t, err)
			_, err = r.Start(context.Background(), filterPlan("CSAS_B_2", "orders", "big"), settings())
			require.NoError(t, err)
			topics := map[string][]rec{"orders": in}
			want := expected(drive(t, filterPlan("F", "orders", "big"), 2, topics, "orders"), "big")
			require.Equal(t, want, byPartition(b.read("big", len(want))))
			counts := expected(drive(t, countPlan("C", "orders", "counts"), 2, topics, "orders"), "counts")
			require.Equal(t, last(counts), last(b.read("counts", len(counts))))
			waitFor(t, q.RestoreDone)
			done, total := q.RestoreProgress()
			require.Equal(t, total, done)
			if c.lose {
				require.Positive(t, total)
			}
			require.Len(t, pull(t, r, "CTAS_C_1", exec.Everything()), 17)
		})
	}
}

// Two processes run the same query: the older is fenced, and nothing is doubled.
func TestTheOlderLifeIsFenced(t *testing.T) {
	b := newBroker(t)
	b.topics(2, "orders", "big")
	old := b.runtime("")
	defer old.Close()
	oldQuery, err := old.Start(context.Background(), filterPlan("CSAS_B_1", "orders", "big"), settings())
	require.NoError(t, err)
	in := orders(0, 100)
	b.write("orders", 2, in...)
	waitFor(t, func() bool { return oldQuery.Processed.Load() == 100 && oldQuery.Commits.Load() > 0 })
	// The old one stands still in a transaction while the new one takes over.
	young := b.runtime("")
	defer young.Close()
	q, err := young.Start(context.Background(), filterPlan("CSAS_B_1", "orders", "big"), settings())
	require.NoError(t, err)
	waitFor(t, func() bool { s, _ := q.State(); return s == Running })
	more := orders(100, 300)
	b.write("orders", 2, more...)
	waitFor(t, func() bool { return oldQuery.Restarts.Load() > 0 || q.Restarts.Load() > 0 })
	require.NoError(t, old.Stop(context.Background(), "CSAS_B_1", false))
	want := expected(drive(t, filterPlan("F", "orders", "big"), 2, map[string][]rec{"orders": append(in, more...)}, "orders"), "big")
	require.Equal(t, want, byPartition(b.read("big", len(want))))
}

func TestBrokerRestarts(t *testing.T) {
	if os.Getenv("KAFKA_TEST_BROKERS") != "" {
		t.Skip("the broker outside is not this test's to restart")
	}
	b := newBroker(t)
	b.topics(2, "orders", "counts")
	r := b.runtime(t.TempDir())
	defer r.Close()
	q, err := r.Start(context.Background(), countPlan("CTAS_C_1", "orders", "counts"), settings())
	require.NoError(t, err)
	var in []rec
	for round := range 3 {
		more := orders(round*100, 100)
		in = append(in, more...)
		b.write("orders", 2, more...)
		if round == 0 {
			waitFor(t, func() bool { return q.Commits.Load() > 1 })
		}
		b.cluster.Close()
		b.start()
	}
	counts := expected(drive(t, countPlan("C", "orders", "counts"), 2, map[string][]rec{"orders": in}, "orders"), "counts")
	require.Equal(t, last(counts), last(b.read("counts", len(counts))))
}

// Brokers before 4.0 take transactions of version 1: partitions and the group
// are announced first.
func TestTransactionsOfVersion1(t *testing.T) {
	if os.Getenv("KAFKA_TEST_BROKERS") != "" {
		t.Skip("the broker outside has the version it has")
	}
	b := newBroker(t, kfake.MaxVersions(kversion.V3_6_0()))
	b.topics(2, "orders", "counts", "big")
	var in []rec
	for round := range 3 {
		r := b.runtime("")
		require.False(t, r.tv2)
		_, err := r.Start(context.Background(), countPlan("CTAS_C_1", "orders", "counts"), settings())
		require.NoError(t, err)
		q, err := r.Start(context.Background(), filterPlan("CSAS_B_2", "orders", "big"), settings())
		require.NoError(t, err)
		more := orders(round*100, 100)
		in = append(in, more...)
		b.write("orders", 2, more...)
		waitFor(t, func() bool { return q.Processed.Load() == 100 })
		topics := map[string][]rec{"orders": in}
		big := expected(drive(t, filterPlan("F", "orders", "big"), 2, topics, "orders"), "big")
		require.Equal(t, big, byPartition(b.read("big", len(big))))
		counts := expected(drive(t, countPlan("C", "orders", "counts"), 2, topics, "orders"), "counts")
		require.Equal(t, last(counts), last(b.read("counts", len(counts))))
		require.Zero(t, q.Restarts.Load())
		require.NoError(t, r.Close())
	}
}

// Windows, their retention and stream time go on over restarts as if there had
// been none, with and without what is on disk.
func TestWindowsGoOnOverRestarts(t *testing.T) {
	windowed := func() *plan.Query {
		agg := countSteps("orders", 50)
		return &plan.Query{ID: "CTAS_W_1", Root: sinkOf(agg, "windows"), Materialized: &plan.Materialized{Store: agg.Store, Stored: &agg.Output}}
	}
	b := newBroker(t)
	b.topics(1, "orders", "windows")
	dir := t.TempDir()
	in := orders(0, 1200)
	for i := 7; i < len(in); i += 13 {
		in[i].time -= int64(i * 3 % 1700) // late, some too late
	}
	for part := range 6 {
		r := b.runtime(dir)
		q, err := r.Start(context.Background(), windowed(), settings())
		require.NoError(t, err)
		b.write("orders", 1, in[part*200:part*200+200]...)
		want := expected(drive(t, windowed(), 1, map[string][]rec{"orders": in[:part*200+200]}, "orders"), "windows")
		require.Equal(t, want, b.read("windows", len(want)))
		require.Zero(t, q.Restarts.Load())
		if part%2 == 0 {
			require.NoError(t, r.Close())
		} else {
			crash(t, r)
		}
		if part%3 == 2 {
			require.NoError(t, os.RemoveAll(dir))
		}
	}
}

// Killed at any moment, over and over, and fed all the while, queries come to
// what they would have come to undisturbed. KILLS sets how often.
func TestKillsAtRandom(t *testing.T) {
	kills := 12
	if n, err := strconv.Atoi(os.Getenv("KILLS")); err == nil {
		kills = n
	}
	b := newBroker(t)
	b.topics(3, "orders", "customers", "counts", "big", "joined", "pairs")
	rnd := rand.New(rand.NewPCG(uint64(kills), 7))
	dir := t.TempDir()
	start := func() *Runtime {
		r := b.runtime(dir)
		for _, p := range []*plan.Query{countPlan("CTAS_C_1", "orders", "counts"), filterPlan("CSAS_B_2", "orders", "big"), joinPlan("CSAS_J_3"), selfJoinPlan("CSAS_S_4")} {
			_, err := r.Start(context.Background(), p, settings())
			require.NoError(t, err)
		}
		return r
	}
	var in []rec
	for range kills {
		r := start()
		for range 1 + rnd.IntN(4) {
			more := orders(len(in), 1+rnd.IntN(300))
			in = append(in, more...)
			b.write("orders", 3, more...)
			b.write("customers", 3, rec{fmt.Sprintf("c%d", rnd.IntN(17)), `{"level":"x"}`, int64(len(in)), 0})
			time.Sleep(time.Duration(rnd.IntN(20_000)) * time.Microsecond)
		}
		crash(t, r)
		if rnd.IntN(4) == 0 {
			require.NoError(t, os.RemoveAll(dir))
		}
	}
	r := start()
	defer r.Close()
	topics := map[string][]rec{"orders": in}
	big := expected(drive(t, filterPlan("F", "orders", "big"), 3, topics, "orders"), "big")
	require.Equal(t, big, byPartition(b.read("big", len(big))))
	counts := expected(drive(t, countPlan("C", "orders", "counts"), 3, topics, "orders"), "counts")
	require.Equal(t, last(counts), last(b.read("counts", len(counts))))
	b.read("joined", len(in))
	pairs := expected(drive(t, selfJoinPlan("S"), 3, topics, "orders"), "pairs")
	require.Greater(t, len(pairs), len(in))
	require.ElementsMatch(t, pairs, b.read("pairs", len(pairs)))
}
