package transact_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/sidestream/sidestream/services/transact"
	"github.com/sidestream/sidestream/services/transact/transacttest"
)

const partitions = 4

// counter counts the records of each key in its state, and emits each record
// with its number: any loss, repetition or stale state shows in the outputs.
type counter struct{}

func (counter) Process(tx *transact.Tx, r transact.Record) error {
	if string(r.Value) == "poison" {
		tx.State().Put([]byte("poisoned"), []byte("1"))
		tx.Emit(transact.Record{Topic: "out", Key: r.Key, Value: []byte("poisoned")})
		return transact.Poisonf("value %q is no good", r.Value)
	}
	n := 0
	if v, ok := tx.State().Get(r.Key); ok {
		n, _ = strconv.Atoi(string(v))
	}
	n++
	tx.State().Put(r.Key, []byte(strconv.Itoa(n)))
	tx.Emit(transact.Record{Topic: "out", Key: r.Key, Value: fmt.Appendf(nil, "%s:%d", r.Value, n)})
	return nil
}

func logger() *slog.Logger {
	var w io.Writer = io.Discard
	if os.Getenv("TRANSACT_LOG") != "" {
		w = os.Stderr
	}
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

func config(b string) transact.Config {
	return transact.Config{
		Name: "counter", Brokers: b, Inputs: []string{"in"}, Outputs: []string{"out"}, Changelog: "counter-state",
		InstanceID: "one", Logger: logger(),
	}
}

func newBroker(t testing.TB) *transacttest.Broker {
	b := transacttest.NewBroker(t)
	makeTopics(b)
	return b
}

func makeTopics(b *transacttest.Broker) {
	b.Topic("in", partitions)
	b.Topic("out", partitions)
	b.Compacted("counter-state", partitions)
}

// start runs a processor until stop is called, which returns Run's error.
func start(t testing.TB, cfg transact.Config, p transact.Processor) (r *transact.Runner, stop func() error) {
	t.Helper()
	r, err := transact.New(cfg, p)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	var stopped atomic.Bool
	stop = func() error {
		if !stopped.CompareAndSwap(false, true) {
			return nil
		}
		cancel()
		select {
		case err := <-done:
			return err
		case <-time.After(transacttest.Patience):
			return fmt.Errorf("Run did not end")
		}
	}
	t.Cleanup(func() { _ = stop() })
	return r, stop
}

func inputs(from, n int) []*kgo.Record {
	var rs []*kgo.Record
	for i := from; i < from+n; i++ {
		rs = append(rs, &kgo.Record{Topic: "in", Key: fmt.Appendf(nil, "k%d", i%7), Value: strconv.AppendInt(nil, int64(i), 10)})
	}
	return rs
}

// requireExactlyOnce checks that "out" has, for each key, every one of the n
// records once, in order, numbered without a gap.
func requireExactlyOnce(t testing.TB, out []*kgo.Record, n int) {
	t.Helper()
	require.Len(t, out, n, "records in the output topic")
	count := map[string]int{}
	last := map[string]int{}
	for _, r := range out {
		key := string(r.Key)
		value, number, ok := strings.Cut(string(r.Value), ":")
		require.True(t, ok, "output %q", r.Value)
		count[key]++
		require.Equal(t, strconv.Itoa(count[key]), number, "number of record %s of key %s", value, key)
		i, err := strconv.Atoi(value)
		require.NoError(t, err)
		if count[key] > 1 {
			require.Greater(t, i, last[key], "order of key %s", key)
		}
		last[key] = i
	}
}

func TestEveryRecordOnce(t *testing.T) {
	b := newBroker(t)
	var committed atomic.Int64
	cfg := config(b.Addr)
	cfg.OnCommit = func(rs []transact.Record) { committed.Add(int64(len(rs))) }
	_, stop := start(t, cfg, counter{})
	b.PutAll(inputs(0, 5000))
	requireExactlyOnce(t, b.WaitCount("out", 5000), 5000)
	require.NoError(t, stop())
	require.EqualValues(t, 5000, committed.Load())
}

func TestOutputsOfOneKeyLieWhereJavaPutsThem(t *testing.T) {
	b := newBroker(t)
	_, stop := start(t, config(b.Addr), counter{})
	b.PutAll(inputs(0, 70))
	in := map[string]int32{}
	for _, r := range b.WaitCount("in", 70) {
		in[string(r.Key)] = r.Partition
	}
	for _, r := range b.WaitCount("out", 70) {
		require.Equal(t, in[string(r.Key)], r.Partition)
	}
	require.NoError(t, stop())
}

func TestStateComesBack(t *testing.T) {
	for _, local := range []bool{true, false} {
		t.Run(fmt.Sprintf("local=%v", local), func(t *testing.T) {
			b := newBroker(t)
			cfg := config(b.Addr)
			if local {
				cfg.StateDir = t.TempDir()
			}
			for round := range 3 {
				_, stop := start(t, cfg, counter{})
				b.PutAll(inputs(round*100, 100))
				requireExactlyOnce(t, b.WaitCount("out", (round+1)*100), (round+1)*100)
				require.NoError(t, stop())
			}
		})
	}
}

func TestLocalStateOfAnOldChangelogIsDropped(t *testing.T) {
	b := newBroker(t)
	cfg := config(b.Addr)
	cfg.StateDir = t.TempDir()
	_, stop := start(t, cfg, counter{})
	b.PutAll(inputs(0, 70))
	b.WaitCount("out", 70)
	require.NoError(t, stop())

	other := newBroker(t) // everything made anew, but for the directory
	cfg.Brokers = other.Addr
	_, stop = start(t, cfg, counter{})
	other.PutAll(inputs(0, 70))
	requireExactlyOnce(t, other.WaitCount("out", 70), 70)
	require.NoError(t, stop())
}

func TestTwoInstancesShareAndTakeOver(t *testing.T) {
	b := newBroker(t)
	one, two := config(b.Addr), config(b.Addr)
	one.StateDir, two.StateDir = t.TempDir(), t.TempDir()
	one.InstanceID, two.InstanceID = "", "" // they leave at once
	_, stopOne := start(t, one, counter{})
	b.PutAll(inputs(0, 500))
	b.WaitCount("out", 500)
	r2, stopTwo := start(t, two, counter{})
	for i := range 20 {
		b.PutAll(inputs(500+i*50, 50))
	}
	require.Eventually(t, r2.Ready, transacttest.Patience, time.Millisecond)
	b.PutAll(inputs(1500, 500))
	b.WaitCount("out", 2000)
	require.NoError(t, stopOne())
	b.PutAll(inputs(2000, 500))
	requireExactlyOnce(t, b.WaitCount("out", 2500), 2500)
	require.NoError(t, stopTwo())
}

func TestPoisonIsPassedByWithoutEffect(t *testing.T) {
	b := newBroker(t)
	_, stop := start(t, config(b.Addr), counter{})
	b.Put("in", "k0", "0")
	b.Put("in", "k0", "poison")
	b.Put("in", "k0", "1")
	requireExactlyOnce(t, b.WaitCount("out", 2), 2)
	require.NoError(t, stop())
	require.Equal(t, map[string]string{"k0": "2"}, transacttest.Latest(b.Committed("counter-state")))
}

func TestAnErrorOfTheProcessorStopsIt(t *testing.T) {
	b := newBroker(t)
	b.Put("in", "k", "v")
	err := transact.Run(t.Context(), config(b.Addr), transact.ProcessorFunc(func(*transact.Tx, transact.Record) error {
		return fmt.Errorf("the roof is on fire")
	}))
	require.ErrorContains(t, err, "offset 0: the roof is on fire")
	require.Empty(t, b.Committed("out"))
}

// clock emits at each tick how many keys the partition has, and forgets them.
type clock struct{ counter }

func (clock) Tick(tx *transact.Tx) error {
	var keys []string
	tx.State().Range(nil, nil, func(k, _ []byte) bool { keys = append(keys, string(k)); return true })
	for _, k := range keys {
		tx.State().Delete([]byte(k))
		tx.Emit(transact.Record{Topic: "out", Key: []byte(k), Value: []byte("gone")})
	}
	return nil
}

func TestTick(t *testing.T) {
	b := newBroker(t)
	cfg := config(b.Addr)
	cfg.TickEvery = 10 * time.Millisecond
	_, stop := start(t, cfg, clock{})
	b.PutAll(inputs(0, 7))
	b.WaitFor("out", func(rs []*kgo.Record) bool {
		gone := 0
		for _, r := range rs {
			if string(r.Value) == "gone" {
				gone++
			}
		}
		return gone == 7
	})
	require.NoError(t, stop())
	require.Empty(t, transacttest.Latest(b.Committed("counter-state")))
}

func TestFirstInputsAreReadFirst(t *testing.T) {
	b := newBroker(t)
	b.Topic("table", partitions)
	b.PutAll(inputs(0, 2000))
	for i := range 7 {
		b.Put("table", fmt.Sprintf("k%d", i), "here")
	}
	cfg := config(b.Addr)
	cfg.Inputs, cfg.First = []string{"in", "table"}, []string{"table"}
	p := transact.ProcessorFunc(func(tx *transact.Tx, r transact.Record) error {
		if r.Topic == "table" {
			tx.State().Put(r.Key, r.Value)
			return nil
		}
		v, _ := tx.State().Get(r.Key)
		tx.Emit(transact.Record{Topic: "out", Key: r.Key, Value: v})
		return nil
	})
	for round := 1; round <= 2; round++ {
		_, stop := start(t, cfg, p)
		for _, r := range b.WaitCount("out", 2000*round) {
			require.Equal(t, "here", string(r.Value))
		}
		require.NoError(t, stop())
		b.PutAll(inputs(0, 2000))
	}
}

func TestStartErrorsAreClear(t *testing.T) {
	b := newBroker(t)
	b.Topic("narrow", 1)
	cases := []struct {
		name, want string
		change     func(*transact.Config)
	}{
		{"no broker", "no Kafka broker answers at 127.0.0.1:1", func(c *transact.Config) { c.Brokers, c.StartTimeout = "127.0.0.1:1", 200*time.Millisecond }},
		{"missing input", "topic nowhere does not exist", func(c *transact.Config) { c.Inputs = []string{"nowhere"} }},
		{"missing output", "topic nowhere does not exist", func(c *transact.Config) { c.Outputs = []string{"nowhere"} }},
		{"partition counts", "topic in has 4 partitions and narrow has 1", func(c *transact.Config) { c.Inputs = []string{"in", "narrow"} }},
		{"bad client setting", "no.such.setting", func(c *transact.Config) { c.Kafka = map[string]string{"no.such.setting": "1"} }},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			cfg := config(b.Addr)
			c.change(&cfg)
			require.ErrorContains(t, transact.Run(t.Context(), cfg, counter{}), c.want)
		})
	}
	t.Run("directory in use", func(t *testing.T) {
		cfg := config(b.Addr)
		cfg.StateDir = t.TempDir()
		r, stop := start(t, cfg, counter{})
		require.Eventually(t, r.Ready, transacttest.Patience, time.Millisecond)
		require.ErrorContains(t, transact.Run(t.Context(), cfg, counter{}), "is in use by another process")
		require.NoError(t, stop())
	})
}
