// Package parser reads SQL: a hand-written lexer, recursive descent for
// statements and precedence climbing for expressions.
//
// In: the text of a script. Out: the trees of package ast, or diagnostic.Errors
// with every mistake of the text: after one, reading goes on behind the next
// semicolon. Positions are those of the text that was given.
//
// Text with `${name}` goes through [Substitute] first, a script with DEFINE
// through [ParseScript]. [Split] cuts a script into pieces with their comments,
// for programs that read directives such as `--@test:` from them.
//
// Next: package format writes trees, package analyze resolves them.
package parser

import (
	"github.com/sidestream/sidestream/sidecar/engine/ast"
	"github.com/sidestream/sidestream/sidecar/engine/diagnostic"
)

// Parse reads a whole script, as a server does. The error is diagnostic.Errors.
// ASSERT VALUES, NULL VALUES, STREAM and TABLE are of tests alone: ParseTest
// reads these.
func Parse(text string) ([]ast.Statement, error) {
	p := newParser(text, 0)
	return p.script()
}

// ParseTest is Parse for a script of SQL tests.
func ParseTest(text string) ([]ast.Statement, error) {
	p := newParser(text, 0)
	p.tests = true
	return p.script()
}

// ParseExpr reads an expression and nothing else.
func ParseExpr(text string) (ast.Expr, error) {
	return one(text, (*parser).expr)
}

// ParseType reads a type and nothing else.
func ParseType(text string) (*ast.Type, error) {
	return one(text, (*parser).typ)
}

// ParseSchema reads the columns of a source, without parentheses around them:
// `ID STRING KEY, AMOUNT DECIMAL(12, 2)`.
func ParseSchema(text string) ([]ast.Element, error) {
	return one(text, func(p *parser) []ast.Element {
		if p.cur().kind == tEOF {
			return nil
		}
		return p.elementList()
	})
}

// one reads the whole text as a single thing.
func one[T any](text string, read func(*parser) T) (out T, err error) {
	p := newParser(text, 0)
	failed := p.try(func() {
		out = read(p)
		if p.cur().kind != tEOF {
			p.unexpected()
		}
	})
	if failed != nil {
		var none T
		return none, diagnostic.Errors{failed}
	}
	return out, nil
}
