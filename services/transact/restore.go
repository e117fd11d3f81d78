package transact

import (
	"fmt"
	"time"

	"github.com/confluentinc/confluent-kafka-go/v2/kafka"
)

// checkpointLife is how old a checkpoint may be. Compaction drops a deletion
// after delete.retention.ms, a day by default; a store that hasn't seen it by
// then would keep the key for ever.
const checkpointLife = 12 * time.Hour

// restore brings the store of each task to the changelog's end, and returns
// how many records that took. The end is that of all records, committed or
// not: a predecessor's transaction may be on its way to be committed, so that
// its offsets are already, while its changelog records are not yet.
func (l *life) restore() (int, error) {
	if l.r.store == nil {
		return 0, nil
	}
	name := l.r.cfg.Changelog
	id := l.topics[name].id
	var parts []kafka.TopicPartition
	for n := range l.tasks {
		parts = append(parts, kafka.TopicPartition{Topic: &name, Partition: n})
	}
	low, err := l.offsets(parts, kafka.EarliestOffsetSpec)
	if err != nil {
		return 0, err
	}
	high, err := l.offsets(parts, kafka.LatestOffsetSpec)
	if err != nil {
		return 0, err
	}
	var read []kafka.TopicPartition
	for n, t := range l.tasks {
		first, end := low[name][n], high[name][n]
		from := first
		if c, ok := l.r.store.checkpoint(n); ok {
			if c.topicID == id && c.next >= first && c.next <= end && time.Since(c.at) < checkpointLife {
				from = c.next
			} else {
				l.r.log.Info("local state is of no use any more: restoring all of it from the changelog", "partition", n,
					"checkpoint", c.next, "changelogEnd", end, "sameTopic", c.topicID == id, "at", c.at)
				if err := l.r.store.drop(n); err != nil {
					return 0, &stopError{fmt.Errorf("state store: %w", err)}
				}
			}
		} else if err := l.r.store.drop(n); err != nil {
			return 0, &stopError{fmt.Errorf("state store: %w", err)}
		}
		t.base = end
		if from < end {
			read = append(read, kafka.TopicPartition{Topic: &name, Partition: n, Offset: kafka.Offset(from)})
		}
	}
	count, err := l.readChangelog(read, high[name])
	if err != nil {
		return count, err
	}
	w := l.r.store.begin()
	for n, t := range l.tasks {
		w.checkpoint(n, checkpoint{topicID: id, next: t.base, at: time.Now()})
	}
	if err := w.commit(); err != nil {
		return count, &stopError{err}
	}
	l.r.m.restored.Add(float64(count))
	return count, nil
}

// readChangelog applies the changelog from the given offsets up to end.
func (l *life) readChangelog(from []kafka.TopicPartition, end map[int32]int64) (int, error) {
	if len(from) == 0 {
		return 0, nil
	}
	m := l.r.clientConfig(l.logs)
	m["group.id"] = l.r.cfg.Name + "-restore" // needed, never joined
	m["isolation.level"] = "read_committed"
	m["enable.auto.commit"] = false
	m["enable.auto.offset.store"] = false
	m["enable.partition.eof"] = true
	m["auto.offset.reset"] = "error"
	m["fetch.wait.max.ms"] = 50
	m["queued.max.messages.kbytes"] = 8 * 1024
	m["go.events.channel.size"] = 1
	reader, err := kafka.NewConsumer(&m)
	if err != nil {
		return 0, err
	}
	defer func() { _ = reader.Close() }()
	if err := reader.Assign(from); err != nil {
		return 0, fmt.Errorf("read changelog: %w", err)
	}
	left := map[int32]bool{}
	for _, tp := range from {
		left[tp.Partition] = true
	}
	w, inWrite, count := l.r.store.begin(), 0, 0
	reported := time.Now()
	for len(left) > 0 {
		if l.ctx.Err() != nil {
			return count, l.ctx.Err()
		}
		var at kafka.TopicPartition
		switch e := reader.Poll(100).(type) {
		case *kafka.Message:
			w.set(e.TopicPartition.Partition, e.Key, change{value: e.Value, deleted: e.Value == nil})
			count++
			if inWrite++; inWrite == 1000 {
				if err := w.commit(); err != nil {
					return count, &stopError{err}
				}
				w, inWrite = l.r.store.begin(), 0
			}
			at = e.TopicPartition
			at.Offset++
		case kafka.PartitionEOF:
			at = kafka.TopicPartition(e)
		case kafka.Error:
			if e.IsFatal() || e.Code() == kafka.ErrAutoOffsetReset {
				return count, fmt.Errorf("read changelog: %w", e)
			}
			l.r.log.Debug("read changelog", "error", e)
		}
		if at.Topic != nil && int64(at.Offset) >= end[at.Partition] {
			delete(left, at.Partition)
		}
		if time.Since(reported) > 2*time.Second {
			reported = time.Now()
			l.r.log.Info("restoring state", "records", count, "partitionsLeft", len(left))
		}
	}
	if err := w.commit(); err != nil {
		return count, &stopError{err}
	}
	return count, nil
}
