package sqltest

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/sidestream/sidestream/sidecar/client"
	"github.com/sidestream/sidestream/sidecar/engine/analyze"
	"github.com/sidestream/sidestream/sidecar/engine/ast"
	"github.com/sidestream/sidestream/sidecar/engine/catalog"
	"github.com/sidestream/sidestream/sidecar/engine/driver"
	"github.com/sidestream/sidestream/sidecar/engine/exec"
	"github.com/sidestream/sidestream/sidecar/engine/format"
	"github.com/sidestream/sidestream/sidecar/engine/plan"
	"github.com/sidestream/sidestream/sidecar/engine/serde"
	"github.com/sidestream/sidestream/sidecar/kafkaenv"
)

// settleLimit bounds how long the queries of a test may take for a record.
const settleLimit = 60 * time.Second

// Server is a ksqlDB, real or embedded, on which tests are run. Each test has
// names of its own there, for what it makes and for its topics, which have one
// partition; all of it is removed at the test's end.
type Server struct {
	ctx     context.Context // of all tests
	client  *client.Client
	service string
	options []kgo.Opt
	kafka   *kgo.Client
	adm     *kadm.Client
}

// OpenServer connects to a server's REST API and to its Kafka. The context is that
// of the tests too: when it ends, they do.
func OpenServer(ctx context.Context, c *client.Client, brokers []string) (*Server, error) {
	info, err := c.Info(ctx)
	if err != nil {
		return nil, err
	}
	opts, err := kafkaenv.Options()
	if err != nil {
		return nil, err
	}
	s := &Server{ctx: ctx, client: c, service: info.ServiceID, options: append(opts, kgo.SeedBrokers(brokers...), kgo.MetadataMinAge(50*time.Millisecond))}
	if s.kafka, err = kgo.NewClient(s.options...); err != nil {
		return nil, err
	}
	if err := s.kafka.Ping(ctx); err != nil {
		s.kafka.Close()
		return nil, fmt.Errorf("no Kafka broker answers at %s: %w", strings.Join(brokers, ","), err)
	}
	s.adm = kadm.NewClient(s.kafka)
	return s, nil
}

// Close gives up the connections to Kafka.
func (s *Server) Close() { s.kafka.Close() }

func (s *Server) backend() backend {
	nonce := make([]byte, 3)
	_, _ = rand.Read(nonce) // it doesn't fail
	return &remote{Server: s, ctx: s.ctx, prefix: "T" + strings.ToUpper(hex.EncodeToString(nonce)) + "_",
		props: map[string]any{"auto.offset.reset": "earliest", "ksql.streams.cache.max.bytes.buffering": "0", "ksql.streams.commit.interval.ms": "100"}}
}

// remote is a test's part of a server.
type remote struct {
	*Server
	ctx     context.Context
	prefix  string
	props   map[string]any
	sources []string // made, in order
	types   []string
	queries []*remoteQuery
	topics  map[string]*remoteTopic // by the name that the test gives it
}

type remoteQuery struct {
	id    string
	reads []string // topics on Kafka
	sink  string
}

type remoteTopic struct {
	name    string // on Kafka
	records []driver.Record
	next    int64
}

// name and topicName are what names of the test are on the server.
func (r *remote) name(name string) string       { return r.prefix + name }
func (r *remote) topicName(topic string) string { return strings.ToLower(r.prefix) + topic }

func (r *remote) topicOf(topic string) *remoteTopic {
	if r.topics == nil {
		r.topics = map[string]*remoteTopic{}
	}
	if r.topics[topic] == nil {
		r.topics[topic] = &remoteTopic{name: r.topicName(topic)}
	}
	return r.topics[topic]
}

// renamed is a statement under the names of the test.
func (r *remote) renamed(s ast.Statement) ast.Statement {
	query := func(q *ast.Query) *ast.Query {
		c := *q
		c.From.Joins = slices.Clone(q.From.Joins)
		c.From.Source.Name = r.name(c.From.Source.Name)
		for i := range c.From.Joins {
			c.From.Joins[i].Source.Name = r.name(c.From.Joins[i].Source.Name)
		}
		return &c
	}
	with := func(ps ast.Properties, topic string) ast.Properties {
		out := slices.DeleteFunc(slices.Clone(ps), func(p ast.Property) bool {
			return slices.Contains([]string{"KAFKA_TOPIC", "PARTITIONS", "REPLICAS"}, p.Name)
		})
		return append(out, ast.Property{Name: "KAFKA_TOPIC", Value: &ast.StringLit{Value: r.topicName(topic)}}, ast.Property{Name: "PARTITIONS", Value: &ast.IntLit{Value: 1}})
	}
	switch n := s.(type) {
	case *ast.CreateSource:
		c := *n
		c.Name.Name, c.With = r.name(n.Name.Name), with(n.With, topicIn(n.Name.Name)(n.With))
		return &c
	case *ast.CreateAs:
		c := *n
		c.Name.Name, c.With, c.Query = r.name(n.Name.Name), with(n.With, topicIn(n.Name.Name)(n.With)), query(n.Query)
		return &c
	case *ast.InsertInto:
		c := *n
		c.Target.Name, c.Query = r.name(n.Target.Name), query(n.Query)
		return &c
	case *ast.InsertValues:
		c := *n
		c.Target.Name = r.name(n.Target.Name)
		return &c
	case *ast.DropSource:
		c := *n
		c.Name.Name = r.name(n.Name.Name)
		c.DeleteTopic = false
		return &c
	}
	return s
}

// send carries out a statement and gives the id of the query that it starts. An
// error has the names that the test knows.
func (r *remote) send(s ast.Statement) (string, error) {
	return r.execute(format.Statement(r.renamed(s)))
}

func (r *remote) execute(sql string) (string, error) {
	for try := 0; ; try++ {
		entities, err := r.client.Execute(r.ctx, client.Statements{SQL: sql, Properties: maps.Clone(r.props)})
		var e *client.Error
		if errors.As(err, &e) {
			if e.HTTPStatus >= 500 && strings.Contains(e.Message, "command topic") && try < 5 {
				time.Sleep(200 * time.Millisecond) // the server is busy with the statement before
				continue
			}
			return "", errors.New(r.plain(e.Message))
		}
		if err != nil {
			return "", err
		}
		for _, e := range entities {
			if e.CommandStatus != nil && e.CommandStatus.Status == "ERROR" {
				return "", errors.New(r.plain(e.CommandStatus.Message))
			}
			if e.CommandStatus != nil {
				return e.CommandStatus.QueryID, nil
			}
		}
		return "", nil
	}
}

func (r *remote) plain(text string) string {
	return strings.NewReplacer(r.prefix, "", strings.ToLower(r.prefix), "").Replace(text)
}

// ask sends a statement that analysis refuses: nil where the server takes it.
func (s *Server) ask(b backend, st ast.Statement) error {
	r, ok := b.(*remote)
	if !ok {
		return nil
	}
	_, err := r.send(st)
	return err
}

func (r *remote) source(s *ast.CreateSource, src *catalog.Source, _ *plan.Query) error {
	id, err := r.send(s)
	if err != nil {
		return err
	}
	r.sources = append(r.sources, src.Name)
	r.topicOf(src.Topic)
	if id != "" {
		r.queries = append(r.queries, &remoteQuery{id: id, reads: []string{r.topicName(src.Topic)}})
	}
	return nil
}

func (r *remote) start(s ast.Statement, p *analyze.Persistent, _ string) error {
	id, err := r.send(s)
	if err != nil {
		return err
	}
	q := &remoteQuery{id: id}
	var walk func(plan.Node)
	walk = func(n plan.Node) {
		if src, ok := n.(*plan.Source); ok {
			q.reads = append(q.reads, r.topicName(src.Topic))
		}
		for _, in := range n.Inputs() {
			walk(in)
		}
	}
	walk(p.Plan.Root)
	if p.Topic != nil {
		r.topicOf(p.Topic.Name)
		q.sink = p.Topic.Name
	}
	r.queries = append(slices.DeleteFunc(r.queries, func(o *remoteQuery) bool { return o.id == id }), q)
	if p.Source != nil && !slices.Contains(r.sources, p.Source.Name) {
		r.sources = append(r.sources, p.Source.Name)
	}
	return r.settle()
}

// insert writes a row and waits until the queries have read it, so that records
// go through one after the other, as they do in memory.
func (r *remote) insert(s *ast.InsertValues, _ *analyze.Insert) error {
	if _, err := r.send(s); err != nil {
		return err
	}
	return r.settle()
}

func (r *remote) drop(s *ast.DropSource, src *catalog.Source) error {
	if _, err := r.send(s); err != nil {
		return err
	}
	r.sources = slices.DeleteFunc(r.sources, func(n string) bool { return n == src.Name })
	r.queries = slices.DeleteFunc(r.queries, func(q *remoteQuery) bool { return q.sink == src.Topic && src.CreatedBy != "" })
	return nil
}

func (r *remote) setting(s ast.Statement) error {
	switch s := s.(type) {
	case *ast.SetProperty:
		r.props[s.Name] = s.Value
		return nil
	case *ast.UnsetProperty:
		delete(r.props, s.Name)
		return nil
	case *ast.CreateType:
		r.types = append(r.types, s.Name.Name)
	}
	_, err := r.execute(format.Statement(s))
	return err
}

func (r *remote) record(src *catalog.Source, n int) (driver.Record, bool, error) {
	t := r.topicOf(src.Topic)
	if n >= len(t.records) {
		if err := r.readOn(t); err != nil {
			return driver.Record{}, false, err
		}
	}
	if n >= len(t.records) {
		return driver.Record{}, false, nil
	}
	return t.records[n], true, nil
}

func (r *remote) count(src *catalog.Source) (int, error) {
	t := r.topicOf(src.Topic)
	err := r.readOn(t)
	return len(t.records), err
}

func (r *remote) advance(time.Duration) error {
	return errors.New("a server's clock can't be moved: leave this test to the engine in memory")
}

func (r *remote) problems() []string { return nil }

func (r *remote) topic(name string) (bool, error) {
	end, err := r.end(r.topicName(name))
	return end >= 0, err
}

// end is the end of a topic's one partition; -1 where there is no topic.
func (r *remote) end(topic string) (int64, error) {
	ends, err := r.adm.ListCommittedOffsets(r.ctx, topic)
	if err != nil {
		return 0, err
	}
	o, ok := ends.Lookup(topic, 0)
	if !ok || errors.Is(o.Err, kerr.UnknownTopicOrPartition) {
		return -1, nil
	}
	return o.Offset, o.Err
}

// readOn reads a topic to its end.
func (r *remote) readOn(t *remoteTopic) error {
	end, err := r.end(t.name)
	if err != nil || end <= t.next {
		return err
	}
	return r.read(t.name, t.next, end, func(rec *kgo.Record) {
		t.next = rec.Offset + 1
		if rec.Attrs.IsControl() {
			return
		}
		out := driver.Record{Key: rec.Key, Value: rec.Value, Time: rec.Timestamp.UnixMilli(), Offset: rec.Offset}
		for _, h := range rec.Headers {
			out.Headers = append(out.Headers, exec.Header{Key: h.Key, Value: h.Value})
		}
		t.records = append(t.records, out)
	})
}

// read gives the records and markers of a topic from an offset up to another.
func (r *remote) read(topic string, from, to int64, fn func(*kgo.Record)) error {
	cl, err := kgo.NewClient(append(slices.Clone(r.options), kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: {0: kgo.NewOffset().At(from)}}),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.KeepControlRecords())...)
	if err != nil {
		return err
	}
	defer cl.Close()
	ctx, cancel := context.WithTimeout(r.ctx, settleLimit)
	defer cancel()
	for at := from; at < to; {
		fetches := cl.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			return fmt.Errorf("topic %s: %w", topic, err)
		}
		fetches.EachRecord(func(rec *kgo.Record) {
			at = rec.Offset + 1
			if rec.Offset < to {
				fn(rec)
			}
		})
	}
	return nil
}

// settle waits until each query, in the order of their creation, has read all
// that its topics hold.
func (r *remote) settle() error {
	ctx, cancel := context.WithTimeout(r.ctx, settleLimit)
	defer cancel()
	for _, q := range r.queries {
		group := "_confluent-ksql-" + r.service + "query_" + q.id
		for {
			left, err := r.lag(ctx, group, q)
			if err != nil {
				return err
			}
			if left == "" {
				break
			}
			select {
			case <-ctx.Done():
				return fmt.Errorf("query %s doesn't get on: %s", r.plain(q.id), r.plain(left))
			case <-time.After(10 * time.Millisecond):
			}
		}
	}
	return nil
}

// lag says what a query hasn't read; "" for nothing.
func (r *remote) lag(ctx context.Context, group string, q *remoteQuery) (string, error) {
	topics := slices.Clone(q.reads)
	req := kmsg.NewPtrMetadataRequest()
	resp, err := req.RequestWith(ctx, r.kafka)
	if err != nil {
		return "", err
	}
	for _, t := range resp.Topics {
		if t.Topic != nil && strings.HasPrefix(*t.Topic, group+"-") && !strings.HasSuffix(*t.Topic, "-changelog") {
			topics = append(topics, *t.Topic)
		}
	}
	committed, err := r.adm.FetchOffsets(ctx, group)
	if err != nil && !errors.Is(err, kerr.GroupIDNotFound) {
		return "", err
	}
	for _, t := range topics {
		end, err := r.end(t)
		if err != nil {
			return "", err
		}
		at := int64(0)
		if o, ok := committed.Lookup(t, 0); ok && o.Err == nil {
			at = max(0, o.At)
		}
		if at >= end {
			continue
		}
		records := 0
		if err := r.read(t, at, end, func(rec *kgo.Record) {
			if !rec.Attrs.IsControl() {
				records++
			}
		}); err != nil {
			return "", err
		}
		if records > 0 {
			return fmt.Sprintf("%d records of topic %s are left", records, t), nil
		}
	}
	return "", nil
}

// close removes what the test has made.
// schemas: the server has a registry of its own, if any, which tests don't ask.
func (r *remote) schemas() serde.SchemaRegistry { return nil }

func (r *remote) close() error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.ctx), time.Minute)
	defer cancel()
	r.ctx = ctx
	var errs []error
	entities, err := r.client.Exec(ctx, "SHOW QUERIES;")
	errs = append(errs, err)
	for _, e := range entities {
		for _, q := range e.Queries {
			if q.QueryType == "PERSISTENT" && len(q.Sinks) > 0 && strings.HasPrefix(q.Sinks[0], r.prefix) {
				_, err := r.execute("TERMINATE " + q.ID + ";")
				errs = append(errs, err)
			}
		}
	}
	shown, err := r.client.Exec(ctx, "SHOW STREAMS; SHOW TABLES;")
	errs = append(errs, err)
	kinds := map[string]string{}
	for _, e := range shown {
		for _, s := range append(e.Streams, e.Tables...) {
			kinds[s.Name] = s.Type
		}
	}
	for _, name := range slices.Backward(r.sources) {
		if kind := kinds[r.name(name)]; kind != "" {
			_, err := r.execute(fmt.Sprintf("DROP %s IF EXISTS %s;", kind, format.Name(r.name(name))))
			errs = append(errs, err)
		}
	}
	for _, name := range r.types {
		_, err := r.execute("DROP TYPE IF EXISTS " + format.Name(name) + ";")
		errs = append(errs, err)
	}
	for _, t := range r.topics {
		if _, err := r.adm.DeleteTopic(ctx, t.name); err != nil && !errors.Is(err, kerr.UnknownTopicOrPartition) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}
