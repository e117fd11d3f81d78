package enginetest_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sidestream/sidestream/sidecar/engine/driver"
	"github.com/sidestream/sidestream/sidecar/engine/enginetest"
)

// TestRestartsChangeNothing runs queries with state twice, once with the tasks
// built anew at random places, and compares all that they write.
func TestRestartsChangeNothing(t *testing.T) {
	const sources = `CREATE STREAM orders (id STRING KEY, customer STRING, amount INT) WITH (KAFKA_TOPIC='orders', VALUE_FORMAT='JSON', PARTITIONS=3);
		CREATE TABLE customers (id STRING PRIMARY KEY, level STRING) WITH (KAFKA_TOPIC='customers', VALUE_FORMAT='JSON', PARTITIONS=3);`
	for name, sql := range map[string]string{
		"self join":      "CREATE STREAM o AS SELECT a.customer, a.amount AS x, b.amount AS y FROM orders a JOIN orders b WITHIN 20 MILLISECONDS GRACE PERIOD 1000 SECONDS ON a.customer = b.customer;",
		"left join":      "CREATE STREAM o AS SELECT a.customer, a.amount AS x, b.amount AS y FROM orders a LEFT JOIN orders b WITHIN (0 MILLISECONDS, 5 MILLISECONDS) GRACE PERIOD 1 MILLISECOND ON a.customer = b.customer;",
		"table join":     "CREATE STREAM o AS SELECT a.customer, a.amount AS x, c.level FROM orders a LEFT JOIN customers c ON a.customer = c.id;",
		"aggregate":      "CREATE TABLE o AS SELECT customer, COUNT(*) AS n, SUM(amount) AS s FROM orders GROUP BY customer HAVING COUNT(*) > 3;",
		"windows":        "CREATE TABLE o AS SELECT customer, COUNT(*) AS n FROM orders WINDOW TUMBLING (SIZE 50 MILLISECONDS, GRACE PERIOD 20 MILLISECONDS) GROUP BY customer;",
		"sessions":       "CREATE TABLE o AS SELECT customer, COUNT(*) AS n FROM orders WINDOW SESSION (30 MILLISECONDS, GRACE PERIOD 20 MILLISECONDS) GROUP BY customer;",
		"table groups":   "CREATE TABLE o AS SELECT level, COUNT(*) AS n FROM customers GROUP BY level;",
		"filtered table": "CREATE TABLE o AS SELECT id, level FROM customers WHERE level <> 'l2';",
	} {
		t.Run(name, func(t *testing.T) {
			run := func(restarts bool) []driver.Record {
				s := enginetest.NewSession(nil, nil)
				require.NoError(t, s.Apply(sources+sql))
				rnd, other := rand.New(rand.NewPCG(1, 2)), rand.New(rand.NewPCG(3, 4))
				for i := range 1500 {
					customer := fmt.Sprintf("c%d", rnd.IntN(17))
					ms := int64(1000 + i + rnd.IntN(30) - 15)
					require.NoError(t, s.Driver.Pipe("orders", driver.Record{Partition: -1, Time: ms, Key: []byte(fmt.Sprint(i)),
						Value: []byte(fmt.Sprintf(`{"customer":%q,"amount":%d}`, customer, i))}))
					if rnd.IntN(5) == 0 {
						var value []byte
						if n := rnd.IntN(5); n > 0 {
							value = []byte(fmt.Sprintf(`{"level":"l%d"}`, n))
						}
						require.NoError(t, s.Driver.Pipe("customers", driver.Record{Partition: -1, Time: ms, Key: []byte(customer), Value: value}))
					}
					if restarts && other.IntN(20) == 0 {
						require.NoError(t, s.Queries[0].Restart())
					}
				}
				return s.Driver.Read("O")
			}
			want := run(false)
			require.NotEmpty(t, want)
			require.Equal(t, want, run(true))
		})
	}
}
