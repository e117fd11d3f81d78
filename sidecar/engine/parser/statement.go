package parser

import (
	"github.com/sidestream/sidestream/sidecar/engine/ast"
)

// spanned is a statement that can be told its place.
type spanned interface {
	ast.Statement
	SetSpan(p ast.Pos, text string)
}

// statement reads one statement and its semicolon.
func (p *parser) statement() ast.Statement {
	start := p.at
	s := p.body()
	p.queryEndOf(s)
	p.expect(";")
	s.SetSpan(p.toks[start].pos(), p.since(start))
	return s
}

// queryEndOf fails where a statement that ends in a query goes on behind it.
func (p *parser) queryEndOf(s ast.Statement) {
	switch n := s.(type) {
	case *ast.Select, *ast.CreateAs, *ast.InsertInto:
		p.queryEnd()
	case *ast.Explain:
		if n.Statement != nil {
			p.queryEndOf(n.Statement)
		}
	}
}

// body reads a statement without its semicolon.
func (p *parser) body() spanned {
	p.lexical()
	t := p.cur()
	if t.kind != tWord {
		p.unknown(t)
	}
	switch t.word {
	case "SELECT":
		return &ast.Select{Query: p.query()}
	case "CREATE":
		return p.create()
	case "INSERT":
		return p.insert()
	case "DROP":
		return p.drop()
	case "SHOW", "LIST":
		return p.showStatement()
	case "DESCRIBE":
		return p.describe()
	case "EXPLAIN":
		return p.explain()
	case "PRINT":
		return p.print()
	case "TERMINATE", "PAUSE", "RESUME":
		return p.control(t.word)
	case "SET":
		p.at++
		name := p.str()
		p.expect("=")
		return &ast.SetProperty{Name: name, Value: p.str()}
	case "UNSET":
		p.at++
		return &ast.UnsetProperty{Name: p.str()}
	case "DEFINE":
		p.at++
		name := p.rawName()
		p.expect("=")
		return &ast.Define{Name: name, Value: p.str()}
	case "UNDEFINE":
		p.at++
		return &ast.Undefine{Name: p.rawName()}
	case "ALTER":
		return p.alter()
	case "ASSERT":
		return p.assert()
	}
	p.unknown(t)
	return nil
}

func (p *parser) unknown(t *token) {
	word := p.show(t)
	p.syntax(t, "", "Unknown statement '%s'\nDid you mean '%s'?", word, closestStart(word))
}

func (p *parser) insert() spanned {
	p.at++
	p.expect("INTO")
	target := p.ident()
	switch {
	case p.is("WITH"):
		with := p.properties()
		return &ast.InsertInto{Target: target, With: with, Query: p.query()}
	case p.is("SELECT"):
		return &ast.InsertInto{Target: target, Query: p.query()}
	}
	out := &ast.InsertValues{Target: target, Columns: p.columns()}
	if !p.is("VALUES") {
		if out.Columns != nil {
			p.unexpected("'VALUES'")
		}
		p.unexpected()
	}
	p.at++
	out.Values = p.values()
	return out
}

// columns reads `(a, b)`, or nothing.
func (p *parser) columns() []ast.Ident {
	if !p.accept("(") {
		return nil
	}
	out := []ast.Ident{p.ident()}
	for p.accept(",") {
		out = append(out, p.ident())
	}
	if !p.accept(")") {
		p.unexpected("','", "')'")
	}
	return out
}

// values reads `(1, 'x')`.
func (p *parser) values() []ast.Expr {
	p.expect("(")
	out := []ast.Expr{}
	for !p.accept(")") {
		if len(out) > 0 {
			p.expect(",")
		}
		out = append(out, p.value())
		if !p.is(",") && !p.is(")") {
			p.unexpected("','", "')'")
		}
	}
	return out
}

func (p *parser) drop() spanned {
	p.at++
	t := p.cur()
	switch {
	case p.accept("STREAM"), p.accept("TABLE"):
		out := &ast.DropSource{Table: t.word == "TABLE", IfExists: p.acceptAll("IF", "EXISTS"), Name: p.ident()}
		if p.accept("DELETE") {
			p.expect("TOPIC")
			out.DeleteTopic = true
		}
		return out
	case p.accept("TYPE"):
		return &ast.DropType{IfExists: p.acceptAll("IF", "EXISTS"), Name: p.ident()}
	case p.accept("CONNECTOR"):
		return &ast.DropConnector{IfExists: p.acceptAll("IF", "EXISTS"), Name: p.ident()}
	}
	p.unexpected()
	return nil
}

var showKinds = map[string]ast.ShowKind{"STREAMS": ast.ShowStreams, "TABLES": ast.ShowTables,
	"TOPICS": ast.ShowTopics, "QUERIES": ast.ShowQueries, "FUNCTIONS": ast.ShowFunctions,
	"PROPERTIES": ast.ShowProperties, "TYPES": ast.ShowTypes, "VARIABLES": ast.ShowVariables}

func (p *parser) showStatement() spanned {
	p.at++
	out := &ast.Show{}
	t := p.cur()
	switch {
	case p.acceptAll("ALL", "TOPICS"):
		out.Kind, out.All = ast.ShowTopics, true
	case p.accept("SOURCE"):
		out.Connector = ast.SourceConnector
		p.expect("CONNECTORS")
		out.Kind = ast.ShowConnectors
	case p.accept("SINK"):
		out.Connector = ast.SinkConnector
		p.expect("CONNECTORS")
		out.Kind = ast.ShowConnectors
	case p.accept("CONNECTORS"):
		out.Kind = ast.ShowConnectors
	case p.accept("CONNECTOR"):
		p.expect("PLUGINS")
		out.Kind = ast.ShowConnectorPlugins
	default:
		k, ok := showKinds[t.word]
		if !ok || t.kind != tWord {
			p.unexpected()
		}
		p.at++
		out.Kind = k
	}
	switch out.Kind {
	case ast.ShowTopics, ast.ShowStreams, ast.ShowTables, ast.ShowQueries:
		out.Extended = p.accept("EXTENDED")
	}
	return out
}

func (p *parser) describe() spanned {
	p.at++
	out := &ast.Describe{}
	switch {
	case p.accept("STREAMS"):
		out.Kind = ast.DescribeStreams
	case p.accept("TABLES"):
		out.Kind = ast.DescribeTables
	case p.is("FUNCTION") && !p.isAt(1, ";"):
		p.at++
		t := p.cur()
		out.Kind, out.Name = ast.DescribeFunction, p.ident()
		// A function is looked up without case, and named as it was written.
		if t.kind == tWord {
			out.Name.Name = p.text[t.off:t.end]
		}
		return out
	case p.is("CONNECTOR") && !p.isAt(1, ";"):
		p.at++
		out.Kind = ast.DescribeConnector
		out.Name = ast.Ident{Pos: p.cur().pos(), Name: p.rawName()}
		return out
	default:
		out.Name = p.ident()
	}
	out.Extended = p.accept("EXTENDED")
	return out
}

func (p *parser) explain() spanned {
	p.at++
	if p.identAt(0) && (p.isAt(1, ";") || p.peek(1).kind == tEOF) {
		return &ast.Explain{Query: p.ident().Name}
	}
	p.deeper()
	start := p.at
	s := p.body()
	s.SetSpan(p.toks[start].pos(), p.since(start))
	p.depth--
	return &ast.Explain{Statement: s}
}

func (p *parser) print() spanned {
	p.at++
	out := &ast.Print{Topic: p.rawName()}
	if p.accept("FROM") {
		p.expect("BEGINNING")
		out.FromBeginning = true
	}
	if p.accept("INTERVAL") || p.accept("SAMPLE") {
		n := p.wholeCount("INTERVAL")
		out.Interval = &n
	}
	if p.accept("LIMIT") {
		n := p.wholeCount("LIMIT")
		out.Limit = &n
	}
	return out
}

// control reads TERMINATE, PAUSE and RESUME.
func (p *parser) control(word string) spanned {
	p.at++
	all, id := p.accept("ALL"), ""
	if !all {
		id = p.ident().Name
	}
	switch word {
	case "PAUSE":
		return &ast.Pause{All: all, Query: id}
	case "RESUME":
		return &ast.Resume{All: all, Query: id}
	default:
		return &ast.Terminate{All: all, Query: id}
	}
}

func (p *parser) alter() spanned {
	p.at++
	t := p.cur()
	switch {
	case p.accept("SYSTEM"):
		name := p.str()
		p.expect("=")
		return &ast.AlterSystem{Name: name, Value: p.str()}
	case p.accept("STREAM"), p.accept("TABLE"):
		out := &ast.AlterSource{Table: t.word == "TABLE", Name: p.ident()}
		for {
			p.expect("ADD")
			if p.is("COLUMN") && p.identAt(1) {
				p.at++
			}
			out.Add = append(out.Add, ast.Element{Ident: p.ident(), Type: p.typ()})
			if !p.accept(",") {
				return out
			}
		}
	}
	p.unexpected("'STREAM'", "'TABLE'", "'SYSTEM'")
	return nil
}

func (p *parser) assert() spanned {
	p.at++
	if p.tests {
		if s := p.assertOfTest(); s != nil {
			return s
		}
	}
	notExists := p.acceptAll("NOT", "EXISTS")
	switch {
	case p.accept("TOPIC"):
		out := &ast.AssertTopic{NotExists: notExists, Topic: p.rawName()}
		if p.is("WITH") {
			out.With = p.properties()
		}
		out.Timeout = p.timeout()
		return out
	case p.accept("SCHEMA"):
		out := &ast.AssertSchema{NotExists: notExists}
		if p.accept("SUBJECT") {
			out.Subject = p.rawName()
		}
		if p.accept("ID") {
			n := p.count()
			out.ID = &n
		}
		if out.Subject == "" && out.ID == nil {
			p.unexpected("'SUBJECT'", "'ID'")
		}
		out.Timeout = p.timeout()
		return out
	}
	p.unexpected()
	return nil
}

func (p *parser) timeout() *ast.Duration {
	if !p.accept("TIMEOUT") {
		return nil
	}
	d := p.duration()
	return &d
}

// assertOfTest reads the ASSERT statements of SQL tests; nil for others.
func (p *parser) assertOfTest() spanned {
	t := p.cur()
	switch {
	case p.accept("VALUES"):
		out := &ast.AssertValues{Target: p.ident(), Columns: p.columns()}
		p.expect("VALUES")
		out.Values = p.values()
		return out
	case p.acceptAll("NULL", "VALUES"):
		out := &ast.AssertTombstone{Target: p.ident(), Columns: p.columns()}
		p.expect("KEY")
		out.Values = p.values()
		return out
	case p.accept("STREAM"), p.accept("TABLE"):
		out := &ast.AssertSource{Table: t.word == "TABLE", Name: p.ident()}
		if p.is("(") {
			out.Elements = p.elements()
		}
		if p.is("WITH") {
			out.With = p.properties()
		}
		return out
	}
	return nil
}
