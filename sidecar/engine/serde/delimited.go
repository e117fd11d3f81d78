package serde

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
	"unsafe"

	"github.com/sidestream/sidestream/sidecar/engine/plan"
	"github.com/sidestream/sidestream/sidecar/engine/schema"
	"github.com/sidestream/sidestream/sidecar/engine/types"
)

// delimitedSerde reads and writes one line of comma-separated values (or of
// another delimiter), quoted when they must be. NULL is an empty field.
type delimitedSerde struct {
	sep    rune
	cols   []schema.Column
	o      Options
	fields []string
}

// delimiter is the character between fields, from the format's property.
func delimiter(f plan.Format) (rune, error) {
	d, ok := f.Props["delimiter"]
	if !ok {
		return ',', nil
	}
	switch strings.ToUpper(d) {
	case "TAB":
		return '\t', nil
	case "SPACE":
		return ' ', nil
	}
	if strings.TrimSpace(d) == "" {
		return 0, errors.New("Delimiter cannot be empty, if you meant to have a tab or space for delimiter, please use the special values 'TAB' or 'SPACE'\nExample valid value: ';'")
	}
	if d == `"` {
		return 0, errors.New("The quoteChar character and the delimiter cannot be the same ('\"')")
	}
	if r, size := utf8.DecodeRuneInString(d); size == len(d) {
		return r, nil
	}
	return 0, fmt.Errorf("Invalid delimiter value: '%s'. Delimiter must be a single character or TAB,SPACE\nExample valid value: ';'", d)
}

func newDelimited(f plan.Format, cols []schema.Column, o Options) (*delimitedSerde, error) {
	sep, err := delimiter(f)
	return &delimitedSerde{sep: sep, cols: cols, o: o}, err
}

func newDelimitedDecoder(f plan.Format, cols []schema.Column, o Options) (Decoder, error) {
	return newDelimited(f, cols, o)
}

func newDelimitedEncoder(f plan.Format, cols []schema.Column, o Options) (Encoder, error) {
	return newDelimited(f, cols, o)
}

func (s *delimitedSerde) Decode(data []byte, dst []types.Value) (bool, error) {
	line := unsafe.String(unsafe.SliceData(data), len(data))
	if err := s.split(line); err != nil {
		return false, err
	}
	if len(s.fields) == 0 {
		return false, errors.New("No fields in record")
	}
	if len(s.fields) != len(s.cols) {
		return false, fmt.Errorf("Unexpected field count, csvFields:%d schemaFields:%d line: %s",
			len(s.fields), len(s.cols), line)
	}
	clear(dst) // empty fields are NULL
	for i, field := range s.fields {
		if field == "" {
			continue
		}
		v, err := parseField(field, s.cols[i].Type)
		if err != nil {
			return false, fmt.Errorf("column %s: %w", schema.Quote(s.cols[i].Name), err)
		}
		if s.o.used(i) {
			dst[i] = v
		}
	}
	return true, nil
}

// split cuts the first line that isn't empty into s.fields. Fields without
// doubled quotes share the line's bytes.
func (s *delimitedSerde) split(line string) error {
	s.fields = s.fields[:0]
	line = strings.TrimLeft(line, "\r\n")
	if line == "" {
		return nil
	}
	for {
		field, rest, err := s.field(line)
		if err != nil {
			return err
		}
		s.fields = append(s.fields, field)
		r, size := utf8.DecodeRuneInString(rest)
		if size == 0 || r != s.sep {
			return nil // the end of the text, or of its first line
		}
		line = rest[size:]
	}
}

// field takes one field off the front of line.
func (s *delimitedSerde) field(line string) (field, rest string, err error) {
	if line == "" || line[0] != '"' {
		for i, r := range line {
			if r == s.sep || r == '\n' || r == '\r' {
				return line[:i], line[i:], nil
			}
		}
		return line, "", nil
	}
	var unquoted []byte // set once a doubled quote is met
	start := 1
	for {
		i := strings.IndexByte(line[start:], '"')
		if i < 0 {
			return "", "", errors.New("invalid DELIMITED data: EOF reached before encapsulated token finished")
		}
		end := start + i
		if end+1 < len(line) && line[end+1] == '"' {
			unquoted = append(unquoted, line[start:end+1]...)
			start = end + 2
			continue
		}
		field = line[1:end]
		if unquoted != nil {
			field = string(append(unquoted, line[start:end]...))
		}
		for i, r := range line[end+1:] {
			switch r {
			case s.sep, '\n', '\r':
				return field, line[end+1+i:], nil
			case ' ', '\t':
			default:
				return "", "", errors.New("invalid DELIMITED data: invalid char between encapsulated token and delimiter")
			}
		}
		return field, "", nil
	}
}

func parseField(s string, t types.Type) (types.Value, error) {
	switch t.Kind {
	case types.Boolean:
		return types.NewBool(strings.EqualFold(s, "true")), nil
	case types.Integer:
		i, err := strconv.ParseInt(s, 10, 32)
		if err != nil {
			return types.Value{}, inputError(s)
		}
		return types.NewInt(int32(i)), nil
	case types.Double:
		f, err := parseDouble(s)
		if err != nil {
			return types.Value{}, inputError(s)
		}
		return types.NewDouble(f), nil
	case types.Decimal:
		d, err := types.ParseDecimal(s)
		if err != nil {
			return types.Value{}, inputError(s)
		}
		return types.Fit(d, t)
	case types.Bytes:
		b, err := parseBase64(s)
		if err != nil {
			return types.Value{}, fmt.Errorf("%q is not base64", s)
		}
		return types.NewBytes(b), nil
	case types.Bigint, types.Date, types.Time, types.Timestamp:
		i, err := strconv.ParseInt(s, 10, 64)
		if err != nil {
			return types.Value{}, inputError(s)
		}
		return counted(t.Kind, i)
	}
	return types.NewString(s), nil
}

func inputError(s string) error { return fmt.Errorf("For input string: \"%s\"", s) }

// newCounted makes one of the types that are a count: of days, of milliseconds
// or of nothing in particular.
func newCounted(k types.Kind, i int64) types.Value {
	switch k {
	case types.Date:
		return types.NewDate(i)
	case types.Time:
		return types.NewTime(i)
	case types.Timestamp:
		return types.NewTimestamp(i)
	case types.Integer:
		return types.NewInt(int32(i))
	}
	return types.NewBigint(i)
}

func (s *delimitedSerde) Encode(dst []byte, row []types.Value) ([]byte, error) {
	if len(s.cols) == 0 {
		return nil, nil
	}
	if dst == nil {
		dst = []byte{}
	}
	for i, v := range row {
		if i > 0 {
			dst = utf8.AppendRune(dst, s.sep)
		}
		switch v.Kind() {
		case types.Null:
		case types.String:
			dst = s.appendQuoted(dst, v.Str(), i == 0)
		case types.Date, types.Time, types.Timestamp:
			dst = s.appendNumber(dst, strconv.AppendInt(nil, v.Int(), 10), i == 0)
		case types.Bytes:
			dst = s.appendQuoted(dst, base64.StdEncoding.EncodeToString(v.Bytes()), i == 0)
		default:
			var buf [48]byte
			dst = s.appendNumber(dst, types.AppendText(buf[:0], v, s.cols[i].Type), i == 0)
		}
	}
	return dst, nil
}

func (s *delimitedSerde) appendNumber(dst, number []byte, first bool) []byte {
	return s.appendQuoted(dst, unsafe.String(unsafe.SliceData(number), len(number)), first)
}

func (s *delimitedSerde) appendQuoted(dst []byte, field string, first bool) []byte {
	if !s.mustQuote(field, first) {
		return append(dst, field...)
	}
	dst = append(dst, '"')
	for i := range len(field) {
		if field[i] == '"' {
			dst = append(dst, '"')
		}
		dst = append(dst, field[i])
	}
	return append(dst, '"')
}

// mustQuote is the rule of the CSV library that ksqlDB writes with: a line
// starts with a letter or a digit or a quote; a field starts behind '#' and ends
// behind the blank.
func (s *delimitedSerde) mustQuote(field string, first bool) bool {
	if field == "" {
		return first
	}
	c := field[0]
	if first && (c < '0' || c > '9' && c < 'A' || c > 'Z' && c < 'a' || c > 'z') {
		return true
	}
	return c <= '#' || field[len(field)-1] <= ' ' ||
		strings.ContainsAny(field, "\r\n\"") || strings.ContainsRune(field, s.sep)
}
