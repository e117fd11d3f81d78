package parser

import (
	"github.com/sidestream/sidestream/sidecar/engine/ast"
)

// create reads CREATE of a source, a query's result, a type or a connector.
func (p *parser) create() spanned {
	p.at++
	orReplace := p.acceptAll("OR", "REPLACE")
	switch {
	case p.is("TYPE") && !orReplace:
		p.at++
		out := &ast.CreateType{IfNotExists: p.ifNotExists(), Name: p.ident()}
		p.expect("AS")
		out.Type = p.typ()
		return out
	case p.isAt(1, "CONNECTOR") && !orReplace && (p.is("SOURCE") || p.is("SINK")):
		out := &ast.CreateConnector{Kind: ast.SourceConnector}
		if p.is("SINK") {
			out.Kind = ast.SinkConnector
		}
		p.at += 2
		out.IfNotExists = p.ifNotExists()
		t := p.cur()
		out.Name = ast.Ident{Pos: t.pos(), Name: p.rawName()}
		if !p.is("WITH") {
			p.unexpected("'WITH'")
		}
		out.With = p.properties()
		return out
	}
	readOnly := p.accept("SOURCE")
	t := p.cur()
	if !p.accept("STREAM") && !p.accept("TABLE") {
		p.unexpected()
	}
	table, ifNotExists, name := t.word == "TABLE", p.ifNotExists(), p.ident()
	var elements []ast.Element
	if p.is("(") {
		elements = p.elements()
	}
	var with ast.Properties
	if p.is("WITH") {
		with = p.properties()
	}
	if p.is("AS") && elements == nil && !readOnly {
		p.at++
		return &ast.CreateAs{Table: table, OrReplace: orReplace, IfNotExists: ifNotExists, Name: name, With: with, Query: p.query()}
	}
	if !p.is(";") && p.cur().kind != tEOF && with == nil {
		if elements != nil || readOnly {
			p.unexpected("'WITH'", "';'")
		}
		p.unexpected()
	}
	return &ast.CreateSource{Table: table, OrReplace: orReplace, ReadOnly: readOnly, IfNotExists: ifNotExists,
		Name: name, Elements: elements, With: with}
}

func (p *parser) ifNotExists() bool { return p.acceptAll("IF", "NOT", "EXISTS") }

// properties reads WITH (name = literal, …).
func (p *parser) properties() ast.Properties {
	p.expect("WITH")
	p.expect("(")
	var out ast.Properties
	for {
		out = append(out, p.property())
		if !p.accept(",") {
			break
		}
	}
	if !p.accept(")") {
		if t := p.cur(); t.kind == tEOF || p.is(";") {
			p.missing(")")
		}
		p.unexpected("','", "')'")
	}
	return out
}

func (p *parser) property() ast.Property {
	t := p.cur()
	out := ast.Property{Pos: t.pos()}
	if t.kind == tString {
		out.Name = p.str()
	} else {
		out.Name = p.ident().Name
	}
	p.expect("=")
	out.Value = p.literal()
	return out
}

// literal reads a literal.
func (p *parser) literal() ast.Expr {
	t := p.cur()
	switch {
	case t.kind == tString || t.kind == tInt || t.kind == tDecimal || t.kind == tDouble:
		return p.primary()
	case p.is("NULL") || p.is("TRUE") || p.is("FALSE"):
		return p.word(t)
	case p.is("-"):
		p.at++
		if k := p.cur().kind; k == tInt || k == tDecimal || k == tDouble {
			return p.number(t.pos(), true)
		}
	}
	p.unexpected()
	return nil
}
