package ast

import (
	"fmt"

	"github.com/sidestream/sidestream/sidecar/engine/types"
)

// Type is a type as written. A custom type has a Name and nothing else; a
// built-in one has a Kind and that kind's parameters, as types.Type has.
type Type struct {
	Pos
	Name      string
	Kind      types.Kind
	Precision int
	Scale     int
	Key       *Type
	Elem      *Type
	Fields    []TypeField
}

// TypeField is a member of a STRUCT type.
type TypeField struct {
	Ident
	Type *Type
}

// Resolve turns the written type into a types.Type. custom finds what CREATE
// TYPE defined; it may be nil where there are none.
func (t *Type) Resolve(custom func(name string) (types.Type, bool)) (types.Type, error) {
	if t.Name != "" {
		if custom != nil {
			if found, ok := custom(t.Name); ok {
				return found, nil
			}
		}
		return types.Type{}, fmt.Errorf("Cannot resolve unknown type: %s", t.Name)
	}
	out := types.Type{Kind: t.Kind, Precision: t.Precision, Scale: t.Scale}
	for _, p := range []struct {
		from *Type
		to   **types.Type
	}{{t.Key, &out.Key}, {t.Elem, &out.Elem}} {
		if p.from == nil {
			continue
		}
		part, err := p.from.Resolve(custom)
		if err != nil {
			return types.Type{}, err
		}
		*p.to = &part
	}
	for _, f := range t.Fields {
		field, err := f.Type.Resolve(custom)
		if err != nil {
			return types.Type{}, err
		}
		out.Fields = append(out.Fields, types.Field{Name: f.Name, Type: field})
	}
	return out, nil
}

// TypeOf is the written form of a type: what Resolve would turn into t.
func TypeOf(t types.Type) *Type {
	out := &Type{Kind: t.Kind, Precision: t.Precision, Scale: t.Scale}
	if t.Key != nil {
		out.Key = TypeOf(*t.Key)
	}
	if t.Elem != nil {
		out.Elem = TypeOf(*t.Elem)
	}
	for _, f := range t.Fields {
		out.Fields = append(out.Fields, TypeField{Ident: Ident{Name: f.Name}, Type: TypeOf(f.Type)})
	}
	return out
}
