package runtime

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/sidestream/sidestream/sidecar/engine/driver"
)

// broker is a Kafka cluster in the process, that can stop and start again.
type broker struct {
	t       testing.TB
	dir     string
	port    int
	cluster *kfake.Cluster
	more    []kfake.Opt
	client  *kgo.Client
	admin   *kadm.Client
	id      string // of the service: its own for each test
}

// newBroker starts an embedded broker, or goes to the one in KAFKA_TEST_BROKERS.
func newBroker(t testing.TB, opts ...kfake.Opt) *broker {
	b := &broker{t: t, dir: t.TempDir(), id: fmt.Sprintf("test%d_", time.Now().UnixNano()), more: opts}
	if os.Getenv("KAFKA_TEST_BROKERS") == "" {
		b.start()
		t.Cleanup(func() { b.cluster.Close() })
	}
	var err error
	b.client, err = kgo.NewClient(append(b.opts(), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerLinger(0))...)
	require.NoError(t, err)
	t.Cleanup(b.client.Close)
	b.admin = kadm.NewClient(b.client)
	return b
}

func (b *broker) opts() []kgo.Opt {
	if s := os.Getenv("KAFKA_TEST_BROKERS"); s != "" {
		return []kgo.Opt{kgo.SeedBrokers(strings.Split(s, ",")...)}
	}
	return []kgo.Opt{kgo.SeedBrokers(fmt.Sprintf("127.0.0.1:%d", b.port))}
}

func (b *broker) start() {
	var err error
	b.cluster, err = kfake.NewCluster(append([]kfake.Opt{kfake.NumBrokers(1), kfake.DefaultNumPartitions(4), kfake.DataDir(b.dir), kfake.Ports(b.port),
		kfake.BrokerConfigs(map[string]string{"default.replication.factor": "1"})}, b.more...)...)
	require.NoError(b.t, err)
	_, port, err := net.SplitHostPort(b.cluster.ListenAddrs()[0])
	require.NoError(b.t, err)
	fmt.Sscan(port, &b.port)
}

func (b *broker) topics(partitions int32, names ...string) {
	for _, name := range names {
		// A broker outside may still be deleting the topic of the test before.
		waitFor(b.t, func() bool {
			_, err := b.admin.CreateTopic(context.Background(), partitions, 1, nil, name)
			return err == nil
		})
	}
	b.t.Cleanup(func() { b.admin.DeleteTopics(context.Background(), names...) })
}

// rec is a record in a test.
type rec struct {
	key, value string // "null" for null
	time       int64
	partition  int32
}

func (r rec) String() string { return fmt.Sprintf("%s %s %d", r.key, r.value, r.time) }

func text(b []byte) string {
	if b == nil {
		return "null"
	}
	return string(b)
}

func raw(s string) []byte {
	if s == "null" {
		return nil
	}
	return []byte(s)
}

// write writes records where their keys belong.
func (b *broker) write(topic string, partitions int32, recs ...rec) {
	b.t.Helper()
	out := make([]*kgo.Record, len(recs))
	for i, r := range recs {
		out[i] = &kgo.Record{Topic: topic, Key: raw(r.key), Value: raw(r.value), Timestamp: time.UnixMilli(r.time), Partition: partitionOf(r.key, partitions)}
	}
	require.NoError(b.t, b.client.ProduceSync(context.Background(), out...).FirstErr())
}

// read reads what is committed on a topic until there are n records, then makes
// sure that no more are there.
func (b *broker) read(topic string, n int) []rec {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	var out []rec
	cl, err := kgo.NewClient(append(b.opts(), kgo.ConsumeTopics(topic), kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.KeepControlRecords(),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.MetadataMinAge(10*time.Millisecond))...)
	require.NoError(b.t, err)
	defer cl.Close()
	at := map[int32]int64{}
	done := func() bool {
		if len(out) < n {
			return false
		}
		ends, err := b.admin.ListEndOffsets(ctx, topic)
		require.NoError(b.t, err)
		all := true
		ends.Each(func(o kadm.ListedOffset) { all = all && at[o.Partition] >= o.Offset })
		return all
	}
	for !done() {
		fs := cl.PollFetches(ctx)
		if ctx.Err() != nil {
			require.FailNow(b.t, "records are missing", "topic %s: %d of %d: %v", topic, len(out), n, head(out))
		}
		fs.EachRecord(func(r *kgo.Record) {
			at[r.Partition] = r.Offset + 1
			if !r.Attrs.IsControl() {
				out = append(out, rec{text(r.Key), text(r.Value), r.Timestamp.UnixMilli(), r.Partition})
			}
		})
	}
	require.Len(b.t, out, n, "topic %s: %v", topic, head(out))
	return out
}

func head(r []rec) []rec { return r[:min(len(r), 20)] }

func (b *broker) config(dir string) Config {
	return Config{Client: b.opts(), ServiceID: b.service(), StateDir: dir, Functions: functions{}, Logger: quietLog(),
		ProcessingLog: ProcessingLogTopic(b.service()), Replication: 1}
}

func (b *broker) runtime(dir string) *Runtime {
	b.t.Helper()
	r, err := New(context.Background(), b.config(dir))
	require.NoError(b.t, err)
	return r
}

func (b *broker) service() string { return b.id }

func quietLog() *slog.Logger {
	if os.Getenv("TEST_LOG") != "" {
		return slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	return slog.New(slog.NewTextHandler(io.Discard, nil))
}

// crash ends a runtime as kill -9 does: nothing is committed any more.
func crash(t testing.TB, r *Runtime) {
	r.mu.Lock()
	for _, q := range r.queries {
		q.kill()
		q.cancel()
	}
	r.mu.Unlock()
	require.NoError(t, r.Close())
}

// byPartition sorts records as the partitions hold them.
func byPartition(rs []rec) []rec {
	out := slices.Clone(rs)
	slices.SortStableFunc(out, func(a, b rec) int { return int(a.partition - b.partition) })
	return out
}

// expected is what the driver makes of the records that a topic holds.
func expected(d *driver.Driver, topic string) (out []rec) {
	for _, r := range d.Read(topic) {
		out = append(out, rec{text(r.Key), text(r.Value), r.Time, r.Partition})
	}
	return byPartition(out)
}
