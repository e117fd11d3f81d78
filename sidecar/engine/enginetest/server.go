package enginetest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/sidestream/sidestream/sidecar/broker"
	"github.com/sidestream/sidestream/sidecar/engine"
	"github.com/sidestream/sidestream/sidecar/engine/rest"
	"github.com/sidestream/sidestream/sidecar/engine/serde"
)

// server is a whole sidecar of its own: a broker, an engine on it, its REST API
// on a port, and clients of both.
type server struct {
	dir    string
	broker *broker.Broker
	engine *engine.Engine
	url    string
	stop   func() error
	kafka  *kgo.Client
	admin  *kadm.Client
	http   *http.Client
}

// newServer starts a server with these properties. Close it.
func newServer(ctx context.Context, properties map[string]string, schemas serde.SchemaRegistry) (s *server, err error) {
	s = &server{http: &http.Client{Transport: &http.Transport{DisableCompression: true}}}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close())
		}
	}()
	if s.dir, err = os.MkdirTemp("", "sidestream-case-"); err != nil {
		return s, err
	}
	log := slog.New(slog.DiscardHandler)
	if s.broker, err = broker.Open(ctx, broker.Config{Dir: s.dir, Clean: -1, Log: log}); err != nil {
		return s, err
	}
	s.kafka, err = kgo.NewClient(kgo.SeedBrokers(s.broker.Addr()), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerLinger(0))
	if err != nil {
		return s, err
	}
	s.admin = kadm.NewClient(s.kafka)
	s.engine, err = engine.New(ctx, engine.Config{Brokers: []string{s.broker.Addr()}, Address: "127.0.0.1:8088", Logger: log,
		Properties: properties, Schemas: schemas, CommitInterval: 5 * time.Millisecond})
	if err != nil {
		return s, err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return s, err
	}
	s.url = "http://" + l.Addr().String()
	serving, stop := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- rest.New(s.engine, log).Serve(serving, l) }()
	s.stop = func() error {
		stop()
		return <-served
	}
	return s, nil
}

func (s *server) close() error {
	var errs []error
	s.http.CloseIdleConnections()
	if s.stop != nil {
		errs = append(errs, s.stop())
	}
	if s.engine != nil {
		errs = append(errs, s.engine.Close())
	}
	if s.kafka != nil {
		s.kafka.Close()
	}
	if s.broker != nil {
		errs = append(errs, s.broker.Close())
	}
	return errors.Join(append(errs, os.RemoveAll(s.dir))...)
}

// answer is what the server says to a request.
type answer struct {
	status int
	body   []byte
}

// post sends a JSON body; accept "" leaves the media type to the server.
func (s *server) post(ctx context.Context, path, accept string, body any) (*http.Response, error) {
	data, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url+path, bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	if accept != "" {
		req.Header.Set("Accept", accept)
	}
	return s.http.Do(req)
}

func (s *server) ask(ctx context.Context, path, accept string, body any) (answer, error) {
	resp, err := s.post(ctx, path, accept, body)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	return answer{resp.StatusCode, data}, err
}

// settle waits until every query runs and has read all that is on its topics, as
// far as that shows from outside.
func (s *server) settle(ctx context.Context) error {
	quiet := 0
	var last string
	for quiet < 2 {
		now, running := s.progress()
		drained, err := s.drained(ctx)
		if err != nil {
			return fmt.Errorf("%w: %s", err, now)
		}
		if running && drained && now == last {
			quiet++
		} else {
			quiet = 0
		}
		last = now
		select {
		case <-time.After(2 * time.Millisecond):
		case <-ctx.Done():
			return fmt.Errorf("the queries don't come to rest: %s %v %v", now, running, drained)
		}
	}
	return nil
}

// progress tells how far the queries are.
func (s *server) progress() (text string, running bool) {
	running = true
	for _, q := range s.engine.Metrics() {
		running = running && q.State != "REBALANCING"
		text += fmt.Sprintf("%s %s processed %d emitted %d commits %d; ", q.ID, q.State, q.Processed, q.Emitted, q.Commits)
	}
	return text, running
}

// drained tells whether no query has anything left to read. What follows the last
// record of a partition is the mark of its transaction.
func (s *server) drained(ctx context.Context) (bool, error) {
	lags, err := s.admin.Lag(ctx)
	if err != nil {
		return false, err
	}
	for _, g := range lags {
		for _, topic := range g.Lag {
			for _, p := range topic {
				if p.Err == nil && p.Commit.At >= 0 && p.Lag > 1 {
					return false, nil
				}
			}
		}
	}
	return true, nil
}

// read reads what is committed on a topic, partition by partition.
func (s *server) read(ctx context.Context, topic string) ([]*kgo.Record, error) {
	ends, err := s.admin.ListCommittedOffsets(ctx, topic)
	if err != nil {
		return nil, err
	}
	if err := ends.Error(); err != nil {
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
	cl, err := kgo.NewClient(kgo.SeedBrokers(s.broker.Addr()), kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.KeepControlRecords(),
		kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: from}))
	if err != nil {
		return nil, err
	}
	defer cl.Close()
	byPartition := map[int32][]*kgo.Record{}
	highest := int32(0)
	for left > 0 {
		fetches := cl.PollFetches(ctx)
		if ctx.Err() != nil {
			return nil, fmt.Errorf("topic %s can't be read to its end", topic)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			if end, _ := ends.Lookup(topic, r.Partition); r.Offset == end.Offset-1 {
				left--
			}
			if !r.Attrs.IsControl() {
				byPartition[r.Partition] = append(byPartition[r.Partition], r)
				highest = max(highest, r.Partition)
			}
		})
	}
	var out []*kgo.Record
	for p := int32(0); p <= highest; p++ {
		out = append(out, byPartition[p]...)
	}
	return out, nil
}
