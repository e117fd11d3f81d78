package main

import (
	"fmt"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
	"github.com/stretchr/testify/require"

	"github.com/sidestream/sidestream/services/internal/lookup"
	"github.com/sidestream/sidestream/services/transact"
)

// TestProcess runs the scripts in testdata. A line of input is a record, as
// "<key> <value>"; the output is what was emitted, with "!" before what was bad.
// The lines of `prices` are records of the table that is looked up in.
func TestProcess(t *testing.T) {
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		p := details{prices: lookup.New(pricesTopic), tolerance: 20}
		d, err := transact.NewDry(p)
		require.NoError(t, err)
		defer d.Close()
		datadriven.RunTest(t, path, func(t *testing.T, td *datadriven.TestData) string {
			var out strings.Builder
			for line := range strings.Lines(td.Input) {
				key, value, ok := strings.Cut(strings.TrimSpace(line), " ")
				require.True(t, ok, line)
				if td.Cmd == "prices" {
					p.prices.Put(key, []byte(value))
					continue
				}
				r := transact.Record{Topic: ordersTopic, Key: []byte(key), Value: []byte(value)}
				if key == "null" {
					r.Key = nil
				}
				if value == "null" {
					r.Value = nil
				}
				bad := len(d.Bad)
				emitted, err := d.Process(r)
				require.NoError(t, err)
				for _, b := range d.Bad[bad:] {
					fmt.Fprintf(&out, "! %v\n", b)
				}
				for _, e := range emitted {
					require.Equal(t, validationsTopic, e.Topic)
					require.Equal(t, r.Key, e.Key)
					fmt.Fprintf(&out, "%s\n", e.Value)
				}
				if bad == len(d.Bad) && len(emitted) == 0 {
					fmt.Fprintln(&out, "-")
				}
			}
			return out.String()
		})
	})
}

func TestLongTexts(t *testing.T) {
	d, err := transact.NewDry(details{prices: lookup.New(pricesTopic)})
	require.NoError(t, err)
	defer d.Close()
	for id, product := range map[string]string{strings.Repeat("i", 65): "HATS", "1": strings.Repeat("p", 257)} {
		out, err := d.Process(transact.Record{Key: []byte(id), Value: fmt.Appendf(nil, `{"state":"CREATED","customerId":1,"quantity":1,"price":1,"product":%q}`, product)})
		require.NoError(t, err)
		require.Len(t, out, 1)
		require.Contains(t, string(out[0].Value), "is longer than")
	}
}
