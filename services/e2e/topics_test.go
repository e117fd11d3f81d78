package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"
)

// record is a record with its value's fields by upper-case name, as SQL and
// programs write them in different case.
type record struct {
	*kgo.Record
	fields map[string]any
}

func (r record) str(name string) string { return fmt.Sprint(r.fields[name]) }

// read gives all committed records of a topic, partition by partition.
func (s *stack) read(topic string) []record {
	s.t.Helper()
	out, err := s.tryRead(topic)
	require.NoError(s.t, err)
	return out
}

func (s *stack) tryRead(topic string) ([]record, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	ends, err := s.admin.ListCommittedOffsets(ctx, topic)
	if err != nil {
		return nil, err
	}
	starts, err := s.admin.ListStartOffsets(ctx, topic)
	if err != nil {
		return nil, err
	}
	offsets := map[int32]kgo.Offset{}
	open := map[int32]int64{}
	for p, end := range ends[topic] {
		if start := starts[topic][p].Offset; start < end.Offset {
			offsets[p] = kgo.NewOffset().At(start)
			open[p] = end.Offset
		}
	}
	if len(open) == 0 {
		return nil, nil
	}
	// KeepControlRecords: the last offset is often a transaction's marker.
	c, err := kgo.NewClient(kgo.SeedBrokers(s.kafka), kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.KeepControlRecords(),
		kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: offsets}))
	if err != nil {
		return nil, err
	}
	defer c.Close()
	var out []record
	for len(open) > 0 {
		fetches := c.PollFetches(ctx)
		if err := fetches.Err0(); err != nil {
			return nil, fmt.Errorf("topic %s: %w", topic, err)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			if !r.Attrs.IsControl() {
				out = append(out, record{r, fields(r.Value)})
			}
			if end, ok := open[r.Partition]; ok && r.Offset+1 >= end {
				delete(open, r.Partition)
			}
		})
	}
	return out, nil
}

func fields(value []byte) map[string]any {
	if value == nil {
		return nil
	}
	d := json.NewDecoder(strings.NewReader(string(value)))
	d.UseNumber()
	var raw map[string]any
	if d.Decode(&raw) != nil {
		return nil
	}
	out := make(map[string]any, len(raw))
	for k, v := range raw {
		out[strings.ToUpper(k)] = v
	}
	return out
}

// await reads a topic until it holds n records, and fails when it holds more.
func (s *stack) await(topic string, n int) []record {
	s.t.Helper()
	var got []record
	s.eventually(30*time.Second, fmt.Sprintf("%s has %d records", topic, n), func() error {
		var err error
		if got, err = s.tryRead(topic); err == nil && len(got) < n {
			err = fmt.Errorf("it has %d", len(got))
		}
		return err
	})
	require.Len(s.t, got, n, "records of %s", topic)
	return got
}

// byKey gives the last value of a field for each key.
func byKey(records []record, field string) map[string]string {
	out := map[string]string{}
	for _, r := range records {
		out[string(r.Key)] = r.str(field)
	}
	return out
}

// produce writes a record as the topic's owner would.
func (s *stack) produce(topic, key string, value any) {
	s.t.Helper()
	s.produceAt(topic, key, value, time.Time{})
}

func (s *stack) produceAt(topic, key string, value any, at time.Time) {
	s.t.Helper()
	b, ok := value.([]byte)
	if !ok {
		var err error
		b, err = json.Marshal(value)
		require.NoError(s.t, err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	require.NoError(s.t, s.client.ProduceSync(ctx, &kgo.Record{Topic: topic, Key: []byte(key), Value: b, Timestamp: at}).FirstErr())
}

type fieldsOf map[string]any

// created writes a CREATED order to `orders`, for parts of the flow that run
// without the orders service.
func (s *stack) created(id string, customer int, product string, quantity int, price string) {
	s.t.Helper()
	s.produce("orders", id, orderFields(id, customer, "CREATED", product, quantity, price))
}

func orderFields(id string, customer int, state, product string, quantity int, price string) fieldsOf {
	return fieldsOf{"id": id, "customerId": customer, "state": state, "product": product, "quantity": quantity,
		"price": json.Number(price), "reasons": []string{}, "version": 1}
}

// answer writes a validation as its validator would.
func (s *stack) answer(check, id, result, reason string) {
	s.t.Helper()
	topic := map[string]string{"FRAUD_CHECK": "fraud-validations", "INVENTORY_CHECK": "inventory-validations", "ORDER_DETAILS_CHECK": "details-validations"}[check]
	s.produce(topic, id, fieldsOf{"orderId": id, "checkType": check, "validationResult": result, "reason": reason})
}

// stock sets what the warehouse has of a product, and waits until inventory
// knows: it comes on another topic than orders do.
func (s *stack) stock(product string, n int) {
	s.t.Helper()
	s.produce("warehouse-inventory", product, fieldsOf{"product": product, "stock": n})
	s.caughtUp("inventory", "warehouse-inventory")
}

// caughtUp waits until a program has committed all records that a topic holds.
func (s *stack) caughtUp(group, topic string) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	s.eventually(30*time.Second, group+" has read "+topic, func() error {
		records, err := s.tryRead(topic)
		if err != nil {
			return err
		}
		at, err := s.admin.FetchOffsets(ctx, group)
		if err != nil {
			return err
		}
		for _, r := range records {
			if have, ok := at.Lookup(topic, r.Partition); !ok || have.At <= r.Offset {
				return fmt.Errorf("partition %d: at %d, record %d is there", r.Partition, have.At, r.Offset)
			}
		}
		return nil
	})
}
