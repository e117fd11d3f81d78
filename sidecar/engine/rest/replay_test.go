package rest_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

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
	// Raw is what another client, which had a query open, was sent.
	Raw *string
	WS  *struct {
		Query string `json:"query_request"`
	}
	Messages []string
	End      string
	// Concurrent are requests that were sent at the same time.
	Concurrent []struct {
		Statement string
		Status    int
	}
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

type difference struct {
	exchange      int
	request, text string
}

// server is an engine with its REST API on a port.
type server struct {
	engine *engine.Engine
	url    string
	stop   func()
}

// newServer starts an engine on brokers and serves it.
func newServer(t *testing.T, brokers []string, dir string, set setting) *server {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	level := slog.LevelError
	if os.Getenv("GOLDEN_LOG") != "" {
		level = slog.LevelInfo
	}
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: level}))
	// The recordings' steps were seconds apart: what waits for a second is due.
	properties := map[string]string{
		"ksql.streams.__emit.interval.ms.kstreams.windowed.aggregation__":            "0",
		"ksql.streams.__emit.interval.ms.kstreams.outer.join.spurious.results.fix__": "0",
	}
	maps.Copy(properties, set.properties)
	e, err := engine.New(ctx, engine.Config{Brokers: brokers, StateDir: dir, Address: "127.0.0.1:38088", Logger: log,
		ServiceID: set.service, Properties: properties, OffsetInterval: 5 * time.Millisecond})
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
	set     setting
	cluster *kfake.Cluster
	dir     string
	server  *server
	client  *kgo.Client
	admin   *kadm.Client
	http1   *http.Client
	http2   *http.Client

	compare     bool
	alone       bool // the scenario had a server to itself
	at          int  // the exchange under way
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

func newReplay(t *testing.T, set setting) *replay {
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.DefaultNumPartitions(1), kfake.BrokerConfigs(map[string]string{"default.replication.factor": "1"}))
	require.NoError(t, err)
	t.Cleanup(cluster.Close)
	r := &replay{t: t, set: set, cluster: cluster, dir: t.TempDir(), coalesced: map[string]bool{}, ids: map[string]string{}, binary: map[string]bool{}}
	r.client, err = kgo.NewClient(kgo.SeedBrokers(cluster.ListenAddrs()...), kgo.RecordPartitioner(byHand{kgo.StickyKeyPartitioner(nil)}), kgo.ProducerLinger(0))
	require.NoError(t, err)
	t.Cleanup(r.client.Close)
	r.admin = kadm.NewClient(r.client)
	r.server = newServer(t, cluster.ListenAddrs(), r.dir, set)
	t.Cleanup(func() { r.server.stop() })
	r.http1 = &http.Client{Transport: &http.Transport{DisableCompression: true}, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	h2 := &http.Transport{DisableCompression: true, Protocols: new(http.Protocols)}
	h2.Protocols.SetUnencryptedHTTP2(true)
	r.http2 = &http.Client{Transport: h2}
	t.Cleanup(r.http1.CloseIdleConnections)
	t.Cleanup(r.http2.CloseIdleConnections)
	return r
}

// run replays a scenario; without compare, for what it leaves behind.
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
		r.at = i
		next := &exchange{}
		if i+1 < len(scenario.Exchanges) {
			next = &scenario.Exchanges[i+1]
		}
		r.exchange(&scenario.Exchanges[i], next)
	}
}

var poll = regexp.MustCompile(`^pull \d+ after restart`)

// polled tells that the same was asked again right after: only the last answer of
// such a row doesn't depend on how fast the server was.
func polled(x, next *exchange) bool {
	a, _ := x.Note.(string)
	b, _ := next.Note.(string)
	return poll.MatchString(a) && poll.MatchString(b)
}

// busy tells that the recorded server didn't get to a statement, which then had no
// effect: its command topic was held up by one before.
func busy(x *exchange) bool {
	return strings.Contains(x.Response.Body, "Timeout while waiting for command topic consumer")
}

func (r *replay) exchange(x, next *exchange) {
	switch {
	case x.Request != nil && (polled(x, next) || busy(x)):
	case x.Request != nil && next.Raw != nil:
		r.closeQuery(x, *next.Raw)
	case x.Request != nil:
		r.request(x)
	case x.WS != nil && r.compare:
		r.websocket(x)
	case x.Produced != nil:
		r.produce(x.Produced)
	case x.Topic != nil && r.compare:
		r.topic(x.Topic)
	case x.Config != nil && r.compare:
		for name, c := range x.Config {
			r.compared++
			r.checkConfig(name, topicConfig{c.Partitions, c.NonDefault})
		}
	case x.Concurrent != nil: // who wins differs; what is left behind doesn't
		for _, c := range x.Concurrent {
			if c.Status == http.StatusOK {
				r.execute(c.Statement)
			}
		}
	default:
		if note, ok := x.Note.(map[string]any); ok && note["restart"] != nil {
			r.server.stop()
			r.server = newServer(r.t, r.cluster.ListenAddrs(), r.dir, r.set)
		}
	}
}

// execute sends statements whose answers aren't looked at.
func (r *replay) execute(sql string) {
	body, err := json.Marshal(map[string]any{"ksql": sql, "streamsProperties": map[string]string{"auto.offset.reset": "earliest"}})
	require.NoError(r.t, err)
	resp, err := r.http1.Post(r.server.url+"/ksql", "application/json", bytes.NewReader(body))
	require.NoError(r.t, err)
	require.NoError(r.t, resp.Body.Close())
}

func (r *replay) differ(what, format string, args ...any) {
	r.differences = append(r.differences, difference{r.at, what, fmt.Sprintf(format, args...)})
}
