package parser

import (
	"github.com/sidestream/sidestream/sidecar/engine/ast"
	"github.com/sidestream/sidestream/sidecar/engine/types"
)

var baseTypes = map[string]types.Kind{"BOOLEAN": types.Boolean, "INT": types.Integer, "INTEGER": types.Integer,
	"BIGINT": types.Bigint, "DOUBLE": types.Double, "STRING": types.String, "VARCHAR": types.String,
	"BYTES": types.Bytes, "DATE": types.Date, "TIME": types.Time, "TIMESTAMP": types.Timestamp}

// typ reads a type.
func (p *parser) typ() *ast.Type {
	p.deeper()
	defer func() { p.depth-- }()
	t := p.cur()
	out := &ast.Type{Pos: t.pos()}
	if t.kind == tWord && p.isAt(1, "<") {
		switch t.word {
		case "ARRAY":
			p.at += 2
			out.Kind, out.Elem = types.Array, p.typ()
			p.closeType()
			return out
		case "MAP":
			p.at += 2
			out.Kind, out.Key = types.Map, p.typ()
			p.expect(",")
			out.Elem = p.typ()
			p.closeType()
			return out
		case "STRUCT":
			p.at += 2
			p.structType(out)
			return out
		}
	}
	// An empty STRUCT's "<>" is read as one sign.
	if p.is("STRUCT") && p.isAt(1, "<>") {
		p.at += 2
		out.Kind = types.Struct
		return out
	}
	if p.is("DECIMAL") {
		p.at++
		p.expect("(")
		out.Kind, out.Precision = types.Decimal, p.count()
		p.expect(",")
		out.Scale = p.count()
		p.expect(")")
		p.checkDecimal(t, out)
		return out
	}
	id := p.ident()
	if k, ok := baseTypes[id.Name]; ok {
		out.Kind = k
	} else {
		out.Name = id.Name
	}
	p.typeParameters()
	return out
}

func (p *parser) checkDecimal(t *token, d *ast.Type) {
	switch {
	case d.Precision < 1:
		p.semantic(t, "DECIMAL precision must be >= 1: DECIMAL(%d,%d)", d.Precision, d.Scale)
	case d.Precision < d.Scale:
		p.semantic(t, "DECIMAL precision must be >= scale: DECIMAL(%d,%d)", d.Precision, d.Scale)
	}
}

func (p *parser) structType(out *ast.Type) {
	out.Kind = types.Struct
	for !p.accept(">") {
		if len(out.Fields) > 0 {
			p.expect(",")
		}
		name := p.ident()
		out.Fields = append(out.Fields, ast.TypeField{Ident: name, Type: p.typ()})
		if !p.is(",") && !p.is(">") {
			p.unexpected("','", "'>'")
		}
	}
}

func (p *parser) closeType() {
	if p.accept(">") {
		return
	}
	p.unexpected("'>'")
}

// typeParameters reads what ksqlDB reads behind any type and gives no meaning:
// VARCHAR(255), VARCHAR(STRING).
func (p *parser) typeParameters() {
	if !p.is("(") {
		return
	}
	p.at++
	for {
		if p.cur().kind != tInt && !p.is("STRING") {
			p.unexpected("'STRING'", "INTEGER_VALUE")
		}
		p.at++
		if !p.accept(",") {
			break
		}
	}
	if !p.accept(")") {
		p.unexpected("','", "')'")
	}
}

// elements reads `(name type [key], …)`.
func (p *parser) elements() []ast.Element {
	p.expect("(")
	out := p.elementList()
	if !p.accept(")") {
		p.unexpected("','", "')'")
	}
	return out
}

func (p *parser) elementList() []ast.Element {
	out := append(make([]ast.Element, 0, 8), p.element())
	for p.accept(",") {
		out = append(out, p.element())
	}
	return out
}

func (p *parser) element() ast.Element {
	e := ast.Element{Ident: p.ident(), Type: p.typ()}
	switch {
	case p.accept("KEY"):
		e.Role = ast.KeyColumn
	case p.accept("PRIMARY"):
		p.expect("KEY")
		e.Role = ast.PrimaryKeyColumn
	case p.accept("HEADERS"):
		e.Role = ast.HeadersColumn
	case p.accept("HEADER"):
		p.expect("(")
		e.Role, e.Header = ast.HeaderColumn, p.str()
		p.expect(")")
	}
	return e
}
