package rest

import (
	"encoding/base64"
	"unicode/utf8"

	"github.com/sidestream/sidestream/sidecar/engine/schema"
	"github.com/sidestream/sidestream/sidecar/engine/types"
)

// appendRow appends a row as a JSON array.
func appendRow(dst []byte, row []types.Value, cols []schema.Column) []byte {
	dst = append(dst, '[')
	for i, v := range row {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendValue(dst, v, &cols[i].Type)
	}
	return append(dst, ']')
}

// appendValue appends a value as ksqlDB's answers have it: decimals with their
// scale, times as text.
func appendValue(dst []byte, v types.Value, t *types.Type) []byte {
	if v.IsNull() {
		return append(dst, "null"...)
	}
	switch v.Kind() {
	case types.String:
		return appendString(dst, v.Str())
	case types.Double:
		mark := len(dst)
		dst = types.AppendDouble(dst, v.Float())
		if c := dst[len(dst)-1]; c < '0' || c > '9' { // NaN, Infinity
			text := string(dst[mark:])
			return appendString(dst[:mark], text)
		}
		return dst
	case types.Bytes:
		dst = append(dst, '"')
		dst = base64.StdEncoding.AppendEncode(dst, v.Bytes())
		return append(dst, '"')
	case types.Date, types.Time, types.Timestamp:
		dst = append(dst, '"')
		dst = types.AppendText(dst, v, *t)
		return append(dst, '"')
	case types.Array:
		dst = append(dst, '[')
		for i, item := range v.Items() {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = appendValue(dst, item, t.Elem)
		}
		return append(dst, ']')
	case types.Map:
		dst = append(dst, '{')
		for i, e := range v.Entries() {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = appendString(dst, types.Text(e.Key, *t.Key))
			dst = append(dst, ':')
			dst = appendValue(dst, e.Value, t.Elem)
		}
		return append(dst, '}')
	case types.Struct:
		dst = append(dst, '{')
		for i, item := range v.Items() {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = appendString(dst, t.Fields[i].Name)
			dst = append(dst, ':')
			dst = appendValue(dst, item, &t.Fields[i].Type)
		}
		return append(dst, '}')
	}
	return types.AppendText(dst, v, *t) // booleans, integers, decimals
}

const hex = "0123456789ABCDEF"

// appendString appends a JSON string with the escapes that it needs.
func appendString(dst []byte, s string) []byte {
	dst = append(dst, '"')
	from := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c >= utf8.RuneSelf {
			r, n := utf8.DecodeRuneInString(s[i:])
			if r == utf8.RuneError && n == 1 {
				dst = append(append(dst, s[from:i]...), "\uFFFD"...)
				from = i + 1
			}
			i += n
			continue
		}
		if c >= ' ' && c != '"' && c != '\\' {
			i++
			continue
		}
		dst = append(dst, s[from:i]...)
		switch c {
		case '"', '\\':
			dst = append(dst, '\\', c)
		case '\n':
			dst = append(dst, '\\', 'n')
		case '\r':
			dst = append(dst, '\\', 'r')
		case '\t':
			dst = append(dst, '\\', 't')
		case '\b':
			dst = append(dst, '\\', 'b')
		case '\f':
			dst = append(dst, '\\', 'f')
		default:
			dst = append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		}
		i++
		from = i
	}
	return append(append(dst, s[from:]...), '"')
}
