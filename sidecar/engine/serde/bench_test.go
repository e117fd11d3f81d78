package serde_test

import (
	"testing"

	"github.com/sidestream/sidestream/sidecar/engine/plan"
	"github.com/sidestream/sidestream/sidecar/engine/serde"
	"github.com/sidestream/sidestream/sidecar/engine/types"
)

// order is a record of the size that the order flow has: about 300 bytes.
const order = `{"id":"01890a5d-ac96-774b-bcce-b302099a8057","customerId":15,"state":"CREATED","product":"JUMPERS","quantity":3,` +
	`"price":1250.75,"reasons":["within the limit","in stock"],"version":1,"note":"deliver to the back door, please",` +
	`"address":{"street":"1 Main Street","city":"Springfield","zip":"12345"}}`

const orderColumns = "ID STRING, CUSTOMERID BIGINT, STATE STRING, PRODUCT STRING, QUANTITY INT, PRICE DECIMAL(12,2), REASONS ARRAY<STRING>, VERSION INT"

func benchmarkDecode(b *testing.B, f plan.Format, data []byte, used []bool) {
	cols := columns(b, orderColumns)
	dec, err := serde.NewDecoder(f, cols, serde.Options{Used: used})
	if err != nil {
		b.Fatal(err)
	}
	row := make([]types.Value, len(cols))
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := dec.Decode(data, row); err != nil {
			b.Fatal(err)
		}
	}
}

func benchmarkEncode(b *testing.B, f plan.Format) {
	cols := columns(b, orderColumns)
	from, err := serde.NewDecoder(plan.Format{Name: serde.JSON}, cols, serde.Options{})
	if err != nil {
		b.Fatal(err)
	}
	row := make([]types.Value, len(cols))
	if _, err := from.Decode([]byte(order), row); err != nil {
		b.Fatal(err)
	}
	enc, err := serde.NewEncoder(f, cols, serde.Options{})
	if err != nil {
		b.Fatal(err)
	}
	var buf []byte
	b.ReportAllocs()
	for b.Loop() {
		if buf, err = enc.Encode(buf[:0], row); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkJSONDecode4Of8(b *testing.B) {
	benchmarkDecode(b, plan.Format{Name: serde.JSON}, []byte(order), []bool{true, true, false, false, true, true, false, false})
}

func BenchmarkJSONDecodeAll(b *testing.B) {
	benchmarkDecode(b, plan.Format{Name: serde.JSON}, []byte(order), nil)
}

func BenchmarkJSONEncode(b *testing.B) { benchmarkEncode(b, plan.Format{Name: serde.JSON}) }
