package exec_test

import (
	"errors"
	"fmt"
	"strings"

	"github.com/sidestream/sidestream/sidecar/engine/function"
	"github.com/sidestream/sidestream/sidecar/engine/types"
)

// testFunctions is a handful of functions, enough to test operators with.
type testFunctions struct{}

func (testFunctions) Scalar(string) (*function.Scalar, bool)       { return nil, false }
func (testFunctions) Aggregate(string) (*function.Aggregate, bool) { return nil, false }
func (testFunctions) Table(string) (*function.Table, bool)         { return nil, false }
func (testFunctions) List() []function.Listing                     { return nil }

func (testFunctions) ResolveScalar(name string, args []types.Type) (*function.Overload, types.Type, error) {
	return testFunctions{}.ResolveScalarLambda(name, args, nil)
}

func (testFunctions) ResolveScalarLambda(name string, args []types.Type, _ map[int]types.Type) (*function.Overload, types.Type, error) {
	switch name {
	case "UCASE":
		return &function.Overload{Eval: func(a []types.Value) (types.Value, error) {
			if a[0].IsNull() {
				return a[0], nil
			}
			return types.NewString(strings.ToUpper(a[0].Str())), nil
		}}, types.TString, nil
	case "FAIL":
		return &function.Overload{Eval: func([]types.Value) (types.Value, error) {
			return types.Value{}, errors.New("on purpose")
		}}, types.TBigint, nil
	case "TRANSFORM":
		return &function.Overload{Eval: func(a []types.Value) (types.Value, error) {
			out := make([]types.Value, len(a[0].Items()))
			for i, x := range a[0].Items() {
				var err error
				if out[i], err = a[1].Func()(x); err != nil {
					return types.Value{}, err
				}
			}
			return types.NewArray(out), nil
		}}, types.TArray(types.TBigint), nil
	}
	return nil, types.Type{}, fmt.Errorf("no function %s", name)
}

func (testFunctions) LambdaParams(string, []types.Type, int, int) ([]types.Type, bool) {
	return nil, false
}

func (testFunctions) ResolveTable(name string, args []types.Type) (*function.TableOverload, types.Type, error) {
	if name != "SPLIT" {
		return nil, types.Type{}, fmt.Errorf("no table function %s", name)
	}
	return &function.TableOverload{Params: []function.Param{{Type: types.TString}}, Eval: func(a []types.Value) ([]types.Value, error) {
		var out []types.Value
		for _, s := range strings.Fields(a[0].Str()) {
			out = append(out, types.NewString(s))
		}
		return out, nil
	}}, types.TString, nil
}

func (testFunctions) ResolveAggregate(name string, args []types.Type, _ []types.Value) (function.Aggregator, error) {
	switch name {
	case "COUNT":
		return counter{one: true}, nil
	case "SUM":
		return counter{}, nil
	case "LATEST":
		return latest{}, nil
	case "AVG":
		return average{}, nil
	}
	return nil, fmt.Errorf("no aggregate function %s", name)
}

// counter counts rows or adds whole numbers.
type counter struct{ one bool }

func (counter) State() types.Type  { return types.TBigint }
func (counter) Result() types.Type { return types.TBigint }
func (counter) Init() types.Value  { return types.NewBigint(0) }
func (c counter) by(args []types.Value) int64 {
	if c.one {
		return 1
	}
	return args[0].Int()
}
func (c counter) Add(s types.Value, args []types.Value) (types.Value, error) {
	return types.NewBigint(s.Int() + c.by(args)), nil
}
func (c counter) Undo(s types.Value, args []types.Value) (types.Value, error) {
	return types.NewBigint(s.Int() - c.by(args)), nil
}
func (counter) Merge(a, b types.Value) (types.Value, error) {
	return types.NewBigint(a.Int() + b.Int()), nil
}
func (counter) Final(s types.Value) (types.Value, error) { return s, nil }

// latest keeps the last value; it can't take one back.
type latest struct{}

func (latest) State() types.Type  { return types.TString }
func (latest) Result() types.Type { return types.TString }
func (latest) Init() types.Value  { return types.Value{} }
func (latest) Add(s types.Value, args []types.Value) (types.Value, error) {
	return args[0], nil
}
func (latest) Merge(a, b types.Value) (types.Value, error) { return b, nil }
func (latest) Final(s types.Value) (types.Value, error)    { return s, nil }

// average has a state that isn't its result.
type average struct{}

func (average) State() types.Type  { return types.TArray(types.TBigint) }
func (average) Result() types.Type { return types.TBigint }
func (average) Init() types.Value {
	return types.NewArray([]types.Value{types.NewBigint(0), types.NewBigint(0)})
}
func (average) plus(s types.Value, sum, n int64) types.Value {
	i := s.Items()
	return types.NewArray([]types.Value{types.NewBigint(i[0].Int() + sum), types.NewBigint(i[1].Int() + n)})
}
func (a average) Add(s types.Value, args []types.Value) (types.Value, error) {
	return a.plus(s, args[0].Int(), 1), nil
}
func (a average) Undo(s types.Value, args []types.Value) (types.Value, error) {
	return a.plus(s, -args[0].Int(), -1), nil
}
func (a average) Merge(x, y types.Value) (types.Value, error) {
	return a.plus(x, y.Items()[0].Int(), y.Items()[1].Int()), nil
}
func (average) Final(s types.Value) (types.Value, error) {
	i := s.Items()
	if i[1].Int() == 0 {
		return types.NewBigint(0), nil
	}
	return types.NewBigint(i[0].Int() / i[1].Int()), nil
}
