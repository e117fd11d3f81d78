package parser

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/sidestream/sidestream/sidecar/engine/ast"
	"github.com/sidestream/sidestream/sidecar/engine/diagnostic"
)

// Substitute puts the values of variables in the place of `${name}`, as text,
// inside quotes too but not in comments. Names are found without regard to case;
// `$${name}` stands for the text `${name}`. A variable that isn't among vars is
// left as it is inside quotes, as ksqlDB does, and elsewhere an error with its
// position.
func Substitute(text string, vars map[string]string) (string, error) {
	out, _, err := substitute(text, vars)
	return out, err
}

// maxReplaced bounds a script with its variables replaced: values that hold values
// could make it as large as one likes.
const maxReplaced = 16 << 20

// edit says that what stands at offset at of the result stood at from before.
type edit struct{ at, from int }

func substitute(text string, vars map[string]string) (string, []edit, error) {
	if !strings.Contains(text, "${") {
		return text, nil, nil
	}
	var b strings.Builder
	var edits []edit
	var errs diagnostic.Errors
	quote := byte(0)
	for i := 0; i < len(text); {
		c := text[i]
		switch {
		case quote == 0 && (strings.HasPrefix(text[i:], "--") || strings.HasPrefix(text[i:], "/*")):
			end := commentEnd(text, i)
			b.WriteString(text[i:end])
			i = end
			continue
		case quote == 0 && (c == '\'' || c == '"' || c == '`'):
			quote = c
		case c == quote:
			quote = 0
		case c == '$' && strings.HasPrefix(text[i:], "$${"):
			b.WriteByte('$')
			i += 2
			edits = append(edits, edit{b.Len(), i})
			if end := strings.IndexByte(text[i:], '}'); end > 0 {
				b.WriteString(text[i : i+end])
				i += end
			}
			continue
		case c == '$' && strings.HasPrefix(text[i:], "${"):
			end := strings.IndexByte(text[i:], '}')
			if end < 0 {
				break
			}
			name := strings.TrimSpace(text[i+2 : i+end])
			value, ok := lookup(vars, name)
			if !ok && quote == 0 {
				pos := positionOf(text, i)
				errs = append(errs, &diagnostic.Error{Kind: diagnostic.Syntax, Pos: pos,
					Message: fmt.Sprintf("line %d:%d: Syntax Error\nVariable '%s' is not defined", pos.Line, pos.Col, name),
					Hint:    "Write DEFINE " + name + " = '…'; before it, or give its value with the request."})
			}
			if len(errs) == maxMistakes {
				return "", nil, errs
			}
			if ok && b.Len()+len(value) > maxReplaced {
				pos := positionOf(text, i)
				return "", nil, diagnostic.Errors{{Kind: diagnostic.Syntax, Pos: pos,
					Message: fmt.Sprintf("line %d:%d: Syntax Error\nWith its variables replaced the text is longer than %d bytes", pos.Line, pos.Col, maxReplaced)}}
			}
			if ok {
				edits = append(edits, edit{b.Len(), i})
				b.WriteString(value)
				i += end + 1
				edits = append(edits, edit{b.Len(), i})
				continue
			}
		}
		b.WriteByte(c)
		i++
	}
	if errs != nil {
		return "", nil, errs
	}
	return b.String(), edits, nil
}

// lookup finds a variable without regard to case; the exact name comes first.
func lookup(vars map[string]string, name string) (string, bool) {
	if v, ok := vars[name]; ok {
		return v, true
	}
	for k, v := range vars {
		if strings.EqualFold(k, name) {
			return v, true
		}
	}
	return "", false
}

// commentEnd is where the comment that begins at i ends.
func commentEnd(text string, i int) int {
	stop, size := "\n", 1
	if text[i] == '/' {
		stop, size = "*/", 2
	}
	if end := strings.Index(text[i+2:], stop); end >= 0 {
		return i + 2 + end + size
	}
	return len(text)
}

// positionOf is the line and column of an offset.
func positionOf(text string, offset int) ast.Pos {
	before := text[:offset]
	line := 1 + strings.Count(before, "\n")
	return ast.Pos{Offset: offset, Line: line, Col: 1 + utf8.RuneCountInString(before[strings.LastIndexByte(before, '\n')+1:])}
}

// ParseScript is Parse for a script with variables: vars are those defined
// before it, DEFINE and UNDEFINE in it change them for the statements behind
// them. vars itself isn't changed. Positions are those of text; the text of a
// statement has the values in it.
func ParseScript(text string, vars map[string]string) ([]ast.Statement, error) {
	if !strings.Contains(text, "${") {
		return Parse(text)
	}
	known := make(map[string]string, len(vars))
	for k, v := range vars {
		known[k] = v
	}
	pieces, err := Split(text)
	if err != nil {
		return nil, err
	}
	var out []ast.Statement
	var errs diagnostic.Errors
	at := &place{text: text, line: 1, col: 1}
	size := 0
	for _, piece := range pieces {
		if piece.Text == "" {
			continue
		}
		statements, n, err := parsePiece(at, piece, known)
		if size += n; size > maxReplaced && err == nil {
			err = diagnostic.Errors{{Kind: diagnostic.Syntax, Pos: piece.Pos, Statement: piece.Text,
				Message: fmt.Sprintf("line %d:%d: Syntax Error\nWith their variables replaced the statements up to here are longer than %d bytes", piece.Pos.Line, piece.Pos.Col, maxReplaced)}}
		}
		if err != nil {
			if errs = append(errs, diagnostic.All(err)...); len(errs) >= maxMistakes {
				break
			}
			continue
		}
		for _, s := range statements {
			switch n := s.(type) {
			case *ast.Define:
				undefine(known, n.Name)
				known[n.Name] = n.Value
			case *ast.Undefine:
				undefine(known, n.Name)
			}
		}
		out = append(out, statements...)
	}
	if errs != nil {
		return nil, errs
	}
	return out, nil
}

func undefine(vars map[string]string, name string) {
	for k := range vars {
		if strings.EqualFold(k, name) {
			delete(vars, k)
		}
	}
}

// place finds the positions of offsets that grow.
type place struct {
	text              string
	offset, line, col int
}

func (p *place) at(offset int) ast.Pos {
	offset = min(offset, len(p.text))
	if offset < p.offset {
		p.offset, p.line, p.col = 0, 1, 1
	}
	between := p.text[p.offset:offset]
	if n := strings.Count(between, "\n"); n > 0 {
		p.line += n
		p.col = 1
		between = between[strings.LastIndexByte(between, '\n')+1:]
	}
	p.col += utf8.RuneCountInString(between)
	p.offset = offset
	return ast.Pos{Offset: offset, Line: p.line, Col: p.col}
}

// parsePiece parses one statement of a text with its variables replaced, and tells
// how long it is then.
func parsePiece(at *place, piece Piece, vars map[string]string) ([]ast.Statement, int, error) {
	replaced, edits, err := substitute(piece.Text, vars)
	if err != nil {
		for _, e := range diagnostic.All(err) {
			e.Pos = at.at(piece.Pos.Offset + e.Pos.Offset)
			_, rest, _ := strings.Cut(e.Message, ": ")
			e.Message = fmt.Sprintf("line %d:%d: %s", e.Pos.Line, e.Pos.Col, rest)
			e.Statement = piece.Text
		}
		return nil, 0, err
	}
	p := newParser(replaced, 0)
	n := 0
	for i := range p.toks {
		t := &p.toks[i]
		for n < len(edits) && edits[n].at <= t.off {
			n++
		}
		from := t.off
		if n > 0 {
			from = edits[n-1].from + t.off - edits[n-1].at
			// Inside a value: it stands where its variable stood.
			if n%2 == 1 && n < len(edits) && from > edits[n].from {
				from = edits[n-1].from
			}
		}
		pos := at.at(piece.Pos.Offset + from)
		t.from, t.line, t.col = pos.Offset, pos.Line, pos.Col
	}
	statements, err := p.script()
	return statements, len(replaced), err
}
