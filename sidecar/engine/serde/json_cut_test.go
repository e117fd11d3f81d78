package serde_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sidestream/sidestream/sidecar/engine/plan"
	"github.com/sidestream/sidestream/sidecar/engine/schema"
	"github.com/sidestream/sidestream/sidecar/engine/serde"
	"github.com/sidestream/sidestream/sidecar/engine/types"
)

var cutColumns = []schema.Column{
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
	for _, used := range [][]bool{nil, {true, false, true, false, false, false, false, false}, make([]bool, len(cutColumns))} {
		d, err := serde.NewDecoder(plan.Format{Name: serde.JSON}, cutColumns, serde.Options{Used: used})
		require.NoError(t, err)
		row := make([]types.Value, len(cutColumns))
		_, err = d.Decode([]byte(wholeRecord), row)
		require.NoError(t, err)
		for n := 1; n < len(wholeRecord); n++ {
			_, err := d.Decode([]byte(wholeRecord[:n]), row)
			require.Error(t, err, "%s", wholeRecord[:n])
		}
	}
}
