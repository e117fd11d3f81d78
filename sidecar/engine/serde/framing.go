package serde

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/sidestream/sidestream/sidecar/engine/plan"
	"github.com/sidestream/sidestream/sidecar/engine/schema"
)

// Records of AVRO, PROTOBUF and JSON_SR begin with a zero byte and the id of
// their schema in a registry, four bytes big-endian.

const (
	magic      = 0
	headerSize = 5
)

func appendHeader(dst []byte, id int) []byte {
	return binary.BigEndian.AppendUint32(append(dst, magic), uint32(id))
}

// splitHeader takes the schema's id off a record.
func splitHeader(data []byte, format string) (id int, rest []byte, err error) {
	if len(data) < headerSize || data[0] != magic {
		return 0, nil, fmt.Errorf("Unknown magic byte! The record doesn't begin with the id of a %s schema: was it written in another format?", format)
	}
	return int(binary.BigEndian.Uint32(data[1:])), data[headerSize:], nil
}

// framed is a Decoder that reads each record with a decoder made for the schema
// that it was written with.
type framed struct {
	format   string // as the user names it
	registry SchemaRegistry
	// open makes the decoder for a writer's schema.
	open   func(text string, references map[string]string) (Decoder, error)
	lastID int
	last   Decoder
	byID   map[int]opened
}

// opened is a decoder, or why there is none.
type opened struct {
	Decoder
	err error
}

func newFramed(format string, o Options, open func(string, map[string]string) (Decoder, error)) (*framed, error) {
	if o.Registry == nil {
		return nil, errNoRegistry(format)
	}
	return &framed{format: format, registry: o.Registry, byID: map[int]opened{},
		open: open}, nil
}

func errNoRegistry(format string) error {
	return fmt.Errorf("the %s format needs a Schema Registry: set ksql.schema.registry.url", format)
}

// IsUnavailable tells whether an error is that of a registry that didn't answer:
// the record may well be good, and is to be tried again. The error's chain has an
// Unavailable method then.
func IsUnavailable(err error) bool {
	var u interface{ Unavailable() bool }
	return errors.As(err, &u) && u.Unavailable()
}

// decoder gives the decoder and the payload of a record.
func (f *framed) decoder(data []byte) (Decoder, []byte, error) {
	id, rest, err := splitHeader(data, f.format)
	if err != nil {
		return nil, nil, err
	}
	if f.last != nil && f.lastID == id {
		return f.last, rest, nil
	}
	d, ok := f.byID[id]
	if !ok {
		schemaType, text, refs, err := f.registry.ByID(id)
		if err != nil {
			return nil, nil, fmt.Errorf("schema %d: %w", id, err) // may pass: not remembered
		}
		if want := schemaTypes[f.format]; schemaType != "" && schemaType != want {
			d.err = fmt.Errorf("schema %d is of type %s, not %s", id, schemaType, want)
		} else {
			d.Decoder, d.err = f.open(text, refs)
		}
		f.byID[id] = d
	}
	if d.err != nil {
		return nil, nil, d.err
	}
	f.lastID, f.last = id, d.Decoder
	return d.Decoder, rest, nil
}

// schemaTypes are the registry's names for the formats.
var schemaTypes = map[string]string{Avro: "AVRO", Protobuf: "PROTOBUF", JSONSchema: "JSON"}

// SchemaType is the registry's name for what a format writes, "" when it has
// nothing to do with a registry.
func SchemaType(format string) string { return schemaTypes[format] }

// written is the schema that an encoder writes with: the one that the format
// names by id, or one made from the columns, which is registered at first use.
type written struct {
	format string
	f      plan.Format
	o      Options
	id     int
	ready  bool
}

// use gives the schema's id, and calls fix with the schema's text when it is not
// made from the columns.
func (w *written) use(generated string, fix func(text string, refs map[string]string) error) (int, error) {
	if w.ready {
		return w.id, nil
	}
	if id, ok, err := schemaID(w.f); err != nil {
		return 0, err
	} else if ok {
		schemaType, text, refs, err := w.o.Registry.ByID(id)
		if err != nil {
			return 0, fmt.Errorf("schema %d: %w", id, err)
		}
		if want := schemaTypes[w.format]; schemaType != "" && schemaType != want {
			return 0, fmt.Errorf("schema %d is of type %s, not %s", id, schemaType, want)
		}
		if err := fix(text, refs); err != nil {
			return 0, err
		}
		w.id, w.ready = id, true
		return id, nil
	}
	id, err := w.o.Registry.Register(w.o.Subject, schemaTypes[w.format], generated)
	if err != nil {
		return 0, fmt.Errorf("subject %s: %w", w.o.Subject, err)
	}
	w.id, w.ready = id, true
	return id, nil
}

// prop finds a format's property whatever its name's case.
func prop(f plan.Format, name string) string {
	if v, ok := f.Props[name]; ok {
		return v
	}
	for k, v := range f.Props {
		if strings.EqualFold(k, name) {
			return v
		}
	}
	return ""
}

// schemaID is the id of the schema that a format is bound to, if it is.
func schemaID(f plan.Format) (id int, ok bool, err error) {
	text := prop(f, "schemaId")
	if text == "" {
		return 0, false, nil
	}
	if id, err = strconv.Atoi(text); err != nil {
		return 0, false, fmt.Errorf("the schema id %q is not a number", text)
	}
	return id, true, nil
}

// Schema is the text of the schema that the columns have in a format with a
// registry, which is what an encoder registers under Options.Subject. A server
// registers it when a statement makes the topic, before there is a record.
func Schema(f plan.Format, cols []schema.Column, o Options) (string, error) {
	if err := Check(f, cols, o.IsKey); err != nil {
		return "", err
	}
	switch f.Name {
	case Avro:
		return avroSchema(f, cols, unwrapped(f, cols, o))
	case Protobuf, ProtobufNoSR:
		return protoSchema(f, cols, unwrapped(f, cols, o))
	case JSONSchema:
		return jsonSchema(cols, unwrapped(f, cols, o)), nil
	}
	return "", fmt.Errorf("the %s format has no schema", f.Name)
}

// WithoutSchema is a format that isn't bound to a registered schema: what a
// query's own topics hold has the shape of its step, not of its source.
func WithoutSchema(f plan.Format) plan.Format {
	props := map[string]string{}
	for k, v := range f.Props {
		if k != "schemaId" && k != "fullSchemaName" {
			props[k] = v
		}
	}
	f.Props = props
	return f
}
