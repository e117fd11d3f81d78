package rest_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/sidestream/sidestream/sidecar/engine"
	"github.com/sidestream/sidestream/sidecar/engine/rest"
)

// exchange is one step of a recorded scenario.
type exchange struct {
	Note    any
	Request *struct {
		Method, Path, HTTP string
		Headers            map[string]string
		Body               *string
	}
	Response struct {
		Status  int
		Headers [][2]string
		Body    string
		Ended   string
	}
	Produced []produced
	Topic    *recordedTopic           `json:"topic_records"`
	Config   map[string]recordedTopic `json:"topic_config"`
}

type produced struct {
	Topic     string
	Key       *string
	Value     *string
	Timestamp int64
	Partition *int32
	Headers   [][2]string
}

type recordedTopic struct {
	Topic      string
	Config     json.RawMessage
	Partitions int
	NonDefault map[string]string
	Records    json.RawMessage
}

type topicConfig struct {
	Partitions int
	NonDefault map[string]string
}

type recorded struct {
	P       int32
	TS      int64
	Key     any
	Value   any
	Headers [][2]any
}

type difference struct{ request, text string }

// server is an engine with its REST API on a port.
type server struct {
	engine *engine.Engine
	url    string
	stop   func()
}

// newServer starts an engine on brokers and serves it.
func newServer(t *testing.T, brokers []string, dir string) *server {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	level := slog.LevelError
	if os.Getenv("GOLDEN_LOG") != "" {
		level = slog.LevelInfo
	}
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: level}))
	e, err := engine.New(ctx, engine.Config{Brokers: brokers, StateDir: dir, Address: "127.0.0.1:38088", Logger: log,
		// The recording's steps were seconds apart: what waits for a second is due.
		Properties: map[string]string{
			"ksql.streams.__emit.interval.ms.kstreams.windowed.aggregation__":            "0",
			"ksql.streams.__emit.interval.ms.kstreams.outer.join.spurious.results.fix__": "0",
		}})
	require.NoError(t, err)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	serve, stop := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- rest.New(e, log).Serve(serve, l) }()
	s := &server{engine: e, url: "http://" + l.Addr().String()}
	s.stop = func() {
		stop()
		require.NoError(t, <-served)
		require.NoError(t, e.Close())
	}
	return s
}

// replay runs scenarios against an embedded server on an embedded broker.
type replay struct {
	t       *testing.T
	cluster *kfake.Cluster
	dir     string
	server  *server
	client  *kgo.Client
	admin   *kadm.Client
	http1   *http.Client
	http2   *http.Client

	compare     bool
	alone       bool // the scenario had a server to itself
	compared    int
	differences []difference
	// coalesced are topics whose query was recorded with the cache on: the
	// recording lacks what the cache merged.
	coalesced map[string]bool
	// ids are the queries' ids here by those recorded.
	ids map[string]string
	// binary are topics whose keys the scenario gives in hex.
	binary map[string]bool
}

func newReplay(t *testing.T) *replay {
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.DefaultNumPartitions(1), kfake.BrokerConfigs(map[string]string{"default.replication.factor": "1"}))
	require.NoError(t, err)
	t.Cleanup(cluster.Close)
	r := &replay{t: t, cluster: cluster, dir: t.TempDir(), coalesced: map[string]bool{}, ids: map[string]string{}, binary: map[string]bool{}}
	r.client, err = kgo.NewClient(kgo.SeedBrokers(cluster.ListenAddrs()...), kgo.RecordPartitioner(byHand{kgo.StickyKeyPartitioner(nil)}), kgo.ProducerLinger(0))
	require.NoError(t, err)
	t.Cleanup(r.client.Close)
	r.admin = kadm.NewClient(r.client)
	r.server = newServer(t, cluster.ListenAddrs(), r.dir)
	t.Cleanup(func() { r.server.stop() })
	r.http1 = &http.Client{Transport: &http.Transport{DisableCompression: true}, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	h2 := &http.Transport{DisableCompression: true, Protocols: new(http.Protocols)}
	h2.Protocols.SetUnencryptedHTTP2(true)
	r.http2 = &http.Client{Transport: h2}
	t.Cleanup(r.http1.CloseIdleConnections)
	t.Cleanup(r.http2.CloseIdleConnections)
	return r
}

// byHand uses a record's partition where the scenario gives one.
type byHand struct{ kgo.Partitioner }

func (b byHand) ForTopic(topic string) kgo.TopicPartitioner {
	return byHandTopic{b.Partitioner.ForTopic(topic)}
}

type byHandTopic struct{ kgo.TopicPartitioner }

func (b byHandTopic) Partition(r *kgo.Record, n int) int {
	if p, ok := r.Context.Value(partitionKey{}).(int32); ok {
		return int(p)
	}
	return b.TopicPartitioner.Partition(r, n)
}

type partitionKey struct{}

func (r *replay) run(file string, compare bool) {
	data, err := os.ReadFile(file)
	require.NoError(r.t, err)
	var scenario struct{ Exchanges []exchange }
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	require.NoError(r.t, dec.Decode(&scenario))
	r.compare = compare
	for _, x := range scenario.Exchanges {
		for _, p := range x.Produced {
			if p.Key != nil && hexKey.MatchString(*p.Key) {
				r.binary[p.Topic] = true
			}
		}
	}
	r.alone = strings.Contains(string(data[:min(len(data), 8000)]), `"commandSequenceNumber\":2,`)
	for i := range scenario.Exchanges {
		x := &scenario.Exchanges[i]
		switch {
		case x.Request != nil:
			r.request(x)
		case x.Produced != nil:
			r.produce(x.Produced)
		case x.Topic != nil && compare:
			r.topic(x.Topic)
		case x.Config != nil && compare:
			for name, c := range x.Config {
				r.compared++
				r.checkConfig(name, topicConfig{c.Partitions, c.NonDefault})
			}
		default:
			if note, ok := x.Note.(map[string]any); ok && note["restart"] != nil {
				r.server.stop()
				r.server = newServer(r.t, r.cluster.ListenAddrs(), r.dir)
			}
		}
	}
}

func (r *replay) differ(what, format string, args ...any) {
	r.differences = append(r.differences, difference{what, fmt.Sprintf(format, args...)})
}

// request sends a recorded request and compares the answer.
func (r *replay) request(x *exchange) {
	body := ""
	if x.Request.Body != nil {
		body = *x.Request.Body
	}
	for recorded, here := range r.ids {
		body = strings.ReplaceAll(body, recorded, here)
	}
	r.noteCache(body)
	if strings.Contains(x.Request.Path, "query") {
		r.settle()
	}
	what := x.Request.Method + " " + x.Request.Path + " " + body
	status, headers, answer, err := r.send(x, body)
	if err != nil {
		if r.compare {
			r.compared++
			r.differ(what, "%v", err)
		} else {
			r.t.Logf("prelude: %s: %v", what, err)
		}
		return
	}
	r.noteIDs(answer, x.Response.Body)
	if !r.compare || strings.Contains(body, "SHOW PROPERTIES") || strings.Contains(body, "transient_") {
		if status != x.Response.Status {
			r.t.Logf("not compared: %s\n\tanswered %d %s\n\twas %d %s", what, status, answer, x.Response.Status, x.Response.Body)
		}
		return
	}
	r.compared++
	if status != x.Response.Status {
		r.differ(what, "status %d, recorded %d\n got: %s\nwant: %s", status, x.Response.Status, answer, x.Response.Body)
		return
	}
	want := ""
	for _, h := range x.Response.Headers {
		if h[0] == "content-type" {
			want = h[1]
		}
	}
	if got := headers.Get("Content-Type"); got != want {
		r.differ(what, "content type %q, recorded %q", got, want)
		return
	}
	if d := compareBodies(answer, x.Response.Body, !r.alone); d != "" {
		r.differ(what, "%s", d)
	}
}

// send sends the request. Of a stream that was left open in the recording it
// reads as many lines as were recorded.
func (r *replay) send(x *exchange, body string) (int, http.Header, string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 15*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, x.Request.Method, r.server.url+x.Request.Path, strings.NewReader(body))
	if err != nil {
		return 0, nil, "", err
	}
	if x.Request.Body == nil {
		req.Body, req.ContentLength = nil, 0
	}
	for _, h := range []string{"accept", "content-type"} {
		if v, ok := x.Request.Headers[h]; ok {
			req.Header.Set(h, v)
		}
	}
	cl := r.http1
	if x.Request.HTTP == "2" {
		cl = r.http2
	}
	resp, err := cl.Do(req)
	if err != nil {
		return 0, nil, "", err
	}
	defer resp.Body.Close()
	if !strings.HasPrefix(x.Response.Ended, "client closed") {
		b, err := io.ReadAll(resp.Body)
		return resp.StatusCode, resp.Header, string(b), err
	}
	want := len(strings.Split(strings.TrimRight(x.Response.Body, ",\n"), "\n"))
	timer := time.AfterFunc(4*time.Second, cancel)
	defer timer.Stop()
	var out strings.Builder
	lines := bufio.NewReader(resp.Body)
	for n := 0; n < want; {
		line, err := lines.ReadString('\n')
		out.WriteString(line)
		if strings.TrimSpace(line) != "" {
			n++
		}
		if err != nil {
			break
		}
	}
	return resp.StatusCode, resp.Header, out.String(), nil
}

var (
	createAs  = regexp.MustCompile("(?is)CREATE\\s+(?:OR\\s+REPLACE\\s+)?TABLE\\s+(?:IF NOT EXISTS\\s+)?`?(\\w+)`?\\s.*AS\\s+SELECT")
	topicProp = regexp.MustCompile(`(?i)KAFKA_TOPIC\s*=\s*'([^']+)'`)
)

// noteCache notes the topics of tables that were made with the cache on.
func (r *replay) noteCache(body string) {
	var b struct {
		KSQL       string
		Properties map[string]any `json:"streamsProperties"`
	}
	if json.Unmarshal([]byte(body), &b) != nil || b.Properties["ksql.streams.cache.max.bytes.buffering"] == "0" {
		return
	}
	m := createAs.FindStringSubmatch(b.KSQL)
	if m == nil {
		return
	}
	topic := strings.ToUpper(m[1])
	if p := topicProp.FindStringSubmatch(b.KSQL); p != nil {
		topic = p[1]
	}
	r.coalesced[topic] = true
}

var madeQuery = regexp.MustCompile(`Created query with ID (\w+)`)

// noteIDs notes which query of the recording is which here.
func (r *replay) noteIDs(got, recorded string) {
	g, w := madeQuery.FindAllStringSubmatch(got, -1), madeQuery.FindAllStringSubmatch(recorded, -1)
	if len(g) != len(w) {
		return
	}
	for i := range g {
		if g[i][1] != w[i][1] {
			r.ids[w[i][1]] = g[i][1]
		}
	}
}

var hexKey = regexp.MustCompile(`^(?:[0-9a-f]{8}|[0-9a-f]{16})$`)

// produce writes recorded input, and waits until the queries have taken it.
func (r *replay) produce(records []produced) {
	r.settle()
	for _, p := range records {
		rec := &kgo.Record{Topic: p.Topic, Timestamp: time.UnixMilli(p.Timestamp), Context: context.Background()}
		if p.Key != nil {
			rec.Key = []byte(*p.Key)
			if b, err := hex.DecodeString(*p.Key); err == nil && r.binary[p.Topic] {
				rec.Key = b
			}
		}
		if p.Value != nil {
			rec.Value = []byte(*p.Value)
		}
		if p.Partition != nil {
			rec.Context = context.WithValue(rec.Context, partitionKey{}, *p.Partition)
		}
		for _, h := range p.Headers {
			rec.Headers = append(rec.Headers, kgo.RecordHeader{Key: h[0], Value: []byte(h[1])})
		}
		if p.Timestamp == 0 {
			rec.Timestamp = time.Now()
		}
		if p.Key == nil && r.compacted(p.Topic) {
			continue // Kafka refused it; the embedded broker wouldn't
		}
		if err := r.client.ProduceSync(context.Background(), rec).FirstErr(); err != nil {
			r.t.Logf("the recorded input of %s can't be written: %v", p.Topic, err)
		}
	}
	r.settle()
}

func (r *replay) compacted(topic string) bool {
	configs, err := r.admin.DescribeTopicConfigs(context.Background(), topic)
	if err != nil || len(configs) == 0 {
		return false
	}
	for _, c := range configs[0].Configs {
		if c.Key == "cleanup.policy" {
			return strings.Contains(c.MaybeValue(), "compact")
		}
	}
	return false
}

// settle waits until every query runs and has committed all that is on its topics.
func (r *replay) settle() {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	quiet := 0
	var last []engine.QueryMetrics
	for quiet < 3 {
		queries := r.server.engine.Metrics()
		running := !slices.ContainsFunc(queries, func(q engine.QueryMetrics) bool { return q.State == "REBALANCING" })
		if running && r.drained(ctx) && slices.Equal(queries, last) {
			quiet++
		} else {
			quiet = 0
		}
		last = queries
		select {
		case <-time.After(8 * time.Millisecond):
		case <-ctx.Done():
			r.t.Logf("the queries don't come to rest: %+v", queries)
			return
		}
	}
}

// drained tells whether no query has anything left to read. What follows the last
// record of a partition is the mark of its transaction.
func (r *replay) drained(ctx context.Context) bool {
	lags, err := r.admin.Lag(ctx)
	if err != nil {
		return false
	}
	for _, g := range lags {
		for _, topic := range g.Lag {
			for _, p := range topic {
				if p.Err == nil && p.Commit.At >= 0 && p.Lag > 1 {
					return false
				}
			}
		}
	}
	return true
}

// topic compares the records of a topic.
func (r *replay) topic(want *recordedTopic) {
	if strings.HasPrefix(want.Topic, "_confluent") || strings.HasSuffix(want.Topic, "ksql_processing_log") {
		return // the engine's own form
	}
	r.compared++
	r.settle()
	before := len(r.differences)
	var config topicConfig
	if json.Unmarshal(want.Config, &config) == nil && config.Partitions > 0 {
		r.checkConfig(want.Topic, config)
	}
	if len(r.differences) > before {
		return
	}
	got, err := r.read(want.Topic)
	if err != nil {
		r.differ("topic "+want.Topic, "%v", err)
		return
	}
	var records []recorded
	dec := json.NewDecoder(bytes.NewReader(want.Records))
	dec.UseNumber()
	if err := dec.Decode(&records); err != nil {
		r.t.Logf("topic %s: what was recorded isn't records: %.100s", want.Topic, want.Records)
		return
	}
	if d := compareRecords(got, records, r.coalesced[want.Topic]); d != "" {
		r.differ("topic "+want.Topic, "%s", d)
	}
}

func (r *replay) checkConfig(topic string, want topicConfig) {
	what := "topic " + topic
	d, err := r.describe(topic)
	if err != nil {
		r.differ(what, "it isn't there: %v", err)
		return
	}
	if n := len(d.Partitions); n != want.Partitions {
		r.differ(what, "%d partitions, recorded %d", n, want.Partitions)
	}
	configs, err := r.admin.DescribeTopicConfigs(context.Background(), topic)
	require.NoError(r.t, err)
	have := map[string]string{}
	for _, c := range configs[0].Configs {
		have[c.Key] = c.MaybeValue()
	}
	for _, key := range []string{"cleanup.policy", "retention.ms"} {
		// What a topic doesn't say is the broker's default.
		def := map[string]string{"cleanup.policy": "delete", "retention.ms": "604800000"}[key]
		wanted, ok := want.NonDefault[key]
		if !ok {
			wanted = def
		}
		if v := have[key]; v != wanted && (v != "" || wanted != def) {
			r.differ(what, "%s is %s, recorded %s", key, v, wanted)
		}
	}
}

// describe asks for a topic past the client's cache.
func (r *replay) describe(topic string) (*kmsg.MetadataResponseTopic, error) {
	req := kmsg.NewPtrMetadataRequest()
	req.Topics = []kmsg.MetadataRequestTopic{{Topic: &topic}}
	resp, err := req.RequestWith(context.Background(), r.client)
	if err != nil {
		return nil, err
	}
	return &resp.Topics[0], kerr.ErrorForCode(resp.Topics[0].ErrorCode)
}

// read reads what is committed on a topic.
func (r *replay) read(topic string) ([]*kgo.Record, error) {
	ends, err := r.admin.ListCommittedOffsets(context.Background(), topic)
	if err != nil {
		return nil, err
	}
	from := map[int32]kgo.Offset{}
	left := 0
	ends.Each(func(o kadm.ListedOffset) {
		if o.Offset > 0 {
			from[o.Partition] = kgo.NewOffset().AtStart()
			left++
		}
	})
	if left == 0 {
		return nil, nil
	}
	cl, err := kgo.NewClient(kgo.SeedBrokers(r.cluster.ListenAddrs()...), kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.KeepControlRecords(),
		kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: from}))
	if err != nil {
		return nil, err
	}
	defer cl.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	var out []*kgo.Record
	for left > 0 {
		fetches := cl.PollFetches(ctx)
		if ctx.Err() != nil {
			return nil, fmt.Errorf("topic %s can't be read to its end", topic)
		}
		fetches.EachRecord(func(rec *kgo.Record) {
			end, _ := ends.Lookup(topic, rec.Partition)
			if rec.Offset == end.Offset-1 {
				left--
			}
			if !rec.Attrs.IsControl() {
				out = append(out, rec)
			}
		})
	}
	slices.SortStableFunc(out, func(a, b *kgo.Record) int { return int(a.Partition - b.Partition) })
	return out, nil
}
