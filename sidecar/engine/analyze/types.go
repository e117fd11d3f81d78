package analyze

import (
	"fmt"
	"strings"

	"github.com/sidestream/sidestream/sidecar/engine/ast"
	"github.com/sidestream/sidestream/sidecar/engine/catalog"
	"github.com/sidestream/sidestream/sidecar/engine/diagnostic"
	"github.com/sidestream/sidestream/sidecar/engine/schema"
	"github.com/sidestream/sidestream/sidecar/engine/types"
)

// CreateType analyses CREATE TYPE. exists is true where there is such a type
// already and the statement said IF NOT EXISTS.
func CreateType(env *Env, s *ast.CreateType) (t types.Type, exists bool, err error) {
	if t, err = s.Type.Resolve(env.Catalog.Type); err != nil {
		return t, false, diagnostic.At(s.Type.Pos, "%v", err)
	}
	old, found := env.Catalog.Type(s.Name.Name)
	switch {
	case found && s.IfNotExists:
		return old, true, nil
	case found:
		return t, false, diagnostic.At(s.Name.Pos, "Cannot register custom type '%s' since it is already registered with type: %s", s.Name.Name, old)
	}
	return t, false, nil
}

// DropType analyses DROP TYPE; found is false where there is none and the
// statement said IF EXISTS.
func DropType(env *Env, s *ast.DropType) (found bool, err error) {
	if _, found = env.Catalog.Type(s.Name.Name); !found && !s.IfExists {
		return false, diagnostic.At(s.Name.Pos, "Type %s does not exist.", s.Name.Name)
	}
	return found, nil
}

// DropSource analyses DROP STREAM and DROP TABLE; the result is nil where there
// is no such source and the statement said IF EXISTS. That nothing reads the
// source is for the caller to check: analysis knows no queries.
func DropSource(env *Env, s *ast.DropSource) (*catalog.Source, error) {
	kind := "stream"
	if s.Table {
		kind = "table"
	}
	src, ok := env.Catalog.Source(s.Name.Name)
	switch {
	case !ok && s.IfExists:
		return nil, nil
	case !ok:
		e := diagnostic.At(s.Name.Pos, "%s%s %s does not exist.%s", strings.ToUpper(kind[:1]), kind[1:], s.Name.Name, NameHint(env, s.Name.Name))
		return nil, e
	case src.Table != s.Table:
		return nil, diagnostic.At(s.Name.Pos, "Incompatible data source type is %s, but statement was DROP %s", strings.ToLower(src.Kind()), kind)
	case s.DeleteTopic && src.ReadOnly:
		e := diagnostic.At(s.Name.Pos, "Cannot delete topic for read-only source: %s", src.Name)
		e.Kind = diagnostic.General
		return nil, e
	}
	return src, nil
}

// AlterSource is the source with the columns that ALTER adds.
func AlterSource(env *Env, s *ast.AlterSource) (*catalog.Source, error) {
	kind := "stream"
	if s.Table {
		kind = "table"
	}
	src, ok := env.Catalog.Source(s.Name.Name)
	switch {
	case !ok:
		return nil, diagnostic.At(s.Name.Pos, "Source %s does not exist.", s.Name.Name)
	case src.Table != s.Table:
		return nil, diagnostic.At(s.Name.Pos, "Incompatible data source type is %s, but statement was ALTER %s", strings.ToLower(src.Kind()), kind)
	case src.ReadOnly:
		e := diagnostic.At(s.Name.Pos, "Cannot alter %s '%s': ALTER operations are not supported on source %ss.", kind, src.Name, kind)
		e.Kind = diagnostic.General
		return nil, e
	case src.CreatedBy != "":
		return nil, diagnostic.At(s.Name.Pos, "ALTER command is not supported for CREATE ... AS statements.")
	}
	out := *src
	out.Schema.Value = append([]schema.Column(nil), src.Schema.Value...)
	for _, e := range s.Add {
		t, err := e.Type.Resolve(env.Catalog.Type)
		if err != nil {
			return nil, diagnostic.At(e.Type.Pos, "%v", err)
		}
		if isSystem(e.Name) {
			return nil, diagnostic.At(e.Pos, "'%s' is a reserved column name. You cannot use it as a name for a column.", e.Name)
		}
		if out.Schema.FindKey(e.Name) >= 0 || out.Schema.FindValue(e.Name) >= 0 {
			return nil, diagnostic.At(e.Pos, "Cannot add column %s to schema. A column with the same name already exists.", schema.Quote(e.Name))
		}
		out.Schema.Value = append(out.Schema.Value, schema.Column{Name: e.Name, Type: t})
	}
	return &out, checkFormats(&out.Schema, out.KeyFormat, out.ValueFormat)
}

// NameHint is a second line for messages about a source that isn't there: it
// tells of one whose name differs by case only, or is "".
func NameHint(env *Env, name string) string {
	for _, other := range env.Catalog.Sources() {
		if !strings.EqualFold(other.Name, name) || other.Name == name {
			continue
		}
		if other.Name == strings.ToUpper(other.Name) {
			return fmt.Sprintf("\nDid you mean %s? Hint: try removing double quotes from the source name.", other.Name)
		}
		return fmt.Sprintf("\nDid you mean \"%s\"? Hint: wrap the source name in double quotes to make it case-sensitive.", other.Name)
	}
	return ""
}
