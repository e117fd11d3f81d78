package analyze

import (
	"strconv"

	"github.com/sidestream/sidestream/sidecar/engine/ast"
	"github.com/sidestream/sidestream/sidecar/engine/diagnostic"
	"github.com/sidestream/sidestream/sidecar/engine/plan"
	"github.com/sidestream/sidestream/sidecar/engine/schema"
)

// checkTableCalls refuses table functions where they can't be.
func (p *planner) checkTableCalls(aggregates bool) error {
	q := p.query
	for _, c := range p.expr.TableCalls(q.Where) {
		return diagnostic.At(c.Pos, "Table functions cannot be used in WHERE clause: %s", exprText(p.plain(c)))
	}
	for _, e := range q.GroupBy {
		for _, c := range p.expr.TableCalls(e) {
			return diagnostic.At(c.Pos, "Table functions cannot be used in GROUP BY clause: %s", exprText(p.plain(c)))
		}
	}
	for _, e := range q.PartitionBy {
		for _, c := range p.expr.TableCalls(e) {
			return diagnostic.At(c.Pos, "Table functions cannot be used in PARTITION BY clause: %s", exprText(p.plain(c)))
		}
	}
	for _, c := range p.expr.TableCalls(q.Having) {
		return diagnostic.At(c.Pos, "Table functions cannot be used in HAVING clause: %s", exprText(p.plain(c)))
	}
	for _, s := range q.Select {
		for _, c := range p.expr.TableCalls(s.Expr) {
			for _, a := range c.Args {
				if len(p.expr.TableCalls(a)) > 0 {
					return diagnostic.At(c.Pos, "Table functions can not be nested: %s", exprText(p.plain(c)))
				}
			}
			if aggregates {
				return diagnostic.At(c.Pos, "Table functions cannot be used with aggregations.")
			}
			if p.sources[0].def.Table && len(p.sources) == 1 {
				return diagnostic.At(c.Pos, "Table source is not supported with table functions")
			}
		}
	}
	return nil
}

// tableFunctions runs the table functions of the SELECT list and puts columns of
// their results in their places.
func (p *planner) tableFunctions(r *relation, items []item) (*relation, []item, error) {
	var calls []*ast.Call
	for _, it := range items {
		calls = append(calls, p.expr.TableCalls(it.expr)...)
	}
	if len(calls) == 0 {
		return r, items, nil
	}
	out := r.output("FlatMap")
	out.Schema.Value = append([]schema.Column(nil), out.Schema.Value...)
	n := &plan.FlatMap{Input: r.node}
	names := map[ast.Expr]string{}
	shown := append([]schema.Column(nil), r.step.Schema.Value...)
	for i, c := range calls {
		call, err := p.expr.Table(c, r.scope())
		if err != nil {
			return nil, nil, err
		}
		n.Functions = append(n.Functions, *call)
		names[c] = "KSQL_SYNTH_" + strconv.Itoa(i)
		col := schema.Column{Name: names[c], Type: call.Type}
		out.Schema.Value = append(out.Schema.Value, col)
		shown = append(shown, col)
	}
	n.Output = out
	next := r.then(n, plan.FlatMapStep)
	next.step.Schema.Value = shown
	for i := range items {
		items[i].expr = ast.Rewrite(items[i].expr, func(e ast.Expr) ast.Expr {
			if name, ok := names[e]; ok {
				return &ast.ColumnRef{Pos: e.Position(), Name: name}
			}
			return e
		})
	}
	return next, items, nil
}
