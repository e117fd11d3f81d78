package plan

// Rewrite returns e with f applied to every node in it, innermost first. Nodes
// with parts are copied, so e itself never changes; f may return its argument.
func Rewrite(e Expr, f func(Expr) Expr) Expr {
	if e == nil {
		return nil
	}
	sub := func(x Expr) Expr { return Rewrite(x, f) }
	all := func(list []Expr) []Expr {
		out := make([]Expr, len(list))
		for i, x := range list {
			out[i] = sub(x)
		}
		return out
	}
	switch n := e.(type) {
	case *Call:
		return f(&Call{Name: n.Name, Args: all(n.Args), Type: n.Type})
	case *Lambda:
		c := *n
		c.Body = sub(n.Body)
		return f(&c)
	case *Arith:
		return f(&Arith{Op: n.Op, L: sub(n.L), R: sub(n.R), Type: n.Type})
	case *Negate:
		return f(&Negate{sub(n.X)})
	case *Compare:
		return f(&Compare{n.Op, sub(n.L), sub(n.R)})
	case *And:
		return f(&And{sub(n.L), sub(n.R)})
	case *Or:
		return f(&Or{sub(n.L), sub(n.R)})
	case *Not:
		return f(&Not{sub(n.X)})
	case *IsNull:
		return f(&IsNull{sub(n.X), n.Negated})
	case *In:
		return f(&In{sub(n.X), all(n.List)})
	case *Between:
		return f(&Between{sub(n.X), sub(n.Low), sub(n.High)})
	case *Like:
		return f(&Like{sub(n.X), sub(n.Pattern), n.Escape})
	case *Case:
		c := &Case{Whens: make([]When, len(n.Whens)), Else: sub(n.Else), Type: n.Type}
		for i, w := range n.Whens {
			c.Whens[i] = When{sub(w.Cond), sub(w.Result)}
		}
		return f(c)
	case *Cast:
		return f(&Cast{sub(n.X), n.Type})
	case *FieldOf:
		c := *n
		c.X = sub(n.X)
		return f(&c)
	case *Subscript:
		return f(&Subscript{sub(n.X), sub(n.Index), n.Type})
	case *MakeArray:
		return f(&MakeArray{all(n.Items), n.Type})
	case *MakeMap:
		return f(&MakeMap{all(n.Keys), all(n.Values), n.Type})
	case *MakeStruct:
		return f(&MakeStruct{all(n.Values), n.Type})
	}
	return f(e)
}

// Walk calls visit for e and everything in it, innermost first.
func Walk(e Expr, visit func(Expr)) {
	Rewrite(e, func(x Expr) Expr {
		visit(x)
		return x
	})
}
