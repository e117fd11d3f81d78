package serde

import (
	"github.com/sidestream/sidestream/sidecar/engine/plan"
	"github.com/sidestream/sidestream/sidecar/engine/schema"
	"github.com/sidestream/sidestream/sidecar/engine/types"
)

// JSON_SR is JSON behind a schema's id. The schema is JSON Schema with the
// extensions of Kafka Connect ("connect.type", "connect.index"), which tell what
// JSON itself can't: an INT from a BIGINT, the order of fields.

type jsonSRDecoder struct {
	plain Decoder
	known *framed // nil without a registry, as in tests of SQL
}

func newJSONSRDecoder(f plan.Format, cols []schema.Column, o Options) (Decoder, error) {
	plain, err := newJSONDecoder(f, cols, o)
	if err != nil {
		return nil, err
	}
	d := jsonSRDecoder{plain: plain}
	if o.Registry != nil {
		// What is in the data is converted by the columns alone: a record's schema must
		// be there and be one of JSON, but nothing is taken from it.
		d.known, err = newFramed(JSONSchema, o, func(string, map[string]string) (Decoder, error) { return plain, nil })
	}
	return d, err
}

func (d jsonSRDecoder) Decode(data []byte, dst []types.Value) (bool, error) {
	_, rest, err := splitHeader(data, JSONSchema)
	if err == nil && d.known != nil {
		_, rest, err = d.known.decoder(data)
	}
	if err != nil {
		return false, err
	}
	return d.plain.Decode(rest, dst)
}

type jsonSREncoder struct {
	written
	plain  Encoder
	schema string
}

func newJSONSREncoder(f plan.Format, cols []schema.Column, o Options) (Encoder, error) {
	if o.Registry == nil {
		return nil, errNoRegistry(JSONSchema)
	}
	plain, err := newJSONEncoder(f, cols, o)
	if err != nil {
		return nil, err
	}
	return &jsonSREncoder{
		written: written{format: JSONSchema, f: f, o: o},
		plain:   plain,
		schema:  jsonSchema(cols, unwrapped(f, cols, o)),
	}, nil
}

func (e *jsonSREncoder) Encode(dst []byte, row []types.Value) ([]byte, error) {
	id, err := e.use(e.schema, func(string, map[string]string) error { return nil })
	if err != nil {
		return nil, err
	}
	return e.plain.Encode(appendHeader(dst, id), row)
}
