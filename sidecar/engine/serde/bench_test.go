package serde_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sidestream/sidestream/sidecar/engine/plan"
	"github.com/sidestream/sidestream/sidecar/engine/schema"
	"github.com/sidestream/sidestream/sidecar/engine/serde"
	"github.com/sidestream/sidestream/sidecar/engine/types"
	"github.com/sidestream/sidestream/sidecar/registry"
)

// order is a record of the size that the order flow has: about 300 bytes.
const order = `{"id":"01890a5d-ac96-774b-bcce-b302099a8057","customerId":15,"state":"CREATED","product":"JUMPERS","quantity":3,` +
	`"price":1250.75,"reasons":["within the limit","in stock"],"version":1,"note":"deliver to the back door, please",` +
	`"address":{"street":"1 Main Street","city":"Springfield","zip":"12345"}}`

const orderColumns = "ID STRING, CUSTOMERID BIGINT, STATE STRING, PRODUCT STRING, QUANTITY INT, PRICE DECIMAL(12,2), REASONS ARRAY<STRING>, VERSION INT"

// firstFour are the columns that a query such as the fraud check uses.
var firstFour = []bool{true, true, false, false, true, true, false, false}

// benchmarked are the formats with the columns that each can hold.
var benchmarked = []struct{ format, columns string }{
	{serde.JSON, orderColumns},
	{serde.JSONSchema, orderColumns},
	{serde.Avro, orderColumns},
	{serde.Protobuf, orderColumns},
	{serde.ProtobufNoSR, orderColumns},
	{serde.Delimited, strings.Replace(orderColumns, "ARRAY<STRING>", "STRING", 1)},
	{serde.Kafka, "ID STRING"},
}

// written is the order in a format, with what wrote it.
func written(b testing.TB, format string, cols []schema.Column) (serde.Encoder, []types.Value, []byte, serde.Options) {
	o := serde.Options{Subject: "orders-value", Registry: registry.New()}
	from, err := serde.NewDecoder(plan.Format{Name: serde.JSON}, cols, serde.Options{})
	if err != nil {
		b.Fatal(err)
	}
	row := make([]types.Value, len(cols))
	if _, err := from.Decode([]byte(order), row); err != nil {
		b.Fatal(err)
	}
	enc, err := serde.NewEncoder(plan.Format{Name: format}, cols, o)
	if err != nil {
		b.Fatal(err)
	}
	data, err := enc.Encode(nil, row)
	if err != nil {
		b.Fatal(err)
	}
	if format == serde.JSON {
		data = []byte(order) // with the members that are no columns
	}
	return enc, row, data, o
}

func benchmarkDecode(b *testing.B, used []bool) {
	for _, f := range benchmarked {
		b.Run(f.format, func(b *testing.B) {
			cols := columns(b, f.columns)
			_, _, data, o := written(b, f.format, cols)
			if used != nil {
				o.Used = used[:len(cols)]
			}
			dec, err := serde.NewDecoder(plan.Format{Name: f.format}, cols, o)
			if err != nil {
				b.Fatal(err)
			}
			row := make([]types.Value, len(cols))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := dec.Decode(data, row); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkDecode reads all columns of an order.
func BenchmarkDecode(b *testing.B) { benchmarkDecode(b, nil) }

// BenchmarkDecodeUsed reads the columns that a query uses: four of eight.
func BenchmarkDecodeUsed(b *testing.B) { benchmarkDecode(b, firstFour) }

// BenchmarkEncode writes an order.
func BenchmarkEncode(b *testing.B) {
	for _, f := range benchmarked {
		b.Run(f.format, func(b *testing.B) {
			enc, row, buf, _ := written(b, f.format, columns(b, f.columns))
			b.ReportAllocs()
			for b.Loop() {
				var err error
				if buf, err = enc.Encode(buf[:0], row); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// What decoding costs a query: nothing beyond the row that it fills.
func TestDecodingAllocatesNothing(t *testing.T) {
	for _, f := range benchmarked {
		t.Run(f.format, func(t *testing.T) {
			cols := columns(t, f.columns)
			_, _, data, o := written(t, f.format, cols)
			o.Used = firstFour[:len(cols)]
			dec, err := serde.NewDecoder(plan.Format{Name: f.format}, cols, o)
			require.NoError(t, err)
			row := make([]types.Value, len(cols))
			require.Zero(t, testing.AllocsPerRun(100, func() { _, _ = dec.Decode(data, row) }))
		})
	}
}
