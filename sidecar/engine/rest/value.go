package rest

import (
	"encoding/base64"

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
		return types.AppendJSONString(dst, v.Str())
	case types.Double:
		mark := len(dst)
		dst = types.AppendDouble(dst, v.Float())
		if c := dst[len(dst)-1]; c < '0' || c > '9' { // NaN, Infinity
			text := string(dst[mark:])
			return types.AppendJSONString(dst[:mark], text)
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
			dst = types.AppendJSONString(dst, types.Text(e.Key, *t.Key))
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
			dst = types.AppendJSONString(dst, t.Fields[i].Name)
			dst = append(dst, ':')
			dst = appendValue(dst, item, &t.Fields[i].Type)
		}
		return append(dst, '}')
	}
	return types.AppendText(dst, v, *t) // booleans, integers, decimals
}
