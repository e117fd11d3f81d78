package engine_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/sidestream/sidestream/sidecar/engine"
	"github.com/sidestream/sidestream/sidecar/engine/types"
)

func cluster(t testing.TB) []string {
	t.Helper()
	c, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.DefaultNumPartitions(1), kfake.BrokerConfigs(map[string]string{"default.replication.factor": "1"}))
	require.NoError(t, err)
	t.Cleanup(c.Close)
	return c.ListenAddrs()
}

func config(brokers []string, dir string) engine.Config {
	return engine.Config{Brokers: brokers, StateDir: dir, ServiceID: "test_", Logger: slog.New(slog.NewTextHandler(io.Discard, nil)),
		Properties: map[string]string{"auto.offset.reset": "earliest"}}
}

func start(t testing.TB, c engine.Config) *engine.Engine {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 15*time.Second)
	defer cancel()
	e, err := engine.New(ctx, c)
	require.NoError(t, err)
	t.Cleanup(func() { e.Close() })
	return e
}

func execute(t testing.TB, e *engine.Engine, sql string) []engine.Entity {
	t.Helper()
	out, err := e.Execute(context.Background(), engine.Request{SQL: sql})
	require.NoError(t, err, sql)
	return out
}

func produce(t testing.TB, brokers []string, topic, key, value string) {
	t.Helper()
	cl, err := kgo.NewClient(kgo.SeedBrokers(brokers...))
	require.NoError(t, err)
	defer cl.Close()
	require.NoError(t, cl.ProduceSync(context.Background(), &kgo.Record{Topic: topic, Key: []byte(key), Value: []byte(value)}).FirstErr())
}

// pull is the rows of a pull query as text.
func pull(t testing.TB, e *engine.Engine, sql string) []string {
	t.Helper()
	rows, _, err := e.Query(context.Background(), engine.Request{SQL: sql})
	require.NoError(t, err, sql)
	var out []string
	_, err = rows.Each(func(row []types.Value, _ bool) error {
		parts := make([]string, len(row))
		for i, v := range row {
			parts[i] = types.Text(v, rows.Columns[i].Type)
		}
		out = append(out, strings.Join(parts, " "))
		return nil
	}, func() error { return nil })
	require.NoError(t, err)
	return out
}

// eventually waits for a pull query to answer so.
func eventually(t testing.TB, e *engine.Engine, sql string, want ...string) {
	t.Helper()
	require.Eventually(t, func() bool {
		got := pull(t, e, sql)
		return fmt.Sprint(got) == fmt.Sprint(want)
	}, 10*time.Second, 10*time.Millisecond, "%s: %v", sql, want)
}

const counts = `CREATE STREAM s (id STRING KEY, n INT) WITH (KAFKA_TOPIC='s', VALUE_FORMAT='JSON', PARTITIONS=2);
CREATE TABLE t AS SELECT id, COUNT(*) AS c, SUM(n) AS total FROM s GROUP BY id;
CREATE TYPE addr AS STRUCT<zip INT>;`

// TestRestart: catalogue, queries with their ids, offsets and state are as they
// were, with and without the state directory.
func TestRestart(t *testing.T) {
	for _, keep := range []bool{true, false} {
		t.Run(fmt.Sprint("state kept: ", keep), func(t *testing.T) {
			brokers, dir := cluster(t), t.TempDir()
			e := start(t, config(brokers, dir))
			made := execute(t, e, counts)
			id := *made[1].(engine.StatusEntity).Status.QueryID
			require.Equal(t, "CTAS_T_3", id)
			produce(t, brokers, "s", "a", `{"n":1}`)
			produce(t, brokers, "s", "a", `{"n":2}`)
			eventually(t, e, "SELECT * FROM t WHERE id='a';", "a 2 3")
			execute(t, e, "PAUSE "+id+";")
			require.NoError(t, e.Close())

			if !keep {
				dir = t.TempDir()
			}
			produce(t, brokers, "s", "a", `{"n":4}`)
			e = start(t, config(brokers, dir))
			queries := execute(t, e, "SHOW QUERIES;")[0].(engine.QueriesEntity).Queries
			require.Len(t, queries, 1)
			require.Equal(t, id, queries[0].ID)
			require.Equal(t, map[string]int{"PAUSED": 1}, queries[0].StatusCount)
			require.Contains(t, execute(t, e, "SHOW TYPES;")[0].(engine.TypesEntity).Types, "ADDR")
			execute(t, e, "RESUME "+id+";")
			eventually(t, e, "SELECT * FROM t WHERE id='a';", "a 3 7")
			next := execute(t, e, "CREATE STREAM s2 AS SELECT * FROM s;")[0].(engine.StatusEntity)
			require.Greater(t, next.Sequence, made[2].(engine.StatusEntity).Sequence)
			require.NoError(t, e.Close())
		})
	}
}

// TestOneOwner: a service id that is in use is refused with who uses it; it is
// free at once when its owner has ended.
func TestOneOwner(t *testing.T) {
	brokers := cluster(t)
	c := config(brokers, "")
	c.Address = "10.0.0.1:8088"
	first := start(t, c)
	_, err := engine.New(context.Background(), config(brokers, ""))
	require.ErrorContains(t, err, `service id "test_" is run by another instance`)
	require.ErrorContains(t, err, "serving 10.0.0.1:8088")
	execute(t, first, counts) // and the first one is none the worse

	other := config(brokers, "")
	other.ServiceID = "other_"
	start(t, other)

	require.NoError(t, first.Close())
	second := start(t, config(brokers, ""))
	require.Len(t, execute(t, second, "SHOW QUERIES;")[0].(engine.QueriesEntity).Queries, 1)
}

// TestSandbox: of a request with a mistake nothing is carried out.
func TestSandbox(t *testing.T) {
	e := start(t, config(cluster(t), ""))
	for _, sql := range []string{
		counts + "CREATE STREAM x AS SELECT * FROM nope;",
		counts + "DROP STREAM s;",
		counts + "SELECT * FROM s EMIT CHANGES;",
		counts + "SHOW FOO;",
		counts + "DESCRIBE nope;",
		counts + "INSERT INTO s (id, n) VALUES ('a', 'b');",
		counts + "TERMINATE nope;",
		counts + counts,
	} {
		_, err := e.Execute(context.Background(), engine.Request{SQL: sql})
		require.Error(t, err, sql)
		require.Equal(t, 400, engine.StatusOf(err), sql)
		require.Empty(t, execute(t, e, "SHOW QUERIES;")[0].(engine.QueriesEntity).Queries)
		require.Len(t, execute(t, e, "SHOW STREAMS;")[0].(engine.StreamsEntity).Streams, 1, "the processing log's alone")
	}
	require.Len(t, execute(t, e, "DEFINE x='s'; "+counts+" CREATE STREAM s2 AS SELECT * FROM ${x}; DROP STREAM s2; DROP TABLE t; DROP STREAM s;"), 7)
}

// TestDrop: what is read stays, and the message says by whom.
func TestDrop(t *testing.T) {
	brokers := cluster(t)
	e := start(t, config(brokers, ""))
	execute(t, e, counts+`CREATE STREAM s2 AS SELECT * FROM s; CREATE STREAM s3 (id STRING KEY, n INT) WITH (KAFKA_TOPIC='s3', VALUE_FORMAT='JSON', PARTITIONS=2);
INSERT INTO s2 WITH (QUERY_ID='ins') SELECT * FROM s3;`)
	refused := func(sql, want string) {
		_, err := e.Execute(context.Background(), engine.Request{SQL: sql})
		require.ErrorContains(t, err, want)
	}
	refused("DROP STREAM s;", "Cannot drop S.\nThe following streams and/or tables read from this source: [S2, T].\nYou need to drop them before dropping S.")
	refused("DROP STREAM s3;", "The following queries read from this source: [INS]")
	refused("DROP STREAM s2;", "The following queries write into this source: [INS]")
	refused("CREATE OR REPLACE STREAM s2 AS SELECT id, CAST(n AS STRING) AS n FROM s;", "Cannot upgrade data source")
	execute(t, e, "TERMINATE ins; DROP STREAM s3 DELETE TOPIC; DROP STREAM s2; DROP TABLE t; DROP STREAM s;")
	topics := execute(t, e, "SHOW TOPICS;")[0].(engine.TopicsEntity).Topics
	var names []string
	for _, topic := range topics {
		names = append(names, topic.Name)
	}
	require.Equal(t, []string{"S2", "T", "s", "test_ksql_processing_log"}, names)
}

// TestReplace: an edited query goes on where the one before stopped.
func TestReplace(t *testing.T) {
	brokers := cluster(t)
	e := start(t, config(brokers, ""))
	execute(t, e, `CREATE STREAM s (id STRING KEY, n INT) WITH (KAFKA_TOPIC='s', VALUE_FORMAT='JSON', PARTITIONS=1);
CREATE STREAM big AS SELECT id, n FROM s WHERE n > 10;`)
	produce(t, brokers, "s", "a", `{"n":11}`)
	produce(t, brokers, "s", "b", `{"n":5}`)
	eventually(t, e, "SELECT id, n FROM big;", "a 11")
	out := execute(t, e, "CREATE OR REPLACE STREAM big AS SELECT id, n, n*2 AS twice FROM s WHERE n > 3;")[0].(engine.StatusEntity)
	require.Equal(t, "CSAS_BIG_3", *out.Status.QueryID)
	produce(t, brokers, "s", "c", `{"n":4}`)
	eventually(t, e, "SELECT id, n, twice FROM big;", "a 11 null", "c 4 8")
}

// TestPush: rows come as they are written; the query is seen, counted and can be
// closed from elsewhere.
func TestPush(t *testing.T) {
	brokers := cluster(t)
	c := config(brokers, "")
	c.MaxPushQueries = 1
	e := start(t, c)
	execute(t, e, counts)
	rows, _, err := e.Query(context.Background(), engine.Request{SQL: "SELECT id, n FROM s EMIT CHANGES;"})
	require.NoError(t, err)
	_, _, err = e.Query(context.Background(), engine.Request{SQL: "SELECT * FROM s EMIT CHANGES;"})
	require.ErrorContains(t, err, "1 push queries are open, which is as many as there may be")
	require.Equal(t, rows.ID, execute(t, e, "SHOW QUERIES;")[0].(engine.QueriesEntity).Queries[1].ID)
	got := make(chan string, 10)
	ended := make(chan engine.End, 1)
	go func() {
		end, err := rows.Each(func(row []types.Value, _ bool) error {
			got <- row[0].Str()
			return nil
		}, func() error { return nil })
		if err == nil {
			ended <- end
		}
	}()
	for _, key := range []string{"a", "b"} {
		produce(t, brokers, "s", key, `{"n":1}`)
		require.Equal(t, key, <-got)
	}
	require.False(t, e.CloseQuery("nope"))
	require.True(t, e.CloseQuery(rows.ID))
	require.Equal(t, engine.Closed, <-ended)
	require.Zero(t, e.OpenQueries())
}

func BenchmarkPullByKey(b *testing.B) {
	brokers := cluster(b)
	e := start(b, config(brokers, b.TempDir()))
	execute(b, e, `CREATE SOURCE TABLE v (id STRING PRIMARY KEY, customerId BIGINT, state STRING, product STRING, quantity INT, price DECIMAL(12,2)) WITH (KAFKA_TOPIC='orders', VALUE_FORMAT='JSON', PARTITIONS=4);`)
	produce(b, brokers, "orders", "o1", `{"customerId":1,"state":"CREATED","product":"JUMPERS","quantity":1,"price":1.50}`)
	eventually(b, e, "SELECT id FROM v WHERE id='o1';", "o1")
	b.ReportAllocs()
	for b.Loop() {
		rows, _, err := e.Query(context.Background(), engine.Request{SQL: "SELECT * FROM v WHERE id = 'o1';"})
		if err != nil {
			b.Fatal(err)
		}
		if _, err := rows.Each(func([]types.Value, bool) error { return nil }, func() error { return nil }); err != nil {
			b.Fatal(err)
		}
	}
}
