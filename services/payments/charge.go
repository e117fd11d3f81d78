package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/sidestream/sidestream/services/internal/order"
	"github.com/sidestream/sidestream/services/internal/worker"
	"github.com/sidestream/sidestream/services/transact"
)

// The topics; ksql/topics.yaml says what is in them.
const (
	requestsTopic = "payment-requests"
	paymentsTopic = "payments"
	failuresTopic = "payment-failures"
	stateTopic    = "payments-state"
)

func service(p payments) worker.Service {
	return worker.Service{
		Config: transact.Config{
			Inputs:    []string{requestsTopic},
			Outputs:   []string{paymentsTopic, failuresTopic},
			Changelog: stateTopic,
			TickEvery: p.patience,
		},
		Processor: p,
	}
}

// payments is the processor. Its state, a partition each:
//
//	o/<order id>        what has become of its charge
//	d/<time>/<order id> the charges to try again, by the time of the next try
type payments struct {
	provider provider
	patience time.Duration // before the second try; it doubles, up to a minute
	tries    int           // before a charge is given up
}

// What has become of a charge.
const (
	waiting = "WAITING" // for the next try
	paid    = "PAID"
	refused = "REFUSED" // declined or given up
)

// entry is what the state has of an order.
type entry struct {
	State  string      `json:"state"`
	Ccy    string      `json:"ccy,omitempty"`
	Amount order.Money `json:"amount,omitempty"`
	Tries  int         `json:"tries,omitempty"`
}

// Process charges an order, once: the provider knows the payment's id, and the
// state knows the order.
func (p payments) Process(tx *transact.Tx, r transact.Record) error {
	if r.Key == nil {
		return transact.Poisonf("the key, the order's id, is null")
	}
	if r.Value == nil {
		return nil
	}
	id := string(r.Key)
	e, err := decode(r.Value)
	if err != nil {
		return transact.Poison(err)
	}
	if _, known := tx.State().Get(entryKey(id)); known {
		return nil
	}
	return p.try(tx, id, e)
}

// Tick tries again what is due.
func (p payments) Tick(tx *transact.Tx) error {
	const most = 100 // in one transaction; the next tick takes the rest
	var due [][]byte
	tx.State().Range([]byte("d/"), dueKey(tx.Now(), ""), func(key, _ []byte) bool {
		due = append(due, bytes.Clone(key))
		return len(due) < most
	})
	for _, key := range due {
		_, id, _ := strings.Cut(string(key[len("d/"):]), "/")
		tx.State().Delete(key)
		b, ok := tx.State().Get(entryKey(id))
		if !ok {
			continue
		}
		var e entry
		if err := json.Unmarshal(b, &e); err != nil {
			return fmt.Errorf("the state of order %s in %s can't be read; was it written by a newer version? %w", id, stateTopic, err)
		}
		if err := p.try(tx, id, e); err != nil {
			return err
		}
	}
	return nil
}

// try charges, and writes down what came of it.
func (p payments) try(tx *transact.Tx, id string, e entry) error {
	e.Tries++
	err := p.provider.charge(charge{key: paymentID(id), order: id, ccy: e.Ccy, amount: e.Amount, try: e.Tries})
	var final declined
	switch {
	case err == nil:
		e.State = paid
		tx.Emit(transact.Record{Topic: paymentsTopic, Key: []byte(paymentID(id)), Value: encode(struct {
			ID      string      `json:"id"`
			OrderID string      `json:"orderId"`
			Ccy     string      `json:"ccy"`
			Amount  order.Money `json:"amount"`
		}{paymentID(id), id, e.Ccy, e.Amount})})
	case errors.As(err, &final) || e.Tries >= p.tries:
		e.State = refused
		reason := err.Error()
		if !errors.As(err, &final) {
			reason = fmt.Sprintf("given up after %d tries: %v", e.Tries, err)
		}
		tx.Emit(transact.Record{Topic: failuresTopic, Key: []byte(id), Value: encode(struct {
			OrderID string      `json:"orderId"`
			Ccy     string      `json:"ccy"`
			Amount  order.Money `json:"amount"`
			Reason  string      `json:"reason"`
		}{id, e.Ccy, e.Amount, reason})})
	default:
		e.State = waiting
		wait := min(p.patience<<min(e.Tries-1, 16), time.Minute)
		tx.State().Put(dueKey(tx.Now().Add(wait), id), nil)
	}
	tx.State().Put(entryKey(id), encode(e))
	return nil
}

// paymentID is the same however often an order is charged.
func paymentID(order string) string { return "pay-" + order }

func entryKey(id string) []byte { return []byte("o/" + id) }

// dueKey sorts by time, then by order.
func dueKey(at time.Time, id string) []byte {
	return fmt.Appendf(nil, "d/%013d/%s", at.UnixMilli(), id)
}

// decode reads a request.
func decode(b []byte) (entry, error) {
	var e entry
	found := false
	err := order.Fields(b, func(name string, kind jsontext.Kind, raw jsontext.Value) (err error) {
		switch strings.ToLower(name) {
		case "ccy":
			e.Ccy, err = order.Text(kind, raw)
		case "amount":
			if kind != '0' {
				return fmt.Errorf("must be a number, is %s", raw)
			}
			found = true
			e.Amount, err = order.ParseMoney(string(raw))
		}
		return err
	})
	switch {
	case err != nil:
		return e, err
	case !found:
		return e, errors.New("the request has no amount")
	case e.Amount < 0:
		return e, fmt.Errorf("amount is %s, must not be less than 0", e.Amount)
	case e.Ccy == "":
		return e, errors.New("the request has no currency (ccy)")
	}
	return e, nil
}

// encode can't fail: what it is given are texts and numbers.
func encode(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic("payments: " + strconv.Quote(err.Error()))
	}
	return b
}
