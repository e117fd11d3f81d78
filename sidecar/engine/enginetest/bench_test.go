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
CREATE STREAM payments (id STRING KEY, amount DECIMAL(12,2)) WITH (KAFKA_TOPIC='payments', VALUE_FORMAT='JSON');
CREATE TABLE customers (id BIGINT PRIMARY KEY, name STRING, level STRING) WITH (KAFKA_TOPIC='customers', VALUE_FORMAT='JSON');
CREATE TABLE credits (id BIGINT PRIMARY KEY, credit DECIMAL(12,2)) WITH (KAFKA_TOPIC='credits', VALUE_FORMAT='JSON');
CREATE TABLE latest (id STRING PRIMARY KEY, customerId BIGINT, quantity INT) WITH (KAFKA_TOPIC='latest', VALUE_FORMAT='JSON');`

// orderRecords are JSON orders of about 236 bytes, a tenth of a second apart.
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

// paymentRecords are payments of the orders, at their times.
func paymentRecords(n int) []exec.Input {
	out := orderRecords(n)
	for i := range out {
		out[i].Value = []byte(fmt.Sprintf(`{"amount":%d.50}`, i%500))
	}
	return out
}

// customerRecords are changes of a thousand customers.
func customerRecords(n int, value func(i int) string) []exec.Input {
	out := make([]exec.Input, n)
	for i := range out {
		out[i] = exec.Input{Key: []byte{0, 0, 0, 0, 0, 0, byte(i % 1000 >> 8), byte(i % 1000)}, Value: []byte(value(i)),
			Time: 1_700_000_000_000 + int64(i), Offset: int64(i)}
	}
	return out
}

func level(i int) string {
	return fmt.Sprintf(`{"name":"Customer %d","level":"%s"}`, i, [...]string{"gold", "silver", "bronze", "platinum"}[i/7%4])
}

func credit(i int) string { return fmt.Sprintf(`{"credit":%d.00}`, i) }

// load gives the pipeline records that the benchmark doesn't count.
func (p *pipeline) load(b *testing.B, topic string, records []exec.Input) {
	for i := range records {
		require.NoError(b, p.reads[topic](&records[i]))
	}
}

// fed are the records of a topic.
type fed struct {
	topic   string
	records []exec.Input
}

// run takes records of each topic in turn, one an iteration.
func (p *pipeline) run(b *testing.B, from ...fed) {
	b.ReportAllocs()
	b.ResetTimer()
	for i := 0; i < b.N; i++ {
		f := &from[i%len(from)]
		in := f.records[i/len(from)%len(f.records)]
		if err := p.reads[f.topic](&in); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "records/s")
}

// BenchmarkOperator takes records through queries that are made of one operator
// each, from bytes to bytes.
func BenchmarkOperator(b *testing.B) {
	orders := func(n int) fed { return fed{"orders", orderRecords(n)} }
	customers := func(n int) fed { return fed{"customers", customerRecords(n, level)} }
	for _, bench := range []struct {
		name, sql string
		load      []fed
		run       []fed
	}{
		{"copy", "CREATE STREAM o AS SELECT * FROM orders;", nil, []fed{orders(100_000)}},
		{"filter", "CREATE STREAM o AS SELECT * FROM orders WHERE state = 'CREATED';", nil, []fed{orders(100_000)}},
		{"project", "CREATE STREAM o AS SELECT id, quantity * price AS total FROM orders;", nil, []fed{orders(100_000)}},
		{"explode", "CREATE STREAM o AS SELECT id, EXPLODE(ARRAY[product, town, channel]) AS word FROM orders;", nil, []fed{orders(100_000)}},
		{"partition by", "CREATE STREAM o AS SELECT product, quantity FROM orders PARTITION BY product;", nil, []fed{orders(100_000)}},
		{"aggregate", "CREATE TABLE o AS SELECT customerId, COUNT(*) AS n, SUM(quantity * price) AS total FROM orders GROUP BY customerId;", nil, []fed{orders(100_000)}},
		{"tumbling window", "CREATE TABLE o AS SELECT customerId, COUNT(*) AS n FROM orders WINDOW TUMBLING (SIZE 1 HOUR, GRACE PERIOD 10 MINUTES) GROUP BY customerId;", nil, []fed{orders(100_000)}},
		{"hopping window", "CREATE TABLE o AS SELECT customerId, COUNT(*) AS n FROM orders WINDOW HOPPING (SIZE 1 HOUR, ADVANCE BY 15 MINUTES, GRACE PERIOD 10 MINUTES) GROUP BY customerId;", nil, []fed{orders(100_000)}},
		{"session window", "CREATE TABLE o AS SELECT customerId, COUNT(*) AS n FROM orders WINDOW SESSION (5 MINUTES, GRACE PERIOD 10 MINUTES) GROUP BY customerId;", nil, []fed{orders(100_000)}},
		{"emit final", "CREATE TABLE o AS SELECT customerId, COUNT(*) AS n FROM orders WINDOW TUMBLING (SIZE 1 MINUTE, GRACE PERIOD 10 SECONDS) GROUP BY customerId EMIT FINAL;", nil, []fed{orders(100_000)}},
		{"table filter", "CREATE TABLE o AS SELECT id, name FROM customers WHERE level = 'gold';", nil, []fed{customers(100_000)}},
		{"table aggregate", "CREATE TABLE o AS SELECT level, COUNT(*) AS n FROM customers GROUP BY level;", nil, []fed{customers(100_000)}},
		{"stream-stream join", "CREATE STREAM o AS SELECT o.id, o.quantity, p.amount FROM orders o JOIN payments p WITHIN 1 MINUTE GRACE PERIOD 1 MINUTE ON o.id = p.id;", nil, []fed{orders(100_000), {"payments", paymentRecords(100_000)}}},
		{"stream-stream left join", "CREATE STREAM o AS SELECT o.id, o.quantity, p.amount FROM orders o LEFT JOIN payments p WITHIN 1 MINUTE GRACE PERIOD 1 MINUTE ON o.id = p.id;", nil, []fed{orders(100_000), {"payments", paymentRecords(100_000)}}},
		{"stream-table join", "CREATE STREAM o AS SELECT o.customerId, o.id, c.level FROM orders o JOIN customers c ON o.customerId = c.id;", []fed{customers(1000)}, []fed{orders(100_000)}},
		{"table-table join", "CREATE TABLE o AS SELECT c.id, c.level, k.credit FROM customers c JOIN credits k ON c.id = k.id;", []fed{customers(1000)}, []fed{{"credits", customerRecords(100_000, credit)}}},
		{"foreign-key join", "CREATE TABLE o AS SELECT l.id, l.quantity, c.level FROM latest l JOIN customers c ON l.customerId = c.id;", []fed{customers(1000)}, []fed{{"latest", orderRecords(10_000)}}},
		// Each order finds its customer and is counted by level and hour.
		{"join and aggregate", "CREATE TABLE o AS SELECT c.level, COUNT(*) AS n, SUM(o.quantity * o.price) AS total FROM orders o JOIN customers c ON o.customerId = c.id WINDOW TUMBLING (SIZE 1 HOUR, GRACE PERIOD 10 MINUTES) GROUP BY c.level;", []fed{customers(1000)}, []fed{orders(100_000)}},
	} {
		b.Run(bench.name, func(b *testing.B) {
			p := newPipeline(b, benchOrders, bench.sql)
			for _, f := range bench.load {
				p.load(b, f.topic, f.records)
			}
			p.run(b, bench.run...)
			if b.N > 10_000 && p.out == 0 {
				b.Fatal("nothing came out")
			}
		})
	}
}
