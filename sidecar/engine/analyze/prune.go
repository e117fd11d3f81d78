package analyze

import (
	"github.com/sidestream/sidestream/sidecar/engine/plan"
	"github.com/sidestream/sidestream/sidecar/engine/schema"
)

// prune makes a plan that does what root does with less: projections that only
// pick columns are merged into what follows them, columns that nobody reads are
// neither decoded, stored nor sent, and projections that change nothing are
// taken out. It changes the nodes of the plan.
func prune(root plan.Node) plan.Node {
	m := merger{done: map[plan.Node]plan.Node{}}
	root = m.node(root)
	t := &trimmer{need: map[plan.Node][]bool{}, moved: map[plan.Node][]int{}}
	t.order(root, map[plan.Node]bool{})
	for _, n := range t.sorted {
		t.joined = t.joined || len(inputs(n)) > 1
	}
	for i := len(t.sorted) - 1; i >= 0; i-- { // consumers before inputs
		t.ask(t.sorted[i])
	}
	for _, n := range t.sorted { // inputs before consumers
		t.trim(n)
	}
	return dropIdentities(root, map[plan.Node]plan.Node{})
}

// inputs are the places where a node holds its inputs.
func inputs(n plan.Node) []*plan.Node {
	switch n := n.(type) {
	case *plan.Filter:
		return []*plan.Node{&n.Input}
	case *plan.Project:
		return []*plan.Node{&n.Input}
	case *plan.FlatMap:
		return []*plan.Node{&n.Input}
	case *plan.Rekey:
		return []*plan.Node{&n.Input}
	case *plan.Repartition:
		return []*plan.Node{&n.Input}
	case *plan.GroupBy:
		return []*plan.Node{&n.Input}
	case *plan.Aggregate:
		return []*plan.Node{&n.Input}
	case *plan.Materialize:
		return []*plan.Node{&n.Input}
	case *plan.Sink:
		return []*plan.Node{&n.Input}
	case *plan.Emit:
		return []*plan.Node{&n.Input}
	case *plan.StreamStreamJoin:
		return []*plan.Node{&n.Left, &n.Right}
	case *plan.StreamTableJoin:
		return []*plan.Node{&n.Left, &n.Right}
	case *plan.TableTableJoin:
		return []*plan.Node{&n.Left, &n.Right}
	case *plan.ForeignKeyJoin:
		return []*plan.Node{&n.Left, &n.Right}
	}
	return nil
}

// exprsOf are the places where a node holds expressions over its (only or left)
// input.
func exprsOf(n plan.Node) []*plan.Expr {
	var out []*plan.Expr
	all := func(list []plan.Expr) {
		for i := range list {
			out = append(out, &list[i])
		}
	}
	switch n := n.(type) {
	case *plan.Filter:
		out = append(out, &n.Pred)
	case *plan.Project:
		all(n.Values)
	case *plan.FlatMap:
		for i := range n.Functions {
			all(n.Functions[i].Args)
		}
	case *plan.Rekey:
		all(n.Keys)
	case *plan.GroupBy:
		all(n.Keys)
	case *plan.Aggregate:
		all(n.Carried)
		for i := range n.Calls {
			all(n.Calls[i].Args)
		}
	case *plan.ForeignKeyJoin:
		out = append(out, &n.ForeignKey)
	}
	return out
}

// picks tells whether an expression only takes what is there.
func picks(e plan.Expr) bool {
	switch e.(type) {
	case *plan.Column, *plan.Pseudo, *plan.Literal:
		return true
	}
	return false
}

func onlyPicks(p *plan.Project) bool {
	for _, v := range p.Values {
		if !picks(v) {
			return false
		}
	}
	return true
}

// through rewrites an expression over a projection to one over its input.
func through(e plan.Expr, p *plan.Project) plan.Expr {
	return plan.Rewrite(e, func(x plan.Expr) plan.Expr {
		if c, ok := x.(*plan.Column); ok && !c.InKey {
			return p.Values[c.Index]
		}
		return x
	})
}

// merger moves projections that only pick columns up: behind filters, and into
// other projections.
type merger struct{ done map[plan.Node]plan.Node }

func (m *merger) node(n plan.Node) plan.Node {
	if out, ok := m.done[n]; ok {
		return out
	}
	for _, in := range inputs(n) {
		*in = m.node(*in)
	}
	out := n
	switch n := n.(type) {
	case *plan.Project:
		if p, ok := n.Input.(*plan.Project); ok && onlyPicks(p) {
			for i := range n.Values {
				n.Values[i] = through(n.Values[i], p)
			}
			n.Input = p.Input
		}
	case *plan.Filter:
		if p, ok := n.Input.(*plan.Project); ok && onlyPicks(p) {
			n.Pred = through(n.Pred, p)
			n.Input = p.Input
			n.Schema = p.Input.Out().Schema
			up := *p
			up.Input = n
			out = &up
		}
	}
	m.done[n] = out
	return out
}

// trimmer finds out which columns of each node are read, and takes the others
// out.
type trimmer struct {
	// joined: the query has a join, so it can't be replaced in place. Another
	// query's replacement may read more columns of what a source table keeps.
	joined bool
	sorted []plan.Node
	need   map[plan.Node][]bool
	moved  map[plan.Node][]int // old place → new place
}

// order lists nodes behind their inputs.
func (t *trimmer) order(n plan.Node, seen map[plan.Node]bool) {
	if seen[n] {
		return
	}
	seen[n] = true
	for _, in := range inputs(n) {
		t.order(*in, seen)
	}
	t.sorted = append(t.sorted, n)
	t.need[n] = make([]bool, len(n.Out().Schema.Value))
}

func (t *trimmer) ask(n plan.Node) {
	need := t.need[n]
	first := func(in plan.Node) []bool { return t.need[in] }
	read := func(e plan.Expr, in plan.Node) {
		plan.Walk(e, func(x plan.Expr) {
			if c, ok := x.(*plan.Column); ok && !c.InKey {
				t.need[in][c.Index] = true
			}
		})
	}
	pass := func(in plan.Node, from int) {
		to := t.need[in]
		for i := range to {
			to[i] = to[i] || need[from+i]
		}
	}
	switch n := n.(type) {
	case *plan.Sink, *plan.Emit:
		for i := range need {
			need[i] = true
		}
		pass(*inputs(n)[0], 0)
	case *plan.Project:
		for i, v := range n.Values {
			if need[i] {
				read(v, n.Input)
			}
		}
	case *plan.Aggregate:
		for i := range need {
			need[i] = true
		}
		for _, e := range exprsOf(n) {
			read(*e, n.Input)
		}
	case *plan.FlatMap:
		for i := len(first(n.Input)); i < len(need); i++ {
			need[i] = true // its rows are counted, whoever reads it
		}
		pass(n.Input, 0)
		for _, e := range exprsOf(n) {
			read(*e, n.Input)
		}
	case *plan.Repartition:
		if !anyOf(need) && len(need) > 0 {
			need[cheapest(n.Schema.Value)] = true // formats differ in what they make of no columns
		}
		pass(n.Input, 0)
	case *plan.StreamStreamJoin, *plan.StreamTableJoin, *plan.TableTableJoin, *plan.ForeignKeyJoin:
		in := inputs(n)
		pass(*in[0], 0)
		pass(*in[1], len(first(*in[0])))
		for _, e := range exprsOf(n) {
			read(*e, *in[0])
		}
	case *plan.Source:
		if ts := n.Timestamp; ts != nil && !ts.Column.InKey {
			need[ts.Column.Index] = true
		}
		if n.Table && !t.joined {
			for i := range need {
				need[i] = true
			}
		}
	default: // Filter, Rekey, GroupBy, Materialize
		in := *inputs(n)[0]
		pass(in, 0)
		for _, e := range exprsOf(n) {
			read(*e, in)
		}
	}
}

func anyOf(flags []bool) bool {
	for _, f := range flags {
		if f {
			return true
		}
	}
	return false
}

// cheapest is the place of a column that costs little to write.
func cheapest(cols []schema.Column) int {
	best := 0
	for i, c := range cols {
		if c.Type.Kind < cols[best].Type.Kind {
			best = i
		}
	}
	return best
}

func (t *trimmer) trim(n plan.Node) {
	t.widen(n)
	need := t.need[n]
	moved := make([]int, len(need))
	var kept []schema.Column
	out := n.Out()
	for i := range need {
		moved[i] = -1
		if need[i] {
			moved[i] = len(kept)
			kept = append(kept, out.Schema.Value[i])
		}
	}
	t.moved[n] = moved
	if p, ok := n.(*plan.Project); ok {
		var values []plan.Expr
		for i, v := range p.Values {
			if need[i] {
				values = append(values, v)
			}
		}
		p.Values = values
	}
	if src, ok := n.(*plan.Source); ok {
		t.trimSource(src, kept)
	} else {
		out.Schema.Value = kept
	}
	ins := inputs(n)
	if len(ins) == 0 {
		return
	}
	from := t.moved[*ins[0]]
	for _, e := range exprsOf(n) {
		*e = plan.Rewrite(*e, func(x plan.Expr) plan.Expr {
			if c, ok := x.(*plan.Column); ok && !c.InKey {
				moved := *c
				moved.Index = from[c.Index]
				return &moved
			}
			return x
		})
	}
}

// widen: steps that hand their input's rows on have all of its columns, also
// those that only they read. A repartition topic carries what is read behind it.
func (t *trimmer) widen(n plan.Node) {
	ins := inputs(n)
	switch n := n.(type) {
	case *plan.Filter, *plan.Rekey, *plan.GroupBy, *plan.Materialize:
		t.need[n] = t.need[*ins[0]]
	case *plan.FlatMap:
		copy(t.need[n], t.need[n.Input])
	case *plan.StreamStreamJoin, *plan.StreamTableJoin, *plan.TableTableJoin, *plan.ForeignKeyJoin:
		left, right := t.need[*ins[0]], t.need[*ins[1]]
		t.need[n] = append(append([]bool(nil), left...), right...)
	case *plan.Repartition:
		t.narrow(n)
	}
}

// narrow puts a projection before a repartition topic where its input has more
// columns than are read behind it.
func (t *trimmer) narrow(n *plan.Repartition) {
	need, has, moved := t.need[n], t.need[n.Input], t.moved[n.Input]
	wider := false
	for i := range need {
		wider = wider || has[i] && !need[i]
	}
	if !wider {
		return
	}
	in := n.Input.Out()
	p := &plan.Project{Output: *in, Input: n.Input}
	p.Name, p.Schema.Value = n.Name+".Columns", nil
	at := make([]int, len(need))
	for i := range need {
		at[i] = -1
		if need[i] {
			col := in.Schema.Value[moved[i]]
			at[i] = len(p.Values)
			p.Values = append(p.Values, &plan.Column{Name: col.Name, Index: moved[i], Type: col.Type})
			p.Schema.Value = append(p.Schema.Value, col)
		}
	}
	n.Input = p
	t.need[p], t.moved[p] = need, at
}

func (t *trimmer) trimSource(src *plan.Source, kept []schema.Column) {
	need, moved := t.need[src], t.moved[src]
	if len(kept) == len(need) {
		return
	}
	src.Used = append([]bool(nil), need...)
	src.Schema.Value = kept
	if ts := src.Timestamp; ts != nil && !ts.Column.InKey {
		copied := *ts
		copied.Column.Index = moved[ts.Column.Index]
		src.Timestamp = &copied
	}
}

// dropIdentities takes out projections whose rows are those of their input.
func dropIdentities(n plan.Node, done map[plan.Node]plan.Node) plan.Node {
	if out, ok := done[n]; ok {
		return out
	}
	for _, in := range inputs(n) {
		*in = dropIdentities(*in, done)
	}
	out := n
	if p, ok := n.(*plan.Project); ok && isIdentity(p) {
		out = p.Input
	}
	done[n] = out
	return out
}

func isIdentity(p *plan.Project) bool {
	if len(p.Values) != len(p.Input.Out().Schema.Value) {
		return false
	}
	for i, v := range p.Values {
		c, ok := v.(*plan.Column)
		if !ok || c.InKey || c.Index != i {
			return false
		}
	}
	return true
}
