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

func TestCountDistinctEstimates(t *testing.T) {
	agg, err := function.Builtin().ResolveAggregate("COUNT_DISTINCT", []types.Type{types.TBigint}, nil)
	require.NoError(t, err)
	state, other := agg.Init(), agg.Init()
	for i := range int64(20_000) {
		state, err = agg.Add(state, []types.Value{types.NewBigint(i)})
		require.NoError(t, err)
		if i == 999 {
			n, err := agg.Final(state)
			require.NoError(t, err)
			require.Equal(t, int64(1000), n.Int(), "few values are counted exactly")
		}
		other, err = agg.Add(other, []types.Value{types.NewBigint(i + 10_000)})
		require.NoError(t, err)
	}
	n, err := agg.Final(state)
	require.NoError(t, err)
	require.InEpsilon(t, 20_000, n.Int(), 0.05)
	state, err = agg.Merge(state, other)
	require.NoError(t, err)
	n, err = agg.Final(state)
	require.NoError(t, err)
	require.InEpsilon(t, 30_000, n.Int(), 0.05)
}

func TestConfiguredLimits(t *testing.T) {
	r := function.Configured(map[string]string{"ksql.functions.collect_set.limit": "1"})
	agg, err := r.ResolveAggregate("COLLECT_SET", []types.Type{types.TInteger}, nil)
	require.NoError(t, err)
	state := agg.Init()
	for i := range int32(3) {
		state, err = agg.Add(state, []types.Value{types.NewInt(i)})
		require.NoError(t, err)
	}
	require.Len(t, state.Items(), 1)
}
