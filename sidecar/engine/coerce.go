package engine

import (
	"encoding/base64"
	"math"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/sidestream/sidestream/sidecar/engine/analyze"
	"github.com/sidestream/sidestream/sidecar/engine/catalog"
	"github.com/sidestream/sidestream/sidecar/engine/types"
)

func upper(s string) string { return strings.ToUpper(s) }

// rowFromJSON makes a row of a JSON object: names are found without regard to
// case, unknown ones are passed by.
func rowFromJSON(src *catalog.Source, data []byte) (*analyze.Insert, error) {
	if err := ValidRow(data); err != nil {
		return nil, err
	}
	out := &analyze.Insert{Source: src, Time: -1, Key: make([]types.Value, len(src.Schema.Key))}
	for _, c := range src.Schema.Value {
		if !c.Headers {
			out.Value = append(out.Value, types.Value{})
		}
	}
	find := func(name string) (t types.Type, to *types.Value, ok bool) {
		for _, exact := range []bool{true, false} {
			same := func(col string) bool {
				return exact && col == strings.Trim(name, "`") || !exact && strings.EqualFold(col, name)
			}
			for i, c := range src.Schema.Key {
				if same(c.Name) {
					return c.Type, &out.Key[i], true
				}
			}
			place := 0
			for _, c := range src.Schema.Value {
				if c.Headers {
					continue
				}
				if same(c.Name) {
					return c.Type, &out.Value[place], true
				}
				place++
			}
		}
		return t, nil, false
	}
	dec := jsontext.NewDecoder(strings.NewReader(string(data)), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	if _, err := dec.ReadToken(); err != nil {
		return nil, BadRequest("Invalid JSON in inserts stream")
	}
	for dec.PeekKind() == '"' {
		tok, err := dec.ReadToken()
		if err != nil {
			return nil, BadRequest("Invalid JSON in inserts stream")
		}
		name := tok.String()
		val, err := dec.ReadValue()
		if err != nil {
			return nil, BadRequest("Invalid JSON in inserts stream")
		}
		if strings.EqualFold(name, "ROWTIME") {
			if ms, err := strconv.ParseInt(string(val), 10, 64); err == nil {
				out.Time = ms
			}
			continue
		}
		t, to, ok := find(name)
		if !ok {
			continue
		}
		if *to, err = coerce(val, t); err != nil {
			return nil, err
		}
	}
	if keyMissing(src, out.Key) {
		return nil, BadRequest("Key field must be specified: %s", keyNames(src))
	}
	return out, nil
}

func keyNames(src *catalog.Source) string {
	parts := make([]string, len(src.Schema.Key))
	for i, c := range src.Schema.Key {
		parts[i] = c.Name
	}
	return strings.Join(parts, ", ")
}

// javaClass is what ksqlDB calls a JSON value in its message.
func javaClass(v jsontext.Value) string {
	switch v.Kind() {
	case '"':
		return "class java.lang.String"
	case 't', 'f':
		return "class java.lang.Boolean"
	case '[':
		return "class io.vertx.core.json.JsonArray"
	case '{':
		return "class io.vertx.core.json.JsonObject"
	}
	text := string(v)
	if strings.ContainsAny(text, ".eE") {
		return "class java.lang.Double"
	}
	if n, err := strconv.ParseInt(text, 10, 64); err == nil && n >= math.MinInt32 && n <= math.MaxInt32 {
		return "class java.lang.Integer"
	}
	return "class java.lang.Long"
}

// coerce makes a value of a JSON value where nothing is lost by it.
func coerce(v jsontext.Value, t types.Type) (types.Value, error) {
	if v.Kind() == 'n' {
		return types.Value{}, nil
	}
	if out, ok := convert(v, t); ok {
		return out, nil
	}
	return types.Value{}, BadRequest("Can't coerce a field of type %s into type %s", javaClass(v), t.String())
}

func convert(v jsontext.Value, t types.Type) (types.Value, bool) {
	kind, text := v.Kind(), string(v)
	if kind == '"' {
		raw, err := jsontext.AppendUnquote(nil, v)
		if err != nil {
			return types.Value{}, false
		}
		return convertText(string(raw), t)
	}
	switch t.Kind {
	case types.Boolean:
		return types.NewBool(kind == 't'), kind == 't' || kind == 'f'
	case types.Integer, types.Bigint:
		if kind != '0' || strings.ContainsAny(text, ".eE") {
			return types.Value{}, false
		}
		n, err := strconv.ParseInt(text, 10, 64)
		if t.Kind == types.Bigint {
			return types.NewBigint(n), err == nil
		}
		return types.NewInt(int32(n)), err == nil && n >= math.MinInt32 && n <= math.MaxInt32
	case types.Double:
		f, err := strconv.ParseFloat(text, 64)
		return types.NewDouble(f), kind == '0' && err == nil
	case types.Decimal:
		if kind != '0' {
			return types.Value{}, false
		}
		d, err := types.ParseDecimal(text)
		if err == nil {
			d, err = types.Fit(d, t)
		}
		return d, err == nil
	case types.Array:
		return convertArray(v, t)
	case types.Map, types.Struct:
		return convertObject(v, t)
	}
	return types.Value{}, false
}

func convertText(s string, t types.Type) (types.Value, bool) {
	switch t.Kind {
	case types.String:
		return types.NewString(s), true
	case types.Decimal:
		d, err := types.ParseDecimal(s)
		if err == nil {
			d, err = types.Fit(d, t)
		}
		return d, err == nil
	case types.Bytes:
		b, err := base64.StdEncoding.DecodeString(s)
		return types.NewBytes(b), err == nil
	case types.Date:
		n, err := types.ParseDate(s)
		return types.NewDate(n), err == nil
	case types.Time:
		n, err := types.ParseTime(s)
		return types.NewTime(n), err == nil
	case types.Timestamp:
		n, err := types.ParseTimestamp(s)
		return types.NewTimestamp(n), err == nil
	}
	return types.Value{}, false
}

func convertArray(v jsontext.Value, t types.Type) (types.Value, bool) {
	if v.Kind() != '[' {
		return types.Value{}, false
	}
	dec := jsontext.NewDecoder(strings.NewReader(string(v)), jsontext.AllowDuplicateNames(true))
	_, _ = dec.ReadToken() // '[', as Kind says
	items := []types.Value{}
	for dec.PeekKind() != ']' {
		raw, err := dec.ReadValue()
		if err != nil {
			return types.Value{}, false
		}
		item, err := coerce(raw, *t.Elem)
		if err != nil {
			return types.Value{}, false
		}
		items = append(items, item)
	}
	return types.NewArray(items), true
}

func convertObject(v jsontext.Value, t types.Type) (types.Value, bool) {
	if v.Kind() != '{' {
		return types.Value{}, false
	}
	dec := jsontext.NewDecoder(strings.NewReader(string(v)), jsontext.AllowDuplicateNames(true))
	_, _ = dec.ReadToken() // '{', as Kind says
	entries := []types.Entry{}
	fields := make([]types.Value, len(t.Fields))
	for dec.PeekKind() == '"' {
		tok, err := dec.ReadToken()
		if err != nil {
			return types.Value{}, false
		}
		name := tok.String()
		raw, err := dec.ReadValue()
		if err != nil {
			return types.Value{}, false
		}
		if t.Kind == types.Map {
			key, ok := convertText(name, *t.Key)
			item, err := coerce(raw, *t.Elem)
			if !ok || err != nil {
				return types.Value{}, false
			}
			entries = append(entries, types.Entry{Key: key, Value: item})
			continue
		}
		for i, f := range t.Fields {
			if strings.EqualFold(f.Name, name) {
				if fields[i], err = coerce(raw, f.Type); err != nil {
					return types.Value{}, false
				}
			}
		}
	}
	if t.Kind == types.Map {
		return types.NewMap(entries), true
	}
	return types.NewStruct(fields), true
}
