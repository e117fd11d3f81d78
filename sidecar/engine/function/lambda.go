package function

import (
	"errors"
	"fmt"

	"github.com/sidestream/sidestream/sidecar/engine/types"
)

func lambdaFunctions() []*Scalar {
	return []*Scalar{
		scalar("transform", categoryLambda, "Apply a function to each element in a collection. The transformed collection is returned.",
			over("ARRAY<T> array, LAMBDA (T) => R lambda", "ARRAY<R>", transformArray).docs("When transforming an array, the function provided must have two arguments."),
			over("MAP<K, V> map, LAMBDA (K, V) => R lambda1, LAMBDA (K, V) => U lambda2", "MAP<R, U>", transformMap).docs("When transforming a map, two functions must be provided: one for keys and one for values.")),
		scalar("filter", categoryLambda, "Filter the input collection through a given lambda function. The filtered collection is returned.",
			over("ARRAY<T> array, LAMBDA (T) => BOOLEAN lambda", "ARRAY<T>", filterArray).docs("When filtering an array, the function must have one argument."),
			over("MAP<K, V> map, LAMBDA (K, V) => BOOLEAN lambda", "MAP<K, V>", filterMap).docs("When filtering a map, the function must have two arguments.")),
		scalar("reduce", categoryLambda, "Reduce the input collection down to a single value using an initial state and a function. The initial state is passed into the scope of the function.",
			over("ARRAY<T> list, S state, LAMBDA (S, T) => S reduce", "S", reduceArray).docs("When reducing an array, the reduce function must have two arguments."),
			over("MAP<K, V> map, S state, LAMBDA (S, K, V) => S reduce", "S", reduceMap).docs("When reducing a map, the reduce function must have three arguments.")),
	}
}

func transformArray(a []types.Value) (types.Value, error) {
	f := a[1].Func()
	if a[0].IsNull() || f == nil {
		return none, nil
	}
	out := make([]types.Value, len(a[0].Items()))
	for i, x := range a[0].Items() {
		var err error
		if out[i], err = f(x); err != nil {
			return none, err
		}
	}
	return types.NewArray(out), nil
}

func transformMap(a []types.Value) (types.Value, error) {
	key, value := a[1].Func(), a[2].Func()
	if a[0].IsNull() || key == nil || value == nil {
		return none, nil
	}
	out := make([]types.Entry, 0, len(a[0].Entries()))
	for _, e := range a[0].Entries() {
		k, err := key(e.Key, e.Value)
		if err != nil {
			return none, err
		}
		v, err := value(e.Key, e.Value)
		if err != nil {
			return none, err
		}
		n := len(out)
		if out = put(out, k, v); len(out) == n {
			return none, fmt.Errorf("Duplicate key in the transformed map: %s", types.Text(k, types.Type{Kind: k.Kind()}))
		}
	}
	return types.NewMap(out), nil
}

// holds tells whether a lambda's condition is true. NULL can't be a condition.
func holds(v types.Value, err error) (bool, error) {
	if err == nil && v.IsNull() {
		err = errors.New("the condition of FILTER is NULL")
	}
	return v.Bool(), err
}

func filterArray(a []types.Value) (types.Value, error) {
	f := a[1].Func()
	if a[0].IsNull() || f == nil {
		return none, nil
	}
	out := make([]types.Value, 0, len(a[0].Items()))
	for _, x := range a[0].Items() {
		ok, err := holds(f(x))
		if err != nil {
			return none, err
		}
		if ok {
			out = append(out, x)
		}
	}
	return types.NewArray(out), nil
}

func filterMap(a []types.Value) (types.Value, error) {
	f := a[1].Func()
	if a[0].IsNull() || f == nil {
		return none, nil
	}
	out := make([]types.Entry, 0, len(a[0].Entries()))
	for _, e := range a[0].Entries() {
		ok, err := holds(f(e.Key, e.Value))
		if err != nil {
			return none, err
		}
		if ok {
			out = append(out, e)
		}
	}
	return types.NewMap(out), nil
}

func reduceArray(a []types.Value) (types.Value, error) {
	f, state := a[2].Func(), a[1]
	if f == nil || state.IsNull() {
		return none, nil
	}
	for _, x := range a[0].Items() {
		var err error
		if state, err = f(state, x); err != nil {
			return none, err
		}
	}
	return state, nil
}

func reduceMap(a []types.Value) (types.Value, error) {
	f, state := a[2].Func(), a[1]
	if f == nil || state.IsNull() {
		return none, nil
	}
	for _, e := range javaOrder(a[0].Entries()) {
		var err error
		if state, err = f(state, e.Key, e.Value); err != nil {
			return none, err
		}
	}
	return state, nil
}
