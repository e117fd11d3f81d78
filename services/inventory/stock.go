package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/sidestream/sidestream/services/internal/order"
	"github.com/sidestream/sidestream/services/transact"
)

// stock is what the state has of a product.
//
// The warehouse owns the count: Stock is its last word, absolute. A shipped
// order's stock is no longer reserved but has left, which the warehouse's count
// shows only when it counts the next time; until then it is Moved. A count whose
// timestamp is not before the last movement has seen all of them. An older one
// may have missed some, and then Moved stays: better too little for sale than
// sold twice.
type stock struct {
	Stocked  bool  `json:"stocked"` // the warehouse has a record of it
	Stock    int64 `json:"stock"`
	Reserved int64 `json:"reserved"` // for orders that are HELD
	Moved    int64 `json:"moved"`    // shipped since the last count
	LastMove int64 `json:"lastMove"` // its time, in ms since 1970
}

// free is what can still be reserved; less than nothing if the warehouse
// counted less than what is reserved.
func (s stock) free() int64 { return s.Stock - s.Moved - s.Reserved }

func (s *stock) move(quantity int64, at time.Time) {
	s.Moved += quantity
	s.LastMove = max(s.LastMove, at.UnixMilli())
}

// count takes over what the warehouse says; a null means that it no longer
// stocks the product.
func count(tx *transact.Tx, product string, r transact.Record) error {
	n, stocked := int64(0), r.Value != nil
	if stocked {
		var err error
		if n, err = decodeCount(r.Value); err != nil {
			return transact.Poison(err)
		}
	}
	s, err := readStock(tx, product)
	if err != nil {
		return err
	}
	s.Stocked, s.Stock = stocked, n
	if r.Time.UnixMilli() >= s.LastMove {
		s.Moved = 0
	}
	writeStock(tx, product, s)
	return nil
}

// decodeCount reads {"stock": n}, in any case.
func decodeCount(b []byte) (int64, error) {
	var n int64
	found := false
	err := order.Fields(b, func(name string, kind jsontext.Kind, raw jsontext.Value) (err error) {
		if strings.EqualFold(name, "stock") && kind != 'n' {
			found = true
			n, err = order.Int(kind, raw, 32)
		}
		return err
	})
	switch {
	case err != nil:
		return 0, err
	case !found:
		return 0, errors.New("the warehouse's record has no stock")
	case n < 0:
		return 0, fmt.Errorf("stock is %d, must not be less than 0", n)
	}
	return n, nil
}

func stockKey(product string) []byte { return append([]byte{'p'}, product...) }

func readStock(tx *transact.Tx, product string) (stock, error) {
	var s stock
	b, ok := tx.State().Get(stockKey(product))
	if !ok {
		return s, nil
	}
	if err := json.Unmarshal(b, &s); err != nil {
		return s, broken(fmt.Sprintf("product %q", product), err)
	}
	return s, nil
}

func writeStock(tx *transact.Tx, product string, s stock) {
	tx.State().Put(stockKey(product), encode(s))
}
