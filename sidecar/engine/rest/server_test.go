package rest_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"golang.org/x/sync/errgroup"

	"github.com/sidestream/sidestream/sidecar/client"
)

// served is an engine with a stream, its server and a client of it.
func served(t *testing.T) (*server, *client.Client, *kgo.Client) {
	t.Helper()
	return servedWith(t, setting{})
}

func servedWith(t *testing.T, set setting) (*server, *client.Client, *kgo.Client) {
	t.Helper()
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.DefaultNumPartitions(1), kfake.BrokerConfigs(map[string]string{"default.replication.factor": "1"}))
	require.NoError(t, err)
	t.Cleanup(cluster.Close)
	s := newServer(t, cluster.ListenAddrs(), "", set)
	t.Cleanup(func() { s.stop() })
	c, err := client.New(s.url)
	require.NoError(t, err)
	t.Cleanup(c.Close)
	_, err = c.Exec(t.Context(), `CREATE STREAM s (id STRING KEY, n INT, price DECIMAL(6,2)) WITH (KAFKA_TOPIC='s', VALUE_FORMAT='JSON', PARTITIONS=1);`)
	require.NoError(t, err)
	producer, err := kgo.NewClient(kgo.SeedBrokers(cluster.ListenAddrs()...), kgo.DefaultProduceTopic("s"), kgo.ProducerLinger(0))
	require.NoError(t, err)
	t.Cleanup(producer.Close)
	return s, c, producer
}

func (s *server) post(t *testing.T, ctx context.Context, path, body string) *http.Response {
	t.Helper()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url+path, strings.NewReader(body))
	require.NoError(t, err)
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	t.Cleanup(func() { resp.Body.Close() })
	return resp
}

const pushQuery = `{"sql":"SELECT id, n FROM s EMIT CHANGES;","properties":{"auto.offset.reset":"earliest"}}`

// TestPushOverHTTP: rows arrive one by one, while the query is open; a client that
// leaves ends it, and so does /close-query.
func TestPushOverHTTP(t *testing.T) {
	s, c, producer := served(t)
	ctx, leave := context.WithCancel(t.Context())
	resp := s.post(t, ctx, "/query-stream", pushQuery)
	lines := bufio.NewScanner(resp.Body)
	require.True(t, lines.Scan())
	require.Contains(t, lines.Text(), `"columnNames":["ID","N"]`)
	for _, key := range []string{"a", "b"} {
		require.NoError(t, producer.ProduceSync(t.Context(), &kgo.Record{Key: []byte(key), Value: []byte(`{"n":1}`)}).FirstErr())
		require.True(t, lines.Scan())
		require.Equal(t, `["`+key+`",1]`, lines.Text())
	}
	require.Equal(t, 1, s.engine.OpenQueries())
	leave()
	require.Eventually(t, func() bool { return s.engine.OpenQueries() == 0 }, 5*time.Second, 5*time.Millisecond)

	rows, err := c.Push(t.Context(), client.Query{SQL: "SELECT id FROM s EMIT CHANGES;", Properties: map[string]any{"auto.offset.reset": "earliest"}})
	require.NoError(t, err)
	_, err = rows.Next()
	require.NoError(t, err)
	require.NoError(t, c.CloseQuery(t.Context(), rows.QueryID))
	for range rows.All() { // it ends
	}
	require.Zero(t, s.engine.OpenQueries())
}

// TestInsertsOverHTTP: rows are acknowledged when they are written; a bad one ends
// the stream with what is wrong with it.
func TestInsertsOverHTTP(t *testing.T) {
	_, c, _ := served(t)
	rows := func(yield func(any) bool) {
		for _, id := range []string{"a", "b"} {
			if !yield(map[string]any{"id": id, "N": 7, "price": 1.25, "unknown": true}) {
				return
			}
		}
	}
	n, err := c.InsertAll(t.Context(), "s", rows)
	require.NoError(t, err)
	require.EqualValues(t, 2, n)
	res, err := c.Pull(t.Context(), "SELECT * FROM s;")
	require.NoError(t, err)
	require.Len(t, res.Rows, 2)
	_, err = c.InsertAll(t.Context(), "s", func(yield func(any) bool) { yield(map[string]any{"ID": "c", "PRICE": 1.255}) })
	require.ErrorContains(t, err, "Can't coerce a field of type class java.lang.Double into type DECIMAL(6, 2)")
	_, err = c.InsertAll(t.Context(), "s", func(yield func(any) bool) { yield(map[string]any{"N": 1}) })
	require.ErrorContains(t, err, "Key field must be specified: ID")
	_, err = c.InsertAll(t.Context(), "nope", rows)
	require.ErrorContains(t, err, "Cannot insert values into an unknown stream/table: `NOPE`")
}

// TestWebsocket: the columns, the rows, then that it is done.
func TestWebsocket(t *testing.T) {
	s, _, producer := served(t)
	require.NoError(t, producer.ProduceSync(t.Context(), &kgo.Record{Key: []byte("a"), Value: []byte(`{"n":1,"price":2.5}`)}).FirstErr())
	ask := func(sql string) []string {
		request := `{"ksql":"` + sql + `","streamsProperties":{"auto.offset.reset":"earliest"}}`
		c, _, err := websocket.Dial(t.Context(), s.url+"/ws/query?request="+url.QueryEscape(request), nil)
		require.NoError(t, err)
		defer c.CloseNow()
		var out []string
		for {
			_, b, err := c.Read(t.Context())
			if err != nil {
				return out
			}
			out = append(out, string(b))
		}
	}
	got := ask("SELECT id, price FROM s EMIT CHANGES LIMIT 1;")
	require.Len(t, got, 3)
	require.Contains(t, got[0], `[{"name":"ID","schema":{"type":"STRING","fields":null,"memberSchema":null}}`)
	require.Equal(t, `{"row":{"columns":["a",2.50]}}`, got[1])
	require.Equal(t, `{"error":"done"}`, got[2])
	require.Equal(t, []string{`{"error":"Error parsing query: Exception while preparing statement: NOPE does not exist."}`}, ask("SELECT * FROM nope EMIT CHANGES;"))
}

// TestLimits: what is too large, and what is no request.
func TestLimits(t *testing.T) {
	s, _, _ := served(t)
	resp := s.post(t, t.Context(), "/ksql", `{"ksql":"`+strings.Repeat(" ", 9<<20)+`"}`)
	require.Equal(t, http.StatusRequestEntityTooLarge, resp.StatusCode)
	resp = s.post(t, t.Context(), "/query-stream", `{"sql":7}`)
	require.Equal(t, http.StatusBadRequest, resp.StatusCode)
	resp, err := http.Get(s.url + "/metrics")
	require.NoError(t, err)
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.Contains(t, string(b), `sidestream_push_queries_open 0`)
	require.Contains(t, string(b), `sidestream_request_seconds_count{path="ksql"}`)
}

// TestTooMuchSQL: many statements, deep ones, and many open queries are refused with
// what to do about it; the server goes on.
func TestTooMuchSQL(t *testing.T) {
	s, c, _ := servedWith(t, setting{properties: map[string]string{"ksql.max.push.queries": "2"}})
	_, err := c.Exec(t.Context(), strings.Repeat("SHOW STREAMS;", 1001))
	require.ErrorContains(t, err, "The request has 1001 statements, which are more than the 1000 that one may have")
	_, err = c.Exec(t.Context(), "CREATE STREAM deep AS SELECT "+strings.Repeat("(", 400_000)+"n"+strings.Repeat(")", 400_000)+" AS n FROM s;")
	require.Equal(t, client.CodeBadStatement, client.Code(err))
	_, err = c.Pull(t.Context(), "SELECT n"+strings.Repeat("+1", 500_000)+" AS n FROM s;")
	require.ErrorContains(t, err, "more than 20000 operators")
	_, err = c.Exec(t.Context(), "-- "+strings.Repeat("x", 1<<20))
	require.ErrorContains(t, err, "send it in several requests")

	var open []*client.Rows
	for range 2 {
		rows, err := c.Push(t.Context(), client.Query{SQL: "SELECT * FROM s EMIT CHANGES;"})
		require.NoError(t, err)
		open = append(open, rows)
	}
	_, err = c.Push(t.Context(), client.Query{SQL: "SELECT * FROM s EMIT CHANGES;"})
	require.ErrorContains(t, err, "2 push queries are open")
	require.Equal(t, 40003, client.Code(err))
	for _, path := range []string{"/query-stream", "/query"} {
		resp := s.post(t, t.Context(), path, `{"ksql":"PRINT s;","sql":"PRINT s;"}`)
		require.Equal(t, http.StatusBadRequest, resp.StatusCode)
	}
	require.NoError(t, open[0].Close())
	require.Eventually(t, func() bool { return s.engine.OpenQueries() == 1 }, 5*time.Second, 5*time.Millisecond)
	resp := s.post(t, t.Context(), "/query", `{"ksql":"PRINT s;"}`)
	require.Equal(t, http.StatusOK, resp.StatusCode)
	line, err := bufio.NewReader(resp.Body).ReadString('\n') // nothing comes, and that is said
	require.NoError(t, err)
	require.Equal(t, "\n", line)
}

// TestOneConnection: HTTP/2 in clear text carries many requests at once, while a
// query is open on the same connection.
func TestOneConnection(t *testing.T) {
	s, _, producer := served(t)
	c, err := client.New(s.url, client.WithHTTP2())
	require.NoError(t, err)
	defer c.Close()
	push, err := c.Push(t.Context(), client.Query{SQL: "SELECT id FROM s EMIT CHANGES;", Properties: map[string]any{"auto.offset.reset": "earliest"}})
	require.NoError(t, err)
	defer push.Close()
	require.NoError(t, producer.ProduceSync(t.Context(), &kgo.Record{Key: []byte("a"), Value: []byte(`{"n":1}`)}).FirstErr())
	var group errgroup.Group
	for range 20 {
		group.Go(func() error {
			res, err := c.Pull(t.Context(), "SELECT * FROM s;")
			if err == nil && len(res.Rows) != 1 {
				return fmt.Errorf("%d rows", len(res.Rows))
			}
			return err
		})
	}
	require.NoError(t, group.Wait())
	row, err := push.Next()
	require.NoError(t, err)
	require.Equal(t, []any{"a"}, row.Values)
}

// TestBadRowsAmongGood: what comes with a bad row is written but for the row, and
// the answer is what is wrong with it, in the place of the acknowledgements.
func TestBadRowsAmongGood(t *testing.T) {
	s, c, _ := served(t)
	h2 := &http.Transport{Protocols: new(http.Protocols)}
	h2.Protocols.SetUnencryptedHTTP2(true)
	defer h2.CloseIdleConnections()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.url+"/inserts-stream",
		strings.NewReader(`{"target":"s"}`+"\n"+`{"ID":"a","N":1}`+"\n"+`{"ID":"b","N":"x"}`+"\n"+`{"ID":"c","N":3}`+"\n"))
	require.NoError(t, err)
	resp, err := h2.RoundTrip(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.JSONEq(t, `{"@type":"InsertError","status":"error","seq":1,"message":"Can't coerce a field of type class java.lang.String into type INTEGER","error_code":40000}`, string(b))
	res, err := c.Pull(t.Context(), "SELECT id FROM s;")
	require.NoError(t, err)
	require.Len(t, res.Rows, 2)
}

// TestTerminate: all that the service id has ends; of the topics that its queries
// wrote, those that are named go.
func TestTerminate(t *testing.T) {
	s, c, producer := served(t)
	_, err := c.Exec(t.Context(), "CREATE STREAM kept AS SELECT * FROM s; CREATE STREAM gone AS SELECT * FROM kept; CREATE TABLE counted AS SELECT id, COUNT(*) AS n FROM s GROUP BY id;")
	require.NoError(t, err)
	_, err = c.Terminate(t.Context(), "(")
	require.ErrorContains(t, err, "Invalid pattern")
	entities, err := c.Terminate(t.Context(), "GO.*", "s")
	require.NoError(t, err)
	require.Equal(t, "SUCCESS", entities[0].CommandStatus.Status)
	entities, err = c.Exec(t.Context(), "SHOW QUERIES; SHOW STREAMS; SHOW TABLES; SHOW TOPICS;")
	require.NoError(t, err)
	require.Empty(t, entities[0].Queries)
	require.Empty(t, entities[1].Streams)
	require.Empty(t, entities[2].Tables)
	var topics []string
	for _, topic := range entities[3].Topics {
		topics = append(topics, topic.Name)
	}
	require.Equal(t, []string{"COUNTED", "KEPT", "default_ksql_processing_log", "s"}, topics, "s is nobody's output")
	require.NoError(t, producer.ProduceSync(t.Context(), &kgo.Record{Value: []byte("{}")}).FirstErr())
	_, err = c.Info(t.Context())
	require.NoError(t, err)
	require.Zero(t, s.engine.OpenQueries())
}
