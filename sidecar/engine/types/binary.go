package types

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"unsafe"

	"github.com/cockroachdb/apd/v3"
)

// AppendBinary appends v in the engine's own form, which says its kind: what
// state stores and changelogs hold. Equal values of one kind have equal bytes.
func AppendBinary(dst []byte, v Value) []byte {
	k := v.Kind()
	dst = append(dst, byte(k))
	switch k {
	case Null:
	case Boolean:
		dst = append(dst, byte(v.num))
	case Integer, Bigint, Date, Time, Timestamp, IntervalUnit:
		dst = binary.AppendVarint(dst, v.Int())
	case Double:
		dst = binary.BigEndian.AppendUint64(dst, v.num)
	case String:
		dst = binary.AppendUvarint(dst, v.num)
		dst = append(dst, v.Str()...)
	case Bytes:
		dst = binary.AppendUvarint(dst, v.num)
		dst = append(dst, v.Bytes()...)
	case Decimal:
		if u, s, ok := v.SmallDecimal(); ok {
			dst = binary.AppendUvarint(dst, uint64(s)<<1)
			return binary.AppendVarint(dst, u)
		}
		d := v.Apd()
		dst = binary.AppendUvarint(dst, uint64(-d.Exponent)<<1|1)
		text := d.Coeff.String()
		if d.Negative {
			text = "-" + text
		}
		dst = binary.AppendUvarint(dst, uint64(len(text)))
		dst = append(dst, text...)
	case Array, Struct:
		dst = AppendRow(dst, v.Items())
	case Map:
		e := v.Entries()
		dst = binary.AppendUvarint(dst, uint64(len(e)))
		for _, x := range e {
			dst = AppendBinary(AppendBinary(dst, x.Key), x.Value)
		}
	}
	return dst
}

// AppendRow appends a list of values with its length.
func AppendRow(dst []byte, row []Value) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(row)))
	for _, v := range row {
		dst = AppendBinary(dst, v)
	}
	return dst
}

var errShort = errors.New("types: value is cut short")

// DecodeBinary reads one value that AppendBinary wrote and returns the bytes
// behind it. Strings and bytes point into src, which must not change.
func DecodeBinary(src []byte) (Value, []byte, error) {
	if len(src) == 0 {
		return Value{}, nil, errShort
	}
	k := Kind(src[0])
	src = src[1:]
	switch k {
	case Null:
		return Value{}, src, nil
	case Boolean:
		if len(src) < 1 {
			return Value{}, nil, errShort
		}
		return NewBool(src[0] != 0), src[1:], nil
	case Integer, Bigint, Date, Time, Timestamp, IntervalUnit:
		i, n := binary.Varint(src)
		if n <= 0 {
			return Value{}, nil, errShort
		}
		return Value{uint64(i), k}, src[n:], nil
	case Double:
		if len(src) < 8 {
			return Value{}, nil, errShort
		}
		return NewDouble(math.Float64frombits(binary.BigEndian.Uint64(src))), src[8:], nil
	case String, Bytes:
		b, rest, err := lengthPrefixed(src)
		if err != nil {
			return Value{}, nil, err
		}
		if k == Bytes {
			return NewBytes(b), rest, nil
		}
		return NewString(unsafe.String(unsafe.SliceData(b), len(b))), rest, nil
	case Decimal:
		h, n := binary.Uvarint(src)
		if n <= 0 {
			return Value{}, nil, errShort
		}
		src = src[n:]
		if h&1 == 0 {
			u, n := binary.Varint(src)
			if n <= 0 {
				return Value{}, nil, errShort
			}
			return NewDecimal(u, int(h>>1)), src[n:], nil
		}
		b, rest, err := lengthPrefixed(src)
		if err != nil {
			return Value{}, nil, err
		}
		d, _, err := apd.NewFromString(string(b))
		if err != nil {
			return Value{}, nil, fmt.Errorf("types: decimal: %w", err)
		}
		d.Exponent = -int32(h >> 1)
		return NewApd(d), rest, nil
	case Array, Struct:
		items, rest, err := DecodeRow(src)
		if err != nil {
			return Value{}, nil, err
		}
		if k == Array {
			return NewArray(items), rest, nil
		}
		return NewStruct(items), rest, nil
	case Map:
		n, w := binary.Uvarint(src)
		if w <= 0 || n > uint64(len(src)) {
			return Value{}, nil, errShort
		}
		src = src[w:]
		entries := make([]Entry, n)
		var err error
		for i := range entries {
			if entries[i].Key, src, err = DecodeBinary(src); err != nil {
				return Value{}, nil, err
			}
			if entries[i].Value, src, err = DecodeBinary(src); err != nil {
				return Value{}, nil, err
			}
		}
		return NewMap(entries), src, nil
	}
	return Value{}, nil, fmt.Errorf("types: unknown kind %d", k)
}

// DecodeRow reads a list of values that AppendRow wrote. The row is never nil.
func DecodeRow(src []byte) ([]Value, []byte, error) {
	n, w := binary.Uvarint(src)
	if w <= 0 || n > uint64(len(src)) {
		return nil, nil, errShort
	}
	src = src[w:]
	row := make([]Value, n)
	var err error
	for i := range row {
		if row[i], src, err = DecodeBinary(src); err != nil {
			return nil, nil, err
		}
	}
	return row, src, nil
}

func lengthPrefixed(src []byte) (b, rest []byte, err error) {
	n, w := binary.Uvarint(src)
	if w <= 0 || n > uint64(len(src)-w) {
		return nil, nil, errShort
	}
	return src[w : w+int(n) : w+int(n)], src[w+int(n):], nil
}
