package function

import (
	"fmt"

	"github.com/sidestream/sidestream/sidecar/engine/types"
)

// offsetFunction is LATEST_BY_OFFSET or EARLIEST_BY_OFFSET: the last or first
// value, or the last or first n, in the order in which rows arrive. NULLs are
// skipped unless the literal ignoreNulls is false.
func offsetFunction(name, word string, latest bool) *Aggregate {
	one := fmt.Sprintf("return the %s value of a column", word)
	many := fmt.Sprintf("return the %s N values of a column", word)
	return &Aggregate{
		Name: name, Author: author,
		Doc: fmt.Sprintf("This function returns the %s values of a column, by the order in which records arrive.", word),
		Overloads: []AggregateOverload{
			aggregateOver("T val", "", "T", one, func(args []types.Type, _ []types.Value) (Aggregator, error) {
				return oneByOffset(args[0], latest, true), nil
			}),
			aggregateOver("T val", "BOOLEAN ignoreNulls", "T", one, func(args []types.Type, consts []types.Value) (Aggregator, error) {
				return oneByOffset(args[0], latest, consts[0].Bool()), nil
			}),
			aggregateOver("T val", "INTEGER n", "ARRAY<T>", many, func(args []types.Type, consts []types.Value) (Aggregator, error) {
				return manyByOffset(name, args[0], consts[0], latest, true)
			}),
			aggregateOver("T val", "INTEGER n, BOOLEAN ignoreNulls", "ARRAY<T>", many, func(args []types.Type, consts []types.Value) (Aggregator, error) {
				return manyByOffset(name, args[0], consts[0], latest, consts[1].Bool())
			}),
		},
	}
}

// oneByOffset keeps NULL before the first value, and then how many rows there
// were, with the value.
func oneByOffset(t types.Type, latest, ignoreNulls bool) Aggregator {
	return &aggregator{
		state:  structOf(types.Field{Name: "SEQ", Type: types.TBigint}, types.Field{Name: "VAL", Type: t}),
		result: t,
		add: func(s types.Value, args []types.Value) (types.Value, error) {
			if args[0].IsNull() && ignoreNulls || !s.IsNull() && !latest {
				return s, nil
			}
			seq := int64(1)
			if !s.IsNull() {
				seq = s.Items()[0].Int() + 1
			}
			return types.NewStruct([]types.Value{bigint(seq), args[0]}), nil
		},
		merge: func(a, b types.Value) (types.Value, error) {
			if a.IsNull() || latest && !b.IsNull() {
				return b, nil
			}
			return a, nil
		},
		final: func(s types.Value) (types.Value, error) {
			if s.IsNull() {
				return s, nil
			}
			return s.Items()[1], nil
		},
	}
}

func manyByOffset(name string, t types.Type, n types.Value, latest, ignoreNulls bool) (Aggregator, error) {
	limit := int(n.Int())
	if limit < 1 {
		return nil, fmt.Errorf("%s: n must be 1 or greater, but was %d", name, limit)
	}
	trim := func(items []types.Value) types.Value {
		if over := len(items) - limit; over > 0 {
			if latest {
				items = items[over:]
			} else {
				items = items[:limit]
			}
		}
		return types.NewArray(items)
	}
	return &aggregator{
		state: types.TArray(t), result: types.TArray(t), init: types.NewArray([]types.Value{}),
		add: func(s types.Value, args []types.Value) (types.Value, error) {
			if args[0].IsNull() && ignoreNulls || !latest && len(s.Items()) >= limit {
				return s, nil
			}
			return trim(append(append(make([]types.Value, 0, len(s.Items())+1), s.Items()...), args[0])), nil
		},
		merge: func(a, b types.Value) (types.Value, error) {
			return trim(append(append([]types.Value{}, a.Items()...), b.Items()...)), nil
		},
	}, nil
}
