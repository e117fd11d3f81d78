package function

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/sidestream/sidestream/sidecar/engine/types"
)

// maxSeries bounds the length of what GENERATE_SERIES makes.
const maxSeries = 1 << 20

func arrayFunctions() []*Scalar {
	return []*Scalar{
		scalar("array_length", categoryArray, "Returns the length on an array",
			nullable("ARRAY<T> array", "INTEGER", func(a []types.Value) (types.Value, error) { return integer(len(a[0].Items())), nil })),
		scalar("array_contains", categoryArray, "Returns true if the array contains the value.",
			over("ARRAY<T> array, T val", "BOOLEAN", func(a []types.Value) (types.Value, error) {
				return boolean(!a[0].IsNull() && indexOf(a[0].Items(), a[1]) >= 0), nil
			})),
		scalar("array_concat", categoryArray, "Concatenates two arrays, creating an array that contains all the elements in the first array followed by all the elements in the second array.",
			over("ARRAY<T> left, ARRAY<T> right", "ARRAY<T>", func(a []types.Value) (types.Value, error) {
				if a[0].IsNull() {
					return a[1], nil
				}
				return types.NewArray(append(slices.Clone(a[0].Items()), a[1].Items()...)), nil
			})),
		arrayJoin(),
		arrayExtreme("array_max", "Return the maximum value from within an array of primitive values.", 1),
		arrayExtreme("array_min", "Return the minimum value from within an array of primitive values.", -1),
		scalar("array_remove", categoryArray, "Removes all elements from the array that are equal to the element.",
			over("ARRAY<T> array, T element", "ARRAY<T>", func(a []types.Value) (types.Value, error) {
				if a[0].IsNull() {
					return none, nil
				}
				out := []types.Value{}
				for _, x := range a[0].Items() {
					if !types.Equal(x, a[1]) {
						out = append(out, x)
					}
				}
				return types.NewArray(out), nil
			})),
		scalar("array_sort", categoryArray, "Sort an array of primitive values, in ascending or descending order; NULLs come last.",
			nullable("ARRAY<T> array", "ARRAY<T>", func(a []types.Value) (types.Value, error) { return arraySort(a[0], 1), nil }),
			nullable("ARRAY<T> array, STRING direction", "ARRAY<T>", func(a []types.Value) (types.Value, error) {
				switch d := strings.ToUpper(a[1].Str()); {
				case d == "ASC" || d == "ASCENDING":
					return arraySort(a[0], 1), nil
				case d == "DESC" || d == "DESCENDING":
					return arraySort(a[0], -1), nil
				}
				return none, fmt.Errorf("array_sort: the direction must be ASC or DESC, but was %q", a[1].Str())
			})),
		scalar("slice", categoryArray, "Slice of an array, from the first to the last position, both counted from 1 and included.",
			over("ARRAY<T> in, INTEGER from, INTEGER to", "ARRAY<T>", slice)),
		scalar("generate_series", categoryArray, "Construct an array of a range of values",
			nullable("INTEGER start, INTEGER end", "ARRAY<INTEGER>", series(types.Integer)),
			nullable("INTEGER start, INTEGER end, INTEGER step", "ARRAY<INTEGER>", series(types.Integer)),
			nullable("BIGINT start, BIGINT end", "ARRAY<BIGINT>", series(types.Bigint)),
			nullable("BIGINT start, BIGINT end, INTEGER step", "ARRAY<BIGINT>", series(types.Bigint))),
	}
}

func arrayJoin() *Scalar {
	f := scalar("array_join", categoryArray, "joins the array elements into a flat string representation")
	for _, params := range []string{"ARRAY<T> array", "ARRAY<T> array, STRING delimiter"} {
		o := over(params, "STRING", nil)
		o.EvalTyped = func(args []types.Type, _ types.Type) func([]types.Value) (types.Value, error) {
			elem := types.TNull
			if args[0].Elem != nil {
				elem = *args[0].Elem
			}
			return func(a []types.Value) (types.Value, error) {
				if k := elem.Kind; k == types.Array || k == types.Map || k == types.Struct {
					return none, fmt.Errorf("array_join: can't join elements of type %s", elem)
				}
				if a[0].IsNull() {
					return none, nil
				}
				delimiter := ","
				if len(a) > 1 {
					delimiter = a[1].Str()
				}
				parts := make([]string, len(a[0].Items()))
				for i, x := range a[0].Items() {
					parts[i] = types.Text(x, elem)
					if x.IsNull() {
						parts[i] = "null"
					}
				}
				return text(strings.Join(parts, delimiter)), nil
			}
		}
		f.Overloads = append(f.Overloads, o)
	}
	return f
}

func arrayExtreme(name, doc string, sign int) *Scalar {
	return scalar(name, categoryArray, doc, over("ARRAY<T> array", "T", func(a []types.Value) (types.Value, error) {
		best := none
		for _, x := range a[0].Items() {
			if !x.IsNull() && (best.IsNull() || types.Compare(x, best)*sign > 0) {
				best = x
			}
		}
		return best, nil
	}))
}

func arraySort(v types.Value, sign int) types.Value {
	items := slices.Clone(v.Items())
	slices.SortStableFunc(items, func(a, b types.Value) int {
		switch {
		case a.IsNull() && b.IsNull():
			return 0
		case a.IsNull():
			return 1
		case b.IsNull():
			return -1
		}
		return types.Compare(a, b) * sign
	})
	return types.NewArray(items)
}

// slice has no bound where the position is NULL.
func slice(a []types.Value) (types.Value, error) {
	if a[0].IsNull() {
		return none, nil
	}
	items := a[0].Items()
	from, to := int64(1), int64(len(items))
	if !a[1].IsNull() {
		from = a[1].Int()
	}
	if !a[2].IsNull() {
		to = a[2].Int()
	}
	if from < 1 || to > int64(len(items)) || from > to+1 {
		return none, nil
	}
	return types.NewArray(items[from-1 : to]), nil
}

func series(kind types.Kind) evalFunc {
	return func(a []types.Value) (types.Value, error) {
		from, to := a[0].Int(), a[1].Int()
		step := int64(1)
		if to < from {
			step = -1
		}
		if len(a) > 2 {
			step = a[2].Int()
			switch {
			case step == 0:
				return none, errors.New("GENERATE_SERIES step cannot be zero")
			case (to > from) != (step > 0) && to != from:
				return none, errors.New("GENERATE_SERIES step has wrong sign")
			}
		}
		n := (to-from)/step + 1
		if n < 1 || n > maxSeries {
			return none, fmt.Errorf("GENERATE_SERIES can make %d values at most", maxSeries)
		}
		items := make([]types.Value, n)
		for i := range items {
			x := from + int64(i)*step
			if kind == types.Integer {
				items[i] = types.NewInt(int32(x))
			} else {
				items[i] = bigint(x)
			}
		}
		return types.NewArray(items), nil
	}
}
