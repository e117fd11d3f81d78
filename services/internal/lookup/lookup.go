// Package lookup keeps a small compacted topic in memory, all partitions of it,
// for a program that has to look up keys which aren't co-partitioned with what it
// reads (Kafka Streams calls it a global table).
//
//	[topic] ──► Table.Start: read to its end, then followed ──► Table.Get(key)
//
// What Get returns is the newest record that has come in: looking up is not part
// of a transaction, and a key may change between two looks.
package lookup

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"sync"
	"time"

	"github.com/confluentinc/confluent-kafka-go/v2/kafka"
)

// Config says where the topic is.
type Config struct {
	Brokers string            // host:port, divided by commas
	Kafka   map[string]string // more settings of the client, for TLS and SASL
	Log     *slog.Logger
}

// Table is one topic. Make it with New, then Start it once.
type Table struct {
	topic string

	mu      sync.RWMutex
	rows    map[string][]byte
	waiting map[string][]chan struct{} // by key: who wants to know of its next record

	stop, stopped chan struct{}
}

// New names the topic.
func New(topic string) *Table {
	return &Table{topic: topic, rows: map[string][]byte{}, waiting: map[string][]chan struct{}{}, stop: make(chan struct{}), stopped: make(chan struct{})}
}

// Topic is its name.
func (t *Table) Topic() string { return t.topic }

// Get is the newest value of a key. The caller must not change it.
func (t *Table) Get(key string) ([]byte, bool) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	v, ok := t.rows[key]
	return v, ok
}

// All is a copy of the whole table. The caller must not change the values.
func (t *Table) All() map[string][]byte {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return maps.Clone(t.rows)
}

// Changed is closed when the next record of the key has come in.
func (t *Table) Changed(key string) <-chan struct{} {
	t.mu.Lock()
	defer t.mu.Unlock()
	c := make(chan struct{})
	t.waiting[key] = append(t.waiting[key], c)
	return c
}

// Put sets a key as a record does; nil takes it away. Tests without Kafka call it.
func (t *Table) Put(key string, value []byte) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if value == nil {
		delete(t.rows, key)
	} else {
		t.rows[key] = value
	}
	for _, c := range t.waiting[key] {
		close(c)
	}
	delete(t.waiting, key)
}

// Start reads the topic up to the end that it has now, then follows it in a
// goroutine of its own until Close. It fails if the topic doesn't exist, or when
// ctx ends first.
func (t *Table) Start(ctx context.Context, cfg Config) error {
	m := kafka.ConfigMap{
		"bootstrap.servers":        cfg.Brokers,
		"client.id":                "lookup-" + t.topic,
		"group.id":                 "lookup-unused", // the client wants one; no group is joined, nothing committed
		"enable.auto.commit":       false,
		"enable.auto.offset.store": false,
		"enable.metrics.push":      false,
		"enable.partition.eof":     true,
		"auto.offset.reset":        "earliest",
		"isolation.level":          "read_committed",
		"fetch.queue.backoff.ms":   5,
		"reconnect.backoff.ms":     50,
		"reconnect.backoff.max.ms": 500,
		"log.connection.close":     false,
	}
	for k, v := range cfg.Kafka {
		m[k] = v
	}
	c, err := kafka.NewConsumer(&m)
	if err != nil {
		return fmt.Errorf("the Kafka client refuses its configuration: %w", err)
	}
	behind, err := t.assign(ctx, c)
	for err == nil && len(behind) > 0 {
		if err = ctx.Err(); err == nil {
			t.take(c.Poll(100), behind)
		}
	}
	if err != nil {
		c.Close()
		return err
	}
	cfg.Log.Info("read a table", "topic", t.topic, "rows", len(t.rows))
	go t.follow(c, cfg.Log)
	return nil
}

// Close stops following.
func (t *Table) Close() {
	close(t.stop)
	<-t.stopped
}

// assign takes all partitions from their beginning, and returns where they end
// now. That is what a start has to read: the end of a topic that is written all
// the time is never seen.
func (t *Table) assign(ctx context.Context, c *kafka.Consumer) (map[int32]kafka.Offset, error) {
	for {
		md, err := c.GetMetadata(&t.topic, false, 2000)
		if err == nil {
			found := md.Topics[t.topic]
			if found.Error.Code() == kafka.ErrUnknownTopicOrPart {
				return nil, fmt.Errorf("topic %s does not exist; create what is missing (ksql/topics.yaml lists all topics) and start again", t.topic)
			}
			if found.Error.Code() == kafka.ErrNoError {
				behind := map[int32]kafka.Offset{}
				var at []kafka.TopicPartition
				for _, p := range found.Partitions {
					_, end, err := c.QueryWatermarkOffsets(t.topic, p.ID, 2000)
					if err != nil {
						return nil, fmt.Errorf("the end of partition %d of %s: %w", p.ID, t.topic, err)
					}
					behind[p.ID] = kafka.Offset(end)
					at = append(at, kafka.TopicPartition{Topic: &t.topic, Partition: p.ID, Offset: kafka.OffsetBeginning})
				}
				return behind, c.Assign(at)
			}
			err = found.Error
		}
		select {
		case <-ctx.Done():
			return nil, errors.Join(fmt.Errorf("topic %s: %w", t.topic, err), ctx.Err())
		case <-time.After(100 * time.Millisecond):
		}
	}
}

func (t *Table) take(ev kafka.Event, behind map[int32]kafka.Offset) {
	switch e := ev.(type) {
	case *kafka.Message:
		t.Put(string(e.Key), e.Value)
		// What is before the end may be a transaction's marker, which isn't seen:
		// then the next record or the end says so.
		p := e.TopicPartition
		if end, ok := behind[p.Partition]; ok && p.Offset+1 >= end {
			delete(behind, p.Partition)
		}
	case kafka.PartitionEOF:
		delete(behind, e.Partition)
	}
}

func (t *Table) follow(c *kafka.Consumer, log *slog.Logger) {
	defer close(t.stopped)
	defer c.Close()
	for {
		select {
		case <-t.stop:
			return
		default:
		}
		ev := c.Poll(100)
		if e, ok := ev.(kafka.Error); ok && e.IsFatal() {
			log.Error("a table is no longer followed", "topic", t.topic, "error", e)
			return
		}
		t.take(ev, nil)
	}
}
