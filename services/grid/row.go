package main

import (
	"encoding/json"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/sidestream/sidestream/services/internal/order"
)

// row is one order as the grid has it. Money is in hundredths here and a number
// with two decimals in JSON.
type row struct {
	ID         string       `json:"id"`
	CustomerID int64        `json:"customerId"`
	Customer   string       `json:"customer"`
	Level      string       `json:"level"`
	State      string       `json:"state"`
	Product    string       `json:"product"`
	Quantity   int64        `json:"quantity"`
	Price      order.Money  `json:"price"`
	Total      order.Money  `json:"total"`
	Paid       *order.Money `json:"paid"`
	Reasons    []string     `json:"reasons"`
	Version    int64        `json:"version"`
	Created    int64        `json:"created"` // ms since 1970: when its first record came
	Updated    int64        `json:"updated"` // and its last
	gone       bool         // the record was a tombstone: only ID is set
}

// decodeRow reads a record of order-rows. The key is the order's id.
func decodeRow(key string, value []byte) (row, error) {
	r := row{ID: key, Reasons: []string{}}
	var first, last string
	money := func(kind jsontext.Kind, raw jsontext.Value, to *order.Money) (err error) {
		if kind == '0' {
			*to, err = order.ParseMoney(string(raw))
		}
		return err
	}
	err := order.Fields(value, func(name string, kind jsontext.Kind, raw jsontext.Value) (err error) {
		switch strings.ToLower(name) {
		case "customerid":
			r.CustomerID, err = order.Int(kind, raw, 64)
		case "firstname":
			first, err = order.Text(kind, raw)
		case "lastname":
			last, err = order.Text(kind, raw)
		case "level":
			r.Level, err = order.Text(kind, raw)
		case "state":
			r.State, err = order.Text(kind, raw)
		case "product":
			r.Product, err = order.Text(kind, raw)
		case "quantity":
			r.Quantity, err = order.Int(kind, raw, 32)
		case "version":
			r.Version, err = order.Int(kind, raw, 32)
		case "price":
			err = money(kind, raw, &r.Price)
		case "paid":
			if kind == '0' {
				r.Paid = new(order.Money)
				err = money(kind, raw, r.Paid)
			}
		case "reasons":
			if kind != 'n' {
				r.Reasons, err = order.Texts(kind, raw)
			}
		}
		return err
	})
	r.Customer = strings.TrimSpace(first + " " + last)
	r.Total = r.Price * order.Money(r.Quantity)
	return r, err
}

// event is one record in an order's story.
type event struct {
	Order     string          `json:"-"`
	Topic     string          `json:"topic"`
	Partition int32           `json:"partition"`
	Offset    int64           `json:"offset"`
	Time      int64           `json:"time"` // ms since 1970
	Value     json.RawMessage `json:"value"`
}

// orderOf finds the order that a record is about: by its value's orderId, or else
// by its key. A record that is about none has "".
func orderOf(topic string, key, value []byte) string {
	id := ""
	err := order.Fields(value, func(name string, kind jsontext.Kind, raw jsontext.Value) (err error) {
		if strings.EqualFold(name, "orderid") && kind == '"' {
			id, err = order.Text(kind, raw)
		}
		return err
	})
	if err != nil {
		return ""
	}
	if id == "" && topic != "payments" { // whose key is the payment's
		id = string(key)
	}
	return id
}
