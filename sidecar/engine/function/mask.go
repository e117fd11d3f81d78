package function

import (
	"fmt"
	"unicode"

	"github.com/sidestream/sidestream/sidecar/engine/types"
)

// masker replaces characters by their class; a class without a mask keeps them.
type masker struct{ upper, lower, digit, other rune }

var defaultMask = masker{'X', 'x', 'n', '-'}

// maskOf reads the four mask characters; NULL leaves a class as it is.
func maskOf(args []types.Value) masker {
	if len(args) == 0 {
		return defaultMask
	}
	first := func(v types.Value) rune {
		for _, r := range v.Str() {
			return r
		}
		return 0
	}
	return masker{first(args[0]), first(args[1]), first(args[2]), first(args[3])}
}

func (m masker) mask(r rune) rune {
	c := m.other
	switch {
	case unicode.IsUpper(r):
		c = m.upper
	case unicode.IsLower(r):
		c = m.lower
	case unicode.IsDigit(r):
		c = m.digit
	}
	if c == 0 {
		return r
	}
	return c
}

func maskFunctions() []*Scalar {
	const classes = "STRING mask_upper, STRING mask_lower, STRING mask_digit, STRING mask_other"
	apply := func(s string, m masker, masked func(i, n int) bool) types.Value {
		runes := []rune(s)
		for i, r := range runes {
			if masked(i, len(runes)) {
				runes[i] = m.mask(r)
			}
		}
		return text(string(runes))
	}
	part := func(name, doc string, masked func(i, n, count int) bool) *Scalar {
		eval := func(a []types.Value) (types.Value, error) {
			if a[0].IsNull() || a[1].IsNull() {
				return none, nil
			}
			count := int(a[1].Int())
			if count < 0 {
				return none, fmt.Errorf("function %s requires a non-negative number", name)
			}
			return apply(a[0].Str(), maskOf(a[2:]), func(i, n int) bool { return masked(i, n, count) }), nil
		}
		return scalar(name, categoryString, doc,
			over("STRING input, INTEGER numChars", "STRING", eval), over("STRING input, INTEGER numChars, "+classes, "STRING", eval))
	}
	whole := func(a []types.Value) (types.Value, error) {
		if a[0].IsNull() {
			return none, nil
		}
		return apply(a[0].Str(), maskOf(a[1:]), func(int, int) bool { return true }), nil
	}
	return []*Scalar{
		scalar("mask", categoryString, "Returns the input with every character masked: letters by X and x, digits by n, others by -, or by the characters given.",
			over("STRING input", "STRING", whole), over("STRING input, "+classes, "STRING", whole)),
		part("mask_left", "Returns the input with its first characters masked.", func(i, _, count int) bool { return i < count }),
		part("mask_right", "Returns the input with its last characters masked.", func(i, n, count int) bool { return i >= n-count }),
		part("mask_keep_left", "Returns the input masked but for its first characters.", func(i, _, count int) bool { return i >= count }),
		part("mask_keep_right", "Returns the input masked but for its last characters.", func(i, n, count int) bool { return i < n-count }),
	}
}
