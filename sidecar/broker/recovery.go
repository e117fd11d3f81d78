package broker

import (
	"context"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// afterMarker is called after each marker that recovery wrote. Tests kill the
// process there.
var afterMarker = func() {}

// openTxn is a transaction that the stopped process left open on a partition.
type openTxn struct {
	producer  int64
	epoch     int16
	topic     string
	partition int32
}

// recover aborts every transaction that was open when the last process died.
//
// kfake treats them as aborted in memory but writes no marker; a reader, and the
// next replay, would take their records for a part of the producer's next
// transaction. So the directory is opened on a port that nobody knows, each
// log is read for transactions without an end, an ABORT marker is written for
// each, and the directory is closed again. A kill at any moment of this leaves
// a directory that the next start recovers in the same way: markers that are
// there already are found there.
func (b *Broker) recover(ctx context.Context) error {
	begin := time.Now()
	fail := func(err error) error {
		return fmt.Errorf("broker: data directory %s wasn't closed in order and can't be recovered: %w", b.cfg.Dir, err)
	}
	cluster, err := b.newCluster() // a random port of 127.0.0.1
	if err != nil {
		return fail(err)
	}
	open, err := abortOpen(ctx, cluster)
	if err != nil {
		cluster.Close()
		return fail(err)
	}
	if err := b.closeCluster(cluster, false); err != nil {
		return err
	}
	b.cfg.Log.Info("broker: recovered after an unclean stop", "dir", b.cfg.Dir, "aborted", open,
		"took", time.Since(begin).Round(time.Millisecond).String())
	return nil
}

// abortOpen aborts what is open and tells on how many partitions it was.
func abortOpen(ctx context.Context, cluster *kfake.Cluster) (int, error) {
	cl, err := kgo.NewClient(kgo.SeedBrokers(cluster.ListenAddrs()...))
	if err != nil {
		return 0, err
	}
	defer cl.Close()
	adm := kadm.NewClient(cl)
	topics, err := adm.ListTopicsWithInternal(ctx)
	if err != nil {
		return 0, fmt.Errorf("listing topics: %w", err)
	}
	starts, err := adm.ListStartOffsets(ctx, topics.Names()...)
	if err != nil {
		return 0, fmt.Errorf("listing offsets: %w", err)
	}
	ends, err := adm.ListEndOffsets(ctx, topics.Names()...)
	if err != nil {
		return 0, fmt.Errorf("listing offsets: %w", err)
	}
	var open []openTxn
	for _, t := range topics.Sorted() {
		for _, p := range t.Partitions.Sorted() {
			start, _ := starts.Lookup(t.Topic, p.Partition)
			end, _ := ends.Lookup(t.Topic, p.Partition)
			found, err := scan(ctx, cl, t, p, start.Offset, end.Offset)
			if err != nil {
				return 0, fmt.Errorf("reading %s/%d: %w", t.Topic, p.Partition, err)
			}
			open = append(open, found...)
		}
	}
	for _, txn := range open {
		if err := abort(ctx, cl, txn); err != nil {
			return 0, fmt.Errorf("aborting a transaction on %s/%d: %w", txn.topic, txn.partition, err)
		}
		afterMarker()
	}
	return len(open), nil
}

// scan reads the batch headers of a partition and finds the transactions that
// no marker ends.
func scan(ctx context.Context, cl *kgo.Client, t kadm.TopicDetail, p kadm.PartitionDetail, start, end int64) ([]openTxn, error) {
	open := map[int64]int16{}
	for offset := start; offset < end; {
		raw, err := fetch(ctx, cl, t, p, offset)
		if err != nil {
			return nil, err
		}
		next := offset
		for len(raw) >= 17 {
			size := 12 + int(binary.BigEndian.Uint32(raw[8:12]))
			if size > len(raw) {
				break // the answer ended within a batch: the next one has it whole
			}
			var batch kmsg.RecordBatch
			if err := batch.ReadFrom(raw[:size]); err != nil {
				return nil, fmt.Errorf("the batch after offset %d: %w", next, err)
			}
			raw = raw[size:]
			next = batch.FirstOffset + int64(batch.LastOffsetDelta) + 1
			switch {
			case batch.Attributes&0x20 != 0: // a marker, of either kind
				delete(open, batch.ProducerID)
			case batch.Attributes&0x10 != 0:
				open[batch.ProducerID] = batch.ProducerEpoch
			}
		}
		if next <= offset {
			return nil, fmt.Errorf("nothing at offset %d, though the end is %d", offset, end)
		}
		offset = next
	}
	var out []openTxn
	for producer, epoch := range open {
		out = append(out, openTxn{producer, epoch, t.Topic, p.Partition})
	}
	return out, nil
}

// fetch reads batches as they are stored, from an offset on.
func fetch(ctx context.Context, cl *kgo.Client, t kadm.TopicDetail, p kadm.PartitionDetail, offset int64) ([]byte, error) {
	req := kmsg.NewPtrFetchRequest()
	req.MaxBytes = 16 << 20
	rt := kmsg.NewFetchRequestTopic()
	rt.Topic, rt.TopicID = t.Topic, t.ID
	rp := kmsg.NewFetchRequestTopicPartition()
	rp.Partition, rp.FetchOffset, rp.PartitionMaxBytes = p.Partition, offset, 16<<20
	rt.Partitions = append(rt.Partitions, rp)
	req.Topics = append(req.Topics, rt)
	kresp, err := cl.Broker(int(p.Leader)).RetriableRequest(ctx, req)
	if err != nil {
		return nil, err
	}
	resp := kresp.(*kmsg.FetchResponse)
	if err := kerr.ErrorForCode(resp.ErrorCode); err != nil {
		return nil, err
	}
	if len(resp.Topics) != 1 || len(resp.Topics[0].Partitions) != 1 {
		return nil, fmt.Errorf("the answer has no such partition")
	}
	part := resp.Topics[0].Partitions[0]
	return part.RecordBatches, kerr.ErrorForCode(part.ErrorCode)
}

// abort writes an ABORT marker.
func abort(ctx context.Context, cl *kgo.Client, txn openTxn) error {
	req := kmsg.NewPtrWriteTxnMarkersRequest()
	m := kmsg.NewWriteTxnMarkersRequestMarker()
	m.ProducerID, m.ProducerEpoch = txn.producer, txn.epoch
	mt := kmsg.NewWriteTxnMarkersRequestMarkerTopic()
	mt.Topic, mt.Partitions = txn.topic, []int32{txn.partition}
	m.Topics = append(m.Topics, mt)
	req.Markers = append(req.Markers, m)
	kresp, err := cl.Broker(0).RetriableRequest(ctx, req)
	if err != nil {
		return err
	}
	for _, rm := range kresp.(*kmsg.WriteTxnMarkersResponse).Markers {
		for _, rt := range rm.Topics {
			for _, rp := range rt.Partitions {
				if err := kerr.ErrorForCode(rp.ErrorCode); err != nil {
					return err
				}
			}
		}
	}
	return nil
}
