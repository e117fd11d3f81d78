package rest_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"
	"google.golang.org/protobuf/encoding/protowire"
)

// TestProtobufRows: the schema comes first, then each row as the bytes of a
// message of it.
func TestProtobufRows(t *testing.T) {
	s, _, producer := served(t)
	require.NoError(t, producer.ProduceSync(t.Context(), &kgo.Record{Key: []byte("a"), Value: []byte(`{"n":7}`), Timestamp: time.UnixMilli(1)}).FirstErr())
	ask := func(sql string) (int, []byte) {
		body, err := json.Marshal(map[string]string{"sql": sql})
		require.NoError(t, err)
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.url+"/query-stream", bytes.NewReader(body))
		require.NoError(t, err)
		req.Header.Set("Accept", "application/vnd.ksql.v1+protobuf")
		resp, err := http.DefaultClient.Do(req)
		require.NoError(t, err)
		defer resp.Body.Close()
		data, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		return resp.StatusCode, data
	}
	status, data := ask("SELECT id, n FROM s;")
	require.Equal(t, http.StatusOK, status)
	var answer []struct {
		Header struct {
			Schema string `json:"protobufSchema"`
		}
		Row struct {
			Bytes string `json:"protobufBytes"`
		}
		FinalMessage string
	}
	require.NoError(t, json.Unmarshal(data, &answer), "%s", data)
	require.Len(t, answer, 3)
	require.Equal(t, "syntax = \"proto3\";\n\nmessage ConnectDefault1 {\n  string ID = 1;\n  int32 N = 2;\n}\n", answer[0].Header.Schema)
	want := protowire.AppendString(protowire.AppendTag(nil, 1, protowire.BytesType), "a")
	want = protowire.AppendVarint(protowire.AppendTag(want, 2, protowire.VarintType), 7)
	require.Equal(t, base64.StdEncoding.EncodeToString(want), answer[1].Row.Bytes)
	require.Equal(t, "Query Completed", answer[2].FinalMessage)

	status, data = ask("SELECT ARRAY[ARRAY[n]] AS nested FROM s;")
	require.Equal(t, http.StatusBadRequest, status)
	require.Contains(t, string(data), "the rows can't be Protobuf messages")
}
