package runtime

import (
	"context"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sidestream/sidestream/sidecar/engine/function"
	"github.com/sidestream/sidestream/sidecar/engine/plan"
	"github.com/sidestream/sidestream/sidecar/engine/schema"
	"github.com/sidestream/sidestream/sidecar/engine/serde"
	"github.com/sidestream/sidestream/sidecar/engine/types"
	"github.com/sidestream/sidestream/sidecar/registry"
)

// The schemas of a query's own topics are under the topics' names, also where the
// task that reads or writes them has stores: other queries have topics with the
// same suffix, of other rows.
func TestSubjectsOfRepartitionTopics(t *testing.T) {
	sources := []string{
		`CREATE TABLE people (id STRING PRIMARY KEY, level STRING, credit INT) WITH (KAFKA_TOPIC='people', VALUE_FORMAT='AVRO', PARTITIONS=2);`,
		`CREATE TABLE people2 (id STRING PRIMARY KEY, level INT, town STRING) WITH (KAFKA_TOPIC='people2', VALUE_FORMAT='AVRO', PARTITIONS=2);`,
		`CREATE TABLE ranks AS SELECT level, SUM(credit) AS s FROM people GROUP BY level;`,
		`CREATE TABLE ranks2 AS SELECT level, COUNT(town) AS n FROM people2 GROUP BY level;`,
	}
	schemas := registry.New()
	plans, topics, err := plansOf(sources, schemas)
	require.NoError(t, err)
	b := newBroker(t)
	b.topics(2, topics...)
	cfg := b.config("")
	cfg.Functions, cfg.Schemas = function.Configured(nil), schemas
	write := func(topic string, cols []schema.Column, row ...types.Value) {
		enc, err := serde.NewEncoder(plan.Format{Name: "AVRO"}, cols, serde.Options{Subject: topic + "-value", Registry: schemas})
		require.NoError(t, err)
		value, err := enc.Encode(nil, row)
		require.NoError(t, err)
		b.write(topic, 2, rec{"a", string(value), 1000, 0})
	}
	write("people", []schema.Column{{Name: "LEVEL", Type: types.TString}, {Name: "CREDIT", Type: types.TInteger}}, types.NewString("high"), types.NewInt(7))
	write("people2", []schema.Column{{Name: "LEVEL", Type: types.TInteger}, {Name: "TOWN", Type: types.TString}}, types.NewInt(3), types.NewString("Ulm"))
	r, err := New(context.Background(), cfg)
	require.NoError(t, err)
	defer r.Close()
	for _, p := range plans {
		_, err := r.Start(context.Background(), p, settings())
		require.NoError(t, err)
	}
	b.read("RANKS", 1)
	b.read("RANKS2", 1)
	for _, s := range schemas.Subjects() {
		require.True(t, strings.HasPrefix(s, "_confluent-ksql-") || !strings.Contains(s, "repartition"), s)
	}
	for _, p := range plans {
		require.NoError(t, r.Stop(context.Background(), p.ID, true))
	}
	for _, s := range schemas.Subjects() {
		require.NotContains(t, s, "repartition")
	}
}
