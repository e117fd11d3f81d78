package serde

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/sidestream/sidestream/sidecar/engine/types"
)

// What stands as text in JSON and DELIMITED is read as Java's own libraries read
// it, which take more than SQL does, and other things than Go's.

// parseDouble reads a DOUBLE as Double.parseDouble does: blanks around it, a type's
// letter behind it and hexadecimal digits are let pass.
func parseDouble(s string) (float64, error) {
	t := strings.Trim(s, blanks)
	if strings.IndexFunc(t, func(r rune) bool { return r > '~' }) >= 0 {
		return 0, notNumber(s)
	}
	if f, err := types.ParseDouble(t); err == nil {
		return f, nil
	}
	sign := strings.TrimLeft(t, "+-")
	hex := len(sign) > 2 && sign[0] == '0' && sign[1]|0x20 == 'x'
	if n := len(t); n > 1 && strings.ContainsRune("fFdD", rune(t[n-1])) && (!hex || strings.ContainsAny(t, "pP")) {
		t = t[:n-1]
	}
	if !hex {
		return types.ParseDouble(t)
	}
	f, err := strconv.ParseFloat(t, 64)
	if errors.Is(err, strconv.ErrRange) {
		err = nil // ±Infinity, as in Java
	}
	if err != nil || strings.Contains(t, "_") {
		return 0, notNumber(s)
	}
	return f, nil
}

func notNumber(s string) error { return fmt.Errorf("%q is not a number", s) }

// blanks are what Java's trim takes off.
const blanks = "\x00\x01\x02\x03\x04\x05\x06\x07\x08\t\n\v\f\r\x0e\x0f\x10\x11\x12\x13\x14\x15\x16\x17\x18\x19\x1a\x1b\x1c\x1d\x1e\x1f "

// parseBase64 reads BYTES in a DELIMITED field: the padding may be missing, and
// nothing may stand between the letters.
func parseBase64(s string) ([]byte, error) {
	if strings.ContainsAny(s, "\r\n") {
		return nil, base64.CorruptInputError(strings.IndexAny(s, "\r\n"))
	}
	if b, err := base64.RawStdEncoding.DecodeString(s); err == nil {
		return b, nil
	}
	return base64.StdEncoding.DecodeString(s)
}

// parseJSONBase64 reads BYTES in JSON: the padding must be there, and blanks may
// stand between groups of four letters.
func parseJSONBase64(s string) ([]byte, error) {
	if strings.IndexFunc(s, func(r rune) bool { return r <= ' ' }) < 0 {
		return base64.StdEncoding.DecodeString(s)
	}
	letters := make([]byte, 0, len(s))
	for i := range len(s) {
		switch {
		case s[i] > ' ':
			letters = append(letters, s[i])
		case len(letters)%4 != 0:
			return nil, base64.CorruptInputError(i)
		}
	}
	return base64.StdEncoding.DecodeString(string(letters))
}

// dayMillis are the milliseconds of a day.
const dayMillis = 86_400_000

// counted makes one of the types that are a count (newCounted), or says that it is
// out of range.
func counted(k types.Kind, i int64) (types.Value, error) {
	if k == types.Time && (i < 0 || i > dayMillis) {
		return types.Value{}, errors.New("Time values must use number of milliseconds greater than 0 and less than 86400000.")
	}
	return newCounted(k, i), nil
}
