package main

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/confluentinc/confluent-kafka-go/v2/kafka"
)

// writer puts records on topics and waits until the broker has them.
type writer struct {
	producer *kafka.Producer
}

func newWriter(brokers string, extra map[string]string, log *slog.Logger) (*writer, error) {
	m := kafka.ConfigMap{
		"bootstrap.servers":        brokers,
		"client.id":                "shop",
		"enable.idempotence":       true,
		"enable.metrics.push":      false,
		"linger.ms":                0,
		"message.timeout.ms":       5000,
		"partitioner":              "murmur2_random", // as Kafka's own and ksqlDB's clients
		"reconnect.backoff.ms":     50,
		"reconnect.backoff.max.ms": 500,
		"log.connection.close":     false,
	}
	for k, v := range extra {
		m[k] = v
	}
	p, err := kafka.NewProducer(&m)
	if err != nil {
		return nil, fmt.Errorf("the Kafka client refuses its configuration: %w", err)
	}
	go func() { // ends when the producer closes
		for e := range p.Events() {
			if err, ok := e.(kafka.Error); ok {
				log.Debug("kafka producer", "error", err)
			}
		}
	}()
	return &writer{producer: p}, nil
}

// put writes a record; a nil value is a tombstone.
func (w *writer) put(ctx context.Context, topic, key string, value []byte) error {
	done := make(chan kafka.Event, 1)
	err := w.producer.Produce(&kafka.Message{
		TopicPartition: kafka.TopicPartition{Topic: &topic, Partition: kafka.PartitionAny},
		Key:            []byte(key), Value: value,
	}, done)
	if err != nil {
		return err
	}
	select {
	case e := <-done:
		return e.(*kafka.Message).TopicPartition.Error
	case <-ctx.Done():
		return ctx.Err()
	}
}

// ping asks the broker for something small.
func (w *writer) ping(within time.Duration) error {
	_, err := w.producer.GetMetadata(&kinds[0].topic, false, int(within.Milliseconds()))
	return err
}

func (w *writer) close() { w.producer.Close() }
