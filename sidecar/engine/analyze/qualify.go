package analyze

import (
	"github.com/sidestream/sidestream/sidecar/engine/analyze/expression"
	"github.com/sidestream/sidestream/sidecar/engine/ast"
	"github.com/sidestream/sidestream/sidecar/engine/catalog"
	"github.com/sidestream/sidestream/sidecar/engine/diagnostic"
	"github.com/sidestream/sidestream/sidecar/engine/schema"
)

// source is a stream or table in FROM.
type source struct {
	alias string
	def   *catalog.Source
	pos   ast.Pos
}

// has tells whether a column of the source has that name, those that every
// record has included.
func (s *source) has(name string) bool {
	return s.def.Schema.FindKey(name) >= 0 || s.def.Schema.FindValue(name) >= 0 || isPseudo(name) ||
		isBound(name) && s.def.Window != 0
}

// sourcesOf finds what FROM names.
func sourcesOf(c *catalog.Catalog, from *ast.From) ([]*source, error) {
	var out []*source
	for _, f := range from.Sources() {
		def, ok := c.Source(f.Name)
		if !ok {
			return nil, noSuchSource(f.Pos, f.Name)
		}
		out = append(out, &source{alias: f.Alias, def: def, pos: f.Pos})
	}
	return out, nil
}

// qualify gives every column the name of the source it belongs to. Columns that
// no source has are left as they are: they may be window bounds or the key of a
// join, and the rules that follow know.
func qualify(q *ast.Query, sources []*source) (*ast.Query, error) {
	var failed error
	fail := func(err error) {
		if failed == nil {
			failed = err
		}
	}
	out := ast.RewriteQuery(q, func(e ast.Expr) ast.Expr {
		ref, ok := e.(*ast.ColumnRef)
		if !ok {
			return e
		}
		if ref.Source != "" {
			if findSource(sources, ref.Source) == nil {
				fail(noSuchAlias(ref.Pos, ref.Source))
			}
			return e
		}
		var owners []*source
		for _, s := range sources {
			if s.has(ref.Name) {
				owners = append(owners, s)
			}
		}
		switch len(owners) {
		case 0:
			return e
		case 1:
			return &ast.ColumnRef{Pos: ref.Pos, Source: owners[0].alias, Name: ref.Name}
		}
		fail(ambiguousColumn(ref, owners))
		return e
	})
	for _, item := range out.Select {
		if item.Star && item.Source != "" && findSource(sources, item.Source) == nil {
			fail(noSuchAlias(item.Pos, item.Source))
		}
	}
	return out, failed
}

func findSource(sources []*source, alias string) *source {
	for _, s := range sources {
		if s.alias == alias {
			return s
		}
	}
	return nil
}

// plainRef is the name of a source's column in the rows of the query: its own
// name, or behind a join ALIAS_NAME.
func (p *planner) plainRef(src, name string) string {
	if src == "" || len(p.sources) == 1 {
		return name
	}
	return src + "_" + name
}

// plain rewrites columns to their names in the rows of the query.
func (p *planner) plain(e ast.Expr) ast.Expr {
	return ast.Rewrite(e, func(e ast.Expr) ast.Expr {
		if ref, ok := e.(*ast.ColumnRef); ok && ref.Source != "" {
			return &ast.ColumnRef{Pos: ref.Pos, Name: p.plainRef(ref.Source, ref.Name)}
		}
		return e
	})
}

// A rule is one check of a query whose names are qualified.
type rule struct {
	name  string
	check func(p *planner) error
}

// rules are applied in this order: of several mistakes the user sees the one
// that ksqlDB would find.
var rules = []rule{
	{"join conditions name columns that are there", (*planner).checkJoinColumns},
	{"aggregates stand where there are groups", (*planner).checkAggregatePlaces},
	{"columns are not called by reserved names", (*planner).checkAliases},
	{"every column is there", (*planner).checkColumns},
	{"windows and HAVING need groups", (*planner).checkClauses},
	{"windowed tables are read by pull and push queries only", (*planner).checkWindowedTables},
}

// checkJoinColumns looks the columns of the ON clauses up.
func (p *planner) checkJoinColumns() error {
	for i := range p.query.From.Joins {
		if err := p.resolvable("JOIN ON", p.query.From.Joins[i].On, nil); err != nil {
			return err
		}
	}
	return nil
}

// checkColumns looks the columns of every other clause up.
func (p *planner) checkColumns() error {
	q := p.query
	bounds := p.grouped() && q.Window != nil && len(p.sources) == 1
	if bounds {
		if err := p.checkBounds(); err != nil {
			return err
		}
	}
	for _, item := range q.Select {
		if err := p.resolvable("SELECT", item.Expr, p.extraColumns(bounds)); err != nil {
			return err
		}
	}
	if err := p.resolvable("WHERE", q.Where, p.extraColumns(bounds)); err != nil {
		return err
	}
	for _, e := range q.GroupBy {
		if err := p.resolvable("GROUP BY", e, p.extraColumns(false)); err != nil {
			return err
		}
	}
	for _, e := range q.PartitionBy {
		if err := p.resolvable("PARTITION BY", e, p.extraColumns(false)); err != nil {
			return err
		}
	}
	return p.resolvable("HAVING", q.Having, p.extraColumns(bounds))
}

// extraColumns are names that stand for themselves: the key of a join that no
// column names, and the bounds of the query's own windows.
func (p *planner) extraColumns(bounds bool) map[string]bool {
	extra := map[string]bool{}
	if p.synthetic != "" {
		extra[p.synthetic] = true
	}
	if bounds {
		extra[schema.WindowStart], extra[schema.WindowEnd] = true, true
	}
	return extra
}

func (p *planner) resolvable(clause string, e ast.Expr, extra map[string]bool) error {
	var failed error
	ast.Walk(e, func(e ast.Expr) bool {
		ref, ok := e.(*ast.ColumnRef)
		if !ok || failed != nil {
			return failed == nil
		}
		if ref.Source == "" {
			if !extra[ref.Name] {
				failed = p.like(unresolved(clause, ref, p.hint(clause, ref)), ref)
			}
		} else if !findSource(p.sources, ref.Source).has(ref.Name) {
			failed = p.like(unresolved(clause, ref, ""), ref)
		}
		return true
	})
	return failed
}

// like adds the name of a column that was probably meant.
func (p *planner) like(e *diagnostic.Error, ref *ast.ColumnRef) error {
	var names []string
	for _, s := range p.sources {
		if ref.Source == "" || ref.Source == s.alias {
			names = append(names, columnNames(s.def)...)
		}
	}
	if name := expression.Nearest(ref.Name, names); name != "" {
		e.Hint = "did you mean " + name + "?"
	}
	return e
}

func (p *planner) hint(clause string, ref *ast.ColumnRef) string {
	if clause != "PARTITION BY" {
		return ""
	}
	for _, item := range p.query.Select {
		if item.Alias == ref.Name {
			return " '" + ref.Name + "' must be a column in the source schema since PARTITION BY is applied on the input."
		}
	}
	return ""
}

// checkBounds refuses window bounds outside of SELECT, and inside aggregates.
func (p *planner) checkBounds() error {
	var failed error
	find := func(e ast.Expr) {
		ast.Walk(e, func(e ast.Expr) bool {
			if ref, ok := e.(*ast.ColumnRef); ok && failed == nil && ref.Source == "" && isBound(ref.Name) {
				failed = boundsMisused(ref)
			}
			return failed == nil
		})
	}
	for _, item := range p.query.Select {
		for _, call := range p.expr.AggregateCalls(item.Expr) {
			for _, a := range call.Args {
				find(a)
			}
		}
	}
	for _, e := range p.query.GroupBy {
		find(e)
	}
	if p.query.Having != nil {
		find(p.query.Having)
	}
	return failed
}

// checkAliases refuses to call a column as one that every record has.
func (p *planner) checkAliases() error {
	var reserved []string
	var at ast.Pos
	for _, item := range p.query.Select {
		ref, isColumn := item.Expr.(*ast.ColumnRef)
		name := item.Alias
		if name == "" && isColumn {
			name = p.defaultName(ref, nil)
		}
		if !isSystem(name) {
			continue
		}
		if item.Alias != "" && (!isColumn || ref.Name != name) {
			return reservedAlias(item.Pos, name)
		}
		reserved = append(reserved, name)
		at = item.Pos
	}
	if reserved != nil && p.persistent {
		return reservedColumns(at, reserved)
	}
	return nil
}
