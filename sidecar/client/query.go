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
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// Query is a SELECT with what goes with it.
type Query struct {
	SQL        string
	Properties map[string]any
	// Variables replace ${name} in the text, also inside of quoted text.
	Variables map[string]string
	// Deletions also yields the rows that a table has lost (Row.Deleted), which
	// ksqlDB leaves out otherwise.
	Deletions bool
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
	media := mediaDelimited
	if q.Deletions {
		media = mediaV1
	}
	resp, err := c.send(ctx, c.http, http.MethodPost, "/query-stream", media, bytes.NewReader(b), mediaJSON)
	if err != nil {
		return nil, err
	}
	rows := &Rows{ctx: ctx, body: resp.Body,
		dec: jsontext.NewDecoder(resp.Body, jsontext.AllowInvalidUTF8(true), jsontext.AllowDuplicateNames(true))}
	if q.Deletions {
		rows.next, err = rows.nextMarked, rows.readMarkedHeader()
	} else {
		rows.next, err = rows.nextLine, rows.readHeader()
	}
	if err != nil {
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
	body   io.Closer
	dec    *jsontext.Decoder
	next   func() (Row, error) // in the form of the answer
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
func (r *Rows) Next() (Row, error) { return r.next() }

// nextLine reads a row of the form with a row a line.
func (r *Rows) nextLine() (Row, error) {
	switch kind := r.dec.PeekKind(); kind {
	case '[':
		values, err := readArray(r.dec)
		if err != nil {
			return Row{}, r.readError("a row", err)
		}
		return r.row(values, false)
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

func (r *Rows) row(values []any, deleted bool) (Row, error) {
	if len(values) != len(r.Columns) {
		return Row{}, fmt.Errorf("query %s: a row of %d values for %d columns", r.QueryID, len(values), len(r.Columns))
	}
	return Row{Columns: r.Columns, Values: values, Deleted: deleted}, nil
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
