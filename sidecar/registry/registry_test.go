package registry_test

import (
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sidestream/sidestream/sidecar/engine/serde"
	"github.com/sidestream/sidestream/sidecar/registry"
)

var (
	_ serde.SchemaRegistry = (*registry.Client)(nil)
	_ serde.SchemaRegistry = (*registry.Embedded)(nil)
)

func TestClientAndServerAgree(t *testing.T) {
	memory := registry.New()
	server := httptest.NewServer(memory.Handler(nil))
	defer server.Close()
	client, err := registry.NewClient(server.URL+"/", "")
	require.NoError(t, err)

	id, _, _, _, err := client.Latest("t-value")
	require.NoError(t, err)
	require.Zero(t, id)

	first, err := client.Register("t-value", registry.Avro, `"int"`)
	require.NoError(t, err)
	second, err := client.Register("t-value", registry.Avro, `"long"`)
	require.NoError(t, err)
	require.NotEqual(t, first, second)
	again, err := client.Register("a/b-value", registry.Avro, `"int"`)
	require.NoError(t, err)
	require.Equal(t, first, again, "the same schema has the same id in every subject")
	require.Equal(t, []string{"a/b-value", "t-value"}, memory.Subjects())

	id, kind, text, _, err := client.Latest("t-value")
	require.NoError(t, err)
	require.Equal(t, []any{second, "AVRO", `"long"`}, []any{id, kind, text})
	_, text, _, err = client.ByID(first)
	require.NoError(t, err)
	require.Equal(t, `"int"`, text)
	_, _, _, err = client.ByID(99)
	require.ErrorContains(t, err, "Schema 99 not found")

	versions, err := client.Delete("t-value")
	require.NoError(t, err)
	require.Equal(t, []int{1, 2}, versions)
	versions, err = client.Delete("t-value")
	require.NoError(t, err, "it is gone, as it should be")
	require.Empty(t, versions)
	third, err := client.Register("t-value", registry.Avro, `"int"`)
	require.NoError(t, err)
	require.Equal(t, first, third)
}

// Records that name a schema that isn't there come in numbers: the registry isn't
// asked for each.
func TestMissingSchemasAreAskedForOnce(t *testing.T) {
	var asked atomic.Int32
	handler := registry.New().Handler(nil)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		handler.ServeHTTP(w, r)
	}))
	defer server.Close()
	client, err := registry.NewClient(server.URL, "")
	require.NoError(t, err)
	for range 100 {
		_, _, _, err := client.ByID(7)
		require.ErrorContains(t, err, "Schema 7 not found")
	}
	require.Less(t, asked.Load(), int32(100))
}

func TestReferences(t *testing.T) {
	memory := registry.New()
	server := httptest.NewServer(memory.Handler(nil))
	defer server.Close()
	client, err := registry.NewClient(server.URL, "")
	require.NoError(t, err)
	_, err = memory.Register("inner", registry.Protobuf, `syntax = "proto3"; message Inner {}`)
	require.NoError(t, err)
	outer := registry.Schema{Type: registry.Protobuf, Text: `import "inner.proto";`, References: []registry.Reference{{Name: "inner.proto", Subject: "inner", Version: 1}}}
	id, err := memory.RegisterSchema("outer", outer)
	require.NoError(t, err)
	_, _, refs, err := client.ByID(id)
	require.NoError(t, err)
	require.Equal(t, map[string]string{"inner.proto": `syntax = "proto3"; message Inner {}`}, refs)

	outer.References[0].Version = 2
	_, err = memory.RegisterSchema("outer", outer)
	require.ErrorContains(t, err, "Version 2 not found.")
}

func TestMistakesTeach(t *testing.T) {
	_, err := registry.NewClient("localhost:8081", "")
	require.ErrorContains(t, err, "is not a URL such as")

	closed := httptest.NewServer(http.NotFoundHandler())
	closed.Close()
	down, err := registry.NewClient(closed.URL, "")
	require.NoError(t, err)
	_, err = down.Register("s", registry.Avro, `"int"`)
	require.ErrorContains(t, err, "does not answer")

	guarded := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if user, password, _ := r.BasicAuth(); user != "u" || password != "p" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		_, _ = w.Write([]byte(`{"id":7}`))
	}))
	defer guarded.Close()
	stranger, err := registry.NewClient(guarded.URL, "")
	require.NoError(t, err)
	_, err = stranger.Register("s", registry.Avro, `"int"`)
	require.ErrorContains(t, err, "refuses us")
	friend, err := registry.NewClient(closed.URL+","+guarded.URL, "u:p")
	require.NoError(t, err)
	id, err := friend.Register("s", registry.Avro, `"int"`)
	require.NoError(t, err)
	require.Equal(t, 7, id)
}
