package expression

import (
	"github.com/sidestream/sidestream/sidecar/engine/ast"
	"github.com/sidestream/sidestream/sidecar/engine/diagnostic"
	"github.com/sidestream/sidestream/sidecar/engine/plan"
	"github.com/sidestream/sidestream/sidecar/engine/types"
)

func (c *context) pair(l, r ast.Expr) (plan.Expr, plan.Expr, error) {
	x, err := c.expr(l)
	if err != nil {
		return nil, nil, err
	}
	y, err := c.expr(r)
	return x, y, err
}

func (c *context) arith(n *ast.Arith) (plan.Expr, error) {
	l, r, err := c.pair(n.L, n.R)
	if err != nil {
		return nil, err
	}
	op := plan.ArithOp(n.Op)
	lt, rt := l.ResultType(), r.ResultType()
	text := Text(n, c.scope)
	switch {
	case lt.Kind == types.Null || rt.Kind == types.Null:
		return nil, diagnostic.At(n.Pos, "Error processing expression: %s. Arithmetic on types %s and %s are not supported.\nStatement: %s",
			text, typeName(lt), typeName(rt), text)
	case n.Op == ast.Add && lt.Kind == types.String && rt.Kind == types.String:
		return &plan.Arith{Op: op, L: l, R: r, Type: types.TString}, nil
	case !lt.IsNumeric() || !rt.IsNumeric():
		return nil, diagnostic.At(n.Pos, "Error processing expression: %s. Unsupported arithmetic types. %s %s\nStatement: %s",
			text, lt.Kind, rt.Kind, text)
	}
	t, err := types.ArithType(types.Op(n.Op), lt, rt)
	if err != nil {
		return nil, diagnostic.At(n.Pos, "Error processing expression: %s. %v\nStatement: %s", text, err, text)
	}
	return &plan.Arith{Op: op, L: l, R: r, Type: t}, nil
}

func (c *context) unary(n *ast.Unary) (plan.Expr, error) {
	x, err := c.expr(n.X)
	if err != nil {
		return nil, err
	}
	if t := x.ResultType(); !t.IsNumeric() {
		return nil, diagnostic.At(n.Pos, "Error processing expression: %s. Unsupported arithmetic types. %s\nStatement: %s",
			Text(n, c.scope), typeName(t), Text(n, c.scope))
	}
	if !n.Minus {
		return x, nil
	}
	if lit, ok := x.(*plan.Literal); ok {
		return &plan.Literal{Value: types.Negate(lit.Value), Type: lit.Type}, nil
	}
	return &plan.Negate{X: x}, nil
}

// condition is an operand of AND, OR and NOT.
func (c *context) condition(e ast.Expr) (plan.Expr, error) {
	x, err := c.expr(e)
	if err != nil {
		return nil, err
	}
	if t := x.ResultType(); t.Kind != types.Boolean && t.Kind != types.Null {
		return nil, diagnostic.At(e.Position(), "AND, OR and NOT take conditions, but %s is %s.\nStatement: %s",
			Text(e, c.scope), t, Text(e, c.scope))
	}
	return x, nil
}

func (c *context) logical(n *ast.Logical) (plan.Expr, error) {
	l, err := c.condition(n.L)
	if err != nil {
		return nil, err
	}
	r, err := c.condition(n.R)
	if err != nil {
		return nil, err
	}
	if n.Or {
		return &plan.Or{L: l, R: r}, nil
	}
	return &plan.And{L: l, R: r}, nil
}

func (c *context) compare(n *ast.Compare) (plan.Expr, error) {
	l, r, err := c.pair(n.L, n.R)
	if err != nil {
		return nil, err
	}
	if l, r, err = c.magicTimes(n.L, l, n.R, r); err != nil {
		return nil, err
	}
	return c.comparison(n, plan.CompareOp(n.Op), n.L, n.R, l, r)
}

var compareNames = [...]string{"EQUAL", "NOT_EQUAL", "LESS_THAN", "LESS_THAN_OR_EQUAL", "GREATER_THAN",
	"GREATER_THAN_OR_EQUAL", "IS_DISTINCT_FROM", "IS_NOT_DISTINCT_FROM"}

// comparison checks that two sides can be compared, and brings times to one
// type.
func (c *context) comparison(whole ast.Expr, op plan.CompareOp, le, re ast.Expr, l, r plan.Expr) (plan.Expr, error) {
	lt, rt := l.ResultType(), r.ResultType()
	text := Text(whole, c.scope)
	if lt.Kind == types.Null || rt.Kind == types.Null {
		return nil, diagnostic.At(whole.Position(), "Comparison with NULL not supported: %s %s %s\nUse 'IS NULL' or 'IS NOT NULL' instead.\nStatement: %s",
			lt, op, rt, text)
	}
	if !comparable(op, lt, rt) {
		return nil, diagnostic.At(whole.Position(), "Cannot compare %s (%s) to %s (%s) with %s.\nStatement: %s",
			Text(le, c.scope), lt, Text(re, c.scope), rt, compareNames[op], text)
	}
	l, r = alignTimes(l, r)
	return &plan.Compare{Op: op, L: l, R: r}, nil
}

func comparable(op plan.CompareOp, l, r types.Type) bool {
	equality := op == plan.Equal || op == plan.NotEqual || op == plan.IsDistinctFrom || op == plan.IsNotDistinctFrom
	switch {
	case l.IsNumeric():
		return r.IsNumeric()
	case l.Kind == types.String:
		return r.Kind == types.String || isTime(r.Kind)
	case isTime(l.Kind):
		if r.Kind == types.String {
			return true
		}
		return isTime(r.Kind) && (l.Kind == types.Time) == (r.Kind == types.Time)
	case l.Kind == types.Bytes:
		return r.Kind == types.Bytes
	case l.Kind == types.Boolean, l.Kind == types.Array, l.Kind == types.Map:
		return equality && r.Kind == l.Kind
	case l.Kind == types.Struct:
		return equality && r.Kind == l.Kind
	}
	return false
}

func isTime(k types.Kind) bool { return k == types.Date || k == types.Time || k == types.Timestamp }

// alignTimes makes both sides the same kind of time where one is: texts are
// read as the other's type, dates are timestamps beside timestamps.
func alignTimes(l, r plan.Expr) (plan.Expr, plan.Expr) {
	lk, rk := l.ResultType().Kind, r.ResultType().Kind
	if lk == rk || !isTime(lk) && !isTime(rk) {
		return l, r
	}
	to := func(e plan.Expr, k types.Kind) plan.Expr { return castTo(e, types.Type{Kind: k}) }
	switch {
	case lk == types.String:
		return to(l, rk), r
	case rk == types.String:
		return l, to(r, lk)
	case lk == types.Date:
		return to(l, rk), r
	case rk == types.Date:
		return l, to(r, lk)
	}
	return l, r
}

// magicTimes reads a text that is compared with ROWTIME or a window bound as a
// time.
func (c *context) magicTimes(le ast.Expr, l plan.Expr, re ast.Expr, r plan.Expr) (plan.Expr, plan.Expr, error) {
	var err error
	if isMagic(le) {
		r, err = magicLiteral(re, r)
	} else if isMagic(re) {
		l, err = magicLiteral(le, l)
	}
	return l, r, err
}

func isMagic(e ast.Expr) bool {
	ref, ok := e.(*ast.ColumnRef)
	return ok && (ref.Name == "ROWTIME" || ref.Name == "WINDOWSTART" || ref.Name == "WINDOWEND")
}

func magicLiteral(e ast.Expr, x plan.Expr) (plan.Expr, error) {
	lit, ok := x.(*plan.Literal)
	if !ok || lit.Type.Kind != types.String {
		return x, nil
	}
	ms, err := types.ParseTimestamp(lit.Value.Str())
	if err != nil {
		return nil, diagnostic.At(e.Position(), "%v", err)
	}
	return &plan.Literal{Value: types.NewBigint(ms), Type: types.TBigint}, nil
}

func (c *context) between(n *ast.Between) (plan.Expr, error) {
	x, low, err := c.pair(n.X, n.Low)
	if err != nil {
		return nil, err
	}
	high, err := c.expr(n.High)
	if err != nil {
		return nil, err
	}
	if isMagic(n.X) {
		if low, err = magicLiteral(n.Low, low); err != nil {
			return nil, err
		}
		if high, err = magicLiteral(n.High, high); err != nil {
			return nil, err
		}
	}
	for _, side := range []struct {
		op plan.CompareOp
		e  ast.Expr
		x  plan.Expr
	}{{plan.GreaterEqual, n.Low, low}, {plan.LessEqual, n.High, high}} {
		lt, rt := x.ResultType(), side.x.ResultType()
		if lt.Kind == types.Null || rt.Kind == types.Null {
			return nil, c.lateError(n.Pos, "Comparison with NULL not supported: "+lt.String()+" "+side.op.String()+" "+rt.String()+
				"\nUse 'IS NULL' or 'IS NOT NULL' instead.")
		}
		if !comparable(side.op, lt, rt) {
			return nil, c.lateError(n.Pos, "Cannot compare "+Text(n.X, c.scope)+" ("+lt.String()+") to "+Text(side.e, c.scope)+
				" ("+rt.String()+") with "+compareNames[side.op])
		}
	}
	if isTime(x.ResultType().Kind) || isTime(low.ResultType().Kind) || isTime(high.ResultType().Kind) {
		a, lo := alignTimes(x, low)
		b, hi := alignTimes(x, high)
		return &plan.And{L: &plan.Compare{Op: plan.GreaterEqual, L: a, R: lo}, R: &plan.Compare{Op: plan.LessEqual, L: b, R: hi}}, nil
	}
	return &plan.Between{X: x, Low: low, High: high}, nil
}

func (c *context) like(n *ast.Like) (plan.Expr, error) {
	x, pattern, err := c.pair(n.X, n.Pattern)
	if err != nil {
		return nil, err
	}
	for _, t := range []types.Type{x.ResultType(), pattern.ResultType()} {
		if t.Kind != types.String && t.Kind != types.Null {
			return nil, diagnostic.At(n.Pos, "The column type for Like condition must be VARCHAR. The column type is %s\nStatement: %s", t, Text(n, c.scope))
		}
	}
	return &plan.Like{X: x, Pattern: pattern, Escape: n.Escape}, nil
}

func (c *context) in(n *ast.In) (plan.Expr, error) {
	all := make([]plan.Expr, 0, len(n.List)+1)
	for _, e := range append([]ast.Expr{n.X}, n.List...) {
		x, err := c.expr(e)
		if err != nil {
			return nil, err
		}
		all = append(all, x)
	}
	if isMagic(n.X) {
		for i := range n.List {
			lit, ok := all[i+1].(*plan.Literal)
			if !ok || lit.Type.Kind != types.String {
				continue
			}
			if ms, err := types.ParseTimestamp(lit.Value.Str()); err == nil {
				all[i+1] = &plan.Literal{Value: types.NewBigint(ms), Type: types.TBigint}
			}
		}
	}
	out, _, err := unify(all)
	if err != nil {
		return nil, c.lateError(n.Pos, err.Error())
	}
	return &plan.In{X: out[0], List: out[1:]}, nil
}

func (c *context) caseOf(n *ast.Case) (plan.Expr, error) {
	out := &plan.Case{}
	var found types.Type
	for i, w := range n.Whens {
		cond := w.Cond
		if n.Operand != nil {
			cond = &ast.Compare{Pos: w.Pos, Op: ast.Equal, L: n.Operand, R: w.Cond}
		}
		x, err := c.expr(cond)
		if err != nil {
			return nil, err
		}
		if t := x.ResultType(); t.Kind != types.Boolean {
			return nil, diagnostic.At(cond.Position(), "WHEN operand type should be boolean.\nType for '%s' is %s", Text(cond, c.scope), typeName(t))
		}
		r, err := c.expr(w.Result)
		if err != nil {
			return nil, err
		}
		t := r.ResultType()
		switch {
		case t.Kind == types.Null:
		case found.Kind == types.Null:
			found = t
		case !t.Equal(found):
			return nil, diagnostic.At(n.Whens[i].Result.Position(), "Invalid Case expression. Type for all 'THEN' clauses should be the same.\nTHEN expression '%s' has type: %s.\nPrevious THEN expression(s) type: %s.",
				"WHEN "+Text(cond, c.scope)+" THEN "+Text(w.Result, c.scope), t, found)
		}
		out.Whens = append(out.Whens, plan.When{Cond: x, Result: r})
	}
	if n.Else != nil {
		x, err := c.expr(n.Else)
		if err != nil {
			return nil, err
		}
		t := x.ResultType()
		switch {
		case t.Kind == types.Null:
		case found.Kind == types.Null:
			found = t
		case !t.Equal(found):
			return nil, diagnostic.At(n.Else.Position(), "Invalid Case expression. Type for the default clause should be the same as for 'THEN' clauses.\nTHEN type: %s.\nDEFAULT type: %s.",
				found, t)
		}
		out.Else = x
	}
	if found.Kind == types.Null {
		return nil, diagnostic.At(n.Pos, "Invalid Case expression. All case branches have NULL type\nStatement: %s", Text(n, c.scope))
	}
	out.Type = found
	return out, nil
}

func (c *context) cast(n *ast.Cast) (plan.Expr, error) {
	x, err := c.expr(n.X)
	if err != nil {
		return nil, err
	}
	to, err := n.Type.Resolve(c.a.CustomType)
	if err != nil {
		return nil, diagnostic.At(n.Type.Pos, "%v", err)
	}
	if _, err := types.NewCaster(x.ResultType(), to); err != nil {
		return nil, c.lateError(n.Pos, err.Error())
	}
	return &plan.Cast{X: x, Type: to}, nil
}
