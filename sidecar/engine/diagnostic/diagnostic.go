// Package diagnostic is how the engine tells a user of a mistake in SQL.
//
// In: a mistake that the parser or the analyser found, with its position. Out:
// [Error], and [Render], which shows it with its file, line, column, the line of
// text and a caret.
//
// Next: packages parser and analyze make errors; rest puts [Error.Message] into
// its answers, the CLI prints [Render].
package diagnostic

import (
	"errors"
	"fmt"
	"strings"

	"github.com/sidestream/sidestream/sidecar/engine/ast"
)

// Kind tells the kinds of mistakes apart, as the REST API and the query cases
// do.
type Kind uint8

// The kinds: what can't be parsed, what the dialect or the catalogue refuses,
// and what can't be done with this server's state or Kafka.
const (
	Syntax    Kind = iota // ParseFailedException
	Statement             // KsqlStatementException: a statement is refused
	General               // KsqlException
)

// Error is one mistake.
type Error struct {
	Kind Kind
	// Pos is the place in the text, of the whole script that was parsed.
	Pos ast.Pos
	// Message is ksqlDB's text where it has one.
	Message string
	// Hint says what to do about it, where that isn't in Message: one sentence,
	// shown by Render only.
	Hint string
	// Statement is the text of the statement, where it is known.
	Statement string
}

// Error is the message alone: it is what ksqlDB says.
func (e *Error) Error() string { return e.Message }

// At makes a Statement error.
func At(pos ast.Pos, format string, args ...any) *Error {
	return &Error{Kind: Statement, Pos: pos, Message: fmt.Sprintf(format, args...)}
}

// Errors are all mistakes of a script, in the order of the text.
type Errors []*Error

// Error joins the messages.
func (es Errors) Error() string {
	parts := make([]string, len(es))
	for i, e := range es {
		parts[i] = e.Message
	}
	return strings.Join(parts, "\n")
}

// All lists the Errors inside err; one that is no Error becomes one without a
// position.
func All(err error) Errors {
	if err == nil {
		return nil
	}
	var many Errors
	if errors.As(err, &many) {
		return many
	}
	var one *Error
	if errors.As(err, &one) {
		return Errors{one}
	}
	return Errors{{Kind: General, Message: err.Error()}}
}

// Render shows every mistake inside err for people:
//
//	ksql/fraud/02-limit.sql:3:17: Column 'TOTL' cannot be resolved.
//	    SELECT orderId, totl
//	                    ^
//	  did you mean TOTAL?
//
// text is what was parsed. The result ends with a newline.
func Render(file, text string, err error) string {
	var b strings.Builder
	lines := strings.Split(text, "\n")
	for _, e := range All(err) {
		if !e.Pos.Known() || e.Pos.Line > len(lines) {
			fmt.Fprintf(&b, "%s: %s\n", file, e.Message)
		} else {
			line := []rune(strings.TrimRight(lines[e.Pos.Line-1], "\r"))
			fmt.Fprintf(&b, "%s:%d:%d: %s\n", file, e.Pos.Line, e.Pos.Col, e.Message)
			fmt.Fprintf(&b, "    %s\n    %s^\n", string(line), blank(line, e.Pos.Col-1))
		}
		if e.Hint != "" {
			fmt.Fprintf(&b, "  %s\n", e.Hint)
		}
	}
	return b.String()
}

// blank is as wide as the first n characters of the line: tabs stay tabs.
func blank(line []rune, n int) string {
	out := make([]rune, 0, n)
	for i := 0; i < n; i++ {
		if i < len(line) && line[i] == '\t' {
			out = append(out, '\t')
		} else {
			out = append(out, ' ')
		}
	}
	return string(out)
}
