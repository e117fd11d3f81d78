package serde_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sidestream/sidestream/sidecar/engine/plan"
	"github.com/sidestream/sidestream/sidecar/engine/schema"
	"github.com/sidestream/sidestream/sidecar/engine/serde"
	"github.com/sidestream/sidestream/sidecar/engine/types"
)

var fuzzColumns = []schema.Column{
	{Name: "ID", Type: types.TString},
	{Name: "QUANTITY", Type: types.TInteger},
	{Name: "PRICE", Type: types.TDecimal(12, 2)},
	{Name: "FLAG", Type: types.TBoolean},
	{Name: "AT", Type: types.TTimestamp},
	{Name: "LIST", Type: types.TArray(types.TBigint)},
	{Name: "TAGS", Type: types.TMap(types.TString, types.TDouble)},
	{Name: "IN", Type: types.TStruct(types.Field{Name: "A", Type: types.TString}, types.Field{Name: "B", Type: types.TBytes})},
}

const wholeRecord = `{"id": "a\u00e9\n", "quantity": -12, "price": 10.50, "flag": true, "at": 1700000000000,
 "list": [1, 2, null], "tags": {"x": 1.5e3}, "in": {"a": "b", "b": "AAEC"}, "other": {"deep": [[{}], "\\"]}}`

// A record may end anywhere: that is an error, never a panic, and what can be
// read is read the same with any columns left out.
func TestJSONEndsAnywhere(t *testing.T) {
	for _, used := range [][]bool{nil, {true, false, true, false, false, false, false, false}, make([]bool, len(fuzzColumns))} {
		d, err := serde.NewDecoder(plan.Format{Name: serde.JSON}, fuzzColumns, serde.Options{Used: used})
		require.NoError(t, err)
		row := make([]types.Value, len(fuzzColumns))
		_, err = d.Decode([]byte(wholeRecord), row)
		require.NoError(t, err)
		for n := 1; n < len(wholeRecord); n++ {
			_, err := d.Decode([]byte(wholeRecord[:n]), row)
			require.Error(t, err, "%s", wholeRecord[:n])
		}
	}
}

func FuzzJSON(f *testing.F) {
	f.Add(wholeRecord)
	f.Add(`{"id": "bad", "quantity": `)
	f.Add(strings.Repeat("[", 100))
	d, err := serde.NewDecoder(plan.Format{Name: serde.JSON}, fuzzColumns, serde.Options{})
	require.NoError(f, err)
	row := make([]types.Value, len(fuzzColumns))
	f.Fuzz(func(_ *testing.T, text string) {
		_, _ = d.Decode([]byte(text), row)
	})
}

func FuzzDelimited(f *testing.F) {
	f.Add(`a,"b ""c""",1.50,2`)
	cols := []schema.Column{{Name: "A", Type: types.TString}, {Name: "B", Type: types.TInteger}, {Name: "C", Type: types.TDecimal(6, 2)}}
	d, err := serde.NewDecoder(plan.Format{Name: serde.Delimited}, cols, serde.Options{})
	require.NoError(f, err)
	row := make([]types.Value, len(cols))
	f.Fuzz(func(_ *testing.T, text string) {
		_, _ = d.Decode([]byte(text), row)
	})
}
