package client

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// The form of ksqlDB's older endpoint, which marks deletions: one array of
// {"header":…}, {"row":{"columns":[…],"tombstone":true}} and {"finalMessage":…}.

func (r *Rows) readMarkedHeader() error {
	if _, err := r.dec.ReadToken(); err != nil { // '['
		return r.readError("the header", err)
	}
	raw, err := r.dec.ReadValue()
	if err != nil {
		return r.readError("the header", err)
	}
	var h struct {
		Header *struct {
			QueryID string `json:"queryId"`
			Schema  string `json:"schema"`
		} `json:"header"`
	}
	if err := decode(raw, &h); err != nil || h.Header == nil {
		return fmt.Errorf("query: the answer doesn't begin with the columns: %s", excerpt(raw))
	}
	r.QueryID = h.Header.QueryID
	r.Columns, err = parseColumns(h.Header.Schema)
	return err
}

func (r *Rows) nextMarked() (Row, error) {
	if r.dec.PeekKind() == ']' {
		return Row{}, io.EOF
	}
	raw, err := r.dec.ReadValue()
	if err != nil {
		return Row{}, r.readError("a row", err)
	}
	return r.marked(raw)
}

// marked reads a row of the form with marks.
func (r *Rows) marked(raw []byte) (Row, error) {
	var m struct {
		Row *struct {
			Columns   []any `json:"columns"`
			Tombstone bool  `json:"tombstone"`
		} `json:"row"`
		Final *string    `json:"finalMessage"`
		Error *errorBody `json:"errorMessage"`
	}
	if err := decode(raw, &m); err != nil {
		return Row{}, r.readError("a row", err)
	}
	switch {
	case m.Row != nil:
		return r.row(m.Row.Columns, m.Row.Tombstone)
	case m.Final != nil:
		return Row{}, io.EOF
	case m.Error != nil:
		return Row{}, m.Error.error(http.StatusOK, "POST /query-stream, query "+r.QueryID)
	}
	return Row{}, fmt.Errorf("query %s: neither a row nor an error: %s", r.QueryID, excerpt(raw))
}

var errSchema = errors.New("query: the columns can't be read")

// parseColumns reads columns as the header writes them: `ID` STRING KEY, `M` MAP<…>.
func parseColumns(schema string) ([]Column, error) {
	var out []Column
	for rest := schema; rest != ""; {
		if rest[0] != '`' {
			return nil, fmt.Errorf("%w: %s", errSchema, schema)
		}
		name, behind := "", rest[1:]
		for {
			part, next, ok := strings.Cut(behind, "`")
			if !ok {
				return nil, fmt.Errorf("%w: %s", errSchema, schema)
			}
			name += part
			if behind = next; !strings.HasPrefix(next, "`") {
				break
			}
			name, behind = name+"`", next[1:] // a doubled quote is one of the name
		}
		typ, next := typeText(behind)
		out = append(out, Column{Name: name, Type: strings.TrimSuffix(strings.TrimSpace(typ), " KEY")})
		rest = next
	}
	return out, nil
}

// typeText is a type up to the comma behind it, and the rest.
func typeText(s string) (typ, rest string) {
	depth := 0
	quoted := false
	for i := range len(s) {
		switch c := s[i]; {
		case c == '`':
			quoted = !quoted
		case quoted:
		case c == '<' || c == '(':
			depth++
		case c == '>' || c == ')':
			depth--
		case c == ',' && depth == 0:
			return s[:i], strings.TrimSpace(s[i+1:])
		}
	}
	return s, ""
}
