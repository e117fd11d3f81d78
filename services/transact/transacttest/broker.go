// Package transacttest gives tests of transact processors a Kafka broker in
// their own process, and an outside view of its topics: it produces, and reads
// what is committed, with another client than transact's.
package transacttest

import (
	"context"
	"errors"
	"net"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
)

// Patience is how long the helpers wait for what should come. It only bounds a
// failing test.
const Patience = 30 * time.Second

// Broker is a broker that lives as long as the test.
type Broker struct {
	*kfake.Cluster // nil if it is the Kafka at TEST_KAFKA
	t              testing.TB
	Addr           string
	client         *kgo.Client
	admin          *kadm.Client
	again          []kfake.Opt // how to start it once more
}

// NewBroker starts one that keeps everything in memory. If TEST_KAFKA has the
// address of a Kafka, that is used instead: topics that a test makes are made
// anew, and its groups are forgotten.
func NewBroker(t testing.TB) *Broker {
	if addr := os.Getenv("TEST_KAFKA"); addr != "" {
		b := &Broker{t: t, Addr: addr}
		b.connect()
		ctx, cancel := context.WithTimeout(context.Background(), Patience)
		defer cancel()
		groups, err := b.admin.ListGroups(ctx)
		require.NoError(t, err)
		for _, group := range groups.Groups() {
			b.forget(ctx, group)
		}
		return b
	}
	return newBroker(t)
}

// forget deletes a group, with members that a test before has killed.
func (b *Broker) forget(ctx context.Context, group string) {
	described, err := b.admin.DescribeGroups(ctx, group)
	require.NoError(b.t, err)
	leave := kadm.LeaveGroup(group)
	for _, m := range described[group].Members {
		if m.InstanceID != nil {
			leave.InstanceIDs(*m.InstanceID)
		}
	}
	_, err = b.admin.LeaveGroup(ctx, leave)
	require.NoError(b.t, err)
	for {
		_, err := b.admin.DeleteGroup(ctx, group)
		if err == nil || errors.Is(err, kerr.GroupIDNotFound) {
			return
		}
		require.ErrorIs(b.t, err, kerr.NonEmptyGroup) // until its members' session ends
		require.NoError(b.t, ctx.Err())
	}
}

func (b *Broker) connect() {
	var err error
	b.client, err = kgo.NewClient(kgo.SeedBrokers(b.Addr), kgo.ProducerLinger(0), kgo.MetadataMinAge(10*time.Millisecond))
	require.NoError(b.t, err)
	b.t.Cleanup(b.client.Close)
	b.admin = kadm.NewClient(b.client)
}

// NewLasting starts one that keeps everything in a directory of the test, for
// Restart.
func NewLasting(t testing.TB) *Broker {
	dir := t.TempDir()
	b := newBroker(t, kfake.DataDir(dir))
	_, port, err := net.SplitHostPort(b.Addr)
	require.NoError(t, err)
	n, err := strconv.Atoi(port)
	require.NoError(t, err)
	b.again = append(basic(), kfake.DataDir(dir), kfake.Ports(n))
	return b
}

func basic() []kfake.Opt {
	return []kfake.Opt{
		kfake.NumBrokers(1),
		kfake.BrokerConfigs(map[string]string{"default.replication.factor": "1", "group.initial.rebalance.delay.ms": "0"}),
	}
}

func newBroker(t testing.TB, opts ...kfake.Opt) *Broker {
	c, err := kfake.NewCluster(append(basic(), opts...)...)
	require.NoError(t, err)
	b := &Broker{Cluster: c, t: t, Addr: c.ListenAddrs()[0]}
	t.Cleanup(func() { b.Close() })
	b.connect()
	return b
}

// Restart stops a broker made by NewLasting, calls whileAway, and starts it
// again at the same address.
func (b *Broker) Restart(whileAway func()) {
	b.t.Helper()
	require.NotNil(b.t, b.again, "the broker was not made by NewLasting")
	b.Close()
	whileAway()
	c, err := kfake.NewCluster(b.again...)
	require.NoError(b.t, err)
	b.Cluster = c
}

// Topic makes a topic that keeps everything.
func (b *Broker) Topic(name string, partitions int32) {
	b.topic(name, partitions, "delete")
}

// Compacted makes a compacted topic.
func (b *Broker) Compacted(name string, partitions int32) {
	b.topic(name, partitions, "compact")
}

func (b *Broker) topic(name string, partitions int32, policy string) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), Patience)
	defer cancel()
	if b.Cluster == nil {
		_, err := b.admin.DeleteTopic(ctx, name)
		if !errors.Is(err, kerr.UnknownTopicOrPartition) {
			require.NoError(b.t, err)
		}
		// A broker that still knows the old one would take records for it.
		b.until(ctx, name, "gone", func() bool {
			topics, err := b.admin.ListTopics(ctx, name)
			return err == nil && !topics.Has(name)
		})
	}
	res, err := b.admin.CreateTopic(ctx, partitions, 1, map[string]*string{"cleanup.policy": &policy}, name)
	require.NoError(b.t, err)
	require.NoError(b.t, res.Err)
	if b.Cluster == nil {
		b.until(ctx, name, "ready", func() bool {
			ends, err := b.admin.ListEndOffsets(ctx, name)
			return err == nil && ends.Error() == nil && len(ends[name]) == int(partitions)
		})
	}
}

// until asks again and again: there is nothing that would tell.
func (b *Broker) until(ctx context.Context, topic, what string, is func() bool) {
	b.t.Helper()
	for !is() {
		select {
		case <-ctx.Done():
			require.Failf(b.t, "waited in vain", "topic %s is not %s", topic, what)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// Put writes a record, to the partition that its key belongs to. An empty
// value is a null.
func (b *Broker) Put(topic, key, value string) {
	b.PutAt(topic, key, value, time.Time{})
}

// PutAt is Put with a timestamp.
func (b *Broker) PutAt(topic, key, value string, at time.Time) {
	r := &kgo.Record{Topic: topic, Key: []byte(key), Timestamp: at}
	if value != "" {
		r.Value = []byte(value)
	}
	require.NoError(b.t, b.client.ProduceSync(context.Background(), r).FirstErr())
}

// PutAll writes many records in one go.
func (b *Broker) PutAll(rs []*kgo.Record) {
	require.NoError(b.t, b.client.ProduceSync(context.Background(), rs...).FirstErr())
}

// Committed returns the records of a topic that read_committed readers see, by
// partition and offset, when no transaction is open.
func (b *Broker) Committed(topic string) []*kgo.Record {
	b.t.Helper()
	return b.read(topic, func([]*kgo.Record) bool { return true })
}

// WaitFor reads a topic until done says so of what is committed.
func (b *Broker) WaitFor(topic string, done func([]*kgo.Record) bool) []*kgo.Record {
	b.t.Helper()
	return b.read(topic, done)
}

// WaitCount reads a topic until it holds n committed records.
func (b *Broker) WaitCount(topic string, n int) []*kgo.Record {
	b.t.Helper()
	return b.read(topic, func(rs []*kgo.Record) bool { return len(rs) >= n })
}

// read returns the committed records as soon as all that were there when it
// began are settled and done agrees.
func (b *Broker) read(topic string, done func([]*kgo.Record) bool) []*kgo.Record {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), Patience)
	defer cancel()
	var ends kadm.ListedOffsets
	for {
		var err error
		if ends, err = b.admin.ListEndOffsets(ctx, topic); err == nil {
			err = ends.Error()
		}
		if err == nil {
			break
		}
		if !kerr.IsRetriable(err) { // a topic that was just made may be unknown yet
			require.NoError(b.t, err)
		}
	}
	c, err := kgo.NewClient(kgo.SeedBrokers(b.Addr), kgo.ConsumeTopics(topic),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.KeepControlRecords(), kgo.FetchMaxWait(50*time.Millisecond))
	require.NoError(b.t, err)
	defer c.Close()
	left := map[int32]int64{}
	ends.Each(func(o kadm.ListedOffset) {
		if o.Offset > 0 {
			left[o.Partition] = o.Offset
		}
	})
	var out []*kgo.Record
	for {
		if len(left) == 0 && done(out) {
			return out
		}
		fs := c.PollFetches(ctx)
		if ctx.Err() != nil {
			for _, r := range out {
				b.t.Logf("%s[%d]@%d %s = %s", r.Topic, r.Partition, r.Offset, r.Key, r.Value)
			}
			b.t.Fatalf("waited in vain on topic %s: %d records are committed, partitions not settled: %v", topic, len(out), left)
		}
		fs.EachError(func(_ string, _ int32, err error) {
			if !kerr.IsRetriable(err) {
				b.t.Fatalf("read %s: %v", topic, err)
			}
		})
		fs.EachRecord(func(r *kgo.Record) {
			if !r.Attrs.IsControl() {
				out = append(out, r)
			}
			if r.Offset+1 >= left[r.Partition] {
				delete(left, r.Partition)
			}
		})
	}
}

// Latest is the value of each key, without the deleted ones.
func Latest(rs []*kgo.Record) map[string]string {
	out := map[string]string{}
	for _, r := range rs {
		if r.Value == nil {
			delete(out, string(r.Key))
		} else {
			out[string(r.Key)] = string(r.Value)
		}
	}
	return out
}
