// Package chance makes types and values from the bytes that a fuzz test is
// given, and bounds what one input of such a test may cost. Only tests import it.
//
// In: bytes, chosen by the fuzzer. Out: choices: the same bytes make the same
// ones, so that what a fuzzer found can be repeated.
package chance

import (
	"math"
	"strings"

	"github.com/sidestream/sidestream/sidecar/engine/schema"
	"github.com/sidestream/sidestream/sidecar/engine/types"
)

// Source is a row of bytes from which choices are made. Where it ends, every
// choice is the first one: what is made is then finite.
type Source struct{ data []byte }

// New makes a Source of bytes.
func New(data []byte) *Source { return &Source{data} }

// Byte takes a byte; 0 at the end.
func (s *Source) Byte() byte {
	if len(s.data) == 0 {
		return 0
	}
	b := s.data[0]
	s.data = s.data[1:]
	return b
}

// Done tells whether all bytes are used.
func (s *Source) Done() bool { return len(s.data) == 0 }

// Intn chooses one of n numbers from 0.
func (s *Source) Intn(n int) int { return int(s.Byte()) % n }

// Bool chooses.
func (s *Source) Bool() bool { return s.Byte()&1 == 1 }

// Int64 chooses a number: often a small one, or one at a border of its type.
func (s *Source) Int64() int64 {
	borders := []int64{0, 1, -1, math.MaxInt32, math.MinInt32, math.MaxInt64, math.MinInt64, 86_400_000, 253402300800000, 1 << 53}
	switch s.Intn(4) {
	case 0:
		return int64(int8(s.Byte()))
	case 1:
		return borders[s.Intn(len(borders))]
	case 2:
		return borders[s.Intn(len(borders))] + int64(int8(s.Byte()))
	}
	var n int64
	for range 8 {
		n = n<<8 | int64(s.Byte())
	}
	return n
}

// Text chooses a text of valid UTF-8.
func (s *Source) Text() string {
	words := []string{"", "a", "é", "null", "NaN", "1.0", "-0", "1e3", ",", "\"", "\n", "\x00", "\u2028", "😀", " b ", "true", "2023-11-14", "\\", "%", "{\"a\":[1]}"}
	var b strings.Builder
	for range s.Intn(4) {
		if s.Bool() {
			b.WriteString(words[s.Intn(len(words))])
		} else {
			b.WriteByte(s.Byte() & 0x7f)
		}
	}
	return b.String()
}

// names of columns and fields: some differ in their case only.
var names = []string{"A", "B", "a", "ID", "id", "VALUE", "KEY", "C_1", "É", "x y", "ROWTIME", "NULL"}

// plainNames are those that every format and SQL takes.
const plainNames = 8

// Type chooses a type, with at most depth types around another one. Keys of MAPs
// are STRINGs, as every format wants it.
func (s *Source) Type(depth int) types.Type {
	scalars := []types.Type{types.TString, types.TBoolean, types.TInteger, types.TBigint, types.TDouble, types.TBytes, types.TDate, types.TTime, types.TTimestamp, {Kind: types.Decimal}}
	n := len(scalars)
	if depth > 0 {
		n += 3
	}
	switch i := s.Intn(n); i - len(scalars) {
	case 0:
		return types.TArray(s.Type(depth - 1))
	case 1:
		return types.TMap(types.TString, s.Type(depth-1))
	case 2:
		t := types.TStruct()
		for _, c := range s.Columns(1, 3, depth-1, true) {
			t.Fields = append(t.Fields, types.Field{Name: c.Name, Type: c.Type})
		}
		return t
	default:
		if scalars[i].Kind == types.Decimal {
			precision := 1 + s.Intn(38)
			return types.TDecimal(precision, s.Intn(precision+1))
		}
		return scalars[i]
	}
}

// Columns chooses from least to most columns of different names; plain ones are
// those that every format takes.
func (s *Source) Columns(least, most, depth int, plain bool) []schema.Column {
	var out []schema.Column
	taken := map[string]bool{}
	for range least + s.Intn(most-least+1) {
		n := len(names)
		if plain {
			n = plainNames
		}
		i := s.Intn(n)
		for taken[names[i]] {
			i = (i + 1) % n
		}
		taken[names[i]] = true
		out = append(out, schema.Column{Name: names[i], Type: s.Type(depth)})
	}
	return out
}

// Row chooses a row; values are in the range of their types.
func (s *Source) Row(cols []schema.Column) []types.Value {
	row := make([]types.Value, len(cols))
	for i, c := range cols {
		row[i] = s.Value(c.Type)
	}
	return row
}

// Value chooses a value of a type; NULL now and then.
func (s *Source) Value(t types.Type) types.Value {
	if s.Intn(8) == 7 {
		return types.Value{}
	}
	switch t.Kind {
	case types.Boolean:
		return types.NewBool(s.Bool())
	case types.Integer:
		return types.NewInt(int32(s.Int64()))
	case types.Bigint:
		return types.NewBigint(s.Int64())
	case types.Double:
		doubles := []float64{0, math.Copysign(0, -1), 1.5, math.NaN(), math.Inf(1), math.Inf(-1), math.MaxFloat64, math.SmallestNonzeroFloat64, 1e7, 1e-3, 0.1}
		if s.Bool() {
			return types.NewDouble(doubles[s.Intn(len(doubles))])
		}
		return types.NewDouble(math.Float64frombits(uint64(s.Int64())))
	case types.Decimal:
		var digits strings.Builder
		for range 1 + s.Intn(t.Precision) {
			digits.WriteByte('0' + s.Byte()%10)
		}
		v, err := types.ParseDecimal(digits.String())
		if err == nil && s.Bool() {
			v, err = types.ParseDecimal("-" + digits.String())
		}
		if err == nil {
			if u, _, ok := v.SmallDecimal(); ok && t.Scale < 128 {
				v = types.NewDecimal(u, t.Scale)
			} else {
				v, err = types.Fit(v, t)
			}
		}
		if err != nil {
			return types.NewDecimal(0, t.Scale)
		}
		return v
	case types.Bytes:
		b := make([]byte, s.Intn(6))
		for i := range b {
			b[i] = s.Byte()
		}
		return types.NewBytes(b)
	case types.Date:
		return types.NewDate(s.Int64() % 3_000_000)
	case types.Time:
		return types.NewTime(((s.Int64() % 86_400_000) + 86_400_000) % 86_400_000)
	case types.Timestamp:
		return types.NewTimestamp(s.Int64() % 253_402_300_800_000)
	case types.Array:
		items := []types.Value{}
		for range s.Intn(4) {
			items = append(items, s.Value(*t.Elem))
		}
		return types.NewArray(items)
	case types.Map:
		entries := []types.Entry{}
		seen := map[string]bool{}
		for range s.Intn(4) {
			key := s.Text()
			if !seen[key] {
				seen[key] = true
				entries = append(entries, types.Entry{Key: types.NewString(key), Value: s.Value(*t.Elem)})
			}
		}
		return types.NewMap(entries)
	case types.Struct:
		row := make([]types.Value, len(t.Fields))
		for i, f := range t.Fields {
			row[i] = s.Value(f.Type)
		}
		return types.NewStruct(row)
	}
	return types.NewString(s.Text())
}
