package registry_test

import (
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
	"github.com/stretchr/testify/require"

	"github.com/sidestream/sidestream/sidecar/registry"
)

// TestAPI runs the exchanges of testdata/api: a method with a path, the body below
// it; the answer is the status, unless it is 200, and the body. "reopen" closes the
// registry and opens its directory again; "file" shows what that holds.
func TestAPI(t *testing.T) {
	datadriven.Walk(t, "testdata/api", func(t *testing.T, path string) {
		dir := t.TempDir()
		r, err := registry.Open(dir)
		require.NoError(t, err)
		defer func() { require.NoError(t, r.Close()) }()
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			switch d.Cmd {
			case "reopen":
				require.NoError(t, r.Close())
				r, err = registry.Open(dir)
				require.NoError(t, err)
				return "ok"
			case "file":
				data, err := os.ReadFile(filepath.Join(dir, registry.FileName))
				require.NoError(t, err)
				return string(data)
			}
			w := httptest.NewRecorder()
			r.Handler(nil).ServeHTTP(w, httptest.NewRequest(strings.ToUpper(d.Cmd), strings.Join(words(d), " "), strings.NewReader(d.Input)))
			require.Equal(t, "application/vnd.schemaregistry.v1+json", w.Header().Get("Content-Type"))
			if w.Code != 200 {
				return strconv.Itoa(w.Code) + " " + w.Body.String()
			}
			return w.Body.String()
		})
	})
}

// words are the arguments as they were written: "=" has a meaning for the reader
// of test data, and in a URL.
func words(d *datadriven.TestData) []string {
	var out []string
	for _, a := range d.CmdArgs {
		word := a.Key
		if len(a.Vals) > 0 {
			word += "=" + strings.Join(a.Vals, ",")
		}
		out = append(out, word)
	}
	return out
}

// TestCompatibility runs testdata/compatibility: "AVRO", "PROTOBUF" or "JSON" with
// the old schema and, behind "--", the new one. It tells whether the new one may
// follow at the levels BACKWARD and FORWARD, and why not.
func TestCompatibility(t *testing.T) {
	datadriven.Walk(t, "testdata/compatibility", func(t *testing.T, path string) {
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			before, after, ok := strings.Cut(d.Input, "\n--\n")
			require.True(t, ok, d.Pos)
			var out strings.Builder
			for _, level := range []string{registry.Backward, registry.Forward} {
				r := registry.New()
				require.NoError(t, r.SetLevel("s", level))
				_, err := r.Register("s", d.Cmd, before)
				require.NoError(t, err, d.Pos)
				out.WriteString(level)
				if _, err := r.Register("s", d.Cmd, after); err != nil {
					_, details, found := strings.Cut(err.Error(), "details: [")
					require.True(t, found, "%s: %v", d.Pos, err)
					details, _, _ = strings.Cut(details, ", {oldSchemaVersion")
					out.WriteString("\n  " + strings.ReplaceAll(details, "}, {errorType", "}\n  {errorType"))
				} else {
					out.WriteString(" ok")
				}
				out.WriteString("\n")
			}
			return out.String()
		})
	})
}

// A process that is killed while it writes leaves a line without an end, which
// nobody was told of; anything else that can't be read is named.
func TestFile(t *testing.T) {
	dir := t.TempDir()
	r, err := registry.Open(dir)
	require.NoError(t, err)
	id, err := r.Register("s", registry.Avro, `"int"`)
	require.NoError(t, err)
	path := filepath.Join(dir, registry.FileName)
	whole, err := os.ReadFile(path) // r is not closed: it was killed
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(path, append(whole, `{"key":{"kind":"ver`...), 0o644))
	again, err := registry.Open(dir)
	require.NoError(t, err)
	kind, text, _, err := again.ByID(id)
	require.NoError(t, err)
	require.Equal(t, []string{registry.Avro, `"int"`}, []string{kind, text})
	require.NoError(t, again.Close())
	_, err = again.Register("s", registry.Avro, `"long"`)
	require.ErrorContains(t, err, "Error in the backend data store")

	require.NoError(t, os.WriteFile(path, []byte("{}\nnonsense\n"), 0o644))
	_, err = registry.Open(dir)
	require.ErrorContains(t, err, path)
	require.ErrorContains(t, err, "line 1: \"\" is no kind of change")
}
