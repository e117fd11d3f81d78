package main

import (
	"errors"
	"fmt"
	"net/mail"
	"strings"
	"unicode"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/sidestream/sidestream/services/internal/order"
)

// row is a record of `order-emails` (ksql/email/05-emails.sql): a paid order with
// its payment and its customer. Its JSON is what is kept of it until it is sent.
type row struct {
	CustomerID int64       `json:"customerId"`
	Product    string      `json:"product"`
	Quantity   int32       `json:"quantity"`
	Price      order.Money `json:"price"`
	PaymentID  string      `json:"paymentId"`
	Amount     order.Money `json:"amount"`
	Currency   string      `json:"ccy"`
	FirstName  string      `json:"firstName"`
	LastName   string      `json:"lastName"`
	Email      string      `json:"email"`
	Level      string      `json:"level"`
	Kind       string      `json:"kind"` // which template; "" is the ordinary one
}

// UnmarshalJSON is decodeRow, without its demands.
func (r *row) UnmarshalJSON(b []byte) error { return r.read(b) }

func (r *row) read(b []byte) error {
	return order.Fields(b, func(name string, kind jsontext.Kind, raw jsontext.Value) (err error) {
		switch strings.ToLower(name) {
		case "customerid":
			r.CustomerID, err = order.Int(kind, raw, 64)
		case "product":
			r.Product, err = order.Text(kind, raw)
		case "quantity":
			var n int64
			n, err = order.Int(kind, raw, 32)
			r.Quantity = int32(n)
		case "price":
			r.Price, err = money(kind, raw)
		case "paymentid":
			r.PaymentID, err = order.Text(kind, raw)
		case "amount":
			r.Amount, err = money(kind, raw)
		case "ccy":
			r.Currency, err = order.Text(kind, raw)
		case "firstname":
			r.FirstName, err = order.Text(kind, raw)
		case "lastname":
			r.LastName, err = order.Text(kind, raw)
		case "email":
			r.Email, err = order.Text(kind, raw)
		case "level":
			r.Level, err = order.Text(kind, raw)
		case "kind":
			r.Kind, err = order.Text(kind, raw)
		}
		return err
	})
}

func money(kind jsontext.Kind, raw jsontext.Value) (order.Money, error) {
	switch kind {
	case 'n':
		return 0, nil
	case '0':
		return order.ParseMoney(string(raw))
	}
	return 0, fmt.Errorf("must be a number, is %s", raw)
}

// decodeRow reads a row that a mail can be made of. A customer's name and
// address may be missing; order and payment may not.
func decodeRow(b []byte) (row, error) {
	var r row
	if err := r.read(b); err != nil {
		return r, err
	}
	switch {
	case r.Product == "":
		return r, errors.New("the row has no product")
	case r.PaymentID == "":
		return r, errors.New("the row has no paymentId")
	case r.Quantity <= 0:
		return r, fmt.Errorf("the row's quantity is %d", r.Quantity)
	}
	return r, nil
}

// address reads a customer's address: one address, without a name. The error is
// for people.
func address(text string) (string, error) {
	text = strings.TrimSpace(text)
	if text == "" {
		return "", errors.New("the customer has no address")
	}
	a, err := mail.ParseAddress(text)
	if err != nil || a.Name != "" || a.Address != text || strings.ContainsFunc(text, unicode.IsControl) {
		return "", fmt.Errorf("%q isn't an e-mail address", text)
	}
	return a.Address, nil
}

// line is text for a header or a line of its own: control characters, line ends
// among them, are blanks.
func line(text string) string {
	return strings.Join(strings.FieldsFunc(strings.ToValidUTF8(text, "\uFFFD"), func(r rune) bool {
		return unicode.IsControl(r) || r == ' '
	}), " ")
}
