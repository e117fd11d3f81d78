package monitor

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sidestream/sidestream/sidecar/client"
)

// server answers as a ksqlDB does in the states that a start goes through.
type server struct {
	mu     sync.Mutex
	status string            // of /info; "" is 503, as before the command topic is read
	rows   map[string]string // by key
	pull   string            // an error instead
	lag    int64
	sql    []string
}

func (s *server) set(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	body, _ := io.ReadAll(r.Body)
	refuse := func(status, code int, text string) {
		w.WriteHeader(status)
		fmt.Fprintf(w, `{"@type":"generic_error","error_code":%d,"message":%q}`, code, text)
	}
	switch r.URL.Path {
	case "/info":
		if s.status == "" {
			refuse(503, 50302, "KSQL is not yet ready to serve requests.")
			return
		}
		fmt.Fprintf(w, `{"KsqlServerInfo":{"version":"7.9.5","kafkaClusterId":"c","ksqlServiceId":"orders_","serverStatus":%q}}`, s.status)
	case "/clusterStatus":
		fmt.Fprintf(w, `{"clusterStatus":{"me:8088":{"hostAlive":true,"hostStoreLags":{"stateStoreLags":{"Q_1#S":{"lagByPartition":{"0":{"offsetLag":%d},"1":{"offsetLag":0}}}}}},
			"other:8088":{"hostAlive":true,"hostStoreLags":{"stateStoreLags":{"Q_1#S":{"lagByPartition":{"2":{"offsetLag":9999}}}}}}}}`, s.lag)
	case "/ksql":
		var in struct {
			KSQL string `json:"ksql"`
		}
		_ = json.Unmarshal(body, &in)
		switch {
		case strings.HasPrefix(in.KSQL, "DESCRIBE CLICKS"):
			fmt.Fprint(w, `[{"@type":"sourceDescription","sourceDescription":{"name":"CLICKS","type":"STREAM","fields":[]}}]`)
		case strings.HasPrefix(in.KSQL, "DESCRIBE"):
			fmt.Fprint(w, `[{"@type":"sourceDescription","sourceDescription":{"name":"ORDERS_VIEW","type":"TABLE","fields":[{"name":"ID","type":"KEY","schema":{"type":"STRING"}},{"name":"STATE","schema":{"type":"STRING"}}]}}]`)
		default:
			fmt.Fprint(w, `[{"@type":"queries","queries":[{"id":"CTAS_X_1","queryType":"PERSISTENT","state":"RUNNING","statusCount":{"RUNNING":1,"ERROR":1}},{"id":"push","queryType":"PUSH","state":"RUNNING"}]}]`)
		}
	case "/query-stream":
		var in struct {
			SQL string `json:"sql"`
		}
		_ = json.Unmarshal(body, &in)
		s.sql = append(s.sql, in.SQL)
		if s.pull != "" {
			refuse(400, 40001, s.pull)
			return
		}
		fmt.Fprintln(w, `{"queryId":"q","columnNames":["ID"],"columnTypes":["STRING"]}`)
		for key := range s.rows {
			if strings.Contains(in.SQL, "LIMIT 1") || strings.Contains(in.SQL, "'"+key+"'") {
				fmt.Fprintf(w, "[%q]\n", key)
				return
			}
		}
	default:
		w.WriteHeader(404)
	}
}

// watch makes a monitor with a clock that stands still until it is moved.
func watch(t *testing.T, s *server, dir string, tables ...string) (*Monitor, *time.Time) {
	t.Helper()
	srv := httptest.NewServer(s)
	t.Cleanup(srv.Close)
	c, err := client.New(srv.URL)
	require.NoError(t, err)
	now := time.Unix(1000, 0)
	m, err := New(Config{Server: c, Tables: tables, Host: "me:8088", MaxLag: 10, StateDir: dir, now: func() time.Time { return now }})
	require.NoError(t, err)
	return m, &now
}

func TestAStartStepByStep(t *testing.T) {
	s := &server{rows: map[string]string{}, lag: 500}
	dir := t.TempDir()
	m, now := watch(t, s, dir, "ORDERS_VIEW")
	step := func(want string) {
		t.Helper()
		m.look(context.Background())
		if want == "" {
			require.NoError(t, m.Ready())
			return
		}
		require.ErrorContains(t, m.Ready(), want)
	}
	require.ErrorContains(t, m.Ready(), "wasn't asked yet")
	step("not yet ready to serve requests")
	s.set(func() { s.status = "RUNNING" })
	step("the state of me:8088 is 500 records behind")
	s.set(func() { s.lag, s.pull = 10, "Materialized data for key is not available yet." })
	step("not available yet")
	// Success without a row isn't believed at once.
	s.set(func() { s.pull = "" })
	step("table ORDERS_VIEW: it has no row")
	*now = now.Add(2 * time.Second)
	step("it has no row (for 2s")
	s.set(func() { s.pull = "Materialized data for key is not available yet." })
	step("not available yet") // and the time begins anew
	s.set(func() { s.pull = "" })
	*now = now.Add(2 * time.Second)
	step("it has no row (for 0s")
	*now = now.Add(3 * time.Second)
	step("") // an empty table

	s.set(func() { s.rows["o'1"] = "x"; delete(s.rows, "o'1"); s.rows["o1"] = "x" })
	step("")
	s.set(func() { s.lag = 5000 }) // later lags don't count
	step("")
	s.set(func() { s.status = "ERROR" })
	step("the sidecar says ERROR, not RUNNING")

	// After a restart the key is known, and a row is wanted.
	s.set(func() { s.status, s.lag, s.sql = "RUNNING", 0, nil; delete(s.rows, "o1") })
	m, now = watch(t, s, dir, "ORDERS_VIEW")
	step("it had rows and gives none")
	require.Contains(t, s.sql[0], "WHERE `ID` = 'o1'")
	*now = now.Add(30 * time.Second)
	step("it had rows and gives none (for 30s")
	s.set(func() { s.rows["o2"] = "x" }) // o1 is gone for good; another row will do
	step("")
	s.set(func() { s.sql = nil })
	step("")
	require.Equal(t, []string{"SELECT `ID` FROM ORDERS_VIEW WHERE `ID` = 'o2';"}, s.sql)
	s.set(func() { delete(s.rows, "o2") })
	step("it had rows")
	*now = now.Add(time.Minute)
	step("") // emptied for good
}

func TestStreamsKeepNoRows(t *testing.T) {
	m, _ := watch(t, &server{status: "RUNNING", rows: map[string]string{}}, "", "CLICKS")
	m.look(context.Background())
	require.NoError(t, m.Ready())
}

func TestServe(t *testing.T) {
	s := &server{status: "RUNNING", rows: map[string]string{"o1": "x"}, lag: 7}
	m, _ := watch(t, s, "", "ORDERS_VIEW")
	srv := httptest.NewServer(m.Handler())
	defer srv.Close()
	get := func(path string) (int, string) {
		t.Helper()
		resp, err := http.Get(srv.URL + path)
		require.NoError(t, err)
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		return resp.StatusCode, string(b)
	}
	status, body := get("/readyz")
	require.Equal(t, 503, status)
	require.Contains(t, body, "wasn't asked yet")
	m.look(context.Background())
	status, _ = get("/readyz")
	require.Equal(t, 200, status)
	status, _ = get("/healthz")
	require.Equal(t, 200, status)
	_, body = get("/metrics")
	for _, want := range []string{
		"sidestream_sidecar_up 1",
		`sidestream_sidecar_view_ready{view="ORDERS_VIEW"} 1`,
		`sidestream_sidecar_query_hosts{query="CTAS_X_1",state="ERROR"} 1`,
		`sidestream_sidecar_store_lag_records{host="me:8088",store="Q_1#S"} 7`,
	} {
		require.Contains(t, body, want)
	}
	require.NotContains(t, body, `query="push"`)
	status, _ = get("/sidecar/metrics")
	require.Equal(t, 404, status) // ksqlDB has none
}
