package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/sidestream/sidestream/services/internal/order"
	"github.com/sidestream/sidestream/services/internal/worker"
	"github.com/sidestream/sidestream/services/transact"
)

// The topics; ksql/topics.yaml says what is in them.
const (
	toShipTopic    = "orders-to-ship"
	shipmentsTopic = "shipments"
	stateTopic     = "shipping-state"
)

func service(p shipping) worker.Service {
	return worker.Service{
		Config: transact.Config{
			Inputs:    []string{toShipTopic},
			Outputs:   []string{shipmentsTopic},
			Changelog: stateTopic,
			TickEvery: 200 * time.Millisecond,
		},
		Processor: p,
	}
}

// shipping is the processor. Its state, a partition each:
//
//	o/<order id>        the parcel, and whether it has left
//	d/<time>/<order id> the parcels that are being packed, by the time when they leave
type shipping struct {
	packing time.Duration // from the release of an order to its leaving; 0: at once
}

// parcel is what the state has of an order. It stays: an order that is released
// twice (it was paid twice) is sent once.
type parcel struct {
	Product  string `json:"product"`
	Quantity int64  `json:"quantity"`
	Left     bool   `json:"left"`
}

// Process packs an order.
func (s shipping) Process(tx *transact.Tx, r transact.Record) error {
	if r.Key == nil {
		return transact.Poisonf("the key, the order's id, is null")
	}
	if r.Value == nil {
		return nil
	}
	id := string(r.Key)
	p, err := decode(r.Value)
	if err != nil {
		return transact.Poison(err)
	}
	if _, known := tx.State().Get(parcelKey(id)); known {
		return nil
	}
	if s.packing == 0 {
		s.leave(tx, id, p)
		return nil
	}
	tx.State().Put(parcelKey(id), encode(p))
	tx.State().Put(dueKey(tx.Now().Add(s.packing), id), nil)
	return nil
}

// Tick sends what is packed.
func (s shipping) Tick(tx *transact.Tx) error {
	const most = 500 // in one transaction; the next tick takes the rest
	var due [][]byte
	tx.State().Range([]byte("d/"), dueKey(tx.Now(), ""), func(key, _ []byte) bool {
		due = append(due, bytes.Clone(key))
		return len(due) < most
	})
	for _, key := range due {
		_, id, _ := strings.Cut(string(key[len("d/"):]), "/")
		tx.State().Delete(key)
		b, ok := tx.State().Get(parcelKey(id))
		if !ok {
			continue
		}
		var p parcel
		if err := json.Unmarshal(b, &p); err != nil {
			return fmt.Errorf("the state of order %s in %s can't be read; was it written by a newer version? %w", id, stateTopic, err)
		}
		if !p.Left {
			s.leave(tx, id, p)
		}
	}
	return nil
}

// leave tells everybody that the parcel is on its way.
func (s shipping) leave(tx *transact.Tx, id string, p parcel) {
	p.Left = true
	tx.State().Put(parcelKey(id), encode(p))
	tx.Emit(transact.Record{Topic: shipmentsTopic, Key: []byte(id), Value: encode(struct {
		OrderID    string `json:"orderId"`
		Product    string `json:"product"`
		Quantity   int64  `json:"quantity"`
		TrackingID string `json:"trackingId"`
		ShippedAt  int64  `json:"shippedAt"` // ms since 1970
	}{id, p.Product, p.Quantity, trackingID(id), tx.Now().UnixMilli()})})
}

// trackingID is a parcel's number: the same for the same order, so that a reader
// can't see two.
func trackingID(order string) string {
	h := fnv.New64a()
	h.Write([]byte(order))
	return fmt.Sprintf("SS%016X", h.Sum64())
}

func parcelKey(id string) []byte { return []byte("o/" + id) }

// dueKey sorts by time, then by order.
func dueKey(at time.Time, id string) []byte {
	return fmt.Appendf(nil, "d/%013d/%s", at.UnixMilli(), id)
}

// decode reads an order that is released.
func decode(b []byte) (parcel, error) {
	var p parcel
	err := order.Fields(b, func(name string, kind jsontext.Kind, raw jsontext.Value) (err error) {
		switch strings.ToLower(name) {
		case "product":
			p.Product, err = order.Text(kind, raw)
		case "quantity":
			p.Quantity, err = order.Int(kind, raw, 32)
		}
		return err
	})
	switch {
	case err != nil:
		return p, err
	case p.Product == "":
		return p, errors.New("the order has no product")
	case p.Quantity <= 0:
		return p, fmt.Errorf("quantity is %d, must be more than 0", p.Quantity)
	}
	return p, nil
}

// encode can't fail: what it is given are texts, numbers and booleans.
func encode(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return b
}
