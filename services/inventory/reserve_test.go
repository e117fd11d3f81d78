package main

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"
	"github.com/stretchr/testify/require"

	"github.com/sidestream/sidestream/services/transact"
)

// TestProcess runs the scripts in testdata. A line of input is a record, or time
// that has passed since the test began:
//
//	stock  <product> <value> [at=<seconds>]
//	order  <product> <value> [at=<seconds>]
//	tick   <minutes>
//
// and the output is what was emitted, with "!" before what was bad.
func TestProcess(t *testing.T) {
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		d, err := transact.NewDry(inventory{keep: time.Hour})
		require.NoError(t, err)
		defer d.Close()
		datadriven.RunTest(t, path, func(t *testing.T, td *datadriven.TestData) string {
			var out strings.Builder
			for line := range strings.Lines(td.Input) {
				bad := len(d.Bad)
				var emitted []transact.Record
				var err error
				if minutes, ok := strings.CutPrefix(strings.TrimSpace(line), "tick "); ok {
					n, cerr := strconv.Atoi(minutes)
					require.NoError(t, cerr)
					emitted, err = d.Tick(0, time.Now().Add(time.Duration(n)*time.Minute))
				} else {
					emitted, err = d.Process(parse(t, strings.TrimSpace(line)))
				}
				for _, b := range d.Bad[bad:] {
					fmt.Fprintf(&out, "! %v\n", b)
				}
				if err != nil {
					fmt.Fprintf(&out, "stops: %v\n", err)
				}
				for _, e := range emitted {
					value := "null"
					if e.Value != nil {
						value = string(e.Value)
					}
					fmt.Fprintf(&out, "%s %s %s\n", e.Topic, e.Key, value)
				}
				if bad == len(d.Bad) && err == nil && len(emitted) == 0 {
					fmt.Fprintln(&out, "-")
				}
			}
			return out.String()
		})
	})
}

func parse(t *testing.T, line string) transact.Record {
	t.Helper()
	r := transact.Record{Time: time.Unix(0, 0)}
	if before, at, ok := strings.Cut(line, " at="); ok {
		n, err := strconv.Atoi(at)
		require.NoError(t, err)
		r.Time, line = time.Unix(int64(n), 0), before
	}
	parts := strings.SplitN(line, " ", 3)
	require.Len(t, parts, 3, line)
	r.Topic = map[string]string{"stock": warehouseTopic, "order": ordersTopic}[parts[0]]
	require.NotEmpty(t, r.Topic, line)
	if parts[1] != "null" {
		r.Key = []byte(parts[1])
	}
	if parts[2] != "null" {
		r.Value = []byte(parts[2])
	}
	return r
}
