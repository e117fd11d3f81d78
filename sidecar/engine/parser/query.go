package parser

import (
	"strconv"

	"github.com/sidestream/sidestream/sidecar/engine/ast"
	"github.com/sidestream/sidestream/sidecar/engine/diagnostic"
)

// query reads SELECT … up to what ends the statement.
func (p *parser) query() *ast.Query {
	q := &ast.Query{Pos: p.cur().pos()}
	p.expect("SELECT")
	q.Select = append(make([]ast.SelectItem, 0, 8), p.selectItem())
	for p.accept(",") {
		q.Select = append(q.Select, p.selectItem())
	}
	if !p.is("FROM") {
		p.unexpected("','", "'FROM'")
	}
	p.at++
	p.from(&q.From)
	if p.accept("WINDOW") {
		q.Window = p.window()
	}
	if p.accept("WHERE") {
		q.Where = p.expr()
	}
	if p.acceptAll("GROUP", "BY") {
		q.GroupBy = p.grouping()
	}
	if p.acceptAll("PARTITION", "BY") {
		q.PartitionBy = p.grouping()
	}
	if p.accept("HAVING") {
		q.Having = p.expr()
	}
	if p.accept("EMIT") {
		switch {
		case p.accept("CHANGES"):
			q.Emit = ast.EmitChanges
		case p.accept("FINAL"):
			q.Emit = ast.EmitFinal
		default:
			p.unexpected("'CHANGES'", "'FINAL'")
		}
	}
	if p.accept("LIMIT") {
		n := p.wholeCount("LIMIT")
		q.Limit = &n
	}
	return q
}

// queryEnd fails where a query doesn't end: ksqlDB says no more than where.
func (p *parser) queryEnd() {
	if p.is(";") || p.cur().kind == tEOF {
		return
	}
	p.lexical()
	p.syntax(p.cur(), "A query's clauses are, in this order: SELECT, FROM (JOIN … WITHIN … ON), WINDOW, WHERE, GROUP BY, PARTITION BY,"+
		" HAVING, EMIT, LIMIT; there is no other.", "")
}

func (p *parser) selectItem() ast.SelectItem {
	item := ast.SelectItem{Pos: p.cur().pos()}
	if p.accept("*") {
		item.Star = true
		return item
	}
	if p.identAt(0) && p.isAt(1, ".") && p.isAt(2, "*") {
		item.Star, item.Source = true, p.ident().Name
		p.at += 2
		return item
	}
	p.starred = nil
	item.Expr = p.expr()
	if all := p.starred; all != nil {
		if item.Expr != all {
			p.syntax(p.cur(), "->* stands for all fields of a struct, in the SELECT list and on its own.", "Syntax error at or near '%s' at line %d:%d",
				p.show(p.cur()), p.cur().line, p.cur().col)
		}
		return item
	}
	if p.accept("AS") || p.identAt(0) && !p.clause() {
		item.Alias = p.ident().Name
	}
	return item
}

// clause tells whether a clause of the query begins here, with a word that may
// be an identifier elsewhere.
func (p *parser) clause() bool {
	return p.is("PARTITION") && p.isAt(1, "BY") ||
		p.is("EMIT") && (p.isAt(1, "CHANGES") || p.isAt(1, "FINAL"))
}

func (p *parser) from(f *ast.From) {
	f.Source = p.source()
	for {
		join := ast.Join{Pos: p.cur().pos()}
		switch {
		case p.is("JOIN"):
		case p.accept("INNER"):
		case p.accept("LEFT"):
			join.Kind = ast.LeftJoin
			p.accept("OUTER")
		case p.accept("RIGHT"):
			join.Kind = ast.RightJoin
			p.accept("OUTER")
		case p.accept("FULL"):
			join.Kind = ast.FullJoin
			p.accept("OUTER")
		default:
			return
		}
		p.expect("JOIN")
		p.atMost(len(f.Joins), maxJoins, "joins")
		join.Source = p.source()
		if p.is("WITHIN") {
			join.Within = p.within()
		}
		if !p.is("ON") {
			if join.Within == nil {
				p.unexpected("'WITHIN'", "'ON'")
			}
			p.unexpected("'ON'")
		}
		p.at++
		join.On = p.expr()
		f.Joins = append(f.Joins, join)
	}
}

// source reads a stream or table, with its alias.
func (p *parser) source() ast.Source {
	id := p.ident()
	s := ast.Source{Pos: id.Pos, Name: id.Name, Alias: id.Name}
	if p.accept("AS") || p.identAt(0) && !p.clause() {
		s.Alias = p.ident().Name
	}
	return s
}

func (p *parser) within() *ast.Within {
	w := &ast.Within{Pos: p.cur().pos()}
	p.at++
	if p.accept("(") {
		w.Before = p.duration()
		p.expect(",")
		w.After = p.duration()
		p.expect(")")
	} else {
		w.Before = p.duration()
		w.After = w.Before
	}
	if p.acceptAll("GRACE", "PERIOD") {
		d := p.duration()
		w.Grace = &d
	}
	return w
}

// duration reads `10 SECONDS`.
func (p *parser) duration() ast.Duration {
	t := p.cur()
	n := p.count()
	unit := p.cur()
	u, ok := ast.ParseUnit(unit.word)
	if !ok || unit.kind != tWord {
		p.unexpected()
	}
	if u == ast.Months || u == ast.Years {
		p.syntax(unit, "Give the length in DAYS.", "Syntax error at or near '%s' at line %d:%d", p.show(unit), unit.line, unit.col)
	}
	p.at++
	return ast.Duration{Pos: t.pos(), Value: int64(n), Unit: u}
}

// count reads a whole number that isn't negative.
func (p *parser) count() int {
	t := p.cur()
	if t.kind != tInt {
		p.unexpected()
	}
	n, err := strconv.ParseInt(p.text[t.off:t.end], 10, 64)
	if err != nil {
		p.badNumber(t.pos(), "Invalid numeric literal: "+p.text[t.off:t.end])
	}
	p.at++
	return int(n)
}

// wholeCount is count for a clause that names itself where the number isn't
// whole.
func (p *parser) wholeCount(clause string) int {
	if t := p.cur(); t.kind == tDecimal || t.kind == tDouble {
		panic(failure{&diagnostic.Error{Kind: diagnostic.Syntax, Pos: t.pos(),
			Message: "Failed to prepare statement: Value must be integer for command: " + clause}})
	}
	return p.count()
}

func (p *parser) window() *ast.Window {
	w := &ast.Window{Pos: p.cur().pos()}
	if p.identAt(0) && !p.isAt(1, "(") || p.cur().kind == tQuoted {
		w.Name = p.ident().Name
	}
	switch {
	case p.accept("TUMBLING"):
		p.expect("(")
		p.expect("SIZE")
		w.Size = p.duration()
	case p.accept("HOPPING"):
		w.Kind = ast.Hopping
		p.expect("(")
		p.expect("SIZE")
		w.Size = p.duration()
		p.expect(",")
		p.expectWords("ADVANCE", "BY")
		d := p.duration()
		w.Advance = &d
	case p.accept("SESSION"):
		w.Kind = ast.Session
		p.expect("(")
		w.Size = p.duration()
	default:
		p.unexpected("'TUMBLING'", "'HOPPING'", "'SESSION'")
	}
	for !p.accept(")") {
		p.expect(",")
		switch {
		case w.Retention == nil && w.Grace == nil && p.accept("RETENTION"):
			d := p.duration()
			w.Retention = &d
		case w.Grace == nil && p.acceptAll("GRACE", "PERIOD"):
			d := p.duration()
			w.Grace = &d
		case w.Grace == nil && w.Retention == nil:
			p.unexpected("'RETENTION'", "'GRACE'")
		case w.Grace == nil:
			p.unexpected("'GRACE'")
		default:
			p.unexpected("')'")
		}
	}
	return w
}

// grouping reads what GROUP BY and PARTITION BY take: values, or values in
// parentheses.
func (p *parser) grouping() []ast.Expr {
	if p.acceptAll("(", ")") {
		return []ast.Expr{} // ksqlDB takes it: no grouping at all
	}
	closing := ""
	if p.is("(") && p.wholeList() {
		p.at++
		closing = ")"
	}
	out := []ast.Expr{p.value()}
	for p.accept(",") {
		p.atMost(len(out), maxGroups, "expressions here")
		out = append(out, p.value())
	}
	if closing != "" {
		p.expect(closing)
	}
	return out
}

// wholeList tells whether the parenthesis that opens here holds a list and
// closes at the end of the clause: `(a, b)`, not `(a + b) * c` nor `(a), b`.
func (p *parser) wholeList() bool {
	depth, list := 0, false
	for n := 0; ; n++ {
		t := p.peek(n)
		switch {
		case t.kind == tEOF:
			return false
		case t.kind != tSign:
		case t.word == "(":
			depth++
		case t.word == ",":
			list = list || depth == 1
		case t.word == ")":
			depth--
			if depth == 0 {
				next := p.peek(n + 1)
				return list && (next.kind != tSign || next.word == ";")
			}
		}
	}
}
