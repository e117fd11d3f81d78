package registry

import (
	"encoding/json"
	"fmt"
	"math/big"
	"slices"
	"strings"
)

// jsonSchema is a JSON Schema with those that it refers to.
type jsonSchema struct {
	root any
	refs map[string]any // roots of other schemas, by name
}

func newJSONSchema(text string, refs map[string]string) (*jsonSchema, error) {
	s := &jsonSchema{refs: map[string]any{}}
	var err error
	if s.root, err = parseTree(text); err != nil {
		return nil, err
	}
	for name, text := range refs {
		if s.refs[name], err = parseTree(text); err != nil {
			return nil, fmt.Errorf("the referenced schema %s: %w", name, err)
		}
	}
	return s, s.check(s.root)
}

// check looks at what every schema must be: an object or a boolean, with
// references that lead somewhere.
func (s *jsonSchema) check(root any) error {
	switch v := root.(type) {
	case bool:
		return nil
	case *object:
		if t := v.get("type"); t != nil {
			names, ok := t.([]any)
			if !ok {
				names = []any{t}
			}
			for _, name := range names {
				if text, ok := name.(string); !ok || !slices.Contains(jsonTypes, text) {
					return fmt.Errorf("%s is no type of JSON Schema", treeText(name))
				}
			}
		}
		if ref := v.text("$ref"); ref != "" {
			if _, _, err := s.follow(s.root, ref); err != nil {
				return err
			}
		}
		return nil
	}
	return fmt.Errorf("a JSON Schema is an object or a boolean, not %s", treeText(root))
}

var jsonTypes = []string{"null", "boolean", "integer", "number", "string", "array", "object"}

// follow finds what a $ref in a document means, and the document that it is in.
func (s *jsonSchema) follow(document any, ref string) (at, in any, err error) {
	name, pointer, _ := strings.Cut(ref, "#")
	if name != "" {
		var ok bool
		if document, ok = s.refs[name]; !ok {
			return nil, nil, fmt.Errorf("the schema refers to %s, which is not among its references", name)
		}
	}
	at = document
	for step := range strings.SplitSeq(strings.Trim(pointer, "/"), "/") {
		if step == "" {
			continue
		}
		o, ok := at.(*object)
		step = strings.NewReplacer("~1", "/", "~0", "~").Replace(step)
		if !ok || !o.has(step) {
			return nil, nil, fmt.Errorf("the schema refers to %s, which is not there", ref)
		}
		at = o.get(step)
	}
	return at, document, nil
}

// place is a schema within its document.
type place struct{ at, in any }

// open follows references from a place.
func (s *jsonSchema) open(p place) place {
	for range 100 {
		o, ok := p.at.(*object)
		if !ok || o.text("$ref") == "" {
			break
		}
		at, in, err := s.follow(p.in, o.text("$ref"))
		if err != nil {
			break
		}
		p = place{at, in}
	}
	return p
}

// unreadableJSON finds what the reader's schema refuses of what the writer's allows.
func unreadableJSON(reader, writer *jsonSchema, readerName, writerName string) []string {
	c := &jsonComparison{r: reader, w: writer, reader: readerName, writer: writerName, seen: map[[2]any]bool{}, tried: map[[2]any]bool{}}
	c.compare(place{reader.root, reader.root}, place{writer.root, writer.root}, "#/")
	return c.problems
}

type jsonComparison struct {
	r, w           *jsonSchema
	reader, writer string
	seen           map[[2]any]bool
	// tried has what came out of comparing two schemas: alternatives within
	// alternatives would be compared over and over.
	tried    map[[2]any]bool
	problems []string
}

func (c *jsonComparison) fail(kind, path, format string, args ...any) {
	c.problems = append(c.problems, problem(kind, "%s at path '%s' in the %s schema", fmt.Sprintf(format, args...), path, c.reader))
}

// try compares by itself, as one of several ways.
func (c *jsonComparison) try(r, w place, path string) bool {
	ro, isObject := r.at.(*object)
	wo, both := w.at.(*object)
	pair := [2]any{ro, wo}
	if good, ok := c.tried[pair]; ok && isObject && both {
		return good
	}
	one := &jsonComparison{r: c.r, w: c.w, reader: c.reader, writer: c.writer, seen: map[[2]any]bool{}, tried: c.tried}
	for pair := range c.seen {
		one.seen[pair] = true
	}
	one.compare(r, w, path)
	if isObject && both {
		c.tried[pair] = len(one.problems) == 0
	}
	return len(one.problems) == 0
}

func (c *jsonComparison) compare(r, w place, path string) {
	r, w = c.r.open(r), c.w.open(w)
	ro, wo := asSchema(r.at), asSchema(w.at)
	if ro == nil { // false: nothing is allowed
		if wo != nil {
			c.fail("TYPE_CHANGED", path, "Nothing is allowed any more")
		}
		return
	}
	if wo == nil || len(ro.names) == 0 {
		return // nothing was written, or everything is read
	}
	pair := [2]any{ro, wo}
	if c.seen[pair] {
		return
	}
	c.seen[pair] = true
	if c.combined(ro, wo, r, w, path) {
		return
	}
	if !c.types(ro, wo, path) {
		return
	}
	c.values(ro, wo, path)
	c.bounds(ro, wo, path)
	c.properties(ro, wo, r, w, path)
	c.items(ro, wo, r, w, path)
}

// anything is what true means. There is one of it, so that the comparison of a
// schema that holds itself with it is known to be under way.
var anything = &object{}

// asSchema is a schema as an object; nil for false.
func asSchema(v any) *object {
	switch v := v.(type) {
	case *object:
		return v
	case bool:
		if !v {
			return nil
		}
	}
	return anything
}

// options are a schema's alternatives (oneOf, anyOf), or itself.
func options(o *object, p place) (list []place, word string) {
	for _, word := range []string{"oneOf", "anyOf"} {
		if all, ok := o.get(word).([]any); ok && len(all) > 0 {
			for _, x := range all {
				list = append(list, place{x, p.in})
			}
			return list, word
		}
	}
	return []place{p}, ""
}

// combined compares schemas of which one has alternatives: each of the writer's
// must be read by one of the reader's.
func (c *jsonComparison) combined(ro, wo *object, r, w place, path string) bool {
	readers, rw := options(ro, r)
	writers, ww := options(wo, w)
	if rw == "" && ww == "" {
		return c.all(ro, wo, r, w, path)
	}
	for i, x := range writers {
		if !slices.ContainsFunc(readers, func(y place) bool { return c.try(y, x, path) }) {
			at := path
			if ww != "" {
				at = fmt.Sprintf("%s%s/%d", path, ww, i)
			}
			c.fail("SUM_TYPE_NARROWED", at, "What the %s schema allows is missing among the alternatives", c.writer)
		}
	}
	return true
}

// all compares schemas with allOf: each of the reader's must be met by what was
// written.
func (c *jsonComparison) all(ro, wo *object, r, w place, path string) bool {
	readers, ok := ro.get("allOf").([]any)
	if !ok {
		if writers, ok := wo.get("allOf").([]any); ok {
			if !slices.ContainsFunc(writers, func(x any) bool { return c.try(r, place{x, w.in}, path) }) {
				c.fail("COMBINED_TYPE_CHANGED", path, "allOf of the %s schema is missing", c.writer)
			}
			return true
		}
		return false
	}
	writers, ok := wo.get("allOf").([]any)
	if !ok {
		writers = []any{w.at}
	}
	for i, x := range readers {
		if !slices.ContainsFunc(writers, func(y any) bool { return c.try(place{x, r.in}, place{y, w.in}, path) }) {
			c.fail("PRODUCT_TYPE_EXTENDED", fmt.Sprintf("%sallOf/%d", path, i), "A condition is new")
		}
	}
	return true
}

// typesOf are a schema's types; nil for any.
func typesOf(o *object) []string {
	switch t := o.get("type").(type) {
	case string:
		return []string{t}
	case []any:
		var out []string
		for _, x := range t {
			if s, ok := x.(string); ok {
				out = append(out, s)
			}
		}
		return out
	}
	return nil
}

func (c *jsonComparison) types(ro, wo *object, path string) bool {
	readers, writers := typesOf(ro), typesOf(wo)
	if readers == nil {
		return true
	}
	if writers == nil {
		if wo.get("enum") == nil && wo.get("const") == nil && wo.get("properties") == nil {
			c.fail("TYPE_NARROWED", path, "The type %s is new", strings.Join(readers, ", "))
			return false
		}
		return true
	}
	for _, t := range writers {
		if !slices.Contains(readers, t) && (t != "integer" || !slices.Contains(readers, "number")) {
			kind := "TYPE_CHANGED"
			if slices.ContainsFunc(readers, func(r string) bool { return slices.Contains(writers, r) || r == "integer" && t == "number" }) {
				kind = "TYPE_NARROWED"
			}
			c.fail(kind, path, "The type is %s, in the %s schema %s", strings.Join(readers, ", "), c.writer, strings.Join(writers, ", "))
			return false
		}
	}
	return true
}

// values compares enum and const.
func (c *jsonComparison) values(ro, wo *object, path string) {
	list := func(o *object) []any {
		if o.has("const") {
			return []any{o.get("const")}
		}
		l, _ := o.get("enum").([]any)
		return l
	}
	readers, writers := list(ro), list(wo)
	switch {
	case readers == nil:
	case writers == nil:
		c.fail("ENUM_ARRAY_CHANGED", path+"enum", "An enum is new")
	default:
		for _, v := range writers {
			if !slices.ContainsFunc(readers, func(x any) bool { return sameTree(x, v) }) {
				c.fail("ENUM_ARRAY_NARROWED", path+"enum", "The value %s is missing", treeText(v))
				return
			}
		}
	}
}

// bounds compares limits: a reader may not be stricter.
func (c *jsonComparison) bounds(ro, wo *object, path string) {
	for _, b := range []struct {
		word, kind string
		upper      bool
	}{
		{"maxLength", "MAX_LENGTH", true}, {"minLength", "MIN_LENGTH", false}, {"maximum", "MAXIMUM", true}, {"minimum", "MINIMUM", false},
		{"exclusiveMaximum", "EXCLUSIVE_MAXIMUM", true}, {"exclusiveMinimum", "EXCLUSIVE_MINIMUM", false},
		{"maxItems", "MAX_ITEMS", true}, {"minItems", "MIN_ITEMS", false}, {"maxProperties", "MAX_PROPERTIES", true}, {"minProperties", "MIN_PROPERTIES", false},
	} {
		r, ok := numberOf(ro.get(b.word))
		if !ok {
			continue
		}
		w, ok := numberOf(wo.get(b.word))
		switch {
		case !ok:
			c.fail(b.kind+"_ADDED", path+b.word, "The keyword is new")
		case b.upper && r.Cmp(w) < 0:
			c.fail(b.kind+"_DECREASED", path+b.word, "The value has decreased")
		case !b.upper && r.Cmp(w) > 0:
			c.fail(b.kind+"_INCREASED", path+b.word, "The value has increased")
		}
	}
	if r, ok := numberOf(ro.get("multipleOf")); ok {
		w, ok := numberOf(wo.get("multipleOf"))
		switch {
		case !ok:
			c.fail("MULTIPLE_OF_ADDED", path+"multipleOf", "The keyword is new")
		case r.Sign() == 0 || !new(big.Rat).Quo(w, r).IsInt():
			c.fail("MULTIPLE_OF_CHANGED", path+"multipleOf", "The value has changed")
		}
	}
	if p := ro.text("pattern"); p != "" && p != wo.text("pattern") {
		c.fail(map[bool]string{true: "PATTERN_CHANGED", false: "PATTERN_ADDED"}[wo.has("pattern")], path+"pattern", "The pattern is new")
	}
	if ro.get("uniqueItems") == true && wo.get("uniqueItems") != true {
		c.fail("UNIQUE_ITEMS_ADDED", path+"uniqueItems", "The keyword is new")
	}
	if n := ro.get("not"); n != nil && (!wo.has("not") || !sameTree(n, wo.get("not"))) {
		c.fail("NOT_TYPE_EXTENDED", path+"not", "What is not allowed has changed")
	}
}

// numberOf is a number, as long as it is of a size that one can reckon with.
func numberOf(v any) (*big.Rat, bool) {
	n, ok := v.(json.Number)
	if !ok || len(n) > 100 {
		return nil, false
	}
	if f, err := n.Float64(); err != nil || f > 1e30 || f < -1e30 || f != 0 && f < 1e-30 && f > -1e-30 {
		return nil, false
	}
	return new(big.Rat).SetString(string(n))
}

// properties compares the members of objects. A schema is open unless it says
// additionalProperties: false; in an open one a member that nobody described may
// have been written already, with any value.
func (c *jsonComparison) properties(ro, wo *object, r, w place, path string) {
	readers, _ := ro.get("properties").(*object)
	writers, _ := wo.get("properties").(*object)
	rest := place{true, r.in}
	if ro.has("additionalProperties") {
		rest.at = ro.get("additionalProperties")
	}
	before := place{true, w.in}
	if wo.has("additionalProperties") {
		before.at = wo.get("additionalProperties")
	}
	if writers != nil {
		for _, name := range writers.names {
			at := path + "properties/" + name
			if readers.has(name) {
				c.compare(place{readers.get(name), r.in}, place{writers.get(name), w.in}, at+"/")
			} else if !c.try(rest, place{writers.get(name), w.in}, at) {
				c.fail("PROPERTY_REMOVED_FROM_CLOSED_CONTENT_MODEL", at, "The property of the %s schema is missing, and others are not allowed", c.writer)
			}
		}
	}
	if readers != nil {
		for _, name := range readers.names {
			if !writers.has(name) && !c.try(place{readers.get(name), r.in}, before, path) {
				c.fail("PROPERTY_ADDED_TO_OPEN_CONTENT_MODEL", path+"properties/"+name, "The property is new, and the %s schema allows it with any value", c.writer)
			}
		}
	}
	if ro.has("additionalProperties") && !c.try(rest, before, path) {
		c.fail("ADDITIONAL_PROPERTIES_NARROWED", path+"additionalProperties", "Other properties that the %s schema allows are not allowed", c.writer)
	}
	c.required(ro, wo, readers, path)
}

func (c *jsonComparison) required(ro, wo, readers *object, path string) {
	old, _ := wo.get("required").([]any)
	list, _ := ro.get("required").([]any)
	for _, name := range list {
		text, _ := name.(string)
		if slices.Contains(old, name) {
			continue
		}
		if p, ok := readers.get(text).(*object); ok && p.has("default") {
			continue
		}
		c.fail("REQUIRED_ATTRIBUTE_ADDED", path+"required/"+text, "The property is required")
	}
}

// items compares the elements of arrays.
func (c *jsonComparison) items(ro, wo *object, r, w place, path string) {
	if !ro.has("items") {
		return
	}
	readers, list := ro.get("items").([]any)
	writers, listed := wo.get("items").([]any)
	if !list && !listed {
		inner := place{true, w.in}
		if wo.has("items") {
			inner.at = wo.get("items")
		}
		c.compare(place{ro.get("items"), r.in}, inner, path+"items/")
		return
	}
	if list != listed {
		c.fail("ITEM_TYPE_CHANGED", path+"items", "Items are listed in one schema only")
		return
	}
	for i := range min(len(readers), len(writers)) {
		c.compare(place{readers[i], r.in}, place{writers[i], w.in}, fmt.Sprintf("%sitems/%d/", path, i))
	}
	if closed := ro.get("additionalItems") == false; closed && len(writers) > len(readers) {
		c.fail("ITEM_REMOVED_FROM_CLOSED_CONTENT_MODEL", path+"items", "Items of the %s schema are not allowed any more", c.writer)
	}
	if len(readers) > len(writers) && wo.get("additionalItems") != false {
		c.fail("ITEM_ADDED_TO_OPEN_CONTENT_MODEL", path+"items", "Items are new, and the %s schema allows them with any value", c.writer)
	}
}
