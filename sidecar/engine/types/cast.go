package types

import (
	"encoding/base64"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Caster converts values of one type to another. NULL is never given to it.
type Caster func(Value) (Value, error)

// Cast is CAST(v AS to), v being of type from. An error means that this value
// can't be cast, which makes the result NULL, or that no value of the type can.
// Code that casts many values asks for a Caster once.
func Cast(v Value, from, to Type) (Value, error) {
	if v.IsNull() {
		return v, nil
	}
	c, err := NewCaster(from, to)
	if err != nil {
		return Value{}, err
	}
	return c(v)
}

// NewCaster gives the conversion between two types, or the error that ksqlDB
// reports for a CAST that it doesn't know.
func NewCaster(from, to Type) (Caster, error) {
	if from.Kind == Null || from.Equal(to) {
		return same, nil
	}
	unsupported := fmt.Errorf("Cast of %s to %s is not supported", from, to)
	switch to.Kind {
	case String:
		return func(v Value) (Value, error) { return NewString(Text(v, from)), nil }, nil
	case Boolean:
		if from.Kind == String {
			return func(v Value) (Value, error) { return NewBool(ParseBool(v.Str())), nil }, nil
		}
	case Integer, Bigint, Double, Decimal:
		switch from.Kind {
		case Integer, Bigint, Decimal, Double:
			return castNumber(to), nil
		case String:
			return castText(to), nil
		}
	case Date, Time, Timestamp:
		if c := castTime(from.Kind, to.Kind); c != nil {
			return c, nil
		}
	case Bytes:
		if from.Kind == String {
			return castBytes, nil
		}
	case Array:
		if from.Kind == Array {
			return castArray(*from.Elem, *to.Elem, unsupported)
		}
	case Map:
		if from.Kind == Map {
			return castMap(from, to, unsupported)
		}
	case Struct:
		if from.Kind == Struct {
			return castStruct(from, to, unsupported)
		}
	}
	return nil, unsupported
}

func same(v Value) (Value, error) { return v, nil }

// castNumber narrows as Java does: integers wrap, doubles saturate, decimals
// lose their fraction.
func castNumber(to Type) Caster {
	switch to.Kind {
	case Integer:
		return func(v Value) (Value, error) {
			if v.Kind() == Double {
				return NewInt(int32(saturate(v.Float(), math.MinInt32, math.MaxInt32))), nil
			}
			return NewInt(int32(AsInt(v))), nil
		}
	case Bigint:
		return func(v Value) (Value, error) {
			if v.Kind() == Double {
				return NewBigint(saturate(v.Float(), math.MinInt64, math.MaxInt64)), nil
			}
			return NewBigint(AsInt(v)), nil
		}
	case Double:
		return func(v Value) (Value, error) { return NewDouble(AsFloat(v)), nil }
	default:
		return func(v Value) (Value, error) {
			if v.Kind() == Double {
				d, err := ParseDecimal(FormatDouble(v.Float()))
				if err != nil {
					return Value{}, fmt.Errorf("%s can't be a DECIMAL", FormatDouble(v.Float()))
				}
				return Round(d, to)
			}
			return Round(AsDecimal(v), to)
		}
	}
}

func saturate(f float64, low, high int64) int64 {
	switch {
	case math.IsNaN(f):
		return 0
	case f >= float64(high):
		return high
	case f <= float64(low):
		return low
	}
	return int64(f)
}

// AsInt is a number as an integer: a DECIMAL loses its fraction, and then its
// high bits if it doesn't fit; a DOUBLE saturates.
func AsInt(v Value) int64 {
	switch v.Kind() {
	case Double:
		return saturate(v.Float(), math.MinInt64, math.MaxInt64)
	case Decimal:
		b, s := unscaled(v)
		b.Quo(b, pow10Big(s))
		if b.IsInt64() {
			return b.Int64()
		}
		low := b.Bits()[0]
		if b.Sign() < 0 {
			low = -low
		}
		return int64(low)
	default:
		return v.Int()
	}
}

func castText(to Type) Caster {
	switch to.Kind {
	case Integer:
		return func(v Value) (Value, error) {
			i, err := parseInt(v.Str(), 32)
			return NewInt(int32(i)), err
		}
	case Bigint:
		return func(v Value) (Value, error) {
			i, err := parseInt(v.Str(), 64)
			return NewBigint(i), err
		}
	case Double:
		return func(v Value) (Value, error) {
			f, err := ParseDouble(v.Str())
			return NewDouble(f), err
		}
	default:
		return func(v Value) (Value, error) {
			d, err := ParseDecimal(strings.TrimSpace(v.Str()))
			if err != nil {
				return Value{}, err
			}
			return Round(d, to)
		}
	}
}

func parseInt(s string, bits int) (int64, error) {
	i, err := strconv.ParseInt(strings.TrimSpace(s), 10, bits)
	if err != nil {
		return 0, fmt.Errorf("For input string: %q", s)
	}
	return i, nil
}

// castTime converts between times, dates and their texts; nil when the pair
// makes no sense.
func castTime(from, to Kind) Caster {
	var parse func(string) (int64, error)
	switch {
	case from == Timestamp && to == Date:
		return func(v Value) (Value, error) { return NewDate(floorDiv(v.Int(), dayMillis)), nil }
	case from == Timestamp && to == Time:
		return func(v Value) (Value, error) {
			return NewTime(v.Int() - floorDiv(v.Int(), dayMillis)*dayMillis), nil
		}
	case from == Date && to == Timestamp:
		return func(v Value) (Value, error) { return NewTimestamp(v.Int() * dayMillis), nil }
	case from != String:
		return nil
	case to == Date:
		parse = ParseDate
	case to == Time:
		parse = ParseTime
	case to == Timestamp:
		parse = ParseTimestamp
	}
	return func(v Value) (Value, error) {
		n, err := parse(strings.TrimSpace(v.Str()))
		if err != nil {
			return Value{}, err
		}
		return Value{uint64(n), to}, nil
	}
}

func castBytes(v Value) (Value, error) {
	b, err := base64.StdEncoding.DecodeString(v.Str())
	if err != nil {
		return Value{}, fmt.Errorf("can't read BYTES: %q is not base64", v.Str())
	}
	return NewBytes(b), nil
}

// inner is a cast of something inside a collection, which may be NULL.
func inner(from, to Type, unsupported error) (Caster, error) {
	c, err := NewCaster(from, to)
	if err != nil {
		return nil, unsupported
	}
	return func(v Value) (Value, error) {
		if v.IsNull() {
			return v, nil
		}
		return c(v)
	}, nil
}

func castArray(from, to Type, unsupported error) (Caster, error) {
	c, err := inner(from, to, unsupported)
	if err != nil {
		return nil, err
	}
	return func(v Value) (Value, error) {
		items := make([]Value, len(v.Items()))
		for i, x := range v.Items() {
			var err error
			if items[i], err = c(x); err != nil {
				return Value{}, err
			}
		}
		return NewArray(items), nil
	}, nil
}

func castMap(from, to Type, unsupported error) (Caster, error) {
	key, err := inner(*from.Key, *to.Key, unsupported)
	if err != nil {
		return nil, err
	}
	elem, err := inner(*from.Elem, *to.Elem, unsupported)
	if err != nil {
		return nil, err
	}
	return func(v Value) (Value, error) {
		entries := make([]Entry, 0, len(v.Entries()))
	next:
		for _, e := range v.Entries() {
			k, err := key(e.Key)
			if err != nil {
				return Value{}, err
			}
			x, err := elem(e.Value)
			if err != nil {
				return Value{}, err
			}
			for i := range entries {
				if Equal(entries[i].Key, k) {
					entries[i].Value = x
					continue next
				}
			}
			entries = append(entries, Entry{k, x})
		}
		return NewMap(entries), nil
	}, nil
}

// castStruct matches fields by name: one that from hasn't is NULL, one that to
// hasn't is left out.
func castStruct(from, to Type, unsupported error) (Caster, error) {
	type step struct {
		at   int
		cast Caster
	}
	steps := make([]step, len(to.Fields))
	for i, f := range to.Fields {
		steps[i].at = -1
		for j, g := range from.Fields {
			if g.Name == f.Name {
				c, err := inner(g.Type, f.Type, unsupported)
				if err != nil {
					return nil, err
				}
				steps[i] = step{j, c}
			}
		}
	}
	return func(v Value) (Value, error) {
		src, dst := v.Items(), make([]Value, len(steps))
		for i, s := range steps {
			if s.at < 0 {
				continue
			}
			x, err := s.cast(src[s.at])
			if err != nil {
				return Value{}, err
			}
			dst[i] = x
		}
		return NewStruct(dst), nil
	}, nil
}
