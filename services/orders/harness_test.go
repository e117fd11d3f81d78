package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/sidestream/sidestream/services/internal/config"
	"github.com/sidestream/sidestream/services/internal/order"
)

// broker is an in-process Kafka with the service's topics, and a client on it.
type broker struct {
	t       testing.TB
	cluster *kfake.Cluster
	addrs   string
	client  *kgo.Client
}

func newBroker(t testing.TB) *broker {
	t.Helper()
	if t, ok := t.(*testing.T); ok {
		t.Parallel() // tests wait for groups and deadlines most of their time
	}
	return newSerialBroker(t)
}

// newSerialBroker is newBroker for a test that sets the environment.
func newSerialBroker(t testing.TB) *broker {
	t.Helper()
	c, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(4,
		ordersTopic, requestsTopic, outcomesTopic, stateTopic, validationsTopic, verdictsTopic, shipmentsTopic),
		kfake.BrokerConfigs(map[string]string{"default.replication.factor": "1"}))
	require.NoError(t, err)
	t.Cleanup(c.Close)
	b := &broker{t: t, cluster: c, addrs: strings.Join(c.ListenAddrs(), ",")}
	b.client, err = kgo.NewClient(kgo.SeedBrokers(c.ListenAddrs()...), kgo.ProducerLinger(0))
	require.NoError(t, err)
	t.Cleanup(b.client.Close)
	return b
}

// send writes a record, as a validator or the SQL half would.
func (b *broker) send(topic, key, value string) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	r := &kgo.Record{Topic: topic, Key: []byte(key), Value: []byte(value)}
	require.NoError(b.t, b.client.ProduceSync(ctx, r).FirstErr())
}

func (b *broker) verdict(id, state string, reasons ...string) {
	b.t.Helper()
	v, _ := json.Marshal(map[string]any{"CUSTOMERID": 2, "PRODUCT": "JUMPERS", "QUANTITY": 10, "PRICE": 100.00, "STATE": state, "REASONS": reasons})
	b.send(verdictsTopic, id, string(v))
}

// read returns the committed records of a topic by now, of one key ("" for
// all).
func (b *broker) read(topic, key string) []*kgo.Record {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	// A record behind all others on each partition marks the end.
	ends := map[int32]int64{}
	marker, err := kgo.NewClient(kgo.SeedBrokers(b.addrs), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	require.NoError(b.t, err)
	defer marker.Close()
	for p := range int32(4) {
		r := &kgo.Record{Topic: topic, Partition: p, Key: []byte("~end")}
		require.NoError(b.t, marker.ProduceSync(ctx, r).FirstErr())
		ends[p] = r.Offset
	}
	c, err := kgo.NewClient(kgo.SeedBrokers(b.addrs), kgo.ConsumeTopics(topic),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.FetchIsolationLevel(kgo.ReadCommitted()))
	require.NoError(b.t, err)
	defer c.Close()
	var out []*kgo.Record
	for len(ends) > 0 {
		fs := c.PollFetches(ctx)
		require.NoError(b.t, fs.Err())
		fs.EachRecord(func(r *kgo.Record) {
			if string(r.Key) != "~end" && (key == "" || string(r.Key) == key) {
				out = append(out, r)
			}
			if end, ok := ends[r.Partition]; ok && r.Offset >= end {
				delete(ends, r.Partition)
			}
		})
	}
	return out
}

// orders returns the states of an order on the topic.
func (b *broker) orders(id string) []order.Order {
	b.t.Helper()
	var out []order.Order
	for _, r := range b.read(ordersTopic, id) {
		o, err := order.Decode(r.Value)
		require.NoError(b.t, err)
		out = append(out, o)
	}
	return out
}

// fakeView is the part of a sidecar that the service uses: /query-stream over
// orders_view. It follows the topic unless it is frozen.
type fakeView struct {
	*httptest.Server
	mu      sync.Mutex
	orders  map[string]order.Order
	frozen  bool
	down    bool
	hang    bool
	queries []string
}

func newFakeView(t testing.TB, b *broker) *fakeView {
	v := &fakeView{orders: map[string]order.Order{}}
	v.Server = httptest.NewServer(http.HandlerFunc(v.serve))
	t.Cleanup(v.Server.Close)
	if b == nil {
		return v
	}
	c, err := kgo.NewClient(kgo.SeedBrokers(b.addrs), kgo.ConsumeTopics(ordersTopic),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.FetchIsolationLevel(kgo.ReadCommitted()))
	require.NoError(t, err)
	ended := make(chan struct{})
	t.Cleanup(func() { c.Close(); <-ended })
	go func() {
		defer close(ended)
		for {
			fs := c.PollFetches(context.Background())
			if fs.IsClientClosed() {
				return
			}
			fs.EachRecord(func(r *kgo.Record) {
				if o, err := order.Decode(r.Value); err == nil {
					v.mu.Lock()
					if !v.frozen {
						v.orders[string(r.Key)] = o
					}
					v.mu.Unlock()
				}
			})
		}
	}()
	return v
}

func (v *fakeView) set(f func()) {
	v.mu.Lock()
	defer v.mu.Unlock()
	f()
}

func (v *fakeView) put(o order.Order) { v.set(func() { v.orders[o.ID] = o }) }

func (v *fakeView) asked() int {
	v.mu.Lock()
	defer v.mu.Unlock()
	return len(v.queries)
}

var (
	whereID       = regexp.MustCompile(`\bid = '((?:[^']|'')*)'`)
	whereAfter    = regexp.MustCompile(`\bid > '((?:[^']|'')*)'`)
	whereState    = regexp.MustCompile(`\bstate = '(\w+)'`)
	whereCustomer = regexp.MustCompile(`\bcustomerId = (-?\d+)`)
)

func (v *fakeView) serve(w http.ResponseWriter, r *http.Request) {
	var q struct{ SQL string }
	json.NewDecoder(r.Body).Decode(&q)
	v.mu.Lock()
	v.queries = append(v.queries, q.SQL)
	down, hang := v.down, v.hang
	rows := make([]order.Order, 0, len(v.orders))
	for _, o := range v.orders { // in no order, as a pull query gives them
		rows = append(rows, o)
	}
	v.mu.Unlock()
	if hang {
		<-r.Context().Done()
		return
	}
	if down {
		w.WriteHeader(503)
		io.WriteString(w, `{"@type":"generic_error","error_code":50302,"message":"not ready"}`)
		return
	}
	keep := func(re *regexp.Regexp, ok func(o order.Order, arg string) bool) {
		if m := re.FindStringSubmatch(q.SQL); m != nil {
			rows = slices.DeleteFunc(rows, func(o order.Order) bool { return !ok(o, m[1]) })
		}
	}
	keep(whereID, func(o order.Order, a string) bool { return o.ID == a })
	keep(whereAfter, func(o order.Order, a string) bool { return o.ID > a })
	keep(whereState, func(o order.Order, a string) bool { return string(o.State) == a })
	keep(whereCustomer, func(o order.Order, a string) bool { return strconv.FormatInt(o.CustomerID, 10) == a })
	io.WriteString(w, `{"queryId":"q","columnNames":["ID","CUSTOMERID","STATE","PRODUCT","QUANTITY","PRICE","REASONS","VERSION"],`+
		`"columnTypes":["STRING","BIGINT","STRING","STRING","INTEGER","DECIMAL(12, 2)","ARRAY<STRING>","INTEGER"]}`+"\n")
	for _, o := range rows {
		b, _ := json.Marshal([]any{o.ID, o.CustomerID, o.State, o.Product, o.Quantity, o.Price, o.Reasons, o.Version})
		w.Write(append(b, '\n'))
	}
}

// instance is a running orders service.
type instance struct {
	t    testing.TB
	url  string
	stop func() // waits for the end
	svc  *service
}

type option func(*settings)

func startInstance(t testing.TB, b *broker, v *fakeView, name string, opts ...option) *instance {
	t.Helper()
	s := settings{
		Common:   config.Common{Brokers: b.addrs, HTTPAddr: "127.0.0.1:0", InstanceID: name, StateDir: t.TempDir(), StartTimeout: 10 * time.Second},
		sidecar:  v.URL,
		deadline: time.Minute, checks: []string{order.FraudCheck, order.InventoryCheck, order.DetailsCheck},
		postTime: 20 * time.Second, readTime: 2 * time.Second, recent: 1000,
		heartbeat: time.Minute, maxBody: maxBody,
	}
	for _, o := range opts {
		o(&s)
	}
	svc, err := start(s, testLog(t))
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- svc.run(ctx) }()
	in := &instance{t: t, url: "http://" + svc.server.Addr(), svc: svc}
	in.stop = sync.OnceFunc(func() {
		cancel()
		require.NoError(t, <-ended)
	})
	t.Cleanup(in.stop)
	require.Eventually(t, svc.runner.Ready, 30*time.Second, 5*time.Millisecond)
	return in
}

func testLog(t testing.TB) *slog.Logger {
	if testing.Verbose() && os.Getenv("ORDERS_TEST_LOG") != "" {
		return slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	return slog.New(slog.DiscardHandler)
}

// answer is a response that was read.
type answer struct {
	t      testing.TB
	status int
	header http.Header
	body   string
}

func (in *instance) do(method, path, body string, header ...string) answer {
	in.t.Helper()
	req, err := http.NewRequest(method, in.url+path, strings.NewReader(body))
	require.NoError(in.t, err)
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	require.NoError(in.t, err)
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	require.NoError(in.t, err)
	return answer{in.t, resp.StatusCode, resp.Header, string(b)}
}

func (in *instance) get(path string, header ...string) answer {
	in.t.Helper()
	return in.do("GET", path, "", header...)
}

func (in *instance) post(body string, header ...string) answer {
	in.t.Helper()
	return in.do("POST", "/v1/orders", body, header...)
}

// is checks the status and returns the answer for more.
func (a answer) is(status int) answer {
	a.t.Helper()
	require.Equal(a.t, status, a.status, a.body)
	if status >= 400 {
		require.Equal(a.t, "application/problem+json", a.header.Get("Content-Type"))
	}
	return a
}

func (a answer) order() order.Order {
	a.t.Helper()
	o, err := order.Decode([]byte(a.body))
	require.NoError(a.t, err, a.body)
	return o
}

// fields are the names that a problem's errors have.
func (a answer) fields() []string {
	a.t.Helper()
	var p struct{ Errors []struct{ Field string } }
	require.NoError(a.t, json.Unmarshal([]byte(a.body), &p), a.body)
	var out []string
	for _, e := range p.Errors {
		out = append(out, e.Field)
	}
	return out
}

func jumpers(id string) string {
	return fmt.Sprintf(`{"id":%q,"customerId":2,"product":"JUMPERS","quantity":10,"price":100}`, id)
}
