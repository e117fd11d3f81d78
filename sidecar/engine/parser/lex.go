package parser

import (
	"strings"
	"unicode/utf8"

	"github.com/sidestream/sidestream/sidecar/engine/ast"
)

type kind uint8

const (
	tEOF      kind = iota
	tWord          // an unquoted identifier (it may begin with a digit) or a keyword
	tQuoted        // an identifier in double quotes or backticks
	tString        // text in single quotes
	tInt           // 12
	tDecimal       // 1.2
	tDouble        // 1.2E3
	tSign          // an operator or a punctuation mark
	tVariable      // ${name}
	tBad           // a character or an unclosed quote that fits nowhere
)

// token is a word of the text. word is what it is compared by: the keyword, the
// identifier in upper case, the sign; "" for other kinds.
type token struct {
	kind     kind
	off, end int
	// from is off in the text that the user wrote, before variables were replaced.
	from      int
	line, col int
	word      string
}

func (t *token) pos() ast.Pos { return ast.Pos{Offset: t.from, Line: t.line, Col: t.col} }

// lexer cuts text into tokens. Lines and columns are counted as it goes.
type lexer struct {
	text      string
	at        int
	line      int
	lineStart int
	// wide is by how much bytes exceed characters since lineStart.
	wide int
}

// tokens are all tokens of the text; the last is tEOF.
func tokens(text string) []token {
	l := lexer{text: text, line: 1}
	out := make([]token, 0, len(text)/4+8)
	for {
		out = append(out, token{})
		t := &out[len(out)-1]
		l.next(t)
		if t.kind == tEOF {
			return out
		}
	}
}

func (l *lexer) next(t *token) {
	l.space()
	t.off, t.from, t.line, t.col = l.at, l.at, l.line, l.at-l.lineStart-l.wide+1
	if l.at >= len(l.text) {
		t.kind, t.end = tEOF, l.at
		return
	}
	c := l.text[l.at]
	switch {
	case isLetter(c) || c == '_':
		l.at++
		for l.at < len(l.text) && isIdent(l.text[l.at]) {
			l.at++
		}
		t.kind, t.word = tWord, upperWord(l.text[t.off:l.at])
	case isDigit(c), c == '.' && l.at+1 < len(l.text) && isDigit(l.text[l.at+1]):
		l.number(t)
	case c == '\'':
		l.quoted(t, '\'', tString)
	case c == '"' || c == '`':
		l.quoted(t, c, tQuoted)
	case c == '$' && strings.HasPrefix(l.text[l.at:], "${"):
		if end := strings.IndexByte(l.text[l.at:], '}'); end > 0 && !strings.ContainsAny(l.text[l.at:l.at+end], "\n';") {
			t.kind = tVariable
			l.at += end + 1
		} else {
			t.kind = tBad
			l.at++
		}
	default:
		l.sign(t)
	}
	t.end = l.at
}

// space passes over blanks and comments.
func (l *lexer) space() {
	for l.at < len(l.text) {
		switch c := l.text[l.at]; {
		case c == '\n':
			l.at++
			l.newLine()
		case c == ' ' || c == '\t' || c == '\r':
			l.at++
		case c == '-' && strings.HasPrefix(l.text[l.at:], "--"):
			for l.at < len(l.text) && l.text[l.at] != '\n' {
				l.char()
			}
		case c == '/' && strings.HasPrefix(l.text[l.at:], "/*"):
			end := strings.Index(l.text[l.at+2:], "*/")
			if end < 0 {
				return // "/" then fails where it stands
			}
			for stop := l.at + 2 + end + 2; l.at < stop; {
				l.char()
			}
		case c == 0xC2 && strings.HasPrefix(l.text[l.at:], "\u00a0"):
			l.char()
		default:
			return
		}
	}
}

// char passes over one character.
func (l *lexer) char() {
	c := l.text[l.at]
	if c < utf8.RuneSelf {
		l.at++
		if c == '\n' {
			l.newLine()
		}
		return
	}
	_, n := utf8.DecodeRuneInString(l.text[l.at:])
	l.at += n
	l.wide += n - 1
}

func (l *lexer) newLine() { l.line, l.lineStart, l.wide = l.line+1, l.at, 0 }

// quoted reads to the closing quote; a doubled quote stands for itself.
func (l *lexer) quoted(t *token, quote byte, k kind) {
	start := *l
	l.at++
	for l.at < len(l.text) {
		if l.text[l.at] != quote {
			l.char()
			continue
		}
		l.at++
		if l.at < len(l.text) && l.text[l.at] == quote {
			l.at++
			continue
		}
		t.kind = k
		return
	}
	// Not closed: only the quote itself is bad, so that later statements are read.
	*l = start
	l.at++
	t.kind, t.word = tBad, "quote"
}

func (l *lexer) number(t *token) {
	t.kind = tInt
	l.digits()
	if l.at < len(l.text) && l.text[l.at] == '.' {
		t.kind = tDecimal
		l.at++
		l.digits()
	}
	if l.at < len(l.text) && (l.text[l.at] == 'e' || l.text[l.at] == 'E') {
		at := l.at
		l.at++
		if l.at < len(l.text) && (l.text[l.at] == '+' || l.text[l.at] == '-') {
			l.at++
		}
		if l.at < len(l.text) && isDigit(l.text[l.at]) {
			t.kind = tDouble
			l.digits()
		} else {
			l.at = at
		}
	}
	if t.kind == tInt && l.at < len(l.text) && isIdent(l.text[l.at]) {
		for l.at < len(l.text) && isIdent(l.text[l.at]) {
			l.at++
		}
		t.kind, t.word = tWord, strings.ToUpper(l.text[t.off:l.at])
	}
}

func (l *lexer) digits() {
	for l.at < len(l.text) && isDigit(l.text[l.at]) {
		l.at++
	}
}

var signs2 = [...]string{"<>", "!=", "<=", ">=", "->", "=>", ":=", "||"}

func (l *lexer) sign(t *token) {
	t.kind = tSign
	rest := l.text[l.at:]
	if len(rest) > 1 {
		for _, s := range signs2 {
			if rest[0] == s[0] && rest[1] == s[1] {
				t.word = s
				l.at += 2
				return
			}
		}
	}
	if strings.IndexByte(";,()[].*+-/%<>=", rest[0]) >= 0 {
		t.word = rest[:1]
		l.at++
		return
	}
	t.kind = tBad
	l.char()
}

func isLetter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }
func isDigit(c byte) bool  { return c >= '0' && c <= '9' }
func isIdent(c byte) bool  { return isLetter(c) || isDigit(c) || c == '_' || c == '@' }

// upperWord is s in upper case; for keywords it costs no memory.
func upperWord(s string) string {
	if len(s) <= longestKeyword {
		var buf [longestKeyword]byte
		for i := 0; i < len(s); i++ {
			c := s[i]
			if c >= 'a' && c <= 'z' {
				c -= 'a' - 'A'
			}
			buf[i] = c
		}
		if k, ok := keywords[string(buf[:len(s)])]; ok {
			return k.word
		}
	}
	return strings.ToUpper(s)
}
