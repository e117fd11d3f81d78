package serde

import (
	"fmt"
	"strconv"

	"github.com/sidestream/sidestream/sidecar/engine/schema"
	"github.com/sidestream/sidestream/sidecar/engine/types"
)

// jsonSchema is the schema of the columns.
func jsonSchema(cols []schema.Column, bare bool) string {
	if bare {
		return string(appendJSONSchema(nil, cols[0].Type, -1))
	}
	fields := make([]types.Field, len(cols))
	for i, c := range cols {
		fields[i] = types.Field{Name: c.Name, Type: c.Type}
	}
	return string(appendObjectSchema(nil, fields))
}

func appendObjectSchema(dst []byte, fields []types.Field) []byte {
	dst = append(dst, `{"type":"object","properties":{`...)
	for i, f := range fields {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(types.AppendJSONString(dst, f.Name), ':')
		dst = appendJSONSchema(dst, f.Type, i)
	}
	return append(dst, "}}"...)
}

// appendJSONSchema appends the schema of a nullable value; index is its place in
// its object, -1 without.
func appendJSONSchema(dst []byte, t types.Type, index int) []byte {
	dst = append(dst, '{')
	if index >= 0 {
		dst = append(strconv.AppendInt(append(dst, `"connect.index":`...), int64(index), 10), ',')
	}
	dst = append(dst, `"oneOf":[{"type":"null"},`...)
	logical := func(jsonType, name, connect string) {
		dst = fmt.Appendf(dst, `{"type":%q,"title":"org.apache.kafka.connect.data.%s","connect.version":1,"connect.type":%q`,
			jsonType, name, connect)
	}
	switch t.Kind {
	case types.Boolean:
		dst = append(dst, `{"type":"boolean","connect.type":"boolean"}`...)
	case types.Integer:
		dst = append(dst, `{"type":"integer","connect.type":"int32"}`...)
	case types.Bigint:
		dst = append(dst, `{"type":"integer","connect.type":"int64"}`...)
	case types.Double:
		dst = append(dst, `{"type":"number","connect.type":"float64"}`...)
	case types.Bytes:
		dst = append(dst, `{"type":"string","connect.type":"bytes"}`...)
	case types.Decimal:
		logical("number", "Decimal", "bytes")
		dst = fmt.Appendf(dst, `,"connect.parameters":{"scale":"%d","connect.decimal.precision":"%d"}}`, t.Scale, t.Precision)
	case types.Date:
		logical("integer", "Date", "int32")
		dst = append(dst, '}')
	case types.Time:
		logical("integer", "Time", "int32")
		dst = append(dst, '}')
	case types.Timestamp:
		logical("integer", "Timestamp", "int64")
		dst = append(dst, '}')
	case types.Array:
		dst = appendJSONSchema(append(dst, `{"type":"array","items":`...), *t.Elem, -1)
		dst = append(dst, '}')
	case types.Map:
		dst = appendJSONSchema(append(dst, `{"type":"object","additionalProperties":`...), *t.Elem, -1)
		dst = append(dst, `,"connect.type":"map"}`...)
	case types.Struct:
		dst = appendObjectSchema(dst, t.Fields)
	default:
		dst = append(dst, `{"type":"string"}`...)
	}
	return append(dst, "]}"...)
}
