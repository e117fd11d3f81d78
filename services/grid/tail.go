package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/confluentinc/confluent-kafka-go/v2/kafka"

	"github.com/sidestream/sidestream/services/internal/config"
)

const (
	maxBatch = 5000                   // records in one SQLite transaction
	maxDelay = 200 * time.Millisecond // that a record waits for others which are there already
)

// tail reads all partitions of the topics into the store, from where the store
// left off, and tells the feed what changed. It belongs to no group: each replica
// reads everything. One goroutine polls; it ends with the context.
type tail struct {
	consumer *kafka.Consumer
	store    *store
	feed     *feed
	log      *slog.Logger
	behind   map[string]map[int32]bool // the partitions that were not yet read to the end they had at start
	ready    atomic.Bool
}

// startTail positions the consumer. rows must exist; of the story's topics those
// that don't are left out.
func startTail(s config.Common, story []string, st *store, f *feed, log *slog.Logger) (*tail, error) {
	m := kafka.ConfigMap{
		"bootstrap.servers":          s.Brokers,
		"client.id":                  "grid",
		"group.id":                   "grid-unused", // the client wants one; no group is joined, nothing committed
		"enable.auto.commit":         false,
		"enable.auto.offset.store":   false,
		"enable.metrics.push":        false,
		"enable.partition.eof":       true,
		"auto.offset.reset":          "earliest",
		"isolation.level":            "read_committed",
		"fetch.wait.max.ms":          250,
		"fetch.queue.backoff.ms":     1,
		"queued.max.messages.kbytes": 16 * 1024,
		"reconnect.backoff.ms":       50,
		"reconnect.backoff.max.ms":   500,
		"log.connection.close":       false,
	}
	for k, v := range s.Kafka {
		m[k] = v
	}
	c, err := kafka.NewConsumer(&m)
	if err != nil {
		return nil, fmt.Errorf("the Kafka client refuses its configuration: %w", err)
	}
	t := &tail{consumer: c, store: st, feed: f, log: log, behind: map[string]map[int32]bool{}}
	if err := t.assign(story, s); err != nil {
		c.Close()
		return nil, err
	}
	return t, nil
}

var errMissing = errors.New("does not exist; create what is missing (ksql/topics.yaml lists all topics) and start again")

func (t *tail) assign(story []string, s config.Common) error {
	deadline := time.Now().Add(s.StartTimeout)
	var at []kafka.TopicPartition
	anew := false
	for _, topic := range append([]string{rowsTopic}, story...) {
		parts, err := t.partitions(topic, deadline)
		if errors.Is(err, errMissing) && topic != rowsTopic {
			t.log.Warn("a topic of the stories is not there; it is left out until the next start", "topic", topic)
			continue
		}
		if err != nil {
			return fmt.Errorf("topic %s at %s: %w", topic, s.Brokers, err)
		}
		known, err := t.store.offsets(topic)
		if err != nil {
			return err
		}
		t.behind[topic] = map[int32]bool{}
		for p, end := range parts {
			if known[p] > end {
				anew = true
			}
			t.behind[topic][p] = true
			at = append(at, kafka.TopicPartition{Topic: &topic, Partition: p, Offset: kafka.Offset(known[p])})
		}
	}
	if anew {
		t.log.Warn("a topic ends before what the view has of it: it was made anew, and so is the view")
		if err := t.store.forget(); err != nil {
			return err
		}
		for i := range at {
			at[i].Offset = kafka.OffsetBeginning
		}
	}
	return t.consumer.Assign(at)
}

// partitions of a topic with their ends.
func (t *tail) partitions(topic string, deadline time.Time) (map[int32]int64, error) {
	for {
		out, err := t.ends(topic)
		if err == nil || errors.Is(err, errMissing) || time.Now().After(deadline) {
			return out, err
		}
		time.Sleep(100 * time.Millisecond)
	}
}

func (t *tail) ends(topic string) (map[int32]int64, error) {
	md, err := t.consumer.GetMetadata(&topic, false, 2000)
	if err != nil {
		return nil, err
	}
	found := md.Topics[topic]
	switch found.Error.Code() {
	case kafka.ErrNoError:
	case kafka.ErrUnknownTopicOrPart, kafka.ErrUnknownTopic:
		return nil, errMissing
	default:
		return nil, found.Error
	}
	out := map[int32]int64{}
	for _, p := range found.Partitions {
		_, end, err := t.consumer.QueryWatermarkOffsets(topic, p.ID, 2000)
		if err != nil {
			return nil, err
		}
		out[p.ID] = end
	}
	return out, nil
}

// run reads until ctx is done.
func (t *tail) run(ctx context.Context) error {
	defer t.consumer.Close()
	for ctx.Err() == nil {
		b := &batch{next: map[string]map[int32]int64{}}
		n := 0
		began := time.Now()
		for ev := t.consumer.Poll(100); ev != nil; ev = t.consumer.Poll(0) {
			took, err := t.take(b, ev)
			if err != nil {
				return err
			}
			n += took
			if n >= maxBatch || time.Since(began) > maxDelay {
				break
			}
		}
		if n > 0 {
			rows, err := t.store.apply(b)
			if err != nil {
				return fmt.Errorf("the view can't be written: %w", err)
			}
			told := make([]string, len(b.events))
			for i, e := range b.events {
				told[i] = e.Order
			}
			t.feed.publish(rows, told...)
		}
		if !t.ready.Load() && len(t.behind) == 0 {
			t.ready.Store(true)
			t.log.Info("the view is complete")
		}
	}
	return nil
}

// take puts an event into the batch; it returns how many records that were.
func (t *tail) take(b *batch, ev kafka.Event) (int, error) {
	switch e := ev.(type) {
	case *kafka.Message:
		t.message(b, e)
		return 1, nil
	case kafka.PartitionEOF:
		if left := t.behind[*e.Topic]; left != nil {
			if delete(left, e.Partition); len(left) == 0 {
				delete(t.behind, *e.Topic)
			}
		}
	case kafka.Error:
		if e.IsFatal() {
			return 0, fmt.Errorf("kafka consumer: %w", e)
		}
		t.log.Debug("kafka consumer", "error", e)
	}
	return 0, nil
}

func (t *tail) message(b *batch, m *kafka.Message) {
	tp := m.TopicPartition
	next := b.next[*tp.Topic]
	if next == nil {
		next = map[int32]int64{}
		b.next[*tp.Topic] = next
	}
	next[tp.Partition] = int64(tp.Offset) + 1
	ms := m.Timestamp.UnixMilli()
	if *tp.Topic != rowsTopic {
		if id := orderOf(*tp.Topic, m.Key, m.Value); id != "" && json.Valid(m.Value) {
			b.events = append(b.events, event{Order: id, Topic: *tp.Topic, Partition: tp.Partition, Offset: int64(tp.Offset), Time: ms, Value: m.Value})
		}
		return
	}
	if m.Value == nil {
		b.rows = append(b.rows, row{ID: string(m.Key), gone: true})
		return
	}
	r, err := decodeRow(string(m.Key), m.Value)
	if err != nil || m.Key == nil {
		t.log.Warn("bad record passed by", "topic", *tp.Topic, "partition", tp.Partition, "offset", int64(tp.Offset), "error", err)
		return
	}
	r.Created, r.Updated = ms, ms
	b.rows = append(b.rows, r)
}
