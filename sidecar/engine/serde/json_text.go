package serde

import (
	"strconv"
	"strings"

	"github.com/sidestream/sidestream/sidecar/engine/types"
)

// A STRING column takes any JSON value: numbers as Java prints them, objects as
// compact JSON, arrays as "[a, b]".

// numberText is a number as it reads in a STRING column: decimals without
// trailing zeros, in Java's notation.
func numberText(n number) string {
	if n.integral {
		if n.text == "-0" {
			return "0"
		}
		return strings.Clone(n.text)
	}
	v, err := types.ParseDecimal(n.text)
	if err != nil {
		return strings.Clone(n.text)
	}
	digits := strings.TrimPrefix(types.FormatDecimal(v), "-")
	sign := ""
	if len(digits) < len(types.FormatDecimal(v)) {
		sign = "-"
	}
	whole, fraction, _ := strings.Cut(digits, ".")
	fraction = strings.TrimRight(fraction, "0")
	significant := strings.TrimLeft(whole+fraction, "0")
	if significant == "" {
		return "0"
	}
	scale := len(fraction)
	if scale == 0 {
		trimmed := strings.TrimRight(significant, "0")
		scale = len(trimmed) - len(significant)
		significant = trimmed
	}
	exponent := len(significant) - 1 - scale
	if scale >= 0 && exponent >= -6 {
		if fraction == "" {
			return sign + whole
		}
		return sign + whole + "." + fraction
	}
	text := sign + significant[:1]
	if len(significant) > 1 {
		text += "." + significant[1:]
	}
	text += "E"
	if exponent > 0 {
		text += "+"
	}
	return text + strconv.Itoa(exponent)
}

// appendCompact appends the value at the position as JSON without white space.
func (d *jsonDecoder) appendCompact(dst []byte, depth int) ([]byte, error) {
	c := d.peek()
	switch c {
	case '{':
		dst = append(dst, '{')
		first := true
		for i := 0; ; i++ {
			more, err := d.next('}', &first, depth)
			if err != nil {
				return nil, err
			}
			if !more {
				return append(dst, '}'), nil
			}
			if i > 0 {
				dst = append(dst, ',')
			}
			raw, escaped, err := d.name()
			if err != nil {
				return nil, err
			}
			if escaped {
				raw = unescape(raw)
			}
			dst = append(types.AppendJSONString(dst, string(raw)), ':')
			if dst, err = d.appendCompact(dst, depth+1); err != nil {
				return nil, err
			}
		}
	case '[':
		dst = append(dst, '[')
		first := true
		for i := 0; ; i++ {
			more, err := d.next(']', &first, depth)
			if err != nil {
				return nil, err
			}
			if !more {
				return append(dst, ']'), nil
			}
			if i > 0 {
				dst = append(dst, ',')
			}
			if dst, err = d.appendCompact(dst, depth+1); err != nil {
				return nil, err
			}
		}
	case '"':
		s, err := d.str()
		return types.AppendJSONString(dst, s), err
	case 'n':
		return append(dst, "null"...), d.literal("null")
	}
	v, err := d.stringValue(c, depth)
	return append(dst, v.Str()...), err
}

// appendList appends an array as "[a, b]", texts without quotes.
func (d *jsonDecoder) appendList(dst []byte, depth int) ([]byte, error) {
	dst = append(dst, '[')
	first := true
	for i := 0; ; i++ {
		more, err := d.next(']', &first, depth)
		if err != nil {
			return nil, err
		}
		if !more {
			return append(dst, ']'), nil
		}
		if i > 0 {
			dst = append(dst, ", "...)
		}
		c := d.peek()
		if c == 'n' {
			if err := d.literal("null"); err != nil {
				return nil, err
			}
			dst = append(dst, "null"...)
			continue
		}
		v, err := d.stringValue(c, depth+1)
		if err != nil {
			return nil, err
		}
		dst = append(dst, v.Str()...)
	}
}
