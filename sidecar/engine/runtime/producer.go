package runtime

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/sidestream/sidestream/sidecar/engine/exec"
)

// Limits of what waits to be written.
const (
	batchMax   = 384 << 10 // bytes of one partition's batch: Kafka takes 1 MiB
	pendingMax = 1 << 20   // bytes of all batches: they are sent then, before the commit
)

// producer writes records and offsets in transactions. It speaks the protocol
// itself: a life that meets any error ends, and the next one's InitProducerId
// aborts what was open, so there is nothing here to retry or to recover, and
// records are encoded once, where they come up.
//
// It belongs to one goroutine, which may go on adding records while the ones
// before are on their way.
type producer struct {
	client *kgo.Client
	txnID  string // "" writes without transactions
	group  string
	v2     bool // transactions of version 2 (KIP-890)
	pack   *compression

	id    int64
	epoch int16

	topics  map[string]*outTopic
	dirty   []*outPartition // with records that wait
	pending int             // bytes that wait
	bytes   int             // bytes of this transaction
	records int             // records of this transaction
	flight  chan error      // the answer to what is on its way; nil without
	open    bool            // the broker knows of this transaction
}

type outTopic struct {
	name       string
	partitions []outPartition
	records    int // added since the last commit
}

type outPartition struct {
	topic    *outTopic
	index    int32
	leader   int32
	sequence int32
	added    bool // to the open transaction (version 1)
	batchWriter
	spare []byte // the buffer of the batch before
	sent  int32  // records of the batch on its way
	end   int64  // the offset behind the last record that was written, or -1
}

func newProducer(client *kgo.Client, txnID, group string, v2 bool, pack *compression) *producer {
	return &producer{client: client, txnID: txnID, group: group, v2: v2, pack: pack, topics: map[string]*outTopic{}}
}

// topic makes a topic known, with the leader of each partition.
func (p *producer) topic(name string, leaders []int32) {
	t := &outTopic{name: name, partitions: make([]outPartition, len(leaders))}
	for i := range t.partitions {
		t.partitions[i] = outPartition{topic: t, index: int32(i), leader: leaders[i], end: -1}
	}
	p.topics[name] = t
}

// init takes a producer id, which ends what an earlier life left open.
func (p *producer) init(ctx context.Context) error {
	return retry(ctx, func() error {
		req := kmsg.NewPtrInitProducerIDRequest()
		if p.txnID != "" {
			req.TransactionalID = &p.txnID
			req.TransactionTimeoutMillis = int32(transactionTimeout.Milliseconds())
		}
		req.ProducerID, req.ProducerEpoch = -1, -1
		resp, err := req.RequestWith(ctx, p.client)
		if err == nil {
			err = kerr.ErrorForCode(resp.ErrorCode)
		}
		if err != nil {
			return fmt.Errorf("producer id of %q: %w", p.txnID, err)
		}
		p.id, p.epoch = resp.ProducerID, resp.ProducerEpoch
		return nil
	})
}

// transactionTimeout is how long a transaction of a process that is gone may
// hold up those who read the topics.
const transactionTimeout = 30 * time.Second

// add puts a record into its partition's batch.
func (p *producer) add(ctx context.Context, part *outPartition, key, value []byte, ms int64, headers []exec.Header) error {
	if part.count == 0 {
		p.dirty = append(p.dirty, part)
	}
	before := len(part.buf)
	part.batchWriter.add(key, value, ms, headers)
	p.pending += len(part.buf) - before
	p.records++
	part.topic.records++
	if p.pending >= pendingMax || len(part.buf) >= batchMax {
		return p.send(ctx)
	}
	return nil
}

// send puts the batches that wait on their way, after those before have arrived.
func (p *producer) send(ctx context.Context) error {
	if err := p.arrived(); err != nil {
		return err
	}
	if len(p.dirty) == 0 {
		return nil
	}
	// A topic must not come up twice in a request.
	slices.SortFunc(p.dirty, func(a, b *outPartition) int {
		return cmp.Or(cmp.Compare(a.topic.name, b.topic.name), cmp.Compare(a.index, b.index))
	})
	var adds []*outPartition
	byLeader := map[int32]*kmsg.ProduceRequest{}
	txn := p.txnID != ""
	for _, part := range p.dirty {
		req := byLeader[part.leader]
		if req == nil {
			req = kmsg.NewPtrProduceRequest()
			req.Acks, req.TimeoutMillis = -1, 30_000
			if txn {
				req.TransactionID = &p.txnID
			}
			byLeader[part.leader] = req
		}
		if n := len(req.Topics); n == 0 || req.Topics[n-1].Topic != part.topic.name {
			t := kmsg.NewProduceRequestTopic()
			t.Topic = part.topic.name
			req.Topics = append(req.Topics, t)
		}
		t := &req.Topics[len(req.Topics)-1]
		rp := kmsg.NewProduceRequestTopicPartition()
		rp.Partition = part.index
		rp.Records = part.finish(p.id, p.epoch, part.sequence, txn, p.pack)
		t.Partitions = append(t.Partitions, rp)
		part.sequence += part.count
		part.sent = part.count
		part.buf, part.spare = part.spare[:0], part.buf
		part.count = 0
		if !part.added {
			part.added = true
			adds = append(adds, part)
		}
	}
	if p.v2 || !txn {
		adds = nil
	}
	p.dirty = p.dirty[:0]
	p.bytes += p.pending
	p.pending = 0
	p.open = true
	flight := make(chan error, 1)
	p.flight = flight
	go func() { flight <- p.write(ctx, adds, byLeader) }()
	return nil
}

// arrived waits until what is on its way has been written.
func (p *producer) arrived() error {
	if p.flight == nil {
		return nil
	}
	err := <-p.flight
	p.flight = nil
	return err
}

func (p *producer) write(ctx context.Context, adds []*outPartition, reqs map[int32]*kmsg.ProduceRequest) error {
	if len(adds) > 0 {
		if err := p.addPartitions(ctx, adds); err != nil {
			return err
		}
	}
	if len(reqs) == 1 {
		for leader, req := range reqs {
			return p.produce(ctx, leader, req)
		}
	}
	errs := make(chan error, len(reqs))
	for leader, req := range reqs {
		go func() { errs <- p.produce(ctx, leader, req) }()
	}
	var all []error
	for range reqs {
		all = append(all, <-errs)
	}
	return errors.Join(all...)
}

func (p *producer) produce(ctx context.Context, leader int32, req *kmsg.ProduceRequest) error {
	return retry(ctx, func() error {
		raw, err := p.client.Broker(int(leader)).RetriableRequest(ctx, req)
		if err != nil {
			return fmt.Errorf("produce: %w", err)
		}
		var again *kmsg.ProduceRequest
		var last error
		resp := raw.(*kmsg.ProduceResponse)
		for i := range resp.Topics {
			t := &resp.Topics[i]
			for j := range t.Partitions {
				rp := &t.Partitions[j]
				part := &p.topics[t.Topic].partitions[rp.Partition]
				err := kerr.ErrorForCode(rp.ErrorCode)
				switch {
				case err == nil || errors.Is(err, kerr.DuplicateSequenceNumber):
					if err == nil && rp.BaseOffset >= 0 {
						part.end = rp.BaseOffset + int64(part.sent)
					}
				case wait(err):
					last = fmt.Errorf("produce to %s-%d: %w", t.Topic, rp.Partition, err)
					again = addAgain(again, req, t.Topic, rp.Partition)
				default:
					if rp.ErrorMessage != nil {
						err = fmt.Errorf("%w (%s)", err, *rp.ErrorMessage)
					}
					return fmt.Errorf("produce to %s-%d: %w", t.Topic, rp.Partition, err)
				}
			}
		}
		if again != nil {
			req = again
		}
		return last
	})
}

// addAgain puts one partition of a request into another, to be sent again.
func addAgain(to, from *kmsg.ProduceRequest, topic string, partition int32) *kmsg.ProduceRequest {
	if to == nil {
		to = kmsg.NewPtrProduceRequest()
		to.Acks, to.TimeoutMillis, to.TransactionID = from.Acks, from.TimeoutMillis, from.TransactionID
	}
	for i := range from.Topics {
		for j := range from.Topics[i].Partitions {
			if from.Topics[i].Topic == topic && from.Topics[i].Partitions[j].Partition == partition {
				if n := len(to.Topics); n == 0 || to.Topics[n-1].Topic != topic {
					t := kmsg.NewProduceRequestTopic()
					t.Topic = topic
					to.Topics = append(to.Topics, t)
				}
				t := &to.Topics[len(to.Topics)-1]
				t.Partitions = append(t.Partitions, from.Topics[i].Partitions[j])
			}
		}
	}
	return to
}

func (p *producer) addPartitions(ctx context.Context, adds []*outPartition) error {
	return retry(ctx, func() error {
		req := kmsg.NewPtrAddPartitionsToTxnRequest()
		req.TransactionalID, req.ProducerID, req.ProducerEpoch = p.txnID, p.id, p.epoch
		for _, part := range adds {
			if n := len(req.Topics); n == 0 || req.Topics[n-1].Topic != part.topic.name {
				t := kmsg.NewAddPartitionsToTxnRequestTopic()
				t.Topic = part.topic.name
				req.Topics = append(req.Topics, t)
			}
			t := &req.Topics[len(req.Topics)-1]
			t.Partitions = append(t.Partitions, part.index)
		}
		resp, err := req.RequestWith(ctx, p.client)
		if err != nil {
			return fmt.Errorf("add partitions to the transaction: %w", err)
		}
		var first error
		for i := range resp.Topics {
			for _, rp := range resp.Topics[i].Partitions {
				// One partition's error makes the others OPERATION_NOT_ATTEMPTED.
				err := kerr.ErrorForCode(rp.ErrorCode)
				if err != nil && (first == nil || errors.Is(first, kerr.OperationNotAttempted)) {
					first = fmt.Errorf("add %s-%d to the transaction: %w", resp.Topics[i].Topic, rp.Partition, err)
				}
			}
		}
		return first
	})
}

// position is an offset to commit, with a note beside it.
type position struct {
	topicPartition
	offset int64
	note   string
}

// commit ends the transaction with the offsets in it. What it returns an error
// for may have been committed or not: the next life finds out.
func (p *producer) commit(ctx context.Context, offsets []position) error {
	if p.txnID == "" {
		if err := p.flush(ctx); err != nil {
			return err
		}
		p.done()
		return p.commitPlain(ctx, offsets)
	}
	if len(p.dirty) == 0 && p.flight == nil { // nothing to overlap with
		if err := p.commitOffsets(ctx, offsets); err != nil {
			return err
		}
	} else {
		if err := p.send(ctx); err != nil {
			return err
		}
		err := p.commitOffsets(ctx, offsets)
		if err2 := p.arrived(); err == nil || err2 != nil {
			err = err2
		}
		if err != nil {
			return err
		}
	}
	return p.end(ctx, true)
}

// flush waits until every record is written.
func (p *producer) flush(ctx context.Context) error {
	if err := p.send(ctx); err != nil {
		return err
	}
	return p.arrived()
}

func (p *producer) end(ctx context.Context, commit bool) error {
	err := retry(ctx, func() error {
		req := kmsg.NewPtrEndTxnRequest()
		req.TransactionalID, req.ProducerID, req.ProducerEpoch, req.Commit = p.txnID, p.id, p.epoch, commit
		resp, err := req.RequestWith(ctx, p.client)
		if err == nil {
			err = kerr.ErrorForCode(resp.ErrorCode)
		}
		if err != nil {
			return fmt.Errorf("end the transaction: %w", err)
		}
		if resp.Version >= 5 && resp.ProducerID >= 0 && (resp.ProducerID != p.id || resp.ProducerEpoch != p.epoch) {
			p.id, p.epoch = resp.ProducerID, resp.ProducerEpoch
			for _, t := range p.topics {
				for i := range t.partitions {
					t.partitions[i].sequence = 0
				}
			}
		}
		return nil
	})
	p.done()
	return err
}

// idleBuffer is what a partition's buffer may keep once the load is over.
const idleBuffer = 32 << 10

func (p *producer) done() {
	quiet := p.bytes < idleBuffer
	p.bytes, p.records, p.open = 0, 0, false
	for _, t := range p.topics {
		for i := range t.partitions {
			part := &t.partitions[i]
			part.added = false
			if quiet && cap(part.buf)+cap(part.spare) > 2*idleBuffer {
				part.buf, part.spare = nil, nil
			}
		}
	}
}

// commitOffsets puts the offsets into the transaction.
func (p *producer) commitOffsets(ctx context.Context, offsets []position) error {
	if len(offsets) == 0 {
		return nil
	}
	p.open = true
	if !p.v2 {
		err := retry(ctx, func() error {
			req := kmsg.NewPtrAddOffsetsToTxnRequest()
			req.TransactionalID, req.ProducerID, req.ProducerEpoch, req.Group = p.txnID, p.id, p.epoch, p.group
			resp, err := req.RequestWith(ctx, p.client)
			if err == nil {
				err = kerr.ErrorForCode(resp.ErrorCode)
			}
			if err != nil {
				return fmt.Errorf("add the group to the transaction: %w", err)
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return retry(ctx, func() error {
		req := kmsg.NewPtrTxnOffsetCommitRequest()
		req.TransactionalID, req.Group = p.txnID, p.group
		req.ProducerID, req.ProducerEpoch = p.id, p.epoch
		req.Generation = -1
		for i, o := range offsets {
			if i == 0 || offsets[i-1].topic != o.topic {
				t := kmsg.NewTxnOffsetCommitRequestTopic()
				t.Topic = o.topic
				req.Topics = append(req.Topics, t)
			}
			rp := kmsg.NewTxnOffsetCommitRequestTopicPartition()
			rp.Partition, rp.Offset, rp.LeaderEpoch = o.partition, o.offset, -1
			if o.note != "" {
				rp.Metadata = &o.note
			}
			t := &req.Topics[len(req.Topics)-1]
			t.Partitions = append(t.Partitions, rp)
		}
		resp, err := req.RequestWith(ctx, p.client)
		if err != nil {
			return fmt.Errorf("commit offsets: %w", err)
		}
		for i := range resp.Topics {
			for _, rp := range resp.Topics[i].Partitions {
				if err := kerr.ErrorForCode(rp.ErrorCode); err != nil {
					return fmt.Errorf("commit offset of %s-%d: %w", resp.Topics[i].Topic, rp.Partition, err)
				}
			}
		}
		return nil
	})
}

// commitPlain commits offsets outside of transactions.
func (p *producer) commitPlain(ctx context.Context, offsets []position) error {
	if len(offsets) == 0 {
		return nil
	}
	return retry(ctx, func() error {
		req := kmsg.NewPtrOffsetCommitRequest()
		req.Group, req.Generation = p.group, -1
		for i, o := range offsets {
			if i == 0 || offsets[i-1].topic != o.topic {
				t := kmsg.NewOffsetCommitRequestTopic()
				t.Topic = o.topic
				req.Topics = append(req.Topics, t)
			}
			rp := kmsg.NewOffsetCommitRequestTopicPartition()
			rp.Partition, rp.Offset = o.partition, o.offset
			if o.note != "" {
				rp.Metadata = &o.note
			}
			t := &req.Topics[len(req.Topics)-1]
			t.Partitions = append(t.Partitions, rp)
		}
		resp, err := req.RequestWith(ctx, p.client)
		if err != nil {
			return fmt.Errorf("commit offsets: %w", err)
		}
		for i := range resp.Topics {
			for _, rp := range resp.Topics[i].Partitions {
				if err := kerr.ErrorForCode(rp.ErrorCode); err != nil {
					return fmt.Errorf("commit offset of %s-%d: %w", resp.Topics[i].Topic, rp.Partition, err)
				}
			}
		}
		return nil
	})
}

// wait tells whether an answer means "in a moment": the transaction before is
// still being finished, or a coordinator is starting.
func wait(err error) bool {
	return errors.Is(err, kerr.ConcurrentTransactions) || errors.Is(err, kerr.CoordinatorLoadInProgress) ||
		errors.Is(err, kerr.CoordinatorNotAvailable) || errors.Is(err, kerr.UnstableOffsetCommit) ||
		errors.Is(err, kerr.NotEnoughReplicas)
}

// retry calls fn while its error means "in a moment", for half a minute.
func retry(ctx context.Context, fn func() error) error {
	pause, until := time.Millisecond, time.Now().Add(transactionTimeout)
	for {
		err := fn()
		if err == nil || !wait(err) || time.Now().After(until) {
			return err
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return err
		}
		pause = min(2*pause, 100*time.Millisecond)
	}
}
