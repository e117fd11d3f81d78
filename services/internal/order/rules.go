package order

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Limits of an order's texts, in bytes.
const (
	MaxID      = 64
	MaxProduct = 256
)

// BadID says what is wrong with an order id, or "". An id is a path segment
// and an SQL literal.
func BadID(id string) string {
	switch {
	case id == "":
		return "is empty"
	case len(id) > MaxID:
		return fmt.Sprintf("is longer than %d characters", MaxID)
	case id == "." || id == "..":
		return fmt.Sprintf("is %q, which means something else in a path", id)
	}
	for _, c := range id {
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.ContainsRune("-._~:", c)) {
			return fmt.Sprintf("has %q: only letters, digits and - . _ ~ : are allowed", c)
		}
	}
	return ""
}

// BadProduct says what is wrong with a product's name, or "".
func BadProduct(product string) string {
	switch {
	case strings.TrimSpace(product) == "":
		return "is empty"
	case len(product) > MaxProduct:
		return fmt.Sprintf("is longer than %d bytes", MaxProduct)
	case !utf8.ValidString(product) || strings.ContainsRune(product, utf8.RuneError):
		return "is not UTF-8"
	case strings.ContainsFunc(product, unicode.IsControl):
		return "has control characters"
	}
	return ""
}
