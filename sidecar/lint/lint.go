package lint

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/sidestream/sidestream/sidecar/engine/ast"
	"github.com/sidestream/sidestream/sidecar/project"
)

// Finding is a trap at a place.
type Finding struct {
	Code     string   `json:"code"`
	Severity Severity `json:"severity"`
	Service  string   `json:"service"`
	File     string   `json:"file"`
	Line     int      `json:"line"`   // from 1
	Column   int      `json:"column"` // from 1, in characters
	// Length is how many characters of the line it is about.
	Length int `json:"length"`
	// Statement is the stream or table that the statement makes or writes to.
	Statement string `json:"statement,omitempty"`
	Message   string `json:"message"`
	// Do is what to do about it.
	Do string `json:"do"`
	// Allowed is the reason of the comment that allows it.
	Allowed string `json:"allowed,omitempty"`

	text string // of the file
}

// Result of Run.
type Result struct {
	// Findings that nothing allows, by file and place.
	Findings []Finding `json:"findings"`
	// Allowed are those that a comment allows, with its reason.
	Allowed []Finding `json:"allowed"`
	// Statements that were looked at.
	Statements int `json:"statements"`
}

// check is one rule at work.
type check struct {
	project *project.Project
	rule    Rule
	found   *[]Finding
}

// Run looks at the services that the project was asked for.
func Run(p *project.Project) *Result {
	out := &Result{Findings: []Finding{}, Allowed: []Finding{}}
	for _, s := range p.Services {
		if !s.Asked {
			continue
		}
		var found []Finding
		for _, st := range s.Statements {
			out.Statements++
			for _, r := range Rules {
				if f := checks[r.Code]; f != nil {
					f(&check{p, r, &found}, st)
				}
			}
		}
		allow(p, s, found, out)
	}
	out.Findings = append(out.Findings, programReads(p)...)
	for _, list := range [][]Finding{out.Findings, out.Allowed} {
		slices.SortStableFunc(list, func(a, b Finding) int {
			return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column), cmp.Compare(a.Code, b.Code))
		})
	}
	return out
}

// found adds a finding at a place of the statement.
func (c *check) add(st *project.Statement, at ast.Pos, message string, args ...any) {
	c.addDo(st, at, c.rule.Instead, message, args...)
}

// addDo is add with an advice of its own.
func (c *check) addDo(st *project.Statement, at ast.Pos, do, message string, args ...any) {
	if !at.Known() {
		at = st.Node.Position()
	}
	*c.found = append(*c.found, Finding{Code: c.rule.Code, Severity: c.rule.Severity, Service: st.Service.Name, File: st.File.Path,
		Line: at.Line, Column: at.Col, Length: wordAt(st.File.Text, at.Offset), Statement: st.Name, Message: fmt.Sprintf(message, args...), Do: do,
		text: st.File.Text})
}

// wordAt is the length of the word or sign at an offset, in characters.
func wordAt(text string, offset int) int {
	if offset < 0 || offset >= len(text) {
		return 1
	}
	rest := text[offset:]
	if strings.HasPrefix(rest, "${") {
		if end := strings.IndexByte(rest, '}'); end > 0 && !strings.Contains(rest[:end], "\n") {
			return utf8.RuneCountInString(rest[:end+1])
		}
	}
	if q := rest[0]; q == '\'' || q == '"' || q == '`' {
		if end := strings.IndexByte(rest[1:], q); end >= 0 && !strings.Contains(rest[:end+2], "\n") {
			return utf8.RuneCountInString(rest[:end+2])
		}
	}
	n := 0
	for _, r := range rest {
		if r != '_' && r != '.' && !unicode.IsLetter(r) && !unicode.IsDigit(r) {
			break
		}
		n++
	}
	return max(1, n)
}

// Render shows findings for people:
//
//	ksql/fraud/02-window.sql:14:10: warning SL001: The window has no GRACE PERIOD: …
//	      WINDOW TUMBLING (SIZE 1 HOUR)
//	             ^^^^^^^^
//	    Say how late a record may be.
func Render(findings []Finding) string {
	var b strings.Builder
	for _, f := range findings {
		fmt.Fprintf(&b, "%s:%d:%d: %s %s: %s\n", f.File, f.Line, f.Column, f.Severity, f.Code, f.Message)
		lines := strings.Split(f.text, "\n")
		if f.text != "" && f.Line >= 1 && f.Line <= len(lines) {
			line := strings.TrimRight(lines[f.Line-1], "\r")
			fmt.Fprintf(&b, "    %s\n    %s%s\n", line, blank(line, f.Column-1), strings.Repeat("^", f.Length))
		}
		wrapIn(&b, f.Do, "  ")
	}
	return b.String()
}

func wrapIn(b *strings.Builder, text, indent string) {
	var own strings.Builder
	wrap(&own, text)
	for line := range strings.Lines(own.String()) {
		b.WriteString(indent + line)
	}
}

// blank is as wide as the first n characters of the line: tabs stay tabs.
func blank(line string, n int) string {
	var b strings.Builder
	i := 0
	for _, r := range line {
		if i++; i > n {
			break
		}
		if r == '\t' {
			b.WriteRune('\t')
		} else {
			b.WriteByte(' ')
		}
	}
	for ; i < n; i++ {
		b.WriteByte(' ')
	}
	return b.String()
}
