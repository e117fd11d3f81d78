package analyze

import (
	"strconv"

	"github.com/sidestream/sidestream/sidecar/engine/ast"
	"github.com/sidestream/sidestream/sidecar/engine/catalog"
	"github.com/sidestream/sidestream/sidecar/engine/diagnostic"
	"github.com/sidestream/sidestream/sidecar/engine/plan"
	"github.com/sidestream/sidestream/sidecar/engine/schema"
	"github.com/sidestream/sidestream/sidecar/engine/serde"
)

// infer fills the half of the columns that the statement leaves out and that the
// Schema Registry describes.
func infer(env *Env, s *ast.CreateSource, props *properties, columns *schema.Schema) error {
	declaredKey, declaredValue := false, false
	for _, e := range s.Elements {
		switch e.Role {
		case ast.KeyColumn, ast.PrimaryKeyColumn:
			declaredKey = true
		case ast.ValueColumn:
			declaredValue = true
		}
	}
	if err := checkSchemaIDs(s, props, declaredKey, declaredValue); err != nil || env.Schemas == nil {
		return err
	}
	if !declaredKey {
		f := pickFormat(props.KeyFormat, props.keyOptions, plan.Format{}, env.Config[configKeyFormat])
		cols, err := registered(env, s, f, props.Topic+"-key", true)
		if err != nil {
			return err
		}
		columns.Key = cols
	}
	if !declaredValue {
		f := pickFormat(props.ValueFormat, props.valueOptions, plan.Format{}, env.Config[configValueFormat])
		f.Unwrapped = props.Wrap != nil && !*props.Wrap
		cols, err := registered(env, s, f, props.Topic+"-value", false)
		if err != nil {
			return err
		}
		columns.Value = append(cols, columns.Value...)
	}
	return nil
}

// registered are the columns of a schema: of the one whose id the statement
// gives, whose names then keep their case, else of the subject's newest.
func registered(env *Env, s *ast.CreateSource, f plan.Format, subject string, isKey bool) ([]schema.Column, error) {
	switch f.Name {
	case serde.Avro, serde.Protobuf, serde.JSONSchema:
	default:
		return nil, nil
	}
	var text string
	var references map[string]string
	id, err := strconv.Atoi(f.Props["schemaId"])
	byID := err == nil
	if byID {
		_, text, references, err = env.Schemas.ByID(id)
	} else {
		id, _, text, references, err = env.Schemas.Latest(subject)
	}
	if err != nil {
		return nil, diagnostic.At(s.Name.Pos, "Schema for subject %s could not be read from the Schema Registry: %v", subject, err)
	}
	if id == 0 {
		return nil, nil
	}
	cols, err := serde.Infer(f, text, references, isKey, byID)
	if err != nil {
		return nil, diagnostic.At(s.Name.Pos, "Unable to verify if the schema for topic %s is compatible with ksqlDB.\nReason: %v", subject, err)
	}
	return cols, nil
}

// checkSchemaIDs refuses the id of a schema beside a format without schemas, or
// beside columns that the statement spells out.
func checkSchemaIDs(s *ast.CreateSource, props *properties, declaredKey, declaredValue bool) error {
	for _, half := range []struct {
		word, format string
		options      map[string]string
		declared     bool
	}{{"KEY", props.KeyFormat, props.keyOptions, declaredKey}, {"VALUE", props.ValueFormat, props.valueOptions, declaredValue}} {
		if half.options["schemaId"] == "" {
			continue
		}
		var err *diagnostic.Error
		switch {
		case half.format != "" && serde.SchemaType(half.format) == "":
			err = diagnostic.At(s.Name.Pos, "%[1]s_FORMAT should support schema inference when %[1]s_SCHEMA_ID is provided. Current format is %[2]s.", half.word, half.format)
		case half.declared:
			err = diagnostic.At(s.Name.Pos, "Table elements and %s_SCHEMA_ID cannot both exist for create statement.", half.word)
		default:
			continue
		}
		err.Kind = diagnostic.General
		return err
	}
	return nil
}

// checkRegistered checks the columns of a query's sink against the schemas that
// its formats name by id: they must be the schema's first columns.
func checkRegistered(env *Env, pos ast.Pos, to *catalog.Source) error {
	for _, half := range []struct {
		word string
		f    plan.Format
		cols []schema.Column
	}{{"key", to.KeyFormat, to.Schema.Key}, {"value", to.ValueFormat, to.Schema.Value}} {
		id, err := strconv.Atoi(half.f.Props["schemaId"])
		if err != nil || env.Schemas == nil {
			continue
		}
		_, text, references, err := env.Schemas.ByID(id)
		if err != nil {
			return diagnostic.At(pos, "The schema %d could not be read from the Schema Registry: %v", id, err)
		}
		f := half.f
		cols, err := serde.Infer(f, text, references, half.word == "key", true)
		if err != nil {
			return diagnostic.At(pos, "The schema %d can't be read: %v", id, err)
		}
		whole := f.Name != serde.Protobuf && (half.word == "key" || f.Unwrapped)
		for i, c := range half.cols {
			if i < len(cols) && c.Type.Equal(cols[i].Type) && (whole || c.Name == cols[i].Name) {
				continue
			}
			want, got := schema.Schema{Value: cols}, schema.Schema{Value: half.cols[i:]}
			return diagnostic.At(pos, "The following %s columns are changed, missing or reordered: [%s]. Schema from schema registry is [%s]", half.word, got.String(), want.String())
		}
	}
	return nil
}
