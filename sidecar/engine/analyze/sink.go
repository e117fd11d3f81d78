package analyze

import (
	"strings"

	"github.com/sidestream/sidestream/sidecar/engine/ast"
	"github.com/sidestream/sidestream/sidecar/engine/catalog"
	"github.com/sidestream/sidestream/sidecar/engine/diagnostic"
	"github.com/sidestream/sidestream/sidecar/engine/plan"
	"github.com/sidestream/sidestream/sidecar/engine/schema"
	"github.com/sidestream/sidestream/sidecar/engine/serde"
)

// CreateAs analyses CREATE STREAM | TABLE … AS SELECT.
func CreateAs(env *Env, s *ast.CreateAs, queryID string) (*Persistent, error) {
	old, exists := env.Catalog.Source(s.Name.Name)
	if exists && s.IfNotExists {
		return &Persistent{Source: old, Exists: true}, nil
	}
	props, err := parseProperties(s.With, withCreateAs)
	if err != nil {
		return nil, err
	}
	out, err := createAs(env, s, props, queryID)
	if err != nil {
		return nil, undetermined(err)
	}
	if exists && !s.OrReplace {
		return nil, undetermined(inStatement(taken(s, old), out.Source.SQL))
	}
	out.Replaces = exists
	if exists {
		if err := checkReplace(old, out.Source); err != nil {
			return nil, inStatement(err, out.Source.SQL)
		}
	}
	return out, nil
}

// taken: ksqlDB looks for the name after all else.
func taken(s *ast.CreateAs, old *catalog.Source) error {
	kind := "stream"
	if s.Table {
		kind = "table"
	}
	return diagnostic.At(s.Name.Pos, "Cannot add %s '%s': A %s with the same name already exists", kind, s.Name.Name, strings.ToLower(old.Kind()))
}

// undetermined says what ksqlDB says before most mistakes of a query that makes
// a source.
func undetermined(err error) error {
	d, ok := err.(*diagnostic.Error)
	if !ok {
		return err
	}
	for _, own := range []string{"Exception while preparing statement:", "Failed to prepare statement:", "Key format does not support schema", "Value format does not support schema", "The retention period of"} {
		if strings.HasPrefix(d.Message, own) {
			return d
		}
	}
	out := *d
	out.Kind = diagnostic.Statement
	out.Message = "Could not determine output schema for query due to error: " + d.Message
	return &out
}

func createAs(env *Env, s *ast.CreateAs, props *properties, queryID string) (*Persistent, error) {
	p, err := newPlanner(env, s.Query)
	if err != nil {
		return nil, err
	}
	p.persistent, p.sinkName, p.kindWord = true, s.Name.Name, "STREAM"
	if s.Table {
		p.kindWord = "TABLE"
	}
	if s.Query.Limit != nil {
		e := diagnostic.At(s.Query.Pos, "CREATE %s AS SELECT statements don't support LIMIT clause.", p.kindWord)
		e.Kind = diagnostic.General
		return nil, e
	}
	p.checkNames = func(items []item) error { return checkTimestamp(props, items) }
	text := p.written(s, props)
	r, err := p.plan()
	if err != nil {
		return nil, inStatement(err, text)
	}
	if r.table() != s.Table {
		made := "STREAM"
		if r.table() {
			made = "TABLE"
		}
		return nil, inStatement(diagnostic.At(s.Pos, "Invalid result type. Your SELECT query produces a %[1]s. Please use CREATE %[1]s AS SELECT statement instead.\nStatement: %[2]s", made, text), text)
	}
	if s.Table && !r.stored {
		r = p.keep(r)
	}
	source, err := p.sinkSource(s, props, r, queryID)
	if err != nil {
		return nil, inStatement(err, text)
	}
	source.SQL = text
	root, step := p.sink(r, source)
	q := p.finish(queryID, root, step)
	if s.Table {
		q.Materialized = materialized(q.Root)
		q.Materialized.Format = r.valueFormat
	}
	out := &Persistent{Source: source, Plan: q, Reads: p.reads(), Writes: source.Name, Warnings: p.warnings}
	out.Topic = props.newTopic(source.Topic, source.Partitions, source.Replicas, s.Table, source.Window != plan.NoWindow, p.windowRetention())
	return out, nil
}

// checkTimestamp: the TIMESTAMP column must be one of the result's.
func checkTimestamp(props *properties, items []item) error {
	if props.Timestamp == "" {
		return nil
	}
	name := identifier(props.Timestamp)
	for _, it := range items {
		if it.name == name {
			return nil
		}
	}
	e := diagnostic.At(props.pos("TIMESTAMP"), "The TIMESTAMP column set in the WITH clause does not exist in the schema: '%s'", name)
	e.Kind = diagnostic.General
	return e
}

// windowRetention is RETENTION of the query's window, 0 without.
func (p *planner) windowRetention() int64 {
	if w := p.query.Window; w != nil && w.Retention != nil {
		return w.Retention.Millis()
	}
	return 0
}

// keep stores the rows of a table that nothing below stores, so that pull
// queries find them.
func (p *planner) keep(r *relation) *relation {
	const store = "Project-Last"
	next := r.with(&plan.Materialize{Output: r.output("Project-Last"), Input: r.node, Store: &plan.Store{Name: store, Kind: plan.KeyValueStore}})
	next.step.Store = store
	next.stored = true
	return next
}

// sinkSource is the stream or table that the query makes.
func (p *planner) sinkSource(s *ast.CreateAs, props *properties, r *relation, queryID string) (*catalog.Source, error) {
	first := p.sources[0].def
	out := &catalog.Source{
		Name: s.Name.Name, Table: s.Table, Schema: *r.schema(), Topic: props.Topic, Partitions: props.Partitions, Replicas: props.Replicas,
		Window: r.node.Out().Window, WindowSize: r.node.Out().WindowSize, WindowText: r.window,
		CreatedBy: queryID, Materialized: s.Table,
	}
	if out.Topic == "" {
		out.Topic = p.env.Config[configTopicPrefix] + s.Name.Name
	}
	if out.Partitions == 0 {
		out.Partitions = p.partitionsOf(first)
	}
	if out.Replicas == 0 {
		out.Replicas = first.Replicas
	}
	like := &catalogFormats{Key: first.KeyFormat, Value: first.ValueFormat}
	if like.Key.Name == serde.None {
		like.Key = plan.Format{}
	}
	var err error
	if out.KeyFormat, out.ValueFormat, err = props.formats(p.env, &out.Schema, like); err != nil {
		return nil, err
	}
	out.KeyFormat = namedKey(out.KeyFormat, out.Name)
	if err = checkRegistered(p.env, s.Name.Pos, out); err != nil {
		return nil, err
	}
	out.Timestamp, err = props.timestamp(&out.Schema)
	if err == nil && p.env.Topics != nil {
		if n, ok := p.env.Topics(out.Topic); ok && n != out.Partitions {
			err = topicDiffers(props, out.Topic, n, out.Partitions, max(out.Replicas, 1))
		}
	}
	return out, err
}

// sink ends the query in a topic.
func (p *planner) sink(r *relation, to *catalog.Source) (plan.Node, *plan.Step) {
	out := r.output(to.Name)
	out.Schema = to.Schema
	n := &plan.Sink{Output: out, Input: r.node, SinkName: to.Name, Topic: to.Topic, KeyFormat: to.KeyFormat, ValueFormat: to.ValueFormat, Timestamp: to.Timestamp}
	step := &plan.Step{Kind: plan.SinkStep, Name: to.Name, Schema: to.Schema, Inputs: []*plan.Step{r.step}, Table: r.table(), Topic: to.Topic}
	return n, step
}

// InsertInto analyses INSERT INTO … SELECT.
func InsertInto(env *Env, s *ast.InsertInto, queryID string) (*Persistent, error) {
	to, ok := env.Catalog.Source(s.Target.Name)
	if !ok {
		e := located(s.Target.Pos, "Source %s does not exist.", "`"+s.Target.Name+"`")
		e.Message = "Exception while preparing statement: " + e.Message
		e.Kind = diagnostic.General
		return nil, e
	}
	if err := checkTarget(s, to); err != nil {
		return nil, err
	}
	p, err := newPlanner(env, s.Query)
	if err != nil {
		return nil, err
	}
	if s.Query.Limit != nil {
		e := diagnostic.At(s.Query.Pos, "INSERT INTO statements don't support LIMIT clause.")
		e.Kind = diagnostic.General
		return nil, e
	}
	p.persistent, p.sinkName = true, to.Name
	p.castTo = func(i int, v plan.Expr) plan.Expr {
		if i < len(to.Schema.Value) && !v.ResultType().Equal(to.Schema.Value[i].Type) {
			if cast, ok := widen(v, to.Schema.Value[i].Type); ok {
				return cast
			}
		}
		return v
	}
	r, err := p.plan()
	if err != nil {
		return nil, err
	}
	if r.table() {
		return nil, diagnostic.At(s.Pos, "Incompatible data sink and query result. Data sink (%s) type is KSTREAM but select query result is KTABLE.", to.Name)
	}
	if got := r.schema(); got.String() != to.Schema.String() {
		return nil, diagnostic.At(s.Pos, "Incompatible schema between results and sink.\nResult schema is %s\nSink schema is %s", got.String(), to.Schema.String())
	}
	root, step := p.sink(r, to)
	return &Persistent{Plan: p.finish(queryID, root, step), Reads: p.reads(), Writes: to.Name, Warnings: p.warnings,
		Topic: &TopicSpec{Name: to.Topic, Partitions: to.Partitions, Replicas: to.Replicas}}, nil
}

func checkTarget(s *ast.InsertInto, to *catalog.Source) error {
	general := func(format string, args ...any) error {
		e := diagnostic.At(s.Target.Pos, format, args...)
		e.Kind = diagnostic.General
		return e
	}
	switch {
	case to.ReadOnly:
		return general("Cannot insert into read-only %s: %s", strings.ToLower(to.Kind()), to.Name)
	case to.Table:
		return diagnostic.At(s.Target.Pos, "INSERT INTO can only be used to insert into a stream. %s is a table.", to.Name)
	}
	for _, c := range to.Schema.Value {
		if c.Headers {
			return general("Cannot insert into %s because it has header columns", to.Name)
		}
	}
	return nil
}

// PushQuery analyses a SELECT whose rows go to a client.
func PushQuery(env *Env, s *ast.Select, queryID string) (*Push, error) {
	p, err := newPlanner(env, s.Query)
	if err != nil {
		return nil, err
	}
	r, err := p.plan()
	if err != nil {
		return nil, err
	}
	out := &Push{Columns: r.schema().Value, Table: r.table(), Limit: -1, Reads: p.reads()}
	for _, it := range p.items {
		key := false
		for _, k := range r.schema().Key {
			key = key || isRef(it.expr, k.Name)
		}
		out.Key = append(out.Key, key)
		bound := ""
		for _, name := range []string{schema.WindowStart, schema.WindowEnd} {
			if r.node.Out().Window != plan.NoWindow && isRef(it.expr, name) {
				bound = name
			}
		}
		out.Bounds = append(out.Bounds, bound)
	}
	if s.Query.Limit != nil {
		out.Limit = *s.Query.Limit
	}
	out.Plan = p.finish(queryID, &plan.Emit{Output: r.output("Emit"), Input: r.node}, r.step)
	return out, nil
}
