package format

import (
	"strconv"
	"strings"

	"github.com/sidestream/sidestream/sidecar/engine/ast"
)

// Expr is an expression's canonical text.
func Expr(e ast.Expr) string {
	var b writer
	b.expr(e)
	return b.String()
}

// writer collects text.
type writer struct{ strings.Builder }

func (b *writer) add(parts ...string) {
	for _, p := range parts {
		b.WriteString(p)
	}
}

func (b *writer) exprs(list []ast.Expr) {
	for i, e := range list {
		if i > 0 {
			b.add(", ")
		}
		b.expr(e)
	}
}

func (b *writer) infix(l ast.Expr, op string, r ast.Expr) {
	b.add("(")
	b.expr(l)
	b.add(" ", op, " ")
	b.expr(r)
	b.add(")")
}

func (b *writer) expr(e ast.Expr) {
	switch e := e.(type) {
	case *ast.NullLit:
		b.add("null")
	case *ast.BoolLit:
		b.add(strconv.FormatBool(e.Value))
	case *ast.IntLit:
		b.add(strconv.FormatInt(e.Value, 10))
	case *ast.DecimalLit:
		b.add(e.Text)
	case *ast.DoubleLit:
		b.add(double(e.Value))
	case *ast.StringLit:
		b.add(String(e.Value))
	case *ast.UnitLit:
		b.add(string(e.Unit))
	case *ast.ColumnRef:
		if e.Source != "" {
			b.add(Name(e.Source), ".")
		}
		b.add(Name(e.Name))
	case *ast.LambdaVar:
		b.add(Name(e.Name))
	case *ast.Arith:
		b.infix(e.L, e.Op.String(), e.R)
	case *ast.Concat:
		// ksqlDB takes the operator for a function.
		b.add("`concat`(")
		b.exprs([]ast.Expr{e.L, e.R})
		b.add(")")
	case *ast.Unary:
		b.unary(e)
	case *ast.Compare:
		b.infix(e.L, e.Op.String(), e.R)
	case *ast.Logical:
		op := "AND"
		if e.Or {
			op = "OR"
		}
		b.infix(e.L, op, e.R)
	case *ast.Not:
		b.add("(NOT ")
		b.expr(e.X)
		b.add(")")
	case *ast.IsNull:
		b.add("(")
		b.expr(e.X)
		if e.Negated {
			b.add(" IS NOT NULL)")
		} else {
			b.add(" IS NULL)")
		}
	case *ast.In:
		b.add("(")
		b.expr(e.X)
		b.add(" IN (")
		b.exprs(e.List)
		b.add("))")
	case *ast.Between:
		b.add("(")
		b.expr(e.X)
		b.add(" BETWEEN ")
		b.expr(e.Low)
		b.add(" AND ")
		b.expr(e.High)
		b.add(")")
	case *ast.Like:
		b.add("(")
		b.expr(e.X)
		b.add(" LIKE ")
		b.expr(e.Pattern)
		if e.Escape != 0 {
			b.add(" ESCAPE ", String(string(e.Escape)))
		}
		b.add(")")
	case *ast.Case:
		b.caseExpr(e)
	case *ast.Cast:
		b.add("CAST(")
		b.expr(e.X)
		b.add(" AS ", Type(e.Type), ")")
	default:
		b.compound(e)
	}
}

// unary keeps a sign before a number from becoming part of it.
func (b *writer) unary(e *ast.Unary) {
	sign := "+"
	if e.Minus {
		sign = "-"
	}
	switch e.X.(type) {
	case *ast.IntLit, *ast.DecimalLit, *ast.DoubleLit, *ast.Unary:
		b.add(sign, "(")
		b.expr(e.X)
		b.add(")")
	default:
		b.add(sign)
		b.expr(e.X)
	}
}

func (b *writer) caseExpr(e *ast.Case) {
	b.add("(CASE")
	if e.Operand != nil {
		b.add(" ")
		b.expr(e.Operand)
	}
	for _, w := range e.Whens {
		b.add(" WHEN ")
		b.expr(w.Cond)
		b.add(" THEN ")
		b.expr(w.Result)
	}
	if e.Else != nil {
		b.add(" ELSE ")
		b.expr(e.Else)
	}
	b.add(" END)")
}

// compound writes calls, constructors and what follows an operand.
func (b *writer) compound(e ast.Expr) {
	switch e := e.(type) {
	case *ast.Call:
		b.add(Name(e.Name), "(")
		if len(e.Args) == 0 && e.Name == "COUNT" {
			b.add("*")
		}
		b.exprs(e.Args)
		b.add(")")
	case *ast.Lambda:
		b.add("(")
		for i, p := range e.Params {
			if i > 0 {
				b.add(", ")
			}
			b.add(Name(p.Name))
		}
		b.add(") => ")
		b.expr(e.Body)
	case *ast.FieldOf:
		b.expr(e.X)
		b.add("->", Name(e.Name))
	case *ast.AllFields:
		b.expr(e.X)
		b.add("->*")
	case *ast.Subscript:
		b.expr(e.X)
		b.add("[")
		b.expr(e.Index)
		b.add("]")
	case *ast.MakeArray:
		b.add("ARRAY[")
		b.exprs(e.Items)
		b.add("]")
	case *ast.MakeMap:
		b.add("MAP(")
		for i := range e.Keys {
			if i > 0 {
				b.add(", ")
			}
			b.expr(e.Keys[i])
			b.add(":=")
			b.expr(e.Values[i])
		}
		b.add(")")
	case *ast.MakeStruct:
		b.add("STRUCT(")
		for i, f := range e.Fields {
			if i > 0 {
				b.add(", ")
			}
			b.add(Name(f.Name), ":=")
			b.expr(f.Value)
		}
		b.add(")")
	}
}

// double is a number with an exponent: 1.5E3.
func double(x float64) string {
	mantissa, exponent, _ := strings.Cut(strconv.FormatFloat(x, 'E', -1, 64), "E")
	n, err := strconv.Atoi(exponent)
	if err != nil {
		return mantissa // an infinity, which no literal is
	}
	return mantissa + "E" + strconv.Itoa(n)
}
