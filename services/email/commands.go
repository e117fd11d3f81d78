package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"time"

	"github.com/confluentinc/confluent-kafka-go/v2/kafka"
)

// commands writes operators' decisions, keyed by order, for the replica that has
// the mail. A decision that is written twice is taken once.
type commands struct {
	producer *kafka.Producer
	done     chan struct{}
}

func newCommands(brokers string, extra map[string]string, log *slog.Logger) (*commands, error) {
	logs := make(chan kafka.LogEvent, 100)
	cfg := kafka.ConfigMap{
		"bootstrap.servers":        brokers,
		"client.id":                "email-commands",
		"acks":                     "all",
		"partitioner":              "murmur2_random", // as Kafka's own and ksqlDB's clients
		"message.timeout.ms":       int(answerTime.Milliseconds()),
		"linger.ms":                0,
		"enable.metrics.push":      false,
		"reconnect.backoff.ms":     50,
		"reconnect.backoff.max.ms": 500,
		"go.logs.channel.enable":   true,
		"go.logs.channel":          logs,
	}
	for name, value := range extra {
		cfg[name] = value
	}
	p, err := kafka.NewProducer(&cfg)
	if err != nil {
		return nil, fmt.Errorf("kafka client: %w", err)
	}
	c := &commands{producer: p, done: make(chan struct{})}
	go func() { // until the producer closes
		defer close(c.done)
		for e := range p.Events() {
			log.Debug("kafka client", "client", "email-commands", "event", e)
		}
	}()
	go func() {
		for {
			select {
			case e := <-logs:
				log.Debug("kafka client: "+e.Message, "client", e.Name, "tag", e.Tag)
			case <-c.done:
				return
			}
		}
	}()
	return c, nil
}

// send writes a decision and waits until the broker has it.
func (c *commands) send(ctx context.Context, orderID string, cmd command) error {
	value, err := json.Marshal(cmd)
	if err != nil {
		return err
	}
	topic, report := commandsTopic, make(chan kafka.Event, 1)
	err = c.producer.Produce(&kafka.Message{
		TopicPartition: kafka.TopicPartition{Topic: &topic, Partition: kafka.PartitionAny},
		Key:            []byte(orderID), Value: value, Timestamp: time.Now(),
	}, report)
	if err != nil {
		return err
	}
	select {
	case e := <-report:
		if m, ok := e.(*kafka.Message); ok {
			return m.TopicPartition.Error
		}
		return fmt.Errorf("unexpected %v", e)
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (c *commands) close() {
	c.producer.Close()
	<-c.done
}
