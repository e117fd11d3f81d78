package analyze

import (
	"strconv"

	"github.com/sidestream/sidestream/sidecar/engine/ast"
	"github.com/sidestream/sidestream/sidecar/engine/diagnostic"
	"github.com/sidestream/sidestream/sidecar/engine/plan"
	"github.com/sidestream/sidestream/sidecar/engine/schema"
	"github.com/sidestream/sidestream/sidecar/engine/serde"
)

// infer fills the half of the columns that the statement leaves out and that the
// Schema Registry describes.
func infer(env *Env, s *ast.CreateSource, props *properties, columns *schema.Schema) error {
	if env.Schemas == nil {
		return nil
	}
	declaredKey, declaredValue := false, false
	for _, e := range s.Elements {
		switch e.Role {
		case ast.KeyColumn, ast.PrimaryKeyColumn:
			declaredKey = true
		case ast.ValueColumn:
			declaredValue = true
		}
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
