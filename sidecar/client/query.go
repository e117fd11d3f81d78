package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// Query is a SELECT with what goes with it.
type Query struct {
	SQL        string
	Properties map[string]any
	// Variables replace ${name} in the text, also inside of quoted text.
	Variables map[string]string
}

type queryBody struct {
	SQL        string            `json:"sql"`
	Properties map[string]any    `json:"properties"`
	Variables  map[string]string `json:"sessionVariables,omitempty"`
}

// Column is a column of a result.
type Column struct {
	Name string // as the server writes it: unquoted SQL names are upper case
	Type string // SQL type: BIGINT, DECIMAL(12, 2), ARRAY<STRING>, …
}

// Result is a query's whole answer.
type Result struct {
	QueryID string
	Columns []Column
	Rows    []Row
}

// Pull runs a query that ends by itself and returns all of its rows. The '?'
// placeholders of the text take args (see Bind).
func (c *Client) Pull(ctx context.Context, sql string, args ...any) (*Result, error) {
	if len(args) > 0 {
		var err error
		if sql, err = Bind(sql, args...); err != nil {
			return nil, err
		}
	}
	return c.PullQuery(ctx, Query{SQL: sql})
}

// PullQuery is Pull with properties or variables.
func (c *Client) PullQuery(ctx context.Context, q Query) (*Result, error) {
	rows, err := c.pull(ctx, q)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	res := &Result{QueryID: rows.QueryID, Columns: rows.Columns}
	for row, err := range rows.All() {
		if err != nil {
			return nil, err
		}
		res.Rows = append(res.Rows, row)
	}
	return res, nil
}

// PullEach runs a query that ends by itself and yields its rows as they come,
// for results too large to hold. An error ends the sequence.
func (c *Client) PullEach(ctx context.Context, q Query) iter.Seq2[Row, error] {
	return func(yield func(Row, error) bool) {
		rows, err := c.pull(ctx, q)
		if err != nil {
			yield(Row{}, err)
			return
		}
		defer rows.Close()
		rows.All()(yield)
	}
}

func (c *Client) pull(ctx context.Context, q Query) (*Rows, error) {
	ctx, cancel := c.bound(ctx)
	rows, err := c.query(ctx, q)
	if err != nil {
		cancel()
		return nil, err
	}
	rows.cancel = cancel
	return rows, nil
}

// Push starts a query that goes on (EMIT CHANGES). It ends when the context
// does, with Close, or with CloseQuery of its QueryID from anywhere.
func (c *Client) Push(ctx context.Context, q Query) (*Rows, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	// Only the start is bounded: rows may come whenever they want.
	var starting *time.Timer
	if c.timeout > 0 {
		starting = time.AfterFunc(c.timeout, func() {
			cancel(fmt.Errorf("the query didn't start within the client's time-out of %v: %w", c.timeout, context.DeadlineExceeded))
		})
	}
	rows, err := c.query(ctx, q)
	if starting != nil && !starting.Stop() && err == nil {
		rows.Close()
		err = context.Cause(ctx)
	}
	if err != nil {
		cancel(nil)
		return nil, err
	}
	rows.cancel = func() { cancel(nil) }
	return rows, nil
}

func (c *Client) query(ctx context.Context, q Query) (*Rows, error) {
	body := queryBody{SQL: q.SQL, Properties: q.Properties, Variables: q.Variables}
	if body.Properties == nil {
		body.Properties = map[string]any{}
	}
	b, err := json.Marshal(body)
	if err != nil {
		return nil, fmt.Errorf("query: the request can't be written as JSON: %w", err)
	}
	resp, err := c.send(ctx, c.http, http.MethodPost, "/query-stream", mediaDelimited, bytes.NewReader(b), mediaJSON)
	if err != nil {
		return nil, err
	}
	rows := &Rows{ctx: ctx, body: resp.Body,
		dec: jsontext.NewDecoder(resp.Body, jsontext.AllowInvalidUTF8(true), jsontext.AllowDuplicateNames(true))}
	if err := rows.readHeader(); err != nil {
		resp.Body.Close()
		return nil, err
	}
	return rows, nil
}

// Rows is an open query. One goroutine reads it; Close may come from any.
type Rows struct {
	QueryID string
	Columns []Column

	ctx    context.Context
	cancel func() // ends the request
	body   io.ReadCloser
	dec    *jsontext.Decoder
}

// Close ends the query and frees its connection.
func (r *Rows) Close() error {
	if r.cancel != nil {
		r.cancel()
	}
	return r.body.Close()
}

// All yields the rows until the query ends: a pull query at its last row, a
// push query at its LIMIT or when it is closed. An error is yielded once and
// ends the sequence; stopping early doesn't close the query.
func (r *Rows) All() iter.Seq2[Row, error] {
	return func(yield func(Row, error) bool) {
		for {
			row, err := r.Next()
			if errors.Is(err, io.EOF) {
				return
			}
			if !yield(row, err) || err != nil {
				return
			}
		}
	}
}

// Next returns the next row, or io.EOF after the last.
func (r *Rows) Next() (Row, error) {
	switch kind := r.dec.PeekKind(); kind {
	case '[':
		values, err := readArray(r.dec)
		if err != nil {
			return Row{}, r.readError("a row", err)
		}
		if len(values) != len(r.Columns) {
			return Row{}, fmt.Errorf("query %s: a row of %d values for %d columns", r.QueryID, len(values), len(r.Columns))
		}
		return Row{Columns: r.Columns, Values: values}, nil
	case '{': // the server couldn't go on
		raw, err := r.dec.ReadValue()
		if err != nil {
			return Row{}, r.readError("an error", err)
		}
		return Row{}, r.serverError(raw)
	default:
		_, err := r.dec.ReadToken()
		if errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
			return Row{}, io.EOF
		}
		if err == nil {
			err = fmt.Errorf("it starts with %s", kind)
		}
		return Row{}, r.readError("a row", err)
	}
}

func (r *Rows) readHeader() error {
	raw, err := r.dec.ReadValue()
	if err != nil {
		return r.readError("the header", err)
	}
	var h struct {
		QueryID     string   `json:"queryId"`
		ColumnNames []string `json:"columnNames"`
		ColumnTypes []string `json:"columnTypes"`
		ErrorCode   int      `json:"error_code"`
	}
	if err := decode(raw, &h); err != nil {
		return r.readError("the header", err)
	}
	if h.ErrorCode != 0 {
		return r.serverError(raw)
	}
	if h.ColumnNames == nil || len(h.ColumnNames) != len(h.ColumnTypes) {
		return fmt.Errorf("query: the answer doesn't begin with the columns: %s", excerpt(raw))
	}
	r.QueryID = h.QueryID
	r.Columns = make([]Column, len(h.ColumnNames))
	for i := range h.ColumnNames {
		r.Columns[i] = Column{Name: h.ColumnNames[i], Type: h.ColumnTypes[i]}
	}
	return nil
}

func (r *Rows) serverError(raw []byte) error {
	var body errorBody
	if err := decode(raw, &body); err != nil || body.ErrorCode == 0 {
		return fmt.Errorf("query %s: neither a row nor an error: %s", r.QueryID, excerpt(raw))
	}
	return body.error(http.StatusOK, "POST /query-stream, query "+r.QueryID)
}

func (r *Rows) readError(what string, err error) error {
	if cause := context.Cause(r.ctx); cause != nil {
		return fmt.Errorf("query %s: %w", r.QueryID, cause)
	}
	return fmt.Errorf("query %s: reading %s: %w", r.QueryID, what, err)
}

// readArray reads a JSON array into Go values: nil, bool, string, json.Number,
// []any and map[string]any.
func readArray(d *jsontext.Decoder) ([]any, error) {
	if _, err := d.ReadToken(); err != nil { // '['
		return nil, err
	}
	values := []any{}
	for d.PeekKind() != ']' {
		v, err := readValue(d)
		if err != nil {
			return nil, err
		}
		values = append(values, v)
	}
	_, err := d.ReadToken()
	return values, err
}

func readValue(d *jsontext.Decoder) (any, error) {
	switch d.PeekKind() {
	case '[':
		return readArray(d)
	case '{':
		if _, err := d.ReadToken(); err != nil {
			return nil, err
		}
		m := map[string]any{}
		for d.PeekKind() != '}' {
			name, err := d.ReadToken()
			if err != nil {
				return nil, err
			}
			key := name.String() // before the next read reuses its bytes
			if m[key], err = readValue(d); err != nil {
				return nil, err
			}
		}
		_, err := d.ReadToken()
		return m, err
	case '0':
		raw, err := d.ReadValue()
		return json.Number(raw), err
	default:
		t, err := d.ReadToken()
		if err != nil {
			return nil, err
		}
		switch t.Kind() {
		case 'n':
			return nil, nil
		case 't', 'f':
			return t.Bool(), nil
		default:
			return t.String(), nil
		}
	}
}

// Row is one row. Values holds nil, bool, string, json.Number, []any or
// map[string]any, one for each column.
type Row struct {
	Columns []Column
	Values  []any
}

// Get returns the value of the named column, ignoring case, and whether there
// is such a column.
func (r Row) Get(column string) (any, bool) {
	for i := range r.Columns {
		if r.Columns[i].Name == column {
			return r.Values[i], true
		}
	}
	for i := range r.Columns {
		if strings.EqualFold(r.Columns[i].Name, column) {
			return r.Values[i], true
		}
	}
	return nil, false
}

// Scan copies the row's values, in order, to what dest points at: *string,
// *bool, *int, *int32, *int64, *float64, *json.Number, *[]string, or *any.
// NULL gives the zero value. A value that doesn't fit is an error that names
// the column.
func (r Row) Scan(dest ...any) error {
	if len(dest) != len(r.Values) {
		return fmt.Errorf("scan: %d targets for %d columns", len(dest), len(r.Values))
	}
	for i, v := range r.Values {
		if err := assign(dest[i], v); err != nil {
			return fmt.Errorf("column %s (%s): %w", r.Columns[i].Name, r.Columns[i].Type, err)
		}
	}
	return nil
}
