package main

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/confluentinc/confluent-kafka-go/v2/kafka"
)

// Topics of the service.
const (
	ordersTopic      = "orders"            // written by lifecycle.go alone
	requestsTopic    = "order-requests"    // written by requests.go, and by lifecycle.go for aliases
	outcomesTopic    = "order-outcomes"    // written by lifecycle.go
	stateTopic       = "orders-state"      // changelog of lifecycle.go
	validationsTopic = "order-validations" // read
	verdictsTopic    = "order-verdicts"    // read
	shipmentsTopic   = "shipments"         // read; shipping's
)

// kafkaAt says how to reach Kafka.
type kafkaAt struct {
	brokers string            // host:port, divided by commas
	extra   map[string]string // more settings of the client, for TLS and SASL
}

// client is the configuration that all of the service's own Kafka clients share.
func (k kafkaAt) client() kafka.ConfigMap {
	cfg := kafka.ConfigMap{
		"bootstrap.servers":        k.brokers,
		"client.id":                "orders",
		"enable.metrics.push":      false, // no broker of ours asks for it, and it logs
		"reconnect.backoff.ms":     50,
		"reconnect.backoff.max.ms": 500,
		"socket.keepalive.enable":  true,
		"go.logs.channel.enable":   true,
	}
	for name, value := range k.extra {
		cfg[name] = value
	}
	return cfg
}

// consumer reads what is committed, as soon as it is there, without a group.
func (k kafkaAt) consumer() kafka.ConfigMap {
	cfg := k.client()
	for k, v := range map[string]any{
		"group.id":                 "orders-unused", // the client wants one; nothing is committed and no group joined
		"enable.auto.commit":       false,
		"enable.auto.offset.store": false,
		"auto.offset.reset":        "latest",
		"isolation.level":          "read_committed",
		"fetch.min.bytes":          1,
		"fetch.wait.max.ms":        500,
		"fetch.queue.backoff.ms":   5,
		"fetch.error.backoff.ms":   50,
	} {
		cfg[k] = v
	}
	return cfg
}

// forwardLogs passes on the client's log until the client closes it.
func forwardLogs(logs chan kafka.LogEvent, log *slog.Logger) {
	go func() {
		for e := range logs {
			level := slog.LevelDebug
			if e.Level <= 4 { // syslog's warning and worse
				level = slog.LevelWarn
			}
			log.Log(context.Background(), level, "kafka client: "+e.Message, "client", e.Name, "tag", e.Tag)
		}
	}()
}

// checkTopics asks the broker, for at most the given time, whether it has all
// topics of the service, with one number of partitions.
func (k kafkaAt) checkTopics(within time.Duration) error {
	cfg := k.client()
	delete(cfg, "go.logs.channel.enable") // an admin client has none
	cfg["log_level"] = 0                  // its failure is told by the error below
	admin, err := kafka.NewAdminClient(&cfg)
	if err != nil {
		return fmt.Errorf("kafka client: %w", err)
	}
	defer admin.Close()
	md, err := admin.GetMetadata(nil, true, int(within.Milliseconds()))
	if err != nil {
		return fmt.Errorf("no Kafka broker at %s within %v (KAFKA_BOOTSTRAP_SERVERS): %w", k.brokers, within, err)
	}
	wanted := []string{ordersTopic, requestsTopic, outcomesTopic, stateTopic, validationsTopic, verdictsTopic, shipmentsTopic}
	var missing []string
	for _, t := range wanted {
		if len(md.Topics[t].Partitions) == 0 {
			missing = append(missing, t)
		}
	}
	if len(missing) > 0 {
		return fmt.Errorf("the broker at %s has no topic %s: make the topics of ksql/topics.yaml first", k.brokers, strings.Join(missing, ", "))
	}
	partitions := len(md.Topics[ordersTopic].Partitions)
	for _, t := range slices.Concat(wanted[1:2], wanted[3:]) {
		if n := len(md.Topics[t].Partitions); n != partitions {
			return fmt.Errorf("topic %s has %d partitions and %s has %d: an order must be in the same partition of both, so give them the same number",
				t, n, ordersTopic, partitions)
		}
	}
	return nil
}
