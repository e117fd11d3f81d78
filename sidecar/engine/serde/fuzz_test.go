package serde_test

import (
	"encoding/binary"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sidestream/sidestream/sidecar/engine/chance"
	"github.com/sidestream/sidestream/sidecar/engine/plan"
	"github.com/sidestream/sidestream/sidecar/engine/schema"
	"github.com/sidestream/sidestream/sidecar/engine/serde"
	"github.com/sidestream/sidestream/sidecar/engine/types"
	"github.com/sidestream/sidestream/sidecar/registry"
)

// Each format is given columns and a row by chance, bytes as they come, and, where
// it has a registry, a schema as it comes. Nothing may panic, hang or ask for
// memory without bounds, and what can be read is written and read back the same.

func FuzzJSON(f *testing.F) {
	f.Add([]byte{0, 0}, []byte(wholeRecord), "")
	f.Add([]byte{1, 1, 0, 1, 10, 3}, []byte(`[1, "2", null]`), "")
	f.Add([]byte{0, 0, 3}, []byte(strings.Repeat("[", 100)), "")
	fuzzFormat(f, serde.JSON)
}

func FuzzJSONSR(f *testing.F) {
	f.Add([]byte{0, 0}, []byte(wholeRecord), `{"type":"object","properties":{"id":{"type":"string"},"n":{"oneOf":[{"type":"null"},{"type":"integer","connect.type":"int32"}]}}}`)
	f.Add([]byte{0, 0}, []byte(`{}`), `{"$ref":"#/definitions/a","definitions":{"a":{"$ref":"#/definitions/a"}}}`)
	fuzzFormat(f, serde.JSONSchema)
}

func FuzzDelimited(f *testing.F) {
	f.Add([]byte{0, 0, 2, 0, 2, 9}, []byte(`a,"b ""c""",1.50`), "")
	f.Add([]byte{0, 0, 0, 0, 0}, []byte(`"`), "")
	fuzzFormat(f, serde.Delimited)
}

func FuzzKafka(f *testing.F) {
	f.Add([]byte{1, 0, 0, 0, 2}, []byte{0, 0, 0, 1}, "")
	f.Add([]byte{1, 0, 0, 0, 0}, []byte("\xff"), "")
	fuzzFormat(f, serde.Kafka)
}

func FuzzAvro(f *testing.F) {
	f.Add([]byte{0, 0, 3, 1, 2, 3, 4, 5, 6}, []byte{2, 4, 'a', 'b'}, `{"type":"record","name":"a.R","fields":[{"name":"x","type":["null","string"],"default":null},{"name":"m","type":{"type":"map","values":"int"}}]}`)
	f.Add([]byte{0, 0, 3}, []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1}, `{"type":"array","items":"null"}`)
	f.Add([]byte{0, 0, 3}, []byte{2, 2, 2}, `{"type":"record","name":"L","fields":[{"name":"next","type":["null","L"]}]}`)
	fuzzFormat(f, serde.Avro)
}

func FuzzProtobuf(f *testing.F) {
	f.Add([]byte{0, 0, 3, 1, 2, 3, 4, 5, 6}, []byte{0, 10, 1, 'a', 16, 1}, `syntax = "proto3"; message M { string a = 1; int32 b = 2; repeated M more = 3; oneof o { bool x = 4; bytes y = 5; } }`)
	f.Add([]byte{0, 0, 3}, []byte{4, 0, 2}, `syntax = "proto3"; import "google/protobuf/timestamp.proto"; message M { map<string, google.protobuf.Timestamp> a = 1; }`)
	fuzzFormat(f, serde.Protobuf)
}

func FuzzProtobufNoSR(f *testing.F) {
	f.Add([]byte{0, 0, 3, 1, 2, 3, 4, 5, 6}, []byte{10, 1, 'a', 16, 1}, "")
	fuzzFormat(f, serde.ProtobufNoSR)
}

func fuzzFormat(f *testing.F, name string) {
	f.Fuzz(func(t *testing.T, shape, data []byte, schemaText string) {
		chance.Bound(t, len(shape)+len(data)+len(schemaText), func() {
			s := chance.New(shape)
			format, o := plan.Format{Name: name, Props: map[string]string{}}, serde.Options{IsKey: s.Bool(), Subject: "t", Registry: registry.New()}
			format.Unwrapped = s.Bool() && serde.CanUnwrap(name)
			switch name {
			case serde.Delimited:
				format.Props["delimiter"] = []string{",", "TAB", "SPACE", "é", "\"", "a"}[s.Intn(6)]
			case serde.Protobuf, serde.ProtobufNoSR:
				format.Props["nullableRepresentation"] = []string{"", "OPTIONAL", "WRAPPER"}[s.Intn(3)]
			}
			cols := s.Columns(1, 4, 2, serde.SchemaType(name) == "AVRO" || strings.HasPrefix(name, serde.Protobuf))
			if name == serde.Kafka {
				cols = cols[:1]
			}
			if serde.Check(format, cols, o.IsKey) == nil {
				both(t, format, cols, o, s.Row(cols), data, s)
			}
			if schemaText != "" {
				foreign(format, o, schemaText, data)
			}
		})
	})
}

// both writes and reads the columns.
func both(t *testing.T, format plan.Format, cols []schema.Column, o serde.Options, row []types.Value, data []byte, s *chance.Source) {
	enc, err := serde.NewEncoder(format, cols, o)
	if err != nil {
		return // not every format holds every type
	}
	dec, err := serde.NewDecoder(format, cols, o)
	require.NoError(t, err)
	written, err := enc.Encode([]byte{}, row)
	if err == nil && len(written) > 0 {
		if read, ok := again(t, format.Name, enc, dec, cols, written, true); ok && exact(format.Name) {
			require.Equal(t, chance.Show(row), chance.Show(read), "%v in %s", cols, written)
		}
	}
	if header := serde.SchemaType(format.Name) != ""; header && !s.Bool() {
		data = append(binary.BigEndian.AppendUint32([]byte{0}, 1), data...)
	}
	read, ok := again(t, format.Name, enc, dec, cols, data, false)

	// Columns that aren't asked for are checked all the same.
	o.Used = make([]bool, len(cols))
	for i := range cols {
		o.Used[i] = s.Bool()
	}
	part, err := serde.NewDecoder(format, cols, o)
	require.NoError(t, err)
	some := make([]types.Value, len(cols))
	present, err := part.Decode(data, some)
	require.Equal(t, ok, err == nil && present, "with %v of %v: %v", o.Used, cols, err)
	if ok {
		for i := range cols {
			if o.Used[i] {
				require.Equal(t, chance.Show(read[i:i+1]), chance.Show(some[i:i+1]))
			}
		}
	}
}

// exact formats give back what was written: the others have no NULL beside an
// empty text, or beside a default.
func exact(name string) bool {
	return name == serde.JSON || name == serde.JSONSchema || name == serde.Avro || name == serde.Kafka
}

// headerLength is that of the schema's id in front of a record.
const headerLength = 5

// again reads data, and what that is written as.
func again(t *testing.T, format string, enc serde.Encoder, dec serde.Decoder, cols []schema.Column, data []byte, must bool) (row []types.Value, ok bool) {
	row = make([]types.Value, len(cols))
	present, err := dec.Decode(data, row)
	if must {
		require.NoError(t, err, "%v written as %q", cols, data)
	}
	if err != nil || !present {
		return nil, false
	}
	if format == serde.Protobuf && data[headerLength] != 0 {
		return row, true // of another message of the schema than the one that is written
	}
	written, err := enc.Encode([]byte{}, row)
	require.False(t, must && err != nil, "%v", err)
	if err != nil || len(written) == 0 {
		return row, true // nothing stands for a NULL by itself
	}
	second := make([]types.Value, len(cols))
	_, err = dec.Decode(written, second)
	require.NoError(t, err, "%v read from %q, written as %q", cols, data, written)
	require.Equal(t, chance.Show(row), chance.Show(second), "%v read from %q, written as %q", cols, data, written)
	return row, true
}

// foreign reads data by a schema that somebody else registered.
func foreign(format plan.Format, o serde.Options, text string, data []byte) {
	cols, err := serde.Infer(format, text, nil, o.IsKey, true)
	if err != nil {
		return
	}
	r := registry.New()
	id, err := r.Register("t", serde.SchemaType(format.Name), text)
	if err != nil {
		return
	}
	o.Registry = r
	dec, err := serde.NewDecoder(format, cols, o)
	if err != nil {
		return
	}
	row := make([]types.Value, len(cols))
	data = append(binary.BigEndian.AppendUint32([]byte{0}, uint32(id)), data...)
	present, err := dec.Decode(data, row)
	if err != nil || !present {
		return
	}
	format.Props["schemaId"] = "1"
	if enc, err := serde.NewEncoder(format, cols, o); err == nil {
		_, _ = enc.Encode([]byte{}, row)
	}
}
