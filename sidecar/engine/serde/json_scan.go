package serde

import (
	"encoding/binary"
	"fmt"
	"math/bits"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
	"unsafe"
)

// scanner walks over one JSON text. It checks all that it passes, skipped values
// too, and hands out strings that share the text's bytes where it has no escapes.
// It is written by hand because decoding is what a query's cost comes down to:
// it passes a field in a few nanoseconds and allocates nothing.
type scanner struct {
	data []byte
	pos  int
}

// maxDepth is how deep values may be nested.
const maxDepth = 1000

// syntaxError tells that a text is not JSON.
type syntaxError struct {
	msg string
	pos int
}

func (e *syntaxError) Error() string {
	return fmt.Sprintf("invalid JSON: %s at byte %d", e.msg, e.pos)
}

func (s *scanner) fail(want string) error {
	if s.pos >= len(s.data) {
		return &syntaxError{"unexpected end of input, expected " + want, s.pos}
	}
	r, _ := utf8.DecodeRune(s.data[s.pos:])
	return &syntaxError{fmt.Sprintf("unexpected character (%q (code %d)), expected %s", r, r, want), s.pos}
}

// peek passes white space and tells the next byte, 0 at the end.
func (s *scanner) peek() byte {
	for s.pos < len(s.data) {
		switch c := s.data[s.pos]; c {
		case ' ', '\n', '\r', '\t':
			s.pos++
		default:
			return c
		}
	}
	return 0
}

// special flags the bytes of x that end a run of plain ASCII in a string: a
// quote, a backslash, a control character or the start of another character.
// Only the lowest flag is exact.
func special(x uint64) uint64 {
	const ones, high = 0x0101010101010101, 0x8080808080808080
	quote := x ^ (ones * '"')
	slash := x ^ (ones * '\\')
	return ((x-ones*0x20)&^x | (quote-ones)&^quote | (slash-ones)&^slash | x) & high
}

// rawString passes a string, whose opening quote is next, and gives what stands
// between its quotes, still escaped if escaped.
func (s *scanner) rawString() (raw []byte, escaped bool, err error) {
	data, i := s.data, s.pos+1
	ascii := true
	for {
		for i+8 <= len(data) {
			if m := special(binary.LittleEndian.Uint64(data[i:])); m != 0 {
				i += bits.TrailingZeros64(m) / 8
				break
			}
			i += 8
		}
		if i >= len(data) {
			s.pos = len(data)
			return nil, false, s.fail("the closing quote of a string")
		}
		switch c := data[i]; {
		case c == '"':
			raw = data[s.pos+1 : i]
			if !ascii && !utf8.Valid(raw) {
				return nil, false, &syntaxError{"invalid UTF-8 in a string", s.pos}
			}
			s.pos = i + 1
			return raw, escaped, nil
		case c == '\\':
			escaped = true
			s.pos, i = i, s.pos
			n, err := s.escape()
			s.pos, i = i, s.pos
			if err != nil {
				s.pos = i
				return nil, false, err
			}
			i += n
		case c < 0x20:
			s.pos = i
			return nil, false, &syntaxError{fmt.Sprintf("control character (code %d) in a string", c), i}
		default:
			if c >= 0x80 {
				ascii = false
			}
			i++
		}
	}
}

// escape checks the escape sequence at the position and gives its length.
func (s *scanner) escape() (int, error) {
	if s.pos+1 < len(s.data) {
		switch s.data[s.pos+1] {
		case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
			return 2, nil
		case 'u':
			if hex4(s.data[s.pos+2:]) >= 0 {
				return 6, nil
			}
		}
	}
	return 0, &syntaxError{"unknown escape sequence in a string", s.pos}
}

// hex4 is the number that four hexadecimal digits stand for, or -1.
func hex4(b []byte) rune {
	if len(b) < 4 {
		return -1
	}
	var r rune
	for _, c := range b[:4] {
		switch {
		case c >= '0' && c <= '9':
			c -= '0'
		case c >= 'a' && c <= 'f':
			c -= 'a' - 10
		case c >= 'A' && c <= 'F':
			c -= 'A' - 10
		default:
			return -1
		}
		r = r<<4 | rune(c)
	}
	return r
}

// unescape resolves the escapes of a string that rawString has checked.
func unescape(raw []byte) []byte {
	out := make([]byte, 0, len(raw))
	for i := 0; i < len(raw); i++ {
		if raw[i] != '\\' {
			out = append(out, raw[i])
			continue
		}
		i++
		switch raw[i] {
		case 'b':
			out = append(out, '\b')
		case 'f':
			out = append(out, '\f')
		case 'n':
			out = append(out, '\n')
		case 'r':
			out = append(out, '\r')
		case 't':
			out = append(out, '\t')
		case 'u':
			r := hex4(raw[i+1:])
			i += 4
			if utf16.IsSurrogate(r) {
				low := rune(-1)
				if i+2 < len(raw) && raw[i+1] == '\\' && raw[i+2] == 'u' {
					low = hex4(raw[i+3:])
				}
				if pair := utf16.DecodeRune(r, low); pair != utf8.RuneError {
					r = pair
					i += 6
				}
			}
			out = utf8.AppendRune(out, r)
		default:
			out = append(out, raw[i])
		}
	}
	return out
}

// str reads a string, whose opening quote is next.
func (s *scanner) str() (string, error) {
	raw, escaped, err := s.rawString()
	if err != nil {
		return "", err
	}
	if escaped {
		raw = unescape(raw)
	}
	return unsafe.String(unsafe.SliceData(raw), len(raw)), nil
}

// number is a number's token: Int when small, else its text.
type number struct {
	text     string
	i        int64
	integral bool // no point, no exponent
	small    bool // integral and at most 18 digits: i is its value
}

// number reads a number, which is to be next.
func (s *scanner) number() (number, error) {
	data, i := s.data, s.pos
	neg := i < len(data) && data[i] == '-'
	if neg {
		i++
	}
	first := i
	var u int64
	for i < len(data) && data[i]-'0' <= 9 {
		u = u*10 + int64(data[i]-'0')
		i++
	}
	n := number{integral: true}
	digits := i - first
	if digits == 0 || digits > 1 && data[first] == '0' {
		s.pos = min(i, len(data))
		if digits > 1 {
			return n, &syntaxError{"a number may not start with 0", first}
		}
		return n, s.fail("a digit")
	}
	if i < len(data) && data[i] == '.' {
		n.integral = false
		start := i + 1
		for i = start; i < len(data) && data[i]-'0' <= 9; i++ {
		}
		if i == start {
			s.pos = i
			return n, s.fail("a digit behind the decimal point")
		}
	}
	if i < len(data) && data[i]|0x20 == 'e' {
		n.integral = false
		i++
		if i < len(data) && (data[i] == '+' || data[i] == '-') {
			i++
		}
		start := i
		for ; i < len(data) && data[i]-'0' <= 9; i++ {
		}
		if i == start {
			s.pos = i
			return n, s.fail("a digit in the exponent")
		}
	}
	if i < len(data) && !ends(data[i]) {
		s.pos = i
		return n, s.fail("the end of a number")
	}
	n.text = unsafe.String(unsafe.SliceData(data[s.pos:]), i-s.pos)
	s.pos = i
	if n.integral && digits <= 18 {
		n.small = true
		n.i = u
		if neg {
			n.i = -u
		}
	}
	return n, nil
}

// ends tells whether a byte may follow a number.
func ends(c byte) bool {
	switch c {
	case ',', '}', ']', ' ', '\n', '\r', '\t':
		return true
	}
	return false
}

// literal passes true, false or null.
func (s *scanner) literal(word string) error {
	end := s.pos + len(word)
	if end > len(s.data) || string(s.data[s.pos:end]) != word || end < len(s.data) && isWordByte(s.data[end]) {
		return s.fail("a JSON value (null, true, false, a number, a string, an array or an object)")
	}
	s.pos = end
	return nil
}

func isWordByte(c byte) bool {
	return c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'z' || c == '_' || c >= 0x80
}

// skip passes a value.
func (s *scanner) skip(depth int) error {
	switch c := s.peek(); c {
	case '"':
		_, _, err := s.rawString()
		return err
	case '{':
		first := true
		for {
			more, err := s.next('}', &first, depth)
			if err != nil || !more {
				return err
			}
			if _, _, err := s.name(); err != nil {
				return err
			}
			if err := s.skip(depth + 1); err != nil {
				return err
			}
		}
	case '[':
		first := true
		for {
			more, err := s.next(']', &first, depth)
			if err != nil || !more {
				return err
			}
			if err := s.skip(depth + 1); err != nil {
				return err
			}
		}
	case '-', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9':
		_, err := s.number()
		return err
	case 't':
		return s.literal("true")
	case 'f':
		return s.literal("false")
	default:
		return s.literal("null")
	}
}

// next moves to the next member of an object or element of an array, or behind
// its end; first is true before the opening bracket.
func (s *scanner) next(closing byte, first *bool, depth int) (more bool, err error) {
	if *first {
		*first = false
		if depth >= maxDepth {
			return false, &syntaxError{"values are nested deeper than " + strconv.Itoa(maxDepth), s.pos}
		}
		s.pos++
		if s.peek() == closing {
			s.pos++
			return false, nil
		}
		return true, nil
	}
	switch s.peek() {
	case ',':
		s.pos++
		return true, nil
	case closing:
		s.pos++
		return false, nil
	}
	return false, s.fail("',' or '" + string(rune(closing)) + "'")
}

// name passes a member's name and the colon behind it.
func (s *scanner) name() (raw []byte, escaped bool, err error) {
	if s.peek() != '"' {
		return nil, false, s.fail("a field name in double quotes")
	}
	if raw, escaped, err = s.rawString(); err != nil {
		return nil, false, err
	}
	if s.pos < len(s.data) && s.data[s.pos] == ':' || s.peek() == ':' {
		s.pos++
		return raw, escaped, nil
	}
	return nil, false, s.fail("':' behind a field name")
}
