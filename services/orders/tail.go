package main

import (
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/confluentinc/confluent-kafka-go/v2/kafka"
)

// tail reads the committed records of `orders` and `order-outcomes` as they
// come, all partitions, from the end: every replica sees every order.
//
//	orders         ──► recent (waiters, GET right after POST, SSE) and requests (201)
//	order-outcomes ──► requests (200, 409)
//
// It belongs to no group, so replicas don't share the partitions. One goroutine
// polls; it ends with close.
type tail struct {
	consumer *kafka.Consumer
	recent   *recent
	requests *requests
	decided  func(time.Duration) // told the time from CREATED to the decision
	log      *slog.Logger

	away    atomic.Bool // the broker can't be reached
	stop    chan struct{}
	stopped chan struct{}
}

// startTail positions the consumer at the end of each partition, and returns
// when it stands there.
func startTail(at kafkaAt, rec *recent, req *requests, decided func(time.Duration), within time.Duration, log *slog.Logger) (*tail, error) {
	cfg := at.consumer()
	c, err := kafka.NewConsumer(&cfg)
	if err != nil {
		return nil, fmt.Errorf("kafka consumer: %w", err)
	}
	forwardLogs(c.Logs(), log)
	t := &tail{consumer: c, recent: rec, requests: req, decided: decided, log: log, stop: make(chan struct{}), stopped: make(chan struct{})}
	if err := t.assign(within); err != nil {
		c.Close()
		return nil, err
	}
	go t.run()
	return t, nil
}

func (t *tail) assign(within time.Duration) error {
	ms := int(within.Milliseconds())
	var at []kafka.TopicPartition
	for _, topic := range []string{ordersTopic, outcomesTopic} {
		md, err := t.consumer.GetMetadata(&topic, false, ms)
		if err != nil {
			return fmt.Errorf("topic %s: %w", topic, err)
		}
		for _, p := range md.Topics[topic].Partitions {
			_, high, err := t.consumer.QueryWatermarkOffsets(topic, p.ID, ms)
			if err != nil {
				return fmt.Errorf("the end of topic %s, partition %d: %w", topic, p.ID, err)
			}
			at = append(at, kafka.TopicPartition{Topic: &topic, Partition: p.ID, Offset: kafka.Offset(high)})
			if topic == ordersTopic {
				t.recent.open(p.ID, high)
			}
		}
	}
	if err := t.consumer.Assign(at); err != nil {
		return fmt.Errorf("kafka consumer: %w", err)
	}
	return nil
}

func (t *tail) run() {
	defer close(t.stopped)
	var asked time.Time
	for {
		select {
		case <-t.stop:
			return
		default:
		}
		switch e := t.consumer.Poll(100).(type) {
		case *kafka.Message:
			t.back()
			t.take(e)
		case kafka.Error:
			if e.Code() == kafka.ErrAllBrokersDown || e.Code() == kafka.ErrTransport {
				if !t.away.Swap(true) {
					t.log.Warn("the broker is away", "error", e)
				}
				continue
			}
			t.log.Warn("kafka consumer", "error", e)
		case nil:
			// No news: of an idle topic, or of a broker that is still away?
			if t.away.Load() && time.Since(asked) > 500*time.Millisecond {
				if topic := ordersTopic; t.ping(&topic) == nil {
					t.back()
				}
				asked = time.Now()
			}
		}
	}
}

func (t *tail) ping(topic *string) error {
	_, err := t.consumer.GetMetadata(topic, false, 500)
	return err
}

// back notes that the broker answers again.
func (t *tail) back() {
	if t.away.Load() && t.away.Swap(false) {
		t.log.Info("the broker is back")
	}
}

func (t *tail) take(m *kafka.Message) {
	if m.TopicPartition.Error != nil {
		t.log.Warn("kafka consumer", "error", m.TopicPartition.Error)
		return
	}
	var id []byte
	for _, h := range m.Headers {
		if h.Key == requestIDHeader {
			id = h.Value
		}
	}
	if *m.TopicPartition.Topic == outcomesTopic {
		t.requests.resolve(id, func() (outcome, error) { return decodeOutcome(m.Value) })
		return
	}
	if len(m.Value) == 0 {
		return // a tombstone: nobody writes one
	}
	r := &record{partition: m.TopicPartition.Partition, offset: int64(m.TopicPartition.Offset),
		id: string(m.Key), value: m.Value, time: m.Timestamp}
	// First there for a GET, then told to the one who posted.
	before := t.recent.add(r)
	if id != nil {
		t.requests.resolve(id, func() (outcome, error) { return outcome{created, r.value}, nil })
	} else if before != nil {
		t.decided(time.Since(before.time))
	}
}

// close ends the goroutine and the consumer.
func (t *tail) close() error {
	close(t.stop)
	<-t.stopped
	if err := t.consumer.Close(); err != nil {
		return fmt.Errorf("kafka consumer: %w", err)
	}
	return nil
}

// replay reads the committed records of `orders` from the offsets of `from` on
// to those of `to` (by partition), and hands them over as they come. It ends
// early when stopped is closed, or with the error of fn.
func replay(k kafkaAt, from, to map[int32]int64, stopped <-chan struct{}, fn func(*record) error) error {
	cfg := k.consumer()
	cfg["enable.partition.eof"] = true
	cfg["auto.offset.reset"] = "earliest" // what is gone by retention is passed by
	cfg["go.logs.channel.enable"] = false
	cfg["log_level"] = 0
	c, err := kafka.NewConsumer(&cfg)
	if err != nil {
		return fmt.Errorf("kafka consumer: %w", err)
	}
	defer c.Close()
	topic := ordersTopic
	var at []kafka.TopicPartition
	left := map[int32]bool{}
	for p, offset := range from {
		if offset < to[p] {
			at = append(at, kafka.TopicPartition{Topic: &topic, Partition: p, Offset: kafka.Offset(offset)})
			left[p] = true
		}
	}
	if err := c.Assign(at); err != nil {
		return fmt.Errorf("kafka consumer: %w", err)
	}
	for len(left) > 0 {
		select {
		case <-stopped:
			return errors.New("stopped")
		default:
		}
		switch e := c.Poll(100).(type) {
		case *kafka.Message:
			p, offset := e.TopicPartition.Partition, int64(e.TopicPartition.Offset)
			if offset+1 >= to[p] {
				delete(left, p)
			}
			if offset < to[p] && len(e.Value) > 0 {
				if err := fn(&record{partition: p, offset: offset, id: string(e.Key), value: e.Value, time: e.Timestamp}); err != nil {
					return err
				}
			}
		case kafka.PartitionEOF:
			if int64(e.Offset) >= to[e.Partition] {
				delete(left, e.Partition)
			}
		}
	}
	return nil
}
