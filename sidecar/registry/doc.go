// Package registry is a Schema Registry with Confluent's REST API: [Client] talks
// to one over HTTP, [Embedded] is one by itself, in memory or in a directory, for
// development, tests and demonstrations.
//
// In: schemas of topics' keys and values under subjects ("<topic>-value"). Out:
// ids, by which records name the schema that they were written with. A schema
// that readers of the subject's earlier ones couldn't live with is refused, by
// the level of compatibility that is set. Both types are a serde.SchemaRegistry.
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

// Error codes of the API: the first three digits are the status of the answer.
const (
	CodeIncompatible          = 409
	CodeNoSubject             = 40401
	CodeNoVersion             = 40402
	CodeNoSchema              = 40403
	CodeSubjectDeleted        = 40404
	CodeSubjectNotDeleted     = 40405
	CodeVersionDeleted        = 40406
	CodeVersionNotDeleted     = 40407
	CodeNoSubjectLevel        = 40408
	CodeNoSubjectMode         = 40409
	CodeBadSchema             = 42201
	CodeBadNumber             = 42202
	CodeBadLevel              = 42203
	CodeBadMode               = 42204
	CodeNotPermitted          = 42205
	CodeReferenced            = 42206
	CodeOtherID               = 42207
	codeStore                 = 50001
	codeUnprocessable         = 422
	codeBadRequest            = 400
	latest                int = -1
)

// Reference is a schema that another one uses, under the name that it uses.
type Reference struct {
	Name    string `json:"name"`
	Subject string `json:"subject"`
	Version int    `json:"version"`
}

// Schema is a schema's text with what it needs. Type is AVRO where it is empty.
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

// Unavailable tells whether the registry could not answer, as against a request
// that it doesn't grant.
func (e *Error) Unavailable() bool { return e.Code >= 50000 || e.Code >= 500 && e.Code < 600 }

// unavailable is the error of a registry that doesn't answer.
type unavailable struct{ error }

func (e unavailable) Unwrap() error     { return e.error }
func (e unavailable) Unavailable() bool { return true }

func refuse(code int, format string, args ...any) error {
	return &Error{code, fmt.Sprintf(format, args...)}
}

// typeOf is a schema's type, spelt out.
func typeOf(name string) string {
	if name == "" {
		return Avro
	}
	return name
}
