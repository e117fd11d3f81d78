package analyze

import (
	"github.com/sidestream/sidestream/sidecar/engine/analyze/expression"
	"github.com/sidestream/sidestream/sidecar/engine/ast"
	"github.com/sidestream/sidestream/sidecar/engine/diagnostic"
	"github.com/sidestream/sidestream/sidecar/engine/plan"
	"github.com/sidestream/sidestream/sidecar/engine/schema"
	"github.com/sidestream/sidestream/sidecar/engine/serde"
)

// planner plans one query. It goes the way of the rows: sources and joins,
// WHERE, PARTITION BY, table functions, groups, the SELECT list. Each step is
// made twice, as a node that runs and as a step that EXPLAIN shows.
type planner struct {
	env     *Env
	expr    *expression.Analyzer
	query   *ast.Query // names qualified
	sources []*source
	// persistent: the query writes a topic, called sinkName in messages.
	// kindWord is STREAM or TABLE for CREATE … AS.
	persistent bool
	sinkName   string
	kindWord   string
	// castTo makes value i of the result fit the sink of INSERT INTO; nil otherwise.
	castTo func(i int, v plan.Expr) plan.Expr

	// checkNames looks at the names of the result's columns; nil for nothing.
	checkNames func(items []item) error

	read      map[string]*plan.Source // by source: a topic is read once
	joins     []joinShape
	synthetic string     // name of the last join's key, where no column names it
	viable    []ast.Expr // columns that may name the last join's key
	foreign   *source    // the left table of a join by foreign key, the only join
	// partitioned are the PARTITION BY expressions, with their columns' names.
	partitioned    []ast.Expr
	partitionNames []string
	// of the aggregation
	aggregateTexts  []string
	ungrouped       []string
	ungroupedColumn *ast.ColumnRef

	// deferred is a mistake that counts only when the SELECT list has none.
	deferred error
	items    []item   // the result's values
	numbered []func() // give stores and topics the names that Kafka Streams counts
	warnings []string
}

func newPlanner(env *Env, q *ast.Query) (*planner, error) {
	sources, err := sourcesOf(env.Catalog, &q.From)
	if err != nil {
		return nil, err
	}
	seen := map[string]bool{}
	for _, s := range sources {
		if seen[s.alias] {
			return nil, diagnostic.At(s.pos, "Invalid FROM clause: the name '%s' stands for two sources. Give one of them an alias.", s.alias)
		}
		seen[s.alias] = true
	}
	if q.PartitionBy != nil && len(q.PartitionBy) == 0 {
		return nil, diagnostic.At(q.Pos, "PARTITION BY requires at least one expression")
	}
	qualified, err := qualify(q, sources)
	if err != nil {
		return nil, err
	}
	return &planner{
		env: env, query: qualified, sources: sources, read: map[string]*plan.Source{},
		expr: &expression.Analyzer{Functions: env.Functions, CustomType: env.Catalog.Type},
	}, nil
}

func (p *planner) warn(text string) {
	for _, w := range p.warnings {
		if w == text {
			return
		}
	}
	p.warnings = append(p.warnings, text)
}

// plan makes the rows of the result.
func (p *planner) plan() (*relation, error) {
	if len(p.query.From.Joins) > 0 {
		if err := p.checkJoinColumns(); err != nil {
			return nil, err
		}
		if err := p.shapes(); err != nil {
			return nil, err
		}
	}
	for _, r := range rules {
		if err := r.check(p); err != nil {
			return nil, err
		}
	}
	r, err := p.result()
	if err == nil {
		err = p.deferred
	}
	return r, err
}

// later notes a mistake that ksqlDB finds after those of the SELECT list.
func (p *planner) later(err error) {
	if p.deferred == nil {
		p.deferred = err
	}
}

func (p *planner) result() (*relation, error) {
	r, err := p.rows()
	if err != nil {
		return nil, err
	}
	if p.grouped() {
		groups, items, err := p.aggregate(r)
		if err != nil {
			return nil, err
		}
		return p.project(groups, "Aggregate.Project", items, groups.window != "")
	}
	items, err := p.selectItems(r)
	if err != nil {
		return nil, err
	}
	if r, items, err = p.tableFunctions(r, items); err != nil {
		return nil, err
	}
	return p.project(r, "Project", items, false)
}

// rows are what FROM, WHERE and PARTITION BY yield.
func (p *planner) rows() (r *relation, err error) {
	if len(p.joins) > 0 {
		if r, err = p.joinAll(); err != nil {
			return nil, err
		}
	} else {
		r = p.source(p.sources[0], "KsqlTopic")
	}
	if p.query.Where != nil {
		if r, err = p.where(r); err != nil {
			return nil, err
		}
	}
	if p.query.PartitionBy != nil {
		if r, err = p.partitionBy(r); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// finish names what Kafka Streams would number, takes away what nobody asks for
// and describes where pull queries find the rows.
func (p *planner) finish(id string, root plan.Node, steps *plan.Step) *plan.Query {
	plan.Number(steps)
	for _, f := range p.numbered {
		f()
	}
	q := &plan.Query{ID: id, Root: prune(root), Steps: steps}
	return q
}

func (p *planner) reads() []string {
	var out []string
	seen := map[string]bool{}
	for _, s := range p.sources {
		if !seen[s.def.Name] {
			seen[s.def.Name] = true
			out = append(out, s.def.Name)
		}
	}
	return out
}

// checkWindowedTables: a persistent query can't read a windowed table.
func (p *planner) checkWindowedTables() error {
	if !p.persistent {
		return nil
	}
	for _, s := range p.sources {
		if s.def.Table && s.def.Window != plan.NoWindow && len(p.sources) == 1 {
			e := diagnostic.At(s.pos, "KSQL does not support persistent queries on windowed tables.")
			e.Kind = diagnostic.General
			return e
		}
	}
	return nil
}

// materialized describes where rows of the root's table are stored: in the last
// store before it, with the filters and projections behind.
func materialized(root plan.Node) *plan.Materialized {
	m := &plan.Materialized{}
	n := root
	for {
		var store *plan.Store
		switch x := n.(type) {
		case *plan.Sink:
			n = x.Input
			continue
		case *plan.Filter:
			m.Steps = append([]plan.Node{x}, m.Steps...)
			n = x.Input
			continue
		case *plan.Project:
			m.Steps = append([]plan.Node{x}, m.Steps...)
			n = x.Input
			continue
		case *plan.Aggregate:
			store = x.Store
		case *plan.Materialize:
			store = x.Store
		case *plan.Source:
			store = x.Store
		}
		if store == nil {
			return nil
		}
		m.Store, m.Stored = store, n.Out()
		return m
	}
}

// defaultKeyFormat is the server's format of keys.
func (p *planner) defaultKeyFormat() plan.Format {
	if f := p.env.Config[configKeyFormat]; f != "" && f != serde.None {
		return plan.Format{Name: f}
	}
	return plan.Format{Name: serde.Kafka}
}

// supportingFormat is the format of an internal topic's key: the one that the
// rows had, unless it can't hold the new key.
func supportingFormat(f plan.Format, key []schema.Column, missing plan.Format) plan.Format {
	if len(key) == 0 {
		return f
	}
	if f.Name == serde.None {
		f = missing
	}
	if serde.Check(f, key, true) != nil {
		return plan.Format{Name: serde.JSON}
	}
	return f
}

// internalValue is the format of values in internal topics: the source's, but
// never a bare value, since there may be more columns.
func internalValue(f plan.Format) plan.Format {
	f.Unwrapped = false
	return f
}
