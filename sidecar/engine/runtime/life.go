package runtime

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"

	"github.com/sidestream/sidestream/sidecar/engine/exec"
	"github.com/sidestream/sidestream/sidecar/engine/plan"
	"github.com/sidestream/sidestream/sidecar/engine/state"
	"github.com/sidestream/sidestream/sidecar/engine/state/disk"
)

// life is a query between two failures: everything it holds is made of what is
// committed, and thrown away at its end. It belongs to the query's goroutine.
type life struct {
	q       *Query
	client  *kgo.Client
	admin   *kadm.Client
	prod    *producer
	tasks   []*task
	sources []*source
	stores  []*store
	batch   *disk.Batch

	outside  map[string]*outTopic // by name
	inside   map[string]*outTopic // by the plan's suffix
	internal map[string]bool      // names of repartition topics

	committed map[topicPartition]int64
	unset     bool // some positions were never committed
	ctx       context.Context

	purge purger
}

// clientOptions are those of a client that speaks the transaction protocol
// itself. The versions are held where topics have names and where version 1 or
// 2 of the transactions goes with the requests' versions.
func (r *Runtime) clientOptions(extra ...kgo.Opt) []kgo.Opt {
	top := kversion.Stable()
	limit := func(k kmsg.Key, v int16) { top.SetMaxKeyVersion(int16(k), v) }
	limit(kmsg.Fetch, 12)
	limit(kmsg.Produce, 11)
	limit(kmsg.TxnOffsetCommit, 4)
	limit(kmsg.EndTxn, 4)
	if r.tv2 {
		limit(kmsg.Produce, 12)
		limit(kmsg.TxnOffsetCommit, 5)
		limit(kmsg.EndTxn, 5)
	}
	limit(kmsg.InitProducerID, 5)
	limit(kmsg.AddPartitionsToTxn, 3)
	limit(kmsg.OffsetFetch, 7)
	limit(kmsg.OffsetCommit, 8)
	opts := append([]kgo.Opt{}, r.cfg.Client...)
	opts = append(opts,
		kgo.MaxVersions(top),
		kgo.WithLogger(clientLog{r.log}),
		kgo.DisableClientMetrics(),
		kgo.ConnIdleTimeout(9*time.Minute), // brokers close after ten: a record after a pause finds its connection
		kgo.RequestRetries(3),
		kgo.RetryBackoffFn(func(int) time.Duration { return 50 * time.Millisecond }),
		kgo.MetadataMinAge(100*time.Millisecond),
	)
	return append(opts, extra...)
}

// live runs one life. It returns nil when the query is paused, else why it ended.
func (q *Query) live(ctx context.Context) error {
	q.setState(Restoring, nil)
	l, err := q.born(ctx)
	if l != nil {
		defer l.close()
	}
	if err != nil {
		return err
	}
	return l.loop(ctx)
}

// born makes a life: producer id, offsets, tasks, state. The life is returned
// with an error too, to be closed.
func (q *Query) born(ctx context.Context) (*life, error) {
	l := &life{q: q, outside: map[string]*outTopic{}, inside: map[string]*outTopic{}, internal: map[string]bool{}, committed: map[topicPartition]int64{}}
	// What is being committed is finished when the query is told to stop, within
	// bounds; its own context ends only when the process must go.
	l.ctx = q.hard
	var err error
	if l.client, err = kgo.NewClient(q.rt.clientOptions(kgo.ClientID(q.app))...); err != nil {
		return nil, err
	}
	l.admin = kadm.NewClient(l.client)
	l.batch = q.rt.disk.Batch()
	c, err := look(ctx, l.client, q.topics)
	if err != nil {
		return l, err
	}
	pack, err := newCompression(q.rt.cfg.Compression)
	if err != nil {
		return l, err
	}
	txnID := q.app
	if q.opts.AtLeastOnce {
		txnID = ""
	}
	l.prod = newProducer(l.client, txnID, q.app, q.rt.tv2, pack)
	l.destinations(c)
	if err := l.prod.init(ctx); err != nil {
		return l, err
	}
	b, err := q.build(c, false, env{store: func(t *task, s *plan.Store) (state.Store, error) { return l.open(c, t, s) }, emit: l.emit, log: q.problem})
	if err != nil {
		return l, err
	}
	l.tasks, l.sources = b.tasks, b.order
	sortSources(l.sources)
	if err := l.bindSources(c, b); err != nil {
		return l, err
	}
	if err := l.positions(ctx); err != nil {
		return l, err
	}
	return l, l.rebuild()
}

// rebuild makes the operators anew on the stores as they are after the restore:
// they read what they keep there beside their rows, such as stream times, when
// they are made.
func (l *life) rebuild() error {
	for _, t := range l.tasks {
		if len(t.stores) == 0 {
			continue
		}
		tables := map[*plan.Store]state.Store{}
		for _, st := range t.stores {
			tables[st.plan] = st.table
		}
		cfg := l.q.rt.cfg
		built, err := exec.Build(t.sub, exec.Env{
			Functions: cfg.Functions, Schemas: cfg.Schemas, Config: l.q.opts.Config,
			Internal: l.q.internal(""),
			Store:    func(s *plan.Store) state.Store { return tables[s] },
			Emit:     func(o *exec.Output) error { return l.emit(t, o) },
			Log:      l.q.problem,
		})
		if err != nil {
			return err
		}
		t.exec = built
	}
	return nil
}

func (l *life) close() {
	if l.batch != nil {
		l.batch.Drop()
	}
	l.purge.wait()
	l.client.Close()
}

// destinations makes the topics known that the query writes.
func (l *life) destinations(c *cluster) {
	add := func(name string) *outTopic {
		l.prod.topic(name, c.leaders[name])
		return l.prod.topics[name]
	}
	for _, sub := range l.q.subs {
		for _, root := range sub.Roots {
			switch n := root.(type) {
			case *plan.Sink:
				l.outside[n.Topic] = add(n.Topic)
			case *plan.Repartition:
				name := l.q.internal(n.Topic)
				l.inside[n.Topic] = add(name)
				l.internal[name] = true
			}
		}
	}
	for _, s := range l.q.stores {
		if !s.NoChangelog {
			add(l.q.changelog(s))
		}
	}
}

// open makes the store of a task.
func (l *life) open(c *cluster, t *task, s *plan.Store) (state.Store, error) {
	st := &store{plan: s, data: storePrefix('d', l.q.id, s.Name, t.partition), meta: storePrefix('m', l.q.id, s.Name, t.partition)}
	st.table = l.q.rt.disk.Table(st.data)
	if !s.NoChangelog {
		name := l.q.changelog(s)
		topic := l.prod.topics[name]
		if topic == nil || int(t.partition) >= len(topic.partitions) {
			return st.table, fmt.Errorf("changelog %s has no partition %d", name, t.partition)
		}
		st.log = &topic.partitions[t.partition]
		st.addLog(topicPartition{name, t.partition}, c.ids[name], nil)
	}
	t.stores = append(t.stores, st)
	l.stores = append(l.stores, st)
	return st.table, nil
}

// bindSources tells stores without a changelog which partitions they copy.
func (l *life) bindSources(c *cluster, b *builder) error {
	for _, t := range l.tasks {
		for _, st := range t.stores {
			if !st.plan.NoChangelog {
				continue
			}
			src := sourceOf(t.sub, st.plan)
			if src == nil {
				return fmt.Errorf("store %s has neither a changelog nor a topic of its own", st.plan.Name)
			}
			for _, q := range t.queues {
				if q.source.topic == src.Topic {
					st.addLog(q.source.topicPartition, c.ids[src.Topic], q)
				}
			}
		}
	}
	return nil
}

// sourceOf is the source step that a store belongs to.
func sourceOf(sub *plan.SubTopology, s *plan.Store) *plan.Source {
	for _, r := range sub.Reads {
		if src, ok := r.(*plan.Source); ok && src.Store == s {
			return src
		}
	}
	return nil
}

// positions finds where each input goes on, and restores the stores to there.
func (l *life) positions(ctx context.Context) error {
	var topics []string
	seen := map[string]bool{}
	add := func(t string) {
		if !seen[t] {
			seen[t] = true
			topics = append(topics, t)
		}
	}
	for _, s := range l.sources {
		add(s.topic)
	}
	for _, s := range l.stores {
		for _, g := range s.logs {
			add(g.topic)
		}
	}
	if len(topics) == 0 {
		return nil
	}
	starts, ends, err := bounds(ctx, l.admin, topics)
	if err != nil {
		return err
	}
	committed, err := l.offsets(ctx)
	if err != nil {
		return err
	}
	for _, s := range l.sources {
		start, end := starts[s.topicPartition], ends[s.topicPartition]
		at, known := committed[s.topicPartition]
		from := at.offset
		switch {
		case !known:
			l.unset = true
			if from = end; l.q.opts.FromEarliest || l.internal[s.topic] {
				from = start
			}
		case from < start:
			l.q.rt.log.Warn("records were deleted before the query read them", "query", l.q.id, "partition", s.String(), "wanted", from, "first", start)
			from = start
		case from > end:
			l.q.rt.log.Warn("topic is shorter than what the query has read of it: it was made anew", "query", l.q.id, "partition", s.String(), "wanted", from, "end", end)
			if from = end; l.q.opts.FromEarliest {
				from = start
			}
		}
		if known && from == at.offset {
			l.committed[s.topicPartition] = from
		}
		s.next, s.fetched = from, from
		notes := parseNote(at.note)
		for _, t := range l.tasks {
			for _, q := range t.queues {
				if q.source != s {
					continue
				}
				q.from, q.pos = from, from
				if n, ok := notes[t.sub.ID]; ok && n > from {
					q.from, q.pos = n, n
				}
			}
		}
	}
	return l.restore(ctx, starts, ends)
}

// bounds are the first offsets and the ends, as far as transactions are decided.
func bounds(ctx context.Context, admin *kadm.Client, topics []string) (starts, ends map[topicPartition]int64, err error) {
	get := func(list func(context.Context, ...string) (kadm.ListedOffsets, error)) (map[topicPartition]int64, error) {
		o, err := list(ctx, topics...)
		if err == nil {
			err = o.Error()
		}
		if err != nil {
			return nil, fmt.Errorf("offsets: %w", err)
		}
		out := map[topicPartition]int64{}
		o.Each(func(o kadm.ListedOffset) { out[topicPartition{o.Topic, o.Partition}] = o.Offset })
		return out, nil
	}
	if starts, err = get(admin.ListStartOffsets); err != nil {
		return nil, nil, err
	}
	ends, err = get(admin.ListCommittedOffsets)
	return starts, ends, err
}

// offsets reads what the group has committed.
func (l *life) offsets(ctx context.Context) (map[topicPartition]position, error) {
	out := map[topicPartition]position{}
	err := retry(ctx, func() error {
		req := kmsg.NewPtrOffsetFetchRequest()
		req.Group, req.RequireStable = l.q.app, true
		for _, s := range l.sources {
			if n := len(req.Topics); n == 0 || req.Topics[n-1].Topic != s.topic {
				t := kmsg.NewOffsetFetchRequestTopic()
				t.Topic = s.topic
				req.Topics = append(req.Topics, t)
			}
			t := &req.Topics[len(req.Topics)-1]
			t.Partitions = append(t.Partitions, s.partition)
		}
		if len(req.Topics) == 0 {
			return nil
		}
		resp, err := req.RequestWith(ctx, l.client)
		if err == nil {
			err = kerr.ErrorForCode(resp.ErrorCode)
		}
		if errors.Is(err, kerr.GroupIDNotFound) {
			return nil // Kafka says "unset", others that there is no such group
		}
		if err != nil {
			return fmt.Errorf("committed offsets of %s: %w", l.q.app, err)
		}
		for i := range resp.Topics {
			t := &resp.Topics[i]
			for _, p := range t.Partitions {
				err := kerr.ErrorForCode(p.ErrorCode)
				if errors.Is(err, kerr.GroupIDNotFound) {
					continue
				}
				if err != nil {
					return fmt.Errorf("committed offset of %s-%d: %w", t.Topic, p.Partition, err)
				}
				if p.Offset < 0 {
					continue
				}
				tp := topicPartition{t.Topic, p.Partition}
				pos := position{topicPartition: tp, offset: p.Offset}
				if p.Metadata != nil {
					pos.note = *p.Metadata
				}
				out[tp] = pos
			}
		}
		return nil
	})
	return out, err
}

// A note beside an offset tells how far each sub-topology got with a partition
// that several of them read: "0:17,2:23".
func parseNote(s string) map[int]int64 {
	if s == "" {
		return nil
	}
	out := map[int]int64{}
	for _, part := range strings.Split(s, ",") {
		id, offset, ok := strings.Cut(part, ":")
		n, err := strconv.Atoi(id)
		o, err2 := strconv.ParseInt(offset, 10, 64)
		if ok && err == nil && err2 == nil {
			out[n] = o
		}
	}
	return out
}

// position is what is to be committed of a source.
func (l *life) position(s *source) position {
	p := position{topicPartition: s.topicPartition, offset: s.done()}
	ahead := false
	for _, q := range s.queues {
		ahead = ahead || q.pos > p.offset
	}
	if !ahead {
		return p
	}
	var b strings.Builder
	for _, t := range l.tasks {
		for _, q := range t.queues {
			if q.source == s {
				if b.Len() > 0 {
					b.WriteByte(',')
				}
				fmt.Fprintf(&b, "%d:%d", t.sub.ID, q.pos)
			}
		}
	}
	p.note = b.String()
	return p
}

// emit takes a record that a task wrote.
func (l *life) emit(t *task, o *exec.Output) error {
	topics := l.outside
	if o.Internal {
		topics = l.inside
	}
	out := topics[o.Topic]
	if out == nil {
		return fmt.Errorf("the query writes to topic %s, which is not in its plan", o.Topic)
	}
	n := int32(len(out.partitions))
	p := o.Partition
	switch {
	case p >= n:
		return fmt.Errorf("topic %s has %d partitions, there is no partition %d", out.name, n, p)
	case p >= 0:
	case o.Key == nil:
		p = t.partition % n // any will do; this one keeps the order
	default:
		p = o.PartitionOf(n)
	}
	return l.prod.add(l.ctx, &out.partitions[p], o.Key, o.Value, o.Time, o.Headers)
}
