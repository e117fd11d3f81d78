package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"

	"github.com/coder/websocket"
)

// Socket is Push over a websocket (/ws/query), for networks whose proxies know
// nothing else that stays open. The rows have no query id.
func (c *Client) Socket(ctx context.Context, q Query) (*Rows, error) {
	body := statementsBody{KSQL: q.SQL, StreamsProperties: q.Properties, SessionVariables: q.Variables}
	if body.StreamsProperties == nil {
		body.StreamsProperties = map[string]any{}
	}
	b, err := json.Marshal(body)
	if err != nil {
		return nil, fmt.Errorf("socket: the request can't be written as JSON: %w", err)
	}
	ctx, cancel := context.WithCancel(ctx)
	start, started := c.bound(ctx)
	defer started()
	conn, resp, err := websocket.Dial(start, c.base+"/ws/query?version=1&request="+url.QueryEscape(string(b)),
		&websocket.DialOptions{HTTPClient: c.sockets, HTTPHeader: c.header.Clone()})
	if err != nil {
		cancel()
		if resp != nil && resp.Body != nil {
			_ = resp.Body.Close()
		}
		return nil, fmt.Errorf("GET %s/ws/query: %w", c.base, err)
	}
	conn.SetReadLimit(maxBody)
	s := &socket{conn: conn}
	r := &Rows{ctx: ctx, cancel: cancel, body: s}
	r.next = func() (Row, error) {
		raw, err := s.message(ctx, r)
		if err != nil {
			return Row{}, err
		}
		return r.marked(raw)
	}
	raw, err := s.message(start, r)
	if err == nil {
		r.Columns, err = socketColumns(raw)
	}
	if err != nil {
		cancel()
		_ = s.Close()
		return nil, err
	}
	return r, nil
}

type socket struct{ conn *websocket.Conn }

// Close ends the query.
func (s *socket) Close() error { return s.conn.CloseNow() }

// message reads a message that isn't the last; {"error":"done"} is the end.
func (s *socket) message(ctx context.Context, r *Rows) ([]byte, error) {
	_, raw, err := s.conn.Read(ctx)
	if err != nil {
		return nil, r.readError("a message", err)
	}
	var last struct {
		Error *string `json:"error"`
	}
	if len(raw) == 0 || raw[0] != '{' || json.Unmarshal(raw, &last) != nil || last.Error == nil {
		return raw, nil
	}
	if *last.Error == "done" {
		return nil, io.EOF
	}
	status := 500
	if strings.HasPrefix(*last.Error, "Error parsing") {
		status = 400
	}
	return nil, &Error{HTTPStatus: status, ErrorCode: status * 100, Message: *last.Error, Request: "GET /ws/query"}
}

// socketColumns reads the first message, which has the types as trees.
func socketColumns(raw []byte) ([]Column, error) {
	var fields []struct {
		Name   string
		Schema Schema
	}
	if err := json.Unmarshal(raw, &fields); err != nil {
		return nil, fmt.Errorf("%w: %s", errSchema, excerpt(raw))
	}
	out := make([]Column, len(fields))
	for i, f := range fields {
		text, err := f.Schema.text()
		if err != nil {
			return nil, err
		}
		out[i] = Column{Name: f.Name, Type: text}
	}
	return out, nil
}

// text is the type in SQL. The trees don't say what a map's keys are: STRING.
func (s *Schema) text() (string, error) {
	switch {
	case s.Type == "DECIMAL" && s.Parameters != nil:
		return fmt.Sprintf("DECIMAL(%v, %v)", s.Parameters["precision"], s.Parameters["scale"]), nil
	case s.MemberSchema != nil:
		member, err := s.MemberSchema.text()
		if s.Type == "MAP" {
			member = "STRING, " + member
		}
		return s.Type + "<" + member + ">", err
	case s.Type == "STRUCT":
		parts := make([]string, len(s.Fields))
		for i := range s.Fields {
			text, err := s.Fields[i].Schema.text()
			if err != nil {
				return "", err
			}
			parts[i] = Name(s.Fields[i].Name) + " " + text
		}
		return "STRUCT<" + strings.Join(parts, ", ") + ">", nil
	case s.Type == "":
		return "", errors.New("query: a column without a type")
	}
	return s.Type, nil
}
