package enginetest

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
)

// Case is a query case: statements, records that go in, records that come out,
// or the mistake that is found.
type Case struct {
	ID, Suite, File, Name string
	Format                string
	Statements            []string
	Inputs, Outputs       []Record
	Properties            map[string]json.RawMessage
	Topics                []Topic
	ExpectedException     *Exception
	Post                  *Post
	Formats               []string
	NeedsSchemaRegistry   bool

	// Of cases that run over the REST API:
	Responses       []map[string]json.RawMessage
	ExpectedError   *ServerError
	InputConditions struct{ WaitForActivePushQuery bool }
	// OutputConditions: VerifyOrder compares the rows of answers in their order.
	OutputConditions struct{ VerifyOrder bool }
}

// Record is a record of a case.
type Record struct {
	Topic     string
	Key       json.RawMessage
	Value     json.RawMessage
	Timestamp *int64
	Window    *window
	Headers   *[]header
}

type header struct {
	KEY   string
	VALUE *string
}

// Exception is an expected mistake: its Java class and a part of its message,
// and the same of what caused it.
type Exception struct{ Type, Message, Cause, CauseMessage string }

// ServerError is an expected answer of the REST API.
type ServerError struct {
	Type, Message string
	Status        int
}

// LoadCases reads cases, one JSON object a line, from a file that may be gzipped;
// os.ErrNotExist where there is none.
func LoadCases(path string) ([]*Case, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	r := bufio.NewReader(f)
	if start, _ := r.Peek(2); bytes.Equal(start, []byte{0x1f, 0x8b}) {
		z, err := gzip.NewReader(r)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		r = bufio.NewReader(z)
	}
	var out []*Case
	for n := 1; ; n++ {
		line, err := r.ReadBytes('\n')
		if len(bytes.TrimSpace(line)) > 0 {
			c := &Case{}
			if err := json.Unmarshal(line, c); err != nil {
				return nil, fmt.Errorf("%s:%d: not a case: %w", path, n, err)
			}
			out = append(out, c)
		}
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
	}
}

// config are the case's properties as text.
func (c *Case) config() map[string]string {
	out := map[string]string{}
	for k, v := range c.Properties {
		var text string
		if json.Unmarshal(v, &text) != nil {
			text = string(v)
		}
		out[k] = text
	}
	return out
}
