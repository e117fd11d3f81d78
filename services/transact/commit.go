package transact

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/confluentinc/confluent-kafka-go/v2/kafka"
)

// commit writes the batch in one transaction. It returns nil if that went well
// or was undone (then its records come again); an error ends the life.
func (l *life) commit() error {
	b, began := l.batch, time.Now()
	err := l.transact(b)
	if err == nil {
		l.batch, l.aborts = nil, 0
		return l.committed(b, time.Since(began))
	}
	var stop *stopError
	if errors.As(err, &stop) || fatal(err) || !abortable(err) {
		return err
	}
	l.aborts++
	l.r.m.aborts.Inc()
	l.r.log.Warn("transaction aborted; its records will be processed again", "error", err, "records", b.count)
	if !l.settled {
		// Beginning anew holds the other inputs back once more.
		return fmt.Errorf("while the first inputs were read: %w", err)
	}
	if l.aborts > 10 {
		return fmt.Errorf("ten transactions in a row failed, the last one: %w", err)
	}
	if aerr := retry(l.hard, l.producer.AbortTransaction); aerr != nil {
		return fmt.Errorf("abort the transaction: %w", aerr)
	}
	return l.rewind()
}

// transact produces everything, then the offsets, then the commit. What it
// produces is sent while the offsets are, since producing only queues.
func (l *life) transact(b *batch) error {
	if err := l.producer.BeginTransaction(); err != nil {
		return fmt.Errorf("begin transaction: %w", err)
	}
	for i := range b.outputs {
		if err := l.produce(&b.outputs[i]); err != nil {
			return err
		}
	}
	for _, t := range l.tasks {
		for k, c := range t.overlay {
			r := Record{Topic: l.r.cfg.Changelog, Partition: t.partition, Key: []byte(k), Value: c.value}
			if err := l.produce(&r); err != nil {
				return err
			}
		}
	}
	var offsets []kafka.TopicPartition
	for n, next := range b.next {
		for _, input := range l.r.cfg.Inputs {
			offset, ok := next[input]
			if !ok {
				if len(next) > 0 {
					continue
				}
				offset = l.tasks[n].next[input]
			}
			offsets = append(offsets, kafka.TopicPartition{Topic: &input, Partition: n, Offset: kafka.Offset(offset)})
		}
	}
	group, err := l.consumer.GetConsumerGroupMetadata()
	if err != nil {
		return fmt.Errorf("group metadata: %w", err)
	}
	err = retry(l.hard, func(ctx context.Context) error {
		return l.producer.SendOffsetsToTransaction(ctx, offsets, group)
	})
	if err != nil {
		return fmt.Errorf("offsets to transaction: %w", err)
	}
	l.awaitReports()
	// An error of any delivery is one of the commit.
	if err := retry(l.hard, l.producer.CommitTransaction); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	return nil
}

// awaitReports waits for the delivery reports of what was produced. The commit
// would wait, too, but in steps of a millisecond.
func (l *life) awaitReports() {
	late := time.NewTimer(time.Second)
	defer late.Stop()
	for l.reports.Load() < l.produced {
		select {
		case <-l.reported:
		case <-late.C:
			return
		}
	}
}

func (l *life) produce(r *Record) error {
	m := &kafka.Message{
		TopicPartition: kafka.TopicPartition{Topic: &r.Topic, Partition: r.Partition},
		Key:            r.Key, Value: r.Value, Timestamp: r.Time,
	}
	for _, h := range r.Headers {
		m.Headers = append(m.Headers, kafka.Header{Key: h.Key, Value: h.Value})
	}
	for {
		err := l.producer.Produce(m, nil)
		if err == nil {
			l.produced++
			return nil
		}
		var k kafka.Error
		errors.As(err, &k)
		switch {
		case k.Code() == kafka.ErrQueueFull && l.hard.Err() == nil:
			l.producer.Flush(10)
		case k.Code() == kafka.ErrMsgSizeTooLarge, k.Code() == kafka.ErrUnknownPartition, k.Code() == kafka.ErrUnknownTopic:
			return &stopError{fmt.Errorf("an output to topic %s can't be sent (key %q, %d bytes): %w", r.Topic, r.Key, len(r.Value), err)}
		default:
			return fmt.Errorf("produce to %s: %w", r.Topic, err)
		}
	}
}

// committed takes the transaction's effects over into the store.
func (l *life) committed(b *batch, took time.Duration) error {
	now := time.Now()
	l.settled = l.settled || l.r.Ready()
	l.worked = true
	l.r.m.commits.Inc()
	l.r.m.commitTime.Observe(took.Seconds())
	l.r.m.outputs.Add(float64(len(b.outputs)))
	if b.count > 0 {
		l.r.m.latency.Observe(now.Sub(b.oldest).Seconds())
	}
	for topic, n := range b.records {
		l.r.m.records.WithLabelValues(topic).Add(float64(n))
	}
	for n, next := range b.next {
		for topic, offset := range next {
			l.tasks[n].next[topic] = offset
		}
	}
	if err := l.save(now); err != nil {
		return &stopError{err}
	}
	if l.r.cfg.OnCommit != nil && len(b.outputs) > 0 {
		l.r.cfg.OnCommit(b.outputs)
	}
	return nil
}

func (l *life) save(now time.Time) error {
	if l.r.store == nil {
		return nil
	}
	var w write
	for _, t := range l.tasks {
		if len(t.overlay) == 0 {
			continue
		}
		if w.b == nil {
			w = l.r.store.begin()
		}
		for k, c := range t.overlay {
			w.set(t.partition, []byte(k), c)
		}
		clear(t.overlay)
		// What is reported written belongs to transactions that are over, since
		// the next one has not begun: this never runs ahead of the state. Reports
		// that are still on their way are the tail that a restart reads.
		w.checkpoint(t.partition, checkpoint{topicID: l.topics[l.r.cfg.Changelog].id, next: max(t.base, l.acked[t.partition].Load()), at: now})
	}
	if w.b != nil {
		if err := w.commit(); err != nil {
			return err
		}
	}
	return l.r.store.flush(now)
}

// rewind takes everything back to what is committed.
func (l *life) rewind() error {
	l.batch = nil
	var to []kafka.TopicPartition
	for _, t := range l.tasks {
		clear(t.overlay)
		for input, offset := range t.next {
			to = append(to, kafka.TopicPartition{Topic: &input, Partition: t.partition, Offset: kafka.Offset(offset)})
		}
	}
	if len(to) == 0 {
		return nil
	}
	if _, err := l.consumer.SeekPartitions(to); err != nil {
		return fmt.Errorf("rewind: %w", err)
	}
	l.pause(time.Duration(l.aborts) * 50 * time.Millisecond)
	return nil
}

func (l *life) pause(d time.Duration) {
	select {
	case <-l.hard.Done():
	case <-l.ctx.Done():
	case <-time.After(d):
	}
}

// retry calls a step of a transaction until it isn't told to try again: while
// the broker is away, that is until ctx is done.
func retry(ctx context.Context, step func(context.Context) error) error {
	for {
		one, cancel := context.WithTimeout(ctx, 2*time.Second)
		err := step(one)
		cancel()
		var k kafka.Error
		if err == nil || !errors.As(err, &k) || !(k.IsRetriable() || k.IsTimeout()) || fatal(err) || k.TxnRequiresAbort() {
			return err
		}
		if ctx.Err() != nil {
			return err
		}
	}
}

// fatal errors end the clients. Being fenced is one whatever the flag says.
func fatal(err error) bool {
	var k kafka.Error
	return errors.As(err, &k) && (k.IsFatal() || k.Code() == kafka.ErrFenced)
}

func abortable(err error) bool {
	var k kafka.Error
	return errors.As(err, &k) && k.TxnRequiresAbort()
}
