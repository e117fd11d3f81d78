package function

import (
	"math"

	"github.com/sidestream/sidestream/sidecar/engine/types"
)

// stddevFunction is STDDEV_SAMP, which yields the variance of the sample (a
// mistake of ksqlDB that queries rely on), or STDDEV_SAMPLE, which yields its
// square root.
func stddevFunction(name string, root bool) *Aggregate {
	f := &Aggregate{Name: name, Author: author, Doc: "Computes the sample standard deviation of the column."}
	if !root {
		f.Doc = "Computes the sample variance of the column; STDDEV_SAMPLE computes the standard deviation."
	}
	state := structOf(types.Field{Name: "SUM", Type: types.TDouble}, types.Field{Name: "COUNT", Type: types.TBigint}, types.Field{Name: "M2", Type: types.TDouble})
	for _, t := range []string{"INTEGER", "BIGINT", "DOUBLE"} {
		f.Overloads = append(f.Overloads, aggregateOver(t+" val", "", "DOUBLE", f.Doc, func([]types.Type, []types.Value) (Aggregator, error) {
			return &undoable{aggregator{
				state: state, result: types.TDouble, init: moments(0, 0, 0),
				add: func(s types.Value, args []types.Value) (types.Value, error) {
					if args[0].IsNull() {
						return s, nil
					}
					sum, n, m2 := momentsOf(s)
					x := types.AsFloat(args[0])
					sum, n = sum+x, n+1
					if n > 1 { // Youngs and Cramer
						d := n*x - sum
						m2 += d * d / (n * (n - 1))
					}
					return moments(sum, n, m2), nil
				},
				merge: func(a, b types.Value) (types.Value, error) {
					s1, n1, m1 := momentsOf(a)
					s2, n2, m2 := momentsOf(b)
					if n1 == 0 || n2 == 0 {
						return moments(s1+s2, n1+n2, m1+m2), nil
					}
					d := s1/n1 - s2/n2
					return moments(s1+s2, n1+n2, m1+m2+d*d*n1*n2/(n1+n2)), nil
				},
				final: func(s types.Value) (types.Value, error) {
					_, n, m2 := momentsOf(s)
					if n < 2 {
						return double(0), nil
					}
					v := m2 / (n - 1)
					if root {
						v = math.Sqrt(v)
					}
					return double(v), nil
				},
			}, func(s types.Value, args []types.Value) (types.Value, error) {
				if args[0].IsNull() {
					return s, nil
				}
				sum, n, m2 := momentsOf(s)
				x := types.AsFloat(args[0])
				if n <= 1 {
					return moments(0, 0, 0), nil
				}
				d := n*x - sum
				return moments(sum-x, n-1, max(0, m2-d*d/(n*(n-1)))), nil
			}}, nil
		}))
	}
	return f
}

func moments(sum, n, m2 float64) types.Value {
	return types.NewStruct([]types.Value{double(sum), bigint(int64(n)), double(m2)})
}

func momentsOf(s types.Value) (sum, n, m2 float64) {
	parts := s.Items()
	return parts[0].Float(), float64(parts[1].Int()), parts[2].Float()
}

// correlationFunction is Pearson's coefficient of two columns.
func correlationFunction() *Aggregate {
	f := &Aggregate{Name: "CORRELATION", Author: author, Doc: "Computes the Pearson correlation coefficient between two columns."}
	names := []string{"SUM_X", "SUM_Y", "SUM_XX", "SUM_YY", "SUM_XY"}
	state := structOf(types.Field{Name: "COUNT", Type: types.TBigint})
	for _, n := range names {
		state.Fields = append(state.Fields, types.Field{Name: n, Type: types.TDouble})
	}
	plus := func(a types.Value, n int64, sums ...float64) types.Value {
		parts := a.Items()
		out := make([]types.Value, len(parts))
		out[0] = bigint(parts[0].Int() + n)
		for i, x := range sums {
			out[i+1] = double(parts[i+1].Float() + x)
		}
		return types.NewStruct(out)
	}
	step := func(sign float64) func(s types.Value, args []types.Value) (types.Value, error) {
		return func(s types.Value, args []types.Value) (types.Value, error) {
			if args[0].IsNull() || args[1].IsNull() {
				return s, nil
			}
			x, y := types.AsFloat(args[0]), types.AsFloat(args[1])
			return plus(s, int64(sign), sign*x, sign*y, sign*x*x, sign*y*y, sign*x*y), nil
		}
	}
	for _, t := range []string{"DOUBLE", "INTEGER", "BIGINT"} {
		f.Overloads = append(f.Overloads, aggregateOver(t+" x, "+t+" y", "", "DOUBLE", f.Doc, func([]types.Type, []types.Value) (Aggregator, error) {
			return &undoable{aggregator{
				state: state, result: types.TDouble,
				init: types.NewStruct([]types.Value{bigint(0), double(0), double(0), double(0), double(0), double(0)}),
				add:  step(1),
				merge: func(a, b types.Value) (types.Value, error) {
					p := b.Items()
					return plus(a, p[0].Int(), p[1].Float(), p[2].Float(), p[3].Float(), p[4].Float(), p[5].Float()), nil
				},
				final: func(s types.Value) (types.Value, error) {
					p := s.Items()
					n, x, y := float64(p[0].Int()), p[1].Float(), p[2].Float()
					if n == 0 {
						return double(math.NaN()), nil
					}
					top := n*p[5].Float() - x*y
					return double(top / (math.Sqrt(n*p[3].Float()-x*x) * math.Sqrt(n*p[4].Float()-y*y))), nil
				},
			}, step(-1)}, nil
		}))
	}
	return f
}
