// Package registry is a Schema Registry with Confluent's REST API: [Client] talks
// to one over HTTP, [Memory] keeps the schemas by itself and serves the API, for
// tests and demonstrations.
//
// In: schemas of topics' keys and values under subjects ("<topic>-value"). Out:
// ids, by which records name the schema that they were written with. Both types
// are a serde.SchemaRegistry.
//
// Next: package serde reads and writes records by the schemas.
package registry

import "fmt"

// Types of schemas, as the API calls them.
const (
	Avro     = "AVRO"
	Protobuf = "PROTOBUF"
	JSON     = "JSON"
)

// Error codes of the API.
const (
	CodeNoSubject = 40401
	CodeNoVersion = 40402
	CodeNoSchema  = 40403
	CodeBadSchema = 42201
	CodeBadNumber = 42202
)

// Reference is a schema that another one uses, under the name that it uses.
type Reference struct {
	Name    string `json:"name"`
	Subject string `json:"subject"`
	Version int    `json:"version"`
}

// Schema is a registered schema. Type is AVRO where it is empty.
type Schema struct {
	Type       string      `json:"schemaType,omitempty"`
	Text       string      `json:"schema"`
	References []Reference `json:"references,omitempty"`
}

// Version is a schema's place in a subject.
type Version struct {
	Subject string `json:"subject"`
	ID      int    `json:"id"`
	Version int    `json:"version"`
	Schema
}

// Error is the API's answer to a request that it refused.
type Error struct {
	Code    int    `json:"error_code"`
	Message string `json:"message"`
}

func (e *Error) Error() string { return fmt.Sprintf("%s (error code %d)", e.Message, e.Code) }

// typeOf is a schema's type, spelt out.
func typeOf(name string) string {
	if name == "" {
		return Avro
	}
	return name
}
