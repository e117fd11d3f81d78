package engine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"strconv"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"golang.org/x/sync/errgroup"

	"github.com/sidestream/sidestream/sidecar/engine/function"
	"github.com/sidestream/sidestream/sidecar/engine/parser"
	"github.com/sidestream/sidestream/sidecar/engine/runtime"
	"github.com/sidestream/sidestream/sidecar/engine/serde"
)

// Version is the ksqlDB release whose behaviour the engine has. Clients look at
// it to know what they may ask for.
const Version = "7.9.5"

// Config is what an engine needs.
type Config struct {
	// Brokers are the seed addresses, host:port.
	Brokers []string
	// Client are further options of every Kafka client: TLS, SASL.
	Client []kgo.Opt
	// ServiceID names the set of statements and queries, and keeps it apart from
	// others on the same Kafka; "default_" when empty.
	ServiceID string
	// StateDir holds the queries' stores; empty keeps them in memory, to be
	// restored from Kafka at each start.
	StateDir string
	// Address is where REST is served, as host:port: answers name it.
	Address string
	// CommitInterval is the longest a query's transaction stays open under load; 0
	// is 100 ms. An idle query commits at once.
	CommitInterval time.Duration
	// OffsetInterval is how long a query may wait to note that it has read records
	// which changed nothing; 0 is 1 s.
	OffsetInterval time.Duration
	// Properties are ksqlDB settings (ksql.…, or Kafka Streams' own) for all
	// statements; a request's properties come before them.
	Properties map[string]string
	// Replication of topics that the engine makes for itself; 0 is the broker's
	// default.
	Replication int16
	// MaxPushQueries bounds the push queries, and PRINTs, that are open at a time; 0
	// is what ksql.max.push.queries says, or 100.
	MaxPushQueries int
	Schemas        serde.SchemaRegistry // nil without
	Logger         *slog.Logger
}

// Engine runs the statements of one service id. Its methods may be called from
// any goroutine.
type Engine struct {
	cfg       Config
	log       *slog.Logger
	functions function.Registry
	owner     *ownership
	adm       *kadm.Client
	kafka     *kgo.Client // beneath adm, and the producer of INSERT VALUES
	statement *statementLog
	rt        *runtime.Runtime
	world     *world
	clusterID string
	started   time.Time

	// exec is held by the request whose statements are carried out.
	exec sync.Mutex

	mu       sync.Mutex
	statuses map[string]CommandStatus // by command id
	done     int64                    // sequence number of the last command
	advanced chan struct{}            // closed when done moves
	push     map[string]*Rows
	printing int // PRINTs that are open
	closing  bool
	stop     chan struct{}
	lost     error
	inserts  insertCache
}

// New takes the service id, replays its statements and starts its queries. It
// returns when the engine can answer; queries may still be restoring. ctx bounds
// the start only. An error names what to do about it.
func New(ctx context.Context, cfg Config) (*Engine, error) {
	if cfg.ServiceID == "" {
		cfg.ServiceID = "default_"
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	if n, err := strconv.Atoi(cfg.Properties["ksql.max.push.queries"]); err == nil && cfg.MaxPushQueries <= 0 {
		cfg.MaxPushQueries = n
	}
	if cfg.MaxPushQueries <= 0 {
		cfg.MaxPushQueries = 100
	}
	if len(cfg.Brokers) > 0 {
		cfg.Client = append([]kgo.Opt{kgo.SeedBrokers(cfg.Brokers...)}, cfg.Client...)
	}
	props := maps.Clone(cfg.Properties)
	for name, v := range props {
		if err := checkValue(name, v); err != nil {
			return nil, fmt.Errorf("property %s: %w", name, err)
		}
	}
	e := &Engine{cfg: cfg, log: cfg.Logger, functions: function.Configured(cfg.Properties), world: newWorld(), started: time.Now(),
		statuses: map[string]CommandStatus{}, advanced: make(chan struct{}), push: map[string]*Rows{}, stop: make(chan struct{})}
	if err := e.start(ctx); err != nil {
		_ = e.shut()
		return nil, err
	}
	go e.watchOwner()
	return e, nil
}

func (e *Engine) start(ctx context.Context) error {
	var err error
	e.kafka, err = kgo.NewClient(append(append([]kgo.Opt{}, e.cfg.Client...),
		kgo.ProducerLinger(0), kgo.RecordPartitioner(partitioner()), kgo.UnknownTopicRetries(2))...)
	if err != nil {
		return err
	}
	e.adm = kadm.NewClient(e.kafka)
	meta, err := e.adm.BrokerMetadata(ctx)
	if err != nil {
		return fmt.Errorf("no Kafka broker answers at %v: %w", e.kafka.OptValue(kgo.SeedBrokers), err)
	}
	e.clusterID = meta.Cluster
	if e.owner, err = acquire(ctx, &e.cfg, e.adm, e.kafka); err != nil {
		return err
	}
	var entries []entry
	if e.statement, entries, err = openLog(ctx, &e.cfg, e.adm, e.kafka); err != nil {
		return err
	}
	problems := e.processingLog()
	if err := makeTopic(ctx, e.adm, e.kafka, problems, 1, map[string]*string{"cleanup.policy": kadm.StringPtr("delete"), "retention.ms": kadm.StringPtr("604800000")}); err != nil {
		return err
	}
	e.rt, err = runtime.New(ctx, runtime.Config{Client: e.cfg.Client, ServiceID: e.cfg.ServiceID, StateDir: e.cfg.StateDir,
		Functions: e.functions, Schemas: e.cfg.Schemas, Replication: e.cfg.Replication, CommitInterval: e.cfg.CommitInterval, OffsetInterval: e.cfg.OffsetInterval,
		ProcessingLog: problems, Logger: e.log})
	if err != nil {
		return err
	}
	if len(entries) == 0 {
		return e.first(ctx, problems)
	}
	return e.replay(ctx, entries)
}

// processingLog is the topic of the records that queries could not use.
func (e *Engine) processingLog() string {
	if t := e.cfg.Properties["ksql.logging.processing.topic.name"]; t != "" {
		return t
	}
	return e.cfg.ServiceID + "ksql_processing_log"
}

// first declares the processing log as a stream, as ksqlDB does at its first start
// unless it is told not to.
func (e *Engine) first(ctx context.Context, topic string) error {
	if e.cfg.Properties["ksql.logging.processing.stream.auto.create"] == "false" {
		return nil
	}
	text := "CREATE STREAM KSQL_PROCESSING_LOG (logger STRING, level STRING, time BIGINT, message STRUCT<type INT, " +
		"deserializationError STRUCT<target STRING, errorMessage STRING, recordB64 STRING, cause ARRAY<STRING>, `topic` STRING>, " +
		"recordProcessingError STRUCT<errorMessage STRING, record STRING, cause ARRAY<STRING>>, " +
		"productionError STRUCT<errorMessage STRING>, " +
		"serializationError STRUCT<target STRING, errorMessage STRING, record STRING, cause ARRAY<STRING>, `topic` STRING>, " +
		"kafkaStreamsThreadError STRUCT<errorMessage STRING, threadName STRING, cause ARRAY<STRING>>>) " +
		"WITH (KAFKA_TOPIC='" + topic + "', VALUE_FORMAT='JSON');"
	if _, err := e.Execute(ctx, Request{SQL: text}); err != nil {
		return fmt.Errorf("declare the processing log %s: %w", topic, err)
	}
	return nil
}

// replay makes the catalogue and the queries of the log's entries.
func (e *Engine) replay(ctx context.Context, entries []entry) error {
	began := time.Now()
	topics := newTopicView(ctx, e.kafka)
	for i := range entries {
		if err := e.replayEntry(ctx, topics, &entries[i]); err != nil {
			return fmt.Errorf("the statement at offset %d of %s can't be replayed: %w\n\t%s", entries[i].offset, e.statement.topic, err, entries[i].Statement)
		}
	}
	var start errgroup.Group
	start.SetLimit(4)
	queries := e.world.allQueries()
	for _, q := range queries {
		start.Go(func() error { return e.run(ctx, q) })
	}
	if err := start.Wait(); err != nil {
		return err
	}
	e.log.Info("statements replayed", "service", e.cfg.ServiceID, "statements", len(entries), "queries", len(queries), "took", time.Since(began).Round(time.Millisecond))
	return nil
}

func (e *Engine) replayEntry(ctx context.Context, topics *topicView, en *entry) error {
	e.advance(en.offset)
	if en.Statement == "" {
		return nil
	}
	stmts, err := parser.Parse(en.Statement)
	if err != nil {
		return err
	}
	if len(stmts) != 1 {
		return fmt.Errorf("%d statements", len(stmts))
	}
	for i := range en.Topics {
		t := &en.Topics[i]
		if n, there := topics.partitions(t.Name); there {
			t.Partitions, t.Strict = n, false
		}
		if err := e.ensureTopic(ctx, topics, t, en.Statement, false); err != nil {
			return err
		}
	}
	s := e.newSession(e.world, topics)
	s.properties, s.replayed, s.recorded = en.Properties, en.QueryID, en.Schemas
	c, err := e.change(s, stmts[0])
	if err != nil {
		return err
	}
	if c != nil {
		e.world.apply(c)
		e.setStatus(c, "SUCCESS", c.message)
	}
	return nil
}

// watchOwner ends the engine when another instance has taken the service id.
func (e *Engine) watchOwner() {
	select {
	case <-e.owner.Lost:
		e.mu.Lock()
		e.lost = e.owner.err()
		e.mu.Unlock()
		e.log.Error("the service id is lost", "err", e.lost)
		e.Close()
	case <-e.stop:
	}
}

// Done is closed when the engine has ended, by Close or by itself; Err tells why.
func (e *Engine) Done() <-chan struct{} { return e.stop }

// Err is why the engine ended by itself: another instance took its service id.
func (e *Engine) Err() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.lost
}

// Close ends push queries, stops persistent ones at a commit, and releases the
// service id.
func (e *Engine) Close() error {
	e.mu.Lock()
	if e.closing {
		e.mu.Unlock()
		<-e.stop
		return nil
	}
	e.closing = true
	open := make([]*Rows, 0, len(e.push))
	for _, r := range e.push {
		open = append(open, r)
	}
	e.mu.Unlock()
	for _, r := range open {
		r.Close()
	}
	e.exec.Lock() // a statement under way is carried out first
	defer e.exec.Unlock()
	err := e.shut()
	close(e.stop)
	return err
}

// shut closes what start has opened.
func (e *Engine) shut() error {
	var errs []error
	if e.rt != nil {
		errs = append(errs, e.rt.Close())
	}
	if e.statement != nil {
		e.statement.close()
	}
	if e.owner != nil {
		e.owner.release()
	}
	if e.kafka != nil {
		e.kafka.Close()
	}
	return errors.Join(errs...)
}

// Info is what GET /info says.
type Info struct {
	Version   string `json:"version"`
	ClusterID string `json:"kafkaClusterId"`
	ServiceID string `json:"ksqlServiceId"`
	Status    string `json:"serverStatus"`
}

// Info tells what the engine is.
func (e *Engine) Info() Info {
	return Info{Version: Version, ClusterID: e.clusterID, ServiceID: e.cfg.ServiceID, Status: "RUNNING"}
}

// Health is what GET /healthcheck says.
type Health struct {
	Metastore, Kafka, CommandRunner bool
	// Restoring queries, with the changelog records read of those to read.
	Restoring   int
	Done, Total int64
}

// Health asks Kafka for a sign of life, and the queries how they are.
func (e *Engine) Health(ctx context.Context) Health {
	h := Health{Metastore: true, CommandRunner: e.Err() == nil}
	ask, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	_, err := describeTopics(ask, e.kafka, []string{e.statement.topic})
	h.Kafka = err == nil
	for _, q := range e.world.allQueries() {
		run := q.runner()
		if run == nil {
			continue
		}
		if st, _ := run.State(); st == runtime.Restoring {
			d, t := run.RestoreProgress()
			h.Restoring, h.Done, h.Total = h.Restoring+1, h.Done+d, h.Total+t
		}
	}
	return h
}
