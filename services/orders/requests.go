package main

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/confluentinc/confluent-kafka-go/v2/kafka"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/sidestream/sidestream/services/internal/order"
)

// Headers of records of `order-requests`, `order-outcomes` and `orders`.
const (
	requestIDHeader = "request-id" // 16 bytes: the replica's life, and a number
	aliasHeader     = "alias"      // the key is the Idempotency-Key's id, not the order's
)

// outcome is what became of a request.
type outcome struct {
	kind  string
	order []byte // JSON
}

// Kinds of outcomes. All but created are records of `order-outcomes`; created
// is the order's first record in `orders` itself.
const (
	created     = "created"
	same        = "same"         // the order was there already, with the same content
	conflict    = "conflict"     // the id was there already, with other content
	keyConflict = "key-conflict" // the Idempotency-Key stands for another content
)

// encode writes a record value of `order-outcomes`.
func (o outcome) encode() []byte {
	b := append([]byte(`{"outcome":"`), o.kind...)
	b = append(b, `","order":`...)
	return append(append(b, o.order...), '}')
}

func decodeOutcome(b []byte) (outcome, error) {
	var o outcome
	err := order.Fields(b, func(name string, kind jsontext.Kind, raw jsontext.Value) error {
		var err error
		switch name {
		case "outcome":
			o.kind, err = order.Text(kind, raw)
		case "order":
			o.order = append([]byte(nil), raw...)
		}
		return err
	})
	return o, err
}

type requestID [16]byte

// requests sends orders to the one who decides (lifecycle.go, on whichever
// replica has the partition) and matches the outcomes, which the tail brings.
//
// The producer isn't idempotent on purpose: a request that is there twice does
// nothing the second time, and a client that is never in a fatal state is one
// less thing to restart.
type requests struct {
	producer *kafka.Producer
	topic    string
	life     [8]byte
	number   atomic.Uint64
	log      *slog.Logger

	mu      sync.Mutex
	pending map[requestID]*pending

	drained chan struct{} // closed when the events goroutine has ended
}

type pending struct {
	done chan outcome // holds one
	lost chan error   // holds one: the broker didn't take the request
}

func newRequests(at kafkaAt, topic string, timeout time.Duration, log *slog.Logger) (*requests, error) {
	cfg := at.client()
	for k, v := range map[string]any{
		"acks": "all", "enable.idempotence": false,
		"message.timeout.ms": int(timeout.Milliseconds()),
		"linger.ms":          0,
		// As Kafka's own clients and the SQL engine do it.
		"partitioner":                  "murmur2_random",
		"queue.buffering.max.messages": 100_000,
		"go.batch.producer":            false,
	} {
		cfg[k] = v
	}
	p, err := kafka.NewProducer(&cfg)
	if err != nil {
		return nil, fmt.Errorf("kafka producer: %w", err)
	}
	q := &requests{producer: p, topic: topic, log: log, pending: map[requestID]*pending{}, drained: make(chan struct{})}
	rand.Read(q.life[:])
	forwardLogs(p.Logs(), log)
	go q.events()
	return q, nil
}

// errUnknown says that it isn't known whether the request has come through.
var errUnknown = errors.New("no outcome in time")

// submit sends an order and waits for its outcome. With an alias (the id of an
// Idempotency-Key) the alias is looked at before the order's id. An error
// means that the outcome is unknown; sending the same again is safe.
func (q *requests) submit(ctx context.Context, o *order.Order, alias string) (outcome, error) {
	var id requestID
	copy(id[:8], q.life[:])
	binary.BigEndian.PutUint64(id[8:], q.number.Add(1))
	p := &pending{done: make(chan outcome, 1), lost: make(chan error, 1)}
	q.mu.Lock()
	q.pending[id] = p
	q.mu.Unlock()
	defer func() {
		q.mu.Lock()
		delete(q.pending, id)
		q.mu.Unlock()
	}()

	msg := &kafka.Message{
		TopicPartition: kafka.TopicPartition{Topic: &q.topic, Partition: kafka.PartitionAny},
		Key:            []byte(o.ID),
		Value:          o.Encode(),
		Headers:        []kafka.Header{{Key: requestIDHeader, Value: id[:]}},
		Opaque:         p,
	}
	if alias != "" {
		msg.Key = []byte(alias)
		msg.Headers = append(msg.Headers, kafka.Header{Key: aliasHeader, Value: []byte("1")})
	}
	if err := q.producer.Produce(msg, nil); err != nil {
		return outcome{}, fmt.Errorf("%w: the request couldn't be sent: %w", errUnknown, err)
	}
	select {
	case out := <-p.done:
		return out, nil
	case err := <-p.lost:
		return outcome{}, fmt.Errorf("%w: the broker didn't take the request: %w", errUnknown, err)
	case <-ctx.Done():
		return outcome{}, fmt.Errorf("%w: %w", errUnknown, context.Cause(ctx))
	}
}

// resolve hands the outcome to the request of this id, if it is one of this
// replica's and still waits.
func (q *requests) resolve(id []byte, out func() (outcome, error)) {
	if len(id) != len(requestID{}) || [8]byte(id[:8]) != q.life {
		return
	}
	q.mu.Lock()
	p := q.pending[requestID(id)]
	q.mu.Unlock()
	if p == nil {
		return
	}
	o, err := out()
	if err != nil {
		q.log.Error("a record of order-outcomes can't be read", "error", err)
		return
	}
	select {
	case p.done <- o:
	default: // a second outcome of one request: it had come through twice
	}
}

// events reads delivery reports until the producer is closed.
func (q *requests) events() {
	defer close(q.drained)
	for e := range q.producer.Events() {
		switch e := e.(type) {
		case *kafka.Message:
			if e.TopicPartition.Error == nil {
				continue
			}
			if p, ok := e.Opaque.(*pending); ok {
				select {
				case p.lost <- e.TopicPartition.Error:
				default:
				}
			}
		case kafka.Error:
			q.log.Warn("kafka producer", "error", e)
		}
	}
}

// ping asks the broker for the requests' topic.
func (q *requests) ping(timeout time.Duration) error {
	_, err := q.producer.GetMetadata(&q.topic, false, int(timeout.Milliseconds()))
	if err != nil {
		return fmt.Errorf("kafka: %w", err)
	}
	return nil
}

// close gives what was sent a moment to go out, and ends the goroutine.
func (q *requests) close() {
	q.producer.Flush(1000)
	q.producer.Close()
	<-q.drained
}
