package function_test

import (
	"testing"

	"github.com/sidestream/sidestream/sidecar/engine/function"
	"github.com/sidestream/sidestream/sidecar/engine/types"
)

func benchmark(b *testing.B, name string, args ...types.Value) {
	argTypes := make([]types.Type, len(args))
	for i, a := range args {
		argTypes[i] = types.Type{Kind: a.Kind()}
	}
	o, result, err := function.Builtin().ResolveScalar(name, argTypes)
	if err != nil {
		b.Fatal(err)
	}
	eval := o.Eval
	if eval == nil {
		eval = o.EvalTyped(argTypes, result)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := eval(args); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkSubstring(b *testing.B) {
	benchmark(b, "SUBSTRING", types.NewString("some_string"), types.NewInt(6), types.NewInt(3))
}

func BenchmarkExtractJSONField(b *testing.B) {
	benchmark(b, "EXTRACTJSONFIELD", types.NewString(`{"order":{"id":"o1","lines":[{"price":12.50}]},"ts":17}`), types.NewString("$.order.lines[0].price"))
}

func BenchmarkStringToTimestamp(b *testing.B) {
	benchmark(b, "STRINGTOTIMESTAMP", types.NewString("2020-05-11T21:58:33Z"), types.NewString("yyyy-MM-dd'T'HH:mm:ssX"))
}

func BenchmarkLatestByOffset(b *testing.B) {
	agg, err := function.Builtin().ResolveAggregate("LATEST_BY_OFFSET", []types.Type{types.TString}, nil)
	if err != nil {
		b.Fatal(err)
	}
	state, args := agg.Init(), []types.Value{types.NewString("o1")}
	b.ReportAllocs()
	for b.Loop() {
		if state, err = agg.Add(state, args); err != nil {
			b.Fatal(err)
		}
	}
}
