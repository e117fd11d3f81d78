package web

import (
	"encoding/json"
	"maps"
	"math"
	"net/http"
	"strconv"
	"time"
)

// ProblemType is the media type of RFC 9457.
const ProblemType = "application/problem+json"

// Problem is an error as RFC 9457 has it.
type Problem struct {
	// Code names the kind of problem for programs. The problem's type is
	// "urn:sidestream:problem:" and the code.
	Code   string
	Status int
	Detail string // what was wrong, where, and what to do
	// Errors names each bad field.
	Errors []FieldError
	// RetryAfter, where not zero, goes into the header of that name, in whole
	// seconds and at least 1.
	RetryAfter time.Duration
	// Extra are members besides the standard ones.
	Extra map[string]any
	// Header are headers of the answer besides the usual ones.
	Header http.Header
}

// FieldError is one thing that is wrong with a request.
type FieldError struct {
	In      string `json:"in"`                // body, query, path or header
	Field   string `json:"field"`             // its name; empty for the body as a whole
	Pointer string `json:"pointer,omitempty"` // where it stands in the body (RFC 6901, as a URI fragment)
	Detail  string `json:"detail"`
}

// BodyError is a FieldError of a member of the body.
func BodyError(field, detail string) FieldError {
	e := FieldError{In: "body", Field: field, Detail: detail}
	if field != "" {
		e.Pointer = "#/" + pointerEscape(field)
	}
	return e
}

// QueryError is a FieldError of a query parameter.
func QueryError(name, detail string) FieldError {
	return FieldError{In: "query", Field: name, Detail: detail}
}

// pointerEscape writes a member name as a JSON pointer in a URI fragment.
func pointerEscape(s string) string {
	var b []byte
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '~':
			b = append(b, "~0"...)
		case c == '/':
			b = append(b, "~1"...)
		case c <= ' ' || c >= 0x7f || c == '%' || c == '"' || c == '<' || c == '>' || c == '\\' || c == '^' || c == '`' || c == '{' || c == '|' || c == '}' || c == '#':
			const hex = "0123456789ABCDEF"
			b = append(b, '%', hex[c>>4], hex[c&15])
		default:
			b = append(b, c)
		}
	}
	return string(b)
}

// Error makes a Problem an error, for handlers that return one.
func (p *Problem) Error() string { return p.Detail }

// With adds an extra member and returns p.
func (p *Problem) With(name string, value any) *Problem {
	if p.Extra == nil {
		p.Extra = map[string]any{}
	}
	p.Extra[name] = value
	return p
}

// Write answers the request with the problem.
func (p *Problem) Write(w http.ResponseWriter, r *http.Request) {
	body := map[string]any{}
	maps.Copy(body, p.Extra)
	body["type"] = "urn:sidestream:problem:" + p.Code
	body["title"] = http.StatusText(p.Status)
	body["status"] = p.Status
	body["code"] = p.Code
	body["instance"] = r.URL.RequestURI()
	if p.Detail != "" {
		body["detail"] = p.Detail
	}
	if len(p.Errors) > 0 {
		body["errors"] = p.Errors
	}
	b, err := json.Marshal(body)
	if err != nil { // an Extra that isn't JSON: a mistake of the caller's
		b = []byte(`{"title":"Internal Server Error","status":500}`)
	}
	h := w.Header()
	maps.Copy(h, p.Header)
	h.Set("Content-Type", ProblemType)
	h.Set("Cache-Control", "no-store")
	if p.RetryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(max(1, int(math.Ceil(p.RetryAfter.Seconds())))))
	}
	w.WriteHeader(p.Status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(append(b, '\n')) // the client that went away needs no answer
	}
}

// NotFound is 404.
func NotFound(detail string) *Problem {
	return &Problem{Code: "not-found", Status: http.StatusNotFound, Detail: detail}
}

// Unavailable is 503: something that the service needs is away.
func Unavailable(detail string) *Problem {
	return &Problem{Code: "unavailable", Status: http.StatusServiceUnavailable, Detail: detail, RetryAfter: time.Second}
}

// BadParameters is 400 for query parameters and headers.
func BadParameters(errs ...FieldError) *Problem {
	return &Problem{Code: "bad-parameters", Status: http.StatusBadRequest,
		Detail: "The request has bad parameters: see errors.", Errors: errs}
}

// BadFields is 422: a body that is JSON, but with missing, wrong or unknown
// members.
func BadFields(errs ...FieldError) *Problem {
	return &Problem{Code: "bad-fields", Status: http.StatusUnprocessableEntity,
		Detail: "The body has missing, wrong or unknown fields: see errors.", Errors: errs}
}
