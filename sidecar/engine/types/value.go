package types

import (
	"math"
	"unsafe"

	"github.com/cockroachdb/apd/v3"
)

// Value is one SQL value; the zero Value is NULL. It is 24 bytes: numbers,
// dates and small decimals live inside it, strings and bytes point at their
// bytes. A Value never changes after it is made, so it may be shared freely;
// what it points at must not change either.
type Value struct {
	num uint64
	ref any
}

type (
	stringRef *byte
	bytesRef  *byte
	// smallDecimal is the scale of a decimal whose unscaled value fits num.
	smallDecimal uint8
	arrayRef     struct{ items []Value }
	structRef    struct{ items []Value }
	mapRef       struct{ entries []Entry }
)

// Entry is a key and its value in a MAP.
type Entry struct{ Key, Value Value }

// Func is a lambda handed to a function as an argument.
type Func func(args ...Value) (Value, error)

// NewBool makes a BOOLEAN.
func NewBool(b bool) Value {
	if b {
		return Value{1, Boolean}
	}
	return Value{0, Boolean}
}

// NewInt makes an INTEGER.
func NewInt(i int32) Value { return Value{uint64(int64(i)), Integer} }

// NewBigint makes a BIGINT.
func NewBigint(i int64) Value { return Value{uint64(i), Bigint} }

// NewDouble makes a DOUBLE.
func NewDouble(f float64) Value { return Value{math.Float64bits(f), Double} }

// NewString makes a STRING.
func NewString(s string) Value {
	return Value{uint64(len(s)), stringRef(unsafe.StringData(s))}
}

// NewBytes makes BYTES; b must not change afterwards.
func NewBytes(b []byte) Value {
	if b == nil {
		b = []byte{}
	}
	return Value{uint64(len(b)), bytesRef(unsafe.SliceData(b))}
}

// NewDate makes a DATE from days since 1970-01-01.
func NewDate(days int64) Value { return Value{uint64(days), Date} }

// NewTime makes a TIME from milliseconds of the day.
func NewTime(ms int64) Value { return Value{uint64(ms), Time} }

// NewTimestamp makes a TIMESTAMP from milliseconds since the epoch.
func NewTimestamp(ms int64) Value { return Value{uint64(ms), Timestamp} }

// NewUnit makes the interval unit of a function such as DATEADD, as its length
// index; functions give the meaning.
func NewUnit(u int64) Value { return Value{uint64(u), IntervalUnit} }

// NewDecimal makes a DECIMAL of unscaled × 10^-scale.
func NewDecimal(unscaled int64, scale int) Value {
	return Value{uint64(unscaled), smallDecimal(scale)}
}

// NewApd makes a DECIMAL of d, which must not change afterwards. Its scale is
// -d.Exponent, and must not be negative.
func NewApd(d *apd.Decimal) Value {
	if d.Exponent > 0 {
		var q apd.Decimal
		if _, err := apd.BaseContext.WithPrecision(200).Quantize(&q, d, 0); err == nil {
			d = &q
		}
	}
	if d.Form == apd.Finite && d.Exponent > -128 && d.Coeff.IsInt64() {
		u := d.Coeff.Int64()
		if d.Negative {
			u = -u
		}
		return NewDecimal(u, int(-d.Exponent))
	}
	return Value{0, d}
}

// NewArray makes an ARRAY of items, which it keeps.
func NewArray(items []Value) Value { return Value{0, &arrayRef{items}} }

// NewStruct makes a STRUCT; items are in the order of the type's fields.
func NewStruct(items []Value) Value { return Value{0, &structRef{items}} }

// NewMap makes a MAP of entries, which it keeps; keys must differ.
func NewMap(entries []Entry) Value { return Value{0, &mapRef{entries}} }

// NewFunc wraps a lambda.
func NewFunc(f Func) Value { return Value{0, f} }

// Kind is the kind of the value; Null for NULL.
func (v Value) Kind() Kind {
	switch r := v.ref.(type) {
	case nil:
		return Null
	case Kind:
		return r
	case stringRef:
		return String
	case bytesRef:
		return Bytes
	case smallDecimal, *apd.Decimal:
		return Decimal
	case *arrayRef:
		return Array
	case *structRef:
		return Struct
	case *mapRef:
		return Map
	default:
		return Lambda
	}
}

// IsNull tells whether the value is NULL.
func (v Value) IsNull() bool { return v.ref == nil }

// Bool is the value of a BOOLEAN.
func (v Value) Bool() bool { return v.num != 0 }

// Int is the number inside INTEGER, BIGINT, DATE (days), TIME (ms),
// TIMESTAMP (ms) and interval units.
func (v Value) Int() int64 { return int64(v.num) }

// Float is the value of a DOUBLE.
func (v Value) Float() float64 { return math.Float64frombits(v.num) }

// Str is the text of a STRING.
func (v Value) Str() string {
	p, ok := v.ref.(stringRef)
	if !ok {
		return ""
	}
	return unsafe.String((*byte)(p), int(v.num))
}

// Bytes is the content of BYTES; it must not be changed.
func (v Value) Bytes() []byte {
	p, ok := v.ref.(bytesRef)
	if !ok {
		return nil
	}
	return unsafe.Slice((*byte)(p), int(v.num))
}

// SmallDecimal gives a DECIMAL's unscaled value and scale when it fits 64 bits.
func (v Value) SmallDecimal() (unscaled int64, scale int, ok bool) {
	s, ok := v.ref.(smallDecimal)
	return int64(v.num), int(s), ok
}

// Apd is a DECIMAL as an apd.Decimal, which must not be changed.
func (v Value) Apd() *apd.Decimal {
	switch r := v.ref.(type) {
	case *apd.Decimal:
		return r
	case smallDecimal:
		return apd.New(int64(v.num), -int32(r))
	}
	return nil
}

// Items are the elements of an ARRAY or the fields of a STRUCT, in order; the
// slice must not be changed.
func (v Value) Items() []Value {
	switch r := v.ref.(type) {
	case *arrayRef:
		return r.items
	case *structRef:
		return r.items
	}
	return nil
}

// Entries are the entries of a MAP in insertion order; the slice must not be
// changed.
func (v Value) Entries() []Entry {
	if r, ok := v.ref.(*mapRef); ok {
		return r.entries
	}
	return nil
}

// Lookup is the value at key in a MAP, and whether there is one.
func (v Value) Lookup(key Value) (Value, bool) {
	for _, e := range v.Entries() {
		if Equal(e.Key, key) {
			return e.Value, true
		}
	}
	return Value{}, false
}

// Func is the lambda inside the value, or nil.
func (v Value) Func() Func {
	f, _ := v.ref.(Func)
	return f
}
