// Package serde turns the bytes of keys and values into columns and back, one
// file a format: JSON, DELIMITED, KAFKA, NONE, AVRO, PROTOBUF, JSON_SR,
// PROTOBUF_NOSR.
//
// In: bytes, a plan.Format, columns. Out: types.Values in column order. A serde
// knows no topic's offsets and no clock; package exec calls it at the edges of
// a task.
package serde

import (
	"github.com/sidestream/sidestream/sidecar/engine/plan"
	"github.com/sidestream/sidestream/sidecar/engine/schema"
	"github.com/sidestream/sidestream/sidecar/engine/types"
)

// Decoder reads records of one topic's key or value. It may keep buffers: use
// it from one goroutine.
type Decoder interface {
	// Decode fills dst (one place a column; columns not asked for stay NULL).
	// data is not nil, and the values may point into it: it must not change.
	// present is false when the data means "no row" (JSON null). The error says
	// what is wrong with the data, in ksqlDB's words where they are known.
	Decode(data []byte, dst []types.Value) (present bool, err error)
}

// Encoder writes records.
type Encoder interface {
	// Encode appends the bytes of a row to dst. A nil result means null.
	Encode(dst []byte, row []types.Value) ([]byte, error)
}

// Options are what a serde needs beside its format.
type Options struct {
	// Used says which columns are decoded; nil means all. The others are checked
	// only: a record that can't be read is no row, whatever a query needs of it.
	Used []bool
	// Subject is "<topic>-key" or "<topic>-value", for formats with a registry.
	Subject string
	// IsKey: the columns are a key's.
	IsKey bool
	// Registry of schemas, or nil.
	Registry SchemaRegistry
}

// SchemaRegistry is what the serdes need of Confluent's Schema Registry.
type SchemaRegistry interface {
	// Register gives the id of the schema under the subject, registering it when new.
	Register(subject, schemaType, schema string) (id int, err error)
	// ByID gives a schema by its id, with the text of its references by name.
	ByID(id int) (schemaType, schema string, references map[string]string, err error)
	// Latest gives the newest schema of a subject; id is 0 when there is none.
	Latest(subject string) (id int, schemaType, schema string, references map[string]string, err error)
}

// Constructor makes the serde of one format. Either half may be nil when the
// caller asked only for the other.
type Constructor struct {
	Decoder func(f plan.Format, cols []schema.Column, o Options) (Decoder, error)
	Encoder func(f plan.Format, cols []schema.Column, o Options) (Encoder, error)
}
