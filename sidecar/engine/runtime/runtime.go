package runtime

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/sidestream/sidestream/sidecar/engine/exec"
	"github.com/sidestream/sidestream/sidecar/engine/function"
	"github.com/sidestream/sidestream/sidecar/engine/plan"
	"github.com/sidestream/sidestream/sidecar/engine/serde"
	"github.com/sidestream/sidestream/sidecar/engine/state/disk"
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
	// OffsetInterval is how long offsets may wait to be committed behind which
	// nothing was written: read again, such records have no effect again. 0 is 1 s.
	OffsetInterval time.Duration
	// PurgeInterval is how often repartition topics are emptied behind what was
	// read. Default 30 s.
	PurgeInterval time.Duration
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
	disk  *disk.Disk
	admin *kadm.Client
	raw   *kgo.Client // beneath admin
	tv2   bool        // the brokers take transactions of version 2 (KIP-890)

	dropped atomic.Int64 // problems
	kept    atomic.Int64 // when the stores were last written down, ms

	mu      sync.Mutex
	queries map[string]*Query
	closed  bool
}

// New opens the state directory and connects. Close it.
func New(ctx context.Context, cfg Config) (*Runtime, error) {
	if cfg.CommitInterval <= 0 {
		cfg.CommitInterval = 100 * time.Millisecond
	}
	if cfg.OffsetInterval <= 0 {
		cfg.OffsetInterval = time.Second
	}
	if cfg.PurgeInterval <= 0 {
		cfg.PurgeInterval = purgeInterval
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	dir := cfg.StateDir
	if dir != "" {
		dir = filepath.Join(dir, "state")
	}
	kept, err := disk.Open(dir)
	if err != nil {
		return nil, err
	}
	r := &Runtime{cfg: cfg, log: cfg.Logger, disk: kept, queries: map[string]*Query{}}
	if err := r.connect(ctx); err != nil {
		return nil, errors.Join(err, kept.Close())
	}
	return r, nil
}

func (r *Runtime) connect(ctx context.Context) (err error) {
	if r.tv2, err = transactionsV2(ctx, r.cfg.Client); err != nil {
		return err
	}
	r.raw, err = kgo.NewClient(r.clientOptions(kgo.MaxBufferedRecords(maxProblems), kgo.ProducerLinger(50*time.Millisecond))...)
	if err != nil {
		return err
	}
	r.admin = kadm.NewClient(r.raw)
	if r.cfg.ProcessingLog == "" {
		return nil
	}
	if err := r.makeProcessingLog(ctx); err != nil {
		r.raw.Close()
		return err
	}
	return nil
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
	if r.closed {
		r.mu.Unlock()
		return nil
	}
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
	ctx, cancel := context.WithTimeout(context.Background(), closing)
	defer cancel()
	r.raw.Flush(ctx) // problems on their way
	r.raw.Close()
	return r.disk.Close()
}

// Admin is a client of the cluster for who needs one beside the runtime.
func (r *Runtime) Admin() *kadm.Client { return r.admin }

// Queries are the persistent queries, by id.
func (r *Runtime) Queries() []*Query {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := make([]*Query, 0, len(r.queries))
	for _, q := range r.queries {
		out = append(out, q)
	}
	slices.SortFunc(out, func(a, b *Query) int { return cmp.Compare(a.id, b.id) })
	return out
}

// Options of one query.
type Options struct {
	// FromEarliest: without committed offsets, read from the beginning.
	FromEarliest bool
	// Paused: the query waits for Resume.
	Paused bool
	// UntilEnd, for Push: end with what the topics held at the start (pull queries
	// on streams).
	UntilEnd bool
	// Ready, for Push, is called once it is settled from where the query reads: what
	// is written from then on is seen.
	Ready func()
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
	select {
	case <-q.done:
	case <-ctx.Done():
		q.kill()
		<-q.done
	}
	if !forget {
		return nil
	}
	return q.forget(ctx)
}

// Replace stops a query and starts a new plan in its place, which goes on with
// the offsets and the state that the old one left (CREATE OR REPLACE). When the
// new plan can't start, the old one runs again.
func (r *Runtime) Replace(ctx context.Context, id string, p *plan.Query, o Options) (*Query, error) {
	if p.ID != id {
		return nil, fmt.Errorf("query %s can't be replaced by one called %s", id, p.ID)
	}
	old, ok := r.Query(id)
	if !ok {
		return nil, fmt.Errorf("query %s does not run", id)
	}
	if err := r.Stop(ctx, id, false); err != nil {
		return nil, err
	}
	q, err := r.Start(ctx, p, o)
	if err != nil {
		if _, again := r.Start(ctx, old.plan, old.opts); again != nil {
			err = errors.Join(err, again)
		}
		return nil, err
	}
	return q, nil
}

// clientLog passes the Kafka client's warnings on; its chatter is for debugging.
type clientLog struct{ log *slog.Logger }

// Level implements kgo.Logger.
func (l clientLog) Level() kgo.LogLevel { return kgo.LogLevelWarn }

// Log implements kgo.Logger.
func (l clientLog) Log(_ kgo.LogLevel, msg string, kv ...any) {
	l.log.Log(context.Background(), slog.LevelDebug, "kafka client: "+msg, kv...)
}
