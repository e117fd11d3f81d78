package function

import "github.com/sidestream/sidestream/sidecar/engine/types"

func conditionalFunctions() []*Scalar {
	first := func(args []types.Value) (types.Value, error) {
		for _, a := range args {
			if !a.IsNull() {
				return a, nil
			}
		}
		return none, nil
	}
	return []*Scalar{
		scalar("COALESCE", categoryConditional, "Returns first non-null element", over("T first, T... others", "T", first)),
		scalar("ifnull", categoryConditional, "Returns expression if not NULL, otherwise the alternative value", over("T expression, T altValue", "T", first)),
		scalar("nullif", categoryConditional, "Returns NULL if two expressions are equal, otherwise it returns expression1.",
			over("T expression1, T expression2", "T", func(a []types.Value) (types.Value, error) {
				if !a[0].IsNull() && !a[1].IsNull() && types.Equal(a[0], a[1]) {
					return none, nil
				}
				return a[0], nil
			})),
	}
}
