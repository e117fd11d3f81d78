package client_test

import (
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sidestream/sidestream/sidecar/client"
)

// TestReadsWhatARealServerSent feeds the client every recorded answer of a
// real ksqlDB: each must be read without a fault of the client's own.
func TestReadsWhatARealServerSent(t *testing.T) {
	files, _ := filepath.Glob("../../../shared/golden/*.json")
	if len(files) == 0 {
		t.Skip("the recordings of a real server (../shared/golden beside the repository) aren't here")
	}
	read := 0
	for _, file := range files {
		b, err := os.ReadFile(file)
		require.NoError(t, err)
		var scenario struct {
			Exchanges []struct {
				Request struct {
					Method, Path string
					Headers      map[string]string
					Body         *string
				}
				Response struct {
					Status  int
					Headers [][2]string
					Body    string
					Ended   string
				}
			}
		}
		require.NoError(t, json.Unmarshal(b, &scenario))
		for _, x := range scenario.Exchanges {
			if x.Response.Status == 0 || x.Response.Ended != "complete" || x.Request.Body == nil {
				continue
			}
			var body struct{ KSQL, SQL string }
			if json.Unmarshal([]byte(*x.Request.Body), &body) != nil {
				continue // recorded to see what bad JSON does
			}
			if strings.HasPrefix(body.SQL, "PRINT") {
				continue // answered as plain text, which this client doesn't ask for
			}
			c := serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				for _, h := range x.Response.Headers {
					if h[0] == "content-type" {
						w.Header().Set(h[0], h[1])
					}
				}
				w.WriteHeader(x.Response.Status)
				io.WriteString(w, x.Response.Body)
			}))
			var callErr error
			switch {
			case x.Request.Path == "/ksql" && x.Request.Method == http.MethodPost:
				var entities []client.Entity
				entities, callErr = c.Exec(t.Context(), body.KSQL)
				for _, e := range entities {
					require.NotEmpty(t, e.Type, "%s: %s", file, body.KSQL)
				}
			case x.Request.Path == "/query-stream" && x.Request.Headers["accept"] == "application/vnd.ksqlapi.delimited.v1":
				var res *client.Result
				res, callErr = c.Pull(t.Context(), body.SQL)
				if callErr == nil {
					require.NotEmpty(t, res.Columns)
				}
			default:
				continue
			}
			read++
			if x.Response.Status == http.StatusOK {
				require.NoError(t, callErr, "%s: %s%s", file, body.KSQL, body.SQL)
				continue
			}
			var e *client.Error
			require.ErrorAs(t, callErr, &e, "%s: %s%s", file, body.KSQL, body.SQL)
			require.Equal(t, x.Response.Status, e.HTTPStatus)
			if x.Response.Body != "" {
				require.NotEmpty(t, e.Message)
				require.Equal(t, x.Response.Status, e.ErrorCode/100)
			}
		}
	}
	require.Greater(t, read, 100)
}
