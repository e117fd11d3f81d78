package main

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/sidestream/sidestream/services/internal/order"
	"github.com/sidestream/sidestream/sidecar/client"
)

// view reads the orders from the SQL view (ksql/orders/02-view.sql) by pull
// queries on the sidecar, on whichever node has them.
type view struct {
	client *client.Client
}

const viewColumns = `SELECT id, customerId, state, product, quantity, price, reasons, version FROM orders_view`

// get returns the order as the view has it, or false. The view may lag behind
// the topic by some milliseconds.
func (v *view) get(ctx context.Context, id string) (order.Order, bool, error) {
	res, err := v.client.Pull(ctx, viewColumns+` WHERE id = ?;`, id)
	if err != nil {
		return order.Order{}, false, fmt.Errorf("orders_view: %w", err)
	}
	if len(res.Rows) == 0 {
		return order.Order{}, false, nil
	}
	o, err := scanOrder(res.Rows[0])
	return o, err == nil, err
}

// filter says which orders to list.
type filter struct {
	customerID *int64
	state      order.State // "" for all
	after      string      // ids behind this one
	limit      int
}

// list returns the orders that the filter takes in the order of their ids, at
// most limit of them, and whether there are more.
//
// A pull query has no ORDER BY, and its LIMIT keeps any rows, so each page
// scans the view for all that follows the cursor; the answer is read row by row and only
// a page of it kept.
func (v *view) list(ctx context.Context, f filter) (page []order.Order, more bool, err error) {
	where, args := []string{}, []any{}
	if f.customerID != nil {
		where, args = append(where, "customerId = ?"), append(args, *f.customerID)
	}
	if f.state != "" {
		where, args = append(where, "state = ?"), append(args, string(f.state))
	}
	if f.after != "" {
		where, args = append(where, "id > ?"), append(args, f.after)
	}
	sql := viewColumns
	if len(where) > 0 {
		sql += " WHERE " + strings.Join(where, " AND ")
	}
	if sql, err = client.Bind(sql+";", args...); err != nil {
		return nil, false, fmt.Errorf("orders_view: %w", err)
	}
	byID := func(a, b order.Order) int { return strings.Compare(a.ID, b.ID) }
	for row, err := range v.client.PullEach(ctx, client.Query{SQL: sql}) {
		if err != nil {
			return nil, false, fmt.Errorf("orders_view: %w", err)
		}
		o, err := scanOrder(row)
		if err != nil {
			return nil, false, err
		}
		if page = append(page, o); len(page) >= 2*(f.limit+1) {
			slices.SortFunc(page, byID)
			page = page[:f.limit+1]
		}
	}
	slices.SortFunc(page, byID)
	if len(page) > f.limit {
		return page[:f.limit], true, nil
	}
	return page, false, nil
}

func scanOrder(row client.Row) (order.Order, error) {
	var o order.Order
	var state string
	var price json.Number
	if err := row.Scan(&o.ID, &o.CustomerID, &state, &o.Product, &o.Quantity, &price, &o.Reasons, &o.Version); err != nil {
		return o, fmt.Errorf("orders_view: a row that isn't an order: %w", err)
	}
	o.State = order.State(state)
	if price != "" {
		var err error
		if o.Price, err = order.ParseMoney(string(price)); err != nil {
			return o, fmt.Errorf("orders_view: price of order %s: %w", o.ID, err)
		}
	}
	return o, nil
}
