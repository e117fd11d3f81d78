package parser

import (
	"fmt"
	"strings"

	"github.com/sidestream/sidestream/sidecar/engine/ast"
	"github.com/sidestream/sidestream/sidecar/engine/diagnostic"
)

type parser struct {
	text string
	toks []token
	at   int
	// tests: the statements of SQL tests are allowed.
	tests bool
	// lambdas are the parameters of the lambdas around the expression being read.
	lambdas []string
	// starred is where the last X->* was read; selectItem checks its place.
	starred *ast.AllFields
	// depth of nested expressions and types, which is bounded: they are read by
	// recursion. links are the operators of the statement that make its expressions
	// deep one after the other, as in 1 + 1 + 1: what comes behind the parser goes
	// down them by recursion.
	depth, links int
}

// maxDepth is how deeply expressions and types may nest.
const maxDepth = 500

// maxLinks is how many operators and joins a statement may have.
const maxLinks = 20_000

// Each join, and each expression of GROUP BY or PARTITION BY, is another step of the
// plan, or another part of its key.
const (
	maxJoins  = 100
	maxGroups = 200
)

func newParser(text string, from int) *parser {
	return &parser{text: text, toks: tokens(text), at: from}
}

// failure carries a mistake out of the recursion to try.
type failure struct{ err *diagnostic.Error }

// try runs f and returns the mistake that ended it, or nil.
func (p *parser) try(f func()) (failed *diagnostic.Error) {
	defer func() {
		if r := recover(); r != nil {
			bail, ok := r.(failure)
			if !ok {
				panic(r)
			}
			failed = bail.err
		}
	}()
	f()
	return nil
}

// maxMistakes is how many mistakes of a script are told of.
const maxMistakes = 100

// script reads all statements; after a mistake it goes on behind the next
// semicolon.
func (p *parser) script() ([]ast.Statement, error) {
	var out []ast.Statement
	var errs diagnostic.Errors
	for p.cur().kind != tEOF {
		start := p.at
		p.links = 0
		failed := p.try(func() { out = append(out, p.statement()) })
		if failed == nil {
			continue
		}
		p.lambdas, p.depth = nil, 0
		for p.cur().kind != tEOF && !p.is(";") {
			p.at++
		}
		if p.is(";") {
			p.at++
		}
		failed.Statement = p.since(start)
		if errs = append(errs, failed); len(errs) == maxMistakes {
			break
		}
	}
	if errs != nil {
		return nil, errs
	}
	return out, nil
}

// since is the text from token start up to the current token.
func (p *parser) since(start int) string {
	if p.at == start {
		return ""
	}
	return p.text[p.toks[start].off:p.toks[p.at-1].end]
}

func (p *parser) cur() *token { return &p.toks[p.at] }

// peek is the token n places on; tEOF behind the end.
func (p *parser) peek(n int) *token {
	if p.at+n >= len(p.toks) {
		return &p.toks[len(p.toks)-1]
	}
	return &p.toks[p.at+n]
}

// is tells whether the current token is that keyword or sign.
func (p *parser) is(word string) bool { return p.cur().word == word && !p.cur().quote() }

// isAt is is, n places on.
func (p *parser) isAt(n int, word string) bool {
	t := p.peek(n)
	return t.word == word && !t.quote()
}

// quote: a bad token has a word of its own, which is no keyword.
func (t *token) quote() bool { return t.kind == tBad || t.kind == tEOF }

// accept passes over the token if it is that word.
func (p *parser) accept(word string) bool {
	if p.is(word) {
		p.at++
		return true
	}
	return false
}

// acceptAll passes over these words if all of them stand here.
func (p *parser) acceptAll(words ...string) bool {
	for i, w := range words {
		if !p.isAt(i, w) {
			return false
		}
	}
	p.at += len(words)
	return true
}

// expect passes over that word, or fails.
func (p *parser) expect(word string) {
	if p.accept(word) {
		return
	}
	p.missing(word)
}

// expectWords is expect for words in a row.
func (p *parser) expectWords(words ...string) {
	for _, w := range words {
		p.expect(w)
	}
}

// show is the token as messages quote it.
func (p *parser) show(t *token) string {
	if t.kind == tEOF {
		return "<EOF>"
	}
	return p.text[t.off:t.end]
}

// syntax ends the reading of the statement with a mistake at t.
func (p *parser) syntax(t *token, hint, format string, args ...any) {
	panic(failure{&diagnostic.Error{
		Kind:    diagnostic.Syntax,
		Pos:     t.pos(),
		Message: fmt.Sprintf("line %d:%d: Syntax Error\n", t.line, t.col) + fmt.Sprintf(format, args...),
		Hint:    hint,
	}})
}

// missing fails for want of word: where what stands here could follow it, it is
// said to be missing.
func (p *parser) missing(word string) {
	t := p.cur()
	if t.kind == tEOF || word != ";" && (p.is(",") || p.is(";") || p.is(")")) {
		p.lexical()
		p.syntax(t, "", "missing '%s' at '%s'", word, p.show(t))
	}
	p.unexpected("'" + word + "'")
}

// unexpected fails at the current token. Up to three things that could stand
// there are named, as ksqlDB does.
func (p *parser) unexpected(expecting ...string) {
	p.lexical()
	t := p.cur()
	switch len(expecting) {
	case 0:
		p.syntax(t, "", "Syntax error at or near '%s' at line %d:%d", p.show(t), t.line, t.col)
	case 1:
		p.syntax(t, "", "Expecting %s", expecting[0])
	default:
		p.syntax(t, "", "Expecting {%s}", strings.Join(expecting, ", "))
	}
}

// lexical fails where the current token is none that the language has.
func (p *parser) lexical() {
	t := p.cur()
	hint := ""
	switch {
	case t.kind == tBad && t.word == "quote":
		hint = "The closing " + p.show(t) + " is missing."
	case t.kind == tVariable:
		hint = "No variable of this name is defined: use DEFINE, or give its value with the request."
	case t.kind != tBad:
		return
	}
	p.syntax(t, hint, "Syntax error at or near '%s' at line %d:%d", p.show(t), t.line, t.col)
}

// deeper guards the recursion; its result is to be called at the end.
func (p *parser) deeper() {
	p.depth++
	if p.depth > maxDepth {
		p.syntax(p.cur(), "Write the statement with fewer nested parentheses.", "Nested too deeply: more than %d levels", maxDepth)
	}
}

// link counts an operator of a chain.
func (p *parser) link() {
	p.links++
	if p.links > maxLinks {
		p.syntax(p.cur(), "Use IN for a list of values, or several statements.", "Too long: more than %d operators", maxLinks)
	}
}

// atMost refuses one more of what there are n of.
func (p *parser) atMost(n, most int, what string) {
	if n >= most {
		p.syntax(p.cur(), "", "Too long: more than %d %s", most, what)
	}
}

// identAt tells whether the token n places on can be an identifier.
func (p *parser) identAt(n int) bool {
	t := p.peek(n)
	return t.kind == tQuoted || t.kind == tWord && !Reserved(t.word)
}

// ident reads an identifier.
func (p *parser) ident() ast.Ident {
	t := p.cur()
	switch {
	case t.kind == tQuoted:
		p.at++
		return ast.Ident{Pos: t.pos(), Name: unquote(p.text[t.off:t.end])}
	case t.kind == tWord && !Reserved(t.word):
		p.at++
		return ast.Ident{Pos: t.pos(), Name: t.word}
	case t.kind == tWord:
		p.syntax(t, "", "\"%s\" is a reserved keyword and it can't be used as an identifier."+
			" You can use it as an identifier by escaping it as '`%s`'", p.show(t), p.show(t))
	}
	p.unexpected()
	return ast.Ident{}
}

// rawName reads an identifier or a string, and keeps the case of either: the
// name of something outside SQL, such as a topic.
func (p *parser) rawName() string {
	t := p.cur()
	if t.kind == tString {
		return p.str()
	}
	id := p.ident()
	if t.kind == tWord {
		return p.text[t.off:t.end]
	}
	return id.Name
}

// str reads text in single quotes.
func (p *parser) str() string {
	t := p.cur()
	if t.kind != tString {
		p.unexpected("STRING")
	}
	p.at++
	return unquote(p.text[t.off:t.end])
}

// unquote takes the quotes off and undoubles those inside.
func unquote(s string) string {
	q := s[:1]
	s = s[1 : len(s)-1]
	if strings.Contains(s, q) {
		return strings.ReplaceAll(s, q+q, q)
	}
	return s
}
