package parser

import (
	"os"
	"testing"
)

// BenchmarkParse reads the statements of the order flow; the time is that of one
// statement.
func BenchmarkParse(b *testing.B) {
	text, err := os.ReadFile(shared(b, "flow.sql"))
	if err != nil {
		b.Fatal(err)
	}
	pieces, err := Split(string(text))
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	b.ResetTimer()
	for i := 0; i < b.N; i++ {
		if _, err := Parse(pieces[i%len(pieces)].Text); err != nil {
			b.Fatal(err)
		}
	}
}
