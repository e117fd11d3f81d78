package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/sidestream/sidestream/services/internal/order"
	"github.com/sidestream/sidestream/services/internal/worker"
	"github.com/sidestream/sidestream/services/transact"
)

// The topics; ksql/topics.yaml says what is in them.
const (
	ordersTopic      = "orders-by-product"
	warehouseTopic   = "warehouse-inventory"
	validationsTopic = "inventory-validations"
	reservedTopic    = "reserved-stock"
	byOrderTopic     = "reserved-stock-by-order"
	stateTopic       = "inventory-state"
)

func service(p inventory) worker.Service {
	return worker.Service{
		Config: transact.Config{
			Inputs: []string{ordersTopic, warehouseTopic},
			// An order that waits must find the stock that was there before it.
			First:     []string{warehouseTopic},
			Outputs:   []string{validationsTopic, reservedTopic, byOrderTopic},
			Changelog: stateTopic,
		},
		Processor: p,
	}
}

// inventory is the processor. All its state is in the Tx's, a partition each:
//
//	o<order id>                 what has become of an order
//	p<product>                  a product's stock
//	e/<time>/{product, order}   what is reserved, by the time when it expires
type inventory struct {
	keep time.Duration // that stock is held for an order that isn't shipped
}

// Process handles a state of an order, or a count of the warehouse.
func (i inventory) Process(tx *transact.Tx, r transact.Record) error {
	if r.Key == nil {
		return transact.Poisonf("the key, the product, is null")
	}
	if r.Topic == warehouseTopic {
		return count(tx, string(r.Key), r)
	}
	return i.ordered(tx, string(r.Key), r)
}

// Tick frees what was held for too long: the order was never paid, or is stuck
// at somebody else's.
func (i inventory) Tick(tx *transact.Tx) error {
	const most = 500 // in one transaction; the next tick takes the rest
	var due [][]byte
	tx.State().Range([]byte("e/"), expiryKey(tx.Now(), "", ""), func(key, _ []byte) bool {
		due = append(due, bytes.Clone(key))
		return len(due) < most
	})
	for _, key := range due {
		tx.State().Delete(key)
		var at struct{ Product, Order string }
		if err := json.Unmarshal(key[len("e/0000000000000/"):], &at); err != nil {
			return broken(fmt.Sprintf("the expiry %q", key), err)
		}
		e, _, err := readEntry(tx, at.Order)
		if err != nil {
			return err
		}
		if e.State != held {
			continue
		}
		if err := finished(tx, at.Product, at.Order, e, expired); err != nil {
			return err
		}
	}
	return nil
}

// What has become of an order here.
const (
	held    = "HELD"    // stock is reserved for it
	refused = "REFUSED" // it got the answer FAIL or ERROR
	freed   = "FREED"   // it FAILED: its stock is free again, or never was reserved
	moved   = "MOVED"   // it was SHIPPED: its stock has left
	expired = "EXPIRED" // its stock is free again, since it took too long
)

// entry is what the state has of an order. It stays: an order is answered once,
// also when its records come again because the query before was built anew.
type entry struct {
	State    string `json:"state"`
	Quantity int64  `json:"quantity,omitempty"` // that is, or was, reserved
	Answered bool   `json:"answered"`
	Until    int64  `json:"until,omitempty"` // when the reservation expires, in ms since 1970
}

func orderKey(id string) []byte { return append([]byte{'o'}, id...) }

// expiryKey sorts by time. Products may hold any character, so the rest is JSON.
func expiryKey(at time.Time, product, order string) []byte {
	key := fmt.Appendf(nil, "e/%013d/", at.UnixMilli())
	if order == "" {
		return key
	}
	return append(key, encode(struct{ Product, Order string }{product, order})...)
}

// ordered handles one state of one order of the product.
func (i inventory) ordered(tx *transact.Tx, product string, r transact.Record) error {
	if r.Value == nil {
		return transact.Poisonf("the value, the order, is null")
	}
	o, err := order.Decode(r.Value)
	if err != nil {
		return unreadable(tx, r.Value, err)
	}
	if o.ID == "" {
		return transact.Poisonf("the order has no id")
	}
	e, known, err := readEntry(tx, o.ID)
	if err != nil {
		return err
	}
	switch o.State {
	case order.Created:
		return i.created(tx, product, o, e, known)
	case order.Failed:
		return finished(tx, product, o.ID, e, freed)
	case order.Shipped:
		return finished(tx, product, o.ID, e, moved)
	case order.Validated:
		return nil // it keeps what it holds
	}
	return transact.Poisonf("order %s has the state %q, which isn't one", o.ID, o.State)
}

// created reserves, or says why not. A repetition changes nothing.
func (i inventory) created(tx *transact.Tx, product string, o order.Order, e entry, known bool) error {
	if known && e.Answered {
		return nil
	}
	refuse := func(reason string) error {
		answer(tx, o.ID, order.Fail, reason)
		state := refused
		if known {
			state = e.State
		}
		writeEntry(tx, o.ID, entry{State: state, Answered: true})
		return nil
	}
	if known {
		return refuse("the order was over before its stock was asked for")
	}
	wanted := int64(o.Quantity)
	if wanted <= 0 {
		return refuse(fmt.Sprintf("quantity is %d, must be more than 0", wanted))
	}
	s, err := readStock(tx, product)
	if err != nil {
		return err
	}
	if !s.Stocked {
		return refuse(fmt.Sprintf("nobody stocks %q", product))
	}
	if free := s.free(); free < wanted {
		return refuse(fmt.Sprintf("%d ordered, %d available (stock %d, reserved %d)", wanted, max(0, free), max(0, s.Stock-s.Moved), s.Reserved))
	}
	s.Reserved += wanted
	writeStock(tx, product, s)
	tellReserved(tx, product, s.Reserved)
	tellOrder(tx, o.ID, product, wanted)
	answer(tx, o.ID, order.Pass, "")
	until := tx.Now().Add(i.keep)
	tx.State().Put(expiryKey(until, product, o.ID), nil)
	writeEntry(tx, o.ID, entry{State: held, Quantity: wanted, Answered: true, Until: until.UnixMilli()})
	return nil
}

// finished ends a reservation, once: the stock is free again, or has moved.
func finished(tx *transact.Tx, product, id string, e entry, to string) error {
	switch e.State {
	case held:
	case "": // over before its CREATED came: it must not reserve then
		writeEntry(tx, id, entry{State: to})
		return nil
	case expired:
		if to != moved {
			return nil
		}
		// It left all the same: what has left can't be sold.
		s, err := readStock(tx, product)
		if err != nil {
			return err
		}
		s.move(e.Quantity, tx.Time())
		writeStock(tx, product, s)
		e.State = moved
		writeEntry(tx, id, e)
		return nil
	default:
		return nil
	}
	s, err := readStock(tx, product)
	if err != nil {
		return err
	}
	s.Reserved -= e.Quantity
	if s.Reserved < 0 {
		return fmt.Errorf("reserved stock of %q would be %d with order %s: the state in %s is inconsistent", product, s.Reserved, id, stateTopic)
	}
	if to == moved {
		s.move(e.Quantity, tx.Time())
	}
	writeStock(tx, product, s)
	tellReserved(tx, product, s.Reserved)
	tx.Emit(transact.Record{Topic: byOrderTopic, Key: []byte(id)})
	if e.Until != 0 {
		tx.State().Delete(expiryKey(time.UnixMilli(e.Until), product, id))
	}
	e.State = to
	writeEntry(tx, id, e)
	return nil
}

// unreadable answers a CREATED order that has an id and else can't be used, so
// that it isn't stuck.
func unreadable(tx *transact.Tx, value []byte, cause error) error {
	var id, state string
	err := order.Fields(value, func(name string, kind jsontext.Kind, raw jsontext.Value) error {
		switch strings.ToLower(name) {
		case "id":
			id, _ = order.Text(kind, raw)
		case "state":
			state, _ = order.Text(kind, raw)
		}
		return nil
	})
	if err != nil || id == "" || order.State(state) != order.Created {
		return transact.Poison(cause)
	}
	e, known, err := readEntry(tx, id)
	if err != nil {
		return err
	}
	tx.Bad(cause)
	if known && e.Answered {
		return nil
	}
	answer(tx, id, order.Error, "the order can't be read: "+cause.Error())
	writeEntry(tx, id, entry{State: refused, Answered: true})
	return nil
}

func answer(tx *transact.Tx, id, result, reason string) {
	v := order.Validation{OrderID: id, CheckType: order.InventoryCheck, Result: result, Reason: reason}
	tx.Emit(transact.Record{Topic: validationsTopic, Key: []byte(id), Value: v.Encode()})
}

func tellReserved(tx *transact.Tx, product string, reserved int64) {
	tx.Emit(transact.Record{Topic: reservedTopic, Key: []byte(product), Value: encode(struct {
		Product  string `json:"product"`
		Reserved int64  `json:"reserved"`
	}{product, reserved})})
}

func tellOrder(tx *transact.Tx, id, product string, quantity int64) {
	tx.Emit(transact.Record{Topic: byOrderTopic, Key: []byte(id), Value: encode(struct {
		OrderID  string `json:"orderId"`
		Product  string `json:"product"`
		Quantity int64  `json:"quantity"`
	}{id, product, quantity})})
}

func readEntry(tx *transact.Tx, id string) (e entry, known bool, err error) {
	b, ok := tx.State().Get(orderKey(id))
	if !ok {
		return entry{}, false, nil
	}
	if err := json.Unmarshal(b, &e); err != nil {
		return entry{}, false, broken(fmt.Sprintf("order %s", id), err)
	}
	return e, true, nil
}

func writeEntry(tx *transact.Tx, id string, e entry) {
	tx.State().Put(orderKey(id), encode(e))
}

// encode can't fail: what it is given are texts, numbers and booleans.
func encode(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return b
}

func broken(what string, err error) error {
	return errors.Join(fmt.Errorf("the state of %s in %s can't be read; was it written by a newer version?", what, stateTopic), err)
}
