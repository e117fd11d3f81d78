package analyze

import (
	"strconv"

	"github.com/sidestream/sidestream/sidecar/engine/ast"
	"github.com/sidestream/sidestream/sidecar/engine/diagnostic"
	"github.com/sidestream/sidestream/sidecar/engine/format"
)

// written is CREATE … AS in canonical form: every column with its source and its
// name, and the properties of the topic that were left to the server. Answers and
// DESCRIBE show it.
func (p *planner) written(s *ast.CreateAs, props *properties) string {
	out := *s
	out.With = append(ast.Properties(nil), s.With...)
	first := p.sources[0].def
	topic, partitions, replicas := props.Topic, props.Partitions, props.Replicas
	if topic == "" {
		topic = p.env.Config[configTopicPrefix] + s.Name.Name
	}
	if partitions == 0 {
		partitions = p.partitionsOf(first)
	}
	if replicas == 0 {
		replicas = max(first.Replicas, 1)
	}
	add := func(name string, value ast.Expr) {
		if out.With.Get(name) == nil {
			out.With = append(out.With, ast.Property{Name: name, Value: value})
		}
	}
	number := func(n int64) ast.Expr { return &ast.IntLit{Value: n, Bigint: n > 1<<31-1} }
	spec := props.newTopic(topic, partitions, replicas, s.Table, p.query.Window != nil, p.windowRetention())
	retention, err := strconv.ParseInt(spec.Config["retention.ms"], 10, 64)
	if err != nil { // a compacted topic: ksqlDB shows what it doesn't set
		retention = max(defaultRetention, p.windowRetention())
	}
	add("CLEANUP_POLICY", &ast.StringLit{Value: spec.Config["cleanup.policy"]})
	add("KAFKA_TOPIC", &ast.StringLit{Value: topic})
	add("PARTITIONS", number(int64(partitions)))
	add("REPLICAS", number(int64(replicas)))
	add("RETENTION_MS", number(retention))

	query := *p.query
	query.Select = append([]ast.SelectItem(nil), p.query.Select...)
	names := newNamer(p.sources)
	for i := range query.Select {
		item := &query.Select[i]
		if item.Star || item.Alias != "" {
			continue
		}
		if _, all := item.Expr.(*ast.AllFields); !all {
			item.Alias = p.defaultName(item.Expr, names)
		}
	}
	if query.Emit == ast.EmitNone {
		query.Emit = ast.EmitChanges
	}
	out.Query = &query
	return format.Statement(&out)
}

// inStatement says which statement a mistake was found in.
func inStatement(err error, text string) error {
	d, ok := err.(*diagnostic.Error)
	if !ok || d.Statement != "" {
		return err
	}
	out := *d
	out.Statement = text
	return &out
}
