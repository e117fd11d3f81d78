package engine_test

import (
	"context"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sidestream/sidestream/sidecar/engine"
	"github.com/sidestream/sidestream/sidecar/registry"
)

const repartition = "_confluent-ksql-test_query_CTAS_T_3-Aggregate-GroupBy-repartition"

// TestSchemaRegistry: schemas are registered as their topics are declared, and go
// with them; what a schema said of a source holds over restarts.
func TestSchemaRegistry(t *testing.T) {
	schemas := registry.New()
	server := httptest.NewServer(schemas.Handler(nil))
	defer server.Close()
	client, err := registry.NewClient(server.URL, "")
	require.NoError(t, err)
	brokers, dir := cluster(t), t.TempDir()
	c := config(brokers, dir)
	c.Schemas = client
	e := start(t, c)

	execute(t, e, `CREATE STREAM s (id INT KEY, n INT) WITH (KAFKA_TOPIC='s', FORMAT='AVRO', PARTITIONS=1);
		CREATE TABLE t AS SELECT n, COUNT(*) AS c FROM s GROUP BY n;`)
	require.Equal(t, []string{"T-key", "T-value", "s-key", "s-value"}, schemas.Subjects(), "before there is a record")
	execute(t, e, "INSERT INTO s (id, n) VALUES (1, 7); INSERT INTO s (id, n) VALUES (2, 7);")
	eventually(t, e, "SELECT * FROM t WHERE n=7;", "7 2")
	require.Equal(t, []string{"T-key", "T-value", repartition + "-key", repartition + "-value", "s-key", "s-value"}, schemas.Subjects())

	require.Equal(t, []string{"Key format: AVRO or KAFKA_STRING", "Value format: AVRO or KAFKA_STRING", `1 {"N": 7}`, `2 {"N": 7}`}, printed(t, e, "PRINT s FROM BEGINNING LIMIT 2;"))

	// A schema that readers of the topic couldn't live with.
	_, err = schemas.Register("BAD-value", registry.Avro, `"string"`)
	require.NoError(t, err)
	_, err = e.Execute(context.Background(), engine.Request{SQL: "CREATE STREAM bad AS SELECT * FROM s;"})
	require.ErrorContains(t, err, "Could not register schema for topic: BAD\nCaused by: Schema being registered is incompatible with an earlier schema")

	// A source whose columns the registry has.
	record := `{"type":"record","name":"R","fields":[{"name":"a","type":"int"},{"name":"b","type":["null","string"],"default":null}]}`
	_, err = schemas.Register("x-value", registry.Avro, `{"type":"record","name":"R","fields":[{"name":"a","type":"int"}]}`)
	require.NoError(t, err)
	execute(t, e, "CREATE STREAM x WITH (KAFKA_TOPIC='x', VALUE_FORMAT='AVRO', PARTITIONS=1);")
	columns := func(e *engine.Engine) (names []string) {
		for _, f := range execute(t, e, "DESCRIBE x;")[0].(engine.DescriptionEntity).Description.Fields {
			names = append(names, f.Name)
		}
		return names
	}
	require.Equal(t, []string{"A"}, columns(e))
	_, err = schemas.Register("x-value", registry.Avro, record)
	require.NoError(t, err)
	require.NoError(t, e.Close())
	server.Close() // and the registry is away
	e = start(t, c)
	require.Equal(t, []string{"A"}, columns(e))
	eventually(t, e, "SELECT * FROM t WHERE n=7;", "7 2")
	require.NoError(t, e.Close())

	back := httptest.NewServer(schemas.Handler(nil))
	defer back.Close()
	again, err := registry.NewClient(back.URL, "")
	require.NoError(t, err)
	c.Schemas = again
	e = start(t, c)
	execute(t, e, "DROP TABLE t DELETE TOPIC;")
	require.Equal(t, []string{"BAD-key", "BAD-value", "s-key", "s-value", "x-value"}, schemas.Subjects())
}

// printed are the lines of PRINT, records with key and value only.
func printed(t *testing.T, e *engine.Engine, sql string) (out []string) {
	_, p, err := e.Query(context.Background(), engine.Request{SQL: sql})
	require.NoError(t, err)
	require.NoError(t, p.Run(context.Background(), true, func(line string) error {
		if key, value, ok := strings.Cut(line, ", value: "); ok {
			_, key, _ = strings.Cut(key, "key: ")
			value, _, _ = strings.Cut(value, ", partition")
			line = key + " " + value
		}
		out = append(out, line)
		return nil
	}, func(bool) error { return nil }))
	return out
}
