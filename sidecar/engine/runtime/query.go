package runtime

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/sidestream/sidestream/sidecar/engine/exec"
	"github.com/sidestream/sidestream/sidecar/engine/plan"
	"github.com/sidestream/sidestream/sidecar/engine/serde"
	"github.com/sidestream/sidestream/sidecar/engine/state"
)

// State of a query, in ksqlDB's words.
type State string

// The states.
const (
	Restoring State = "REBALANCING"
	Running   State = "RUNNING"
	Paused    State = "PAUSED"
	Failed    State = "ERROR"
	Stopped   State = "NOT_RUNNING"
)

// Query is a persistent query that runs. Its goroutine is owned by the Runtime.
type Query struct {
	rt   *Runtime
	plan *plan.Query
	opts Options
	id   string
	app  string

	subs   []*plan.SubTopology
	topics map[string]int32 // partitions of every topic it reads or writes
	stores []*plan.Store
	// storeSubs is the place in subs that each store belongs to.
	storeSubs []int

	// ctx ends when the query is to stop, hard when what it is committing then
	// must be left as it is.
	ctx    context.Context
	cancel context.CancelFunc
	hard   context.Context
	kill   context.CancelFunc
	done   chan struct{}
	ready  atomic.Bool // the stores hold the query's tables

	mu      sync.Mutex
	state   State
	lastErr error
	since   time.Time
	paused  bool
	wake    chan struct{} // closed when paused changes

	// The process's log: when it last named a problem, and how many it left out.
	logged   time.Time
	unlogged int

	// Counters, for metrics and DESCRIBE EXTENDED.
	Processed atomic.Int64
	Emitted   atomic.Int64
	Problems  atomic.Int64
	Commits   atomic.Int64
	Restarts  atomic.Int64
	LastTime  atomic.Int64 // ms of the last processed record
	Lag       atomic.Int64 // records, markers included, that its inputs hold before it
	restored  atomic.Int64
	toRestore atomic.Int64
	read      map[string]*Traffic // by topic; made once
	written   Traffic
}

func newQuery(r *Runtime, p *plan.Query, o Options) *Query {
	q := &Query{rt: r, plan: p, opts: o, id: p.ID, app: r.AppID(p.ID), subs: plan.Split(p),
		topics: map[string]int32{}, done: make(chan struct{}), state: Restoring, since: time.Now(),
		paused: o.Paused, wake: make(chan struct{})}
	q.ctx, q.cancel = context.WithCancel(context.Background())
	q.hard, q.kill = context.WithCancel(context.Background())
	return q
}

// ID is the query's id.
func (q *Query) ID() string { return q.id }

// Plan is what the query runs.
func (q *Query) Plan() *plan.Query { return q.plan }

// State tells how the query is, and the error that stopped its last life.
func (q *Query) State() (State, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.state, q.lastErr
}

// Since is when the query came into its state.
func (q *Query) Since() time.Time {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.since
}

// RestoreProgress tells how many changelog records of how many are read.
func (q *Query) RestoreProgress() (done, total int64) {
	return q.restored.Load(), q.toRestore.Load()
}

// RestoreDone tells that the query's state is what was committed.
func (q *Query) RestoreDone() bool { return q.ready.Load() }

func (q *Query) setState(s State, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.state != s {
		q.since = time.Now()
	}
	q.state = s
	if err != nil || s == Running {
		q.lastErr = err
	}
}

// Pause lets the query finish its transaction and wait; Resume lets it go on.
func (q *Query) Pause()  { q.setPaused(true) }
func (q *Query) Resume() { q.setPaused(false) }

func (q *Query) setPaused(p bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.paused != p {
		q.paused = p
		close(q.wake)
		q.wake = make(chan struct{})
	}
}

func (q *Query) pauseState() (bool, <-chan struct{}) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.paused, q.wake
}

// run lives life after life until the query is stopped.
func (q *Query) run() {
	defer close(q.done)
	defer q.kill()
	stop := context.AfterFunc(q.ctx, func() { time.AfterFunc(closing, q.kill) })
	defer stop()
	backoff := 100 * time.Millisecond
	for q.ctx.Err() == nil {
		if paused, wake := q.pauseState(); paused {
			q.setState(Paused, nil)
			select {
			case <-wake:
			case <-q.ctx.Done():
			}
			continue
		}
		started := time.Now()
		err := q.live(q.ctx)
		if q.ctx.Err() != nil {
			break
		}
		if err == nil { // paused
			continue
		}
		q.Restarts.Add(1)
		q.setState(Failed, err)
		q.rt.log.Warn("query failed and starts again from what was committed", "query", q.id, "err", err, "in", backoff)
		if time.Since(started) > time.Minute {
			backoff = 100 * time.Millisecond
		}
		select {
		case <-time.After(backoff):
		case <-q.ctx.Done():
		}
		longest := 15 * time.Second
		if unreachable(err) { // it will be back: be there
			longest = 500 * time.Millisecond
		}
		backoff = min(2*backoff, longest)
	}
	q.setState(Stopped, nil)
}

// unreachable tells errors of the network from those of the query.
func unreachable(err error) bool {
	var broker *kerr.Error
	var net net.Error
	if errors.As(err, &broker) {
		return broker.Retriable
	}
	return errors.As(err, &net) || errors.Is(err, io.EOF) || errors.Is(err, kgo.ErrClientClosed) || kgo.IsRetryableBrokerErr(err)
}

// prepare learns the partitions of the topics and makes the internal ones.
func (q *Query) prepare(ctx context.Context) error {
	if err := q.size(ctx); err != nil {
		return err
	}
	if err := q.findStores(); err != nil {
		return err
	}
	q.read = map[string]*Traffic{}
	for _, sub := range q.subs {
		for _, r := range sub.Reads {
			q.read[q.topicOf(r)] = &Traffic{}
		}
	}
	return q.createInternal(ctx)
}

// size learns how many partitions the topics have.
func (q *Query) size(ctx context.Context) error {
	var external []string
	for _, sub := range q.subs {
		for _, r := range sub.Reads {
			if s, ok := r.(*plan.Source); ok {
				external = append(external, s.Topic)
			}
		}
	}
	if s, ok := q.plan.Root.(*plan.Sink); ok {
		external = append(external, s.Topic)
	}
	known, err := describe(ctx, q.rt.raw, external)
	if err != nil {
		return fmt.Errorf("query %s: %w", q.id, err)
	}
	for _, t := range external {
		d, ok := known[t]
		if !ok {
			return fmt.Errorf("query %s: Kafka topic %s does not exist", q.id, t)
		}
		q.topics[t] = int32(len(d.leaders))
	}
	return q.sizeRepartitions()
}

// findStores builds each sub-topology once, to find the stores it keeps, and
// what is wrong with the plan.
func (q *Query) findStores() error {
	for i, sub := range q.subs {
		_, err := exec.Build(sub, exec.Env{
			Functions: q.rt.cfg.Functions, Schemas: q.rt.cfg.Schemas, Config: q.opts.Config,
			Store: func(s *plan.Store) state.Store {
				q.stores = append(q.stores, s)
				q.storeSubs = append(q.storeSubs, i)
				return state.NewMemory()
			},
		})
		if err != nil {
			return fmt.Errorf("query %s: %w", q.id, err)
		}
	}
	return nil
}

// sizeRepartitions gives each repartition topic as many partitions as the other
// inputs of the tasks that read it have, or as the tasks that write it.
func (q *Query) sizeRepartitions() error {
	size := map[*plan.Repartition]int32{}
	written := func(sub *plan.SubTopology) (n int32) {
		for _, r := range sub.Reads {
			switch r := r.(type) {
			case *plan.Source:
				n = max(n, q.topics[r.Topic])
			case *plan.Repartition:
				n = max(n, size[r])
			}
		}
		return n
	}
	for _, sub := range q.subs { // writers come before readers
		for _, root := range sub.Roots {
			if r, ok := root.(*plan.Repartition); ok {
				size[r] = written(sub)
			}
		}
	}
	for _, sub := range q.subs {
		n := int32(0)
		for _, r := range sub.Reads {
			if s, ok := r.(*plan.Source); ok {
				n = max(n, q.topics[s.Topic])
			}
		}
		if n == 0 {
			n = written(sub)
		}
		for _, r := range sub.Reads {
			if r, ok := r.(*plan.Repartition); ok {
				size[r] = n
			}
		}
	}
	for r, n := range size {
		if n == 0 {
			return fmt.Errorf("query %s: repartition topic %s has no writer", q.id, r.Topic)
		}
		q.topics[q.internal(r.Topic)] = n
	}
	return nil
}

func (q *Query) internal(suffix string) string { return q.app + "-" + suffix }

func (q *Query) changelog(s *plan.Store) string { return q.internal(s.Name + "-changelog") }

// partitionsOf is how many tasks a sub-topology has.
func (q *Query) partitionsOf(sub *plan.SubTopology) int32 {
	if exec.SingleTask(sub) {
		return 1
	}
	n := int32(0)
	for _, r := range sub.Reads {
		n = max(n, q.topics[q.topicOf(r)])
	}
	return n
}

// topicOf is the topic that a sub-topology's input is read from.
func (q *Query) topicOf(read plan.Node) string {
	switch r := read.(type) {
	case *plan.Source:
		return r.Topic
	case *plan.Repartition:
		return q.internal(r.Topic)
	}
	panic(fmt.Sprintf("runtime: %T is no input", read))
}

// createInternal makes repartition and changelog topics that are missing.
func (q *Query) createInternal(ctx context.Context) error {
	want := map[string]map[string]*string{}
	p := kadm.StringPtr
	for _, sub := range q.subs {
		for _, root := range sub.Roots {
			if r, ok := root.(*plan.Repartition); ok {
				// What is read is deleted by the query itself (purger).
				want[q.internal(r.Topic)] = map[string]*string{"cleanup.policy": p("delete"), "retention.ms": p("-1"), "segment.bytes": p("52428800"), "message.timestamp.type": p("CreateTime")}
			}
		}
	}
	for i, s := range q.stores {
		if s.NoChangelog {
			continue
		}
		cfg := map[string]*string{"cleanup.policy": p("compact"), "message.timestamp.type": p("CreateTime")}
		if s.Kind != plan.KeyValueStore && s.Retention > 0 {
			cfg["cleanup.policy"] = p("compact,delete")
			cfg["retention.ms"] = p(fmt.Sprint(s.Retention + (24 * time.Hour).Milliseconds()))
		}
		name := q.changelog(s)
		want[name] = cfg
		q.topics[name] = q.partitionsOf(q.subs[q.storeSubs[i]])
	}
	names := make([]string, 0, len(want))
	for name := range want {
		names = append(names, name)
	}
	have, err := q.existing(ctx, names)
	if err != nil {
		return err
	}
	replication := q.rt.cfg.Replication
	if replication == 0 {
		replication = -1
	}
	for name, cfg := range want {
		if have[name] {
			continue
		}
		resp, err := q.rt.admin.CreateTopic(ctx, q.topics[name], replication, cfg, name)
		if err == nil {
			err = resp.Err
		}
		if errors.Is(err, kerr.TopicAlreadyExists) {
			_, err = q.existing(ctx, []string{name})
		}
		if err != nil {
			return fmt.Errorf("query %s: make topic %s: %w", q.id, name, err)
		}
	}
	return nil
}

// existing tells which topics there are, and checks their partitions.
func (q *Query) existing(ctx context.Context, names []string) (map[string]bool, error) {
	out := map[string]bool{}
	list, err := describe(ctx, q.rt.raw, names)
	if err != nil {
		return nil, fmt.Errorf("query %s: %w", q.id, err)
	}
	for name, t := range list {
		if n := int32(len(t.leaders)); n != q.topics[name] {
			return nil, fmt.Errorf("query %s: internal topic %s has %d partitions, the query needs %d", q.id, name, n, q.topics[name])
		}
		out[name] = true
	}
	return out, nil
}

// forgetSchemas deletes the subjects of the query's repartition topics.
func (q *Query) forgetSchemas() error {
	schemas, ok := q.rt.cfg.Schemas.(interface {
		Delete(subject string) ([]int, error)
	})
	if !ok {
		return nil
	}
	var errs []error
	for _, sub := range q.subs {
		for _, read := range sub.Reads {
			r, ok := read.(*plan.Repartition)
			if !ok {
				continue
			}
			for half, format := range map[string]string{"-key": r.KeyFormat.Name, "-value": r.ValueFormat.Name} {
				if serde.SchemaType(format) != "" {
					_, err := schemas.Delete(q.internal(r.Topic) + half)
					errs = append(errs, err)
				}
			}
		}
	}
	return errors.Join(errs...)
}

// forget removes what a query left on Kafka and on disk.
func (q *Query) forget(ctx context.Context) error {
	var internal []string
	for t := range q.topics {
		if len(t) > len(q.app) && t[:len(q.app)] == q.app {
			internal = append(internal, t)
		}
	}
	var errs []error
	if len(internal) > 0 {
		_, err := q.rt.admin.DeleteTopics(ctx, internal...)
		errs = append(errs, err, q.forgetSchemas())
	}
	if _, err := q.rt.admin.DeleteGroups(ctx, q.app); err != nil && !errors.Is(err, kerr.GroupIDNotFound) {
		errs = append(errs, err)
	}
	errs = append(errs, q.rt.wipe(q.id))
	return errors.Join(errs...)
}
