package exec

import (
	"strings"

	"github.com/sidestream/sidestream/sidecar/engine/plan"
	"github.com/sidestream/sidestream/sidecar/engine/types"
)

// condition compiles a BOOLEAN expression. A comparison with NULL is false.
// AND and OR look at the right side only when the left leaves the question
// open, and are unknown as soon as they meet a NULL.
func (c *compiler) condition(e plan.Expr) (condition, error) {
	switch e := e.(type) {
	case *plan.Compare:
		return c.compare(e)
	case *plan.And:
		l, r, err := c.conditions(e.L, e.R)
		if err != nil {
			return nil, err
		}
		return func(row *Row) (truth, error) {
			t, err := l(row)
			if err != nil || t != yes {
				return t, err
			}
			return r(row)
		}, nil
	case *plan.Or:
		l, r, err := c.conditions(e.L, e.R)
		if err != nil {
			return nil, err
		}
		return func(row *Row) (truth, error) {
			t, err := l(row)
			if err != nil || t != no {
				return t, err
			}
			return r(row)
		}, nil
	case *plan.Not:
		x, err := c.condition(e.X)
		if err != nil {
			return nil, err
		}
		return func(row *Row) (truth, error) {
			t, err := x(row)
			switch t {
			case yes:
				t = no
			case no:
				t = yes
			}
			return t, err
		}, nil
	case *plan.IsNull:
		x, err := c.expr(e.X)
		if err != nil {
			return nil, err
		}
		negated := e.Negated
		return func(row *Row) (truth, error) {
			v, err := x(row)
			return truthOf(v.IsNull() != negated), err
		}, nil
	case *plan.In:
		return c.in(e)
	case *plan.Between:
		return c.between(e)
	case *plan.Like:
		return c.like(e)
	}
	x, err := c.expr(e)
	if err != nil {
		return nil, err
	}
	return func(row *Row) (truth, error) {
		v, err := x(row)
		if err != nil || v.IsNull() {
			return unknown, err
		}
		return truthOf(v.Bool()), nil
	}, nil
}

func (c *compiler) conditions(l, r plan.Expr) (condition, condition, error) {
	left, err := c.condition(l)
	if err != nil {
		return nil, nil, err
	}
	right, err := c.condition(r)
	return left, right, err
}

func (c *compiler) compare(e *plan.Compare) (condition, error) {
	l, err := c.expr(e.L)
	if err != nil {
		return nil, err
	}
	r, err := c.expr(e.R)
	if err != nil {
		return nil, err
	}
	switch e.Op {
	case plan.IsDistinctFrom, plan.IsNotDistinctFrom:
		want := e.Op == plan.IsNotDistinctFrom
		return pair(l, r, func(a, b types.Value) truth { return truthOf(types.Equal(a, b) == want) }), nil
	}
	lk, rk := e.L.ResultType().Kind, e.R.ResultType().Kind
	if f := compareFast(e.Op, lk, rk); f != nil {
		return pair(l, r, f), nil
	}
	switch e.Op {
	case plan.Equal:
		return pair(l, r, known(types.Equal)), nil
	case plan.NotEqual:
		return pair(l, r, known(func(a, b types.Value) bool { return !types.Equal(a, b) })), nil
	}
	holds := orderHolds(e.Op)
	return pair(l, r, known(func(a, b types.Value) bool { return holds(types.Compare(a, b)) })), nil
}

func pair(l, r Expr, f func(a, b types.Value) truth) condition {
	return func(row *Row) (truth, error) {
		a, err := l(row)
		if err != nil {
			return unknown, err
		}
		b, err := r(row)
		if err != nil {
			return unknown, err
		}
		return f(a, b), nil
	}
}

// known makes a comparison false where a side is NULL.
func known(f func(a, b types.Value) bool) func(a, b types.Value) truth {
	return func(a, b types.Value) truth {
		if a.IsNull() || b.IsNull() {
			return no
		}
		return truthOf(f(a, b))
	}
}

func orderHolds(op plan.CompareOp) func(c int) bool {
	switch op {
	case plan.Equal:
		return func(c int) bool { return c == 0 }
	case plan.NotEqual:
		return func(c int) bool { return c != 0 }
	case plan.Less:
		return func(c int) bool { return c < 0 }
	case plan.LessEqual:
		return func(c int) bool { return c <= 0 }
	case plan.Greater:
		return func(c int) bool { return c > 0 }
	default:
		return func(c int) bool { return c >= 0 }
	}
}

// compareFast is the comparison of the kinds that most predicates compare, or
// nil.
func compareFast(op plan.CompareOp, l, r types.Kind) func(a, b types.Value) truth {
	whole := func(k types.Kind) bool { return k == types.Integer || k == types.Bigint }
	switch {
	case l == types.String && r == types.String:
		switch op {
		case plan.Equal:
			return known(func(a, b types.Value) bool { return a.Str() == b.Str() })
		case plan.NotEqual:
			return known(func(a, b types.Value) bool { return a.Str() != b.Str() })
		}
		holds := orderHolds(op)
		return known(func(a, b types.Value) bool { return holds(strings.Compare(a.Str(), b.Str())) })
	case whole(l) && whole(r):
		switch op {
		case plan.Equal:
			return known(func(a, b types.Value) bool { return a.Int() == b.Int() })
		case plan.NotEqual:
			return known(func(a, b types.Value) bool { return a.Int() != b.Int() })
		case plan.Less:
			return known(func(a, b types.Value) bool { return a.Int() < b.Int() })
		case plan.LessEqual:
			return known(func(a, b types.Value) bool { return a.Int() <= b.Int() })
		case plan.Greater:
			return known(func(a, b types.Value) bool { return a.Int() > b.Int() })
		case plan.GreaterEqual:
			return known(func(a, b types.Value) bool { return a.Int() >= b.Int() })
		}
	}
	return nil
}

func (c *compiler) in(e *plan.In) (condition, error) {
	x, err := c.expr(e.X)
	if err != nil {
		return nil, err
	}
	list, err := c.exprs(e.List)
	if err != nil {
		return nil, err
	}
	return func(r *Row) (truth, error) {
		v, err := x(r)
		if err != nil {
			return unknown, err
		}
		if v.IsNull() {
			return no, nil
		}
		for _, f := range list {
			o, err := f(r)
			if err != nil {
				return unknown, err
			}
			if !o.IsNull() && types.Equal(v, o) {
				return yes, nil
			}
		}
		return no, nil
	}, nil
}

func (c *compiler) between(e *plan.Between) (condition, error) {
	fs, err := c.exprs([]plan.Expr{e.X, e.Low, e.High})
	if err != nil {
		return nil, err
	}
	x, low, high := fs[0], fs[1], fs[2]
	return func(r *Row) (truth, error) {
		v, err := x(r)
		if err != nil {
			return unknown, err
		}
		lo, err := low(r)
		if err != nil {
			return unknown, err
		}
		if v.IsNull() || lo.IsNull() || types.Compare(v, lo) < 0 {
			return no, nil
		}
		hi, err := high(r)
		if err != nil {
			return unknown, err
		}
		return truthOf(!hi.IsNull() && types.Compare(v, hi) <= 0), nil
	}, nil
}

func (c *compiler) like(e *plan.Like) (condition, error) {
	x, err := c.expr(e.X)
	if err != nil {
		return nil, err
	}
	if lit, ok := e.Pattern.(*plan.Literal); ok && !lit.Value.IsNull() {
		match := likePattern(lit.Value.Str(), e.Escape)
		return func(r *Row) (truth, error) {
			v, err := x(r)
			if err != nil || v.IsNull() {
				return unknown, err
			}
			return truthOf(match(v.Str())), nil
		}, nil
	}
	pattern, err := c.expr(e.Pattern)
	if err != nil {
		return nil, err
	}
	escape := e.Escape
	return func(r *Row) (truth, error) {
		v, err := x(r)
		if err != nil {
			return unknown, err
		}
		p, err := pattern(r)
		if err != nil || v.IsNull() || p.IsNull() {
			return unknown, err
		}
		return truthOf(likePattern(p.Str(), escape)(v.Str())), nil
	}, nil
}

// likeStep is a part of a LIKE pattern: any text (%), one character (_) or that
// character.
type likeStep struct {
	any, one bool
	char     rune
}

// likePattern makes the matcher of a pattern. The usual shapes (equal, prefix,
// suffix, contains) are string searches.
func likePattern(pattern string, escape rune) func(s string) bool {
	var steps []likeStep
	escaped := false
	for _, c := range pattern {
		switch {
		case escaped:
			steps, escaped = append(steps, likeStep{char: c}), false
		case escape != 0 && c == escape:
			escaped = true
		case c == '%':
			if n := len(steps); n == 0 || !steps[n-1].any {
				steps = append(steps, likeStep{any: true})
			}
		case c == '_':
			steps = append(steps, likeStep{one: true})
		default:
			steps = append(steps, likeStep{char: c})
		}
	}
	open, shut := len(steps) > 0 && steps[0].any, len(steps) > 1 && steps[len(steps)-1].any
	inner := steps
	if open {
		inner = inner[1:]
	}
	if shut {
		inner = inner[:len(inner)-1]
	}
	var text strings.Builder
	for _, s := range inner {
		if s.any || s.one {
			return func(s string) bool { return likeMatch(steps, []rune(s)) }
		}
		text.WriteRune(s.char)
	}
	t := text.String()
	switch {
	case open && shut:
		return func(s string) bool { return strings.Contains(s, t) }
	case open:
		return func(s string) bool { return strings.HasSuffix(s, t) }
	case shut:
		return func(s string) bool { return strings.HasPrefix(s, t) }
	}
	return func(s string) bool { return s == t }
}

// likeMatch walks text and pattern together and, where they part, goes back to
// the last % and lets it take one character more.
func likeMatch(steps []likeStep, text []rune) bool {
	i, j := 0, 0
	star, mark := -1, 0
	for i < len(text) {
		switch {
		case j < len(steps) && steps[j].any:
			star, mark = j, i
			j++
		case j < len(steps) && (steps[j].one || steps[j].char == text[i]):
			i, j = i+1, j+1
		case star >= 0:
			mark++
			i, j = mark, star+1
		default:
			return false
		}
	}
	for j < len(steps) && steps[j].any {
		j++
	}
	return j == len(steps)
}
