package analyze

import (
	"strings"

	"github.com/sidestream/sidestream/sidecar/engine/ast"
	"github.com/sidestream/sidestream/sidecar/engine/diagnostic"
	"github.com/sidestream/sidestream/sidecar/engine/plan"
	"github.com/sidestream/sidestream/sidecar/engine/schema"
	"github.com/sidestream/sidestream/sidecar/engine/serde"
)

// keyAlike gives both sides of a join the same key in the same format. A side is
// rekeyed where its rows have another key, and where its key is written in
// another format than the other side's, which then decides. A stream goes
// through a repartition topic then, a table is kept anew.
func (p *planner) keyAlike(join string, l, r *side, leftKey, rightKey plan.Expr) error {
	leftStays, rightStays := p.isKey(l), p.isKey(r)
	format := l.rel.keyFormat
	if !leftStays && rightStays {
		format = r.rel.keyFormat
	}
	format = supportingFormat(format, []schema.Column{{Name: "K", Type: leftKey.ResultType()}}, p.defaultKeyFormat())
	same := func(s *side) bool {
		other := l
		if s == l {
			other = r
		}
		return sameFormat(s.rel.keyFormat, format) && s.rel.node.Out().WindowSize == other.rel.node.Out().WindowSize
	}
	leftTopic, rightTopic := join+"-left-repartition", join+"-right-repartition"
	if r.rel.table() {
		leftTopic = join + "-repartition"
	}
	for _, it := range []struct {
		s     *side
		key   plan.Expr
		stays bool
		topic string
	}{{l, leftKey, leftStays, leftTopic}, {r, rightKey, rightStays, rightTopic}} {
		// The ids of schemas are part of keys: those of two topics never match.
		forced := it.s.source != nil && byRegistry(it.s.rel.keyFormat)
		if it.stays && same(it.s) && !forced {
			continue
		}
		if it.s.rel.window != "" && !(forced && it.stays) {
			p.later(windowedRepartition(it.s.on.Position()))
		}
		p.rekeySide(it.s, it.key, format)
		// The start of a window is what is in a key: the left side's size makes both ends.
		it.s.rel.node.Out().WindowSize = l.rel.node.Out().WindowSize
	}
	return nil
}

// byRegistry tells whether a format's bytes name a schema of the registry.
func byRegistry(f plan.Format) bool {
	return f.Name == serde.Avro || f.Name == serde.Protobuf || f.Name == serde.JSONSchema
}

func sameFormat(a, b plan.Format) bool {
	if a.Name != b.Name || len(a.Props) != len(b.Props) {
		return false
	}
	for k, v := range a.Props {
		if b.Props[k] != v {
			return false
		}
	}
	return true
}

// rekeySide gives a side the key of the join.
func (p *planner) rekeySide(s *side, key plan.Expr, format plan.Format) {
	on := p.bareRefs(s)
	name := s.context + "SourceKeyed"
	table := s.rel.table()
	next := p.rekey(s.rel, name, []plan.Expr{key}, []string{keyName(on, newNamer(p.sources))}, []ast.Expr{on})
	next.keyFormat = format
	if table {
		topic, store := name+"-SelectKey-repartition", name+"-Materialize"
		next.step.Store, next.step.Repartition = store, []string{topic}
		next = next.with(&plan.Repartition{Output: next.output(topic), Input: next.node, Topic: topic, KeyFormat: format, ValueFormat: internalValue(next.valueFormat)})
		next = next.with(&plan.Materialize{Output: next.output(name + "-Materialize"), Input: next.node, Store: &plan.Store{Name: store, Kind: plan.KeyValueStore}})
		next.rekeyed = false
	}
	s.rel = next
}

// with is the relation with another node that EXPLAIN doesn't show.
func (r *relation) with(n plan.Node) *relation {
	next := *r
	next.node = n
	return &next
}

// repartition leads a stream that got a new key through a topic.
func (p *planner) repartition(r *relation, topic string) (*relation, string) {
	if !r.rekeyed {
		return r, ""
	}
	next := r.with(&plan.Repartition{Output: r.output(topic), Input: r.node, Topic: topic, KeyFormat: r.keyFormat, ValueFormat: internalValue(r.valueFormat)})
	next.rekeyed = false
	return next, topic
}

// joined starts the relation of a join: the key under its name, the values of
// both sides.
func (p *planner) joined(j *joinShape, name string, l, r *side, key []schema.Column) (*relation, plan.Output, *plan.Step) {
	out := l.rel.output(name)
	out.Schema = schema.Schema{Key: key}
	out.Schema.Value = append(append(out.Schema.Value, l.rel.schema().Value...), r.rel.schema().Value...)
	step := &plan.Step{Kind: plan.JoinStep, Name: name, Inputs: []*plan.Step{l.rel.step, r.rel.step}, Table: l.rel.table(), Join: joinType(j.join.Kind)}
	step.Schema.Key = key
	step.Schema.Value = append(append(step.Schema.Value, l.rel.step.Schema.Value...), r.rel.step.Schema.Value...)
	if !j.foreign && len(columnsOf(j.equal)) == 0 { // the synthetic key is among the values too
		step.Schema.Value = append(step.Schema.Value, key...)
	}
	rel := *l.rel
	rel.step, rel.joined, rel.rekeyed, rel.stored = step, true, false, false
	if l.source != nil && rel.partitions == 0 {
		rel.partitions = r.rel.partitions
	}
	return &rel, out, step
}

// keyOf is the join's key column.
func keyOf(j *joinShape, l *side) []schema.Column {
	return []schema.Column{{Name: j.key, Type: l.rel.schema().Key[0].Type}}
}

func joinType(k ast.JoinKind) plan.JoinType {
	return [...]plan.JoinType{plan.Inner, plan.Left, plan.Right, plan.Full}[k]
}

func (p *planner) streamStreamJoin(j *joinShape, name string, l, r *side) (*relation, error) {
	var topics [2]string
	l.rel, topics[0] = p.repartition(l.rel, name+"-left-repartition")
	r.rel, topics[1] = p.repartition(r.rel, name+"-right-repartition")
	rel, out, step := p.joined(j, name, l, r, keyOf(j, l))
	within := j.join.Within
	if within == nil {
		within = &ast.Within{} // refused already, see checkWithin
	}
	n := &plan.StreamStreamJoin{Output: out, Left: l.rel.node, Right: r.rel.node, Type: step.Join,
		Before: within.Before.Millis(), After: within.After.Millis(), Grace: -1}
	step.Repartition = topics[:]
	grace := max(0, dayMillis-n.Before-n.After)
	if within.Grace != nil {
		n.Grace = within.Grace.Millis()
		grace = n.Grace
		step.Waits = n.Type != plan.Inner
	} else {
		p.warn("DEPRECATION NOTICE: Stream-stream joins statements without a GRACE PERIOD will not be accepted in a future ksqlDB version.\n" +
			"Please use the GRACE PERIOD clause as specified in https://docs.ksqldb.io/en/latest/developer-guide/ksqldb-reference/select-push-query/")
	}
	kept := n.Before + n.After + grace
	n.LeftStore = &plan.Store{Kind: plan.WindowStore, Retention: kept}
	n.RightStore = &plan.Store{Kind: plan.WindowStore, Retention: kept}
	if step.Waits {
		n.OuterStore = &plan.Store{Kind: plan.KeyValueStore}
	}
	p.numbered = append(p.numbered, func() {
		n.LeftStore.Name, n.RightStore.Name = step.Numbered.This, step.Numbered.Other
		if n.Type == plan.Right {
			n.LeftStore.Name, n.RightStore.Name = step.Numbered.Other, step.Numbered.This
		}
		if n.OuterStore != nil {
			n.OuterStore.Name = step.Numbered.Outer
		}
	})
	rel.node = n
	return rel, nil
}

func (p *planner) streamTableJoin(j *joinShape, name string, l, r *side) (*relation, error) {
	var topic string
	l.rel, topic = p.repartition(l.rel, name+"-repartition")
	rel, out, step := p.joined(j, name, l, r, keyOf(j, l))
	step.Repartition = []string{topic, ""}
	rel.node = &plan.StreamTableJoin{Output: out, Left: l.rel.node, Right: r.rel.node, Type: step.Join}
	return rel, nil
}

func (p *planner) tableTableJoin(j *joinShape, name string, l, r *side) (*relation, error) {
	rel, out, step := p.joined(j, name, l, r, keyOf(j, l))
	step.Repartition = []string{"", ""}
	rel.node = &plan.TableTableJoin{Output: out, Left: l.rel.node, Right: r.rel.node, Type: step.Join}
	return rel, nil
}

func (p *planner) foreignKeyJoin(j *joinShape, name string, l, r *side) (*relation, error) {
	if byRegistry(r.rel.keyFormat) {
		key, err := p.expr.Expr(p.bareRefs(r), r.rel.scope())
		if err != nil {
			return nil, err
		}
		p.rekeySide(r, key, supportingFormat(l.rel.keyFormat, r.rel.schema().Key, p.defaultKeyFormat()))
	}
	p.prepend(l)
	p.prepend(r)
	fk, err := p.expr.Expr(p.plain(l.on), l.rel.scope())
	if err != nil {
		return nil, err
	}
	rel, out, step := p.joined(j, name, l, r, l.rel.schema().Key)
	rel.joined = false // the key is the left table's own, and so are its columns
	step.Foreign = true
	step.Repartition = []string{"", ""}
	n := &plan.ForeignKeyJoin{Output: out, Left: l.rel.node, Right: r.rel.node, Type: step.Join, ForeignKey: fk,
		Subscriptions: &plan.Store{Kind: plan.KeyValueStore}, KeyFormat: r.rel.keyFormat}
	p.numbered = append(p.numbered, func() {
		n.Subscriptions.Name = step.Numbered.Subscriptions
		n.RegistrationTopic, n.ResponseTopic = step.Numbered.Registration, step.Numbered.Response
	})
	rel.node = n
	return rel, nil
}

// foreignKeyMissing words the lack of key columns behind a foreign-key join.
func (p *planner) foreignKeyMissing(items []item) error {
	var missing []string
	for _, k := range p.foreign.def.Schema.Key {
		found := false
		for _, it := range items {
			found = found || isRef(it.expr, p.plainRef(p.foreign.alias, k.Name))
		}
		if !found {
			missing = append(missing, schema.Quote(k.Name))
		}
	}
	plural := ""
	if len(missing) > 1 {
		plural = "s"
	}
	return diagnostic.At(p.query.Pos, "Primary key column%[1]s missing in projection. For foreign-key table-table joins, the projection must include all primary key columns from the left input table (%[2]s). Missing column%[1]s: %[3]s.",
		plural, schema.Quote(p.foreign.alias), strings.Join(missing, ", "))
}
