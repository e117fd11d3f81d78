package feed

import (
	"context"
	"encoding/binary"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/sidestream/sidestream/sidecar/kafkaenv"
)

// Topic writes rows of a kind to the topic of their owner.
type Topic struct {
	kind Kind
	name string
	cl   *kgo.Client

	mu  sync.Mutex
	bad func(RowError)
}

// topics are the owners' topics. Orders have none here: the orders API owns
// theirs.
var topics = map[Kind]string{Customers: "customers", Stock: "warehouse-inventory", Products: "products", Payments: "payments"}

// OpenTopic connects to the brokers. Rows that the broker doesn't take go to bad.
func OpenTopic(ctx context.Context, brokers []string, kind Kind, bad func(RowError)) (*Topic, error) {
	name := topics[kind]
	closed, err := kafkaenv.Options()
	if err != nil {
		return nil, err
	}
	cl, err := kgo.NewClient(append(closed, kgo.SeedBrokers(brokers...), kgo.DefaultProduceTopic(name), kgo.UnknownTopicRetries(1))...)
	if err != nil {
		return nil, fmt.Errorf("brokers %s: %w", strings.Join(brokers, ","), err)
	}
	ping, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	if err := cl.Ping(ping); err != nil {
		cl.Close()
		return nil, fmt.Errorf("no Kafka broker answers at %s: %w", strings.Join(brokers, ","), err)
	}
	return &Topic{kind: kind, name: name, cl: cl, bad: bad}, nil
}

// Put writes a row; done is called when the broker has it or has refused it.
func (t *Topic) Put(ctx context.Context, row Row, done func()) {
	r := &kgo.Record{Value: row.JSON(t.kind)}
	switch t.kind {
	case Customers: // BIGINT in KAFKA format
		r.Key = binary.BigEndian.AppendUint64(nil, uint64(row.Int("id")))
	case Stock, Products:
		r.Key = []byte(row.Text("product"))
	case Payments:
		r.Key = []byte(row.Text("id"))
	}
	t.cl.Produce(ctx, r, func(_ *kgo.Record, err error) {
		if err != nil {
			t.mu.Lock()
			t.bad(RowError{row.Line, fmt.Sprintf("topic %s: %v", t.name, err)})
			t.mu.Unlock()
		}
		done()
	})
}

// Close waits for what was put.
func (t *Topic) Close(ctx context.Context) error {
	err := t.cl.Flush(ctx)
	t.cl.Close()
	return err
}
