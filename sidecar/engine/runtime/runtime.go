package runtime

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"

	"github.com/sidestream/sidestream/sidecar/engine/exec"
	"github.com/sidestream/sidestream/sidecar/engine/function"
	"github.com/sidestream/sidestream/sidecar/engine/plan"
	"github.com/sidestream/sidestream/sidecar/engine/serde"
)

// Config is what a Runtime needs of its surroundings.
type Config struct {
	// Client are options for every Kafka client: seed brokers, TLS, SASL.
	Client []kgo.Opt
	// ServiceID names the set of queries: ksqlDB's ksql.service.id.
	ServiceID string
	// StateDir holds the stores. Empty keeps them in memory, to be restored from
	// Kafka at the next start.
	StateDir  string
	Functions function.Registry
	Schemas   serde.SchemaRegistry
	// Replication of internal topics; 0 takes the broker's default.
	Replication int16
	// CommitInterval is the longest a transaction stays open under load; an idle
	// query commits as soon as its input is drained. Default 100 ms.
	CommitInterval time.Duration
	// ProcessingLog is the topic of problems; empty only logs them.
	ProcessingLog string
	// Compression of output batches by default none: the embedded broker is on
	// the same machine.
	Compression kgo.CompressionCodec
	Logger      *slog.Logger
	// OnProblem, when set, is told of each problem besides the log.
	OnProblem func(queryID string, p exec.Problem)
}

// Runtime runs queries. Its methods may be called from any goroutine.
type Runtime struct {
	cfg   Config
	log   *slog.Logger
	db    *pebble.DB
	admin *kadm.Client
	raw   *kgo.Client // beneath admin
	tv2   bool        // the brokers take transactions of version 2 (KIP-890)

	mu      sync.Mutex
	queries map[string]*Query
	closed  bool
}

// New opens the state directory and connects. Close it.
func New(ctx context.Context, cfg Config) (*Runtime, error) {
	if cfg.CommitInterval <= 0 {
		cfg.CommitInterval = 100 * time.Millisecond
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	db, err := openState(cfg.StateDir)
	if err != nil {
		return nil, err
	}
	r := &Runtime{cfg: cfg, log: cfg.Logger, db: db, queries: map[string]*Query{}}
	if r.tv2, err = transactionsV2(ctx, cfg.Client); err != nil {
		db.Close()
		return nil, err
	}
	// From version 6 on TxnOffsetCommit names topics by id; up to 4 it belongs to
	// the older protocol, in which a producer announces the group first.
	top := kversion.Stable()
	top.SetMaxKeyVersion(int16(kmsg.TxnOffsetCommit), 4)
	if r.tv2 {
		top.SetMaxKeyVersion(int16(kmsg.TxnOffsetCommit), 5)
	}
	r.raw, err = kgo.NewClient(append(append([]kgo.Opt{}, cfg.Client...), kgo.MaxVersions(top), kgo.WithLogger(clientLog{r.log}))...)
	if err != nil {
		db.Close()
		return nil, err
	}
	r.admin = kadm.NewClient(r.raw)
	return r, nil
}

// openState opens the store of all queries. The write-ahead log is off: what a
// crash takes from the store, the changelogs give back.
func openState(dir string) (*pebble.DB, error) {
	opts := &pebble.Options{
		DisableWAL:                  true,
		MemTableSize:                4 << 20,
		MemTableStopWritesThreshold: 4,
		Logger:                      quiet{},
	}
	path := "state"
	if dir == "" {
		opts.FS = vfs.NewMem()
	} else {
		path = filepath.Join(dir, "state")
		if err := os.MkdirAll(path, 0o755); err != nil {
			return nil, fmt.Errorf("state directory %s: %w", path, err)
		}
	}
	cache := pebble.NewCache(8 << 20)
	defer cache.Unref()
	opts.Cache = cache
	db, err := pebble.Open(path, opts)
	if err != nil {
		return nil, fmt.Errorf("state directory %s: %w (remove it to rebuild the state from Kafka)", path, err)
	}
	return db, nil
}

// transactionsV2 asks the brokers for their transaction version.
func transactionsV2(ctx context.Context, opts []kgo.Opt) (bool, error) {
	cl, err := kgo.NewClient(opts...)
	if err != nil {
		return false, err
	}
	defer cl.Close()
	req := kmsg.NewPtrApiVersionsRequest()
	req.ClientSoftwareName, req.ClientSoftwareVersion = "sidestream", "1"
	resp, err := req.RequestWith(ctx, cl)
	if err != nil {
		return false, fmt.Errorf("no Kafka broker answers at %v: %w", cl.OptValue(kgo.SeedBrokers), err)
	}
	for _, f := range resp.FinalizedFeatures {
		if f.Name == "transaction.version" && f.MaxVersionLevel >= 2 {
			return true, nil
		}
	}
	return false, nil
}

// Close stops every query, committing what it has done, and the store.
func (r *Runtime) Close() error {
	r.mu.Lock()
	r.closed = true
	queries := make([]*Query, 0, len(r.queries))
	for _, q := range r.queries {
		queries = append(queries, q)
	}
	r.mu.Unlock()
	for _, q := range queries {
		q.cancel()
	}
	for _, q := range queries {
		<-q.done
	}
	r.raw.Close()
	return errors.Join(r.db.Flush(), r.db.Close())
}

// Options of one query.
type Options struct {
	// FromEarliest: without committed offsets, read from the beginning.
	FromEarliest bool
	// Paused: the query waits for Resume.
	Paused bool
	// AtLeastOnce writes without transactions.
	AtLeastOnce bool
	// CommitInterval overrides the runtime's.
	CommitInterval time.Duration
	// Config values handed on to the operators.
	Config map[string]string
}

// AppID is the Kafka Streams application id ksqlDB gives a query: its group
// and the start of its internal topics' names.
func (r *Runtime) AppID(queryID string) string {
	return "_confluent-ksql-" + r.cfg.ServiceID + "query_" + queryID
}

// Start runs a persistent query until it is stopped. It returns once the
// query's internal topics exist; restoring and running go on behind it.
func (r *Runtime) Start(ctx context.Context, p *plan.Query, o Options) (*Query, error) {
	if o.CommitInterval <= 0 {
		o.CommitInterval = r.cfg.CommitInterval
	}
	q := newQuery(r, p, o)
	if err := q.prepare(ctx); err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return nil, errors.New("runtime is closed")
	}
	if _, dup := r.queries[p.ID]; dup {
		return nil, fmt.Errorf("query %s runs already", p.ID)
	}
	r.queries[p.ID] = q
	go q.run()
	return q, nil
}

// Query finds a running query by its id.
func (r *Runtime) Query(id string) (*Query, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	q, ok := r.queries[id]
	return q, ok
}

// Stop ends a query. With forget, its state, internal topics and offsets go too
// (a dropped or terminated query); without, a later Start goes on where it was.
func (r *Runtime) Stop(ctx context.Context, id string, forget bool) error {
	r.mu.Lock()
	q, ok := r.queries[id]
	delete(r.queries, id)
	r.mu.Unlock()
	if !ok {
		return nil
	}
	q.cancel()
	<-q.done
	if !forget {
		return nil
	}
	return q.forget(ctx)
}

type quiet struct{}

func (quiet) Infof(string, ...any)  {}
func (quiet) Errorf(string, ...any) {}
func (quiet) Fatalf(format string, args ...any) {
	panic(fmt.Sprintf("state store: "+format, args...))
}

// clientLog passes the Kafka client's warnings on; its chatter is for debugging.
type clientLog struct{ log *slog.Logger }

func (l clientLog) Level() kgo.LogLevel { return kgo.LogLevelWarn }
func (l clientLog) Log(level kgo.LogLevel, msg string, kv ...any) {
	l.log.Log(context.Background(), slog.LevelDebug, "kafka client: "+msg, kv...)
}
