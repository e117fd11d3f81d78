package main

import (
	"fmt"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/sidestream/sidestream/services/internal/lookup"
	"github.com/sidestream/sidestream/services/internal/order"
	"github.com/sidestream/sidestream/services/internal/worker"
	"github.com/sidestream/sidestream/services/transact"
)

// The topics; ksql/topics.yaml says what is in them.
const (
	ordersTopic      = "orders"
	validationsTopic = "details-validations"
	stateTopic       = "details-state"
	pricesTopic      = "product-prices"
)

func service(d details) worker.Service {
	return worker.Service{
		Config: transact.Config{
			Inputs:    []string{ordersTopic},
			Outputs:   []string{validationsTopic},
			Changelog: stateTopic,
		},
		Processor: d,
		Tables:    []*lookup.Table{d.prices},
	}
}

// details is the processor. Its state has the ids that were answered.
type details struct {
	prices    *lookup.Table // by product: what is asked for it now
	tolerance int           // percent that an order may be below that
}

// Process answers a CREATED order, once.
func (d details) Process(tx *transact.Tx, r transact.Record) error {
	if r.Key == nil {
		return transact.Poisonf("the key, the order's id, is null")
	}
	if r.Value == nil {
		return nil // the order was deleted
	}
	f, err := read(r.Value)
	if err != nil {
		return transact.Poison(err)
	}
	if f.state != string(order.Created) {
		if !order.State(f.state).Valid() {
			return transact.Poisonf("order %s has the state %q, which isn't one", r.Key, f.state)
		}
		return nil
	}
	if _, answered := tx.State().Get(r.Key); answered {
		return nil
	}
	id := string(r.Key)
	v := order.Validation{OrderID: id, CheckType: order.DetailsCheck, Result: order.Pass}
	if faults := append(f.check(id), d.checkPrice(f)...); len(faults) > 0 {
		v.Result, v.Reason = order.Fail, strings.Join(faults, "; ")
	}
	tx.State().Put(r.Key, []byte(v.Result))
	tx.Emit(transact.Record{Topic: validationsTopic, Key: r.Key, Value: v.Encode()})
	return nil
}

// fields are an order's members as they were written. A member that is absent
// is null.
type fields struct {
	state string
	raw   map[string]member // by name in lower case
}

type member struct {
	kind jsontext.Kind
	raw  jsontext.Value
}

// read takes the record apart, without judging it.
func read(b []byte) (fields, error) {
	f := fields{raw: map[string]member{}}
	err := order.Fields(b, func(name string, kind jsontext.Kind, raw jsontext.Value) (err error) {
		switch name = strings.ToLower(name); name {
		case "state":
			f.state, err = order.Text(kind, raw)
		case "id", "customerid", "product", "quantity", "price":
			// Without what the decoder's buffer holds behind it.
			f.raw[name] = member{kind, raw.Clone()}
		}
		return err
	})
	return f, err
}

// check lists all faults of the order with the given key.
func (f fields) check(key string) []string {
	var faults []string
	fault := func(field, format string, args ...any) {
		faults = append(faults, field+" "+fmt.Sprintf(format, args...))
	}
	// present reports a member that is absent.
	present := func(name, field string) (member, bool) {
		m, ok := f.raw[name]
		if !ok || m.kind == 'n' {
			fault(field, "is missing")
			return m, false
		}
		return m, true
	}

	if problem := order.BadID(key); problem != "" {
		fault("id", "%s", problem)
	}
	// SQL leaves the key out of the value, so that it may be absent.
	if m, ok := f.raw["id"]; ok && m.kind != 'n' {
		if id, err := order.Text(m.kind, m.raw); err != nil {
			fault("id", "%v", err)
		} else if id != key {
			fault("id", "is %q, but the record's key is %q", id, key)
		}
	}
	if m, ok := present("customerid", "customerId"); ok {
		if n, err := order.Int(m.kind, m.raw, 64); err != nil {
			fault("customerId", "%v", err)
		} else if n < 0 {
			fault("customerId", "is %d, must not be less than 0", n)
		}
	}
	if m, ok := present("product", "product"); ok {
		if s, err := order.Text(m.kind, m.raw); err != nil {
			fault("product", "%v", err)
		} else if problem := order.BadProduct(s); problem != "" {
			fault("product", "%s", problem)
		}
	}
	if m, ok := present("quantity", "quantity"); ok {
		if n, err := order.Int(m.kind, m.raw, 32); err != nil {
			fault("quantity", "%v", err)
		} else if n <= 0 {
			fault("quantity", "is %d, must be more than 0", n)
		}
	}
	if m, ok := present("price", "price"); ok {
		if m.kind != '0' {
			fault("price", "must be a number, is %s", m.raw)
		} else if p, err := order.ParseMoney(string(m.raw)); err != nil {
			fault("price", "%v", err)
		} else if p < 0 {
			fault("price", "is %s, must not be less than 0", p)
		}
	}
	return faults
}
