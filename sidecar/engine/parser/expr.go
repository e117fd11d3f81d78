package parser

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/sidestream/sidestream/sidecar/engine/ast"
	"github.com/sidestream/sidestream/sidecar/engine/diagnostic"
)

// expr reads an expression: OR binds least, then AND, NOT, a predicate, `||`,
// + and -, then * / and %, a sign, and what follows an operand (-> and []).
func (p *parser) expr() ast.Expr {
	p.deeper()
	left := p.andExpr()
	for p.is("OR") {
		p.link()
		pos := p.cur().pos()
		p.at++
		left = &ast.Logical{Pos: pos, Or: true, L: left, R: p.andExpr()}
	}
	p.depth--
	return left
}

func (p *parser) andExpr() ast.Expr {
	left := p.notExpr()
	for p.is("AND") {
		p.link()
		pos := p.cur().pos()
		p.at++
		left = &ast.Logical{Pos: pos, L: left, R: p.notExpr()}
	}
	return left
}

func (p *parser) notExpr() ast.Expr {
	if !p.is("NOT") {
		return p.predicate()
	}
	p.deeper()
	pos := p.cur().pos()
	p.at++
	x := p.notExpr()
	p.depth--
	return &ast.Not{Pos: pos, X: x}
}

var compareOps = map[string]ast.CompareOp{"=": ast.Equal, "<>": ast.NotEqual, "!=": ast.NotEqual,
	"<": ast.Less, "<=": ast.LessEqual, ">": ast.Greater, ">=": ast.GreaterEqual}

// predicate reads a value and at most one comparison or test of it.
func (p *parser) predicate() ast.Expr {
	x := p.value()
	t := p.cur()
	pos := t.pos()
	if t.kind == tSign {
		if op, ok := compareOps[t.word]; ok {
			p.at++
			return &ast.Compare{Pos: pos, Op: op, L: x, R: p.value()}
		}
		return x
	}
	if t.kind != tWord {
		return x
	}
	switch t.word {
	case "NOT":
		p.at++
		if e := p.test(x, pos); e != nil {
			return &ast.Not{Pos: pos, X: e}
		}
		p.unexpected("'BETWEEN'", "'IN'", "'LIKE'")
	case "IS":
		p.at++
		negated := p.accept("NOT")
		if p.accept("NULL") {
			return &ast.IsNull{Pos: pos, X: x, Negated: negated}
		}
		if p.acceptAll("DISTINCT", "FROM") {
			op := ast.IsDistinctFrom
			if negated {
				op = ast.IsNotDistinctFrom
			}
			return &ast.Compare{Pos: pos, Op: op, L: x, R: p.value()}
		}
		if negated {
			p.unexpected("'NULL'", "'DISTINCT'")
		}
		p.unexpected("'NOT'", "'NULL'", "'DISTINCT'")
	}
	if e := p.test(x, pos); e != nil {
		return e
	}
	return x
}

// test reads BETWEEN, IN or LIKE; nil where none of them stands here.
func (p *parser) test(x ast.Expr, pos ast.Pos) ast.Expr {
	switch {
	case p.accept("BETWEEN"):
		low := p.value()
		p.expect("AND")
		return &ast.Between{Pos: pos, X: x, Low: low, High: p.value()}
	case p.accept("IN"):
		p.expect("(")
		in := &ast.In{Pos: pos, X: x, List: []ast.Expr{p.expr()}}
		for p.accept(",") {
			in.List = append(in.List, p.expr())
		}
		p.expect(")")
		return in
	case p.accept("LIKE"):
		like := &ast.Like{Pos: pos, X: x, Pattern: p.value()}
		if p.accept("ESCAPE") {
			at := p.cur()
			runes := []rune(p.str())
			if len(runes) != 1 {
				p.semantic(at, "ESCAPE must be a single character.")
			}
			like.Escape = runes[0]
		}
		return like
	}
	return nil
}

// value reads operands joined by arithmetic and `||`.
func (p *parser) value() ast.Expr {
	left := p.sum()
	for p.is("||") {
		p.link()
		pos := p.cur().pos()
		p.at++
		left = &ast.Concat{Pos: pos, L: left, R: p.sum()}
	}
	return left
}

func (p *parser) sum() ast.Expr {
	left := p.product()
	for p.is("+") || p.is("-") {
		p.link()
		op, pos := ast.Add, p.cur().pos()
		if p.is("-") {
			op = ast.Subtract
		}
		p.at++
		left = &ast.Arith{Pos: pos, Op: op, L: left, R: p.product()}
	}
	return left
}

func (p *parser) product() ast.Expr {
	left := p.signed()
	for {
		var op ast.ArithOp
		switch {
		case p.is("*"):
			op = ast.Multiply
		case p.is("/"):
			op = ast.Divide
		case p.is("%"):
			op = ast.Modulus
		default:
			return left
		}
		p.link()
		pos := p.cur().pos()
		p.at++
		left = &ast.Arith{Pos: pos, Op: op, L: left, R: p.signed()}
	}
}

// signed reads an operand with the signs before it. A minus before a number is
// part of the number.
func (p *parser) signed() ast.Expr {
	if !p.is("-") && !p.is("+") {
		return p.operand()
	}
	t, minus := p.cur(), p.is("-")
	p.at++
	if next := p.cur().kind; minus && (next == tInt || next == tDecimal || next == tDouble) {
		return p.postfix(p.number(t.pos(), true))
	}
	p.deeper()
	x := p.signed()
	p.depth--
	return &ast.Unary{Pos: t.pos(), Minus: minus, X: x}
}

func (p *parser) operand() ast.Expr { return p.postfix(p.primary()) }

// postfix reads what follows an operand: ->field, ->*, [index].
func (p *parser) postfix(x ast.Expr) ast.Expr {
	for {
		pos := p.cur().pos()
		switch {
		case p.is("->"):
			p.link()
			p.at++
			if p.is("*") && p.starred == nil {
				p.at++
				p.starred = &ast.AllFields{Pos: pos, X: x}
				return p.starred
			}
			x = &ast.FieldOf{Pos: pos, X: x, Name: p.ident().Name}
		case p.is("["):
			p.link()
			p.at++
			p.deeper()
			index := p.value()
			p.depth--
			p.expect("]")
			x = &ast.Subscript{Pos: pos, X: x, Index: index}
		default:
			return x
		}
	}
}

func (p *parser) primary() ast.Expr {
	t := p.cur()
	pos := t.pos()
	switch t.kind {
	case tInt, tDecimal, tDouble:
		return p.number(pos, false)
	case tString:
		return &ast.StringLit{Pos: pos, Value: p.str()}
	case tQuoted:
		return p.named()
	case tSign:
		if p.accept("(") {
			x := p.expr()
			p.expect(")")
			return x
		}
	case tWord:
		return p.word(t)
	}
	p.unexpected()
	return nil
}

// word reads an operand that begins with a word.
func (p *parser) word(t *token) ast.Expr {
	pos := t.pos()
	switch t.word {
	case "NULL":
		p.at++
		return &ast.NullLit{Pos: pos}
	case "TRUE", "FALSE":
		p.at++
		return &ast.BoolLit{Pos: pos, Value: t.word == "TRUE"}
	case "CASE":
		return p.caseExpr()
	case "CAST":
		p.at++
		p.expect("(")
		x := p.expr()
		p.expect("AS")
		typ := p.typ()
		p.expect(")")
		return &ast.Cast{Pos: pos, X: x, Type: typ}
	case "ARRAY":
		if p.isAt(1, "[") {
			p.at += 2
			array := &ast.MakeArray{Pos: pos}
			for !p.accept("]") {
				if len(array.Items) > 0 {
					p.expect(",")
				}
				array.Items = append(array.Items, p.expr())
				if !p.is(",") && !p.is("]") {
					p.unexpected("','", "']'")
				}
			}
			return array
		}
	case "MAP":
		if p.isAt(1, "(") {
			return p.mapExpr(pos)
		}
	case "STRUCT":
		if p.isAt(1, "(") {
			return p.structExpr(pos)
		}
	}
	return p.named()
}

func (p *parser) caseExpr() ast.Expr {
	out := &ast.Case{Pos: p.cur().pos()}
	p.at++
	if !p.is("WHEN") {
		out.Operand = p.value()
	}
	for p.is("WHEN") {
		pos := p.cur().pos()
		p.at++
		cond := p.expr()
		p.expect("THEN")
		out.Whens = append(out.Whens, ast.When{Pos: pos, Cond: cond, Result: p.expr()})
	}
	if len(out.Whens) == 0 {
		p.unexpected("'WHEN'")
	}
	if p.accept("ELSE") {
		out.Else = p.expr()
	}
	if !p.is("END") && out.Else == nil {
		p.unexpected("'WHEN'", "'ELSE'", "'END'")
	}
	p.expect("END")
	return out
}

func (p *parser) mapExpr(pos ast.Pos) ast.Expr {
	p.at += 2
	out := &ast.MakeMap{Pos: pos}
	for !p.accept(")") {
		if len(out.Keys) > 0 {
			p.expect(",")
		}
		key := p.expr()
		p.expect(":=")
		out.Keys, out.Values = append(out.Keys, key), append(out.Values, p.expr())
		if !p.is(",") && !p.is(")") {
			p.unexpected("','", "')'")
		}
	}
	return out
}

func (p *parser) structExpr(pos ast.Pos) ast.Expr {
	p.at += 2
	out := &ast.MakeStruct{Pos: pos}
	for !p.accept(")") {
		if len(out.Fields) > 0 {
			p.expect(",")
		}
		name := p.ident()
		p.expect(":=")
		out.Fields = append(out.Fields, ast.StructField{Ident: name, Value: p.expr()})
		if !p.is(",") && !p.is(")") {
			p.unexpected("','", "')'")
		}
	}
	return out
}

// named reads a call, a column or a lambda's parameter.
func (p *parser) named() ast.Expr {
	t := p.cur()
	// A few names of functions are reserved words elsewhere.
	if t.kind == tWord && Reserved(t.word) {
		p.notAnOperand(t)
	}
	id := p.ident()
	switch {
	case p.is("("):
		return p.call(id)
	case p.is(".") && p.identAt(1):
		p.at++
		return &ast.ColumnRef{Pos: id.Pos, Source: id.Name, Name: p.ident().Name}
	case p.is("."):
		p.at++
		p.ident() // says what is wrong with what stands here
	}
	for i := len(p.lambdas) - 1; i >= 0; i-- {
		if p.lambdas[i] == id.Name {
			return &ast.LambdaVar{Pos: id.Pos, Name: id.Name}
		}
	}
	return &ast.ColumnRef{Pos: id.Pos, Name: id.Name}
}

// notAnOperand fails at a reserved word where an operand is expected.
func (p *parser) notAnOperand(t *token) {
	switch t.word {
	case "FROM", "WHERE", "GROUP", "HAVING", "LIMIT", "AS", "THEN", "WHEN", "ELSE", "END", "AND", "OR", "IN", "IS",
		"LIKE", "BETWEEN", "ON", "JOIN", "WITH", "BY":
		p.unexpected() // most likely something before it was left out
	}
}

func (p *parser) call(name ast.Ident) ast.Expr {
	out := &ast.Call{Pos: name.Pos, Name: strings.ToUpper(name.Name)}
	p.at++
	if p.is("*") && p.isAt(1, ")") {
		p.at += 2
		return out
	}
	for !p.accept(")") {
		if len(out.Args) > 0 {
			p.expect(",")
		}
		out.Args = append(out.Args, p.argument())
		if !p.is(",") && !p.is(")") {
			if p.cur().kind == tEOF || p.is(";") {
				p.missing(")")
			}
			p.unexpected("','", "')'")
		}
	}
	return out
}

// argument reads an expression, a lambda or a unit of time.
func (p *parser) argument() ast.Expr {
	t := p.cur()
	if t.kind == tWord && (p.isAt(1, ",") || p.isAt(1, ")")) && strings.HasSuffix(t.word, "S") {
		if unit, ok := ast.ParseUnit(t.word); ok {
			p.at++
			return &ast.UnitLit{Pos: t.pos(), Unit: unit}
		}
	}
	params, ok := p.lambdaParams()
	if !ok {
		return p.expr()
	}
	before := len(p.lambdas)
	for i, param := range params {
		for _, other := range params[:i] {
			if other.Name == param.Name {
				p.semantic(t, "Lambda arguments have duplicates: [%s]", joinNames(params))
			}
		}
		p.lambdas = append(p.lambdas, param.Name)
	}
	body := p.expr()
	p.lambdas = p.lambdas[:before]
	return &ast.Lambda{Pos: t.pos(), Params: params, Body: body}
}

func joinNames(ids []ast.Ident) string {
	names := make([]string, len(ids))
	for i, id := range ids {
		names[i] = id.Name
	}
	return strings.Join(names, ", ")
}

// lambdaParams reads `x =>` or `(x, y) =>`; ok is false, and nothing read, where
// there is no lambda.
func (p *parser) lambdaParams() (params []ast.Ident, ok bool) {
	if p.identAt(0) && p.isAt(1, "=>") {
		params = append(params, p.ident())
		p.at++
		return params, true
	}
	if !p.is("(") {
		return nil, false
	}
	n := 1
	for p.identAt(n) && p.isAt(n+1, ",") {
		n += 2
	}
	if !p.identAt(n) || !p.isAt(n+1, ")") || !p.isAt(n+2, "=>") {
		return nil, false
	}
	p.at++
	for !p.accept("=>") {
		params = append(params, p.ident())
		p.at++
	}
	return params, true
}

// number reads a number; pos is where its sign stands, if it has one.
func (p *parser) number(pos ast.Pos, minus bool) ast.Expr {
	t := p.cur()
	text := p.text[t.off:t.end]
	if minus {
		text = "-" + text
	}
	p.at++
	switch t.kind {
	case tInt:
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			p.badNumber(pos, "Invalid numeric literal: "+text)
		}
		return &ast.IntLit{Pos: pos, Value: n, Bigint: n != int64(int32(n))}
	case tDecimal:
		return &ast.DecimalLit{Pos: pos, Text: text}
	default:
		x, err := strconv.ParseFloat(text, 64)
		if err != nil || math.IsInf(x, 0) {
			p.badNumber(pos, "Number overflows DOUBLE: "+text)
		}
		return &ast.DoubleLit{Pos: pos, Value: x}
	}
}

// badNumber fails as ksqlDB does, which counts the column from 2 here.
func (p *parser) badNumber(pos ast.Pos, what string) {
	panic(failure{&diagnostic.Error{
		Kind:    diagnostic.Syntax,
		Pos:     pos,
		Message: fmt.Sprintf("Failed to prepare statement: line %d:%d: %s", pos.Line, pos.Col+1, what),
	}})
}

// semantic fails for something that is well-formed and yet makes no sense.
func (p *parser) semantic(t *token, format string, args ...any) {
	panic(failure{&diagnostic.Error{
		Kind:    diagnostic.Syntax,
		Pos:     t.pos(),
		Message: fmt.Sprintf("line %d:%d: ", t.line, t.col) + fmt.Sprintf(format, args...),
	}})
}
