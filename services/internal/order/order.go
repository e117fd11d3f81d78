// Package order has the order as all thin halves see it, and its JSON.
//
//	record of `orders`, `orders-by-product` or `order-verdicts` ──Decode──► Order ──Append──► record of `orders`
//
// SQL writes field names in upper case and Go in camel case, so Decode matches
// them without case, and passes by fields that it doesn't know.
package order

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// State is where an order is in its life.
type State string

// An order is CREATED, then VALIDATED or FAILED; a VALIDATED one may be SHIPPED.
const (
	Created   State = "CREATED"
	Validated State = "VALIDATED"
	Failed    State = "FAILED"
	Shipped   State = "SHIPPED"
)

// Valid tells whether s is one of the four states.
func (s State) Valid() bool {
	return s == Created || s == Validated || s == Failed || s == Shipped
}

// Decided tells whether the order's checks are over: VALIDATED, FAILED or
// SHIPPED.
func (s State) Decided() bool { return s == Validated || s == Failed || s == Shipped }

// Order is one order. Version counts its states from 1 (CREATED) on.
type Order struct {
	ID         string   `json:"id"`
	CustomerID int64    `json:"customerId"`
	State      State    `json:"state"`
	Product    string   `json:"product"`
	Quantity   int32    `json:"quantity"`
	Price      Money    `json:"price"`
	Reasons    []string `json:"reasons"`
	Version    int32    `json:"version"`
}

// SameContent tells whether both orders ask for the same: id, customer,
// product, quantity and price. State, reasons and version don't count.
func (o *Order) SameContent(p *Order) bool {
	return o.ID == p.ID && o.CustomerID == p.CustomerID && o.Product == p.Product &&
		o.Quantity == p.Quantity && o.Price == p.Price
}

// Append appends the order's JSON to b.
func (o *Order) Append(b []byte) []byte {
	b = append(b, `{"id":`...)
	b = quote(b, o.ID)
	b = append(b, `,"customerId":`...)
	b = strconv.AppendInt(b, o.CustomerID, 10)
	b = append(b, `,"state":`...)
	b = quote(b, string(o.State))
	b = append(b, `,"product":`...)
	b = quote(b, o.Product)
	b = append(b, `,"quantity":`...)
	b = strconv.AppendInt(b, int64(o.Quantity), 10)
	b = append(b, `,"price":`...)
	b = o.Price.append(b)
	b = append(b, `,"reasons":[`...)
	for i, r := range o.Reasons {
		if i > 0 {
			b = append(b, ',')
		}
		b = quote(b, r)
	}
	b = append(b, `],"version":`...)
	b = strconv.AppendInt(b, int64(o.Version), 10)
	return append(b, '}')
}

// Encode returns the order's JSON.
func (o *Order) Encode() []byte { return o.Append(make([]byte, 0, 192)) }

// MarshalJSON is Encode.
func (o Order) MarshalJSON() ([]byte, error) { return o.Encode(), nil }

// UnmarshalJSON is Decode.
func (o *Order) UnmarshalJSON(b []byte) (err error) {
	*o, err = Decode(b)
	return err
}

// quote writes s as JSON; bytes that aren't UTF-8 become U+FFFD.
func quote(b []byte, s string) []byte {
	q, err := jsontext.AppendQuote(b, s)
	if err != nil { // invalid UTF-8: q is the mangled form
		q, _ = jsontext.AppendQuote(b, strings.ToValidUTF8(s, "\uFFFD"))
	}
	return q
}

// Decode reads an order. Fields that are absent or null stay zero. The error
// says which field is wrong and how.
func Decode(b []byte) (Order, error) {
	var o Order
	err := Fields(b, func(name string, kind jsontext.Kind, raw jsontext.Value) error {
		var err error
		switch strings.ToLower(name) {
		case "id":
			o.ID, err = Text(kind, raw)
		case "customerid":
			o.CustomerID, err = Int(kind, raw, 64)
		case "state":
			var s string
			s, err = Text(kind, raw)
			o.State = State(s)
		case "product":
			o.Product, err = Text(kind, raw)
		case "quantity":
			var n int64
			n, err = Int(kind, raw, 32)
			o.Quantity = int32(n)
		case "price":
			if kind == 'n' {
				return nil
			}
			if kind != '0' {
				return fmt.Errorf("must be a number, is %s", raw)
			}
			o.Price, err = ParseMoney(string(raw))
		case "reasons":
			o.Reasons, err = Texts(kind, raw)
		case "version":
			var n int64
			n, err = Int(kind, raw, 32)
			o.Version = int32(n)
		}
		return err
	})
	return o, err
}

// Fields calls fn for each member of the JSON object b. An error of fn comes
// back with the member's name before it.
func Fields(b []byte, fn func(name string, kind jsontext.Kind, raw jsontext.Value) error) error {
	d := jsontext.NewDecoder(bytes.NewReader(b), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	if k := d.PeekKind(); k != '{' {
		if _, err := d.ReadToken(); err != nil {
			return fmt.Errorf("not JSON: %w", err)
		}
		return fmt.Errorf("not a JSON object but %s", k)
	}
	if _, err := d.ReadToken(); err != nil {
		return err
	}
	for d.PeekKind() != '}' {
		t, err := d.ReadToken()
		if err != nil {
			return fmt.Errorf("not JSON: %w", err)
		}
		name := t.String()
		kind := d.PeekKind()
		raw, err := d.ReadValue()
		if err != nil {
			return fmt.Errorf("not JSON: %w", err)
		}
		if err := fn(name, kind, raw); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	_, err := d.ReadToken()
	return err
}

// Text reads a JSON string; null is "".
func Text(kind jsontext.Kind, raw jsontext.Value) (string, error) {
	switch kind {
	case 'n':
		return "", nil
	case '"':
		b, err := jsontext.AppendUnquote(nil, []byte(raw))
		return string(b), err
	}
	return "", fmt.Errorf("must be text, is %s", raw)
}

// Int reads a JSON number without fraction that fits in the given bits; null
// is 0.
func Int(kind jsontext.Kind, raw jsontext.Value, bits int) (int64, error) {
	switch kind {
	case 'n':
		return 0, nil
	case '0':
		n, err := strconv.ParseInt(string(raw), 10, bits)
		if err != nil {
			return 0, fmt.Errorf("must be a whole number of %d bits, is %s", bits, raw)
		}
		return n, nil
	}
	return 0, fmt.Errorf("must be a number, is %s", raw)
}

// Texts reads a JSON array of strings; null is nil, and null elements are
// left out.
func Texts(kind jsontext.Kind, raw jsontext.Value) ([]string, error) {
	switch kind {
	case 'n':
		return nil, nil
	case '[':
	default:
		return nil, fmt.Errorf("must be a list of text, is %s", raw)
	}
	d := jsontext.NewDecoder(bytes.NewReader(raw), jsontext.AllowInvalidUTF8(true))
	if _, err := d.ReadToken(); err != nil {
		return nil, err
	}
	var out []string
	for d.PeekKind() != ']' {
		k := d.PeekKind()
		v, err := d.ReadValue()
		if err != nil {
			return nil, err
		}
		s, err := Text(k, v)
		if err != nil {
			return nil, err
		}
		if k != 'n' {
			out = append(out, s)
		}
	}
	return out, nil
}
