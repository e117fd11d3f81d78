// Package layout tidies .sql files without changing what they say: reserved
// words in upper case, blanks instead of tabs, no blanks at line ends, no more
// than one empty line in a row, one newline at the end. Line breaks and indents
// are the writer's.
//
// In: the text of a file, with its comments and ${variables}. Out: the tidy
// text, which is the same SQL.
//
// Next: sidestream fmt calls it.
package layout

import (
	"strings"

	"github.com/sidestream/sidestream/sidecar/engine/parser"
)

// Tidy is the text in tidy form. Tidy of tidy text is the same text.
func Tidy(text string) string {
	text = strings.ReplaceAll(text, "\r\n", "\n")
	var out strings.Builder
	// What is in quotes or comments is copied; trailing blanks are cut at line
	// ends outside them, so they are held back in pending.
	pending := ""
	empty := 0 // newlines in a row
	flush := func() { out.WriteString(pending); pending = "" }
	for i := 0; i < len(text); {
		end := token(text, i)
		t := text[i:end]
		i = end
		switch {
		case t == "\n":
			pending = ""
			if out.Len() == 0 {
				continue
			}
			if empty++; empty <= 2 {
				out.WriteByte('\n')
			}
			continue
		case t == "\t":
			pending += "  "
			continue
		case strings.TrimSpace(t) == "":
			pending += t
			continue
		case strings.HasPrefix(t, "--"):
			t = strings.TrimRight(t, " \t")
		case word(t[0]) && parser.Reserved(strings.ToUpper(t)) && !part(text, i-len(t), i):
			t = strings.ToUpper(t)
		}
		empty = 0
		flush()
		out.WriteString(t)
	}
	tidy := strings.TrimRight(out.String(), "\n")
	if tidy == "" {
		return ""
	}
	return tidy + "\n"
}

// token is the end of the token at i: a quoted text, a comment, a variable, a
// word, or one byte.
func token(text string, i int) int {
	rest := text[i:]
	until := func(from int, mark string) int {
		n := strings.Index(rest[from:], mark)
		if n < 0 {
			return len(text)
		}
		return i + from + n + len(mark)
	}
	switch {
	case strings.HasPrefix(rest, "--"):
		if n := strings.IndexByte(rest, '\n'); n >= 0 {
			return i + n
		}
		return len(text)
	case strings.HasPrefix(rest, "/*"):
		return until(2, "*/")
	case strings.HasPrefix(rest, "${"):
		return until(2, "}")
	case rest[0] == '\'' || rest[0] == '"' || rest[0] == '`':
		return until(1, rest[:1])
	case word(rest[0]):
		n := 1
		for n < len(rest) && word(rest[n]) {
			n++
		}
		return i + n
	}
	return i + 1
}

func word(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '@'
}

// part tells whether a word stands in a longer name or path: behind a dot or an
// arrow.
func part(text string, from, to int) bool {
	return from > 0 && text[from-1] == '.' || strings.HasSuffix(text[:from], "->") || to < len(text) && text[to] == '.'
}
