package client_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sidestream/sidestream/sidecar/client"
)

// serve starts a server that speaks HTTP/1.1 and clear-text HTTP/2, as ksqlDB
// does, and returns a client of it.
func serve(t *testing.T, h http.Handler, opts ...client.Option) *client.Client {
	t.Helper()
	s := httptest.NewUnstartedServer(h)
	s.Config.Protocols = new(http.Protocols)
	s.Config.Protocols.SetHTTP1(true)
	s.Config.Protocols.SetUnencryptedHTTP2(true)
	s.Start()
	t.Cleanup(s.Close)
	c, err := client.New(s.URL, opts...)
	require.NoError(t, err)
	t.Cleanup(c.Close)
	return c
}

// answer replies to one path with a fixed body and keeps the request.
type answer struct {
	status int
	body   string
	header map[string]string

	method, path, proto string
	request             string
	headers             http.Header
}

func (a *answer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	b, _ := io.ReadAll(r.Body)
	a.method, a.path, a.proto, a.request, a.headers = r.Method, r.URL.EscapedPath(), r.Proto, string(b), r.Header
	for k, v := range a.header {
		w.Header().Set(k, v)
	}
	if a.status != 0 {
		w.WriteHeader(a.status)
	}
	io.WriteString(w, a.body)
}

func TestNewRefusesWhatIsNoURL(t *testing.T) {
	for _, u := range []string{"", "localhost:8088", "ftp://x", "http://", "http://x/?q=1", "http://%zz"} {
		_, err := client.New(u)
		require.ErrorContains(t, err, "ksqlDB URL", u)
	}
}

func TestInfo(t *testing.T) {
	a := &answer{body: `{"KsqlServerInfo":{"version":"7.9.5","kafkaClusterId":"K","ksqlServiceId":"default_","serverStatus":"RUNNING"}}`}
	info, err := serve(t, a).Info(t.Context())
	require.NoError(t, err)
	require.Equal(t, client.Info{Version: "7.9.5", KafkaClusterID: "K", ServiceID: "default_", Status: "RUNNING"}, info)
	require.Equal(t, "GET /info HTTP/1.1", a.method+" "+a.path+" "+a.proto)
	require.Empty(t, a.headers.Get("Accept-Encoding"), "compression is off by default")
}

func TestHTTP2AndGzipAreOptions(t *testing.T) {
	a := &answer{body: `{"KsqlServerInfo":{}}`}
	_, err := serve(t, a, client.WithHTTP2(), client.WithGzip(), client.WithBasicAuth("ann", "pw")).Info(t.Context())
	require.NoError(t, err)
	require.Equal(t, "HTTP/2.0", a.proto)
	require.Equal(t, "gzip", a.headers.Get("Accept-Encoding"))
	require.Equal(t, "Basic YW5uOnB3", a.headers.Get("Authorization"))
}

func TestHealthcheck(t *testing.T) {
	a := &answer{body: `{"isHealthy":false,"details":{"metastore":{"isHealthy":true},"kafka":{"isHealthy":false}},"serverState":"READY"}`}
	h, err := serve(t, a).Healthcheck(t.Context())
	require.NoError(t, err)
	require.False(t, h.IsHealthy)
	require.True(t, h.Details["metastore"].IsHealthy)
	require.False(t, h.Details["kafka"].IsHealthy)
	require.Equal(t, "READY", h.ServerState)
	require.JSONEq(t, a.body, string(h.Raw))
}

func TestExecuteSendsEverythingAndReadsTypedEntities(t *testing.T) {
	a := &answer{body: `[
	 {"@type":"currentStatus","statementText":"CREATE …","commandId":"stream/` + "`A`" + `/create","commandStatus":{"status":"SUCCESS","message":"Stream created","queryId":null},"commandSequenceNumber":7,"warnings":[{"message":"careful"}]},
	 {"@type":"queries","statementText":"SHOW QUERIES;","queries":[{"queryString":"Q","sinks":["S"],"sinkKafkaTopics":["s"],"id":"CTAS_S_3","statusCount":{"RUNNING":2},"queryType":"PERSISTENT","state":"RUNNING"}],"warnings":[]},
	 {"@type":"function_names","statementText":"","functions":[{"name":"TRIM","type":"SCALAR","category":"STRING"}],"warnings":[]},
	 {"@type":"describe_function","statementText":"","name":"SUM","functions":[{"arguments":[{"name":"v","type":"INT","description":"","isVariadic":false}],"returnType":"INT","description":"d"}],"type":"AGGREGATE","warnings":[]},
	 {"@type":"something_new","statementText":"","extra":1.50}]`}
	after := int64(6)
	entities, err := serve(t, a).Execute(t.Context(), client.Statements{
		SQL: "CREATE STREAM …;", Properties: map[string]any{"auto.offset.reset": "earliest"},
		Variables: map[string]string{"limit": "2000"}, AfterCommand: &after,
	})
	require.NoError(t, err)
	require.JSONEq(t, `{"ksql":"CREATE STREAM …;","streamsProperties":{"auto.offset.reset":"earliest"},"sessionVariables":{"limit":"2000"},"commandSequenceNumber":6}`, a.request)
	require.Equal(t, "POST /ksql", a.method+" "+a.path)
	require.Equal(t, "application/vnd.ksql.v1+json", a.headers.Get("Content-Type"))

	require.Len(t, entities, 5)
	require.Equal(t, "stream/`A`/create", entities[0].CommandID)
	require.Equal(t, client.CommandStatus{Status: "SUCCESS", Message: "Stream created"}, *entities[0].CommandStatus)
	require.EqualValues(t, 7, entities[0].CommandSequenceNumber)
	require.Equal(t, "careful", entities[0].Warnings[0].Message)
	require.Equal(t, "CTAS_S_3", entities[1].Queries[0].ID)
	require.Equal(t, 2, entities[1].Queries[0].StatusCount["RUNNING"])
	require.Equal(t, "TRIM", entities[2].Functions[0].Name)
	require.Equal(t, "INT", entities[3].Function.Signatures[0].ReturnType)
	require.Equal(t, "something_new", entities[4].Type)
	require.Contains(t, string(entities[4].Raw), `"extra":1.50`)
}

func TestErrorsKeepTheServersWords(t *testing.T) {
	a := &answer{status: 400, body: `{"@type":"statement_error","error_code":40001,"message":"NOPE does not exist.","statementText":"CREATE STREAM x AS SELECT * FROM nope;",
	  "entities":[{"@type":"currentStatus","statementText":"done before","commandId":"c","commandStatus":{"status":"SUCCESS","message":"","queryId":null},"commandSequenceNumber":1,"warnings":[]}]}`}
	_, err := serve(t, a).Exec(t.Context(), "…")
	var e *client.Error
	require.ErrorAs(t, err, &e)
	require.Equal(t, 400, e.HTTPStatus)
	require.Equal(t, client.CodeBadStatement, client.Code(err))
	require.Equal(t, "NOPE does not exist.", e.Message)
	require.Equal(t, "CREATE STREAM x AS SELECT * FROM nope;", e.StatementText)
	require.Equal(t, "done before", e.Entities[0].StatementText)
	require.EqualError(t, err, "ksqlDB error 40001 (POST /ksql): NOPE does not exist.\nin: CREATE STREAM x AS SELECT * FROM nope;")
	require.False(t, client.Retryable(err))
}

func TestAnswersWithoutAKsqlDBError(t *testing.T) {
	c := serve(t, &answer{status: 404})
	_, err := c.ClusterStatus(t.Context())
	require.Equal(t, client.CodeNotFound, client.Code(err))
	require.ErrorContains(t, err, "switched off")

	c = serve(t, &answer{status: 503, body: `{"@type":"generic_error","error_code":50302,"message":"KSQL is not ready"}`, header: map[string]string{"Retry-After": "10"}})
	_, err = c.Info(t.Context())
	var e *client.Error
	require.ErrorAs(t, err, &e)
	require.Equal(t, client.CodeNotReady, e.ErrorCode)
	require.Equal(t, 10*time.Second, e.RetryAfter)
	require.True(t, client.Retryable(err))

	c = serve(t, &answer{body: "<html>hello</html>"})
	_, err = c.Info(t.Context())
	require.ErrorContains(t, err, "isn't what ksqlDB sends")

	unreachable, _ := client.New("http://127.0.0.1:1")
	_, err = unreachable.Info(t.Context())
	require.ErrorContains(t, err, "GET http://127.0.0.1:1/info")
	require.True(t, client.Retryable(err))
}

func TestTimeoutNamesItself(t *testing.T) {
	c := serve(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		// A server sees its HTTP/1.1 client leave only after it has read the body.
		io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
	}), client.WithTimeout(20*time.Millisecond))
	_, err := c.Info(t.Context())
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.ErrorContains(t, err, "time-out of 20ms")
	_, err = c.Push(t.Context(), client.Query{SQL: "SELECT * FROM S EMIT CHANGES;"})
	require.ErrorIs(t, err, context.DeadlineExceeded)
}

const header = `{"queryId":"q1","columnNames":["ID","DEC","D","TAGS","M","N","B"],"columnTypes":["STRING","DECIMAL(10, 2)","DATE","ARRAY<STRING>","MAP<STRING, INTEGER>","BIGINT","BOOLEAN"]}` + "\n"

func TestPullKeepsValuesExact(t *testing.T) {
	a := &answer{body: header + `["a",12.30,"2022-01-08",["x",null],{"k":1},9223372036854775807,true]` + "\n" + `["b",null,null,null,null,null,null]` + "\n"}
	res, err := serve(t, a).Pull(t.Context(), "SELECT * FROM T WHERE ID = ?;", "o'hara")
	require.NoError(t, err)
	require.JSONEq(t, `{"sql":"SELECT * FROM T WHERE ID = 'o''hara';","properties":{}}`, a.request)
	require.Equal(t, "q1", res.QueryID)
	require.Equal(t, client.Column{Name: "DEC", Type: "DECIMAL(10, 2)"}, res.Columns[1])
	require.Len(t, res.Rows, 2)
	require.Equal(t, []any{"a", json.Number("12.30"), "2022-01-08", []any{"x", nil}, map[string]any{"k": json.Number("1")}, json.Number("9223372036854775807"), true}, res.Rows[0].Values)

	var id, date string
	var dec json.Number
	var tags []string
	var m any
	var n int64
	var b bool
	require.NoError(t, res.Rows[0].Scan(&id, &dec, &date, &tags, &m, &n, &b))
	require.Equal(t, "a 12.30 2022-01-08 [x ] 9223372036854775807 true", fmt.Sprint(id, " ", dec, " ", date, " ", tags, " ", n, " ", b))
	require.NoError(t, res.Rows[1].Scan(&id, &dec, &date, &tags, &m, &n, &b), "NULL is the zero value")
	require.Equal(t, "b   [] 0 false", fmt.Sprint(id, " ", dec, " ", date, " ", tags, " ", n, " ", b))

	var small int32
	err = res.Rows[0].Scan(&id, &dec, &date, &tags, &m, &small, &b)
	require.ErrorContains(t, err, "column N (BIGINT)")
	require.ErrorContains(t, res.Rows[0].Scan(&id), "1 targets for 7 columns")
	v, ok := res.Rows[0].Get("dec")
	require.True(t, ok)
	require.Equal(t, json.Number("12.30"), v)
	_, ok = res.Rows[0].Get("nope")
	require.False(t, ok)
}

func TestPullErrors(t *testing.T) {
	for name, tc := range map[string]struct{ body, want string }{
		"none at all":       {"", "reading the header"},
		"no columns":        {`{"x":1}`, "doesn't begin with the columns"},
		"error at once":     {`{"@type":"generic_error","error_code":50000,"message":"broken"}`, "ksqlDB error 50000"},
		"error after a row": {header + `["a",1,null,null,null,1,true]` + "\n" + `{"@type":"generic_error","error_code":50000,"message":"broken"}` + "\n", "broken"},
		"cut in a row":      {header + `["a",1,`, "reading a row"},
		"too few values":    {header + `["a"]`, "a row of 1 values for 7 columns"},
		"not JSON":          {header + `nonsense`, "reading a row"},
		"unexpected object": {header + `{"a":1}`, "neither a row nor an error"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := serve(t, &answer{body: tc.body}).Pull(t.Context(), "SELECT 1;")
			require.ErrorContains(t, err, tc.want)
		})
	}
}

func TestPullEachStopsEarly(t *testing.T) {
	gone := make(chan struct{})
	c := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer close(gone)
		io.WriteString(w, `{"queryId":"q","columnNames":["N"],"columnTypes":["INTEGER"]}`+"\n")
		for i := 0; r.Context().Err() == nil; i++ {
			fmt.Fprintf(w, "[%d]\n", i)
			w.(http.Flusher).Flush()
		}
	}))
	var got []any
	for row, err := range c.PullEach(t.Context(), client.Query{SQL: "SELECT N FROM T;"}) {
		require.NoError(t, err)
		if got = append(got, row.Values[0]); len(got) == 3 {
			break
		}
	}
	require.Equal(t, []any{json.Number("0"), json.Number("1"), json.Number("2")}, got)
	<-gone // the server sees the reader leave
}

// pushing serves push queries that never end by themselves, and close-query.
func pushing(t *testing.T, opts ...client.Option) *client.Client {
	closed := make(chan struct{})
	mux := http.NewServeMux()
	mux.HandleFunc("POST /query-stream", func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, `{"queryId":"transient_1","columnNames":["N"],"columnTypes":["INTEGER"]}`+"\n[1]\n")
		w.(http.Flusher).Flush()
		select {
		case <-closed:
		case <-r.Context().Done():
		}
	})
	mux.HandleFunc("POST /close-query", func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		if string(b) != `{"queryId":"transient_1"}` {
			w.WriteHeader(400)
			io.WriteString(w, `{"@type":"generic_error","error_code":40000,"message":"No query with id nope"}`)
			return
		}
		close(closed)
	})
	return serve(t, mux, opts...)
}

func TestPushEndsByCloseQuery(t *testing.T) {
	for _, opts := range [][]client.Option{nil, {client.WithHTTP2()}} {
		c := pushing(t, opts...)
		rows, err := c.Push(t.Context(), client.Query{SQL: "SELECT N FROM S EMIT CHANGES;"})
		require.NoError(t, err)
		require.Equal(t, client.CodeBadRequest, client.Code(c.CloseQuery(t.Context(), "nope")))
		row, err := rows.Next()
		require.NoError(t, err)
		require.Equal(t, []any{json.Number("1")}, row.Values)
		require.NoError(t, c.CloseQuery(t.Context(), rows.QueryID))
		_, err = rows.Next()
		require.ErrorIs(t, err, io.EOF)
		require.NoError(t, rows.Close())
	}
}

func TestPushEndsWithTheContextOrClose(t *testing.T) {
	c := pushing(t, client.WithTimeout(time.Hour))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	rows, err := c.Push(ctx, client.Query{SQL: "SELECT N FROM S EMIT CHANGES;"})
	require.NoError(t, err)
	var last error
	for _, err := range rows.All() {
		last = err
		cancel()
	}
	require.ErrorIs(t, last, context.Canceled)

	rows, err = c.Push(t.Context(), client.Query{SQL: "SELECT N FROM S EMIT CHANGES;"})
	require.NoError(t, err)
	_, err = rows.Next()
	require.NoError(t, err)
	rows.Close()
	_, err = rows.Next()
	require.Error(t, err)
	require.NotErrorIs(t, err, io.EOF, "a closed query must not look like one that is complete")
}

// inserting acknowledges rows as ksqlDB does, and refuses those with "bad".
func inserting(t *testing.T) *client.Client {
	return serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ProtoMajor != 2 {
			w.WriteHeader(400)
			io.WriteString(w, `{"@type":"generic_error","error_code":40004,"message":"HTTP/2 only"}`)
			return
		}
		lines := bufio.NewScanner(r.Body)
		lines.Scan()
		if !strings.Contains(lines.Text(), `"target":"INS"`) {
			w.WriteHeader(400)
			io.WriteString(w, `{"@type":"generic_error","error_code":40001,"message":"unknown stream"}`)
			return
		}
		for seq := 0; lines.Scan(); seq++ {
			if strings.Contains(lines.Text(), "bad") {
				fmt.Fprintf(w, `{"@type":"InsertError","status":"error","seq":%d,"message":"can't coerce","error_code":40000}`+"\n", seq)
				return
			}
			fmt.Fprintf(w, `{"seq":%d,"status":"ok"}`+"\n", seq)
			w.(http.Flusher).Flush()
		}
	}))
}

func TestInserts(t *testing.T) {
	s, err := inserting(t).Inserts(t.Context(), "INS", nil)
	require.NoError(t, err)
	defer s.Close()
	require.NoError(t, s.Send(map[string]any{"ID": "a", "PRICE": json.Number("1.10")}))
	seen := 0
	for ack, err := range s.Acks() { // each row is acknowledged before the next is sent
		require.NoError(t, err)
		require.EqualValues(t, seen, ack.Seq)
		if seen++; seen < 3 {
			require.NoError(t, s.Send(map[string]any{"ID": "b"}))
		} else {
			require.NoError(t, s.CloseSend())
		}
	}
	require.Equal(t, 3, seen)
}

func TestInsertAll(t *testing.T) {
	c := inserting(t)
	row := map[string]any{"ID": "x"}
	n, err := c.InsertAll(t.Context(), "INS", slices.Values(slices.Repeat([]any{row}, 500)))
	require.NoError(t, err)
	require.EqualValues(t, 500, n)

	n, err = c.InsertAll(t.Context(), "INS", slices.Values([]any{row, row, map[string]any{"ID": "bad"}, row}))
	require.EqualValues(t, 2, n)
	require.Equal(t, client.CodeBadRequest, client.Code(err))
	require.ErrorContains(t, err, "row 2: can't coerce")

	_, err = c.InsertAll(t.Context(), "OTHER", slices.Values(slices.Repeat([]any{row}, 50)))
	require.Equal(t, client.CodeBadStatement, client.Code(err))
}

func TestOtherEndpoints(t *testing.T) {
	a := &answer{body: `{"status":"SUCCESS","message":"Stream created","queryId":null}`}
	status, err := serve(t, a).Status(t.Context(), "stream/`A B`/create")
	require.NoError(t, err)
	require.Equal(t, "SUCCESS", status.Status)
	require.Equal(t, "/status/stream/%60A%20B%60/create", a.path)

	statuses, err := serve(t, &answer{body: `{"commandStatuses":{"stream/A/create":"SUCCESS"}}`}).Statuses(t.Context())
	require.NoError(t, err)
	require.Equal(t, map[string]string{"stream/A/create": "SUCCESS"}, statuses)

	m, err := serve(t, &answer{body: `{"version":"7.9.5","clusterId":{"scope":{"path":[],"clusters":{"kafka-cluster":"K","ksql-cluster":"default_"}},"id":""}}`}).ServerMetadata(t.Context())
	require.NoError(t, err)
	require.Equal(t, "default_", m.ClusterID.Scope.Clusters["ksql-cluster"])

	hosts, err := serve(t, &answer{body: `{"clusterStatus":{"h:8088":{"hostAlive":true,"lastStatusUpdateMs":5,"activeStandbyPerQuery":{"CTAS_A_1":{"activeStores":["s"],"activePartitions":[{"topic":"t","partition":2}],"standByStores":[],"standByPartitions":[]}}}}}`}).ClusterStatus(t.Context())
	require.NoError(t, err)
	require.EqualValues(t, 2, hosts["h:8088"].ActiveStandbyPerQuery["CTAS_A_1"].ActivePartitions[0].Partition)

	require.NoError(t, serve(t, &answer{body: `true`}).IsValidProperty(t.Context(), "auto.offset.reset"))
	err = serve(t, &answer{status: 400, body: `{"@type":"generic_error","error_code":40000,"message":"prohibited"}`}).IsValidProperty(t.Context(), "ksql.service.id")
	require.ErrorContains(t, err, "prohibited")

	a = &answer{body: `[]`}
	_, err = serve(t, a).Terminate(t.Context(), "orders", "tmp-.*")
	require.NoError(t, err)
	require.Equal(t, `POST /ksql/terminate {"deleteTopicList":["orders","tmp-.*"]}`, a.method+" "+a.path+" "+a.request)
}

func TestBind(t *testing.T) {
	for _, tc := range []struct {
		sql  string
		args []any
		want string
	}{
		{"SELECT 1;", nil, "SELECT 1;"},
		{"WHERE A=? AND B=?", []any{"x", 1}, "WHERE A='x' AND B=1"},
		{"WHERE A=?", []any{"'; DROP TABLE T; --"}, "WHERE A='''; DROP TABLE T; --'"},
		{"'?' \"?\" `?` -- ?\n /* ? */ ?", []any{true}, "'?' \"?\" `?` -- ?\n /* ? */ TRUE"},
		{"'it''s ?' ?", []any{nil}, "'it''s ?' NULL"},
		{"? ? ? ?", []any{int64(-5), 1.5, json.Number("-10.50"), []string{"a", "b'c"}}, "-5 1.5E+00 -10.50 ARRAY['a', 'b''c']"},
	} {
		got, err := client.Bind(tc.sql, tc.args...)
		require.NoError(t, err)
		require.Equal(t, tc.want, got)
	}
	for _, tc := range []struct {
		sql  string
		args []any
		want string
	}{
		{"?", nil, "more than 0 placeholders"},
		{"?", []any{1, 2}, "2 arguments for 1 placeholders"},
		{"?", []any{json.Number("1; DROP")}, "isn't a number"},
		{"?", []any{json.Number("")}, "isn't a number"},
		{"?", []any{"a\x00b"}, "NUL"},
		{"?", []any{struct{}{}}, "no SQL literal"},
	} {
		_, err := client.Bind(tc.sql, tc.args...)
		require.ErrorContains(t, err, tc.want)
	}
	require.Equal(t, "`a``b`", client.Name("a`b"))
}
