package engine_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/sidestream/sidestream/sidecar/registry"
)

// TestSchemaRegistryIsAway: a record whose schema can't be fetched at the moment is
// not passed by. The query waits for the registry and goes on where it was.
func TestSchemaRegistryIsAway(t *testing.T) {
	schemas := registry.New()
	var away atomic.Bool
	handler, refused := schemas.Handler(nil), make(chan struct{}, 1000)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if away.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
			select {
			case refused <- struct{}{}:
			default:
			}
			return
		}
		handler.ServeHTTP(w, r)
	}))
	defer server.Close()
	client, err := registry.NewClient(server.URL, "")
	require.NoError(t, err)
	brokers := cluster(t)
	c := config(brokers, t.TempDir())
	c.Schemas = client
	e := start(t, c)
	id, err := schemas.Register("s-value", registry.Avro, `{"type":"record","name":"R","fields":[{"name":"N","type":"int"}]}`)
	require.NoError(t, err)
	execute(t, e, `CREATE STREAM s (id STRING KEY, n INT) WITH (KAFKA_TOPIC='s', VALUE_FORMAT='AVRO', PARTITIONS=1);
		CREATE TABLE t AS SELECT id, SUM(n) AS total FROM s GROUP BY id EMIT CHANGES;`)

	away.Store(true)
	kafka, err := kgo.NewClient(kgo.SeedBrokers(brokers...))
	require.NoError(t, err)
	defer kafka.Close()
	value := []byte{0, 0, 0, 0, byte(id), 2 * 21}
	require.NoError(t, kafka.ProduceSync(context.Background(), &kgo.Record{Topic: "s", Key: []byte("a"), Value: value}, &kgo.Record{Topic: "s", Key: []byte("a"), Value: value}).FirstErr())
	<-refused
	away.Store(false)
	eventually(t, e, "SELECT * FROM t WHERE id='a';", "a 42")
}
