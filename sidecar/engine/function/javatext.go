package function

import (
	"unicode/utf16"
	"unicode/utf8"
)

// Java counts the characters of a string in UTF-16 units. These helpers do the
// same, and cost nothing for ASCII.

func isASCII(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// textLen is Java's String.length.
func textLen(s string) int {
	if isASCII(s) {
		return len(s)
	}
	n := 0
	for _, r := range s {
		n++
		if r > 0xffff {
			n++
		}
	}
	return n
}

func utf16Of(s string) []uint16 { return utf16.Encode([]rune(s)) }

// textSlice is Java's String.substring(from, to).
func textSlice(s string, from, to int) string {
	if isASCII(s) {
		return s[from:to]
	}
	return string(utf16.Decode(utf16Of(s)[from:to]))
}
