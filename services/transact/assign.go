package transact

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/confluentinc/confluent-kafka-go/v2/kafka"
)

// rebalance is called by Poll. While it waits and restores, the client's own
// thread keeps the membership alive.
func (l *life) rebalance(c *kafka.Consumer, ev kafka.Event) error {
	if l.closing.Load() {
		return c.Unassign() // the tasks may be the next life's by now
	}
	switch e := ev.(type) {
	case kafka.AssignedPartitions:
		if err := l.assign(e.Partitions); err != nil {
			l.fault = fmt.Errorf("take over partitions: %w", err)
			return c.Unassign()
		}
		if err := c.Assign(l.positions()); err != nil {
			l.fault = fmt.Errorf("assign: %w", err)
			return err
		}
		if err := l.holdBack(); err != nil {
			l.fault = err
			return err
		}
		l.r.m.partitions.Set(float64(len(l.tasks)))
	case kafka.RevokedPartitions:
		l.r.setReady(false)
		if l.fault == nil && !c.AssignmentLost() {
			l.fault = l.handOver()
		}
		l.batch = nil
		clear(l.tasks)
		l.r.m.partitions.Set(0)
		return c.Unassign()
	}
	return nil
}

// assign makes the tasks: positions first, since waiting for these waits for
// the predecessor's transaction to be settled, then the state.
func (l *life) assign(parts []kafka.TopicPartition) error {
	clear(l.tasks)
	l.batch = nil
	if len(parts) == 0 {
		l.take()
		l.r.log.Info("no partitions assigned: other members of the group have all there are")
		return nil
	}
	began := time.Now()
	committed, ends, err := l.committedOffsets(parts)
	if err != nil {
		return err
	}
	for _, tp := range parts {
		t := l.tasks[tp.Partition]
		if t == nil {
			t = &task{partition: tp.Partition, store: l.r.store, next: map[string]int64{}, overlay: map[string]change{}, first: map[string]int64{}}
			l.tasks[tp.Partition] = t
		}
		t.next[*tp.Topic] = committed[*tp.Topic][tp.Partition]
		if end := ends[*tp.Topic][tp.Partition]; slices.Contains(l.r.cfg.First, *tp.Topic) && t.next[*tp.Topic] < end {
			t.first[*tp.Topic] = end
		}
	}
	for _, t := range l.tasks {
		if len(t.next) != len(l.r.cfg.Inputs) {
			return &stopError{fmt.Errorf("partition %d came for %d of the %d inputs of group %s: every member of the group must read the same topics and be of the same version",
				t.partition, len(t.next), len(l.r.cfg.Inputs), l.r.cfg.Name)}
		}
	}
	restored, err := l.restore()
	if err != nil {
		return err
	}
	l.take()
	l.r.log.Info("partitions assigned", "partitions", len(l.tasks), "restored", restored, "took", time.Since(began).Round(time.Millisecond))
	return nil
}

// take tells the processor which partitions it holds.
func (l *life) take() {
	if h, ok := l.r.p.(Holder); ok {
		h.Take(slices.Sorted(maps.Keys(l.tasks)))
	}
}

// committedOffsets are where each input continues: behind what is committed, or
// at the beginning. The second result are the inputs' ends.
func (l *life) committedOffsets(parts []kafka.TopicPartition) (from, ends map[string]map[int32]int64, err error) {
	var committed []kafka.TopicPartition
	for began := time.Now(); ; {
		var err error
		if committed, err = l.consumer.Committed(parts, 1000); err == nil {
			break
		}
		var k kafka.Error
		if l.ctx.Err() != nil || !errors.As(err, &k) || k.IsFatal() {
			return nil, nil, fmt.Errorf("committed offsets: %w", err)
		}
		if time.Since(began) > 2*transactionTimeout {
			return nil, nil, fmt.Errorf("committed offsets: %w", err)
		}
		l.r.log.Info("waiting for committed offsets (the last owner's transaction may be open)", "error", err)
	}
	low, err := l.offsets(parts, kafka.EarliestOffsetSpec)
	if err != nil {
		return nil, nil, err
	}
	high, err := l.offsets(parts, kafka.LatestOffsetSpec)
	if err != nil {
		return nil, nil, err
	}
	out := map[string]map[int32]int64{}
	for _, tp := range committed {
		topic, offset := *tp.Topic, int64(tp.Offset)
		first, end := low[topic][tp.Partition], high[topic][tp.Partition]
		switch {
		case tp.Offset < 0: // none
			offset = first
		case offset > end:
			l.r.log.Warn("the topic ends before the committed offset: it was made anew or lost records; reading it from its beginning",
				"topic", topic, "partition", tp.Partition, "committed", offset, "end", end)
			offset = first
		case offset < first:
			l.r.log.Warn("records were deleted before they were processed",
				"topic", topic, "partition", tp.Partition, "committed", offset, "first", first)
			offset = first
		}
		if out[topic] == nil {
			out[topic] = map[int32]int64{}
		}
		out[topic][tp.Partition] = offset
	}
	return out, high, nil
}

// offsets asks for the first or the end offset of partitions, open
// transactions included.
func (l *life) offsets(parts []kafka.TopicPartition, spec kafka.OffsetSpec) (map[string]map[int32]int64, error) {
	ask := map[kafka.TopicPartition]kafka.OffsetSpec{}
	for _, tp := range parts {
		ask[kafka.TopicPartition{Topic: tp.Topic, Partition: tp.Partition}] = spec
	}
	for began := time.Now(); ; {
		out, err := l.listOffsets(ask)
		var k kafka.Error
		if err == nil || l.ctx.Err() != nil || !errors.As(err, &k) || k.IsFatal() || time.Since(began) > 5*time.Second {
			return out, err
		}
		l.r.log.Debug("trying again", "error", err)
		l.pause(50 * time.Millisecond)
	}
}

func (l *life) listOffsets(ask map[kafka.TopicPartition]kafka.OffsetSpec) (map[string]map[int32]int64, error) {
	res, err := l.admin.ListOffsets(l.hard, ask,
		kafka.SetAdminIsolationLevel(kafka.IsolationLevelReadUncommitted), kafka.SetAdminRequestTimeout(2*time.Second))
	if err != nil {
		return nil, fmt.Errorf("list offsets: %w", err)
	}
	out := map[string]map[int32]int64{}
	for tp, info := range res.ResultInfos {
		if info.Error.Code() != kafka.ErrNoError {
			return nil, fmt.Errorf("offsets of %s[%d]: %w", *tp.Topic, tp.Partition, info.Error)
		}
		if out[*tp.Topic] == nil {
			out[*tp.Topic] = map[int32]int64{}
		}
		out[*tp.Topic][tp.Partition] = int64(info.Offset)
	}
	return out, nil
}

// positions are where the consumer starts.
func (l *life) positions() []kafka.TopicPartition {
	var out []kafka.TopicPartition
	for _, t := range l.tasks {
		for input, offset := range t.next {
			out = append(out, kafka.TopicPartition{Topic: &input, Partition: t.partition, Offset: kafka.Offset(offset)})
		}
	}
	return out
}

// holdBack pauses the inputs that wait for those of Config.First.
func (l *life) holdBack() error {
	var wait []kafka.TopicPartition
	for _, t := range l.tasks {
		if len(t.first) > 0 {
			wait = append(wait, l.later(t)...)
		}
	}
	if l.settled = len(wait) == 0; l.settled {
		l.r.setReady(true)
		return nil
	}
	if err := l.consumer.Pause(wait); err != nil {
		return fmt.Errorf("pause: %w", err)
	}
	return nil
}

// later are a task's inputs that are not in Config.First.
func (l *life) later(t *task) []kafka.TopicPartition {
	var out []kafka.TopicPartition
	for input := range t.next {
		if !slices.Contains(l.r.cfg.First, input) {
			out = append(out, kafka.TopicPartition{Topic: &input, Partition: t.partition})
		}
	}
	return out
}

// caughtUp takes notice that everything before at has been processed.
func (l *life) caughtUp(at kafka.TopicPartition) error {
	t := l.tasks[at.Partition]
	if t == nil || len(t.first) == 0 {
		return nil
	}
	if end, ok := t.first[*at.Topic]; !ok || int64(at.Offset) < end {
		return nil
	}
	delete(t.first, *at.Topic)
	if len(t.first) > 0 {
		return nil
	}
	if wait := l.later(t); len(wait) > 0 {
		if err := l.consumer.Resume(wait); err != nil {
			return fmt.Errorf("resume: %w", err)
		}
	}
	for _, t := range l.tasks {
		if len(t.first) > 0 {
			return nil
		}
	}
	l.r.setReady(true)
	return nil
}
