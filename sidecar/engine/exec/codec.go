package exec

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"

	"github.com/sidestream/sidestream/sidecar/engine/types"
)

// The bytes in stores.
//
// A key is a list of elements that end themselves, so that one key is never the
// beginning of another and a window or time may follow it. Elements keep, as
// far as a key usually goes, the order in which ksqlDB's own stores hold them,
// because scans and windows that close together come out in that order: strings
// by their bytes, numbers as the KAFKA format writes them (negative ones last).
//
// A time, in a key, is 8 bytes in the order of time. A value is the row's time
// and its columns.

// errStore means that a store holds bytes that this code didn't write.
var errStore = errors.New("exec: state store is damaged (delete the query's local state to rebuild it from its changelog)")

// appendKey appends the key of a row.
func appendKey(dst []byte, key []types.Value) []byte {
	for _, v := range key {
		k := v.Kind()
		dst = append(dst, byte(k))
		switch k {
		case types.Integer, types.Bigint, types.Date, types.Time, types.Timestamp:
			dst = binary.BigEndian.AppendUint64(dst, uint64(v.Int()))
		case types.Double:
			dst = binary.BigEndian.AppendUint64(dst, math.Float64bits(v.Float()))
		case types.String:
			dst = appendEscaped(dst, v.Str())
		case types.Bytes:
			dst = appendEscaped(dst, v.Bytes())
		case types.Null:
		default:
			dst = types.AppendBinary(dst[:len(dst)-1], v)
		}
	}
	return dst
}

// appendEscaped writes text and its end, 00 01; a 00 inside becomes 00 FF.
func appendEscaped[T string | []byte](dst []byte, s T) []byte {
	start := len(dst)
	dst = append(dst, s...)
	if bytes.IndexByte(dst[start:], 0) >= 0 {
		text := bytes.Clone(dst[start:])
		dst = append(dst[:start], bytes.ReplaceAll(text, []byte{0}, []byte{0, 0xff})...)
	}
	return append(dst, 0, 1)
}

// decodeKey fills dst with the elements of a key and returns the bytes behind
// it. Texts point into src.
func decodeKey(src []byte, dst []types.Value) ([]byte, error) {
	for i := range dst {
		if len(src) == 0 {
			return nil, errStore
		}
		k := types.Kind(src[0])
		switch k {
		case types.Integer, types.Bigint, types.Date, types.Time, types.Timestamp, types.Double:
			if len(src) < 9 {
				return nil, errStore
			}
			dst[i] = wordValue(k, binary.BigEndian.Uint64(src[1:]))
			src = src[9:]
		case types.String, types.Bytes:
			text, rest, ok := cutEscaped(src[1:])
			if !ok {
				return nil, errStore
			}
			if k == types.String {
				dst[i] = types.NewString(unsafeString(text))
			} else {
				dst[i] = types.NewBytes(text)
			}
			src = rest
		case types.Null:
			dst[i] = types.Value{}
			src = src[1:]
		default:
			var err error
			if dst[i], src, err = types.DecodeBinary(src); err != nil {
				return nil, errStore
			}
		}
	}
	return src, nil
}

func wordValue(k types.Kind, w uint64) types.Value {
	i := int64(w)
	switch k {
	case types.Integer:
		return types.NewInt(int32(i))
	case types.Bigint:
		return types.NewBigint(i)
	case types.Date:
		return types.NewDate(i)
	case types.Time:
		return types.NewTime(i)
	case types.Timestamp:
		return types.NewTimestamp(i)
	default:
		return types.NewDouble(math.Float64frombits(w))
	}
}

func cutEscaped(src []byte) (text, rest []byte, ok bool) {
	escaped := false
	for i := 0; ; {
		n := bytes.IndexByte(src[i:], 0)
		if n < 0 || i+n+1 >= len(src) {
			return nil, nil, false
		}
		i += n
		if src[i+1] == 1 {
			text, rest = src[:i:i], src[i+2:]
			break
		}
		escaped = true
		i += 2
	}
	if escaped {
		text = bytes.ReplaceAll(text, []byte{0, 0xff}, []byte{0})
	}
	return text, rest, true
}

// appendTime appends a time so that bytes sort as times do.
func appendTime(dst []byte, ms int64) []byte {
	return binary.BigEndian.AppendUint64(dst, uint64(ms)^1<<63)
}

func decodeTime(src []byte) (int64, []byte, error) {
	if len(src) < 8 {
		return 0, nil, errStore
	}
	return int64(binary.BigEndian.Uint64(src) ^ 1<<63), src[8:], nil
}

// appendRow appends a row's time and columns.
func appendRow(dst []byte, time int64, row []types.Value) []byte {
	dst = appendTime(dst, time)
	for _, v := range row {
		dst = types.AppendBinary(dst, v)
	}
	return dst
}

// decodeRow fills dst, which has one place a column. Columns that the stored
// row doesn't have (it was written before they were added) are NULL.
func decodeRow(src []byte, dst []types.Value) (time int64, err error) {
	time, src, err = decodeTime(src)
	if err != nil {
		return 0, err
	}
	for i := range dst {
		if len(src) == 0 {
			dst[i] = types.Value{}
			continue
		}
		if dst[i], src, err = types.DecodeBinary(src); err != nil {
			return 0, errStore
		}
	}
	return time, nil
}
