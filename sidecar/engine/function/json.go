package function

import (
	"encoding/base64"
	"fmt"
	"math"

	"github.com/sidestream/sidestream/sidecar/engine/types"
)

func jsonFunctions() []*Scalar {
	extract := over("STRING input, STRING path", "STRING", nil)
	extract.EvalTyped = func([]types.Type, types.Type) func([]types.Value) (types.Value, error) {
		var last string
		var steps []jsonStep
		var valid bool
		return strict(func(a []types.Value) (types.Value, error) {
			if p := a[1].Str(); steps == nil && !valid || p != last {
				last = string(append([]byte(nil), p...))
				steps, valid = parsePath(last)
			}
			if !valid {
				return none, fmt.Errorf("EXTRACTJSONFIELD: %q is not a path such as $.a.b[0]", last)
			}
			n, ok := parseJSON(a[0].Str())
			if !ok {
				return none, fmt.Errorf("EXTRACTJSONFIELD: the text is not JSON")
			}
			found, ok := n.follow(steps)
			if !ok || found.kind == 'n' {
				return none, nil
			}
			return text(found.String()), nil
		})
	}
	toJSON := over("ANY val", "STRING", nil)
	toJSON.EvalTyped = func(args []types.Type, _ types.Type) func([]types.Value) (types.Value, error) {
		return func(a []types.Value) (types.Value, error) { return text(string(appendJSON(nil, a[0], args[0]))), nil }
	}
	return []*Scalar{
		scalar("EXTRACTJSONFIELD", categoryJSON, "Given a STRING that contains JSON data, extract the value at the specified JSONPath or NULL if the specified path does not exist.", extract),
		scalar("is_json_string", categoryJSON, "Given a string, returns true if it can be parsed as a valid JSON value, false otherwise.",
			over("STRING input", "BOOLEAN", func(a []types.Value) (types.Value, error) {
				_, ok := parseJSON(a[0].Str())
				return boolean(ok && !a[0].IsNull()), nil
			})),
		scalar("json_array_length", categoryJSON, "Given a string, parses it as a JSON value and returns the length of the top-level array. Returns NULL if the string can't be interpreted as a JSON array.",
			nullable("STRING jsonArray", "INTEGER", func(a []types.Value) (types.Value, error) {
				n, ok := parseJSON(a[0].Str())
				if !ok {
					return none, fmt.Errorf("JSON_ARRAY_LENGTH: the text is not JSON")
				}
				if n.kind != '[' {
					return none, nil
				}
				return integer(len(n.items)), nil
			})),
		jsonArrayContains(),
		scalar("json_concat", categoryJSON, "Given N strings, parse them as JSON values and return a string representing their concatenation. Objects are united, arrays joined; other values become elements of an array.",
			nullable("STRING... jsonStrings", "STRING", jsonConcat)),
		scalar("json_items", categoryJSON, "Given a string with a JSON array, convert it to an array of JSON strings",
			nullable("STRING jsonItems", "ARRAY<STRING>", func(a []types.Value) (types.Value, error) {
				n, ok := parseJSON(a[0].Str())
				if !ok || n.kind != '[' {
					return none, fmt.Errorf("JSON_ITEMS: the text is not a JSON array")
				}
				items := make([]types.Value, len(n.items))
				for i := range n.items {
					items[i] = text(string(n.items[i].append(nil)))
				}
				return types.NewArray(items), nil
			})),
		scalar("json_keys", categoryJSON, "Given a string, parses it as a JSON object and returns an array of strings representing the top-level keys. Returns NULL if the string can't be interpreted as a JSON object.",
			nullable("STRING json_string", "ARRAY<STRING>", func(a []types.Value) (types.Value, error) {
				n, ok := parseJSON(a[0].Str())
				if !ok {
					return none, fmt.Errorf("JSON_KEYS: the text is not JSON")
				}
				if n.kind != '{' {
					return none, nil
				}
				return textArray(n.names), nil
			})),
		scalar("json_records", categoryJSON, "Given a string, parses it as a JSON object and returns a map representing the top-level keys and values. Returns NULL if the string can't be interpreted as a JSON object.",
			nullable("STRING json_records", "MAP<STRING, STRING>", func(a []types.Value) (types.Value, error) {
				n, ok := parseJSON(a[0].Str())
				if !ok {
					return none, fmt.Errorf("JSON_RECORDS: the text is not JSON")
				}
				if n.kind != '{' {
					return none, nil
				}
				out := []types.Entry{}
				for i, name := range n.names {
					out = append(out, types.Entry{Key: text(name), Value: text(n.items[i].String())})
				}
				return types.NewMap(out), nil
			})),
		scalar("to_json_string", categoryJSON, "Given any ksqlDB type returns the equivalent JSON string.", toJSON),
	}
}

func jsonArrayContains() *Scalar {
	f := scalar("json_array_contains", categoryJSON, "Parses a JSON array and determines whether or not the supplied value is contained within the array.")
	o := over("STRING jsonArray, T val", "BOOLEAN", func(a []types.Value) (types.Value, error) {
		n, ok := parseJSON(a[0].Str())
		if a[0].IsNull() || !ok || n.kind != '[' {
			return boolean(false), nil
		}
		for i := range n.items {
			if sameJSON(&n.items[i], a[1]) {
				return boolean(true), nil
			}
		}
		return boolean(false), nil
	})
	f.Overloads = append(f.Overloads, o)
	return f
}

// sameJSON compares an element with a value: kinds must agree, numbers compare
// by value.
func sameJSON(n *node, v types.Value) bool {
	switch v.Kind() {
	case types.Null:
		return n.kind == 'n'
	case types.Boolean:
		return n.kind == 't' && v.Bool() || n.kind == 'f' && !v.Bool()
	case types.String:
		return n.kind == '"' && n.text == v.Str()
	case types.Integer, types.Bigint, types.Decimal, types.Double:
		if n.kind != '0' {
			return false
		}
		if v.Kind() == types.Double {
			x, err := types.ParseDouble(n.text)
			return err == nil && x == v.Float()
		}
		x, err := types.ParseDecimal(n.text)
		return err == nil && types.Equal(x, v)
	}
	return false
}

func jsonConcat(args []types.Value) (types.Value, error) {
	nodes := make([]node, len(args))
	objects := true
	for i, a := range args {
		var ok bool
		if nodes[i], ok = parseJSON(a.Str()); !ok {
			return none, fmt.Errorf("JSON_CONCAT: argument %d is not JSON", i+1)
		}
		objects = objects && nodes[i].kind == '{'
	}
	if len(nodes) == 0 {
		return none, nil
	}
	if objects {
		out := node{kind: '{'}
		for _, n := range nodes {
			for i, name := range n.names {
				out.set(name, n.items[i])
			}
		}
		return text(out.String()), nil
	}
	out := node{kind: '['}
	for _, n := range nodes {
		if n.kind == '[' {
			out.items = append(out.items, n.items...)
		} else {
			out.items = append(out.items, n)
		}
	}
	return text(out.String()), nil
}

// appendJSON writes a value as TO_JSON_STRING does: times as text, NULL fields
// and all.
func appendJSON(dst []byte, v types.Value, t types.Type) []byte {
	switch v.Kind() {
	case types.Null:
		return append(dst, "null"...)
	case types.Boolean, types.Integer, types.Bigint, types.Decimal:
		return types.AppendText(dst, v, t)
	case types.Double:
		if x := v.Float(); math.IsNaN(x) || math.IsInf(x, 0) {
			return appendJSONString(dst, types.FormatDouble(x))
		}
		return types.AppendText(dst, v, t)
	case types.Bytes:
		return appendJSONString(dst, base64.StdEncoding.EncodeToString(v.Bytes()))
	case types.Array:
		dst = append(dst, '[')
		for i, x := range v.Items() {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = appendJSON(dst, x, *t.Elem)
		}
		return append(dst, ']')
	case types.Map:
		dst = append(dst, '{')
		for i, e := range v.Entries() {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = append(appendJSONString(dst, types.Text(e.Key, *t.Key)), ':')
			dst = appendJSON(dst, e.Value, *t.Elem)
		}
		return append(dst, '}')
	case types.Struct:
		dst = append(dst, '{')
		for i, x := range v.Items() {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = append(appendJSONString(dst, t.Fields[i].Name), ':')
			dst = appendJSON(dst, x, t.Fields[i].Type)
		}
		return append(dst, '}')
	}
	return appendJSONString(dst, types.Text(v, t))
}
