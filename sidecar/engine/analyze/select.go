package analyze

import (
	"sort"

	"github.com/sidestream/sidestream/sidecar/engine/ast"
	"github.com/sidestream/sidestream/sidecar/engine/diagnostic"
	"github.com/sidestream/sidestream/sidecar/engine/plan"
	"github.com/sidestream/sidestream/sidecar/engine/schema"
	"github.com/sidestream/sidestream/sidecar/engine/types"
)

// item is a column of the result: an expression with plain names (or what
// replaced it) and the name of the column.
type item struct {
	pos  ast.Pos
	expr ast.Expr
	name string
}

// selectItems are the columns that the SELECT list asks for over r, the rows
// before the projection: stars and struct stars expanded, every column named.
func (p *planner) selectItems(r *relation) ([]item, error) {
	names := newNamer(p.sources)
	var out []item
	for _, s := range p.query.Select {
		if s.Star {
			out = append(out, p.star(r, s)...)
			continue
		}
		if all, ok := s.Expr.(*ast.AllFields); ok {
			fields, err := p.allFields(r, all)
			if err != nil {
				return nil, err
			}
			out = append(out, fields...)
			continue
		}
		name := s.Alias
		if name == "" {
			name = p.defaultName(s.Expr, names)
		}
		out = append(out, item{s.Pos, p.plain(s.Expr), name})
	}
	return out, nil
}

// defaultName is the name of a column without an alias. Behind a join a name
// that several sources have gets its source's name before it.
func (p *planner) defaultName(e ast.Expr, names *namer) string {
	ref, ok := e.(*ast.ColumnRef)
	if !ok {
		return names.of(e)
	}
	owners := 0
	for _, s := range p.sources {
		if s.has(ref.Name) {
			owners++
		}
	}
	if owners > 1 {
		return p.plainRef(ref.Source, ref.Name)
	}
	return ref.Name
}

// star expands * and source.*. Behind PARTITION BY it is every column of the
// rows, else the columns that the sources declare.
func (p *planner) star(r *relation, s ast.SelectItem) []item {
	var out []item
	add := func(name string) {
		out = append(out, item{s.Pos, &ast.ColumnRef{Pos: s.Pos, Name: name}, name})
	}
	if p.query.PartitionBy != nil {
		for _, c := range r.schema().Key {
			add(c.Name)
		}
		for _, c := range r.schema().Value {
			if r.schema().FindKey(c.Name) < 0 && !isSystem(c.Name) {
				add(c.Name)
			}
		}
		return out
	}
	if s.Source == "" && p.synthetic != "" {
		add(p.synthetic)
	}
	for _, src := range p.sources {
		if s.Source != "" && s.Source != src.alias {
			continue
		}
		names := columnNames(src.def)
		keys := len(src.def.Schema.Key)
		for _, name := range names[:keys] {
			add(p.plainRef(src.alias, name))
		}
		// By itself a persistent query's result has bounds of its own.
		if (!p.persistent || len(p.query.From.Joins) > 0) && src.def.Window != plan.NoWindow {
			add(p.plainRef(src.alias, schema.WindowStart))
			add(p.plainRef(src.alias, schema.WindowEnd))
		}
		for _, name := range names[keys:] {
			add(p.plainRef(src.alias, name))
		}
	}
	return out
}

// allFields expands struct->*.
func (p *planner) allFields(r *relation, all *ast.AllFields) ([]item, error) {
	x := p.plain(all.X)
	typed, err := p.expr.Expr(x, r.scope())
	if err != nil {
		return nil, err
	}
	t := typed.ResultType()
	if t.Kind != types.Struct {
		return nil, diagnostic.At(all.Pos, "Struct ALL expression is not supported for non-STRUCT type: %s is %s", exprText(x), t)
	}
	var out []item
	for _, f := range t.Fields {
		out = append(out, item{all.Pos, &ast.FieldOf{Pos: all.Pos, X: x, Name: f.Name}, f.Name})
	}
	return out, nil
}

// isRef tells whether an expression is a column as it is.
func isRef(e ast.Expr, name string) bool {
	ref, ok := e.(*ast.ColumnRef)
	return ok && ref.Source == "" && ref.Name == name
}

// project computes the result's columns. Of a query that writes a topic the
// items that are key columns become the key; of a push query all are values.
func (p *planner) project(r *relation, name string, items []item, bounds bool) (*relation, error) {
	out := r.output(name)
	out.Schema.Value = nil
	items = p.overPartitions(items)
	s := r.scope()
	s.bounds = bounds
	typed := make([]plan.Expr, len(items))
	for i, it := range items {
		var err error
		if typed[i], err = p.expr.Expr(it.expr, s); err != nil {
			return nil, p.aggregateNames(err)
		}
	}
	used := make([]bool, len(items)) // as key columns
	if p.persistent {
		if p.checkNames != nil {
			if err := p.checkNames(items); err != nil {
				return nil, err
			}
		}
		var err error
		if out.Schema.Key, err = p.splitKey(r, items, used); err != nil {
			return nil, err
		}
		if p.newPlanner() && !r.table() {
			r, out.Schema.Key = p.selectKey(r, items, used)
		}
	}
	var values []plan.Expr
	var rest []item
	for i, it := range items {
		if used[i] {
			continue
		}
		v := typed[i]
		if p.castTo != nil {
			v = p.castTo(len(values), v)
		}
		values, rest = append(values, v), append(rest, it)
		out.Schema.Value = append(out.Schema.Value, schema.Column{Name: it.name, Type: v.ResultType()})
	}
	items = rest
	if p.persistent {
		if err := p.checkResult(&out.Schema, items); err != nil {
			return nil, err
		}
	}
	next := r.then(&plan.Project{Output: out, Input: r.node, Values: values}, plan.ProjectStep)
	next.step.Schema = out.Schema
	p.items = items
	return next, nil
}

// overPartitions puts the key column where an item is what the query partitions
// by.
func (p *planner) overPartitions(items []item) []item {
	if p.partitioned == nil {
		return items
	}
	out := append([]item(nil), items...)
	for i := range out {
		text := exprText(out[i].expr)
		for j, e := range p.partitioned {
			if text == exprText(p.plain(e)) {
				out[i].expr = &ast.ColumnRef{Pos: out[i].pos, Name: p.partitionNames[j]}
			}
		}
	}
	return out
}

// splitKey marks the items that are the key columns and names the key by them.
// Each key column must be there once; with ksqlDB's new planner a stream may do
// without its key.
func (p *planner) splitKey(r *relation, items []item, used []bool) (key []schema.Column, err error) {
	missing := false
	for _, k := range r.schema().Key {
		var names []string
		var at ast.Pos
		for i, it := range items {
			if !isRef(it.expr, k.Name) {
				continue
			}
			used[i] = true
			names = append(names, it.name)
			at = it.pos
		}
		switch {
		case len(names) == 0:
			missing = true
		case len(names) > 1:
			sort.Strings(names)
			if names[0] == names[len(names)-1] {
				return nil, diagnostic.At(at, "Duplicate key columns found in schema: %s", schemaText(names[0], k.Type)+" KEY")
			}
			return nil, diagnostic.At(at, "The projection contains a key column (%s) more than once, aliased as: %s.\n"+
				"Each key column must only be in the projection once. If you intended to copy the key into the value, then consider using the AS_VALUE function to indicate which key reference should be copied.",
				schema.Quote(k.Name), andList(quoteAll(names), "and"))
		default:
			key = append(key, schema.Column{Name: names[0], Type: k.Type})
		}
	}
	if missing && (r.table() || !p.newPlanner()) {
		return nil, p.missingKey(r, items)
	}
	return key, nil
}

// newPlanner: the query is planned as by ksqlDB's new planner, which is off by
// default.
func (p *planner) newPlanner() bool { return p.env.Config[configNewPlanner] == "true" }

// selectKey gives a stream the key that the SELECT list has: its key columns, in
// that order, of which some may be missing.
func (p *planner) selectKey(r *relation, items []item, used []bool) (*relation, []schema.Column) {
	var key []schema.Column
	var from []plan.Expr
	for i, it := range items {
		if !used[i] {
			continue
		}
		for j, k := range r.schema().Key {
			if isRef(it.expr, k.Name) {
				key = append(key, schema.Column{Name: it.name, Type: k.Type})
				from = append(from, &plan.Column{Name: k.Name, InKey: true, Index: j, Type: k.Type})
			}
		}
	}
	same := len(key) == len(r.schema().Key)
	for i, x := range from {
		same = same && x.(*plan.Column).Index == i
	}
	if same {
		return r, key
	}
	out := r.output("SelectKey")
	out.Schema.Key = nil
	for i, x := range from {
		out.Schema.Key = append(out.Schema.Key, schema.Column{Name: x.(*plan.Column).Name, Type: key[i].Type})
	}
	return r.with(&plan.Rekey{Output: out, Input: r.node, Keys: from}), key
}

func quoteAll(names []string) []string {
	out := make([]string, len(names))
	for i, n := range names {
		out[i] = plainName(n)
	}
	return out
}

func schemaText(name string, t types.Type) string { return schema.Quote(name) + " " + t.String() }

// missingKey words the mistake by what the key comes from.
func (p *planner) missingKey(r *relation, items []item) error {
	pos := p.query.Pos
	var missing []string
	add := func(text, name string) {
		for _, it := range items {
			if isRef(it.expr, name) {
				return
			}
		}
		missing = append(missing, text)
	}
	key := r.schema().Key
	switch {
	case p.grouped():
		for i, e := range p.query.GroupBy {
			add(exprText(p.plain(e)), key[i].Name)
		}
		return keyMissing(pos, p.sinkName, "grouping expression", missing, false, "")
	case p.partitioned != nil:
		for _, e := range p.partitioned {
			missing = append(missing, exprText(e))
		}
		return keyMissing(pos, p.sinkName, "partitioning expression", missing, false, "")
	case p.foreign != nil:
		return p.foreignKeyMissing(items)
	case p.synthetic != "" && key[0].Name == p.synthetic:
		return keyMissing(pos, p.sinkName, "join expression", []string{p.synthetic}, true, "\n"+p.synthetic+
			" was added as a synthetic key column because the join criteria did not match any source column. This expression must be included in the projection and may be aliased.")
	case len(p.query.From.Joins) > 0:
		for _, e := range p.viable {
			missing = append(missing, exprText(e))
		}
		return keyMissing(pos, p.sinkName, "join expression", missing, true, "")
	}
	for _, k := range key {
		missing = append(missing, plainName(k.Name))
	}
	return keyMissing(pos, p.sinkName, "key column", missing, false, "")
}

// checkResult refuses what can't be a stream or table.
func (p *planner) checkResult(s *schema.Schema, items []item) error {
	pos := p.query.Pos
	if len(items) > 0 {
		pos = items[0].pos
	}
	if len(s.Value) == 0 {
		return diagnostic.At(pos, "The projection contains no value columns.")
	}
	seen := map[string]bool{}
	for _, k := range s.Key {
		if seen[k.Name] {
			return diagnostic.At(pos, "Duplicate key columns found in schema: %s KEY", schemaText(k.Name, k.Type))
		}
		seen[k.Name] = true
	}
	for i, c := range s.Value {
		if seen[c.Name] {
			return diagnostic.At(items[i].pos, "Duplicate value columns found in schema: %s", schemaText(c.Name, c.Type))
		}
		seen[c.Name] = true
	}
	return nil
}
