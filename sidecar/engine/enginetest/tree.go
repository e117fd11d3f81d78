package enginetest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/big"
	"strings"

	"github.com/cockroachdb/apd/v3"

	"github.com/sidestream/sidestream/sidecar/engine/types"
)

// What a case expects is a tree of JSON values: nil, bool, string, json.Number,
// []any, map[string]any. What came out is a tree whose leaves have types: nil,
// bool, string, []byte, *big.Int, *apd.Decimal, float64.

// expected reads a case's JSON.
func expected(raw json.RawMessage) (any, error) {
	if isNull(raw) {
		return nil, nil
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	var v any
	err := d.Decode(&v)
	return v, err
}

// jsonTree is the tree of JSON that came out: numbers are whole or decimals, as
// they are written.
func jsonTree(data []byte) (any, error) {
	v, err := expected(data)
	if err != nil {
		return nil, fmt.Errorf("%w in %q", err, data)
	}
	return typedNumbers(v)
}

func typedNumbers(v any) (any, error) {
	var err error
	switch t := v.(type) {
	case json.Number:
		if n, ok := new(big.Int).SetString(t.String(), 10); ok {
			return n, nil
		}
		d, _, err := apd.NewFromString(t.String())
		return d, err
	case []any:
		for i := range t {
			if t[i], err = typedNumbers(t[i]); err != nil {
				return nil, err
			}
		}
	case map[string]any:
		for k := range t {
			if t[k], err = typedNumbers(t[k]); err != nil {
				return nil, err
			}
		}
	}
	return v, nil
}

// rowTree is the tree of a value with a type.
func rowTree(v types.Value, t types.Type) any {
	if v.IsNull() {
		return nil
	}
	switch t.Kind {
	case types.Boolean:
		return v.Bool()
	case types.Double:
		return v.Float()
	case types.Decimal:
		return v.Apd()
	case types.String:
		return v.Str()
	case types.Bytes:
		return v.Bytes()
	case types.Array:
		out := make([]any, 0, len(v.Items()))
		for _, x := range v.Items() {
			out = append(out, rowTree(x, *t.Elem))
		}
		return out
	case types.Map:
		out := map[string]any{}
		for _, e := range v.Entries() {
			out[types.Text(e.Key, *t.Key)] = rowTree(e.Value, *t.Elem)
		}
		return out
	case types.Struct:
		out := map[string]any{}
		for i, x := range v.Items() {
			out[t.Fields[i].Name] = rowTree(x, t.Fields[i].Type)
		}
		return out
	}
	return big.NewInt(v.Int())
}

// typeName names the type of a tree for people.
func typeName(v any) string {
	switch v := v.(type) {
	case nil:
		return "null"
	case bool:
		return "boolean"
	case string:
		return "text"
	case []byte:
		return "bytes"
	case json.Number:
		if strings.ContainsAny(v.String(), ".eE") {
			return "decimal"
		}
		return "whole number"
	case *big.Int:
		return "whole number"
	case *apd.Decimal:
		return fmt.Sprintf("decimal of scale %d", -v.Exponent)
	case float64:
		return "double"
	case []any:
		return fmt.Sprintf("array of %d", len(v))
	case map[string]any:
		return fmt.Sprintf("object of %d", len(v))
	}
	return fmt.Sprintf("%T", v)
}

// show writes a tree for people.
func show(v any) string {
	data, err := json.Marshal(plainTree(v))
	if err != nil {
		return fmt.Sprint(v)
	}
	if len(data) > 400 {
		return string(data[:400]) + "…"
	}
	return string(data)
}

// plainTree makes of a typed tree one that JSON can hold.
func plainTree(v any) any {
	switch t := v.(type) {
	case *big.Int:
		return json.Number(t.String())
	case *apd.Decimal:
		return json.Number(t.Text('f'))
	case float64:
		return json.Number(types.FormatDouble(t))
	case []any:
		out := make([]any, len(t))
		for i := range t {
			out[i] = plainTree(t[i])
		}
		return out
	case map[string]any:
		out := map[string]any{}
		for k := range t {
			out[k] = plainTree(t[k])
		}
		return out
	}
	return v
}
