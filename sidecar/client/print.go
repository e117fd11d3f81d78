package client

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"strings"
)

// Print runs a PRINT statement and yields a line a record, as the server writes it,
// until its LIMIT or until the context ends. An error ends the sequence.
func (c *Client) Print(ctx context.Context, q Query) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		body := queryBody{SQL: q.SQL, Properties: q.Properties, Variables: q.Variables}
		if body.Properties == nil {
			body.Properties = map[string]any{}
		}
		b, err := json.Marshal(body)
		if err != nil {
			yield("", fmt.Errorf("print: the request can't be written as JSON: %w", err))
			return
		}
		resp, err := c.send(ctx, c.http, http.MethodPost, "/query-stream", mediaDelimited, bytes.NewReader(b), mediaJSON)
		if err != nil {
			yield("", err)
			return
		}
		defer resp.Body.Close()
		lines := bufio.NewReader(resp.Body)
		for {
			line, err := lines.ReadString('\n')
			if line = strings.TrimRight(line, "\r\n"); line != "" && !yield(line, nil) {
				return
			}
			switch {
			case errors.Is(err, io.EOF):
				return
			case err != nil && context.Cause(ctx) != nil:
				yield("", fmt.Errorf("print: %w", context.Cause(ctx)))
				return
			case err != nil:
				yield("", fmt.Errorf("print: %w", err))
				return
			}
		}
	}
}
