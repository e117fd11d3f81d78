package analyze

import (
	"fmt"
	"strings"

	"github.com/sidestream/sidestream/sidecar/engine/ast"
	"github.com/sidestream/sidestream/sidecar/engine/diagnostic"
	"github.com/sidestream/sidestream/sidecar/engine/plan"
	"github.com/sidestream/sidestream/sidecar/engine/schema"
)

// side is an input of a join: a source, or the joins before.
type side struct {
	rel *relation
	// source of a side that is one; nil for joins before.
	source *source
	// equal are the expressions that the key of a join before equals.
	equal []ast.Expr
	// on is the side's expression in the ON clause, qualified.
	on ast.Expr
	// context is where it stands: Left, L_Right and so on.
	context string
}

// joinShape is what is known of a join before it is planned: its condition taken
// apart, and which expressions may name its key.
type joinShape struct {
	join        *ast.Join
	left, right ast.Expr // by side, whatever the order in which they were written
	equal       []ast.Expr
	key         string // name of the key column
	foreign     bool   // tables joined by a column of the left that isn't its key
}

// isForeign tells whether the first join is one by foreign key.
func (p *planner) isForeign(j *joinShape) bool {
	l, r := p.sources[0], p.sources[1]
	return l.def.Table && r.def.Table && !p.isKey(&side{source: l, on: j.left}) && p.isKey(&side{source: r, on: j.right})
}

// shapes takes the ON clauses apart and chooses the names of the keys.
func (p *planner) shapes() error {
	joins := p.query.From.Joins
	p.joins = make([]joinShape, len(joins))
	var before []ast.Expr
	for i := range joins {
		j := &p.joins[i]
		j.join = &joins[i]
		var err error
		if j.left, j.right, err = p.condition(&joins[i], p.sources[:i+1], p.sources[i+1]); err != nil {
			return err
		}
		if i == 0 && p.isForeign(j) {
			// The key is the left table's, whatever the tables are joined on.
			j.foreign = true
			for _, k := range p.sources[0].def.Schema.Key {
				j.equal = append(j.equal, &ast.ColumnRef{Pos: joins[i].Pos, Source: p.sources[0].alias, Name: k.Name})
			}
			if len(joins) == 1 {
				p.foreign = p.sources[0]
			}
			if len(j.equal) > 1 {
				j.equal = nil
			}
			before = j.equal
			continue
		}
		j.equal = equivalent(joins[i].Kind, j.left, j.right, before)
		before = j.equal
		j.key = p.keyColumn(j.equal)
		if j.key == "" {
			if p.synthetic == "" {
				p.synthetic = syntheticKey(p.sources)
			}
			j.key = p.synthetic
		}
	}
	last := p.joins[len(joins)-1]
	p.viable = columnsOf(last.equal)
	if last.key != p.synthetic {
		p.synthetic = "" // only the last join's key can be selected
	}
	return nil
}

// equivalent are the expressions that equal a join's key. In a FULL join neither
// does, since either side may be missing.
func equivalent(kind ast.JoinKind, left, right ast.Expr, before []ast.Expr) []ast.Expr {
	if kind == ast.FullJoin {
		return nil
	}
	out := []ast.Expr{left, right}
	if holds(before, left) || holds(before, right) {
		out = append([]ast.Expr(nil), before...)
		for _, e := range []ast.Expr{left, right} {
			if !holds(out, e) {
				out = append(out, e)
			}
		}
	}
	return out
}

func holds(list []ast.Expr, e ast.Expr) bool {
	text := exprText(e)
	for _, x := range list {
		if exprText(x) == text {
			return true
		}
	}
	return false
}

func columnsOf(list []ast.Expr) []ast.Expr {
	var out []ast.Expr
	for _, e := range list {
		if _, ok := e.(*ast.ColumnRef); ok {
			out = append(out, e)
		}
	}
	return out
}

// keyColumn chooses the column that names a join's key: the first of those that
// equal it and that the SELECT list shows, else the first of all; "" for none.
func (p *planner) keyColumn(equal []ast.Expr) string {
	columns := columnsOf(equal)
	for _, e := range columns {
		ref := e.(*ast.ColumnRef)
		for _, s := range p.query.Select {
			if s.Star && (s.Source == "" || s.Source == ref.Source) || !s.Star && exprText(s.Expr) == exprText(ref) {
				return p.plainRef(ref.Source, ref.Name)
			}
		}
	}
	if len(columns) == 0 {
		return ""
	}
	ref := columns[0].(*ast.ColumnRef)
	return p.plainRef(ref.Source, ref.Name)
}

// condition takes an ON clause apart: the expression over the sources before,
// and the one over the source that the join adds.
func (p *planner) condition(j *ast.Join, before []*source, added *source) (left, right ast.Expr, err error) {
	eq, ok := j.On.(*ast.Compare)
	if !ok {
		if _, several := j.On.(*ast.Logical); several {
			return nil, nil, diagnostic.At(j.On.Position(), "Invalid join condition: joins on multiple conditions are not yet supported. Got %s.", exprText(j.On))
		}
		return nil, nil, diagnostic.At(j.On.Position(), "Unsupported join expression: %s", exprText(j.On))
	}
	if eq.Op != ast.Equal {
		return nil, nil, diagnostic.At(eq.Pos, "Only equality join criteria is supported.")
	}
	l, err := p.oneSource(eq, eq.L)
	if err != nil {
		return nil, nil, err
	}
	r, err := p.oneSource(eq, eq.R)
	if err != nil {
		return nil, nil, err
	}
	if l == r {
		e := diagnostic.At(eq.Pos, "Each side of the join must reference exactly one source and not the same source. Left side references `%s` and right references `%s`", l, r)
		e.Kind = diagnostic.General
		return nil, nil, e
	}
	switch added.alias {
	case r:
		return eq.L, eq.R, nil
	case l:
		return eq.R, eq.L, nil
	}
	e := diagnostic.At(eq.Pos, "A join criteria is expected to reference the source (`%s`) in the FROM clause, instead the right source references `%s` and the left source references `%s`",
		added.alias, r, l)
	e.Kind = diagnostic.General
	return nil, nil, e
}

// oneSource is the alias of the only source that one side of a condition names.
func (p *planner) oneSource(eq *ast.Compare, e ast.Expr) (string, error) {
	found := map[string]bool{}
	name := ""
	ast.Walk(e, func(x ast.Expr) bool {
		if ref, ok := x.(*ast.ColumnRef); ok {
			name = ref.Source
			found[name] = true
		}
		return true
	})
	if len(found) != 1 {
		return "", diagnostic.At(e.Position(), "Invalid comparison expression '%s' in join '%s'. Each side of the join comparision must contain references from exactly one source.",
			exprText(e), exprText(eq))
	}
	return name, nil
}

// joinAll plans the sources and their joins, from left to right.
func (p *planner) joinAll() (*relation, error) {
	if err := p.refuseKafka("JOIN"); err != nil {
		return nil, err
	}
	n := len(p.joins)
	left := &side{source: p.sources[0], context: strings.Repeat("L_", n-1) + "Left"}
	for i := range p.joins {
		prefix := strings.Repeat("L_", n-1-i)
		j := &p.joins[i]
		left.on, left.context = j.left, prefix+"Left"
		right := &side{source: p.sources[i+1], on: j.right, context: prefix + "Right"}
		rel, err := p.joinOne(j, prefix+"Join", left, right)
		if err != nil {
			return nil, err
		}
		left = &side{rel: rel, equal: j.equal}
	}
	return left.rel, nil
}

// open reads a side's source.
func (p *planner) open(s *side) {
	if s.source != nil {
		s.rel = p.source(s.source, "KafkaTopic_"+s.context)
	}
}

func (p *planner) joinOne(j *joinShape, name string, l, r *side) (*relation, error) {
	p.open(l)
	p.open(r)
	if err := p.checkJoin(j, l, r); err != nil {
		return nil, err
	}
	leftKey, rightKey, err := p.joinKeys(j, l, r)
	if err != nil {
		return nil, err
	}
	if j.foreign {
		return p.foreignKeyJoin(j, name, l, r)
	}
	p.later(p.partitionAlike(l, r))
	if err := p.keyAlike(name, l, r, leftKey, rightKey); err != nil {
		return nil, err
	}
	p.prepend(l)
	p.prepend(r)
	switch {
	case !r.rel.table():
		return p.streamStreamJoin(j, name, l, r)
	case !l.rel.table():
		return p.streamTableJoin(j, name, l, r)
	default:
		return p.tableTableJoin(j, name, l, r)
	}
}

// isKey tells whether a side's expression is the key that its rows have.
func (p *planner) isKey(s *side) bool {
	if s.source == nil {
		return holds(s.equal, s.on)
	}
	ref, ok := s.on.(*ast.ColumnRef)
	return ok && sameAsKey([]ast.Expr{&ast.ColumnRef{Name: ref.Name}}, s.source.def.Schema.Key)
}

// bareRefs are the names that a side's expression has in its own rows: those of
// a source aren't prefixed yet.
func (p *planner) bareRefs(s *side) ast.Expr {
	if s.source == nil {
		return p.plain(s.on)
	}
	return ast.Rewrite(s.on, func(e ast.Expr) ast.Expr {
		if ref, ok := e.(*ast.ColumnRef); ok {
			return &ast.ColumnRef{Pos: ref.Pos, Name: ref.Name}
		}
		return e
	})
}

// joinKeys types both sides of the condition, which must agree.
func (p *planner) joinKeys(j *joinShape, l, r *side) (left, right plan.Expr, err error) {
	if left, err = p.expr.Expr(p.bareRefs(l), l.rel.scope()); err != nil {
		return nil, nil, err
	}
	if right, err = p.expr.Expr(p.bareRefs(r), r.rel.scope()); err != nil {
		return nil, nil, err
	}
	lt, rt := left.ResultType(), right.ResultType()
	if !lt.Equal(rt) {
		if l.rel.table() && r.rel.table() {
			return nil, nil, diagnostic.At(j.join.On.Position(), "Invalid join condition: types don't match. Got %s{%s} = %s{%s}.",
				exprText(l.on), lt, exprText(r.on), rt)
		}
		p.later(diagnostic.At(j.join.On.Position(), "Invalid join. Key types differ: %s vs %s", lt, rt))
	}
	return left, right, checkKeyType(j.join.On.Position(), j.key, lt)
}

// checkJoin refuses joins that streams and tables can't make.
func (p *planner) checkJoin(j *joinShape, l, r *side) error {
	pos := j.join.Pos
	leftName, rightName := p.sideName(l), r.source.def.Name
	got := func() string {
		kind := [...]string{"[INNER] JOIN", "LEFT [OUTER] JOIN", "RIGHT [OUTER] JOIN", "[FULL] OUTER JOIN"}[j.join.Kind]
		return fmt.Sprintf("%s %s %s", leftName, kind, rightName)
	}
	written := func() string {
		eq := j.join.On.(*ast.Compare)
		return exprText(eq.L) + " = " + exprText(eq.R)
	}
	leftTable, rightTable := l.rel.table(), r.rel.table()
	switch {
	case leftTable && !rightTable:
		return diagnostic.At(pos, "Invalid join order: table-stream joins are not supported; only stream-table joins. Got %s.", got())
	case !leftTable && rightTable && j.join.Kind == ast.FullJoin:
		return diagnostic.At(pos, "Invalid join type: full-outer join not supported for stream-table join. Got %s.", got())
	case !leftTable && rightTable && j.join.Kind == ast.RightJoin:
		return diagnostic.At(pos, "Invalid join type: right-outer join not supported for stream-table join. Got %s.", got())
	}
	switch {
	case !leftTable && rightTable && !p.isKey(r):
		return diagnostic.At(j.join.On.Position(), "Invalid join condition: stream-table joins require to join on the table's primary key. Got %s.", written())
	case leftTable && !p.isKey(r):
		return diagnostic.At(j.join.On.Position(), "Invalid join condition: table-table joins require to join on the primary key of the right input table. Got %s.", written())
	case leftTable && !p.isKey(l):
		switch {
		case l.source == nil:
			return diagnostic.At(j.join.On.Position(), "Invalid join condition: foreign-key table-table joins are not supported as part of n-way joins. Got %s.", written())
		case l.rel.window != "" || r.rel.window != "":
			e := diagnostic.At(pos, "Foreign-key table-table joins are not supported on windowed tables.")
			e.Kind = diagnostic.General
			return e
		case j.join.Kind == ast.RightJoin || j.join.Kind == ast.FullJoin:
			return diagnostic.At(pos, "Invalid join type: %s on a foreign key is not supported. Got %s.", j.join.Kind, got())
		}
	}
	p.later(p.checkJoinWindows(l, r))
	p.later(checkWithin(j.join, leftTable, rightTable))
	return nil
}

// checkWithin: streams are joined within a time, and nothing else is.
func checkWithin(j *ast.Join, leftTable, rightTable bool) error {
	refuse := func(kind string) error {
		return diagnostic.At(j.Within.Pos, "A window definition was provided for a %[1]s join. These joins are not windowed. "+
			"Please drop the window definition (i.e. the WITHIN clause) and try to execute your %[1]s join again.", kind)
	}
	switch {
	case !rightTable && j.Within == nil:
		return diagnostic.At(j.Pos, "Stream-Stream joins must have a WITHIN clause specified. None was provided. To learn about how to specify a WITHIN clause with a stream-stream join, please visit: "+
			"https://docs.confluent.io/current/ksql/docs/syntax-reference.html#create-stream-as-select")
	case j.Within == nil || !rightTable:
		return nil
	case leftTable:
		return refuse("Table-Table")
	default:
		return refuse("Stream-Table")
	}
}

// sideName is the name of the leftmost source of a side.
func (p *planner) sideName(s *side) string {
	if s.source != nil {
		return s.source.def.Name
	}
	return p.sources[0].def.Name
}

// checkJoinWindows lets windowed sources meet only their like.
func (p *planner) checkJoinWindows(l, r *side) error {
	lw, rw := l.rel.window, r.rel.window
	if lw == rw {
		return nil
	}
	describe := func(s *side, w string) string {
		alias := p.sources[0].alias
		if s.source != nil {
			alias = s.source.alias
		}
		if w == "" {
			return schema.Quote(alias) + " is not windowed"
		}
		return schema.Quote(alias) + " is " + w + " windowed"
	}
	pos := r.source.pos
	if lw == "" || rw == "" {
		return diagnostic.At(pos, "Can not join windowed source to non-windowed source.\n%s\n%s", describe(l, lw), describe(r, rw))
	}
	if (lw == "SESSION") != (rw == "SESSION") {
		return diagnostic.At(pos, "Incompatible windowed sources.\nLeft source: %s\nRight source: %s\n"+
			"Session windowed sources can only be joined to other session windowed sources, and may still not result in expected behaviour as session bounds must be an exact match for the join to work\n"+
			"Hopping and tumbling windowed sources can only be joined to other hopping and tumbling windowed sources", lw, rw)
	}
	return nil
}

// partitionAlike refuses sides with different numbers of partitions.
func (p *planner) partitionAlike(l, r *side) error {
	if l.rel.partitions == r.rel.partitions || l.rel.partitions == 0 || r.rel.partitions == 0 {
		return nil
	}
	left := p.sources[0].alias
	if l.source != nil {
		left = l.source.alias
	}
	return diagnostic.At(r.source.pos, "Can't join `%[1]s` with `%[2]s` since the number of partitions don't match. `%[1]s` partitions = %[3]d; `%[2]s` partitions = %[4]d. "+
		"Please repartition either one so that the number of partitions match.", left, r.source.alias, l.rel.partitions, r.rel.partitions)
}

// prepend gives the columns of a side that is a source their names in the join:
// ALIAS_NAME.
func (p *planner) prepend(s *side) {
	if s.source == nil {
		return
	}
	rename := func(cols []schema.Column) []schema.Column {
		out := make([]schema.Column, len(cols))
		for i, c := range cols {
			out[i] = schema.Column{Name: s.source.alias + "_" + c.Name, Type: c.Type}
		}
		return out
	}
	r := s.rel
	out := r.output("PrependAlias" + s.context)
	values := columnsAs(out.Schema.Value, false)
	out.Schema = schema.Schema{Key: rename(out.Schema.Key), Value: rename(out.Schema.Value)}
	s.rel = r.then(&plan.Project{Output: out, Input: r.node, Values: values}, plan.ProjectStep)
	s.rel.step.Schema = schema.Schema{Key: out.Schema.Key, Value: rename(r.step.Schema.Value)}
}
