package client

import (
	"context"
	"encoding/json"
	"net/http"
)

// Statements is a request to run statements: one or more, each ended by ';'.
type Statements struct {
	SQL string
	// Properties apply to all statements of the request, as SET does
	// (`auto.offset.reset`, `ksql.streams.…`).
	Properties map[string]any
	// Variables replace ${name} in the statements, as DEFINE does.
	Variables map[string]string
	// AfterCommand makes the server wait until it has run the command with
	// this sequence number (Entity.CommandSequenceNumber of an earlier
	// answer); nil doesn't wait. On a server of several nodes it is how a
	// statement sees what another one did.
	AfterCommand *int64
}

type statementsBody struct {
	KSQL                  string            `json:"ksql"`
	StreamsProperties     map[string]any    `json:"streamsProperties"`
	SessionVariables      map[string]string `json:"sessionVariables,omitempty"`
	CommandSequenceNumber *int64            `json:"commandSequenceNumber,omitempty"`
}

// Execute runs statements and returns one entity for each that answers with
// one (SET and DEFINE don't). The server checks all of them before it runs the
// first. On failure the error is an *Error whose Entities are those done.
func (c *Client) Execute(ctx context.Context, s Statements) ([]Entity, error) {
	body := statementsBody{KSQL: s.SQL, StreamsProperties: s.Properties, SessionVariables: s.Variables, CommandSequenceNumber: s.AfterCommand}
	if body.StreamsProperties == nil {
		body.StreamsProperties = map[string]any{}
	}
	var raw []json.RawMessage
	if err := c.call(ctx, http.MethodPost, "/ksql", body, &raw); err != nil {
		return nil, err
	}
	return decodeEntities(raw)
}

// Exec is Execute for statements without properties or variables. Arguments
// are bound to the '?' placeholders of the text (see Bind).
func (c *Client) Exec(ctx context.Context, sql string, args ...any) ([]Entity, error) {
	if len(args) > 0 {
		var err error
		if sql, err = Bind(sql, args...); err != nil {
			return nil, err
		}
	}
	return c.Execute(ctx, Statements{SQL: sql})
}

func decodeEntities(raw []json.RawMessage) ([]Entity, error) {
	entities := make([]Entity, 0, len(raw))
	for _, r := range raw {
		e, err := decodeEntity(r)
		if err != nil {
			return nil, err
		}
		entities = append(entities, e)
	}
	return entities, nil
}

// Terminate ends the whole ksqlDB cluster of the server: its queries stop, its
// command topic is deleted, and so are the output topics whose name equals, or
// matches as a regular expression, one of deleteTopics.
func (c *Client) Terminate(ctx context.Context, deleteTopics ...string) ([]Entity, error) {
	if deleteTopics == nil {
		deleteTopics = []string{}
	}
	var raw []json.RawMessage
	err := c.call(ctx, http.MethodPost, "/ksql/terminate", map[string]any{"deleteTopicList": deleteTopics}, &raw)
	if err != nil {
		return nil, err
	}
	return decodeEntities(raw)
}
