package function

import (
	"unicode/utf16"

	"github.com/sidestream/sidestream/sidecar/engine/types"
)

func padFunctions() []*Scalar {
	pad := func(name, doc string, left bool) *Scalar {
		return scalar(name, categoryString, doc,
			nullable("STRING input, INTEGER targetLen, STRING padding", "STRING", func(a []types.Value) (types.Value, error) {
				out, ok := padded(utf16Of(a[0].Str()), int(a[1].Int()), utf16Of(a[2].Str()), left)
				if !ok {
					return none, nil
				}
				return text(string(utf16.Decode(out))), nil
			}),
			nullable("BYTES input, INTEGER targetLen, BYTES padding", "BYTES", func(a []types.Value) (types.Value, error) {
				out, ok := padded(a[0].Bytes(), int(a[1].Int()), a[2].Bytes(), left)
				if !ok {
					return none, nil
				}
				return types.NewBytes(out), nil
			}))
	}
	return []*Scalar{
		pad("lpad", "Pads the input from the left with the padding until it has the target length, or cuts it to that.", true),
		pad("rpad", "Pads the input from the right with the padding until it has the target length, or cuts it to that.", false),
	}
}

// maxPadded bounds the length that a padding may reach, so that a bad number in
// the data doesn't take all memory.
const maxPadded = 16 << 20

// padded fails for an empty padding and a length that makes no sense.
func padded[T any](in []T, n int, padding []T, left bool) ([]T, bool) {
	if len(padding) == 0 || n < 0 || n > maxPadded {
		return nil, false
	}
	if n <= len(in) {
		return in[:n], true
	}
	out := make([]T, 0, n)
	if !left {
		out = append(out, in...)
	}
	for i := range n - len(in) {
		out = append(out, padding[i%len(padding)])
	}
	if left {
		out = append(out, in...)
	}
	return out, true
}
