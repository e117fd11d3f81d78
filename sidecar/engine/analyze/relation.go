package analyze

import (
	"github.com/sidestream/sidestream/sidecar/engine/analyze/expression"
	"github.com/sidestream/sidestream/sidecar/engine/ast"
	"github.com/sidestream/sidestream/sidecar/engine/catalog"
	"github.com/sidestream/sidestream/sidecar/engine/diagnostic"
	"github.com/sidestream/sidestream/sidecar/engine/plan"
	"github.com/sidestream/sidestream/sidecar/engine/schema"
	"github.com/sidestream/sidestream/sidecar/engine/types"
)

// relation is what the query yields so far: the node that runs, the step that
// EXPLAIN shows, and what later steps ask of it.
//
// Its value columns are all that the query could name: those declared, the
// pseudo columns and copies of the key columns. What nobody asks for is taken
// away at the end (prune.go).
type relation struct {
	node plan.Node
	step *plan.Step
	// The format of the key by which the rows are partitioned, and of the values in
	// internal topics.
	keyFormat, valueFormat plan.Format
	// window of the key in words (TUMBLING, HOPPING, SESSION), "" without.
	window     string
	partitions int
	// joined: a join's key may differ from the columns of the same name, which are
	// NULL where a side has no row.
	joined bool
	// rekeyed: a stream got a key since it was read from a topic, so its records
	// may be in the wrong partition.
	rekeyed bool
	// stored: pull queries find the table's rows in a store below.
	stored bool
}

func (r *relation) schema() *schema.Schema { return &r.node.Out().Schema }
func (r *relation) table() bool            { return r.node.Out().Table }

// output is a new step's Output with the relation's schema.
func (r *relation) output(name string) plan.Output {
	o := *r.node.Out()
	o.Name = name
	return o
}

// then is the relation after one more step that keeps formats and the like.
func (r *relation) then(node plan.Node, kind plan.StepKind) *relation {
	next := *r
	next.node = node
	next.step = &plan.Step{Kind: kind, Name: node.Out().Name, Schema: r.step.Schema, Inputs: []*plan.Step{r.step}, Table: node.Out().Table}
	return &next
}

// scope finds the columns of a relation by name.
type scope struct {
	out *plan.Output
	// valueFirst: a column that is both in the key and in the value is read from
	// the value.
	valueFirst bool
	// bounds: WINDOWSTART and WINDOWEND are the bounds of the row's window.
	bounds bool
}

func (r *relation) scope() scope { return scope{out: r.node.Out(), valueFirst: r.joined} }

// Columns are the columns as text, for messages.
func (s scope) Columns() string { return s.out.Schema.String() }

// Column finds a column; analysis has checked before that it is there, but for
// columns that exist elsewhere in the query only.
func (s scope) Column(ref *ast.ColumnRef) (plan.Expr, error) {
	inKey, inValue := s.out.Schema.FindKey(ref.Name), s.out.Schema.FindValue(ref.Name)
	switch {
	case inKey >= 0 && (inValue < 0 || !s.valueFirst):
		return &plan.Column{Name: ref.Name, InKey: true, Index: inKey, Type: s.out.Schema.Key[inKey].Type}, nil
	case inValue >= 0:
		return &plan.Column{Name: ref.Name, Index: inValue, Type: s.out.Schema.Value[inValue].Type}, nil
	case s.bounds && ref.Name == schema.WindowStart:
		return &plan.Pseudo{Kind: plan.WindowStart}, nil
	case s.bounds && ref.Name == schema.WindowEnd:
		return &plan.Pseudo{Kind: plan.WindowEnd}, nil
	}
	return nil, diagnostic.At(ref.Pos, "Unknown column %s.", ref.Name)
}

// pseudoColumns are the columns that every record has, as values.
func pseudoColumns() ([]schema.Column, []plan.Expr) {
	return []schema.Column{
			{Name: schema.RowTime, Type: types.TBigint},
			{Name: schema.RowPartition, Type: types.TInteger},
			{Name: schema.RowOffset, Type: types.TBigint},
		}, []plan.Expr{
			&plan.Pseudo{Kind: plan.RowTime}, &plan.Pseudo{Kind: plan.RowPartition}, &plan.Pseudo{Kind: plan.RowOffset},
		}
}

func boundColumns() ([]schema.Column, []plan.Expr) {
	return []schema.Column{
			{Name: schema.WindowStart, Type: types.TBigint},
			{Name: schema.WindowEnd, Type: types.TBigint},
		}, []plan.Expr{
			&plan.Pseudo{Kind: plan.WindowStart}, &plan.Pseudo{Kind: plan.WindowEnd},
		}
}

// columnsAs are expressions that give columns as they are.
func columnsAs(cols []schema.Column, inKey bool) []plan.Expr {
	out := make([]plan.Expr, len(cols))
	for i, c := range cols {
		out[i] = &plan.Column{Name: c.Name, InKey: inKey, Index: i, Type: c.Type}
	}
	return out
}

// source reads a stream or table. context is its place in the query: KsqlTopic,
// or KafkaTopic_Left and so on in a join.
func (p *planner) source(s *source, context string) *relation {
	def := s.def
	src := p.read[def.Name]
	if src == nil {
		src = &plan.Source{
			Output: plan.Output{Name: context + ".Source", Schema: def.Schema, Table: def.Table, Window: def.Window, WindowSize: def.WindowSize},
			Topic:  def.Topic, SourceName: def.Name, KeyFormat: def.KeyFormat, ValueFormat: def.ValueFormat,
			KeyColumns: def.Schema.Key, ValueColumns: def.Schema.Value, Timestamp: def.Timestamp,
		}
		if def.Table {
			src.Store = &plan.Store{Name: context + "-Reduce", Kind: plan.KeyValueStore}
		}
		p.read[def.Name] = src
	}
	out := src.Output
	out.Name = context + ".Columns"
	out.Schema.Value = bare(def.Schema.Value)
	exprs := columnsAs(def.Schema.Value, false)
	add := func(cols []schema.Column, values []plan.Expr) {
		out.Schema.Value = append(out.Schema.Value, cols...)
		exprs = append(exprs, values...)
	}
	add(pseudoColumns())
	add(def.Schema.Key, columnsAs(def.Schema.Key, true))
	if def.Window != plan.NoWindow {
		add(boundColumns())
	}
	step := &plan.Step{Kind: plan.SourceStep, Name: context + ".Source", Schema: out.Schema, Table: def.Table, Topic: def.Topic}
	if def.Table {
		step.Store = context + "-Reduce"
	}
	return &relation{
		node: &plan.Project{Output: out, Input: src, Values: exprs}, step: step,
		keyFormat: def.KeyFormat, valueFormat: def.ValueFormat, window: def.WindowText, partitions: p.partitionsOf(def), stored: def.Table,
	}
}

// bare are columns that forget that they came from headers: behind the source
// they are columns as any other.
func bare(cols []schema.Column) []schema.Column {
	out := make([]schema.Column, len(cols))
	for i, c := range cols {
		out[i] = schema.Column{Name: c.Name, Type: c.Type}
	}
	return out
}

func (p *planner) partitionsOf(s *catalog.Source) int {
	if p.env.Topics != nil {
		if n, ok := p.env.Topics(s.Topic); ok {
			return n
		}
	}
	return s.Partitions
}

// where keeps the rows that match.
func (p *planner) where(r *relation) (*relation, error) {
	pred, err := p.expr.Predicate(p.plain(p.query.Where), r.scope(), "WHERE")
	if err != nil {
		return nil, err
	}
	return r.then(&plan.Filter{Output: r.output("WhereFilter"), Input: r.node, Pred: pred}, plan.FilterStep), nil
}

// rekey gives a relation a new key of expressions over it, under these names.
// Expressions that are no columns are among the values of the step, as ksqlDB
// has it.
func (p *planner) rekey(r *relation, name string, keys []plan.Expr, names []string, exprs []ast.Expr) *relation {
	out := r.output(name)
	out.Schema.Key = nil
	for i, k := range keys {
		out.Schema.Key = append(out.Schema.Key, schema.Column{Name: names[i], Type: k.ResultType()})
	}
	next := r.then(&plan.Rekey{Output: out, Input: r.node, Keys: keys}, plan.RekeyStep)
	next.step.Schema.Key = out.Schema.Key
	next.step.Schema.Value = append([]schema.Column(nil), r.step.Schema.Value...)
	for i, e := range exprs {
		next.step.Keys = append(next.step.Keys, exprText(e))
		if _, isColumn := e.(*ast.ColumnRef); !isColumn {
			next.step.Schema.Value = append(next.step.Schema.Value, out.Schema.Key[i])
		}
	}
	next.rekeyed, next.joined = true, false
	return next
}

// partitionBy is the PARTITION BY clause.
func (p *planner) partitionBy(r *relation) (*relation, error) {
	list := p.query.PartitionBy
	pos := list[0].Position()
	if r.table() {
		return nil, diagnostic.At(pos, "PARTITION BY is only supported for STREAMs")
	}
	if _, isNull := list[0].(*ast.NullLit); isNull && len(list) == 1 {
		out := r.output("PartitionBy")
		out.Schema.Key = nil
		next := r.then(&plan.Rekey{Output: out, Input: r.node}, plan.RekeyStep)
		next.step.Schema.Key = nil
		next.keyFormat = plan.Format{Name: "NONE"}
		next.rekeyed = true
		return next, nil
	}
	plains := make([]ast.Expr, len(list))
	for i, e := range list {
		plains[i] = p.plain(e)
	}
	p.partitioned = list
	p.partitionNames = make([]string, len(list))
	keys := make([]plan.Expr, len(list))
	names := newNamer(p.sources)
	for i, e := range plains {
		var err error
		if keys[i], err = p.expr.Expr(e, r.scope()); err != nil {
			return nil, err
		}
		p.partitionNames[i] = keyName(e, names)
		if err := checkKeyType(e.Position(), p.partitionNames[i], keys[i].ResultType()); err != nil {
			return nil, err
		}
	}
	if sameAsKey(plains, r.schema().Key) {
		return r, nil
	}
	if r.window != "" {
		return nil, windowedRepartition(pos)
	}
	next := p.rekey(r, "PartitionBy", keys, p.partitionNames, plains)
	next.keyFormat = supportingFormat(r.keyFormat, next.schema().Key, p.defaultKeyFormat())
	return next, nil
}

// keyName is the name of a key column for an expression: the column's, the
// field's, or one made up.
func keyName(e ast.Expr, names *namer) string {
	if ref, ok := e.(*ast.ColumnRef); ok {
		return ref.Name
	}
	return names.of(e)
}

// sameAsKey tells whether the expressions are the key columns as they are.
func sameAsKey(list []ast.Expr, key []schema.Column) bool {
	if len(list) != len(key) {
		return false
	}
	for i, e := range list {
		ref, ok := e.(*ast.ColumnRef)
		if !ok || ref.Name != key[i].Name {
			return false
		}
	}
	return true
}

// checkKeyType refuses MAPs in keys.
func checkKeyType(pos ast.Pos, name string, t types.Type) error {
	if holdsMap(t) {
		return mapInKey(pos, name, t.String())
	}
	return nil
}

func holdsMap(t types.Type) bool {
	switch t.Kind {
	case types.Map:
		return true
	case types.Array:
		return holdsMap(*t.Elem)
	case types.Struct:
		for _, f := range t.Fields {
			if holdsMap(f.Type) {
				return true
			}
		}
	}
	return false
}

// widen casts an expression where that loses nothing.
func widen(e plan.Expr, to types.Type) (plan.Expr, bool) { return expression.Coerce(e, to) }
