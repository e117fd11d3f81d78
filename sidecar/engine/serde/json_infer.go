package serde

import (
	"bytes"
	"fmt"
	"sort"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"

	"github.com/sidestream/sidestream/sidecar/engine/types"
)

// jsonSchemaReader turns JSON Schema into types.
type jsonSchemaReader struct {
	root any
	refs map[string]string
	// inside has the references being followed, to notice a type that holds itself.
	inside map[string]bool
}

func inferJSON(text string, refs map[string]string) (types.Type, error) {
	r := &jsonSchemaReader{refs: refs, inside: map[string]bool{}}
	var err error
	if r.root, err = parseJSONSchema(text); err != nil {
		return types.Type{}, err
	}
	return r.typ(r.root)
}

// member is a field of a JSON object, kept in the order of the text.
type member struct {
	name  string
	value any // *[]member, []any or a scalar
}

// parseJSONSchema reads JSON with objects as lists, since the order of fields is
// the order of columns.
func parseJSONSchema(text string) (any, error) {
	s := &scanner{data: []byte(text)}
	v, err := s.tree(0)
	if err != nil {
		return nil, fmt.Errorf("the schema is not JSON: %w", err)
	}
	return v, nil
}

func (s *scanner) tree(depth int) (any, error) {
	first := true
	switch s.peek() {
	case '{':
		members := &[]member{}
		for {
			more, err := s.next('}', &first, depth)
			if err != nil || !more {
				return members, err
			}
			raw, escaped, err := s.name()
			if err != nil {
				return nil, err
			}
			if escaped {
				raw = unescape(raw)
			}
			v, err := s.tree(depth + 1)
			if err != nil {
				return nil, err
			}
			*members = append(*members, member{string(raw), v})
		}
	case '[':
		items := []any{}
		for {
			more, err := s.next(']', &first, depth)
			if err != nil || !more {
				return items, err
			}
			v, err := s.tree(depth + 1)
			if err != nil {
				return nil, err
			}
			items = append(items, v)
		}
	}
	s.peek()
	start := s.pos
	if err := s.skip(depth); err != nil {
		return nil, err
	}
	var v any
	err := json.Unmarshal(bytes.Clone(s.data[start:s.pos]), &v)
	return v, err
}

func get(v any, name string) any {
	if m, ok := v.(*[]member); ok {
		for _, x := range *m {
			if x.name == name {
				return x.value
			}
		}
	}
	return nil
}

func getText(v any, name string) string {
	s, _ := get(v, name).(string)
	return s
}

// typ is the type that a schema describes.
func (r *jsonSchemaReader) typ(v any) (types.Type, error) {
	if ref := getText(v, "$ref"); ref != "" {
		return r.follow(ref)
	}
	for _, word := range []string{"oneOf", "anyOf"} {
		if options, ok := get(v, word).([]any); ok {
			return r.choice(options)
		}
	}
	if all, ok := get(v, "allOf").([]any); ok && get(v, "type") == nil && get(v, "properties") == nil {
		if len(all) == 1 {
			return r.typ(all[0])
		}
		return types.Type{}, fmt.Errorf("allOf of several schemas is not supported")
	}
	jsonType := getText(v, "type")
	if list, ok := get(v, "type").([]any); ok { // ["null","string"]
		for _, x := range list {
			if s, _ := x.(string); s != "null" {
				if jsonType != "" {
					return types.Type{}, fmt.Errorf("a value of several types (%v) is not supported", list)
				}
				jsonType = s
			}
		}
	}
	connect := getText(v, "connect.type")
	if title := getText(v, "title"); strings.HasPrefix(title, "org.apache.kafka.connect.data.") {
		switch strings.TrimPrefix(title, "org.apache.kafka.connect.data.") {
		case "Decimal":
			return connectDecimal(v), nil
		case "Date":
			return types.TDate, nil
		case "Time":
			return types.TTime, nil
		case "Timestamp":
			return types.TTimestamp, nil
		}
	}
	switch jsonType {
	case "boolean":
		return types.TBoolean, nil
	case "integer":
		switch connect {
		case "int8", "int16", "int32":
			return types.TInteger, nil
		}
		return types.TBigint, nil
	case "number":
		return types.TDouble, nil
	case "string":
		if connect == "bytes" {
			return types.TBytes, nil
		}
		return types.TString, nil
	case "array":
		return r.array(v, connect)
	case "object", "":
		if jsonType == "" && get(v, "properties") == nil {
			if get(v, "enum") != nil || get(v, "const") != nil {
				return types.TString, nil
			}
			return types.Type{}, fmt.Errorf("a schema without a type is not supported")
		}
		return r.object(v, connect)
	}
	return types.Type{}, fmt.Errorf("the JSON type %q is not supported", jsonType)
}

func connectDecimal(v any) types.Type {
	params := get(v, "connect.parameters")
	scale, _ := strconv.Atoi(getText(params, "scale"))
	precision, err := strconv.Atoi(getText(params, "connect.decimal.precision"))
	if err != nil {
		precision = 64
	}
	return types.TDecimal(precision, scale)
}

// choice is the one type among options beside null; several make a STRUCT with a
// field for each, as Connect has it.
func (r *jsonSchemaReader) choice(options []any) (types.Type, error) {
	var some []any
	for _, o := range options {
		if getText(o, "type") != "null" {
			some = append(some, o)
		}
	}
	if len(some) == 1 {
		return r.typ(some[0])
	}
	var fields []types.Field
	for i, o := range some {
		t, err := r.typ(o)
		if err != nil {
			return t, err
		}
		fields = append(fields, types.Field{Name: "connect_union_field_" + strconv.Itoa(i), Type: t})
	}
	return types.TStruct(fields...), nil
}

func (r *jsonSchemaReader) array(v any, connect string) (types.Type, error) {
	items := get(v, "items")
	if items == nil {
		return types.Type{}, fmt.Errorf("an array whose items have no schema is not supported")
	}
	if connect == "map" {
		key, err := r.typ(get(get(items, "properties"), "key"))
		if err != nil {
			return key, err
		}
		value, err := r.typ(get(get(items, "properties"), "value"))
		return types.TMap(key, value), err
	}
	t, err := r.typ(items)
	return types.TArray(t), err
}

func (r *jsonSchemaReader) object(v any, connect string) (types.Type, error) {
	if more, ok := get(v, "additionalProperties").(*[]member); ok && (connect == "map" || get(v, "properties") == nil) {
		t, err := r.typ(more)
		return types.TMap(types.TString, t), err
	}
	type place struct {
		index float64
		field types.Field
	}
	var places []place
	props, _ := get(v, "properties").(*[]member)
	if props == nil {
		return types.TStruct(), nil
	}
	for i, p := range *props {
		t, err := r.typ(p.value)
		if err != nil {
			return t, fmt.Errorf("%s: %w", p.name, err)
		}
		index, ok := get(p.value, "connect.index").(float64)
		if !ok {
			index = float64(i)
		}
		places = append(places, place{index, types.Field{Name: p.name, Type: t}})
	}
	sort.SliceStable(places, func(i, j int) bool { return places[i].index < places[j].index })
	t := types.TStruct()
	for _, p := range places {
		t.Fields = append(t.Fields, p.field)
	}
	return t, nil
}

// follow finds what a $ref means: a place in this schema, or a referenced one.
func (r *jsonSchemaReader) follow(ref string) (types.Type, error) {
	if r.inside[ref] {
		return types.Type{}, fmt.Errorf("the type %s holds itself, which SQL can't", ref)
	}
	r.inside[ref] = true
	defer delete(r.inside, ref)
	name, pointer, _ := strings.Cut(ref, "#")
	root := r.root
	if name != "" {
		text, ok := r.refs[name]
		if !ok {
			return types.Type{}, fmt.Errorf("the schema refers to %s, which is not among its references", name)
		}
		var err error
		if root, err = parseJSONSchema(text); err != nil {
			return types.Type{}, fmt.Errorf("%s: %w", name, err)
		}
	}
	v := root
	for _, step := range strings.Split(strings.Trim(pointer, "/"), "/") {
		if step == "" {
			continue
		}
		step = strings.NewReplacer("~1", "/", "~0", "~").Replace(step)
		if v = get(v, step); v == nil {
			return types.Type{}, fmt.Errorf("the schema refers to %s, which is not there", ref)
		}
	}
	outer := r.root
	r.root = root
	defer func() { r.root = outer }()
	return r.typ(v)
}
