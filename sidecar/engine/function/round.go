package function

import (
	"math"
	"math/big"

	"github.com/sidestream/sidestream/sidecar/engine/types"
)

// rounding is how ROUND, TRUNC, CEIL and FLOOR drop digits.
type rounding func(quotient, remainder, divisor *big.Int) bool // tells whether to add 1 to the floor

func halfUp(_, r, d *big.Int) bool     { return new(big.Int).Lsh(r, 1).Cmp(d) >= 0 }
func upward(_, r, _ *big.Int) bool     { return r.Sign() > 0 }
func downward(_, _, _ *big.Int) bool   { return false }
func towardZero(q, r, _ *big.Int) bool { return q.Sign() < 0 && r.Sign() > 0 }

// atPlaces rounds a decimal to places digits behind the point (before it, if
// negative), and gives it the scale of t. ROUND's half goes up, also below
// zero: -2.75 at one place is -2.7.
func atPlaces(v types.Value, places int, t types.Type, mode rounding) (types.Value, error) {
	d := v.Apd()
	u := new(big.Int).Set(d.Coeff.MathBigInt())
	if d.Negative {
		u.Neg(u)
	}
	scale := -int(d.Exponent)
	if drop := scale - places; drop > 0 {
		unit := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(drop)), nil)
		q, r := new(big.Int), new(big.Int)
		q.DivMod(u, unit, r) // the floor, since unit is positive
		if mode(q, r, unit) {
			q.Add(q, big.NewInt(1))
		}
		u.Mul(q, unit)
	}
	out, err := types.ParseDecimal(u.String() + "E" + big.NewInt(int64(-scale)).String())
	if err != nil {
		return none, err
	}
	// The result may have a digit more than the type: 9.9 rounds to 10.
	return types.Fit(out, types.TDecimal(t.Precision+maxPlaces, t.Scale))
}

// doubleAtPlaces rounds a double by its shortest decimal text, as Java's
// BigDecimal.valueOf reads it.
func doubleAtPlaces(x float64, places int, mode rounding) float64 {
	if math.IsNaN(x) || math.IsInf(x, 0) {
		return x
	}
	v, err := types.ParseDecimal(types.FormatDouble(x))
	if err != nil {
		return x
	}
	out, err := atPlaces(v, places, types.TDecimal(maxPlaces, max(0, -int(v.Apd().Exponent))), mode)
	if err != nil {
		return x
	}
	return types.AsFloat(out)
}

// maxPlaces bounds the digits that ROUND and TRUNC are asked for.
const maxPlaces = 400

// wholeDecimal is a decimal without the digits behind the point.
func wholeDecimal(args []types.Type) (types.Type, error) {
	t, _ := sameDecimal(args)
	if t.Kind != types.Decimal {
		return t, nil
	}
	return types.TDecimal(max(1, t.Precision-t.Scale), 0), nil
}

// typedDecimal declares an overload of decimals whose code needs the result's
// type.
func typedDecimal(params string, result func([]types.Type) (types.Type, error), eval func(args []types.Value, t types.Type) (types.Value, error)) Overload {
	o := computed(params, result, nil)
	o.EvalTyped = func(_ []types.Type, t types.Type) func([]types.Value) (types.Value, error) {
		return strict(func(args []types.Value) (types.Value, error) { return eval(args, t) })
	}
	return o
}

func roundFunctions() []*Scalar {
	whole := func(name, doc string, f func(float64) float64, mode rounding) *Scalar {
		return scalar(name, categoryMath, doc,
			nullable("INTEGER val", "INTEGER", func(a []types.Value) (types.Value, error) { return a[0], nil }),
			nullable("BIGINT val", "BIGINT", func(a []types.Value) (types.Value, error) { return a[0], nil }),
			nullable("DOUBLE val", "DOUBLE", func(a []types.Value) (types.Value, error) { return double(f(a[0].Float())), nil }),
			typedDecimal("DECIMAL val", sameDecimal, func(a []types.Value, t types.Type) (types.Value, error) { return atPlaces(a[0], 0, t, mode) }),
		)
	}
	places := func(name, doc string, whole func(float64) float64, mode rounding) *Scalar {
		digits := func(v types.Value) int { return int(max(-maxPlaces, min(maxPlaces, v.Int()))) }
		return scalar(name, categoryMath, doc,
			nullable("INTEGER val", "INTEGER", func(a []types.Value) (types.Value, error) { return a[0], nil }).docs("Returns the value."),
			nullable("BIGINT val", "BIGINT", func(a []types.Value) (types.Value, error) { return a[0], nil }).docs("Returns the value."),
			nullable("DOUBLE val", "BIGINT", func(a []types.Value) (types.Value, error) {
				return types.Cast(double(whole(a[0].Float())), types.TDouble, types.TBigint)
			}).docs("Returns a whole number."),
			nullable("DOUBLE val, INTEGER decimalPlaces", "DOUBLE", func(a []types.Value) (types.Value, error) {
				return double(doubleAtPlaces(a[0].Float(), digits(a[1]), mode)), nil
			}).docs("Keeps the given number of decimal places."),
			typedDecimal("DECIMAL val", wholeDecimal, func(a []types.Value, t types.Type) (types.Value, error) { return atPlaces(a[0], 0, t, mode) }),
			typedDecimal("DECIMAL val, INTEGER decimalPlaces", sameDecimal, func(a []types.Value, t types.Type) (types.Value, error) {
				return atPlaces(a[0], digits(a[1]), t, mode)
			}).docs("Keeps the given number of decimal places; the scale of the type stays."),
		)
	}
	return []*Scalar{
		whole("Ceil", "Returns the smallest whole number that is not less than the argument.", math.Ceil, upward),
		whole("Floor", "Returns the largest whole number that is not greater than the argument.", math.Floor, downward),
		places("Round", "Rounds a value, half up: a half goes to the greater number, also below zero.", func(x float64) float64 { return math.Floor(x + 0.5) }, halfUp),
		places("Trunc", "Cuts a value to a whole number or to the given number of decimal places.", math.Trunc, towardZero),
	}
}
