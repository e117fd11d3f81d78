package functiontest

import (
	"strings"

	"github.com/sidestream/sidestream/sidecar/engine/function"
	"github.com/sidestream/sidestream/sidecar/engine/types"
)

// kinds are the types that TEST_UDTF takes together, but for the struct.
var kinds = []string{"INTEGER", "BIGINT", "DOUBLE", "BOOLEAN", "STRING", "DECIMAL"}

func tables() []*function.Table {
	overload := func(params string, result types.Type, eval func(args []types.Value) ([]types.Value, error)) function.TableOverload {
		o := function.TableOverload{Return: result, Eval: eval}
		o.Params, o.Variadic = function.Params(params)
		return o
	}
	same := func(args []types.Value) ([]types.Value, error) { return []types.Value{args[0]}, nil }
	var overloads []function.TableOverload
	for _, k := range kinds {
		o := overload(k+" arg", types.Type{}, same)
		o.ReturnFor = func(args []types.Type) (types.Type, error) { return args[0], nil }
		overloads = append(overloads, o)
	}
	ofStruct := overload("", structA, same)
	ofStruct.Params = []function.Param{{Name: "arg", Type: structA}}
	overloads = append(overloads, ofStruct,
		texts("", structA, func(v types.Value) types.Value { return v }),
		texts("ARRAY<", types.TArray(structA), func(v types.Value) types.Value {
			if len(v.Items()) == 0 {
				return types.Value{}
			}
			return v.Items()[0]
		}),
		texts("MAP<STRING, ", types.TMap(types.TString, structA), func(v types.Value) types.Value {
			if len(v.Entries()) == 0 {
				return types.Value{}
			}
			return v.Entries()[0].Value
		}))
	return []*function.Table{
		{Name: "TEST_UDTF", Display: "test_udtf", Doc: "Yields its arguments, as they are or as text.", Overloads: overloads},
		{Name: "THROWING_UDTF", Display: "throwing_udtf", Doc: "Fails for true.", Overloads: []function.TableOverload{
			overload("BOOLEAN shouldThrow", types.TBoolean, func(args []types.Value) ([]types.Value, error) {
				if args[0].Bool() {
					return nil, errOnPurpose
				}
				return args[:1:1], nil
			}),
		}},
	}
}

// texts takes one argument of every kind, alone or in a collection, and yields
// the text of each.
func texts(wrap string, last types.Type, pick func(types.Value) types.Value) function.TableOverload {
	end := strings.Repeat(">", strings.Count(wrap, "<"))
	var params []string
	for _, k := range kinds {
		params = append(params, wrap+k+end+" arg")
	}
	o := function.TableOverload{Return: types.TString, Eval: func(args []types.Value) ([]types.Value, error) {
		out := make([]types.Value, len(args))
		for i, a := range args {
			v := pick(a)
			t := types.Type{Kind: v.Kind()}
			if t.Kind == types.Struct {
				t = structA
			}
			out[i] = types.NewString(types.Text(v, t))
		}
		return out, nil
	}}
	o.Params, _ = function.Params(strings.Join(params, ", "))
	o.Params = append(o.Params, function.Param{Name: "arg", Type: last})
	return o
}
