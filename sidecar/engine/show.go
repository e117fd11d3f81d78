package engine

import (
	"context"
	"fmt"
	"sort"
	"strings"
	"time"

	"github.com/sidestream/sidestream/sidecar/engine/analyze"
	"github.com/sidestream/sidestream/sidecar/engine/ast"
	"github.com/sidestream/sidestream/sidecar/engine/catalog"
	"github.com/sidestream/sidestream/sidecar/engine/diagnostic"
	"github.com/sidestream/sidestream/sidecar/engine/runtime"
	"github.com/sidestream/sidestream/sidecar/engine/serde"
)

// show answers SHOW and LIST.
func (e *Engine) show(ctx context.Context, s *session, st *ast.Show) (Entity, error) {
	none := []Warning{}
	switch st.Kind {
	case ast.ShowStreams, ast.ShowTables:
		return e.showSources(ctx, s, st.Text, st.Kind == ast.ShowTables, st.Extended)
	case ast.ShowTopics:
		topics, err := e.showTopics(ctx, st.All, st.Extended)
		if err != nil {
			return nil, about(CodeServerError, st.Text, "Failed to list topics\nCaused by: %v", err)
		}
		kind := "kafka_topics"
		if st.Extended {
			kind = "kafka_topics_extended"
		}
		return TopicsEntity{kind, st.Text, topics, none}, nil
	case ast.ShowQueries:
		if st.Extended {
			out := QueryDescriptionsEntity{Type: "query_descriptions", StatementText: st.Text, Descriptions: []QueryDescription{}, Warnings: none}
			for _, q := range s.world.allQueries() {
				out.Descriptions = append(out.Descriptions, e.describeQuery(ctx, q))
			}
			return out, nil
		}
		out := QueriesEntity{"queries", st.Text, []QueryInfo{}, none}
		for _, q := range s.world.allQueries() {
			out.Queries = append(out.Queries, q.info())
		}
		out.Queries = append(out.Queries, e.openQueries()...)
		return out, nil
	case ast.ShowFunctions:
		out := FunctionsEntity{"function_names", st.Text, []FunctionName{}, none}
		for _, f := range e.functions.List() {
			out.Functions = append(out.Functions, FunctionName{f.Name, f.Kind, f.Category})
		}
		return out, nil
	case ast.ShowProperties:
		return e.showProperties(s, st.Text), nil
	case ast.ShowTypes:
		out := TypesEntity{"type_list", st.Text, map[string]SchemaInfo{}, none}
		for name, t := range s.world.catalog.Types() {
			out.Types[name] = schemaInfo(t)
		}
		return out, nil
	case ast.ShowVariables:
		return s.showVariables(st.Text), nil
	}
	return nil, noConnect(st)
}

func (e *Engine) showSources(ctx context.Context, s *session, text string, tables, extended bool) (Entity, error) {
	var list []*catalog.Source
	for _, src := range s.world.catalog.Sources() {
		if src.Table == tables {
			list = append(list, src)
		}
	}
	if extended {
		return e.describeAll(ctx, s, text, list, true), nil
	}
	infos := []SourceInfo{}
	for _, src := range list {
		infos = append(infos, SourceInfo{src.Kind(), src.Name, src.Topic, keyFormat(src), src.ValueFormat.Name, src.WindowText != ""})
	}
	if tables {
		return TablesEntity{"tables", text, infos, []Warning{}}, nil
	}
	return StreamsEntity{"streams", text, infos, []Warning{}}, nil
}

// keyFormat is the format of the key as it is shown. A source without key columns
// has the default one, unless its statement says otherwise.
func keyFormat(src *catalog.Source) string {
	if src.KeyFormat.Name == serde.None && src.CreatedBy == "" && !strings.Contains(src.SQL, "KEY_FORMAT='NONE'") {
		return serde.Kafka
	}
	return src.KeyFormat.Name
}

// info is a query's line of SHOW QUERIES.
func (q *query) info() QueryInfo {
	state, _ := q.state()
	count := map[string]int{state: 1}
	if state == string(runtime.Paused) {
		state = "RUNNING"
	}
	out := QueryInfo{QueryString: q.text, Sinks: []string{}, SinkTopics: []string{}, ID: q.id, StatusCount: count, QueryType: "PERSISTENT", State: state}
	if q.sink != "" {
		out.Sinks, out.SinkTopics = []string{q.sink}, []string{q.topic}
	}
	return out
}

// state of a query in the words of SHOW QUERIES. One that restores runs, as far
// as ksqlDB's users are told.
func (q *query) state() (string, error) {
	run := q.runner()
	if run == nil {
		return "RUNNING", nil
	}
	st, err := run.State()
	q.mu.RLock()
	defer q.mu.RUnlock()
	switch {
	case st == runtime.Failed:
		return "ERROR", err
	case q.paused:
		return "PAUSED", nil
	}
	return "RUNNING", nil
}

// describe answers DESCRIBE.
func (e *Engine) describe(ctx context.Context, s *session, st *ast.Describe) (Entity, error) {
	switch st.Kind {
	case ast.DescribeStreams, ast.DescribeTables:
		var list []*catalog.Source
		for _, src := range s.world.catalog.Sources() {
			if src.Table == (st.Kind == ast.DescribeTables) {
				list = append(list, src)
			}
		}
		return e.describeAll(ctx, s, st.Text, list, st.Extended), nil
	case ast.DescribeFunction:
		return e.describeFunction(st)
	case ast.DescribeConnector:
		return nil, noConnect(st)
	}
	src, ok := s.world.catalog.Source(st.Name.Name)
	if !ok {
		env := s.env()
		return nil, diagnostic.At(st.Name.Pos, "Could not find STREAM/TABLE '%s' in the Metastore%s", st.Name.Name, analyze.NameHint(&env, st.Name.Name))
	}
	if s.dryRun {
		return nil, nil
	}
	d, warning := e.describeSource(ctx, s, src, st.Extended)
	return DescriptionEntity{"sourceDescription", st.Text, d, warnings(warning)}, nil
}

func (e *Engine) describeAll(ctx context.Context, s *session, text string, list []*catalog.Source, extended bool) Entity {
	out := DescriptionsEntity{"source_descriptions", text, []SourceDescription{}, []Warning{}}
	for _, src := range list {
		d, warning := e.describeSource(ctx, s, src, extended)
		out.Descriptions = append(out.Descriptions, d)
		out.Warnings = append(out.Warnings, warnings(warning)...)
	}
	return out
}

// describeSource describes a source, and warns where Kafka can't tell of its topic.
func (e *Engine) describeSource(ctx context.Context, s *session, src *catalog.Source, extended bool) (SourceDescription, []string) {
	d := SourceDescription{Name: src.Name, ReadQueries: []QueryInfo{}, WriteQueries: []QueryInfo{}, Fields: schemaFields(&src.Schema), Type: src.Kind(),
		Extended: extended, KeyFormat: keyFormat(src), ValueFormat: src.ValueFormat.Name, Topic: src.Topic, Statement: src.SQL,
		Offsets: []OffsetSummary{}, SourceConstraints: s.world.derivedFrom(src.Name), ClusterStatistics: []Statistic{}, ClusterErrorStats: []Statistic{}}
	if src.WindowText != "" {
		d.WindowType = &src.WindowText
	}
	if src.Timestamp != nil {
		d.Timestamp = src.Timestamp.Column.Name
	}
	if d.SourceConstraints == nil {
		d.SourceConstraints = []string{}
	}
	var warning []string
	if t, err := describeTopic(ctx, e.kafka, src.Topic); err == nil && t != nil && len(t.Partitions) > 0 {
		d.Partitions, d.Replication = len(t.Partitions), max(len(t.Partitions[0].Replicas), 1)
	} else {
		d.SourceConstraints = []string{}
		warning = []string{fmt.Sprintf("Error from Kafka: Failed to Describe Kafka Topic(s): [%s]", src.Topic)}
	}
	for _, q := range s.world.readers(src.Name) {
		d.ReadQueries = append(d.ReadQueries, q.info())
	}
	for _, q := range s.world.writers(src.Name) {
		d.WriteQueries = append(d.WriteQueries, q.info())
		if extended {
			d.Offsets = append(d.Offsets, e.offsets(ctx, q)...)
		}
	}
	e.statistics(&d, s.world)
	return d, warning
}

// offsets tell how far a query has come in each topic that it reads.
func (e *Engine) offsets(ctx context.Context, q *query) []OffsetSummary {
	group := e.rt.AppID(q.id)
	committed, err := e.adm.FetchOffsets(ctx, group)
	if err != nil {
		return nil
	}
	topics := map[string]bool{}
	committed.Each(func(o kadmOffset) { topics[o.Topic] = true })
	names := make([]string, 0, len(topics))
	for t := range topics {
		names = append(names, t)
	}
	if len(names) == 0 {
		return nil
	}
	sort.Strings(names)
	starts, err := e.adm.ListStartOffsets(ctx, names...)
	if err != nil {
		return nil
	}
	ends, err := e.adm.ListEndOffsets(ctx, names...)
	if err != nil {
		return nil
	}
	summary := OffsetSummary{GroupID: group}
	for _, t := range names {
		topic := TopicOffsets{Topic: t, Offsets: []PartitionOffsets{}}
		for p := int32(0); int(p) < len(ends[t]); p++ {
			at := int64(0)
			if o, ok := committed.Lookup(t, p); ok {
				at = o.At
			}
			topic.Offsets = append(topic.Offsets, PartitionOffsets{p, starts[t][p].Offset, ends[t][p].Offset, at})
		}
		summary.Topics = append(summary.Topics, topic)
	}
	return []OffsetSummary{summary}
}

// assertTopic answers ASSERT TOPIC.
func (e *Engine) assertTopic(ctx context.Context, s *session, st *ast.AssertTopic) (Entity, error) {
	wait := time.Second
	if st.Timeout != nil {
		wait = time.Duration(st.Timeout.Millis()) * time.Millisecond
	}
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		problem := e.checkTopic(st)
		if problem == "" {
			return AssertTopicEntity{"assert_topic", st.Text, st.Topic, !st.NotExists, []Warning{}}, nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil, about(CodeAssertFailed, st.Text, "%s", problem)
		}
	}
}

// checkTopic says in what the assertion fails.
func (e *Engine) checkTopic(st *ast.AssertTopic) string {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	t, err := describeTopic(ctx, e.kafka, st.Topic)
	if err != nil {
		return "Cannot get topic " + st.Topic + ": " + err.Error()
	}
	there := t != nil
	if st.NotExists {
		if there {
			return fmt.Sprintf("Topic %s exists", st.Topic)
		}
		return ""
	}
	if !there {
		return fmt.Sprintf("Topic %s does not exist", st.Topic)
	}
	var wrong []string
	for _, p := range st.With {
		lit, ok := p.Value.(*ast.IntLit)
		have, known := 0, true
		switch p.Name {
		case "PARTITIONS":
			have = len(t.Partitions)
		case "REPLICAS":
			have = len(t.Partitions[0].Replicas)
		default:
			known = false
		}
		switch {
		case !known:
			wrong = append(wrong, fmt.Sprintf("Cannot assert unknown topic property: %s", p.Name))
		case !ok || int64(have) != lit.Value:
			wrong = append(wrong, fmt.Sprintf("Mismatched configuration for topic %s: For config %s, expected %s got %d", st.Topic, strings.ToLower(p.Name), literalText(p.Value), have))
		}
	}
	return strings.Join(wrong, "\n")
}

func literalText(x ast.Expr) string {
	switch x := x.(type) {
	case *ast.IntLit:
		return fmt.Sprint(x.Value)
	case *ast.StringLit:
		return x.Value
	}
	return fmt.Sprintf("%v", x)
}
