package enginetest_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sidestream/sidestream/sidecar/engine/driver"
	"github.com/sidestream/sidestream/sidecar/engine/enginetest"
	"github.com/sidestream/sidestream/sidecar/engine/exec"
	"github.com/sidestream/sidestream/sidecar/engine/types"
	"github.com/sidestream/sidestream/sidecar/registry"
)

// TestSumThatDoesNotFit: a sum with too many digits ends its query; what it would
// have counted from there would be wrong.
func TestSumThatDoesNotFit(t *testing.T) {
	s := enginetest.NewSession(nil, nil)
	require.NoError(t, s.Apply(`CREATE STREAM orders (id STRING KEY, price DECIMAL(3,1)) WITH (KAFKA_TOPIC='orders', VALUE_FORMAT='JSON', PARTITIONS=1);
		CREATE TABLE totals AS SELECT id, SUM(price) AS total FROM orders GROUP BY id;`))
	pipe := func() error {
		return s.Driver.Pipe("orders", driver.Record{Key: []byte("a"), Value: []byte(`{"price":60.0}`)})
	}
	require.NoError(t, pipe())
	require.ErrorContains(t, pipe(), "Numeric field overflow: the sum does not fit DECIMAL(3, 1)")
	require.Len(t, s.Driver.Read("TOTALS"), 1)
}

// TestKeyBySelect: with ksqlDB's new planner a stream's key is what SELECT takes of
// it, in that order.
func TestKeyBySelect(t *testing.T) {
	for sql, want := range map[string]string{
		"SELECT age, id, name FROM people": `{"AGE":20,"ID":1}`,
		"SELECT age, name FROM people":     `20`,
		"SELECT * FROM people":             `{"ID":1,"AGE":20}`,
		"SELECT name FROM people":          ``,
	} {
		s := enginetest.NewSession(map[string]string{"ksql.new.query.planner.enabled": "true"}, nil)
		require.NoError(t, s.Apply(`CREATE STREAM people (id INT KEY, age INT KEY, name STRING) WITH (KAFKA_TOPIC='people', FORMAT='JSON', PARTITIONS=1);
			CREATE STREAM o AS `+sql+";"))
		require.NoError(t, s.Driver.Pipe("people", driver.Record{Key: []byte(`{"ID":1,"AGE":20}`), Value: []byte(`{"name":"x"}`)}))
		rows := s.Driver.Read("O")
		require.Len(t, rows, 1, sql)
		require.Equal(t, want, string(rows[0].Key), sql)
	}
	s := enginetest.NewSession(map[string]string{"ksql.new.query.planner.enabled": "true"}, nil)
	require.ErrorContains(t, s.Apply(`CREATE TABLE people (id INT PRIMARY KEY, name STRING) WITH (KAFKA_TOPIC='people', FORMAT='JSON', PARTITIONS=1);
		CREATE TABLE o AS SELECT name FROM people;`), "Key missing from projection")
}

// TestLookupInProtobuf: a table that is kept as PROTOBUF gives its defaults where a
// row has NULL, as its topic does.
func TestLookupInProtobuf(t *testing.T) {
	s := enginetest.NewSession(nil, nil)
	require.NoError(t, s.Apply(`CREATE TABLE orders (id STRING PRIMARY KEY, n INT) WITH (KAFKA_TOPIC='orders', VALUE_FORMAT='PROTOBUF_NOSR', PARTITIONS=1);
		CREATE TABLE notes (id STRING PRIMARY KEY, note STRING, since TIMESTAMP, words ARRAY<STRING>, place STRUCT<town STRING>) WITH (KAFKA_TOPIC='notes', VALUE_FORMAT='PROTOBUF_NOSR', PARTITIONS=1);
		CREATE TABLE o AS SELECT o.id, n, note, since, words, place FROM orders o LEFT JOIN notes x ON o.id = x.id;`))
	require.NoError(t, s.Driver.Pipe("orders", driver.Record{Key: []byte("a"), Value: []byte{8, 7}}))
	var got []types.Value
	require.NoError(t, s.Queries[0].Lookup(exec.Everything(), func(r *exec.Row) bool {
		got = append(got, r.Clone().Value...)
		return true
	}))
	require.Len(t, got, 5)
	require.EqualValues(t, 7, got[0].Int())
	require.Equal(t, types.String, got[1].Kind())
	require.Empty(t, got[1].Str())
	require.True(t, got[2].IsNull(), "a message may be missing")
	require.Equal(t, types.Array, got[3].Kind())
	require.Empty(t, got[3].Items())
	require.True(t, got[4].IsNull())
}

// TestNamesOfAvroKeys: the records of keys are named after their source, unless
// the statement names them.
func TestNamesOfAvroKeys(t *testing.T) {
	s := enginetest.NewSession(nil, nil)
	s.UseRegistry(registry.New())
	require.NoError(t, s.Apply(`CREATE STREAM paid_orders (id STRUCT<shop INT> KEY, n INT) WITH (KAFKA_TOPIC='paid', FORMAT='AVRO', PARTITIONS=1);
		CREATE STREAM named (id INT KEY, n INT) WITH (KAFKA_TOPIC='named', FORMAT='AVRO', KEY_SCHEMA_FULL_NAME='shop.Id', PARTITIONS=1);
		CREATE STREAM large AS SELECT * FROM paid_orders WHERE n > 5;`))
	for name, want := range map[string]string{
		"PAID_ORDERS": "io.confluent.ksql.avro_schemas.PaidOrdersKey",
		"NAMED":       "shop.Id",
		"LARGE":       "io.confluent.ksql.avro_schemas.LargeKey",
	} {
		src, ok := s.Env.Catalog.Source(name)
		require.True(t, ok)
		require.Equal(t, want, src.KeyFormat.Props["fullSchemaName"])
	}
}
