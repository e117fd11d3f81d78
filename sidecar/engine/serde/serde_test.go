package serde_test

import (
	"encoding/hex"
	"fmt"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
	"github.com/stretchr/testify/require"

	"github.com/sidestream/sidestream/sidecar/engine/plan"
	"github.com/sidestream/sidestream/sidecar/engine/schema"
	"github.com/sidestream/sidestream/sidecar/engine/serde"
	"github.com/sidestream/sidestream/sidecar/engine/types"
)

// columns reads "A INT, B ARRAY<STRING>, C STRUCT<X INT>" the way the test data
// writes columns.
func columns(t testing.TB, text string) []schema.Column {
	p := typeParser{t: t, rest: strings.TrimSpace(text)}
	var cols []schema.Column
	for p.rest != "" {
		name := p.word()
		cols = append(cols, schema.Column{Name: name, Type: p.typ()})
		p.accept(",")
	}
	return cols
}

type typeParser struct {
	t    testing.TB
	rest string
}

func (p *typeParser) accept(tok string) bool {
	if strings.HasPrefix(p.rest, tok) {
		p.rest = strings.TrimLeft(p.rest[len(tok):], " ")
		return true
	}
	return false
}

func (p *typeParser) word() string {
	n := strings.IndexAny(p.rest, " ,<>()")
	if n < 0 {
		n = len(p.rest)
	}
	w := p.rest[:n]
	p.rest = strings.TrimLeft(p.rest[n:], " ")
	return w
}

func (p *typeParser) typ() types.Type {
	switch w := p.word(); w {
	case "BOOLEAN":
		return types.TBoolean
	case "INT", "INTEGER":
		return types.TInteger
	case "BIGINT":
		return types.TBigint
	case "DOUBLE":
		return types.TDouble
	case "STRING":
		return types.TString
	case "BYTES":
		return types.TBytes
	case "DATE":
		return types.TDate
	case "TIME":
		return types.TTime
	case "TIMESTAMP":
		return types.TTimestamp
	case "DECIMAL":
		var precision, scale int
		_, err := fmt.Sscanf(p.rest, "(%d,%d)", &precision, &scale)
		require.NoError(p.t, err, p.rest)
		p.rest = strings.TrimLeft(p.rest[strings.IndexByte(p.rest, ')')+1:], " ")
		return types.TDecimal(precision, scale)
	case "ARRAY":
		p.accept("<")
		defer p.accept(">")
		return types.TArray(p.typ())
	case "MAP":
		p.accept("<")
		key := p.typ()
		p.accept(",")
		defer p.accept(">")
		return types.TMap(key, p.typ())
	case "STRUCT":
		p.accept("<")
		var fields []types.Field
		for !p.accept(">") {
			name := p.word()
			fields = append(fields, types.Field{Name: name, Type: p.typ()})
			p.accept(",")
		}
		return types.TStruct(fields...)
	default:
		p.t.Fatalf("unknown type %q", w)
		return types.Type{}
	}
}

// show prints a row as the test data expects it: each value as its text.
func show(cols []schema.Column, row []types.Value) string {
	parts := make([]string, len(cols))
	for i, c := range cols {
		parts[i] = c.Name + "=" + types.Text(row[i], c.Type)
		if row[i].Kind() == types.String {
			parts[i] = fmt.Sprintf("%s=%q", c.Name, row[i].Str())
		}
	}
	return strings.Join(parts, " ")
}

// bytesOf reads test input: as it is, or in hex behind "0x", or \-escaped in quotes.
func bytesOf(t testing.TB, line string) []byte {
	if h, ok := strings.CutPrefix(line, "0x"); ok {
		b, err := hex.DecodeString(h)
		require.NoError(t, err)
		return b
	}
	return []byte(line)
}

func printable(b []byte) string {
	if b == nil {
		return "null"
	}
	for _, c := range b {
		if c < 0x20 && c != '\t' && c != '\n' {
			return "0x" + hex.EncodeToString(b)
		}
	}
	return string(b)
}

// TestFormats runs the scripts in testdata/formats. "format NAME [option…]" and
// "columns" set the scene; "decode" reads each input line on its own; "convert"
// reads lines as JSON and writes them in the format.
func TestFormats(t *testing.T) {
	datadriven.Walk(t, "testdata/formats", func(t *testing.T, path string) {
		var cols []schema.Column
		var f plan.Format
		var o serde.Options
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			lines := strings.Split(d.Input, "\n")
			var out strings.Builder
			switch d.Cmd {
			case "columns":
				cols, o = columns(t, strings.ReplaceAll(d.Input, "\n", " ")), serde.Options{}
				f = plan.Format{Props: map[string]string{}}
				for _, arg := range d.CmdArgs {
					switch arg.Key {
					case "unwrapped":
						f.Unwrapped = true
					case "key":
						o.IsKey = true
					case "format":
						f.Name = arg.Vals[0]
					case "used":
						o.Used = make([]bool, len(cols))
						for i, c := range cols {
							for _, v := range arg.Vals {
								o.Used[i] = o.Used[i] || c.Name == v
							}
						}
					default:
						f.Props[arg.Key] = arg.Vals[0]
					}
				}
				if err := serde.Check(f, cols, o.IsKey); err != nil {
					return "error: " + err.Error()
				}
				return "ok"
			case "decode":
				dec, err := serde.NewDecoder(f, cols, o)
				require.NoError(t, err)
				for _, line := range lines {
					row := make([]types.Value, len(cols))
					present, err := dec.Decode(bytesOf(t, line), row)
					switch {
					case err != nil:
						fmt.Fprintf(&out, "error: %v\n", err)
					case !present:
						out.WriteString("null\n")
					default:
						out.WriteString(show(cols, row) + "\n")
					}
				}
			case "convert":
				from, err := serde.NewDecoder(plan.Format{Name: serde.JSON}, cols, serde.Options{})
				require.NoError(t, err)
				enc, err := serde.NewEncoder(f, cols, o)
				require.NoError(t, err)
				for _, line := range lines {
					row := make([]types.Value, len(cols))
					_, err := from.Decode([]byte(line), row)
					require.NoError(t, err)
					b, err := enc.Encode(nil, row)
					require.NoError(t, err)
					out.WriteString(printable(b) + "\n")
				}
			}
			return out.String()
		})
	})
}
