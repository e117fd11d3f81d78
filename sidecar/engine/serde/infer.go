package serde

import (
	"fmt"
	"strings"

	"github.com/sidestream/sidestream/sidecar/engine/plan"
	"github.com/sidestream/sidestream/sidecar/engine/schema"
	"github.com/sidestream/sidestream/sidecar/engine/types"
)

// The names of columns whose schema has none: an unwrapped key or value.
const (
	wholeKey   = "ROWKEY"
	wholeValue = "ROWVAL"
)

// Infer gives the columns that a registered schema describes. Names are in
// capitals unless keepCase. The error says what SQL can't hold.
func Infer(f plan.Format, text string, references map[string]string, isKey, keepCase bool) ([]schema.Column, error) {
	t, err := inferType(f, text, references)
	if err != nil {
		return nil, err
	}
	if !keepCase {
		t = upperNames(t)
	}
	if f.Name != Protobuf && (isKey || f.Unwrapped) {
		name := wholeValue
		if isKey {
			name = wholeKey
		}
		return []schema.Column{{Name: name, Type: t}}, nil
	}
	if t.Kind != types.Struct {
		return nil, fmt.Errorf("the schema describes a single %s, not a record: to read it as a column, say WRAP_SINGLE_VALUE=false", t)
	}
	cols := make([]schema.Column, len(t.Fields))
	for i, f := range t.Fields {
		cols[i] = schema.Column{Name: f.Name, Type: f.Type}
	}
	return cols, nil
}

func inferType(f plan.Format, text string, references map[string]string) (types.Type, error) {
	switch f.Name {
	case Avro:
		return inferAvro(text, references)
	case JSONSchema:
		return inferJSON(text, references)
	case Protobuf:
		file, err := ParseProtobuf(text, references)
		if err != nil {
			return types.Type{}, err
		}
		m, _, err := protoMessage(file, prop(f, "fullSchemaName"))
		if err != nil {
			return types.Type{}, err
		}
		return inferProto(m, nil)
	}
	return types.Type{}, fmt.Errorf("the %s format has no schemas", f.Name)
}

// upperNames puts the names of all fields in capitals.
func upperNames(t types.Type) types.Type {
	switch t.Kind {
	case types.Array, types.Map:
		elem := upperNames(*t.Elem)
		t.Elem = &elem
	case types.Struct:
		fields := make([]types.Field, len(t.Fields))
		for i, f := range t.Fields {
			fields[i] = types.Field{Name: strings.ToUpper(f.Name), Type: upperNames(f.Type)}
		}
		t.Fields = fields
	}
	return t
}
