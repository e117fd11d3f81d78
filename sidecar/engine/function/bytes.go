package function

import (
	"crypto/md5"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math"
	"strings"
	"unicode/utf8"

	"github.com/sidestream/sidestream/sidecar/engine/types"
)

// decodeText turns text in an encoding into bytes: hex, utf8, ascii or base64.
func decodeText(s, encoding string) ([]byte, error) {
	switch strings.ToLower(encoding) {
	case "hex":
		return decodeHex(s)
	case "utf8":
		return []byte(s), nil
	case "ascii":
		out := make([]byte, 0, len(s))
		for _, r := range s {
			if r >= utf8.RuneSelf {
				r = '?'
			}
			out = append(out, byte(r))
		}
		return out, nil
	case "base64":
		b, err := base64.StdEncoding.DecodeString(s)
		if err != nil {
			return nil, fmt.Errorf("%q is not base64", s)
		}
		return b, nil
	}
	return nil, unknownEncoding(encoding)
}

func unknownEncoding(name string) error {
	return fmt.Errorf("Supported input and output encodings are: hex, utf8, ascii and base64, but got %q", name)
}

// decodeHex also takes 0x4142 and X'4142'; behind 0x an odd number of digits has
// a zero before it.
func decodeHex(s string) ([]byte, error) {
	digits := s
	switch {
	case strings.HasPrefix(s, "0x"):
		if digits = s[2:]; len(digits)%2 == 1 {
			digits = "0" + digits
		}
	case len(s) > 2 && (s[0] == 'X' || s[0] == 'x') && s[1] == '\'' && s[len(s)-1] == '\'':
		digits = s[2 : len(s)-1]
	}
	b, err := hex.DecodeString(digits)
	if err != nil {
		return nil, fmt.Errorf("%q is not hexadecimal", s)
	}
	return b, nil
}

// encodeBytes is the opposite of decodeText; what is no character becomes U+FFFD.
func encodeBytes(b []byte, encoding string) (string, error) {
	switch strings.ToLower(encoding) {
	case "hex":
		return hex.EncodeToString(b), nil
	case "utf8":
		return strings.ToValidUTF8(string(b), "\ufffd"), nil
	case "ascii":
		var out strings.Builder
		for _, c := range b {
			if c >= utf8.RuneSelf {
				out.WriteRune(utf8.RuneError)
			} else {
				out.WriteByte(c)
			}
		}
		return out.String(), nil
	case "base64":
		return base64.StdEncoding.EncodeToString(b), nil
	}
	return "", unknownEncoding(encoding)
}

func bytesFunctions() []*Scalar {
	number := func(name, result, doc string, size int, read func(b []byte) types.Value) *Scalar {
		eval := func(a []types.Value) (types.Value, error) {
			b := append([]byte(nil), a[0].Bytes()...)
			if len(b) != size {
				return none, fmt.Errorf("Number of bytes must be equal to %d, but found %d", size, len(b))
			}
			if len(a) > 1 {
				switch strings.ToUpper(a[1].Str()) {
				case "BIG_ENDIAN":
				case "LITTLE_ENDIAN":
					for i := range len(b) / 2 {
						b[i], b[len(b)-1-i] = b[len(b)-1-i], b[i]
					}
				default:
					return none, fmt.Errorf("Byte order must be BIG_ENDIAN or LITTLE_ENDIAN, but was %q", a[1].Str())
				}
			}
			return read(b), nil
		}
		return scalar(name, categoryConversions, doc,
			nullable("BYTES value", result, eval), nullable("BYTES value, STRING byteOrder", result, eval))
	}
	return []*Scalar{
		scalar("to_bytes", categoryString, "Converts a string to bytes. The encoding is hex, utf8, ascii or base64.",
			nullable("STRING string, STRING encoding", "BYTES", func(a []types.Value) (types.Value, error) {
				b, err := decodeText(a[0].Str(), a[1].Str())
				if err != nil {
					return none, err
				}
				return types.NewBytes(b), nil
			})),
		scalar("from_bytes", categoryString, "Converts bytes to a string. The encoding is hex, utf8, ascii or base64.",
			nullable("BYTES bytes, STRING encoding", "STRING", func(a []types.Value) (types.Value, error) {
				s, err := encodeBytes(a[0].Bytes(), a[1].Str())
				if strings.EqualFold(a[1].Str(), "hex") {
					s = strings.ToUpper(s)
				}
				return text(s), err
			})),
		scalar("encode", categoryString, "Changes the encoding of a string, between hex, utf8, ascii and base64.",
			nullable("STRING str, STRING inputEncoding, STRING outputEncoding", "STRING", func(a []types.Value) (types.Value, error) {
				b, err := decodeText(a[0].Str(), a[1].Str())
				if err != nil {
					return none, err
				}
				s, err := encodeBytes(b, a[2].Str())
				return text(s), err
			})),
		number("int_from_bytes", "INTEGER", "Converts 4 bytes to an INTEGER.", 4, func(b []byte) types.Value { return types.NewInt(int32(binary.BigEndian.Uint32(b))) }),
		number("bigint_from_bytes", "BIGINT", "Converts 8 bytes to a BIGINT.", 8, func(b []byte) types.Value { return bigint(int64(binary.BigEndian.Uint64(b))) }),
		number("double_from_bytes", "DOUBLE", "Converts 8 bytes to a DOUBLE.", 8, func(b []byte) types.Value {
			return double(math.Float64frombits(binary.BigEndian.Uint64(b)))
		}),
		scalar("md5", categoryString, "Returns the MD5 digest of a string, as hexadecimal text.",
			nullable("STRING s", "STRING", func(a []types.Value) (types.Value, error) {
				sum := md5.Sum([]byte(a[0].Str()))
				return text(hex.EncodeToString(sum[:])), nil
			})),
	}
}
