package expression

import (
	"fmt"
	"strings"

	"github.com/sidestream/sidestream/sidecar/engine/ast"
	"github.com/sidestream/sidestream/sidecar/engine/diagnostic"
	"github.com/sidestream/sidestream/sidecar/engine/function"
	"github.com/sidestream/sidestream/sidecar/engine/plan"
	"github.com/sidestream/sidestream/sidecar/engine/types"
)

func (c *context) unknownFunction(n *ast.Call) error {
	e := diagnostic.At(n.Pos, "Can't find any functions with the name '%s'", n.Name)
	var names []string
	for _, l := range c.a.Functions.List() {
		names = append(names, l.Name)
	}
	if near := nearest(n.Name, names); near != "" {
		e.Hint = "did you mean " + near + "?"
	}
	return e
}

func (c *context) call(n *ast.Call) (plan.Expr, error) {
	if _, ok := c.a.Functions.Scalar(n.Name); !ok {
		if _, err := c.exprs(n.Args); err != nil {
			return nil, err
		}
		if _, ok := c.a.Functions.Aggregate(n.Name); ok {
			return nil, diagnostic.At(n.Pos, "The aggregate function %s can't be used here: it may stand in SELECT and HAVING of a query with GROUP BY.", n.Name)
		}
		if _, ok := c.a.Functions.Table(n.Name); ok {
			return nil, diagnostic.At(n.Pos, "The table function %s can't be used here: it may stand in the SELECT list.", n.Name)
		}
		return nil, c.unknownFunction(n)
	}
	args := make([]plan.Expr, len(n.Args))
	argTypes := make([]types.Type, len(n.Args))
	lambda := false
	for i, e := range n.Args {
		if _, ok := e.(*ast.Lambda); ok {
			argTypes[i], lambda = types.Type{Kind: types.Lambda}, true
			continue
		}
		x, err := c.expr(e)
		if err != nil {
			return nil, err
		}
		args[i], argTypes[i] = x, x.ResultType()
	}
	var result types.Type
	var err error
	if lambda {
		result, err = c.lambdas(n, args, argTypes)
	} else {
		_, result, err = c.a.Functions.ResolveScalar(n.Name, argTypes)
	}
	if err != nil {
		return nil, located(n.Pos, err)
	}
	if !lambda {
		if err := c.castTimes(n.Name, args, argTypes); err != nil {
			return nil, located(n.Pos, err)
		}
	}
	return &plan.Call{Name: n.Name, Args: args, Type: result}, nil
}

// castTimes casts the texts among the arguments that the overload takes as
// times.
func (c *context) castTimes(name string, args []plan.Expr, argTypes []types.Type) error {
	o, _, err := c.a.Functions.ResolveScalar(name, argTypes)
	if err != nil {
		return err
	}
	for i, t := range argTypes {
		if t.Kind == types.String && len(o.Params) > 0 {
			if p := o.Params[min(i, len(o.Params)-1)]; p.Shape == nil && isTime(p.Type.Kind) {
				args[i] = castTo(args[i], p.Type)
			}
		}
	}
	return nil
}

// lambdas types the lambdas among the arguments of a call, then the call.
func (c *context) lambdas(n *ast.Call, args []plan.Expr, argTypes []types.Type) (types.Type, error) {
	results := map[int]types.Type{}
	for i, e := range n.Args {
		l, ok := e.(*ast.Lambda)
		if !ok {
			continue
		}
		params, ok := c.a.Functions.LambdaParams(n.Name, argTypes, i, len(l.Params))
		if !ok || len(params) != len(l.Params) {
			_, _, err := c.a.Functions.ResolveScalarLambda(n.Name, argTypes, results)
			if err == nil || !strings.HasPrefix(err.Error(), "Function ") {
				err = fmt.Errorf("Function '%s' does not take a lambda with %d parameters as argument %d.", strings.ToLower(n.Name), len(l.Params), i+1)
			}
			return types.Type{}, err
		}
		inner := *c
		inner.vars = append([]*plan.LambdaVar(nil), c.vars...)
		out := &plan.Lambda{Slot: len(c.vars), ParamTypes: params}
		for j, p := range l.Params {
			out.Params = append(out.Params, p.Name)
			inner.vars = append(inner.vars, &plan.LambdaVar{Name: p.Name, Slot: out.Slot + j, Type: params[j]})
		}
		body, err := inner.expr(l.Body)
		if err != nil {
			return types.Type{}, err
		}
		out.Body = body
		args[i], results[i] = out, body.ResultType()
	}
	_, result, err := c.a.Functions.ResolveScalarLambda(n.Name, argTypes, results)
	return result, err
}

// located gives an error of the registry its place.
func located(pos ast.Pos, err error) error {
	if d, ok := err.(*diagnostic.Error); ok {
		return d
	}
	return diagnostic.At(pos, "%v", err)
}

// Aggregation is a call of an aggregate function taken apart.
type Aggregation struct {
	Name string
	// Args are read from every row; Consts are the literals behind them.
	Args   []plan.Expr
	Consts []types.Value
	Result types.Type
	// Undo tells whether the function can work on a table.
	Undo bool
}

// Aggregate types a call of an aggregate function over the rows of s.
func (a *Analyzer) Aggregate(n *ast.Call, s Scope) (*Aggregation, error) {
	c := &context{a: a, scope: s, stage: "Select"}
	f, ok := a.Functions.Aggregate(n.Name)
	if !ok {
		return nil, c.unknownFunction(n)
	}
	for _, e := range n.Args {
		if inner := a.AggregateCalls(e); len(inner) > 0 {
			return nil, diagnostic.At(inner[0].Pos, "Aggregate functions can not be nested: %s", Text(n, s))
		}
	}
	args, err := c.exprs(n.Args)
	if err != nil {
		return nil, err
	}
	argTypes := make([]types.Type, len(args))
	for i, x := range args {
		argTypes[i] = x.ResultType()
	}
	rows, err := function.SplitAggregate(f, argTypes)
	if err != nil {
		return nil, located(n.Pos, err)
	}
	out := &Aggregation{Name: n.Name, Args: args[:rows]}
	for i, x := range args[rows:] {
		lit, ok := x.(*plan.Literal)
		if !ok {
			return nil, diagnostic.At(n.Args[rows+i].Position(), "Parameter %d passed to function %s must be a literal constant, but was expression: '%s'",
				rows+i+1, n.Name, Text(n.Args[rows+i], s))
		}
		out.Consts = append(out.Consts, lit.Value)
	}
	agg, err := a.Functions.ResolveAggregate(n.Name, argTypes[:rows], out.Consts)
	if err != nil {
		return nil, located(n.Pos, err)
	}
	out.Result = agg.Result()
	_, out.Undo = agg.(function.Undoer)
	return out, nil
}

// Table types a call of a table function.
func (a *Analyzer) Table(n *ast.Call, s Scope) (*plan.TableCall, error) {
	c := &context{a: a, scope: s, stage: "Select"}
	if _, ok := a.Functions.Table(n.Name); !ok {
		return nil, c.unknownFunction(n)
	}
	args, err := c.exprs(n.Args)
	if err != nil {
		return nil, err
	}
	argTypes := make([]types.Type, len(args))
	for i, x := range args {
		argTypes[i] = x.ResultType()
	}
	_, result, err := a.Functions.ResolveTable(n.Name, argTypes)
	if err != nil {
		return nil, located(n.Pos, err)
	}
	return &plan.TableCall{Name: n.Name, Args: args, Type: result}, nil
}

// Nearest is the name that is most like another one, or "": a hint for mistyped
// names.
func Nearest(name string, names []string) string { return nearest(name, names) }

// nearest is the name that needs fewest changes to be the other, at most two
// (one for short names), or "".
func nearest(name string, names []string) string {
	best, limit := "", 2
	if len(name) < 4 {
		limit = 1
	}
	for _, other := range names {
		if d := distance(name, other); d <= limit && other != name {
			best, limit = other, d-1
		}
	}
	return best
}

// distance counts the letters to add, drop, change or swap with the next one.
func distance(a, b string) int {
	before, last := make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row := make([]int, len(b)+1)
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last = last, row
	}
	return last[len(b)]
}
