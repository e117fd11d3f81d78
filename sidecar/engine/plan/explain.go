package plan

import (
	"strings"

	"github.com/sidestream/sidestream/sidecar/engine/schema"
	"github.com/sidestream/sidestream/sidecar/engine/types"
)

// Explain is the query's execution plan as EXPLAIN prints it: a line a step,
// the last step first, inputs two tabs deeper.
func Explain(q *Query) string {
	var b strings.Builder
	var walk func(s *Step, depth int)
	walk = func(s *Step, depth int) {
		b.WriteString(strings.Repeat("\t\t", depth))
		b.WriteString(" > [ " + s.Kind.String() + " ] | Schema: " + plainSchema(&s.Schema) + " | Logger: " + q.ID + "." + s.Name + "\n")
		for _, in := range s.Inputs {
			walk(in, depth+1)
		}
	}
	if q.Steps != nil {
		walk(q.Steps, 0)
	}
	return b.String()
}

// plainSchema is a schema with quotes only where a name needs them.
func plainSchema(s *schema.Schema) string {
	parts := make([]string, 0, len(s.Key)+len(s.Value))
	for _, c := range s.Key {
		parts = append(parts, plainName(c.Name)+" "+plainType(c.Type)+" KEY")
	}
	for _, c := range s.Value {
		parts = append(parts, plainName(c.Name)+" "+plainType(c.Type))
	}
	return strings.Join(parts, ", ")
}

func plainName(name string) string {
	for i, r := range name {
		switch {
		case r >= 'A' && r <= 'Z', r == '_' && i > 0, r >= '0' && r <= '9' && i > 0:
		default:
			return schema.Quote(name)
		}
	}
	if name == "" {
		return schema.Quote(name)
	}
	return name
}

func plainType(t types.Type) string {
	switch t.Kind {
	case types.Array:
		return "ARRAY<" + plainType(*t.Elem) + ">"
	case types.Map:
		return "MAP<" + plainType(*t.Key) + ", " + plainType(*t.Elem) + ">"
	case types.Struct:
		parts := make([]string, len(t.Fields))
		for i, f := range t.Fields {
			parts[i] = plainName(f.Name) + " " + plainType(f.Type)
		}
		return "STRUCT<" + strings.Join(parts, ", ") + ">"
	}
	return t.String()
}
