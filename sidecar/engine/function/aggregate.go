package function

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/sidestream/sidestream/sidecar/engine/types"
)

func errTooMany(name string, n, limit int) error {
	return fmt.Errorf("%s can take %d columns at most, but got %d", name, limit, n)
}

// limit is the setting of a function that bounds what it keeps.
func limit(config map[string]string, name string, otherwise int) int {
	n, err := strconv.Atoi(strings.TrimSpace(config["ksql.functions."+name+".limit"]))
	if err != nil || n < 0 {
		return otherwise
	}
	return n
}

func aggregateFunctions(config map[string]string) []*Aggregate {
	return []*Aggregate{
		countFunction(), sumFunction(), sumListFunction(), avgFunction(),
		extremeFunction("MIN", "minimum", -1), extremeFunction("MAX", "maximum", 1),
		offsetFunction("LATEST_BY_OFFSET", "latest", true), offsetFunction("EARLIEST_BY_OFFSET", "earliest", false),
		collectListFunction(limit(config, "collect_list", math.MaxInt)), collectSetFunction(limit(config, "collect_set", math.MaxInt)),
		histogramFunction(limit(config, "histogram", 1000)), countDistinctFunction(), attrFunction(),
		topkFunction("TOPK", false), topkFunction("TOPKDISTINCT", true),
		stddevFunction("STDDEV_SAMP", false), stddevFunction("STDDEV_SAMPLE", true), correlationFunction(),
	}
}

type newAggregator = func(args []types.Type, consts []types.Value) (Aggregator, error)

// aggregateOver declares an overload: parameters read from rows, literals behind
// them, the result for DESCRIBE FUNCTION.
func aggregateOver(params, consts, result, doc string, make newAggregator) AggregateOverload {
	o := AggregateOverload{Doc: doc, ReturnText: result, New: make}
	o.Params, o.Variadic = signature(params)
	o.Consts, _ = signature(consts)
	return o
}

// aggregator is an Aggregator made of functions. combine adds a row to a state,
// merge joins states, final makes the result.
type aggregator struct {
	state, result types.Type
	init          types.Value
	add           func(s types.Value, args []types.Value) (types.Value, error)
	merge         func(a, b types.Value) (types.Value, error)
	final         func(s types.Value) (types.Value, error)
}

func (a *aggregator) State() types.Type  { return a.state }
func (a *aggregator) Result() types.Type { return a.result }
func (a *aggregator) Init() types.Value  { return a.init }
func (a *aggregator) Add(s types.Value, args []types.Value) (types.Value, error) {
	return a.add(s, args)
}
func (a *aggregator) Merge(x, y types.Value) (types.Value, error) { return a.merge(x, y) }
func (a *aggregator) Final(s types.Value) (types.Value, error) {
	if a.final == nil {
		return s, nil
	}
	return a.final(s)
}

// undoable is an aggregator that can take rows back.
type undoable struct {
	aggregator
	undo func(s types.Value, args []types.Value) (types.Value, error)
}

func (u *undoable) Undo(s types.Value, args []types.Value) (types.Value, error) {
	return u.undo(s, args)
}

func countFunction() *Aggregate {
	count := func(step int64) func(s types.Value, args []types.Value) (types.Value, error) {
		return func(s types.Value, args []types.Value) (types.Value, error) {
			if len(args) > 0 && args[0].IsNull() {
				return s, nil
			}
			return bigint(s.Int() + step), nil
		}
	}
	make := func([]types.Type, []types.Value) (Aggregator, error) {
		return &undoable{aggregator{
			state: types.TBigint, result: types.TBigint, init: bigint(0), add: count(1),
			merge: func(a, b types.Value) (types.Value, error) { return bigint(a.Int() + b.Int()), nil },
		}, count(-1)}, nil
	}
	return &Aggregate{Name: "COUNT", Author: author, Doc: "Counts records by key.", Overloads: []AggregateOverload{
		aggregateOver("", "", "BIGINT", "Counts the rows of a group.", make),
		aggregateOver("ANY val", "", "BIGINT", "Counts the values of a group that are not NULL.", make),
	}}
}

// zeroOf is 0 as a number of a type.
func zeroOf(t types.Type) types.Value {
	switch t.Kind {
	case types.Integer:
		return types.NewInt(0)
	case types.Bigint:
		return bigint(0)
	case types.Decimal:
		return types.NewDecimal(0, t.Scale)
	}
	return double(0)
}

// sumOf adds and takes back what each yields of a row.
func sumOf(t types.Type, each func(args []types.Value) []types.Value) Aggregator {
	fold := func(op types.Op) func(s types.Value, args []types.Value) (types.Value, error) {
		return func(s types.Value, args []types.Value) (types.Value, error) {
			for _, v := range each(args) {
				if v.IsNull() {
					continue
				}
				sum, err := types.Arith(op, s, v, t)
				if err != nil {
					return s, fmt.Errorf("Numeric field overflow: the sum does not fit %s", t)
				}
				s = sum
			}
			return s, nil
		}
	}
	return &undoable{aggregator{
		state: t, result: t, init: zeroOf(t), add: fold(types.OpAdd),
		merge: func(a, b types.Value) (types.Value, error) { return types.Add(a, b, t) },
	}, fold(types.OpSub)}
}

func sumFunction() *Aggregate {
	f := &Aggregate{Name: "SUM", Author: author, Doc: "Computes the sum for a key."}
	docs := map[string]string{"DECIMAL": "Computes the sum of decimal values for a key, resulting in a decimal with the same precision and scale."}
	for _, t := range []string{"DECIMAL", "DOUBLE", "INTEGER", "BIGINT"} {
		doc := docs[t]
		if doc == "" {
			doc = "Computes the sum for a key."
		}
		kind := kindsByName[t]
		f.Overloads = append(f.Overloads, aggregateOver(t+" val1", "", t, doc, func(args []types.Type, _ []types.Value) (Aggregator, error) {
			return sumOf(numberType(kind, args[0]), func(args []types.Value) []types.Value { return args[:1] }), nil
		}))
	}
	return f
}

// numberType is the type of that kind, with the argument's precision.
func numberType(kind types.Kind, arg types.Type) types.Type {
	if kind == types.Decimal && arg.Kind != types.Null {
		return types.AsDecimalType(arg)
	}
	return types.Type{Kind: kind}
}

func sumListFunction() *Aggregate {
	f := &Aggregate{Name: "SUM_LIST", Author: author, Doc: "Returns the sum of values inside Lists"}
	for _, t := range []string{"DECIMAL", "DOUBLE", "INTEGER", "BIGINT"} {
		kind := kindsByName[t]
		f.Overloads = append(f.Overloads, aggregateOver("ARRAY<"+t+"> val", "", t, "sum values in a list into a single value",
			func(args []types.Type, _ []types.Value) (Aggregator, error) {
				elem := types.TNull
				if args[0].Elem != nil {
					elem = *args[0].Elem
				}
				return sumOf(numberType(kind, elem), func(args []types.Value) []types.Value { return args[0].Items() }), nil
			}))
	}
	return f
}

// structOf is the type of a state with several parts.
func structOf(fields ...types.Field) types.Type { return types.TStruct(fields...) }

func avgFunction() *Aggregate {
	f := &Aggregate{Name: "AVG", Author: author, Doc: "Compute average of column with type Integer or Long or Double."}
	for _, t := range []string{"INTEGER", "BIGINT", "DOUBLE"} {
		sum := types.TBigint
		if t == "DOUBLE" {
			sum = types.TDouble
		}
		f.Overloads = append(f.Overloads, aggregateOver(t+" val", "", "DOUBLE", "Computes the average of the values that are not NULL.",
			func([]types.Type, []types.Value) (Aggregator, error) { return average(sum), nil }))
	}
	return f
}

// average keeps the sum and the number of values.
func average(sum types.Type) Aggregator {
	fold := func(op types.Op, step int64) func(s types.Value, args []types.Value) (types.Value, error) {
		return func(s types.Value, args []types.Value) (types.Value, error) {
			if args[0].IsNull() {
				return s, nil
			}
			parts := s.Items()
			total, err := types.Arith(op, parts[0], args[0], sum)
			if err != nil {
				return s, err
			}
			return types.NewStruct([]types.Value{total, bigint(parts[1].Int() + step)}), nil
		}
	}
	return &undoable{aggregator{
		state:  structOf(types.Field{Name: "SUM", Type: sum}, types.Field{Name: "COUNT", Type: types.TBigint}),
		result: types.TDouble,
		init:   types.NewStruct([]types.Value{zeroOf(sum), bigint(0)}),
		add:    fold(types.OpAdd, 1),
		merge: func(a, b types.Value) (types.Value, error) {
			x, y := a.Items(), b.Items()
			total, err := types.Add(x[0], y[0], sum)
			return types.NewStruct([]types.Value{total, bigint(x[1].Int() + y[1].Int())}), err
		},
		final: func(s types.Value) (types.Value, error) {
			parts := s.Items()
			if parts[1].Int() == 0 {
				return double(0), nil
			}
			return double(types.AsFloat(parts[0]) / float64(parts[1].Int())), nil
		},
	}, fold(types.OpSub, -1)}
}

// comparableTypes are the types with an order, as MIN, MAX and TOPK take them.
var comparableTypes = []string{"BIGINT", "BYTES", "DATE", "DECIMAL", "DOUBLE", "INTEGER", "STRING", "TIME", "TIMESTAMP"}

// extremeFunction is MIN (sign -1) or MAX (sign 1).
func extremeFunction(name, word string, sign int) *Aggregate {
	f := &Aggregate{Name: name, Author: author, Doc: "Computes the " + word + " value for a key."}
	better := func(a, b types.Value) types.Value {
		if b.IsNull() || !a.IsNull() && types.Compare(b, a)*sign <= 0 {
			return a
		}
		return b
	}
	for _, t := range comparableTypes {
		kind := kindsByName[t]
		f.Overloads = append(f.Overloads, aggregateOver(t+" val", "", t, "Computes the "+word+" of the values that are not NULL.",
			func(args []types.Type, _ []types.Value) (Aggregator, error) {
				out := numberType(kind, args[0])
				return &aggregator{
					state: out, result: out,
					add:   func(s types.Value, args []types.Value) (types.Value, error) { return better(s, args[0]), nil },
					merge: func(a, b types.Value) (types.Value, error) { return better(a, b), nil },
				}, nil
			}))
	}
	return f
}
