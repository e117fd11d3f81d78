package registry

import (
	"fmt"
	"strings"
)

// canonicalAvro is an AVRO schema's text as the registry gives it back: the
// members in the order of Avro's own writer, a type without properties as its
// bare name, a namespace only where it changes. So one schema has one text,
// however it was laid out.
func canonicalAvro(v any, namespace string) (any, error) {
	switch v := v.(type) {
	case string:
		if !strings.Contains(v, ".") || namespace == "" {
			return v, nil
		}
		return strings.TrimPrefix(v, namespace+"."), nil
	case []any:
		out := make([]any, len(v))
		for i, x := range v {
			var err error
			if out[i], err = canonicalAvro(x, namespace); err != nil {
				return nil, err
			}
		}
		return out, nil
	case *object:
		return canonicalAvroObject(v, namespace)
	}
	return nil, fmt.Errorf("%s is no schema", treeText(v))
}

var avroPrimitives = map[string]bool{"null": true, "boolean": true, "int": true, "long": true, "float": true, "double": true, "bytes": true, "string": true}

func canonicalAvroObject(o *object, namespace string) (any, error) {
	kind, ok := o.get("type").(string)
	if !ok { // {"type": {…}} or {"type": […]}
		if !o.has("type") {
			return nil, fmt.Errorf("No type: %s", treeText(o))
		}
		return canonicalAvro(o.get("type"), namespace)
	}
	out := &object{values: map[string]any{}}
	done := map[string]bool{"type": true}
	put := func(name string, v any) {
		out.names = append(out.names, name)
		out.values[name] = v
	}
	copyOf := func(names ...string) {
		for _, name := range names {
			done[name] = true
			if o.has(name) {
				put(name, o.get(name))
			}
		}
	}
	put("type", kind)
	switch kind {
	case "record", "error", "enum", "fixed":
		name, own := o.text("name"), o.text("namespace")
		if i := strings.LastIndexByte(name, '.'); i >= 0 {
			own, name = name[:i], name[i+1:]
		} else if !o.has("namespace") {
			own = namespace
		}
		done["name"], done["namespace"] = true, true
		put("name", name)
		if own != namespace {
			put("namespace", own)
		}
		copyOf("doc")
		if kind == "enum" {
			copyOf("symbols", "default")
		}
		if kind == "fixed" {
			copyOf("size")
		}
		if kind == "record" || kind == "error" {
			fields, err := canonicalFields(o.get("fields"), own)
			if err != nil {
				return nil, err
			}
			done["fields"] = true
			put("fields", fields)
		}
		done["aliases"] = true // come last
	case "array", "map":
		member := map[string]string{"array": "items", "map": "values"}[kind]
		inner, err := canonicalAvro(o.get(member), namespace)
		if err != nil {
			return nil, err
		}
		done[member] = true
		put(member, inner)
	default:
		if len(o.names) == 1 {
			return canonicalAvro(kind, namespace)
		}
		if !avroPrimitives[kind] { // a named type: what stands beside its name means nothing
			return canonicalAvro(kind, namespace)
		}
	}
	for _, name := range o.names { // properties
		if !done[name] {
			put(name, o.get(name))
		}
	}
	if o.has("name") && o.has("aliases") {
		put("aliases", o.get("aliases"))
	}
	return out, nil
}

func canonicalFields(v any, namespace string) ([]any, error) {
	list, ok := v.([]any)
	if !ok {
		return nil, fmt.Errorf("a record has no fields: %s", treeText(v))
	}
	out := []any{}
	for _, x := range list {
		f, ok := x.(*object)
		if !ok {
			return nil, fmt.Errorf("%s is no field", treeText(x))
		}
		t, err := canonicalAvro(f.get("type"), namespace)
		if err != nil {
			return nil, err
		}
		field := &object{values: map[string]any{}}
		put := func(name string, v any) {
			field.names = append(field.names, name)
			field.values[name] = v
		}
		put("name", f.get("name"))
		put("type", t)
		for _, name := range []string{"doc", "default"} {
			if f.has(name) {
				put(name, f.get(name))
			}
		}
		if order := f.text("order"); order != "" && order != "ascending" {
			put("order", order)
		}
		if f.has("aliases") {
			put("aliases", f.get("aliases"))
		}
		for _, name := range f.names {
			switch name {
			case "name", "type", "doc", "default", "order", "aliases":
			default:
				put(name, f.get(name))
			}
		}
		out = append(out, field)
	}
	return out, nil
}
