package transact_test

import (
	"bufio"
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/sidestream/sidestream/services/transact"
	"github.com/sidestream/sidestream/services/transact/transacttest"
)

// TestMain lets the test binary be the service that TestKilled kills.
func TestMain(m *testing.M) {
	if broker := os.Getenv("TRANSACT_CHILD"); broker != "" {
		child(broker)
		return
	}
	os.Exit(m.Run())
}

// child runs the counter, and reports each committed transaction on stdout.
func child(broker string) {
	cfg := config(broker)
	cfg.StateDir = os.Getenv("TRANSACT_DIR")
	cfg.MaxBatch = 20
	cfg.OnCommit = func(rs []transact.Record) { fmt.Println("committed", len(rs)) }
	if err := transact.Run(context.Background(), cfg, counter{}); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// TestKilled kills the process again and again while it works, each time after
// another number of transactions, and once more with its local state gone.
func TestKilled(t *testing.T) {
	b := newBroker(t)
	dir := t.TempDir()
	const n = 3000
	b.PutAll(inputs(0, n))
	run := func(kill int) {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), "TRANSACT_CHILD="+b.Addr, "TRANSACT_DIR="+dir)
		cmd.Stderr = os.Stderr
		out, err := cmd.StdoutPipe()
		require.NoError(t, err)
		require.NoError(t, cmd.Start())
		lines := bufio.NewScanner(out)
		for range kill {
			require.True(t, lines.Scan(), "the process ended by itself")
			require.True(t, strings.HasPrefix(lines.Text(), "committed"), lines.Text())
		}
		require.NoError(t, cmd.Process.Kill())
		_ = cmd.Wait()
	}
	for i := range 6 {
		run(1 + i*3)
		if i == 3 {
			require.NoError(t, os.RemoveAll(dir))
		}
	}
	cfg := config(b.Addr)
	cfg.StateDir = dir
	_, stop := start(t, cfg, counter{})
	requireExactlyOnce(t, b.WaitCount("out", n), n)
	require.NoError(t, stop())
	requireExactlyOnce(t, b.Committed("out"), n)
}

// fail makes the broker answer the next requests of a kind with an error.
func fail[Req kmsg.Request](t *testing.T, times int, b interface {
	ControlKey(int16, func(kmsg.Request) (kmsg.Response, error, bool))
	KeepControl()
}, answer func(Req) kmsg.Response) chan struct{} {
	t.Helper()
	done := make(chan struct{})
	var req Req
	left := times
	b.ControlKey(req.Key(), func(r kmsg.Request) (kmsg.Response, error, bool) {
		if left == 0 {
			return nil, nil, false
		}
		left--
		if left == 0 {
			close(done)
		} else {
			b.KeepControl()
		}
		return answer(r.(Req)), nil, true
	})
	return done
}

func TestAbortedTransactionIsDoneAgain(t *testing.T) {
	b := newBroker(t)
	if b.Cluster == nil {
		t.Skip("only a broker in the test's process can be told to answer with an error")
	}
	_, stop := start(t, config(b.Addr), counter{})
	b.PutAll(inputs(0, 100))
	b.WaitCount("out", 100)
	// A group error on the offsets makes the transaction abortable.
	done := fail(t, 1, b, func(req *kmsg.TxnOffsetCommitRequest) kmsg.Response {
		resp := req.ResponseKind().(*kmsg.TxnOffsetCommitResponse)
		for _, rt := range req.Topics {
			topic := kmsg.NewTxnOffsetCommitResponseTopic()
			topic.Topic = rt.Topic
			for _, rp := range rt.Partitions {
				p := kmsg.NewTxnOffsetCommitResponseTopicPartition()
				p.Partition, p.ErrorCode = rp.Partition, kerr.IllegalGeneration.Code
				topic.Partitions = append(topic.Partitions, p)
			}
			resp.Topics = append(resp.Topics, topic)
		}
		return resp
	})
	b.PutAll(inputs(100, 100))
	<-done
	b.PutAll(inputs(200, 100))
	requireExactlyOnce(t, b.WaitCount("out", 300), 300)
	require.NoError(t, stop())
}

func TestFencedProducerBeginsAnew(t *testing.T) {
	b := newBroker(t)
	_, stop := start(t, config(b.Addr), counter{})
	b.PutAll(inputs(0, 100))
	b.WaitCount("out", 100)
	// Another producer takes the transactional id.
	c, err := kgo.NewClient(kgo.SeedBrokers(b.Addr), kgo.TransactionalID("counter-one"))
	require.NoError(t, err)
	defer c.Close()
	require.NoError(t, c.BeginTransaction())
	require.NoError(t, c.ProduceSync(t.Context(), &kgo.Record{Topic: "out", Key: []byte("k0"), Value: []byte("intruder")}).FirstErr())
	require.NoError(t, c.Flush(t.Context()))
	require.NoError(t, c.EndTransaction(t.Context(), kgo.TryAbort))
	b.PutAll(inputs(100, 100))
	requireExactlyOnce(t, b.WaitCount("out", 200), 200)
	require.NoError(t, stop())
}

// TestBrokerComesBack stops the broker while the runner works, and while it
// has nothing to do.
func TestBrokerComesBack(t *testing.T) {
	b := transacttest.NewLasting(t)
	makeTopics(b)
	cfg := config(b.Addr)
	away := make(chan struct{})
	cfg.Logger = slog.New(watcher{logger().Handler(), "no Kafka broker can be reached", away})
	_, stop := start(t, cfg, counter{})
	b.PutAll(inputs(0, 2000))
	b.WaitCount("out", 1)
	b.Restart(func() { <-away })
	b.PutAll(inputs(2000, 100))
	b.WaitCount("out", 2100)
	b.Restart(func() {})
	b.PutAll(inputs(2100, 100))
	requireExactlyOnce(t, b.WaitCount("out", 2200), 2200)
	require.NoError(t, stop())
}

// watcher closes a channel when a message is logged for the first time.
type watcher struct {
	slog.Handler
	message string
	seen    chan struct{}
}

func (w watcher) Enabled(context.Context, slog.Level) bool { return true }

func (w watcher) Handle(ctx context.Context, r slog.Record) error {
	if strings.HasPrefix(r.Message, w.message) {
		select {
		case <-w.seen:
		default:
			close(w.seen)
		}
	}
	return w.Handler.Handle(ctx, r)
}

func (w watcher) WithAttrs(as []slog.Attr) slog.Handler {
	return watcher{w.Handler.WithAttrs(as), w.message, w.seen}
}

// BenchmarkLatency measures one record from its production to its committed
// output, one at a time.
func BenchmarkLatency(bm *testing.B) {
	b := newBroker(bm)
	committed := make(chan struct{}, 1)
	cfg := config(b.Addr)
	cfg.StateDir = bm.TempDir()
	cfg.OnCommit = func([]transact.Record) { committed <- struct{}{} }
	r, stop := start(bm, cfg, counter{})
	for !r.Ready() {
		time.Sleep(time.Millisecond)
	}
	b.Put("in", "k", "0")
	<-committed
	for bm.Loop() {
		b.Put("in", "k", "1")
		<-committed
	}
	bm.StopTimer()
	require.NoError(bm, stop())
}

// BenchmarkThroughput measures records that wait for a runner, in batches.
func BenchmarkThroughput(bm *testing.B) {
	b := newBroker(bm)
	cfg := config(b.Addr)
	all := make(chan struct{})
	n := 0
	cfg.OnCommit = func(rs []transact.Record) {
		if n += len(rs); n == bm.N {
			close(all)
		}
	}
	b.PutAll(inputs(0, bm.N))
	bm.ResetTimer()
	_, stop := start(bm, cfg, counter{})
	<-all
	bm.StopTimer()
	require.NoError(bm, stop())
}
