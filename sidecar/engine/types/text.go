package types

import (
	"encoding/base64"
	"math"
	"math/big"
	"strconv"
	"time"
)

// AppendDouble appends f as Java's Double.toString writes it, which is how
// ksqlDB shows a DOUBLE everywhere: 1.0, 1.0E10, 0.001, NaN, -Infinity.
func AppendDouble(dst []byte, f float64) []byte {
	switch {
	case math.IsNaN(f):
		return append(dst, "NaN"...)
	case math.IsInf(f, 1):
		return append(dst, "Infinity"...)
	case math.IsInf(f, -1):
		return append(dst, "-Infinity"...)
	case f == 0:
		if math.Signbit(f) {
			return append(dst, "-0.0"...)
		}
		return append(dst, "0.0"...)
	}
	if abs := math.Abs(f); abs >= 1e-3 && abs < 1e7 {
		start := len(dst)
		dst = strconv.AppendFloat(dst, f, 'f', -1, 64)
		for _, c := range dst[start:] {
			if c == '.' {
				return dst
			}
		}
		return append(dst, '.', '0')
	}
	var buf [32]byte
	e := strconv.AppendFloat(buf[:0], f, 'e', -1, 64)
	if digits := 1 + boolInt(e[0] == '-'); e[digits] == 'e' {
		// Java wants two digits at least, and then the two that are closest.
		e = strconv.AppendFloat(buf[:0], f, 'e', 1, 64)
	}
	for i, c := range e {
		if c != 'e' {
			continue
		}
		dst = append(append(dst, e[:i]...), 'E')
		exp := e[i+1:]
		if exp[0] == '-' {
			dst = append(dst, '-')
		}
		exp = exp[1:]
		if exp[0] == '0' {
			exp = exp[1:]
		}
		return append(dst, exp...)
	}
	return append(dst, e...)
}

// FormatDouble is AppendDouble as a string.
func FormatDouble(f float64) string { return string(AppendDouble(nil, f)) }

// AppendDecimal appends a DECIMAL in plain notation, with all digits of its scale.
func AppendDecimal(dst []byte, v Value) []byte {
	u, scale, ok := v.SmallDecimal()
	if !ok {
		b, s := unscaled(v)
		text := b.Text(10)
		if b.Sign() < 0 {
			dst = append(dst, '-')
			text = text[1:]
		}
		return appendScaled(dst, []byte(text), s)
	}
	var buf [20]byte
	digits := strconv.AppendInt(buf[:0], u, 10)
	if u < 0 {
		dst = append(dst, '-')
		digits = digits[1:]
	}
	return appendScaled(dst, digits, scale)
}

// appendScaled puts the decimal point into digits, scale places from the right.
func appendScaled(dst, digits []byte, scale int) []byte {
	if scale <= 0 {
		return append(dst, digits...)
	}
	if len(digits) <= scale {
		dst = append(dst, '0', '.')
		for range scale - len(digits) {
			dst = append(dst, '0')
		}
		return append(dst, digits...)
	}
	point := len(digits) - scale
	dst = append(dst, digits[:point]...)
	dst = append(dst, '.')
	return append(dst, digits[point:]...)
}

// FormatDecimal is AppendDecimal as a string.
func FormatDecimal(v Value) string { return string(AppendDecimal(nil, v)) }

const dayMillis = 24 * 60 * 60 * 1000

// FormatDate is a DATE as ISO text, 2023-11-14; days count from 1970-01-01.
func FormatDate(days int64) string { return string(appendDate(nil, days)) }

func appendDate(dst []byte, days int64) []byte {
	y, m, d := time.Unix(days*(dayMillis/1000), 0).UTC().Date()
	switch {
	case y > 9999:
		dst = append(dst, '+')
	case y < 0:
		dst = append(dst, '-')
		y = -y
	}
	dst = appendPadded(dst, y, 4)
	dst = appendPadded(append(dst, '-'), int(m), 2)
	return appendPadded(append(dst, '-'), d, 2)
}

// FormatTime is a TIME as Java's LocalTime prints it: 01:00, 01:00:05,
// 01:00:05.010; ms are milliseconds of the day.
func FormatTime(ms int64) string { return string(appendTime(nil, ms)) }

func appendTime(dst []byte, ms int64) []byte {
	s, milli := ms/1000, int(ms%1000)
	dst = appendPadded(dst, int(s/3600), 2)
	dst = appendPadded(append(dst, ':'), int(s/60%60), 2)
	if s%60 == 0 && milli == 0 {
		return dst
	}
	dst = appendPadded(append(dst, ':'), int(s%60), 2)
	if milli == 0 {
		return dst
	}
	return appendPadded(append(dst, '.'), milli, 3)
}

// FormatTimestamp is a TIMESTAMP as ISO text in UTC, 2023-11-14T22:13:20.000.
func FormatTimestamp(ms int64) string { return string(appendTimestamp(nil, ms)) }

func appendTimestamp(dst []byte, ms int64) []byte {
	day := floorDiv(ms, dayMillis)
	rest := ms - day*dayMillis
	dst = append(appendDate(dst, day), 'T')
	s := rest / 1000
	dst = appendPadded(dst, int(s/3600), 2)
	dst = appendPadded(append(dst, ':'), int(s/60%60), 2)
	dst = appendPadded(append(dst, ':'), int(s%60), 2)
	return appendPadded(append(dst, '.'), int(rest%1000), 3)
}

func appendPadded(dst []byte, n, width int) []byte {
	var buf [20]byte
	digits := strconv.AppendInt(buf[:0], int64(n), 10)
	for range width - len(digits) {
		dst = append(dst, '0')
	}
	return append(dst, digits...)
}

// AppendText appends v, of type t, as CAST(v AS STRING) has it. NULL is "null",
// as it is inside collections; the cast itself keeps NULL. Collections read as
// Java prints them: [1, 2], {a=1}, Struct{X=1,Y=2}.
func AppendText(dst []byte, v Value, t Type) []byte {
	switch v.Kind() {
	case Null:
		return append(dst, "null"...)
	case Boolean:
		return strconv.AppendBool(dst, v.Bool())
	case Integer, Bigint:
		return strconv.AppendInt(dst, v.Int(), 10)
	case Double:
		return AppendDouble(dst, v.Float())
	case Decimal:
		return AppendDecimal(dst, v)
	case String:
		return append(dst, v.Str()...)
	case Bytes:
		return base64.StdEncoding.AppendEncode(dst, v.Bytes())
	case Date:
		return appendDate(dst, v.Int())
	case Time:
		return appendTime(dst, v.Int())
	case Timestamp:
		return appendTimestamp(dst, v.Int())
	case Array:
		dst = append(dst, '[')
		for i, x := range v.Items() {
			if i > 0 {
				dst = append(dst, ", "...)
			}
			dst = AppendText(dst, x, elemOf(t))
		}
		return append(dst, ']')
	case Map:
		dst = append(dst, '{')
		for i, e := range v.Entries() {
			if i > 0 {
				dst = append(dst, ", "...)
			}
			dst = append(AppendText(dst, e.Key, keyOf(t)), '=')
			dst = AppendText(dst, e.Value, elemOf(t))
		}
		return append(dst, '}')
	case Struct:
		dst = append(dst, "Struct{"...)
		first := true
		for i, x := range v.Items() {
			if x.IsNull() || i >= len(t.Fields) {
				continue // Connect's Struct leaves NULLs out
			}
			if !first {
				dst = append(dst, ',')
			}
			first = false
			dst = append(append(dst, t.Fields[i].Name...), '=')
			dst = AppendText(dst, x, t.Fields[i].Type)
		}
		return append(dst, '}')
	}
	return dst
}

// Text is AppendText as a string.
func Text(v Value, t Type) string {
	if v.Kind() == String {
		return v.Str()
	}
	return string(AppendText(nil, v, t))
}

func elemOf(t Type) Type {
	if t.Elem == nil {
		return Type{}
	}
	return *t.Elem
}

func keyOf(t Type) Type {
	if t.Key == nil {
		return TString
	}
	return *t.Key
}

func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}

// unscaled takes a DECIMAL apart: its digits as an integer, and its scale.
func unscaled(v Value) (*big.Int, int) {
	if u, s, ok := v.SmallDecimal(); ok {
		return big.NewInt(u), s
	}
	d := v.Apd()
	b := new(big.Int).Set(d.Coeff.MathBigInt())
	if d.Negative {
		b.Neg(b)
	}
	return b, -int(d.Exponent)
}
