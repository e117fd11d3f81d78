package serde_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sidestream/sidestream/sidecar/engine/plan"
	"github.com/sidestream/sidestream/sidecar/engine/schema"
	"github.com/sidestream/sidestream/sidecar/engine/serde"
	"github.com/sidestream/sidestream/sidecar/engine/types"
	"github.com/sidestream/sidestream/sidecar/registry"
)

var allKinds = []schema.Column{
	{Name: "B", Type: types.TBoolean}, {Name: "I", Type: types.TInteger}, {Name: "L", Type: types.TBigint}, {Name: "D", Type: types.TDouble},
	{Name: "S", Type: types.TString}, {Name: "X", Type: types.TBytes}, {Name: "M", Type: types.TDecimal(12, 2)},
	{Name: "DAY", Type: types.TDate}, {Name: "T", Type: types.TTime}, {Name: "TS", Type: types.TTimestamp},
	{Name: "A", Type: types.TArray(types.TBigint)}, {Name: "MAP", Type: types.TMap(types.TString, types.TDouble)},
	{Name: "ST", Type: types.TStruct(types.Field{Name: "F", Type: types.TString})},
}

func allValues() []types.Value {
	return []types.Value{types.NewBool(true), types.NewInt(-7), types.NewBigint(1 << 40), types.NewDouble(1.5), types.NewString("é"), types.NewBytes([]byte{0, 255}),
		types.NewDecimal(-1234567, 2), types.NewDate(-10), types.NewTime(3723004), types.NewTimestamp(-1),
		types.NewArray([]types.Value{types.NewBigint(0), types.NewBigint(-1)}),
		types.NewMap([]types.Entry{{Key: types.NewString("k"), Value: types.NewDouble(0)}}),
		types.NewStruct([]types.Value{types.NewString("in")})}
}

// TestRegisteredFormats writes and reads every type, infers the columns back from
// the schema that was registered, and meets every way to cut a record short.
func TestRegisteredFormats(t *testing.T) {
	for _, name := range []string{serde.Avro, serde.Protobuf, serde.JSONSchema, serde.ProtobufNoSR} {
		t.Run(name, func(t *testing.T) {
			f, schemas := plan.Format{Name: name}, registry.New()
			o := serde.Options{Subject: "t-value", Registry: schemas}
			enc, err := serde.NewEncoder(f, allKinds, o)
			require.NoError(t, err)
			data, err := enc.Encode(nil, allValues())
			require.NoError(t, err)
			dec, err := serde.NewDecoder(f, allKinds, o)
			require.NoError(t, err)
			row := make([]types.Value, len(allKinds))
			present, err := dec.Decode(data, row)
			require.NoError(t, err)
			require.True(t, present)
			for i, want := range allValues() {
				require.Equal(t, types.Text(want, allKinds[i].Type), types.Text(row[i], allKinds[i].Type), allKinds[i].Name)
			}
			for i := range data { // must not panic; most are mistakes
				_, _ = dec.Decode(data[:i], make([]types.Value, len(allKinds)))
			}
			if name == serde.ProtobufNoSR {
				return
			}
			_, kind, text, refs, err := schemas.Latest("t-value")
			require.NoError(t, err)
			require.Equal(t, serde.SchemaType(name), kind)
			cols, err := serde.Infer(f, text, refs, false, true)
			require.NoError(t, err)
			want, got := schema.Schema{Value: allKinds}, schema.Schema{Value: cols}
			require.Equal(t, want.String(), got.String())
			_, err = dec.Decode([]byte{1, 2, 3, 4, 5, 6}, row)
			require.ErrorContains(t, err, "Unknown magic byte!")
			_, err = dec.Decode(append([]byte{0, 0, 0, 0, 99}, data[5:]...), row)
			require.ErrorContains(t, err, "schema 99: Schema 99 not found")
			another := registry.JSON
			if kind == another {
				another = registry.Avro
			}
			other, err := schemas.Register("other", another, `{"type":"string"}`)
			require.NoError(t, err)
			_, err = dec.Decode(append([]byte{0, 0, 0, 0, byte(other)}, data[5:]...), row)
			require.ErrorContains(t, err, "is of type")
		})
	}
}

func TestRegisteredFormatsNeedARegistry(t *testing.T) {
	_, err := serde.NewEncoder(plan.Format{Name: serde.Avro}, allKinds, serde.Options{})
	require.ErrorContains(t, err, "ksql.schema.registry.url")
}
