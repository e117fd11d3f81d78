package feed

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
)

// Kind says what rows are.
type Kind string

// The kinds of rows.
const (
	Orders    Kind = "orders"
	Customers Kind = "customers"
	Stock     Kind = "stock"
	Products  Kind = "products"
	Payments  Kind = "payments"
)

// field is a field of a row.
type field struct {
	name     string // as it is written in JSON
	number   *regexp.Regexp
	optional bool
}

var (
	whole   = regexp.MustCompile(`^-?[0-9]+$`)
	decimal = regexp.MustCompile(`^-?[0-9]+(\.[0-9]+)?$`)
)

var fields = map[Kind][]field{
	Orders: {{name: "id", optional: true}, {name: "customerId", number: whole}, {name: "product"},
		{name: "quantity", number: whole}, {name: "price", number: decimal}},
	Customers: {{name: "id", number: whole}, {name: "firstName", optional: true}, {name: "lastName", optional: true},
		{name: "email", optional: true}, {name: "address", optional: true}, {name: "level", optional: true}},
	Stock:    {{name: "product"}, {name: "stock", number: whole}},
	Products: {{name: "product"}, {name: "listPrice", number: decimal}},
	Payments: {{name: "id"}, {name: "orderId"}, {name: "ccy", optional: true}, {name: "amount", number: decimal}},
}

// Row is a line of a file.
type Row struct {
	Line   int // from 1
	Values map[string]json.RawMessage
}

// Text is a text field, "" where it is missing.
func (r Row) Text(name string) string {
	var s string
	_ = json.Unmarshal(r.Values[name], &s) // checked when it was read
	return s
}

// Int is a whole number.
func (r Row) Int(name string) int64 {
	n, _ := strconv.ParseInt(string(r.Values[name]), 10, 64) // checked when it was read
	return n
}

// JSON is the row as an object, with the fields in a fixed order.
func (r Row) JSON(kind Kind) []byte {
	var b bytes.Buffer
	for _, f := range fields[kind] {
		v, ok := r.Values[f.name]
		if !ok {
			continue
		}
		if b.Len() > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, "%q:%s", f.name, v)
	}
	return append(append([]byte{'{'}, b.Bytes()...), '}')
}

// RowError is a row that couldn't be taken.
type RowError struct {
	Line int    `json:"line"`
	Text string `json:"error"`
}

func (e RowError) Error() string { return fmt.Sprintf("line %d: %s", e.Line, e.Text) }

// Read hands each row of a CSV file (with a header line) or a file of JSON
// objects, one a line, to take. Which it is shows in the first character. Rows
// that can't be read go to bad. An error is one of the file as a whole, or of
// take.
func Read(in io.Reader, kind Kind, take func(Row) error, bad func(RowError)) error {
	r := bufio.NewReaderSize(in, 1<<20)
	first, err := firstByte(r)
	if errors.Is(err, io.EOF) {
		return errors.New("the file is empty")
	}
	if err != nil {
		return err
	}
	if first == '{' {
		return readJSON(r, kind, take, bad)
	}
	return readCSV(r, kind, take, bad)
}

func firstByte(r *bufio.Reader) (byte, error) {
	if bom, _ := r.Peek(3); bytes.Equal(bom, []byte("\xef\xbb\xbf")) {
		_, _ = r.Discard(3)
	}
	for n := 1; ; n++ {
		b, err := r.Peek(n)
		if err != nil {
			return 0, err
		}
		if c := b[n-1]; c != ' ' && c != '\n' && c != '\r' && c != '\t' {
			return c, nil
		}
	}
}

func readJSON(r *bufio.Reader, kind Kind, take func(Row) error, bad func(RowError)) error {
	for line := 1; ; line++ {
		text, err := r.ReadBytes('\n')
		if len(bytes.TrimSpace(text)) > 0 {
			var raw map[string]json.RawMessage
			if uerr := json.Unmarshal(text, &raw); uerr != nil {
				bad(RowError{line, "no JSON object: " + uerr.Error()})
			} else if row, rerr := check(kind, line, raw); rerr != nil {
				bad(RowError{line, rerr.Error()})
			} else if terr := take(row); terr != nil {
				return terr
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func readCSV(r io.Reader, kind Kind, take func(Row) error, bad func(RowError)) error {
	c := csv.NewReader(r)
	c.ReuseRecord = true
	header, err := c.Read()
	if err != nil {
		return fmt.Errorf("the header line: %w", err)
	}
	columns := make([]field, len(header))
	for i, h := range header {
		f, ok := find(kind, h)
		if !ok {
			return fmt.Errorf("the header line: no column %q; there are %s", h, names(kind))
		}
		columns[i] = f
	}
	for {
		record, err := c.Read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		line, _ := c.FieldPos(0)
		if err != nil {
			var perr *csv.ParseError
			if !errors.As(err, &perr) {
				return err
			}
			bad(RowError{perr.StartLine, perr.Err.Error()})
			continue
		}
		raw := map[string]json.RawMessage{}
		for i, v := range record {
			if v = strings.TrimSpace(v); v == "" {
				continue
			}
			if columns[i].number != nil && columns[i].number.MatchString(v) {
				raw[columns[i].name] = json.RawMessage(v)
			} else {
				raw[columns[i].name], _ = json.Marshal(v) // a string always can be
			}
		}
		row, rerr := check(kind, line, raw)
		if rerr != nil {
			bad(RowError{line, rerr.Error()})
			continue
		}
		if err := take(row); err != nil {
			return err
		}
	}
}

// check names the fields exactly and looks at their types.
func check(kind Kind, line int, raw map[string]json.RawMessage) (Row, error) {
	row := Row{Line: line, Values: map[string]json.RawMessage{}}
	var faults []string
	for name, v := range raw {
		f, ok := find(kind, name)
		if !ok {
			faults = append(faults, fmt.Sprintf("no field %q; there are %s", name, names(kind)))
			continue
		}
		if string(v) == "null" {
			continue
		}
		if f.number != nil && !f.number.Match(v) {
			faults = append(faults, fmt.Sprintf("%s: %s is no number of this field", f.name, v))
			continue
		}
		if _, err := strconv.ParseInt(string(v), 10, 64); f.number == whole && err != nil {
			faults = append(faults, fmt.Sprintf("%s: %s is too large", f.name, v))
			continue
		}
		var s string
		if f.number == nil && json.Unmarshal(v, &s) != nil {
			faults = append(faults, fmt.Sprintf("%s: %s is no text", f.name, v))
			continue
		}
		row.Values[f.name] = v
	}
	for _, f := range fields[kind] {
		if _, ok := row.Values[f.name]; !ok && !f.optional && len(faults) == 0 {
			faults = append(faults, f.name+" is missing")
		}
	}
	if len(faults) > 0 {
		return row, errors.New(strings.Join(faults, "; "))
	}
	return row, nil
}

func find(kind Kind, name string) (field, bool) {
	for _, f := range fields[kind] {
		if strings.EqualFold(f.name, strings.TrimSpace(name)) {
			return f, true
		}
	}
	return field{}, false
}

func names(kind Kind) string {
	var out []string
	for _, f := range fields[kind] {
		out = append(out, f.name)
	}
	return strings.Join(out, ", ")
}
