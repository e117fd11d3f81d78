package registry_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sidestream/sidestream/sidecar/engine/chance"
	"github.com/sidestream/sidestream/sidecar/registry"
)

// FuzzCompatibility registers schemas as they come, one after the other. They are
// taken or refused; a schema that was taken is found again as the same.
func FuzzCompatibility(f *testing.F) {
	for kind, schemas := range map[byte][][2]string{
		0: {
			{`{"type":"record","name":"R","fields":[{"name":"a","type":["null","R"],"default":null}]}`, `{"type":"record","name":"R","fields":[{"name":"a","type":["null","R","int"]},{"name":"e","type":{"type":"enum","name":"E","symbols":["A"]}}]}`},
			{`{"type":"map","values":{"type":"fixed","name":"F","size":2}}`, `[["null"],"int"]`},
		},
		1: {
			{`syntax = "proto3"; message M { string a = 1; map<int32, M> m = 2; oneof o { int32 b = 3; } }`, `syntax = "proto2"; message M { required string a = 1; repeated M m = 2 [packed = true]; }`},
		},
		2: {
			{`{"type":"object","properties":{"a":{"oneOf":[{"type":"null"},{"$ref":"#"}]}},"additionalProperties":{"$ref":"#"}}`, `{"allOf":[{"anyOf":[{"enum":[1,"a"]},{"$ref":"#/allOf/0"}]},true],"items":[{"minimum":1e400}]}`},
			{`{"oneOf":[{"oneOf":[{"oneOf":[{},{}]},{}]},{}]}`, `{"not":{"maxLength":-0.5,"multipleOf":0}}`},
		},
	} {
		for _, s := range schemas {
			f.Add(kind, s[0], s[1])
		}
	}
	kinds := []string{registry.Avro, registry.Protobuf, registry.JSON}
	f.Fuzz(func(t *testing.T, kind byte, first, second string) {
		chance.Bound(t, len(first)+len(second), func() {
			r := registry.New()
			require.NoError(t, r.SetLevel("", registry.FullTransitive))
			for _, text := range []string{first, second, first} {
				id, err := r.Register("s", kinds[int(kind)%len(kinds)], text)
				if err != nil {
					continue
				}
				schemaType, kept, _, err := r.ByID(id)
				require.NoError(t, err)
				again, err := r.Register("other", schemaType, kept)
				require.NoError(t, err, "%q was kept as %q", text, kept)
				require.Equal(t, id, again)
				_, err = r.Delete("other")
				require.NoError(t, err)
			}
		})
	})
}
