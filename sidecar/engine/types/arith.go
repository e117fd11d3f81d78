package types

import (
	"errors"
	"fmt"
	"math"
	"math/big"
	"math/bits"
)

// Arithmetic in SQL: INTEGER and BIGINT wrap and truncate as Java's do; a
// DECIMAL's result must be exact within the result type's precision; anything
// with a DOUBLE is a DOUBLE.

// Op is an arithmetic operator on numbers.
type Op uint8

// The operators, in the order of plan.ArithOp.
const (
	OpAdd Op = iota
	OpSub
	OpMul
	OpDiv
	OpMod
)

func (o Op) String() string { return [...]string{"+", "-", "*", "/", "%"}[o] }

var (
	errDivideByZero = errors.New("/ by zero")
	errInexact      = errors.New("Rounding necessary")
)

// ArithType is the type of a op b for two numeric types.
func ArithType(op Op, a, b Type) (Type, error) {
	if !a.IsNumeric() || !b.IsNumeric() {
		return Type{}, fmt.Errorf("%s %s %s: the operands must be numbers", a, op, b)
	}
	switch {
	case a.Kind == Double || b.Kind == Double:
		return TDouble, nil
	case a.Kind != Decimal && b.Kind != Decimal:
		return Type{Kind: max(a.Kind, b.Kind)}, nil
	}
	x, y := AsDecimalType(a), AsDecimalType(b)
	p1, s1, p2, s2 := x.Precision, x.Scale, y.Precision, y.Scale
	switch op {
	case OpMul:
		return TDecimal(p1+p2+1, s1+s2), nil
	case OpDiv:
		s := max(6, s1+p2+1)
		return TDecimal(p1-s1+s2+s, s), nil
	case OpMod:
		s := max(s1, s2)
		return TDecimal(min(p1-s1, p2-s2)+s, s), nil
	default:
		s := max(s1, s2)
		return TDecimal(max(p1-s1, p2-s2)+s+1, s), nil
	}
}

// AsDecimalType is the DECIMAL that holds every value of an integer type; a
// DECIMAL is returned as it is.
func AsDecimalType(t Type) Type {
	switch t.Kind {
	case Integer:
		return TDecimal(10, 0)
	case Bigint:
		return TDecimal(19, 0)
	}
	return t
}

// Add is a + b as a value of result, which ArithType gave. Neither is NULL.
func Add(a, b Value, result Type) (Value, error) { return Arith(OpAdd, a, b, result) }

// Sub is a - b.
func Sub(a, b Value, result Type) (Value, error) { return Arith(OpSub, a, b, result) }

// Mul is a * b.
func Mul(a, b Value, result Type) (Value, error) { return Arith(OpMul, a, b, result) }

// Div is a / b: integers by zero are an error, doubles infinite.
func Div(a, b Value, result Type) (Value, error) { return Arith(OpDiv, a, b, result) }

// Mod is a % b, with the sign of a.
func Mod(a, b Value, result Type) (Value, error) { return Arith(OpMod, a, b, result) }

// Arith is a op b as a value of result.
func Arith(op Op, a, b Value, result Type) (Value, error) {
	switch result.Kind {
	case Double:
		return NewDouble(arithFloat(op, AsFloat(a), AsFloat(b))), nil
	case Integer:
		i, err := arithInt(op, a.Int(), b.Int())
		return NewInt(int32(i)), err
	case Bigint:
		i, err := arithInt(op, a.Int(), b.Int())
		return NewBigint(i), err
	case Decimal:
		a, b = AsDecimal(a), AsDecimal(b)
		if v, ok := arithSmall(op, a, b, result); ok {
			return v, nil
		}
		return arithBig(op, a, b, result)
	}
	return Value{}, fmt.Errorf("%s: the result can't be %s", op, result)
}

func arithFloat(op Op, x, y float64) float64 {
	switch op {
	case OpAdd:
		return x + y
	case OpSub:
		return x - y
	case OpMul:
		return x * y
	case OpDiv:
		return x / y
	default:
		return math.Mod(x, y)
	}
}

func arithInt(op Op, x, y int64) (int64, error) {
	switch op {
	case OpAdd:
		return x + y, nil
	case OpSub:
		return x - y, nil
	case OpMul:
		return x * y, nil
	}
	if y == 0 {
		return 0, errDivideByZero
	}
	if y == -1 { // the smallest number has no opposite
		if op == OpDiv {
			return -x, nil
		}
		return 0, nil
	}
	if op == OpDiv {
		return x / y, nil
	}
	return x % y, nil
}

// arithSmall computes on unscaled 64-bit numbers; ok is false when it may
// overflow, divides, or the result must be checked closer.
func arithSmall(op Op, a, b Value, t Type) (v Value, ok bool) {
	x, sx, ok1 := a.SmallDecimal()
	y, sy, ok2 := b.SmallDecimal()
	if !ok1 || !ok2 || op == OpDiv {
		return v, false
	}
	if op == OpMul {
		hi, lo := bits.Mul64(magnitude(x), magnitude(y))
		if hi != 0 || lo > math.MaxInt64 || sx+sy != t.Scale {
			return v, false
		}
		return checkSmall(x*y, t)
	}
	if x, ok = rescale(x, t.Scale-sx); !ok {
		return v, false
	}
	if y, ok = rescale(y, t.Scale-sy); !ok {
		return v, false
	}
	switch op {
	case OpSub:
		if y == math.MinInt64 {
			return v, false
		}
		y = -y
		fallthrough
	case OpAdd:
		s := x + y
		if (x^s)&(y^s) < 0 {
			return v, false
		}
		return checkSmall(s, t)
	default:
		if y == 0 {
			return v, false
		}
		return checkSmall(x%y, t)
	}
}

func magnitude(i int64) uint64 {
	if i < 0 {
		return uint64(-i)
	}
	return uint64(i)
}

func rescale(u int64, by int) (int64, bool) {
	if by == 0 {
		return u, true
	}
	if by < 0 || by >= len(pow10) {
		return 0, false
	}
	p := pow10[by]
	if u > math.MaxInt64/p || u < math.MinInt64/p {
		return 0, false
	}
	return u * p, true
}

// checkSmall tells whether u surely has no more digits than t allows.
func checkSmall(u int64, t Type) (Value, bool) {
	if t.Precision < len(pow10) && (u >= pow10[t.Precision] || u <= -pow10[t.Precision]) {
		return Value{}, false
	}
	return NewDecimal(u, t.Scale), true
}

func arithBig(op Op, a, b Value, t Type) (Value, error) {
	x, sx := unscaled(a)
	y, sy := unscaled(b)
	scale := t.Scale
	switch op {
	case OpMul:
		x.Mul(x, y)
		scale = sx + sy
	case OpDiv:
		if y.Sign() == 0 {
			return Value{}, errDivideByZero
		}
		// x/10^sx ÷ y/10^sy = q/10^scale
		if shift := scale - sx + sy; shift >= 0 {
			x.Mul(x, pow10Big(shift))
		} else {
			y.Mul(y, pow10Big(-shift))
		}
		r := new(big.Int)
		if x.QuoRem(x, y, r); r.Sign() != 0 {
			return Value{}, errInexact
		}
	default:
		scale = max(sx, sy)
		x.Mul(x, pow10Big(scale-sx))
		y.Mul(y, pow10Big(scale-sy))
		switch op {
		case OpAdd:
			x.Add(x, y)
		case OpSub:
			x.Sub(x, y)
		default:
			if y.Sign() == 0 {
				return Value{}, errDivideByZero
			}
			x.Rem(x, y)
		}
	}
	v := newUnscaled(x, scale)
	fitted, err := Fit(v, t)
	if err != nil {
		return Value{}, fmt.Errorf("%w: %s has no place in %s", errInexact, FormatDecimal(v), t)
	}
	return fitted, nil
}

// Negate is -v, of the same type.
func Negate(v Value) Value {
	switch v.Kind() {
	case Integer:
		return NewInt(-int32(v.Int()))
	case Bigint:
		return NewBigint(-v.Int())
	case Double:
		return NewDouble(-v.Float())
	case Decimal:
		b, s := unscaled(v)
		return newUnscaled(b.Neg(b), s)
	}
	return v
}
