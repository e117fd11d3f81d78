package client

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// ksqlDB's error codes: the HTTP status × 100, and a number within it.
const (
	CodeBadRequest          = 40000
	CodeBadStatement        = 40001
	CodeWrongEndpoint       = 40002 // a query sent to /ksql
	CodeTooManyPushQueries  = 40003
	CodeHTTP2Only           = 40004
	CodeUnauthorized        = 40100
	CodeForbidden           = 40300
	CodeForbiddenKafka      = 40301
	CodeNotFound            = 40400
	CodeAssertionFailed     = 41700
	CodeTooManyRequests     = 42900
	CodeServerError         = 50000
	CodeSequenceWaitTimeout = 50301 // a commandSequenceNumber was not reached in time
	CodeNotReady            = 50302
	CodeShuttingDown        = 50303
)

// Error is what the server refused, and why.
type Error struct {
	HTTPStatus    int
	ErrorCode     int      // ksqlDB's code; HTTPStatus × 100 where the server sent none
	Message       string   // the server's own words
	StatementText string   // the statement at fault, as far as the server says
	Entities      []Entity // the statements of the same request that were done before it
	RetryAfter    time.Duration
	Request       string // method and path
}

func (e *Error) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "ksqlDB error %d", e.ErrorCode)
	if e.Request != "" {
		fmt.Fprintf(&b, " (%s)", e.Request)
	}
	b.WriteString(": ")
	b.WriteString(e.Message)
	if e.StatementText != "" && !strings.Contains(e.Message, e.StatementText) {
		b.WriteString("\nin: ")
		b.WriteString(e.StatementText)
	}
	return b.String()
}

// Code returns ksqlDB's error code of err, or 0 if err isn't from the server.
func Code(err error) int {
	var e *Error
	if errors.As(err, &e) {
		return e.ErrorCode
	}
	return 0
}

// Retryable reports that the same request may succeed later: the server wasn't
// reached, isn't ready, or has too much to do. An error that the statement
// itself causes isn't retryable.
func Retryable(err error) bool {
	if err == nil {
		return false
	}
	var e *Error
	if !errors.As(err, &e) {
		return true // no answer at all
	}
	return e.HTTPStatus == http.StatusServiceUnavailable || e.HTTPStatus == http.StatusTooManyRequests ||
		e.HTTPStatus == http.StatusBadGateway || e.HTTPStatus == http.StatusGatewayTimeout
}

// errorBody is the JSON of every error, in an answer of its own or as the last
// line of a stream of rows.
type errorBody struct {
	Type          string            `json:"@type"`
	ErrorCode     int               `json:"error_code"`
	Message       string            `json:"message"`
	StatementText string            `json:"statementText"`
	Entities      []json.RawMessage `json:"entities"`
}

func (b *errorBody) error(status int, request string) *Error {
	e := &Error{HTTPStatus: status, ErrorCode: b.ErrorCode, Message: b.Message, StatementText: b.StatementText, Request: request}
	for _, raw := range b.Entities {
		if ent, err := decodeEntity(raw); err == nil {
			e.Entities = append(e.Entities, ent)
		}
	}
	return e
}

func readError(resp *http.Response, request string) *Error {
	raw, _ := io.ReadAll(io.LimitReader(resp.Body, maxBody))
	var body errorBody
	var e *Error
	if err := decode(raw, &body); err == nil && body.ErrorCode != 0 {
		e = body.error(resp.StatusCode, request)
	} else {
		e = &Error{HTTPStatus: resp.StatusCode, ErrorCode: resp.StatusCode * 100, Request: request,
			Message: resp.Status + hint(resp.StatusCode)}
		if text := strings.TrimSpace(string(raw)); text != "" {
			e.Message += ": " + excerpt([]byte(text))
		}
	}
	if s, err := strconv.Atoi(resp.Header.Get("Retry-After")); err == nil {
		e.RetryAfter = time.Duration(s) * time.Second
	}
	return e
}

// hint says what an answer without a ksqlDB error usually means.
func hint(status int) string {
	switch status {
	case http.StatusNotFound:
		return " (this server doesn't have the endpoint, or it is switched off)"
	case http.StatusMethodNotAllowed, http.StatusNotAcceptable:
		return " (is this a ksqlDB server?)"
	default:
		return ""
	}
}
