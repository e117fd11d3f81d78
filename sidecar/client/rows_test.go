package client_test

import (
	"encoding/json"
	"net/http"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/sidestream/sidestream/sidecar/client"
)

func TestDeletions(t *testing.T) {
	a := &answer{body: `[{"header":{"queryId":"q1","schema":"` + "`ID` STRING KEY, `a``, b` DECIMAL(4, 2), `S` STRUCT<`X` INTEGER, `Y` MAP<STRING, BIGINT>>" + `"}},` + "\n" +
		`{"row":{"columns":["a",1.50,null]}},` + "\n" + `{"row":{"columns":["a",null,null],"tombstone":true}},` + "\n" + `{"finalMessage":"Limit Reached"}]`}
	rows, err := serve(t, a).Push(t.Context(), client.Query{SQL: "SELECT * FROM T EMIT CHANGES LIMIT 2;", Deletions: true})
	require.NoError(t, err)
	defer rows.Close()
	require.Equal(t, "application/vnd.ksql.v1+json", a.headers.Get("Accept"))
	require.Equal(t, "q1", rows.QueryID)
	require.Equal(t, []client.Column{{Name: "ID", Type: "STRING"}, {Name: "a`, b", Type: "DECIMAL(4, 2)"}, {Name: "S", Type: "STRUCT<`X` INTEGER, `Y` MAP<STRING, BIGINT>>"}}, rows.Columns)
	var got []client.Row
	for row, err := range rows.All() {
		require.NoError(t, err)
		got = append(got, row)
	}
	require.Len(t, got, 2)
	require.False(t, got[0].Deleted)
	require.Equal(t, json.Number("1.50"), got[0].Values[1])
	require.True(t, got[1].Deleted)

	for body, want := range map[string]string{
		`[{"header":{"queryId":"q","schema":"ID STRING"}}]`:     "the columns can't be read",
		"[{\"header\":{\"queryId\":\"q\",\"schema\":\"`ID\"}}]": "the columns can't be read",
		`{}`: "reading the header",
		"[{\"header\":{\"queryId\":\"q\",\"schema\":\"`A` INTEGER\"}},{\"row\":{\"columns\":[1,2]}}]":                                                                "a row of 2 values for 1 columns",
		"[{\"header\":{\"queryId\":\"q\",\"schema\":\"`A` INTEGER\"}},{\"errorMessage\":{\"@type\":\"generic_error\",\"error_code\":50000,\"message\":\"broken\"}}]": "broken",
		"[{\"header\":{\"queryId\":\"q\",\"schema\":\"`A` INTEGER\"}},":                                                                                              "reading a row",
	} {
		_, err := serve(t, &answer{body: body}).PullQuery(t.Context(), client.Query{SQL: "SELECT 1;", Deletions: true})
		require.ErrorContains(t, err, want, body)
	}
}

func TestDecode(t *testing.T) {
	columns := []client.Column{{Name: "ORDER_ID", Type: "STRING"}, {Name: "N", Type: "INTEGER"}, {Name: "MAYBE", Type: "BIGINT"}, {Name: "DAY", Type: "DATE"}, {Name: "TAGS", Type: "MAP<STRING, INTEGER>"}, {Name: "OTHER", Type: "STRING"}}
	row := client.Row{Columns: columns, Values: []any{"o1", json.Number("3"), nil, "2026-05-01", map[string]any{"a": json.Number("1")}, "x"}}
	var got struct {
		OrderID string
		Count   int32 `ksql:"n"`
		Maybe   *int64
		Day     time.Time
		Tags    map[string]int
		hidden  string
	}
	require.NoError(t, row.Decode(&got))
	require.Equal(t, "o1", got.OrderID)
	require.EqualValues(t, 3, got.Count)
	require.Nil(t, got.Maybe)
	require.Equal(t, time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC), got.Day)
	require.Equal(t, map[string]int{"a": 1}, got.Tags)
	row.Values[2] = json.Number("7")
	require.NoError(t, row.Decode(&got))
	require.EqualValues(t, 7, *got.Maybe)

	row.Values[1] = "three"
	require.ErrorContains(t, row.Decode(&got), "column N (INTEGER): a string doesn't fit in a *int32")
	require.ErrorContains(t, row.Decode(got), "isn't a pointer to a struct")
	var n int
	require.ErrorContains(t, row.Decode(&n), "isn't a pointer to a struct")
}

func TestSocketSaysWhatIsWrong(t *testing.T) {
	says := func(messages ...string) *client.Client {
		return serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			c, err := websocket.Accept(w, r, nil)
			if err != nil {
				return
			}
			for _, m := range messages {
				_ = c.Write(r.Context(), websocket.MessageText, []byte(m))
			}
			_ = c.Close(websocket.StatusNormalClosure, "done")
		}))
	}
	const columns = `[{"name":"A","schema":{"type":"ARRAY","memberSchema":{"type":"STRUCT","fields":[{"name":"x","schema":{"type":"MAP","memberSchema":{"type":"BIGINT"}}}]}}}]`
	rows, err := says(columns, `{"row":{"columns":[null]}}`, `{"error":"done"}`).Socket(t.Context(), client.Query{SQL: "SELECT 1;"})
	require.NoError(t, err)
	require.Equal(t, "ARRAY<STRUCT<`x` MAP<STRING, BIGINT>>>", rows.Columns[0].Type)
	n := 0
	for _, err := range rows.All() {
		require.NoError(t, err)
		n++
	}
	require.Equal(t, 1, n)
	require.NoError(t, rows.Close())

	_, err = says(`{"error":"Error parsing query: NOPE does not exist."}`).Socket(t.Context(), client.Query{SQL: "SELECT 1;"})
	require.ErrorContains(t, err, "NOPE does not exist")
	require.Equal(t, client.CodeBadRequest, client.Code(err))
	_, err = says(`[{"name":"A"}]`).Socket(t.Context(), client.Query{SQL: "SELECT 1;"})
	require.ErrorContains(t, err, "a column without a type")
	_, err = says("", "x").Socket(t.Context(), client.Query{SQL: "SELECT 1;"})
	require.ErrorContains(t, err, "the columns can't be read")
	_, err = serve(t, &answer{status: 404}).Socket(t.Context(), client.Query{SQL: "SELECT 1;"})
	require.ErrorContains(t, err, "404")
}
