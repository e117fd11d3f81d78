package rest_test

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/sidestream/sidestream/sidecar/engine"
	"github.com/sidestream/sidestream/sidecar/engine/chance"
	"github.com/sidestream/sidestream/sidecar/engine/rest"
	"github.com/sidestream/sidestream/sidecar/registry"
)

// fuzzEndpoints are the places of the API, as a client reaches them.
var fuzzEndpoints = []struct{ method, path, media string }{
	{"POST", "/ksql", ""},
	{"POST", "/query", ""},
	{"POST", "/query-stream", "application/vnd.ksqlapi.delimited.v1"},
	{"POST", "/query-stream", "application/json"},
	{"POST", "/query-stream", "application/vnd.ksql.v1+json"},
	{"POST", "/query-stream", "application/vnd.ksql.v1+protobuf"},
	{"POST", "/inserts-stream", ""},
	{"POST", "/close-query", ""},
	{"POST", "/ksql/terminate", ""},
	{"POST", "/heartbeat", ""},
	{"POST", "/lag", ""},
	{"GET", "/ws/query?request=", ""},
	{"GET", "/is_valid_property/", ""},
	{"GET", "/status/", ""},
	{"GET", "/", ""},
}

// openFor is how long an answer that doesn't end is listened to.
const openFor = 100 * time.Millisecond

// FuzzRequests sends bodies by chance to every endpoint: as they come, or as the
// SQL of a request. The server answers or refuses; it doesn't panic, hang or grow
// without bounds, and no query of a client that left stays open.
func FuzzRequests(f *testing.F) {
	for i := range fuzzEndpoints {
		for _, sql := range []string{
			"SELECT * FROM S EMIT CHANGES LIMIT 1;", "SELECT K, COUNT(*) FROM S GROUP BY K EMIT CHANGES;", "SELECT * FROM C WHERE K='a';", "SELECT N, ROWTIME FROM S WHERE N > 1;",
			"CREATE TABLE X AS SELECT K, SUM(N) AS T FROM S WINDOW TUMBLING (SIZE 1 HOUR) GROUP BY K;", "CREATE STREAM Y (A INT KEY, B ARRAY<STRUCT<C MAP<STRING, DECIMAL(4,2)>>>) WITH (KAFKA_TOPIC='y', FORMAT='JSON', PARTITIONS=2);",
			"INSERT INTO S (K, N) VALUES ('a', 1 + 2);", "DROP STREAM S DELETE TOPIC;", "TERMINATE ALL; SHOW QUERIES; SHOW TOPICS; SHOW FUNCTIONS;", "DESCRIBE S EXTENDED; EXPLAIN CTAS_C_3; LIST PROPERTIES;",
			"SET 'auto.offset.reset'='earliest'; DEFINE a = 'b'; SELECT '${a}' AS A FROM S EMIT CHANGES;", "PRINT s FROM BEGINNING LIMIT 1;", "PAUSE ALL; RESUME ALL; ASSERT TOPIC s TIMEOUT 1 SECOND;", "CREATE TYPE T AS STRUCT<A INT>; DROP TYPE T;",
			"CREATE STREAM Z (A INT KEY, B STRUCT<C INT>) WITH (KAFKA_TOPIC='z', FORMAT='AVRO', PARTITIONS=1); DROP STREAM Z DELETE TOPIC;", "CREATE TABLE P WITH (FORMAT='PROTOBUF', VALUE_SCHEMA_ID=1) AS SELECT N, COUNT(*) AS C FROM S GROUP BY N; ASSERT SCHEMA ID 1 TIMEOUT 1 SECOND;",
		} {
			f.Add(byte(i), false, sql)
		}
		for _, body := range []string{
			"", "{}", "[]", `{"ksql":7}`, `{"ksql":"SHOW STREAMS;","streamsProperties":{"a":[1]},"commandSequenceNumber":-1}`, `{"sql":"SELECT * FROM S;","properties":{"auto.offset.reset":null}}`,
			"{\"target\":\"S\",\"properties\":{}}\n{\"K\":\"a\",\"N\":1}\n{\"N\":\"x\"}\n", `{"queryId":"x"}`, `{"deleteTopicList":[".*("]}`, "\x00\xff", strings.Repeat("[", 20000),
		} {
			f.Add(byte(i), true, body)
		}
	}
	var target *fuzzServer
	f.Cleanup(func() {
		if target != nil {
			target.stop(f)
		}
	})
	f.Fuzz(func(t *testing.T, endpoint byte, raw bool, text string) {
		defer chance.Ends()() // a server's start and end too
		if target == nil || target.worn() {
			if target != nil {
				target.stop(t)
			}
			target = startFuzzServer(t)
		}
		body := text
		if !raw {
			b, err := json.Marshal(map[string]any{"ksql": text, "sql": text, "properties": map[string]any{"auto.offset.reset": "earliest"}})
			require.NoError(t, err)
			body = string(b)
		}
		chance.Bound(t, len(text), func() { target.send(t, int(endpoint)%len(fuzzEndpoints), body) })
	})
}

// fuzzServer is an engine on a broker of its own.
type fuzzServer struct {
	cluster *kfake.Cluster
	engine  *engine.Engine
	url     string
	end     func() error
	used    int
	panics  panicLog
}

// panicLog keeps what a server logs about requests that made it panic.
type panicLog struct {
	mu   sync.Mutex
	seen []string
}

func (p *panicLog) Enabled(context.Context, slog.Level) bool { return true }

func (p *panicLog) Handle(_ context.Context, r slog.Record) error {
	r.Attrs(func(a slog.Attr) bool {
		if a.Key == "panic" {
			p.mu.Lock()
			defer p.mu.Unlock()
			p.seen = append(p.seen, a.Value.String())
		}
		return true
	})
	return nil
}

func (p *panicLog) WithAttrs([]slog.Attr) slog.Handler { return p }
func (p *panicLog) WithGroup(string) slog.Handler      { return p }

func startFuzzServer(t *testing.T) *fuzzServer {
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.DefaultNumPartitions(1), kfake.BrokerConfigs(map[string]string{"default.replication.factor": "1"}))
	require.NoError(t, err)
	s := &fuzzServer{cluster: cluster}
	log := slog.New(&s.panics)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	s.engine, err = engine.New(ctx, engine.Config{Brokers: cluster.ListenAddrs(), Address: "127.0.0.1:8088", Schemas: registry.New(), Logger: log})
	require.NoError(t, err)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	serving, stop := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- rest.New(s.engine, log).Serve(serving, l) }()
	s.url = "http://" + l.Addr().String()
	s.end = func() error { stop(); return <-served }
	_, err = s.engine.Execute(ctx, engine.Request{SQL: `CREATE STREAM S (K STRING KEY, N INT) WITH (KAFKA_TOPIC='s', VALUE_FORMAT='JSON', PARTITIONS=1);
		CREATE TABLE C AS SELECT K, COUNT(*) AS N FROM S GROUP BY K;`})
	require.NoError(t, err)
	_, err = s.engine.Execute(ctx, engine.Request{SQL: "INSERT INTO S (K, N) VALUES ('a', 1);"})
	require.NoError(t, err)
	return s
}

// worn tells whether it is time for a new server: statements leave things behind.
func (s *fuzzServer) worn() bool {
	s.used++
	select {
	case <-s.engine.Done(): // somebody terminated it
		return true
	default:
		return s.used > 200
	}
}

func (s *fuzzServer) stop(t testing.TB) {
	require.NoError(t, s.end())
	require.NoError(t, s.engine.Close())
	s.cluster.Close()
}

func (s *fuzzServer) send(t *testing.T, endpoint int, body string) {
	e := fuzzEndpoints[endpoint]
	ctx, cancel := context.WithTimeout(t.Context(), openFor)
	defer cancel()
	switch {
	case strings.HasPrefix(e.path, "/ws/"):
		c, _, err := websocket.Dial(ctx, s.url+e.path+url.QueryEscape(body), nil)
		if err != nil {
			break
		}
		for err == nil {
			_, _, err = c.Read(ctx)
		}
		_ = c.CloseNow()
	case e.method == http.MethodGet:
		s.exchange(t, ctx, e.method, e.path+url.PathEscape(body), "", "")
	default:
		s.exchange(t, ctx, e.method, e.path, e.media, body)
	}
	s.panics.mu.Lock()
	defer s.panics.mu.Unlock()
	require.Empty(t, s.panics.seen, "%s %s %s", e.method, e.path, body)
	require.Eventually(t, func() bool { return s.engine.OpenQueries() == 0 }, 10*time.Second, time.Millisecond, "a query of a client that left is open: %s %s", e.path, body)
}

// exchange sends a request over HTTP/2 and reads what comes in a short time.
func (s *fuzzServer) exchange(t *testing.T, ctx context.Context, method, path, media, body string) {
	req, err := http.NewRequestWithContext(ctx, method, s.url+path, strings.NewReader(body))
	require.NoError(t, err)
	if media != "" {
		req.Header.Set("Accept", media)
	}
	transport := &http.Transport{Protocols: new(http.Protocols), DisableCompression: true}
	transport.Protocols.SetUnencryptedHTTP2(true)
	defer transport.CloseIdleConnections()
	resp, err := transport.RoundTrip(req)
	if err != nil {
		require.Error(t, ctx.Err(), "%s %s %q: %v", method, path, body, err) // it may still be at work
		return
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, resp.Body) // until it ends, or the time is over
	require.Less(t, resp.StatusCode, 600)
}
