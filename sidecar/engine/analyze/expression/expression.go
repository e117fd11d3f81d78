// Package expression gives the expressions of a statement their types.
//
// In: ast.Expr, and a [Scope] that says what columns there are. Out: plan.Expr,
// in which every node has a type, every implicit conversion is a cast, and every
// function call has an overload. What the dialect refuses is a
// *diagnostic.Error with ksqlDB's words and the place in the text.
//
// Next: package analyze puts the expressions into plans; package exec compiles
// them.
package expression

import (
	"errors"
	"strings"

	"github.com/sidestream/sidestream/sidecar/engine/ast"
	"github.com/sidestream/sidestream/sidecar/engine/diagnostic"
	"github.com/sidestream/sidestream/sidecar/engine/function"
	"github.com/sidestream/sidestream/sidecar/engine/plan"
	"github.com/sidestream/sidestream/sidecar/engine/types"
)

// Scope finds the columns that an expression may refer to.
type Scope interface {
	// Column is the column of that name. The error is a *diagnostic.Error.
	Column(ref *ast.ColumnRef) (plan.Expr, error)
}

// Analyzer gives expressions their types.
type Analyzer struct {
	Functions function.Registry
	// CustomType finds what CREATE TYPE defined; nil where there are none.
	CustomType func(name string) (types.Type, bool)
	// Stage is what ksqlDB calls the expression where it refuses it late
	// ("Invalid Select: …"): "Select" and, for predicates, "Predicate" where it is
	// empty.
	Stage string
}

// Expr is e with its types. The whole must have a type, so that a bare NULL is
// refused, and may not contain aggregate or table functions.
func (a *Analyzer) Expr(e ast.Expr, s Scope) (plan.Expr, error) {
	out, err := a.typed(e, s, "Select")
	if err != nil {
		return nil, err
	}
	if out.ResultType().Kind == types.Null {
		return nil, diagnostic.At(e.Position(), "Can't infer a type of null. Please explicitly cast it to a required type, e.g. CAST(null AS VARCHAR).")
	}
	return out, nil
}

// Typed is Expr for places where NULL without a type may stand.
func (a *Analyzer) Typed(e ast.Expr, s Scope) (plan.Expr, error) { return a.typed(e, s, "Select") }

// Predicate is e with its types, which must be a condition; clause ("WHERE",
// "HAVING") is where it stands.
func (a *Analyzer) Predicate(e ast.Expr, s Scope, clause string) (plan.Expr, error) {
	out, err := a.typed(e, s, "Predicate")
	if err != nil {
		var d *diagnostic.Error
		if !errors.As(err, &d) || d.Kind != diagnostic.Statement {
			return nil, err
		}
		if unresolved(e, s) && !strings.HasPrefix(d.Message, "Unknown column ") {
			return nil, err
		}
		if !late(d) {
			wrapped := *d
			wrapped.Message = "Error in " + clause + " expression: " + d.Message + "\nStatement: " + Text(e, s)
			return nil, &wrapped
		}
		return nil, err
	}
	if t := out.ResultType(); t.Kind != types.Boolean {
		text := Text(e, s)
		return nil, diagnostic.At(e.Position(), "Type error in %s expression: Should evaluate to boolean but is %s (%s) instead.\nStatement: %s",
			clause, text, typeName(t), text)
	}
	return out, nil
}

// unresolved tells whether a column of e is unknown: that error is the scope's,
// and tells its clause by itself.
func unresolved(e ast.Expr, s Scope) bool {
	found := false
	ast.Walk(e, func(x ast.Expr) bool {
		if l, ok := x.(*ast.Lambda); ok {
			found = found || unresolved(l.Body, lambdaScope{s, l.Params})
			return false
		}
		if c, ok := x.(*ast.ColumnRef); ok {
			_, err := s.Column(c)
			found = found || err != nil
		}
		return !found
	})
	return found
}

// lambdaScope hides the parameters of a lambda from the search for unknown
// columns.
type lambdaScope struct {
	Scope
	params []ast.Ident
}

func (l lambdaScope) Column(ref *ast.ColumnRef) (plan.Expr, error) {
	for _, p := range l.params {
		if ref.Source == "" && p.Name == ref.Name {
			return &plan.LambdaVar{Name: p.Name}, nil
		}
	}
	return l.Scope.Column(ref)
}

func (a *Analyzer) typed(e ast.Expr, s Scope, stage string) (plan.Expr, error) {
	if a.Stage != "" {
		stage = a.Stage
	}
	c := &context{a: a, scope: s, stage: stage}
	return c.expr(e)
}

// AggregateCalls are the calls of aggregate functions in e, outermost only, in
// the order of the text.
func (a *Analyzer) AggregateCalls(e ast.Expr) []*ast.Call {
	return calls(e, func(name string) bool { _, ok := a.Functions.Aggregate(name); return ok })
}

// TableCalls are the calls of table functions in e, outermost only.
func (a *Analyzer) TableCalls(e ast.Expr) []*ast.Call {
	return calls(e, func(name string) bool { _, ok := a.Functions.Table(name); return ok })
}

func calls(e ast.Expr, wanted func(name string) bool) []*ast.Call {
	var out []*ast.Call
	ast.Walk(e, func(x ast.Expr) bool {
		if c, ok := x.(*ast.Call); ok && wanted(c.Name) {
			out = append(out, c)
			return false
		}
		return true
	})
	return out
}

// context is the place of an expression: what columns and lambda parameters are
// known there.
type context struct {
	a     *Analyzer
	scope Scope
	stage string
	vars  []*plan.LambdaVar
}

func (c *context) expr(e ast.Expr) (plan.Expr, error) {
	switch n := e.(type) {
	case *ast.NullLit:
		return &plan.Literal{Type: types.TNull}, nil
	case *ast.BoolLit:
		return &plan.Literal{Value: types.NewBool(n.Value), Type: types.TBoolean}, nil
	case *ast.IntLit:
		if n.Bigint {
			return &plan.Literal{Value: types.NewBigint(n.Value), Type: types.TBigint}, nil
		}
		return &plan.Literal{Value: types.NewInt(int32(n.Value)), Type: types.TInteger}, nil
	case *ast.DecimalLit:
		lit, err := decimalLiteral(n.Text)
		if err != nil {
			return nil, diagnostic.At(n.Pos, "Invalid numeric literal: %s", n.Text)
		}
		return lit, nil
	case *ast.DoubleLit:
		return &plan.Literal{Value: types.NewDouble(n.Value), Type: types.TDouble}, nil
	case *ast.StringLit:
		return &plan.Literal{Value: types.NewString(n.Value), Type: types.TString}, nil
	case *ast.UnitLit:
		return c.unit(n)
	case *ast.ColumnRef:
		if n.Source == "" {
			if v := c.variable(n.Name); v != nil {
				return v, nil
			}
		}
		return c.scope.Column(n)
	case *ast.LambdaVar:
		if v := c.variable(n.Name); v != nil {
			return v, nil
		}
		return c.scope.Column(&ast.ColumnRef{Pos: n.Pos, Name: n.Name})
	case *ast.Arith:
		return c.arith(n)
	case *ast.Concat:
		return nil, c.concat(n)
	case *ast.Unary:
		return c.unary(n)
	case *ast.Compare:
		return c.compare(n)
	case *ast.Logical:
		return c.logical(n)
	case *ast.Not:
		x, err := c.condition(n.X)
		if err != nil {
			return nil, err
		}
		return &plan.Not{X: x}, nil
	case *ast.IsNull:
		x, err := c.expr(n.X)
		if err != nil {
			return nil, err
		}
		return &plan.IsNull{X: x, Negated: n.Negated}, nil
	case *ast.In:
		return c.in(n)
	case *ast.Between:
		return c.between(n)
	case *ast.Like:
		return c.like(n)
	case *ast.Case:
		return c.caseOf(n)
	case *ast.Cast:
		return c.cast(n)
	case *ast.Call:
		return c.call(n)
	case *ast.FieldOf:
		return c.field(n)
	case *ast.Subscript:
		return c.subscript(n)
	case *ast.MakeArray:
		return c.makeArray(n)
	case *ast.MakeMap:
		return c.makeMap(n)
	case *ast.MakeStruct:
		return c.makeStruct(n)
	case *ast.Lambda:
		return nil, diagnostic.At(n.Pos, "A lambda may only stand as an argument of a function that takes one, such as TRANSFORM, FILTER or REDUCE.")
	case *ast.AllFields:
		return nil, diagnostic.At(n.Pos, "%s->* may only stand in the SELECT list by itself.", Text(n.X, c.scope))
	}
	return nil, diagnostic.At(e.Position(), "Expressions of kind %T are not supported here.", e)
}

func (c *context) variable(name string) *plan.LambdaVar {
	for i := len(c.vars) - 1; i >= 0; i-- {
		if c.vars[i].Name == name {
			return c.vars[i]
		}
	}
	return nil
}

func (c *context) unit(n *ast.UnitLit) (plan.Expr, error) {
	u, ok := function.UnitValue(string(n.Unit))
	if !ok {
		return nil, diagnostic.At(n.Pos, "Unknown time unit: %s", n.Unit)
	}
	return &plan.Literal{Value: u, Type: types.Type{Kind: types.IntervalUnit}}, nil
}

// decimalLiteral is a number with a point: a DECIMAL of the digits written, as
// BigDecimal counts them.
func decimalLiteral(text string) (*plan.Literal, error) {
	v, err := types.ParseDecimal(text)
	if err != nil {
		return nil, err
	}
	return &plan.Literal{Value: v, Type: decimalType(v)}, nil
}

func decimalType(v types.Value) types.Type {
	d := v.Apd()
	scale := int(-d.Exponent)
	precision := len(d.Coeff.String())
	return types.TDecimal(max(precision, scale), scale)
}

// typeName is a type in a message; NULL has none.
func typeName(t types.Type) string {
	if t.Kind == types.Null {
		return "null"
	}
	return t.String()
}

// lateMark leads the messages of what ksqlDB finds only when it compiles an
// expression; they are not wrapped again.
const lateMark = "Invalid "

// concat refuses the operator ||, as ksqlDB 7.9.5 does: it takes it for a function
// of a name that it doesn't have. CONCAT and + do what it should.
func (c *context) concat(n *ast.Concat) error {
	if _, err := c.exprs([]ast.Expr{n.L, n.R}); err != nil {
		return err
	}
	columns := ""
	if s, ok := c.scope.(interface{ Columns() string }); ok {
		columns = s.Columns()
	}
	text := Text(n, c.scope)
	err := c.lateError(n.Pos, "Cannot get name for `concat` 0 times. expression: "+text+", schema:"+columns+"\nStatement: "+text)
	var d *diagnostic.Error
	if errors.As(err, &d) {
		d.Hint = "use CONCAT(a, b) or a + b"
	}
	return err
}

// lateError is a refusal that ksqlDB makes while compiling.
func (c *context) lateError(pos ast.Pos, message string) error {
	return diagnostic.At(pos, "%s%s: %s", lateMark, c.stage, message)
}

func late(e *diagnostic.Error) bool {
	for _, stage := range []string{"Select", "Predicate", "expression"} {
		if len(e.Message) > len(lateMark)+len(stage) && e.Message[:len(lateMark)+len(stage)+1] == lateMark+stage+":" {
			return true
		}
	}
	return false
}
