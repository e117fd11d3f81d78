package rest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"strconv"
	"strings"

	"github.com/sidestream/sidestream/sidecar/engine"
)

// statementBody is the body of /ksql and of the older /query. What it has besides,
// such as the requestProperties that ksqlDB's nodes send each other, isn't used.
type statementBody struct {
	KSQL       string            `json:"ksql"`
	Properties properties        `json:"streamsProperties"`
	Variables  map[string]string `json:"sessionVariables"`
	Sequence   *int64            `json:"commandSequenceNumber"`
}

// properties are settings: texts, numbers and booleans. Lists and objects are kept
// as their JSON, so that no body becomes much larger in memory than it is.
type properties map[string]json.RawMessage

func (p properties) values() map[string]any {
	out := make(map[string]any, len(p))
	for name, raw := range p {
		var v any
		_, err := strconv.ParseInt(string(raw), 10, 64) // whole numbers are told as they are
		if c := raw[0]; err == nil || c == '{' || c == '[' || json.Unmarshal(raw, &v) != nil {
			v = string(raw)
		}
		out[name] = v
	}
	return out
}

func (b *statementBody) request() engine.Request {
	r := engine.Request{SQL: b.KSQL, Properties: b.Properties.values(), Variables: b.Variables}
	if b.Sequence != nil {
		r.After = *b.Sequence
	}
	return r
}

// queryBody is the body of /query-stream.
type queryBody struct {
	SQL        *string           `json:"sql"`
	Properties properties        `json:"properties"`
	Variables  map[string]string `json:"sessionVariables"`
}

// read reads a JSON body. entity is what ksqlDB calls its type.
func read(r *http.Request, into any, entity string) error {
	data, err := readAll(r)
	if err != nil {
		return err
	}
	if len(data) == 0 && r.ContentLength == 0 { // ksqlDB stumbles over it
		return &engine.Error{Status: http.StatusInternalServerError, Code: engine.CodeServerError, Message: "The request has no body"}
	}
	return decode(data, into, entity)
}

// readAll reads a body of bounded size.
func readAll(r *http.Request) ([]byte, error) {
	data, err := io.ReadAll(http.MaxBytesReader(nil, r.Body, maxBody))
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		return nil, &engine.Error{Status: http.StatusRequestEntityTooLarge, Code: 41300, Message: fmt.Sprintf("The request is larger than %d bytes", maxBody)}
	}
	if err != nil {
		return nil, engine.BadRequest("The request can't be read: %v", err)
	}
	return data, nil
}

func decode(data []byte, into any, entity string) error {
	if len(bytes.TrimSpace(data)) == 0 {
		return engine.BadRequest("Invalid JSON in request: No content to map due to end-of-input")
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	if err := dec.Decode(into); err != nil {
		return engine.BadRequest("Invalid JSON in request: %s", jacksonText(data, err, entity))
	}
	return nil
}

// source is the place in a document, as Jackson tells it.
func source(data []byte, offset int64) string {
	before := data[:min(int(offset), len(data))]
	line := 1 + bytes.Count(before, []byte("\n"))
	col := len(before) - bytes.LastIndexByte(before, '\n')
	return fmt.Sprintf("\n at [Source: REDACTED (`StreamReadFeature.INCLUDE_SOURCE_IN_LOCATION` disabled); line: %d, column: %d]", line, col)
}

// missing is the error of a member that must be there.
func missing(data []byte, entity, name string) error {
	return engine.BadRequest("Invalid JSON in request: Missing required creator property '%s' (index 0)%s (through reference chain: %s[%q])",
		name, source(data, int64(len(bytes.TrimSpace(data)))-1), entity, name)
}

// jacksonText says what is wrong with a document, close to ksqlDB's words.
func jacksonText(data []byte, err error, entity string) string {
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	switch {
	case errors.As(err, &syntax):
		at := max(syntax.Offset-1, 0)
		if int(at) >= len(data) {
			return "Unexpected end-of-input" + source(data, int64(len(data)))
		}
		c := data[at]
		if word := bareWord(data, int(at)); word != "" && (at == 0 || !strings.ContainsRune("{,", rune(data[at-1]))) {
			start := bytes.Index(data, []byte(word))
			return fmt.Sprintf("Unrecognized token '%s': was expecting (JSON String, Number, Array, Object or token 'null', 'true' or 'false')%s", word, source(data, int64(start+len(word)+1)))
		}
		return fmt.Sprintf("Unexpected character ('%c' (code %d)): was expecting double-quote to start field name%s", c, c, source(data, at+1))
	case errors.As(err, &kind):
		if kind.Type == reflect.TypeFor[peerAddress]() && kind.Value == "object" {
			const class = entityPackage + "KsqlHostInfoEntity"
			at := max(bytes.Index(data, []byte(`"`+kind.Field+`"`)), 0)
			at += max(bytes.IndexByte(data[at:], '{'), 0)
			return fmt.Sprintf("Cannot construct instance of `%s` (although at least one Creator exists): cannot deserialize from Object value (no delegate- or property-based Creator)%s (through reference chain: %s[%q])", class, source(data, int64(at)+1), entity, kind.Field)
		}
		if kind.Field == "" && kind.Value == "array" {
			return fmt.Sprintf("Cannot deserialize value of type `%s` from Array value (token `JsonToken.START_ARRAY`)%s", entity, source(data, 0))
		}
		return fmt.Sprintf("Cannot deserialize value of type `%s` from %s%s (through reference chain: %s[%q])", javaType(kind.Type.String()), kind.Value, source(data, kind.Offset), entity, kind.Field)
	}
	return err.Error()
}

func javaType(t string) string {
	switch {
	case strings.HasPrefix(t, "map"), strings.HasSuffix(t, ".properties"):
		return "java.util.LinkedHashMap<java.lang.String,java.lang.Object>"
	case strings.HasPrefix(t, "int"):
		return "java.lang.Long"
	}
	return "java.lang.String"
}

// bareWord is the word of letters around a place, if it starts the document.
func bareWord(data []byte, at int) string {
	letter := func(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }
	from := at
	for from > 0 && letter(data[from-1]) {
		from--
	}
	if len(bytes.TrimSpace(data[:from])) > 0 {
		return ""
	}
	to := from
	for to < len(data) && letter(data[to]) {
		to++
	}
	return string(data[from:to])
}

const entityPackage = "io.confluent.ksql.rest.entity."
