package main

import (
	"fmt"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/sidestream/sidestream/services/internal/order"
)

// checkPrice compares the order's price with the one that is asked for its
// product now. That may have moved since the customer saw it, so an order may
// stay below it by the tolerance; to pay more is nobody's fault. A product that
// has no price on the topic may cost what it likes.
func (d details) checkPrice(f fields) []string {
	product, price := f.raw["product"], f.raw["price"]
	if product.kind != '"' || price.kind != '0' {
		return nil // reported already
	}
	name, err := order.Text(product.kind, product.raw)
	if err != nil {
		return nil
	}
	offered, err := order.ParseMoney(string(price.raw))
	if err != nil || offered < 0 {
		return nil
	}
	row, ok := d.prices.Get(name)
	if !ok {
		return nil
	}
	asked, ok := readPrice(row)
	if !ok || int64(offered)*100 >= int64(asked)*int64(100-d.tolerance) {
		return nil
	}
	return []string{fmt.Sprintf("price is %s, %q costs %s now", offered, name, asked)}
}

// readPrice reads {"PRICE": n}, in any case. A row without a price is none.
func readPrice(row []byte) (order.Money, bool) {
	var m order.Money
	found := false
	err := order.Fields(row, func(name string, kind jsontext.Kind, raw jsontext.Value) (err error) {
		if strings.EqualFold(name, "price") && kind == '0' {
			found = true
			m, err = order.ParseMoney(string(raw))
		}
		return err
	})
	return m, found && err == nil
}
