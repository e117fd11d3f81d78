// Package functiontest has the functions that ksqlDB's query cases bring along
// to try out what user-defined functions may do: several columns and literals,
// repeated parameters in the middle, structs, failures.
//
// In: settings. Out: [Registry], the built-in functions and these.
//
// Next: package enginetest runs the cases with it.
package functiontest

import (
	"errors"

	"github.com/sidestream/sidestream/sidecar/engine/function"
	"github.com/sidestream/sidestream/sidecar/engine/types"
)

// Registry has the built-in functions with these settings, and those of the
// query cases. Some count their calls, so every case needs its own.
func Registry(config map[string]string) function.Registry {
	return function.Extended(config, scalars(), aggregates(), tables())
}

var errOnPurpose = errors.New("boom!")

// structA is STRUCT<A STRING>.
var structA = types.TStruct(types.Field{Name: "A", Type: types.TString})

func scalars() []*function.Scalar {
	calls := 0
	everyOther := func() bool {
		calls++
		return calls%2 == 1
	}
	over := func(params string, result types.Type, eval func(args []types.Value) (types.Value, error)) function.Overload {
		o := function.Overload{Return: result, Eval: eval}
		o.Params, o.Variadic = function.Params(params)
		return o
	}
	says := func(s string) func([]types.Value) (types.Value, error) {
		return func([]types.Value) (types.Value, error) { return types.NewString(s), nil }
	}
	ofStruct := function.Overload{
		Params: []function.Param{{Name: "struct", Type: structA}}, Return: types.TString,
		Eval: func(args []types.Value) (types.Value, error) {
			if args[0].IsNull() {
				return types.Value{}, nil
			}
			return args[0].Items()[0], nil
		},
	}
	return []*function.Scalar{
		{Name: "BAD_UDF", Display: "bad_udf", Category: "OTHER", Doc: "Fails, or is NULL, now and then.", Overloads: []function.Overload{
			over("INTEGER arg", types.TInteger, func(args []types.Value) (types.Value, error) {
				if everyOther() {
					return types.Value{}, errOnPurpose
				}
				return args[0], nil
			}),
			over("BOOLEAN arg", types.TInteger, func(args []types.Value) (types.Value, error) {
				if args[0].Bool() {
					return types.Value{}, errOnPurpose
				}
				return types.NewInt(0), nil
			}),
			over("STRING arg", types.TString, func(args []types.Value) (types.Value, error) {
				if everyOther() {
					return types.Value{}, nil
				}
				return args[0], nil
			}),
		}},
		{Name: "TEST_UDF", Display: "test_udf", Category: "OTHER", Doc: "Says which of its overloads it is.", Overloads: []function.Overload{
			over("INTEGER arg1, STRING arg2", types.TString, says("doStuffIntString")),
			over("BIGINT arg1, STRING arg2", types.TString, says("doStuffLongString")),
			over("BIGINT arg1, BIGINT arg2, STRING arg3", types.TString, says("doStuffLongLongString")),
			ofStruct,
			over("", structA, func([]types.Value) (types.Value, error) {
				return types.NewStruct([]types.Value{types.NewString("foo")}), nil
			}),
		}},
	}
}
