package ast

// Walk calls visit for e and, where visit returns true, for the expressions in
// it, in the order in which they are written. A nil e is not visited.
func Walk(e Expr, visit func(Expr) bool) {
	if e == nil || !visit(e) {
		return
	}
	eachChild(e, func(c Expr) Expr {
		Walk(c, visit)
		return c
	})
}

// Rewrite returns e with f applied to every node in it, innermost first. f gets
// a node whose children are rewritten already and returns it or its
// replacement. Nodes that do not change are shared with e; e itself is never
// changed.
func Rewrite(e Expr, f func(Expr) Expr) Expr {
	if e == nil {
		return nil
	}
	return f(eachChild(e, func(c Expr) Expr { return Rewrite(c, f) }))
}

// RewriteQuery returns a copy of q with f applied, as by Rewrite, to every
// expression in it.
func RewriteQuery(q *Query, f func(Expr) Expr) *Query {
	out := *q
	out.Select = make([]SelectItem, len(q.Select))
	for i, item := range q.Select {
		item.Expr = Rewrite(item.Expr, f)
		out.Select[i] = item
	}
	out.From.Joins = append([]Join(nil), q.From.Joins...)
	for i := range out.From.Joins {
		out.From.Joins[i].On = Rewrite(out.From.Joins[i].On, f)
	}
	out.Where = Rewrite(q.Where, f)
	out.Having = Rewrite(q.Having, f)
	out.GroupBy = rewriteAll(q.GroupBy, f)
	out.PartitionBy = rewriteAll(q.PartitionBy, f)
	return &out
}

func rewriteAll(list []Expr, f func(Expr) Expr) []Expr {
	var out []Expr
	for _, e := range list {
		out = append(out, Rewrite(e, f))
	}
	return out
}

// eachChild applies f to the expressions directly in e, and returns e, or a
// copy of it where f replaced one of them.
func eachChild(e Expr, f func(Expr) Expr) Expr {
	switch n := e.(type) {
	case *Arith:
		if l, r := f(n.L), f(n.R); l != n.L || r != n.R {
			return &Arith{n.Pos, n.Op, l, r}
		}
	case *Concat:
		if l, r := f(n.L), f(n.R); l != n.L || r != n.R {
			return &Concat{n.Pos, l, r}
		}
	case *Unary:
		if x := f(n.X); x != n.X {
			return &Unary{n.Pos, n.Minus, x}
		}
	case *Compare:
		if l, r := f(n.L), f(n.R); l != n.L || r != n.R {
			return &Compare{n.Pos, n.Op, l, r}
		}
	case *Logical:
		if l, r := f(n.L), f(n.R); l != n.L || r != n.R {
			return &Logical{n.Pos, n.Or, l, r}
		}
	case *Not:
		if x := f(n.X); x != n.X {
			return &Not{n.Pos, x}
		}
	case *IsNull:
		if x := f(n.X); x != n.X {
			return &IsNull{n.Pos, x, n.Negated}
		}
	case *In:
		x := f(n.X)
		if list, changed := eachOf(n.List, f); changed || x != n.X {
			return &In{n.Pos, x, list}
		}
	case *Between:
		if x, lo, hi := f(n.X), f(n.Low), f(n.High); x != n.X || lo != n.Low || hi != n.High {
			return &Between{n.Pos, x, lo, hi}
		}
	case *Like:
		if x, p := f(n.X), f(n.Pattern); x != n.X || p != n.Pattern {
			return &Like{n.Pos, x, p, n.Escape}
		}
	case *Case:
		return eachOfCase(n, f)
	case *Cast:
		if x := f(n.X); x != n.X {
			return &Cast{n.Pos, x, n.Type}
		}
	case *Call:
		if args, changed := eachOf(n.Args, f); changed {
			return &Call{n.Pos, n.Name, args}
		}
	case *Lambda:
		if b := f(n.Body); b != n.Body {
			return &Lambda{n.Pos, n.Params, b}
		}
	case *FieldOf:
		if x := f(n.X); x != n.X {
			return &FieldOf{n.Pos, x, n.Name}
		}
	case *AllFields:
		if x := f(n.X); x != n.X {
			return &AllFields{n.Pos, x}
		}
	case *Subscript:
		if x, i := f(n.X), f(n.Index); x != n.X || i != n.Index {
			return &Subscript{n.Pos, x, i}
		}
	case *MakeArray:
		if items, changed := eachOf(n.Items, f); changed {
			return &MakeArray{n.Pos, items}
		}
	case *MakeMap:
		return eachOfMap(n, f)
	case *MakeStruct:
		fields, changed := n.Fields, false
		for i := range n.Fields {
			if v := f(n.Fields[i].Value); v != n.Fields[i].Value {
				if !changed {
					fields, changed = append([]StructField(nil), n.Fields...), true
				}
				fields[i].Value = v
			}
		}
		if changed {
			return &MakeStruct{n.Pos, fields}
		}
	}
	return e
}

func eachOf(list []Expr, f func(Expr) Expr) (out []Expr, changed bool) {
	out = list
	for i, e := range list {
		if v := f(e); v != e {
			if !changed {
				out, changed = append([]Expr(nil), list...), true
			}
			out[i] = v
		}
	}
	return out, changed
}

func eachOfCase(n *Case, f func(Expr) Expr) Expr {
	out := Case{Pos: n.Pos, Operand: n.Operand, Whens: n.Whens, Else: n.Else}
	changed, copied := false, false
	if n.Operand != nil {
		out.Operand = f(n.Operand)
		changed = out.Operand != n.Operand
	}
	for i, w := range n.Whens {
		cond, result := f(w.Cond), f(w.Result)
		if cond == w.Cond && result == w.Result {
			continue
		}
		if !copied {
			out.Whens, copied = append([]When(nil), n.Whens...), true
		}
		out.Whens[i] = When{w.Pos, cond, result}
	}
	if n.Else != nil {
		out.Else = f(n.Else)
		changed = changed || out.Else != n.Else
	}
	if !changed && !copied {
		return n
	}
	return &out
}

// eachOfMap keeps the written order: key, value, key, value.
func eachOfMap(n *MakeMap, f func(Expr) Expr) Expr {
	keys := append([]Expr(nil), n.Keys...)
	values := append([]Expr(nil), n.Values...)
	changed := false
	for i := range keys {
		keys[i], values[i] = f(keys[i]), f(values[i])
		changed = changed || keys[i] != n.Keys[i] || values[i] != n.Values[i]
	}
	if !changed {
		return n
	}
	return &MakeMap{n.Pos, keys, values}
}
