package broker

import (
	"context"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"
)

// rawProducer sends the requests of a producer one by one, so that a test can
// stop between two of them, and send one again.
type rawProducer struct {
	t     testing.TB
	cl    *kgo.Client
	txnID string
	id    int64
	epoch int16
	seq   map[string]map[int32]int32
}

// newRaw takes a producer id; with txnID "" an idempotent one. newer: with
// transactions of version 2 (KIP-890).
func newRaw(t testing.TB, addr, txnID string, newer bool, opts ...kgo.Opt) *rawProducer {
	t.Helper()
	p := &rawProducer{t: t, txnID: txnID}
	p.connect(addr, newer, opts...)
	require.NoError(t, p.init())
	return p
}

// connect goes on with another broker process.
func (p *rawProducer) connect(addr string, newer bool, opts ...kgo.Opt) {
	p.t.Helper()
	v := kversion.Stable()
	v.SetMaxKeyVersion(int16(kmsg.Produce), 11)
	v.SetMaxKeyVersion(int16(kmsg.EndTxn), 4)
	v.SetMaxKeyVersion(int16(kmsg.TxnOffsetCommit), 4)
	if newer {
		v.SetMaxKeyVersion(int16(kmsg.Produce), 12)
		v.SetMaxKeyVersion(int16(kmsg.EndTxn), 5)
		v.SetMaxKeyVersion(int16(kmsg.TxnOffsetCommit), 5)
	}
	v.SetMaxKeyVersion(int16(kmsg.AddPartitionsToTxn), 3)
	var err error
	p.cl, err = kgo.NewClient(append(opts, kgo.SeedBrokers(addr), kgo.MaxVersions(v))...)
	require.NoError(p.t, err)
	p.t.Cleanup(p.cl.Close)
}

func (p *rawProducer) init() error {
	req := kmsg.NewPtrInitProducerIDRequest()
	if p.txnID != "" {
		req.TransactionalID, req.TransactionTimeoutMillis = &p.txnID, 60_000
	}
	req.ProducerID, req.ProducerEpoch = -1, -1
	resp, err := req.RequestWith(context.Background(), p.cl)
	require.NoError(p.t, err)
	p.id, p.epoch, p.seq = resp.ProducerID, resp.ProducerEpoch, map[string]map[int32]int32{}
	return kerr.ErrorForCode(resp.ErrorCode)
}

// batch is a record batch as a client sends it.
func (p *rawProducer) batch(seq int32, values ...string) []byte {
	b := kmsg.RecordBatch{PartitionLeaderEpoch: -1, Magic: 2, ProducerID: p.id, ProducerEpoch: p.epoch, FirstSequence: seq,
		FirstTimestamp: 1_700_000_000_000, MaxTimestamp: 1_700_000_000_000, NumRecords: int32(len(values)), LastOffsetDelta: int32(len(values)) - 1}
	if p.txnID != "" {
		b.Attributes = 0x10
	}
	for i, v := range values {
		r := kmsg.Record{OffsetDelta: int32(i), Key: []byte(v), Value: []byte(v)}
		r.Length = int32(len(r.AppendTo(nil)) - 1)
		b.Records = r.AppendTo(b.Records)
	}
	return encodeBatch(b)
}

// send produces a batch, adding the partition to the transaction before.
func (p *rawProducer) send(topic string, partition int32, values ...string) {
	p.t.Helper()
	if p.seq[topic] == nil {
		p.seq[topic] = map[int32]int32{}
	}
	seq := p.seq[topic][partition]
	p.seq[topic][partition] = seq + int32(len(values))
	_, err := p.sendAs(topic, partition, seq, values...)
	require.NoError(p.t, err)
}

// sendAs produces a batch with a sequence number, and returns its offset.
func (p *rawProducer) sendAs(topic string, partition, seq int32, values ...string) (int64, error) {
	p.t.Helper()
	ctx := context.Background()
	if p.txnID != "" {
		add := kmsg.NewPtrAddPartitionsToTxnRequest()
		add.TransactionalID, add.ProducerID, add.ProducerEpoch = p.txnID, p.id, p.epoch
		add.Topics = []kmsg.AddPartitionsToTxnRequestTopic{{Topic: topic, Partitions: []int32{partition}}}
		resp, err := add.RequestWith(ctx, p.cl)
		require.NoError(p.t, err)
		if err := kerr.ErrorForCode(resp.Topics[0].Partitions[0].ErrorCode); err != nil {
			return 0, err
		}
	}
	req := kmsg.NewPtrProduceRequest()
	req.Acks, req.TimeoutMillis = -1, 1000
	if p.txnID != "" {
		req.TransactionID = &p.txnID
	}
	rp := kmsg.NewProduceRequestTopicPartition()
	rp.Partition, rp.Records = partition, p.batch(seq, values...)
	rt := kmsg.NewProduceRequestTopic()
	rt.Topic, rt.Partitions = topic, append(rt.Partitions, rp)
	req.Topics = append(req.Topics, rt)
	resp, err := p.cl.Broker(0).Request(ctx, req)
	require.NoError(p.t, err)
	answer := resp.(*kmsg.ProduceResponse).Topics[0].Partitions[0]
	return answer.BaseOffset, kerr.ErrorForCode(answer.ErrorCode)
}

// offset puts an offset into the transaction, as a member of a generation or,
// with -1, of nobody.
func (p *rawProducer) offset(group string, generation int32, topic string, partition int32, at int64) error {
	p.t.Helper()
	ctx := context.Background()
	add := kmsg.NewPtrAddOffsetsToTxnRequest()
	add.TransactionalID, add.ProducerID, add.ProducerEpoch, add.Group = p.txnID, p.id, p.epoch, group
	added, err := add.RequestWith(ctx, p.cl)
	require.NoError(p.t, err)
	if err := kerr.ErrorForCode(added.ErrorCode); err != nil {
		return err
	}
	req := kmsg.NewPtrTxnOffsetCommitRequest()
	req.TransactionalID, req.ProducerID, req.ProducerEpoch, req.Group, req.Generation = p.txnID, p.id, p.epoch, group, generation
	rp := kmsg.NewTxnOffsetCommitRequestTopicPartition()
	rp.Partition, rp.Offset, rp.LeaderEpoch, rp.Metadata = partition, at, -1, kmsg.StringPtr("a note")
	rt := kmsg.NewTxnOffsetCommitRequestTopic()
	rt.Topic, rt.Partitions = topic, append(rt.Partitions, rp)
	req.Topics = append(req.Topics, rt)
	resp, err := req.RequestWith(ctx, p.cl)
	require.NoError(p.t, err)
	return kerr.ErrorForCode(resp.Topics[0].Partitions[0].ErrorCode)
}

// end ends the transaction, and takes the new epoch over if there is one.
func (p *rawProducer) end(commit bool) error {
	p.t.Helper()
	req := kmsg.NewPtrEndTxnRequest()
	req.TransactionalID, req.ProducerID, req.ProducerEpoch, req.Commit = p.txnID, p.id, p.epoch, commit
	resp, err := req.RequestWith(context.Background(), p.cl)
	require.NoError(p.t, err)
	if err := kerr.ErrorForCode(resp.ErrorCode); err != nil {
		return err
	}
	if resp.Version >= 5 {
		p.id, p.epoch, p.seq = resp.ProducerID, resp.ProducerEpoch, map[string]map[int32]int32{}
	}
	return nil
}

// open opens a directory until the test ends or closes it.
func open(t testing.TB, dir string) *Broker {
	t.Helper()
	b, err := Open(t.Context(), Config{Dir: dir, Clean: -1, Log: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, b.Close()) })
	return b
}

func makeTopic(t testing.TB, addr, topic string, partitions int32) {
	t.Helper()
	cl, err := kgo.NewClient(kgo.SeedBrokers(addr))
	require.NoError(t, err)
	defer cl.Close()
	_, err = kadm.NewClient(cl).CreateTopic(context.Background(), partitions, 1, nil, topic)
	require.NoError(t, err)
}

// files are a directory's files, by their names in it.
type files map[string]string

// killed are the files as SIGKILL would leave them now: what the process has
// written is there, whether it lives on or not.
func killed(t testing.TB, dir string) files {
	t.Helper()
	out := files{}
	require.NoError(t, filepath.WalkDir(dir, func(path string, e os.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		raw, err := os.ReadFile(path)
		name, _ := filepath.Rel(dir, path)
		out[name] = string(raw)
		return err
	}))
	require.NotContains(t, out, cleanFile)
	return out
}

// put writes files to a new directory.
func (f files) put(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range f {
		path := filepath.Join(dir, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, []byte(content), 0o644))
	}
	return dir
}

// with are the files with some of another state.
func (f files) with(other files, names ...string) files {
	out := maps.Clone(f)
	for _, name := range names {
		out[name] = other[name]
	}
	return out
}

// changed are the names of files that differ, in order.
func (f files) changed(other files) []string {
	var out []string
	for name := range other {
		if f[name] != other[name] {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}

// committedOffset is a group's offset, or -1.
func committedOffset(t testing.TB, addr, group, topic string, partition int32) int64 {
	t.Helper()
	cl, err := kgo.NewClient(kgo.SeedBrokers(addr))
	require.NoError(t, err)
	defer cl.Close()
	offsets, err := kadm.NewClient(cl).FetchOffsets(context.Background(), group)
	require.NoError(t, err)
	o, ok := offsets.Lookup(topic, partition)
	if !ok {
		return -1
	}
	return o.At
}
