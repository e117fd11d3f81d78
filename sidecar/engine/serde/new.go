package serde

import (
	"errors"
	"fmt"
	"strings"

	"github.com/sidestream/sidestream/sidecar/engine/plan"
	"github.com/sidestream/sidestream/sidecar/engine/schema"
	"github.com/sidestream/sidestream/sidecar/engine/types"
)

// The names of the formats.
const (
	JSON         = "JSON"
	Kafka        = "KAFKA"
	Delimited    = "DELIMITED"
	None         = "NONE"
	Avro         = "AVRO"
	Protobuf     = "PROTOBUF"
	ProtobufNoSR = "PROTOBUF_NOSR"
	JSONSchema   = "JSON_SR"
)

var constructors = map[string]Constructor{
	JSON:         {newJSONDecoder, newJSONEncoder},
	Kafka:        {newKafkaDecoder, newKafkaEncoder},
	Delimited:    {newDelimitedDecoder, newDelimitedEncoder},
	None:         {newNoneDecoder, newNoneEncoder},
	Avro:         {newAvroDecoder, newAvroEncoder},
	Protobuf:     {newProtoDecoder, newProtoEncoder},
	ProtobufNoSR: {newProtoNoSRDecoder, newProtoNoSREncoder},
	JSONSchema:   {newJSONSRDecoder, newJSONSREncoder},
}

// NewDecoder makes the decoder of a format for these columns.
func NewDecoder(f plan.Format, cols []schema.Column, o Options) (Decoder, error) {
	c, err := constructor(f, cols, o.IsKey)
	if err != nil {
		return nil, err
	}
	return c.Decoder(f, cols, o)
}

// NewEncoder makes the encoder of a format for these columns.
func NewEncoder(f plan.Format, cols []schema.Column, o Options) (Encoder, error) {
	c, err := constructor(f, cols, o.IsKey)
	if err != nil {
		return nil, err
	}
	return c.Encoder(f, cols, o)
}

func constructor(f plan.Format, cols []schema.Column, isKey bool) (Constructor, error) {
	c, ok := constructors[f.Name]
	if !ok {
		return c, fmt.Errorf("Unknown format: %s", f.Name)
	}
	return c, Check(f, cols, isKey)
}

// Known tells whether there is a format of that name, in capitals.
func Known(name string) bool {
	_, ok := constructors[name]
	return ok
}

// Check says why a format can't hold the columns, in ksqlDB's words ("reason:"
// of its message), or nil.
func Check(f plan.Format, cols []schema.Column, isKey bool) error {
	switch f.Name {
	case None:
		if len(cols) > 0 {
			return fmt.Errorf("The 'NONE' format can only be used when no columns are defined. Got: %s", describe(cols, isKey))
		}
	case Kafka:
		if len(cols) > 1 {
			return fmt.Errorf("The 'KAFKA' format only supports a single field. Got: %s", describe(cols, isKey))
		}
		for _, c := range cols {
			switch c.Type.Kind {
			case types.Integer, types.Bigint, types.Double, types.String, types.Bytes, types.Null:
			default:
				return fmt.Errorf("The 'KAFKA' format does not support type '%s'", c.Type.Kind)
			}
		}
	case Delimited:
		if _, err := delimiter(f); err != nil {
			return err
		}
		for _, c := range cols {
			if c.Type.Kind >= types.Array {
				return unsupportedType(f.Name, c)
			}
		}
	case JSON, JSONSchema, Avro, Protobuf, ProtobufNoSR:
		for _, c := range cols {
			if hasMapKey(c.Type, func(k types.Type) bool { return k.Kind != types.String }) {
				return errors.New(mapKeyMessages[f.Name])
			}
			if f.Name == Avro {
				if err := checkAvroNames(c.Name, c.Type); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

var mapKeyMessages = map[string]string{
	JSON:         "JSON only supports MAP types with STRING keys",
	JSONSchema:   "JSON only supports MAP types with STRING keys",
	Avro:         "Avro only supports MAPs with STRING keys",
	Protobuf:     "PROTOBUF format only supports MAP types with STRING keys",
	ProtobufNoSR: "PROTOBUF format only supports MAP types with STRING keys",
}

// CanUnwrap tells whether a format can write a single column bare; CanWrap whether
// it can write one as a record of a field.
func CanUnwrap(format string) bool { return format != Protobuf && format != None }

// CanWrap: see CanUnwrap.
func CanWrap(format string) bool {
	return format != Kafka && format != Delimited && format != None
}

func unsupportedType(format string, c schema.Column) error {
	return fmt.Errorf("The '%s' format does not support type '%s', column: %s", format, c.Type.Kind, schema.Quote(c.Name))
}

func describe(cols []schema.Column, isKey bool) string {
	parts := make([]string, len(cols))
	for i, c := range cols {
		parts[i] = schema.Quote(c.Name) + " " + c.Type.String()
		if isKey {
			parts[i] += " KEY"
		}
	}
	return "[" + strings.Join(parts, ", ") + "]"
}

// hasMapKey tells whether the type holds a MAP whose key type matches.
func hasMapKey(t types.Type, match func(types.Type) bool) bool {
	switch t.Kind {
	case types.Array:
		return hasMapKey(*t.Elem, match)
	case types.Map:
		return match(*t.Key) || hasMapKey(*t.Elem, match)
	case types.Struct:
		for _, f := range t.Fields {
			if hasMapKey(f.Type, match) {
				return true
			}
		}
	}
	return false
}

// unwrapped tells whether the only column is written bare: when the format says
// so, and in keys by default.
func unwrapped(f plan.Format, cols []schema.Column, o Options) bool {
	return len(cols) == 1 && (f.Unwrapped || o.IsKey) && f.Name != Protobuf
}

// used tells whether a column is asked for.
func (o Options) used(i int) bool { return o.Used == nil || o.Used[i] }
