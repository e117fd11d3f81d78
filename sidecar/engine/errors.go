package engine

import (
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/sidestream/sidestream/sidecar/engine/diagnostic"
)

// Error is why a request failed, as ksqlDB's API tells it. Code is Status × 100
// plus a number that tells failures of one status apart.
type Error struct {
	Status  int
	Code    int
	Message string
	// Statement is the statement at fault; HasStatement tells the two kinds of
	// answers apart (statement_error and generic_error).
	Statement    string
	HasStatement bool
	// Brief is the message without its details, where ksqlDB tells the two apart:
	// its websocket shows the brief one.
	Brief string
	// NotAQuery: the statement is none that has rows.
	NotAQuery bool
	// Entities are the answers of the statements before it, which were carried out.
	Entities []Entity
}

// Error is the message.
func (e *Error) Error() string { return e.Message }

// The codes of ksqlDB's API.
const (
	CodeBadRequest       = 40000
	CodeBadStatement     = 40001
	CodeQueryEndpoint    = 40002
	CodeTooManyPush      = 40003
	CodeHTTP2Only        = 40004
	CodeNotFound         = 40400
	CodeAssertFailed     = 41700
	CodeNoSchemaRegistry = 42801
	CodeServerError      = 50000
	CodeSequenceTimeout  = 50301
)

func newError(code int, format string, args ...any) *Error {
	return &Error{Status: code / 100, Code: code, Message: fmt.Sprintf(format, args...)}
}

// about is an error of one statement.
func about(code int, statement, format string, args ...any) *Error {
	e := newError(code, format, args...)
	e.Statement, e.HasStatement = statement, true
	return e
}

// BadRequest is a request that isn't understood, whatever it says.
func BadRequest(format string, args ...any) *Error { return newError(CodeBadRequest, format, args...) }

// unusual are mistakes that ksqlDB notices late, and so answers otherwise than
// the others: about the statement as it was written, without what it was doing.
var unusual = []struct {
	text string
	code int
}{
	{"A Kafka topic with the name '", CodeServerError},
	{"The retention period of the window store ", CodeServerError},
	{"Cannot create topic '", CodeNoSchemaRegistry},
}

// asError turns what went wrong with a statement into what the API says of it.
func asError(err error, statement string) *Error {
	var already *Error
	if errors.As(err, &already) {
		return already
	}
	all := diagnostic.All(err)
	if len(all) == 0 {
		return about(CodeServerError, statement, "%v", err)
	}
	first := all[0]
	for _, u := range unusual {
		if i := strings.Index(first.Message, u.text); i >= 0 {
			if u.code == CodeNoSchemaRegistry {
				return newError(u.code, "%s", first.Message[i:])
			}
			return about(u.code, statement, "%s", first.Message[i:])
		}
	}
	var typed *diagnostic.Error
	switch {
	case !errors.As(err, &typed) && !isDiagnostics(err):
		return about(CodeServerError, statement, "%v", err)
	case first.Kind == diagnostic.General && !strings.HasPrefix(first.Message, "Exception while preparing statement"):
		return newError(CodeBadRequest, "%s", first.Message)
	}
	if first.Statement != "" {
		statement = first.Statement
	}
	return about(CodeBadStatement, statement, "%s", first.Message)
}

func isDiagnostics(err error) bool {
	var many diagnostic.Errors
	return errors.As(err, &many)
}

// StatusOf is the HTTP status of an error that came from anywhere.
func StatusOf(err error) int {
	var e *Error
	if errors.As(err, &e) {
		return e.Status
	}
	return http.StatusInternalServerError
}
