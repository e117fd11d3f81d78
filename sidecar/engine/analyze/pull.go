package analyze

import (
	"strings"

	"github.com/sidestream/sidestream/sidecar/engine/analyze/expression"
	"github.com/sidestream/sidestream/sidecar/engine/ast"
	"github.com/sidestream/sidestream/sidecar/engine/catalog"
	"github.com/sidestream/sidestream/sidecar/engine/diagnostic"
	"github.com/sidestream/sidestream/sidecar/engine/exec"
	"github.com/sidestream/sidestream/sidecar/engine/plan"
	"github.com/sidestream/sidestream/sidecar/engine/schema"
	"github.com/sidestream/sidestream/sidecar/engine/types"
)

// Switches of pull queries among the server's properties; all are on by default.
const (
	configPull      = "ksql.query.pull.enable"
	configTableScan = "ksql.query.pull.table.scan.enabled"
	configRangeScan = "ksql.query.pull.range.scan.enabled"
	configLimit     = "ksql.query.pull.limit.clause.enabled"
	configStream    = "ksql.query.pull.stream.enabled"
)

func (env *Env) off(config string) bool { return strings.EqualFold(env.Config[config], "false") }

// pullHelp ends the messages about what pull queries don't do.
const pullHelp = "See https://cnfl.io/queries for more info.\nAdd EMIT CHANGES if you intended to issue a push query."

// pullError is a refusal that ends in advice.
func pullError(pos ast.Pos, text string, args ...any) *diagnostic.Error {
	e := diagnostic.At(pos, text, args...)
	e.Message += " " + pullHelp
	return e
}

// PullQuery analyses a SELECT without EMIT: of a table by lookups in its store,
// of a stream by reading its topic up to its end, by the query id.
func PullQuery(env *Env, s *ast.Select, id string) (*Pull, error) {
	q := s.Query
	p, err := newPlanner(env, q)
	if err != nil {
		return nil, err
	}
	if err := pullRefusals(env, p); err != nil {
		return nil, err
	}
	src := p.sources[0].def
	out := &Pull{Source: src, Limit: -1, Selection: exec.Everything()}
	if q.Limit != nil {
		out.Limit = *q.Limit
	}
	if !src.Table {
		return pullStream(env, s, id, out)
	}
	row := &tableRow{source: p.sources[0], clause: "SELECT"}
	if err := pullSelect(p, row, out); err != nil {
		return nil, err
	}
	if !src.Materialized {
		return nil, pullError(p.sources[0].pos, "The %[1]s table isn't queryable. To derive a queryable table, you can do 'CREATE TABLE QUERYABLE_%[2]s AS SELECT * FROM %[2]s'.",
			schema.Quote(src.Name), plainName(src.Name))
	}
	out.QueryID = src.CreatedBy
	if p.query.Where == nil {
		if env.off(configTableScan) {
			return nil, needsScan(s.Pos, "Missing WHERE clause. ")
		}
		return out, nil
	}
	row.clause = "WHERE"
	return out, pullWhere(env, p, row, out)
}

// pullRefusals are the clauses and columns that pull queries don't have.
func pullRefusals(env *Env, p *planner) error {
	q := p.query
	clause := func(name string, pos ast.Pos) error {
		return pullError(pos, "Pull queries don't support %s clauses.", name)
	}
	switch {
	case env.off(configPull):
		e := pullError(q.Pos, "Pull queries are disabled.")
		e.Message += "\nPlease set " + configPull + "=true to enable this feature."
		return e
	case len(q.From.Joins) > 0:
		if err := pullJoin(p); err != nil {
			return err
		}
		return clause("JOIN", q.From.Joins[0].Pos)
	case q.Window != nil:
		return clause("WINDOW", q.Window.Pos)
	case q.GroupBy != nil:
		return clause("GROUP BY", first(q.GroupBy, q.Pos))
	case q.PartitionBy != nil:
		return clause("PARTITION BY", first(q.PartitionBy, q.Pos))
	case q.Having != nil:
		return clause("HAVING", q.Having.Position())
	case q.Limit != nil && env.off(configLimit):
		return pullError(q.Pos, "LIMIT clause in pull queries is currently disabled. You can enable them by setting %s=true.", configLimit)
	}
	if names, pos := places(selectExprs(q)); names != nil {
		e := diagnostic.At(pos, "Pull queries don't support the following columns in SELECT clauses: %s\n %s", strings.Join(names, ", "), pullHelp)
		return e
	}
	if q.Where != nil {
		if names, pos := places([]ast.Expr{q.Where}); names != nil {
			return diagnostic.At(pos, "Pull queries don't support the following columns in WHERE clauses: %s\n %s", strings.Join(names, ", "), pullHelp)
		}
	}
	return nil
}

// pullJoin words the mistakes of a join that no query could make first.
func pullJoin(p *planner) error {
	for _, j := range p.query.From.Joins {
		c, ok := j.On.(*ast.Compare)
		if !ok {
			continue
		}
		for _, side := range []ast.Expr{c.L, c.R} {
			sources := map[string]bool{}
			ast.Walk(side, func(e ast.Expr) bool {
				if ref, ok := e.(*ast.ColumnRef); ok {
					sources[ref.Source] = true
				}
				return true
			})
			if len(sources) != 1 {
				return diagnostic.At(side.Position(), "Invalid comparison expression '%s' in join '%s'. Each side of the join comparision must contain references from exactly one source.",
					exprText(side), exprText(j.On))
			}
		}
	}
	return nil
}

func first(list []ast.Expr, otherwise ast.Pos) ast.Pos {
	if len(list) == 0 {
		return otherwise
	}
	return list[0].Position()
}

func selectExprs(q *ast.Query) []ast.Expr {
	var out []ast.Expr
	for _, item := range q.Select {
		if item.Expr != nil {
			out = append(out, item.Expr)
		}
	}
	return out
}

// places are the references to a record's partition or offset, which lookups
// don't know.
func places(list []ast.Expr) (names []string, pos ast.Pos) {
	seen := map[string]bool{}
	for _, e := range list {
		ast.Walk(e, func(e ast.Expr) bool {
			ref, ok := e.(*ast.ColumnRef)
			if ok && (ref.Name == schema.RowPartition || ref.Name == schema.RowOffset) && !seen[ref.Name] {
				if names == nil {
					pos = ref.Pos
				}
				seen[ref.Name] = true
				names = append(names, schema.Quote(ref.Name))
			}
			return true
		})
	}
	return names, pos
}

// pullStream runs the query as a push query that ends.
func pullStream(env *Env, s *ast.Select, id string, out *Pull) (*Pull, error) {
	if env.off(configStream) {
		e := pullError(s.Pos, "Pull queries on streams are disabled. To create a push query on the stream, add EMIT CHANGES to the end. To enable pull queries on streams, set the %s config to 'true'.", configStream)
		return nil, e
	}
	push := *s
	q := *s.Query
	q.Emit = ast.EmitChanges
	push.Query = &q
	stream, err := PushQuery(env, &push, id)
	if err != nil {
		return nil, err
	}
	// The rows come from a topic, where ksqlDB tells no keys apart.
	out.Stream, out.Columns, out.Key = stream, stream.Columns, make([]bool, len(stream.Columns))
	return out, nil
}

// tableRow finds the columns of a table's stored row.
type tableRow struct {
	source *source
	clause string // of the query, for messages
}

// Column finds a column, or fact about the row, by name.
func (t *tableRow) Column(ref *ast.ColumnRef) (plan.Expr, error) {
	def := t.source.def
	if i := def.Schema.FindKey(ref.Name); i >= 0 {
		return &plan.Column{Name: ref.Name, InKey: true, Index: i, Type: def.Schema.Key[i].Type}, nil
	}
	if i := def.Schema.FindValue(ref.Name); i >= 0 {
		return &plan.Column{Name: ref.Name, Index: i, Type: def.Schema.Value[i].Type}, nil
	}
	switch {
	case ref.Name == schema.RowTime:
		return &plan.Pseudo{Kind: plan.RowTime}, nil
	case ref.Name == schema.WindowStart && def.Window != plan.NoWindow:
		return &plan.Pseudo{Kind: plan.WindowStart}, nil
	case ref.Name == schema.WindowEnd && def.Window != plan.NoWindow:
		return &plan.Pseudo{Kind: plan.WindowEnd}, nil
	}
	return nil, unresolved(t.clause, ref, "")
}

// plainRefs takes the source's name off columns: there is one source.
func plainRefs(e ast.Expr) ast.Expr {
	return ast.Rewrite(e, func(e ast.Expr) ast.Expr {
		if ref, ok := e.(*ast.ColumnRef); ok && ref.Source != "" {
			return &ast.ColumnRef{Pos: ref.Pos, Name: ref.Name}
		}
		return e
	})
}

// pullSelect makes the columns of the answer.
func pullSelect(p *planner, row *tableRow, out *Pull) error {
	names := newNamer(p.sources)
	a := p.expr
	seen := map[string]bool{}
	add := func(e ast.Expr, name string) error {
		e = plainRefs(e)
		if calls := a.AggregateCalls(e); calls != nil {
			return pullError(calls[0].Pos, "Pull queries don't support aggregate functions: %s.", exprText(calls[0]))
		}
		if calls := a.TableCalls(e); calls != nil {
			return pullError(calls[0].Pos, "Pull queries don't support table functions: %s.", exprText(calls[0]))
		}
		x, err := a.Expr(e, row)
		if err != nil {
			return err
		}
		if seen[name] {
			return diagnostic.At(e.Position(), "Duplicate value columns found in schema: %s", schemaText(name, x.ResultType()))
		}
		seen[name] = true
		out.Select = append(out.Select, x)
		column := schema.Column{Name: name, Type: x.ResultType()}
		if c, ok := x.(*plan.Column); ok && !c.InKey { // it may come from a header
			from := row.source.def.Schema.Value[c.Index]
			column.Headers, column.HeaderKey = from.Headers, from.HeaderKey
		}
		out.Columns = append(out.Columns, column)
		out.Key = append(out.Key, isKeyPart(x))
		return nil
	}
	for _, item := range p.query.Select {
		var err error
		all, fields := item.Expr.(*ast.AllFields)
		switch {
		case item.Star:
			for _, name := range tableColumns(row.source.def) {
				if err = add(&ast.ColumnRef{Pos: item.Pos, Name: name}, name); err != nil {
					return err
				}
			}
		case fields:
			err = pullFields(a, row, all, add)
		case item.Alias != "":
			err = add(item.Expr, item.Alias)
		default:
			err = add(item.Expr, pullName(item.Expr, names))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func pullName(e ast.Expr, names *namer) string {
	if ref, ok := e.(*ast.ColumnRef); ok {
		return ref.Name
	}
	return names.of(e)
}

func pullFields(a *expression.Analyzer, row *tableRow, all *ast.AllFields, add func(ast.Expr, string) error) error {
	x := plainRefs(all.X)
	typed, err := a.Expr(x, row)
	if err != nil {
		return err
	}
	t := typed.ResultType()
	if t.Kind != types.Struct {
		return diagnostic.At(all.Pos, "Struct ALL expression is not supported for non-STRUCT type: %s is %s", exprText(x), t)
	}
	for _, f := range t.Fields {
		if err := add(&ast.FieldOf{Pos: all.Pos, X: x, Name: f.Name}, f.Name); err != nil {
			return err
		}
	}
	return nil
}

// tableColumns are the columns that * stands for: key, window, value.
func tableColumns(def *catalog.Source) []string {
	var out []string
	for _, c := range def.Schema.Key {
		out = append(out, c.Name)
	}
	if def.Window != plan.NoWindow {
		out = append(out, schema.WindowStart, schema.WindowEnd)
	}
	for _, c := range def.Schema.Value {
		out = append(out, c.Name)
	}
	return out
}

// isKeyPart tells whether a column of the answer is a part of the key as it is.
func isKeyPart(x plan.Expr) bool {
	switch x := x.(type) {
	case *plan.Column:
		return x.InKey
	case *plan.Pseudo:
		return x.Kind == plan.WindowStart || x.Kind == plan.WindowEnd
	}
	return false
}
