package exec

import (
	"fmt"

	"github.com/sidestream/sidestream/sidecar/engine/function"
	"github.com/sidestream/sidestream/sidecar/engine/plan"
	"github.com/sidestream/sidestream/sidecar/engine/types"
)

// Expr computes an expression on a row. An error means that the expression has
// no value on that row; whoever asked takes NULL and tells the processing log.
// An Expr keeps buffers: use it from one goroutine.
type Expr func(r *Row) (types.Value, error)

// truth is the result of a condition. Comparisons are two-valued; unknown comes
// from BOOLEAN columns and functions that are NULL.
type truth int8

const (
	no truth = iota
	yes
	unknown
)

func truthOf(b bool) truth {
	if b {
		return yes
	}
	return no
}

func (t truth) value() types.Value {
	if t == unknown {
		return types.Value{}
	}
	return types.NewBool(t == yes)
}

// condition is an Expr of type BOOLEAN without the boxing.
type condition func(r *Row) (truth, error)

// CompileExpr makes the code of an expression. The error says which function
// or cast the registry doesn't have.
func CompileExpr(e plan.Expr, functions function.Registry) (Expr, error) {
	c := &compiler{functions: functions, scope: &scope{}}
	return c.expr(e)
}

// CompilePredicate makes the code of a condition; ok is false where it is false
// or NULL.
func CompilePredicate(e plan.Expr, functions function.Registry) (func(r *Row) (ok bool, err error), error) {
	c := &compiler{functions: functions, scope: &scope{}}
	cond, err := c.condition(e)
	if err != nil {
		return nil, err
	}
	return func(r *Row) (bool, error) {
		t, err := cond(r)
		return t == yes, err
	}, nil
}

// EvalConst computes an expression that reads no column.
func EvalConst(e plan.Expr, functions function.Registry) (types.Value, error) {
	f, err := CompileExpr(e, functions)
	if err != nil {
		return types.Value{}, err
	}
	return f(&Row{})
}

// scope is where lambdas find the row and their variables. One expression has
// one: a call of a lambda ends before the next one of the same slot starts.
type scope struct {
	row  *Row
	vars []types.Value
}

type compiler struct {
	functions function.Registry
	scope     *scope
	// lambdas counts the lambdas around what is compiled: in them arithmetic with
	// NULL fails, and with it the function that the lambda was given to.
	lambdas int
}

func (c *compiler) expr(e plan.Expr) (Expr, error) {
	f, err := c.code(e)
	if err != nil || !isConstant(e) {
		return f, err
	}
	if _, literal := e.(*plan.Literal); literal {
		return f, nil
	}
	v, err := f(&Row{})
	if err != nil {
		return f, nil // fails on each row, and is logged there
	}
	return func(*Row) (types.Value, error) { return v, nil }, nil
}

func (c *compiler) code(e plan.Expr) (Expr, error) {
	switch e := e.(type) {
	case *plan.Literal:
		v := e.Value
		return func(*Row) (types.Value, error) { return v, nil }, nil
	case *plan.Column:
		return column(e), nil
	case *plan.Pseudo:
		return pseudo(e.Kind)
	case *plan.LambdaVar:
		c.scope.need(e.Slot + 1)
		s, slot := c.scope, e.Slot
		return func(*Row) (types.Value, error) { return s.vars[slot], nil }, nil
	case *plan.Lambda:
		return c.lambda(e)
	case *plan.Call:
		return c.call(e)
	case *plan.Arith:
		return c.arith(e)
	case *plan.Negate:
		return c.negate(e)
	case *plan.Cast:
		return c.cast(e)
	case *plan.Case:
		return c.caseExpr(e)
	case *plan.FieldOf:
		return c.field(e)
	case *plan.Subscript:
		return c.subscript(e)
	case *plan.MakeArray:
		return c.makeArray(e)
	case *plan.MakeMap:
		return c.makeMap(e)
	case *plan.MakeStruct:
		return c.makeStruct(e)
	case *plan.Compare, *plan.And, *plan.Or, *plan.Not, *plan.IsNull, *plan.In, *plan.Between, *plan.Like:
		cond, err := c.condition(e)
		if err != nil {
			return nil, err
		}
		return func(r *Row) (types.Value, error) {
			t, err := cond(r)
			if err != nil {
				return types.Value{}, err
			}
			return t.value(), nil
		}, nil
	}
	return nil, fmt.Errorf("exec: no code for %T", e)
}

func column(e *plan.Column) Expr {
	i := e.Index
	if e.InKey {
		return func(r *Row) (types.Value, error) {
			if i >= len(r.Key) {
				return types.Value{}, nil // a null key
			}
			return r.Key[i], nil
		}
	}
	return func(r *Row) (types.Value, error) {
		if i >= len(r.Value) {
			return types.Value{}, nil // a null value
		}
		return r.Value[i], nil
	}
}

func pseudo(k plan.PseudoKind) (Expr, error) {
	switch k {
	case plan.RowTime:
		return func(r *Row) (types.Value, error) { return types.NewBigint(r.Time), nil }, nil
	case plan.RowPartition:
		return func(r *Row) (types.Value, error) { return types.NewInt(r.Partition), nil }, nil
	case plan.RowOffset:
		return func(r *Row) (types.Value, error) { return types.NewBigint(r.Offset), nil }, nil
	case plan.WindowStart:
		return func(r *Row) (types.Value, error) { return types.NewBigint(r.Window.Start), nil }, nil
	case plan.WindowEnd:
		return func(r *Row) (types.Value, error) { return types.NewBigint(r.Window.End), nil }, nil
	}
	return nil, fmt.Errorf("exec: unknown pseudo column %d", k)
}

func (s *scope) need(n int) {
	for len(s.vars) < n {
		s.vars = append(s.vars, types.Value{})
	}
}

// lambda makes the function value once; each evaluation points its scope to the
// row.
func (c *compiler) lambda(e *plan.Lambda) (Expr, error) {
	c.scope.need(e.Slot + len(e.Params))
	c.lambdas++
	body, err := c.expr(e.Body)
	c.lambdas--
	if err != nil {
		return nil, err
	}
	s, slot, n := c.scope, e.Slot, len(e.Params)
	fn := types.NewFunc(func(args ...types.Value) (types.Value, error) {
		if len(args) != n {
			return types.Value{}, fmt.Errorf("lambda takes %d arguments, not %d", n, len(args))
		}
		copy(s.vars[slot:], args)
		return body(s.row)
	})
	return func(r *Row) (types.Value, error) {
		s.row = r
		return fn, nil
	}, nil
}

func (c *compiler) call(e *plan.Call) (Expr, error) {
	overload, result, err := c.resolve(e)
	if err != nil {
		return nil, err
	}
	args := make([]Expr, len(e.Args))
	argTypes := make([]types.Type, len(e.Args))
	for i, a := range e.Args {
		argTypes[i] = a.ResultType()
		if want, ok := paramType(overload, i); ok {
			args[i], err = c.as(a, want)
		} else {
			args[i], err = c.expr(a)
		}
		if err != nil {
			return nil, err
		}
	}
	eval := overload.Eval
	if eval == nil {
		eval = overload.EvalTyped(argTypes, result)
	}
	switch len(args) {
	case 1:
		a := args[0]
		buf := make([]types.Value, 1)
		return func(r *Row) (types.Value, error) {
			buf[0] = orNull(a(r))
			return eval(buf)
		}, nil
	default:
		buf := make([]types.Value, len(args))
		return func(r *Row) (types.Value, error) {
			for i, a := range args {
				buf[i] = orNull(a(r))
			}
			return eval(buf)
		}, nil
	}
}

// resolve finds the overload that analysis chose: by the arguments' types and
// the result types of lambdas.
func (c *compiler) resolve(e *plan.Call) (*function.Overload, types.Type, error) {
	argTypes := make([]types.Type, len(e.Args))
	var lambdas map[int]types.Type
	for i, a := range e.Args {
		argTypes[i] = a.ResultType()
		if l, ok := a.(*plan.Lambda); ok {
			if lambdas == nil {
				lambdas = map[int]types.Type{}
			}
			lambdas[i] = l.Body.ResultType()
		}
	}
	if lambdas != nil {
		return c.functions.ResolveScalarLambda(e.Name, argTypes, lambdas)
	}
	return c.functions.ResolveScalar(e.Name, argTypes)
}

// paramType is the concrete type of the parameter that takes argument i.
func paramType(o *function.Overload, i int) (types.Type, bool) {
	if i >= len(o.Params) {
		if !o.Variadic {
			return types.Type{}, false
		}
		i = len(o.Params) - 1
	}
	p := o.Params[i]
	return p.Type, p.Shape == nil && p.Type.Kind != types.Null
}

func (c *compiler) exprs(list []plan.Expr) ([]Expr, error) {
	out := make([]Expr, len(list))
	for i, e := range list {
		var err error
		if out[i], err = c.expr(e); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (c *compiler) caseExpr(e *plan.Case) (Expr, error) {
	conds := make([]condition, len(e.Whens))
	results := make([]Expr, len(e.Whens))
	for i, w := range e.Whens {
		var err error
		if conds[i], err = c.condition(w.Cond); err != nil {
			return nil, err
		}
		if results[i], err = c.as(w.Result, e.Type); err != nil {
			return nil, err
		}
	}
	otherwise := func(*Row) (types.Value, error) { return types.Value{}, nil }
	if e.Else != nil {
		f, err := c.as(e.Else, e.Type)
		if err != nil {
			return nil, err
		}
		otherwise = f
	}
	return func(r *Row) (types.Value, error) {
		for i, cond := range conds {
			t, err := cond(r)
			if err != nil {
				return types.Value{}, err
			}
			if t == yes {
				return results[i](r)
			}
		}
		return otherwise(r)
	}, nil
}

func (c *compiler) field(e *plan.FieldOf) (Expr, error) {
	x, err := c.expr(e.X)
	if err != nil {
		return nil, err
	}
	i := e.Index
	return func(r *Row) (types.Value, error) {
		v, err := x(r)
		if err != nil {
			return v, err
		}
		if items := v.Items(); i < len(items) {
			return items[i], nil
		}
		return types.Value{}, nil
	}, nil
}

func (c *compiler) subscript(e *plan.Subscript) (Expr, error) {
	x, err := c.expr(e.X)
	if err != nil {
		return nil, err
	}
	index, err := c.expr(e.Index)
	if err != nil {
		return nil, err
	}
	if e.X.ResultType().Kind == types.Map {
		return func(r *Row) (types.Value, error) {
			m, err := x(r)
			if err != nil {
				return m, err
			}
			k, err := index(r)
			if err != nil {
				return k, err
			}
			v, _ := m.Lookup(k)
			return v, nil
		}, nil
	}
	return func(r *Row) (types.Value, error) {
		a, err := x(r)
		if err != nil {
			return a, err
		}
		n, err := index(r)
		if err != nil || n.IsNull() {
			return types.Value{}, err
		}
		items, i := a.Items(), n.Int()
		if i < 0 {
			i += int64(len(items))
		} else {
			i--
		}
		if i < 0 || i >= int64(len(items)) {
			return types.Value{}, nil
		}
		return items[i], nil
	}, nil
}

func (c *compiler) makeArray(e *plan.MakeArray) (Expr, error) {
	items := make([]Expr, len(e.Items))
	for i, x := range e.Items {
		var err error
		if items[i], err = c.as(x, *e.Type.Elem); err != nil {
			return nil, err
		}
	}
	return func(r *Row) (types.Value, error) {
		return types.NewArray(evalAll(items, r)), nil
	}, nil
}

func (c *compiler) makeStruct(e *plan.MakeStruct) (Expr, error) {
	fields, err := c.exprs(e.Values)
	if err != nil {
		return nil, err
	}
	return func(r *Row) (types.Value, error) {
		return types.NewStruct(evalAll(fields, r)), nil
	}, nil
}

func (c *compiler) makeMap(e *plan.MakeMap) (Expr, error) {
	keys := make([]Expr, len(e.Keys))
	values := make([]Expr, len(e.Values))
	for i := range e.Keys {
		var err error
		if keys[i], err = c.as(e.Keys[i], *e.Type.Key); err != nil {
			return nil, err
		}
		if values[i], err = c.as(e.Values[i], *e.Type.Elem); err != nil {
			return nil, err
		}
	}
	return func(r *Row) (types.Value, error) {
		entries := make([]types.Entry, 0, len(keys))
	next:
		for i := range keys {
			k, v := orNull(keys[i](r)), orNull(values[i](r))
			for j := range entries {
				if types.Equal(entries[j].Key, k) {
					entries[j].Value = v
					continue next
				}
			}
			entries = append(entries, types.Entry{Key: k, Value: v})
		}
		return types.NewMap(entries), nil
	}, nil
}

func evalAll(list []Expr, r *Row) []types.Value {
	out := make([]types.Value, len(list))
	for i, f := range list {
		out[i] = orNull(f(r))
	}
	return out
}

// orNull is how arguments of functions and parts of collections are taken: one
// that fails is NULL, and the rest goes on.
func orNull(v types.Value, err error) types.Value {
	if err != nil {
		return types.Value{}
	}
	return v
}

// unrepeatable are functions whose result differs from call to call; they, and
// whatever takes no argument, are never folded.
var unrepeatable = map[string]bool{"RANDOM": true, "UUID": true, "UNIX_TIMESTAMP": true, "UNIX_DATE": true}

// isConstant tells whether an expression has the same value on every row.
func isConstant(e plan.Expr) bool {
	switch e := e.(type) {
	case *plan.Literal:
		return true
	case *plan.Column, *plan.Pseudo, *plan.LambdaVar, *plan.Lambda:
		return false
	case *plan.Call:
		return len(e.Args) > 0 && !unrepeatable[e.Name] && allConstant(e.Args)
	case *plan.Arith:
		return isConstant(e.L) && isConstant(e.R)
	case *plan.Negate:
		return isConstant(e.X)
	case *plan.Cast:
		return isConstant(e.X)
	case *plan.Compare:
		return isConstant(e.L) && isConstant(e.R)
	case *plan.FieldOf:
		return isConstant(e.X)
	case *plan.Subscript:
		return isConstant(e.X) && isConstant(e.Index)
	case *plan.MakeArray:
		return allConstant(e.Items)
	case *plan.MakeMap:
		return allConstant(e.Keys) && allConstant(e.Values)
	case *plan.MakeStruct:
		return allConstant(e.Values)
	}
	return false
}

func allConstant(list []plan.Expr) bool {
	for _, e := range list {
		if !isConstant(e) {
			return false
		}
	}
	return true
}
