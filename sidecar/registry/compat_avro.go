package registry

import (
	"fmt"
	"slices"
	"strings"

	"github.com/hamba/avro/v2"
)

// avroComparison finds what keeps a reader from reading what a writer wrote, by
// the rules of Avro's schema resolution.
type avroComparison struct {
	reader, writer string // what messages call the schemas
	seen           map[[2]avro.Schema]bool
	problems       []string
}

// fail notes a problem; info is what the API adds to its description.
func (c *avroComparison) fail(kind, info, format string, args ...any) {
	c.problems = append(c.problems, fmt.Sprintf("{errorType:'%s', description:'%s', additionalInfo:'%s'}", kind, fmt.Sprintf(format, args...), info))
}

func avroResolved(s avro.Schema) avro.Schema {
	if r, ok := s.(*avro.RefSchema); ok {
		return r.Schema()
	}
	return s
}

// avroWidens are the types that a reader takes beside its own.
var avroWidens = map[avro.Type][]avro.Type{
	avro.Long: {avro.Int}, avro.Float: {avro.Int, avro.Long}, avro.Double: {avro.Int, avro.Long, avro.Float},
	avro.String: {avro.Bytes}, avro.Bytes: {avro.String},
}

func (c *avroComparison) compare(r, w avro.Schema, path string) {
	r, w = avroResolved(r), avroResolved(w)
	if c.seen[[2]avro.Schema{r, w}] {
		return // being compared: a type that holds itself
	}
	c.seen[[2]avro.Schema{r, w}] = true
	if writers, ok := w.(*avro.UnionSchema); ok {
		for i, branch := range writers.Types() {
			if len(c.try(r, branch, path)) > 0 {
				if _, union := r.(*avro.UnionSchema); union {
					c.missingBranch(branch, fmt.Sprintf("%s%d", path, i))
				} else {
					c.mismatch(r, branch, path)
				}
			}
		}
		return
	}
	switch r := r.(type) {
	case *avro.UnionSchema:
		if !slices.ContainsFunc(r.Types(), func(branch avro.Schema) bool { return len(c.try(branch, w, path)) == 0 }) {
			c.missingBranch(w, path)
		}
		return
	case *avro.RecordSchema:
		if w, ok := w.(*avro.RecordSchema); ok {
			c.record(r, w, path)
			return
		}
	case *avro.EnumSchema:
		if w, ok := w.(*avro.EnumSchema); ok {
			c.name(r, w, r.Aliases(), path)
			c.symbols(r, w, path)
			return
		}
	case *avro.FixedSchema:
		if w, ok := w.(*avro.FixedSchema); ok {
			c.name(r, w, r.Aliases(), path)
			if r.Size() != w.Size() {
				c.fail("FIXED_SIZE_MISMATCH", fmt.Sprintf("expected: %d, found: %d", w.Size(), r.Size()), "The size of FIXED type field at path '%ssize' in the %s schema does not match with the %s schema", path, c.reader, c.writer)
			}
			return
		}
	case *avro.ArraySchema:
		if w, ok := w.(*avro.ArraySchema); ok {
			c.compare(r.Items(), w.Items(), path+"items/")
			return
		}
	case *avro.MapSchema:
		if w, ok := w.(*avro.MapSchema); ok {
			c.compare(r.Values(), w.Values(), path+"values/")
			return
		}
	default:
		if r.Type() == w.Type() || slices.Contains(avroWidens[r.Type()], w.Type()) {
			return
		}
	}
	c.mismatch(r, w, path)
}

// try compares by itself, as one of several ways.
func (c *avroComparison) try(r, w avro.Schema, path string) []string {
	one := &avroComparison{reader: c.reader, writer: c.writer, seen: map[[2]avro.Schema]bool{}}
	for pair := range c.seen {
		one.seen[pair] = true
	}
	one.compare(r, w, path)
	return one.problems
}

func typeName(s avro.Schema) string { return strings.ToUpper(string(avroResolved(s).Type())) }

func (c *avroComparison) missingBranch(branch avro.Schema, path string) {
	c.fail("MISSING_UNION_BRANCH", "reader union lacking writer type: "+typeName(branch), "The %s schema is missing a type inside a union field at path '%s' in the %s schema", c.reader, path, c.writer)
}

func (c *avroComparison) mismatch(r, w avro.Schema, path string) {
	c.fail("TYPE_MISMATCH", fmt.Sprintf("reader type: %s not compatible with writer type: %s", typeName(r), typeName(w)),
		"The type (path '%s') of a field in the %s schema does not match with the %s schema", path, c.reader, c.writer)
}

// name compares names without their namespaces, and a reader's aliases.
func (c *avroComparison) name(r, w avro.NamedSchema, aliases []string, path string) bool {
	if r.Name() == w.Name() || slices.Contains(aliases, w.FullName()) {
		return true
	}
	c.fail("NAME_MISMATCH", "expected: "+w.FullName(), "The name of the schema has changed (path '%sname')", path)
	return false
}

func (c *avroComparison) record(r, w *avro.RecordSchema, path string) {
	if !c.name(r, w, r.Aliases(), path) {
		return
	}
	for i, f := range r.Fields() {
		at := slices.IndexFunc(w.Fields(), func(x *avro.Field) bool { return x.Name() == f.Name() })
		if at < 0 {
			at = slices.IndexFunc(w.Fields(), func(x *avro.Field) bool { return slices.Contains(f.Aliases(), x.Name()) })
		}
		here := fmt.Sprintf("%sfields/%d", path, i)
		switch {
		case at >= 0:
			c.compare(f.Type(), w.Fields()[at].Type(), here+"/type/")
		case !f.HasDefault():
			c.fail("READER_FIELD_MISSING_DEFAULT_VALUE", f.Name(), "The field '%s' at path '%s' in the %s schema has no default value and is missing in the %s schema", f.Name(), here, c.reader, c.writer)
		}
	}
}

func (c *avroComparison) symbols(r, w *avro.EnumSchema, path string) {
	if r.Default() != "" {
		return
	}
	var missing []string
	for _, s := range w.Symbols() {
		if !slices.Contains(r.Symbols(), s) {
			missing = append(missing, s)
		}
	}
	if missing != nil {
		list := "[" + strings.Join(missing, ", ") + "]"
		c.fail("MISSING_ENUM_SYMBOLS", list, "The %s schema is missing enum symbols '%s' at path '%ssymbols' in the %s schema", c.reader, list, path, c.writer)
	}
}
