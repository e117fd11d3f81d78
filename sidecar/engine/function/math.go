package function

import (
	"math"
	"math/rand/v2"

	"github.com/sidestream/sidestream/sidecar/engine/types"
)

// onNumbers declares the overloads of a function of doubles that also takes
// whole numbers. params are the parameters' names.
func onNumbers(doc string, f func(x []float64) float64, params ...string) []Overload {
	var out []Overload
	for _, t := range []string{"INTEGER", "BIGINT", "DOUBLE"} {
		text := ""
		for i, p := range params {
			if i > 0 {
				text += ", "
			}
			text += t + " " + p
		}
		out = append(out, nullable(text, "DOUBLE", func(args []types.Value) (types.Value, error) {
			var x [2]float64
			for i, a := range args {
				x[i] = types.AsFloat(a)
			}
			return double(f(x[:len(args)])), nil
		}).docs(doc))
	}
	return out
}

func mathFunctions() []*Scalar {
	one := func(name, doc string, f func(float64) float64) *Scalar {
		return scalar(name, categoryMath, doc, onNumbers(doc, func(x []float64) float64 { return f(x[0]) }, "value")...)
	}
	logs := append(onNumbers("Returns the natural logarithm (base e) of a number.", func(x []float64) float64 { return math.Log(x[0]) }, "value"),
		onNumbers("Returns the logarithm of a number with the given base.", func(x []float64) float64 { return logBase(x[0], x[1]) }, "base", "value")...)
	return []*Scalar{
		scalar("Abs", categoryMath, "Returns the absolute value of its argument. If the argument is not negative, the argument is returned. If the argument is negative, the negation of the argument is returned.",
			nullable("INTEGER val", "INTEGER", func(a []types.Value) (types.Value, error) { return types.NewInt(int32(absInt(a[0].Int()))), nil }),
			nullable("BIGINT val", "BIGINT", func(a []types.Value) (types.Value, error) { return bigint(absInt(a[0].Int())), nil }),
			nullable("DOUBLE val", "DOUBLE", func(a []types.Value) (types.Value, error) { return double(math.Abs(a[0].Float())), nil }),
			computed("DECIMAL val", sameDecimal, strict(func(a []types.Value) (types.Value, error) {
				if a[0].Apd().Negative {
					return types.Negate(a[0]), nil
				}
				return a[0], nil
			})),
		),
		scalar("sign", categoryMath, "Returns the sign of an INTEGER, BIGINT or DOUBLE, denoted by 1, 0 or -1.",
			signOver("INTEGER"), signOver("BIGINT"), signOver("DOUBLE")),
		one("exp", "Returns Euler's number e raised to the power of an INTEGER, BIGINT or DOUBLE.", math.Exp),
		one("ln", "Returns the natural logarithm (base e) of an INTEGER, BIGINT or DOUBLE.", math.Log),
		scalar("log", categoryMath, "Returns the logarithm of a number, to the base e or the given one.", logs...),
		one("sqrt", "Returns the correctly rounded positive square root of a number.", math.Sqrt),
		one("cbrt", "Returns the cube root of a number.", math.Cbrt),
		scalar("power", categoryMath, "Returns a number raised to the power of another.",
			onNumbers("Returns the base raised to the power of the exponent.", func(x []float64) float64 { return math.Pow(x[0], x[1]) }, "base", "exponent")...),
		one("sin", "Returns the sine of an angle in radians.", sine),
		one("cos", "Returns the cosine of an angle in radians.", cosine),
		one("tan", "Returns the tangent of an angle in radians.", math.Tan),
		one("cot", "Returns the cotangent of an angle in radians.", func(x float64) float64 { return 1 / math.Tan(x) }),
		one("asin", "Returns the arc sine of a number, in radians.", math.Asin),
		one("acos", "Returns the arc cosine of a number, in radians.", math.Acos),
		one("atan", "Returns the arc tangent of a number, in radians.", math.Atan),
		scalar("atan2", categoryMath, "Returns the arc tangent of y / x, in radians.",
			onNumbers("Returns the angle of the point (x, y).", func(x []float64) float64 { return math.Atan2(x[0], x[1]) }, "y", "x")...),
		one("sinh", "Returns the hyperbolic sine of a number.", math.Sinh),
		one("cosh", "Returns the hyperbolic cosine of a number.", math.Cosh),
		one("tanh", "Returns the hyperbolic tangent of a number.", math.Tanh),
		one("degrees", "Converts an angle from radians to degrees.", func(x float64) float64 { return x * (180 / math.Pi) }),
		one("radians", "Converts an angle from degrees to radians.", func(x float64) float64 { return x * (math.Pi / 180) }),
		scalar("pi", categoryMath, "Returns an approximate value of pi.",
			over("", "DOUBLE", func([]types.Value) (types.Value, error) { return double(math.Pi), nil })),
		scalar("random", categoryMath, "Returns a random number greater than or equal to 0.0 and less than 1.0.",
			over("", "DOUBLE", func([]types.Value) (types.Value, error) { return double(rand.Float64()), nil })),
		extremeOf("greatest", "Returns the highest value among its arguments that are not NULL.", 1),
		extremeOf("least", "Returns the lowest value among its arguments that are not NULL.", -1),
	}
}

func absInt(i int64) int64 {
	if i < 0 {
		return -i
	}
	return i
}

func signOver(t string) Overload {
	return nullable(t+" value", "INTEGER", func(a []types.Value) (types.Value, error) {
		switch x := types.AsFloat(a[0]); {
		case x > 0:
			return integer(1), nil
		case x < 0:
			return integer(-1), nil
		}
		return integer(0), nil
	})
}

// logBase is NaN for bases that make no logarithm, also where the quotient of
// logarithms would be infinite.
func logBase(base, x float64) float64 {
	if base <= 0 || base == 1 {
		return math.NaN()
	}
	return math.Log(x) / math.Log(base)
}

func sameDecimal(args []types.Type) (types.Type, error) {
	if args[0].Kind == types.Null {
		return types.TNull, nil
	}
	return types.AsDecimalType(args[0]), nil
}

// widestDecimal is the DECIMAL that holds all arguments.
func widestDecimal(args []types.Type) (types.Type, error) {
	whole, scale := 0, 0
	for _, a := range args {
		if t := types.AsDecimalType(a); t.Kind == types.Decimal {
			whole, scale = max(whole, t.Precision-t.Scale), max(scale, t.Scale)
		}
	}
	return types.TDecimal(max(1, whole+scale), scale), nil
}

// extremeOf is GREATEST (sign 1) or LEAST (sign -1).
func extremeOf(name, doc string, sign int) *Scalar {
	pick := func(args []types.Value) types.Value {
		best := none
		for _, a := range args {
			if !a.IsNull() && (best.IsNull() || types.Compare(a, best)*sign > 0) {
				best = a
			}
		}
		return best
	}
	f := scalar(name, categoryMath, doc)
	for _, t := range []string{"INTEGER", "BIGINT", "DOUBLE", "STRING", "BYTES", "DATE", "TIME", "TIMESTAMP"} {
		f.Overloads = append(f.Overloads, over(t+" val, "+t+"... vals", t, func(args []types.Value) (types.Value, error) { return pick(args), nil }))
	}
	// The value found keeps its own scale.
	decimals := computed("DECIMAL val, DECIMAL... vals", widestDecimal, func(args []types.Value) (types.Value, error) { return pick(args), nil })
	f.Overloads = append(f.Overloads, decimals)
	return f
}
