package sqltest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"github.com/sidestream/sidestream/sidecar/engine/diagnostic"
	"github.com/sidestream/sidestream/sidecar/engine/enginetest"
)

// JSONForm is a test in the form of ksqlDB's ksql-test-runner: a file of
// statements, a file of input records and one of the records that must come out,
// in this order and none besides in their topics.
type JSONForm struct{ Statements, Inputs, Outputs string }

// Run runs it: "" when it passes, else what differs.
func (f JSONForm) Run() (failure string, err error) {
	sql, err := os.ReadFile(f.Statements)
	if err != nil {
		return "", err
	}
	c := &enginetest.Case{Name: f.Statements, Statements: []string{string(sql)}}
	if f.Inputs != "" {
		var in struct{ Inputs []enginetest.Record }
		if err := readRecords(f.Inputs, &in); err != nil {
			return "", err
		}
		c.Inputs = in.Inputs
	}
	var out struct{ Outputs []enginetest.Record }
	if err := readRecords(f.Outputs, &out); err != nil {
		return "", err
	}
	if c.Outputs = out.Outputs; len(c.Outputs) == 0 {
		return "", fmt.Errorf(`%s: no records under "outputs": a test that expects none passes always`, f.Outputs)
	}
	failed := c.Run()
	var differs enginetest.Differences
	switch {
	case failed == nil:
		return "", nil
	case errors.As(failed, &differs):
		return differs.Error(), nil
	}
	return diagnostic.Render(f.Statements, string(sql), failed), nil
}

func readRecords(file string, into any) error {
	raw, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber() // 1.50 stays 1.50
	if err := d.Decode(into); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	return nil
}
