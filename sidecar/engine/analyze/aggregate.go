package analyze

import (
	"strconv"
	"strings"

	"github.com/sidestream/sidestream/sidecar/engine/ast"
	"github.com/sidestream/sidestream/sidecar/engine/diagnostic"
	"github.com/sidestream/sidestream/sidecar/engine/plan"
	"github.com/sidestream/sidestream/sidecar/engine/schema"
	"github.com/sidestream/sidestream/sidecar/engine/serde"
	"github.com/sidestream/sidestream/sidecar/engine/types"
)

// grouped tells whether the query makes groups.
func (p *planner) grouped() bool { return len(p.query.GroupBy) > 0 }

// aggregateCalls are all aggregate calls of SELECT and HAVING, in that order.
func (p *planner) aggregateCalls() []*ast.Call {
	var out []*ast.Call
	for _, s := range p.query.Select {
		out = append(out, p.expr.AggregateCalls(s.Expr)...)
	}
	return append(out, p.expr.AggregateCalls(p.query.Having)...)
}

// checkAggregatePlaces refuses aggregates where they can't be.
func (p *planner) checkAggregatePlaces() error {
	q := p.query
	for _, e := range q.GroupBy {
		for _, c := range p.expr.AggregateCalls(e) {
			return diagnostic.At(c.Pos, "GROUP BY does not support aggregate functions: %s is an aggregate function.", c.Name)
		}
	}
	calls := p.aggregateCalls()
	for _, c := range calls {
		for _, a := range c.Args {
			if len(p.expr.AggregateCalls(a)) > 0 {
				return diagnostic.At(c.Pos, "Aggregate functions can not be nested: %s", strings.ReplaceAll(exprText(p.plain(c)), "(*)", "()"))
			}
		}
	}
	if err := p.checkTableCalls(len(calls) > 0 || p.grouped()); err != nil {
		return err
	}
	if p.grouped() {
		if len(calls) == 0 {
			return diagnostic.At(q.GroupBy[0].Position(), "GROUP BY requires aggregate functions in either the SELECT or HAVING clause.")
		}
		seen := map[string]bool{}
		for _, e := range q.GroupBy {
			text := exprText(e)
			if seen[text] {
				return diagnostic.At(e.Position(), "Duplicate GROUP BY expression: %s", text)
			}
			seen[text] = true
		}
		return nil
	}
	if len(calls) == 0 {
		return nil
	}
	var plain []string
	for _, s := range q.Select {
		if len(p.expr.AggregateCalls(s.Expr)) == 0 && !s.Star {
			plain = append(plain, exprText(p.plain(s.Expr)))
		}
	}
	if plain != nil {
		return notGrouped(q.Select[0].Pos, plain)
	}
	if !p.persistent && q.Window == nil {
		// What goes to a client may be one group of all rows.
		all := *q
		all.GroupBy = []ast.Expr{&ast.IntLit{Pos: calls[0].Pos}}
		p.query = &all
		return nil
	}
	texts := make([]string, len(calls))
	for i, c := range calls {
		texts[i] = exprText(p.plain(p.counted(c)))
	}
	what := "SELECT statement"
	if p.persistent {
		what = "CREATE " + p.kindWord + " AS SELECT statement"
		if p.kindWord == "" {
			what = "INSERT INTO … SELECT statement"
		}
	}
	return diagnostic.At(calls[0].Pos, "%s does not support aggregate function [%s] without a GROUP BY clause.", what, strings.Join(texts, ", "))
}

// counted is COUNT(*) as COUNT(ROWTIME), which is how ksqlDB has it.
func (p *planner) counted(c *ast.Call) *ast.Call {
	if c.Name != "COUNT" || len(c.Args) > 0 {
		return c
	}
	return &ast.Call{Pos: c.Pos, Name: c.Name, Args: []ast.Expr{&ast.ColumnRef{Pos: c.Pos, Source: p.sources[0].alias, Name: schema.RowTime}}}
}

// checkClauses refuses clauses that make no sense without groups.
func (p *planner) checkClauses() error {
	q := p.query
	if p.grouped() {
		if q.Emit == ast.EmitFinal && q.Window == nil {
			return finalNeedsWindow(q.Pos)
		}
		return p.checkRetention()
	}
	switch {
	case q.Window != nil:
		e := located(q.Window.Pos, "WINDOW clause requires a GROUP BY clause.")
		e.Kind = diagnostic.General
		return e
	case q.Having != nil:
		return diagnostic.At(q.Having.Position(), "HAVING requires GROUP BY.")
	case q.Emit == ast.EmitFinal:
		return finalNeedsWindow(q.Pos)
	}
	return nil
}

// checkRetention: windows must be kept until they close.
func (p *planner) checkRetention() error {
	if p.query.Window == nil {
		return nil
	}
	w := windowOf(p.query.Window, p.query.Emit == ast.EmitFinal)
	if w.Retention >= w.Size+w.Grace {
		return nil
	}
	e := diagnostic.At(p.query.Window.Pos, "The retention period of the window store Aggregate-Aggregate-Materialize must be no smaller than its window size plus the grace period. "+
		"Got size=[%d], grace=[%d], retention=[%d]", w.Size, w.Grace, w.Retention)
	e.Kind = diagnostic.General
	return e
}

func finalNeedsWindow(pos ast.Pos) error {
	e := diagnostic.At(pos, "EMIT FINAL is only supported for windowed aggregations.")
	e.Kind = diagnostic.General
	return e
}

// grouping is what the aggregation of a query is planned with.
type grouping struct {
	keys    []ast.Expr // GROUP BY, plain
	texts   map[string]string
	names   []string
	calls   []plan.AggregateCall
	slots   map[string]int // call by text → its place among calls
	shown   []string       // variables as ksqlDB counts them: one an occurrence
	columns []schema.Column
	exprs   []plan.Expr // of Prepare: what groups and calls read
	places  map[string]int
}

// aggregate plans GROUP BY, WINDOW, HAVING and the aggregates of the SELECT
// list; it returns the rows of the groups and the items over them.
func (p *planner) aggregate(r *relation) (*relation, []item, error) {
	items, err := p.selectItems(r)
	if err != nil {
		return nil, nil, err
	}
	if err := p.refuseKafka("GROUP BY"); err != nil {
		return nil, nil, err
	}
	g := &grouping{texts: map[string]string{}, slots: map[string]int{}, places: map[string]int{}}
	groupExprs, err := p.groupKeys(r, g)
	if err != nil {
		return nil, nil, err
	}
	keyPlaces := make([]int, len(groupExprs))
	for i, e := range groupExprs {
		keyPlaces[i] = g.column(e)
	}
	// What stands in the items over the groups: keys and results.
	for i := range items {
		if items[i].expr, _, err = p.overGroups(r, g, items[i].expr); err != nil {
			return nil, nil, err
		}
	}
	if p.ungrouped != nil {
		return nil, nil, notGrouped(items[0].pos, p.ungrouped)
	}
	having, err := p.havingOver(r, g)
	if err != nil {
		return nil, nil, err
	}
	out := p.groupSteps(r, g, keyPlaces)
	if err := p.checkStates(r, g); err != nil {
		return nil, nil, err
	}
	if having != nil {
		s := out.scope()
		s.bounds = out.window != ""
		pred, err := p.expr.Predicate(having, s, "HAVING")
		if err != nil {
			return nil, nil, p.aggregateNames(err)
		}
		out = out.then(&plan.Filter{Output: out.output("Aggregate.HavingFilter"), Input: out.node, Pred: pred}, plan.FilterStep)
	}
	return out, items, nil
}

// refuseKafka refuses sources in KAFKA format for a clause whose internal topics
// could not hold their rows.
func (p *planner) refuseKafka(clause string) error {
	var names []string
	for _, s := range p.sources {
		if s.def.ValueFormat.Name == serde.Kafka {
			names = append(names, s.def.Name)
		}
	}
	if names == nil {
		return nil
	}
	return diagnostic.At(p.sources[0].pos, "Source(s) %s are using the 'KAFKA' value format. This format does not yet support %s.\n"+
		"See https://github.com/confluentinc/ksql/issues/4474 for more information.", strings.Join(names, ", "), clause)
}

// groupKeys types the GROUP BY expressions and names the key columns.
func (p *planner) groupKeys(r *relation, g *grouping) ([]plan.Expr, error) {
	names := newNamer(p.sources)
	var out []plan.Expr
	for _, e := range p.query.GroupBy {
		plain := p.plain(e)
		typed, err := p.expr.Expr(plain, r.scope())
		if err != nil {
			return nil, err
		}
		name := keyName(plain, names)
		if err := checkKeyType(e.Position(), p.keyAlias(plain, name), typed.ResultType()); err != nil {
			return nil, err
		}
		g.keys = append(g.keys, plain)
		g.names = append(g.names, name)
		g.texts[exprText(plain)] = name
		out = append(out, typed)
	}
	return out, nil
}

// keyAlias is the name that the SELECT list gives a key.
func (p *planner) keyAlias(plain ast.Expr, name string) string {
	for _, s := range p.query.Select {
		if s.Alias != "" && exprText(p.plain(s.Expr)) == exprText(plain) {
			return s.Alias
		}
	}
	return name
}

// column is the place of an expression among what Prepare computes.
func (g *grouping) column(e plan.Expr) int {
	text := plan.Text(e)
	if i, ok := g.places[text]; ok {
		return i
	}
	i := len(g.exprs)
	name := "KSQL_INTERNAL_COL_" + strconv.Itoa(i)
	if c, ok := e.(*plan.Column); ok {
		name = c.Name
	}
	g.places[text] = i
	g.exprs = append(g.exprs, e)
	g.columns = append(g.columns, schema.Column{Name: name, Type: e.ResultType()})
	return i
}

// at reads column i of Prepare.
func (g *grouping) at(i int) plan.Expr {
	return &plan.Column{Name: g.columns[i].Name, Index: i, Type: g.columns[i].Type}
}

const variablePrefix = "KSQL_AGG_VARIABLE_"

// overGroups rewrites an expression to one over the rows of the groups: what is
// grouped by becomes the key column, aggregates their result. left counts the
// columns that are neither.
func (p *planner) overGroups(r *relation, g *grouping, e ast.Expr) (out ast.Expr, left int, err error) {
	swap := map[ast.Expr]ast.Expr{}
	var first *ast.ColumnRef
	ast.Walk(e, func(x ast.Expr) bool {
		if err != nil {
			return false
		}
		if name, ok := g.texts[exprText(x)]; ok {
			swap[x] = &ast.ColumnRef{Pos: x.Position(), Name: name}
			return false
		}
		switch x := x.(type) {
		case *ast.Call:
			if _, ok := p.env.Functions.Aggregate(x.Name); ok {
				var slot int
				if slot, err = p.call(r, g, x); err == nil {
					swap[x] = &ast.ColumnRef{Pos: x.Pos, Name: variablePrefix + strconv.Itoa(slot)}
				}
				return false
			}
		case *ast.ColumnRef:
			if p.query.Window == nil || !isBound(x.Name) {
				left++
				if first == nil {
					first = x
				}
			}
		}
		return true
	})
	if err != nil {
		return nil, 0, err
	}
	if left > 0 {
		p.ungrouped = append(p.ungrouped, exprText(e))
		p.ungroupedColumn = first
	}
	return ast.Rewrite(e, func(x ast.Expr) ast.Expr {
		if to, ok := swap[x]; ok {
			return to
		}
		return x
	}), left, nil
}

// call plans an aggregate call, once for all calls of the same text.
func (p *planner) call(r *relation, g *grouping, c *ast.Call) (int, error) {
	text := exprText(c)
	shown := p.plain(p.counted(c)).(*ast.Call)
	if i, ok := g.slots[text]; ok {
		g.shown = append(g.shown, exprText(shown))
		return i, nil
	}
	found, err := p.expr.Aggregate(shown, r.scope())
	if err != nil {
		return 0, err
	}
	if r.table() && !found.Undo {
		return 0, diagnostic.At(c.Pos, "The aggregation function %s cannot be applied to a table source, only to a stream source.", c.Name)
	}
	call := plan.AggregateCall{Name: c.Name, Consts: found.Consts, Type: found.Result}
	for _, a := range found.Args {
		call.Args = append(call.Args, g.at(g.column(a)))
	}
	i := len(g.calls)
	g.calls = append(g.calls, call)
	g.slots[text] = i
	g.shown = append(g.shown, exprText(shown))
	p.aggregateTexts = append(p.aggregateTexts, exprText(shown))
	return i, nil
}

// aggregateNames puts the texts of aggregate calls into a message that names
// their results.
func (p *planner) aggregateNames(err error) error {
	d, ok := err.(*diagnostic.Error)
	if !ok {
		return err
	}
	out := *d
	for i := len(p.aggregateTexts) - 1; i >= 0; i-- {
		out.Message = strings.ReplaceAll(out.Message, variablePrefix+strconv.Itoa(i), p.aggregateTexts[i])
	}
	return &out
}

func (p *planner) havingOver(r *relation, g *grouping) (ast.Expr, error) {
	if p.query.Having == nil {
		return nil, nil
	}
	out, left, err := p.overGroups(r, g, p.plain(p.query.Having))
	if err != nil {
		return nil, err
	}
	if left > 0 {
		return nil, diagnostic.At(p.query.Having.Position(), "Non-aggregate HAVING expression not part of GROUP BY: %s\n"+
			"Consider switching the HAVING clause to a WHERE clause.", exprText(p.ungroupedColumn))
	}
	return out, nil
}

// groupSteps makes the steps: prepare the columns, group, aggregate.
func (p *planner) groupSteps(r *relation, g *grouping, keyPlaces []int) *relation {
	shown := p.shownColumns(r, g)
	prep := r.output("Aggregate.Prepare")
	prep.Schema.Value = g.columns
	prepared := r.then(&plan.Project{Output: prep, Input: r.node, Values: g.exprs}, plan.ProjectStep)
	prepared.step.Schema = schema.Schema{Key: r.step.Schema.Key, Value: shown}

	group := prepared.output("Aggregate.GroupBy")
	group.Schema.Key = nil
	keys := make([]plan.Expr, len(keyPlaces))
	for i, at := range keyPlaces {
		keys[i] = g.at(at)
		group.Schema.Key = append(group.Schema.Key, schema.Column{Name: g.names[i], Type: keys[i].ResultType()})
	}
	const topic = "Aggregate-GroupBy-repartition"
	same := !r.table() && sameAsKey(g.keys, r.schema().Key)
	grouped := *prepared
	grouped.step = &plan.Step{Kind: plan.GroupByStep, Name: "Aggregate.GroupBy", Inputs: []*plan.Step{prepared.step}, Table: r.table(),
		Schema: schema.Schema{Key: group.Schema.Key, Value: shown}}
	for _, e := range g.keys {
		grouped.step.Keys = append(grouped.step.Keys, exprText(e))
	}
	if !same {
		grouped.node = &plan.GroupBy{Output: group, Input: prepared.node, Keys: keys}
		grouped.keyFormat = supportingFormat(r.keyFormat, group.Schema.Key, p.defaultKeyFormat())
	}
	if !same || r.rekeyed {
		grouped.step.Repartition = []string{topic}
		out := grouped.output(topic)
		grouped.node = &plan.Repartition{Output: out, Input: grouped.node, Topic: topic, KeyFormat: grouped.keyFormat,
			ValueFormat: internalValue(r.valueFormat), Changes: r.table()}
	}
	return p.aggregateStep(r, &grouped, g)
}

// aggregateStep makes the step that folds the rows of a group.
func (p *planner) aggregateStep(r, grouped *relation, g *grouping) *relation {
	const store = "Aggregate-Aggregate-Materialize"
	out := grouped.output("Aggregate.Aggregate")
	out.Table, out.Schema.Value = true, nil
	for i, c := range g.calls {
		out.Schema.Value = append(out.Schema.Value, schema.Column{Name: variablePrefix + strconv.Itoa(i), Type: c.Type})
	}
	n := &plan.Aggregate{Input: grouped.node, Calls: g.calls, FromTable: r.table(), Final: p.query.Emit == ast.EmitFinal,
		Store: &plan.Store{Name: store, Kind: plan.KeyValueStore}}
	var shown []schema.Column
	for _, c := range grouped.step.Schema.Value {
		if !strings.HasPrefix(c.Name, "KSQL_INTERNAL_COL_") {
			shown = append(shown, c)
		}
	}
	for i, text := range g.shown {
		call := g.calls[p.slotOf(text)]
		shown = append(shown, schema.Column{Name: variablePrefix + strconv.Itoa(i), Type: call.Type})
	}
	window := ""
	if w := p.query.Window; w != nil {
		n.Window = windowOf(w, n.Final)
		window = w.Kind.String()
		out.Window = n.Window.Kind
		n.Store.Kind = plan.SessionStore
		if out.Window == plan.TimeWindow {
			out.WindowSize = n.Window.Size
			n.Store.Kind = plan.WindowStore
		}
		n.Store.Retention = n.Window.Retention
		bounds, _ := boundColumns()
		shown = append(shown, bounds...)
	}
	n.Output = out
	next := grouped.then(n, plan.AggregateStep)
	next.step.Schema = schema.Schema{Key: out.Schema.Key, Value: shown}
	next.step.Store, next.step.Windowed, next.step.Functions = store, window != "", g.shown
	next.window, next.rekeyed, next.joined, next.stored = window, false, false, true
	return next
}

// slotOf finds a call by the text that EXPLAIN shows.
func (p *planner) slotOf(shown string) int {
	for i, t := range p.aggregateTexts {
		if t == shown {
			return i
		}
	}
	return 0
}

// shownColumns are the columns of Prepare as ksqlDB has them: every column that
// the query names, then what it computes for groups and aggregates.
func (p *planner) shownColumns(r *relation, g *grouping) []schema.Column {
	var out []schema.Column
	seen := map[string]bool{}
	note := func(e ast.Expr) {
		ast.Walk(p.plain(e), func(x ast.Expr) bool {
			if c, ok := x.(*ast.Call); ok && c.Name == "COUNT" && len(c.Args) == 0 {
				x = p.plain(p.counted(c)).(*ast.Call).Args[0]
			}
			if ref, ok := x.(*ast.ColumnRef); ok && !seen[ref.Name] {
				if i := r.step.Schema.FindValue(ref.Name); i >= 0 {
					seen[ref.Name] = true
					out = append(out, r.step.Schema.Value[i])
				}
			}
			return true
		})
	}
	for _, s := range p.query.Select {
		note(s.Expr)
	}
	note(p.query.Where)
	for _, e := range p.query.GroupBy {
		note(e)
	}
	note(p.query.Having)
	for i, c := range g.columns {
		if _, ok := g.exprs[i].(*plan.Column); ok {
			continue
		}
		if _, ok := g.exprs[i].(*plan.Literal); ok || seen[c.Name] {
			continue
		}
		out = append(out, schema.Column{Name: "KSQL_INTERNAL_COL_" + strconv.Itoa(len(out)), Type: c.Type})
	}
	return out
}

// checkStates refuses aggregates whose state the value format can't hold.
func (p *planner) checkStates(r *relation, g *grouping) error {
	for i, c := range g.calls {
		args := make([]types.Type, len(c.Args))
		for j, a := range c.Args {
			args[j] = a.ResultType()
		}
		agg, err := p.env.Functions.ResolveAggregate(c.Name, args, c.Consts)
		if err != nil {
			return err
		}
		g.calls[i].State = agg.State()
		if serde.Check(r.valueFormat, []schema.Column{{Name: c.Name, Type: agg.State()}}, false) != nil {
			e := diagnostic.At(p.query.Pos, "One of the functions used in the statement has an intermediate type that the value format can not handle. Please remove the function or change the format.\n"+
				"Consider up-voting https://github.com/confluentinc/ksql/issues/3950, which will resolve this limitation.")
			e.Kind = diagnostic.General
			return e
		}
	}
	return nil
}

// windowOf resolves a WINDOW clause. Without GRACE PERIOD, EMIT FINAL waits for
// no late rows, EMIT CHANGES takes them for a day.
func windowOf(w *ast.Window, final bool) *plan.Window {
	out := &plan.Window{Kind: plan.TimeWindow, Size: w.Size.Millis(), Advance: w.Size.Millis(), Hopping: w.Kind == ast.Hopping}
	if w.Kind == ast.Session {
		out.Kind = plan.SessionWindow
	}
	if w.Advance != nil {
		out.Advance = w.Advance.Millis()
	}
	if w.Grace != nil {
		out.Grace = w.Grace.Millis()
	} else if !final {
		out.Grace = max(0, dayMillis-out.Size)
	}
	out.Retention = out.Size + out.Grace
	if w.Retention != nil {
		out.Retention = w.Retention.Millis()
	}
	return out
}

// dayMillis is the default grace of windows and joins, their size included.
const dayMillis = 24 * 60 * 60 * 1000
