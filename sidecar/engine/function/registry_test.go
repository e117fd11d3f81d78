package function_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sidestream/sidestream/sidecar/engine/function"
	"github.com/sidestream/sidestream/sidecar/engine/types"
)

func TestBuiltinHasEveryFunction(t *testing.T) {
	kinds := map[string]int{}
	for _, l := range function.Builtin().List() {
		kinds[l.Kind]++
		require.NotEmpty(t, l.Category, l.Name)
	}
	require.Equal(t, map[string]int{"SCALAR": 129, "AGGREGATE": 18, "TABLE": 2}, kinds)
}

func TestOverloadErrors(t *testing.T) {
	r := function.Builtin()
	_, _, err := r.ResolveScalar("NOFUNC", nil)
	require.EqualError(t, err, "Can't find any functions with the name 'NOFUNC'")

	_, _, err = r.ResolveTable("EXPLODE", []types.Type{types.TMap(types.TString, types.TInteger)})
	require.ErrorContains(t, err, "Function 'explode' does not accept parameters (MAP<STRING, INTEGER>).\nValid alternatives are:\nexplode(ARRAY<DECIMAL> input)\nexplode(ARRAY<T> list)")

	_, _, err = r.ResolveScalar("LEAST", []types.Type{types.TInteger, types.TBigint})
	require.ErrorContains(t, err, "Function 'least' cannot be resolved due to ambiguous method parameters (INTEGER, BIGINT).")
	_, _, err = r.ResolveScalar("LEAST", []types.Type{types.TNull, types.TNull})
	require.ErrorContains(t, err, "ambiguous method parameters (null, null).")
	_, _, err = r.ResolveScalar("COALESCE", nil)
	require.ErrorContains(t, err, "Function 'COALESCE' does not accept parameters ().")

	_, typ, err := r.ResolveScalar("GREATEST", []types.Type{types.TDecimal(9, 2), types.TDecimal(7, 6), types.TNull})
	require.NoError(t, err)
	require.Equal(t, "DECIMAL(13, 6)", typ.String())
}
