package function

import (
	"github.com/sidestream/sidestream/sidecar/engine/types"
)

func tableFunctions() []*Table {
	explodeValues := func(args []types.Value) ([]types.Value, error) { return args[0].Items(), nil }
	overload := func(params, result, doc string, eval func(args []types.Value) ([]types.Value, error)) TableOverload {
		o := TableOverload{Doc: doc, Eval: eval}
		o.Params, o.Variadic = signature(params)
		o.result = resultShape(result)
		return o
	}
	decimals := overload("ARRAY<DECIMAL> input", "DECIMAL", "Explodes an array. This function outputs one value for each element.", explodeValues)
	decimals.ReturnFor = func(args []types.Type) (types.Type, error) {
		if args[0].Elem == nil {
			return types.TNull, nil
		}
		return *args[0].Elem, nil
	}
	return []*Table{
		{
			Name: "EXPLODE", Display: "explode", Author: author,
			Doc: "Explodes an array. This function outputs one value for each element.",
			Overloads: []TableOverload{
				decimals,
				overload("ARRAY<T> list", "T", "Explodes an array. This function outputs one value for each element.", explodeValues),
			},
		},
		{
			Name: "CUBE_EXPLODE", Display: "cube_explode", Author: author,
			Doc: "Takes as argument a list of columns and outputs all possible combinations of them. It produces 2^d new rows where d is the number of columns given as parameter. Duplicate entries for columns with null value are skipped.",
			Overloads: []TableOverload{
				overload("ARRAY<T> columns", "ARRAY<T>", "", cubeExplode),
			},
		},
	}
}

// maxCube bounds the columns of CUBE_EXPLODE: it yields 2^n rows.
const maxCube = 20

// cubeExplode yields every way to replace columns by NULL, the fullest last. A
// column that is NULL already doubles nothing.
func cubeExplode(args []types.Value) ([]types.Value, error) {
	items := args[0].Items()
	if args[0].IsNull() {
		return nil, nil
	}
	present := 0
	for _, v := range items {
		if !v.IsNull() {
			present++
		}
	}
	if present > maxCube {
		return nil, errTooMany("CUBE_EXPLODE", present, maxCube)
	}
	out := make([]types.Value, 0, 1<<present)
	for mask := range 1 << present {
		row := make([]types.Value, len(items))
		bit := present - 1
		for i, v := range items {
			if v.IsNull() {
				continue
			}
			if mask&(1<<bit) != 0 {
				row[i] = v
			}
			bit--
		}
		out = append(out, types.NewArray(row))
	}
	return out, nil
}
