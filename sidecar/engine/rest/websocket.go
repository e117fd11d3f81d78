package rest

import (
	"context"
	"encoding/json"
	"net/http"

	"github.com/coder/websocket"

	"github.com/sidestream/sidestream/sidecar/engine"
	"github.com/sidestream/sidestream/sidecar/engine/types"
)

// websocketQuery is GET /ws/query?request=…: the columns, then a row a message,
// then {"error":"done"}.
func (s *Server) websocketQuery(w http.ResponseWriter, r *http.Request) {
	var body statementBody
	bad := json.Unmarshal([]byte(r.URL.Query().Get("request")), &body)
	c, err := websocket.Accept(w, r, &websocket.AcceptOptions{CompressionMode: websocket.CompressionDisabled})
	if err != nil {
		return
	}
	defer c.CloseNow()
	ctx := c.CloseRead(r.Context())
	finish := func(code websocket.StatusCode, reason string) {
		c.Write(ctx, websocket.MessageText, marshal(map[string]string{"error": reason}))
		c.Close(code, truncate(reason))
	}
	if bad != nil {
		finish(websocket.StatusUnsupportedData, "Error parsing request: "+bad.Error())
		return
	}
	rows, printing, err := s.engine.Query(ctx, body.request())
	switch {
	case err != nil:
		e := asEngineError(err)
		message := "Error parsing query: " + e.Message
		if e.Brief != "" && !e.NotAQuery {
			message = "Error parsing query: " + e.Brief
		} else if e.NotAQuery {
			message = e.Brief
		}
		finish(websocket.StatusUnsupportedData, message)
		return
	case printing != nil:
		var release func()
		if release, err = printing.Open(); err != nil {
			break
		}
		defer release()
		err = printing.Run(ctx, false, func(line string) error {
			return c.Write(ctx, websocket.MessageText, marshal(line))
		}, func(bool) error { return nil })
	default:
		err = s.socketRows(ctx, c, rows)
	}
	if err != nil {
		finish(websocket.StatusInternalError, asEngineError(err).Message)
		return
	}
	finish(websocket.StatusNormalClosure, "done")
}

func (s *Server) socketRows(ctx context.Context, c *websocket.Conn, rows *engine.Rows) error {
	defer rows.Close()
	columns := engine.Fields(rows.Columns, func(i int) bool { return rows.Key[i] })
	if err := c.Write(ctx, websocket.MessageText, marshal(columns)); err != nil {
		return err
	}
	var buf []byte
	_, err := rows.Each(func(row []types.Value, tombstone bool) error {
		buf = appendRow(append(buf[:0], `{"row":{"columns":`...), row, rows.Columns)
		if tombstone {
			buf = append(buf, `,"tombstone":true`...)
		}
		buf = append(buf, "}}"...)
		return c.Write(ctx, websocket.MessageText, buf)
	}, func() error { return nil })
	return err
}

// truncate fits a reason into a close frame.
func truncate(reason string) string {
	const most = 120
	if len(reason) > most {
		return reason[:most] + "…"
	}
	return reason
}
