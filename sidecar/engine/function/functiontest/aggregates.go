package functiontest

import (
	"github.com/sidestream/sidestream/sidecar/engine/function"
	"github.com/sidestream/sidestream/sidecar/engine/types"
)

// fold is an Aggregator made of functions.
type fold struct {
	result types.Type
	init   types.Value
	add    func(s types.Value, args []types.Value) types.Value
	merge  func(a, b types.Value) types.Value
}

func (f *fold) State() types.Type  { return f.result }
func (f *fold) Result() types.Type { return f.result }
func (f *fold) Init() types.Value  { return f.init }
func (f *fold) Add(s types.Value, args []types.Value) (types.Value, error) {
	return f.add(s, args), nil
}
func (f *fold) Merge(a, b types.Value) (types.Value, error) { return f.merge(a, b), nil }
func (f *fold) Final(s types.Value) (types.Value, error)    { return s, nil }

// sums is a fold that can take rows back.
type sums struct {
	fold
	sub func(s types.Value, args []types.Value) types.Value
}

func (f *sums) Undo(s types.Value, args []types.Value) (types.Value, error) {
	return f.sub(s, args), nil
}

func aggregates() []*function.Aggregate {
	return []*function.Aggregate{
		testUDAF(),
		weighing("VAR_ARG", "BIGINT first, STRING... rest", ""),
		weighing("MID_VAR_ARG", "BIGINT first, STRING... rest", "INTEGER a, INTEGER b"),
		weighing("MULTI_ARG", "BIGINT first, STRING second", "INTEGER a, STRING b, STRING c, STRING d"),
		weighing("FOUR_ARG", "BIGINT first, STRING second, STRING third, STRING fourth", "INTEGER a, STRING b, STRING c, STRING d"),
		weighing("FIVE_ARG", "BIGINT first, STRING second, STRING third, STRING fourth, INTEGER fifth", "INTEGER a, STRING b, STRING c, STRING d"),
		gathering("GENERIC_VAR_ARG", "A first, B second, C... rest"),
		gathering("OBJ_COL_ARG", "INTEGER first, ANY... rest"),
	}
}

// weight is a number, or the length of a text.
func weight(v types.Value) int64 {
	if v.Kind() == types.String {
		return int64(len(v.Str()))
	}
	return v.Int()
}

// weighing starts with the weight of its literals and adds that of each row.
func weighing(name, params, consts string) *function.Aggregate {
	o := function.AggregateOverload{ReturnText: "BIGINT", New: func(_ []types.Type, literals []types.Value) (function.Aggregator, error) {
		start := int64(0)
		for _, c := range literals {
			start += weight(c)
		}
		return &fold{
			result: types.TBigint, init: types.NewBigint(start),
			add: func(s types.Value, args []types.Value) types.Value {
				n := s.Int()
				for _, a := range args {
					n += weight(a)
				}
				return types.NewBigint(n)
			},
			merge: func(a, b types.Value) types.Value { return types.NewBigint(a.Int() + b.Int() - start) },
		}, nil
	}}
	o.Params, o.Variadic = function.Params(params)
	o.Consts, _ = function.Params(consts)
	return &function.Aggregate{Name: name, Doc: "Adds numbers and the lengths of texts.", Overloads: []function.AggregateOverload{o}}
}

// gathering lists the first argument of the rows that have no NULL among theirs.
func gathering(name, params string) *function.Aggregate {
	o := function.AggregateOverload{ReturnText: "ARRAY<A>", New: func(args []types.Type, _ []types.Value) (function.Aggregator, error) {
		return &fold{
			result: types.TArray(args[0]), init: types.NewArray([]types.Value{}),
			add: func(s types.Value, args []types.Value) types.Value {
				for _, a := range args {
					if a.IsNull() {
						return s
					}
				}
				return types.NewArray(append(append([]types.Value{}, s.Items()...), args[0]))
			},
			merge: func(a, b types.Value) types.Value {
				return types.NewArray(append(append([]types.Value{}, a.Items()...), b.Items()...))
			},
		}, nil
	}}
	o.Params, o.Variadic = function.Params(params)
	return &function.Aggregate{Name: name, Doc: "Lists a column's values of complete rows.", Overloads: []function.AggregateOverload{o}}
}

// testUDAF sums whole numbers, or the fields of a struct of them.
func testUDAF() *function.Aggregate {
	pair := types.TStruct(types.Field{Name: "A", Type: types.TInteger}, types.Field{Name: "B", Type: types.TInteger})
	number := func(params string) function.AggregateOverload {
		o := function.AggregateOverload{ReturnText: "BIGINT", New: func([]types.Type, []types.Value) (function.Aggregator, error) {
			return &sums{fold{
				result: types.TBigint, init: types.NewBigint(0),
				add:   func(s types.Value, args []types.Value) types.Value { return types.NewBigint(s.Int() + args[0].Int()) },
				merge: func(a, b types.Value) types.Value { return types.NewBigint(a.Int() + b.Int()) },
			}, func(s types.Value, args []types.Value) types.Value { return types.NewBigint(s.Int() - args[0].Int()) }}, nil
		}}
		o.Params, _ = function.Params(params)
		return o
	}
	plus := func(a, b types.Value) types.Value {
		x, y := a.Items(), b.Items()
		if b.IsNull() {
			return a
		}
		return types.NewStruct([]types.Value{types.NewInt(int32(x[0].Int() + y[0].Int())), types.NewInt(int32(x[1].Int() + y[1].Int()))})
	}
	ofPair := function.AggregateOverload{
		Params: []function.Param{{Name: "val", Type: pair}}, ReturnText: "STRUCT",
		New: func([]types.Type, []types.Value) (function.Aggregator, error) {
			return &fold{
				result: pair, init: types.NewStruct([]types.Value{types.NewInt(0), types.NewInt(0)}),
				add:   func(s types.Value, args []types.Value) types.Value { return plus(s, args[0]) },
				merge: plus,
			}, nil
		},
	}
	return &function.Aggregate{Name: "TEST_UDAF", Doc: "Sums.", Overloads: []function.AggregateOverload{number("INTEGER val"), number("BIGINT val"), ofPair}}
}
