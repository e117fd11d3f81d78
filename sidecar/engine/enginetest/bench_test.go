package enginetest_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sidestream/sidestream/sidecar/engine/enginetest"
	"github.com/sidestream/sidestream/sidecar/engine/exec"
	"github.com/sidestream/sidestream/sidecar/engine/function"
	"github.com/sidestream/sidestream/sidecar/engine/plan"
	"github.com/sidestream/sidestream/sidecar/engine/state"
)

// pipeline runs a query's tasks on one partition, topics between them included,
// without keeping what comes out.
type pipeline struct {
	reads map[string]func(in *exec.Input) error
	out   int
}

func newPipeline(b *testing.B, sql ...string) *pipeline {
	s := enginetest.NewSession(nil, nil)
	for _, st := range sql {
		require.NoError(b, s.Apply(st))
	}
	q := s.Queries[len(s.Queries)-1].Plan()
	p := &pipeline{reads: map[string]func(in *exec.Input) error{}}
	inside := map[string]func(in *exec.Input) error{}
	for _, sub := range plan.Split(q) {
		task, err := exec.Build(sub, exec.Env{
			Functions: function.Builtin(),
			Store:     func(*plan.Store) state.Store { return state.NewMemory() },
			Emit: func(o *exec.Output) error {
				if !o.Internal {
					p.out++
					return nil
				}
				return inside[o.Topic](&exec.Input{Key: o.Key, Value: o.Value, Time: o.Time, Headers: o.Headers})
			},
		})
		require.NoError(b, err)
		for i, r := range sub.Reads {
			process := func(in *exec.Input) error { return task.Process(i, in) }
			switch r := r.(type) {
			case *plan.Source:
				p.reads[r.Topic] = process
			case *plan.Repartition:
				inside[r.Topic] = process
			}
		}
	}
	return p
}

const benchOrders = `CREATE STREAM orders (id STRING KEY, customerId BIGINT, state STRING, product STRING, quantity INT, price DECIMAL(12,2), note STRING, street STRING, town STRING, channel STRING) WITH (KAFKA_TOPIC='orders', VALUE_FORMAT='JSON');
CREATE TABLE customers (id BIGINT PRIMARY KEY, name STRING, level STRING) WITH (KAFKA_TOPIC='customers', VALUE_FORMAT='JSON');`

// orderRecords are JSON orders of about 236 bytes, a minute apart.
func orderRecords(n int) []exec.Input {
	out := make([]exec.Input, n)
	for i := range out {
		out[i] = exec.Input{
			Key: []byte(fmt.Sprintf("order-%07d", i)), Time: 1_700_000_000_000 + int64(i)*100, Offset: int64(i),
			Value: []byte(fmt.Sprintf(`{"customerId":%d,"state":"%s","product":"UNDERPANTS","quantity":%d,"price":%d.50,"note":"please leave it at the door","street":"1 Long Street Name","town":"Some Town","channel":"web","extra":"not a column"}`,
				i%1000, [...]string{"CREATED", "VALIDATED", "FAILED"}[i%3], i%9+1, i%500)),
		}
	}
	return out
}

func (p *pipeline) run(b *testing.B, topic string, records []exec.Input) {
	process := p.reads[topic]
	b.ReportAllocs()
	b.ResetTimer()
	for i := 0; i < b.N; i++ {
		in := records[i%len(records)]
		if err := process(&in); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "records/s")
}

func BenchmarkFilter(b *testing.B) {
	p := newPipeline(b, benchOrders, "CREATE STREAM o AS SELECT id, customerId, product, quantity * price AS total FROM orders WHERE state = 'CREATED';")
	p.run(b, "orders", orderRecords(100_000))
}

func BenchmarkCopy(b *testing.B) {
	p := newPipeline(b, benchOrders, "CREATE STREAM o AS SELECT * FROM orders;")
	p.run(b, "orders", orderRecords(100_000))
}

// BenchmarkJoinAggregate: each order finds its customer and is counted by level
// and hour.
func BenchmarkJoinAggregate(b *testing.B) {
	p := newPipeline(b, benchOrders, "CREATE TABLE o AS SELECT c.level, COUNT(*) AS n, SUM(o.quantity * o.price) AS total FROM orders o JOIN customers c ON o.customerId = c.id WINDOW TUMBLING (SIZE 1 HOUR, GRACE PERIOD 10 MINUTES) GROUP BY c.level;")
	for i := range 1000 {
		key := []byte{0, 0, 0, 0, 0, 0, byte(i >> 8), byte(i)}
		value := fmt.Sprintf(`{"name":"Customer %d","level":"%s"}`, i, [...]string{"gold", "silver", "bronze", "platinum"}[i%4])
		require.NoError(b, p.reads["customers"](&exec.Input{Key: key, Value: []byte(value), Time: 1}))
	}
	p.run(b, "orders", orderRecords(100_000))
}
