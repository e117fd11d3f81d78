package main

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sidestream/sidestream/services/internal/order"
	"github.com/sidestream/sidestream/services/transact"
)

// lifecycle decides what becomes of orders. It is the one writer of `orders`,
// exactly once:
//
//	order-requests    ──► orders: CREATED, once an id      ──► order-outcomes: same, conflict
//	order-validations ──► (remembered: which checks have answered)
//	order-verdicts    ──► orders: VALIDATED or FAILED, once an order
//	shipments         ──► orders: SHIPPED, once, of a VALIDATED order
//	time              ──► orders: FAILED, TIMEOUT
//
// Its state, a partition each (transact keeps it):
//
//	o/<id>             deadline, creator, checks that answered, newline, the order's JSON
//	d/<deadline>/<id>  the orders without a verdict, by the time when they fail
//	k/<alias>          the JSON of the order that an Idempotency-Key stands for
type lifecycle struct {
	checks   []string      // that an order needs
	deadline time.Duration // from CREATED to TIMEOUT
	// grace is how long a partition must have been worked on without a break
	// before its orders time out: after a stop of the whole system, the verdicts
	// that wait on the topic or are still to come have their time first.
	grace time.Duration
	ticks map[int32]ticks
}

// ticks are of one partition: the first since the last break, and the last.
type ticks struct{ first, last time.Time }

func newLifecycle(checks []string, deadline time.Duration) *lifecycle {
	return &lifecycle{checks: checks, deadline: deadline, grace: min(deadline, 10*time.Second), ticks: map[int32]ticks{}}
}

// inputs are the topics that lifecycle reads.
var inputs = []string{requestsTopic, validationsTopic, verdictsTopic, shipmentsTopic}

// Process takes a record of one of the inputs.
func (l *lifecycle) Process(tx *transact.Tx, r transact.Record) error {
	switch r.Topic {
	case requestsTopic:
		return l.request(tx, r)
	case validationsTopic:
		return l.validation(tx, r)
	case verdictsTopic:
		return l.verdict(tx, r)
	default:
		return l.shipment(tx, r)
	}
}

func (l *lifecycle) request(tx *transact.Tx, r transact.Record) error {
	o, err := order.Decode(r.Value)
	if err != nil {
		return transact.Poisonf("a request that isn't an order: %w", err)
	}
	var id []transact.Header // of the request
	creator := ""
	alias := false
	for _, h := range r.Headers {
		switch h.Key {
		case requestIDHeader:
			id, creator = []transact.Header{h}, hex.EncodeToString(h.Value)
		case aliasHeader:
			alias = true
		}
	}
	if problem := badID(o.ID); problem != "" {
		return transact.Poisonf("a request whose order id %s", problem)
	}
	if !alias && o.ID != string(r.Key) {
		return transact.Poisonf("a request for order %q under the key %q", o.ID, r.Key)
	}
	o.State, o.Version, o.Reasons = order.Created, 1, nil
	answer := func(kind string, o []byte) {
		tx.Emit(transact.Record{Topic: outcomesTopic, Key: r.Key, Value: outcome{kind, o}.encode(), Headers: id})
	}

	if alias {
		key := append([]byte("k/"), r.Key...)
		if v, ok := tx.State().Get(key); ok {
			first, err := order.Decode(v)
			if err != nil {
				return fmt.Errorf("state %s: %w", key, err)
			}
			if !first.SameContent(&o) {
				answer(keyConflict, v)
				return nil
			}
		} else {
			tx.State().Put(key, o.Encode())
		}
		tx.Emit(transact.Record{Topic: requestsTopic, Key: []byte(o.ID), Value: r.Value, Headers: id})
		return nil
	}

	k, ok, err := load(tx, o.ID)
	switch {
	case err != nil:
		return err
	case !ok:
		k = kept{order: o, deadline: tx.Now().Add(l.deadline).UnixMilli(), creator: creator}
		k.save(tx)
		tx.State().Put(deadlineKey(k.deadline, o.ID), nil)
		tx.Emit(transact.Record{Topic: ordersTopic, Key: r.Key, Value: o.Encode(), Headers: id})
	case creator != "" && k.creator == creator:
		// The request that made the order has come through twice.
	case k.order.SameContent(&o):
		answer(same, k.order.Encode())
	default:
		answer(conflict, k.order.Encode())
	}
	return nil
}

// validation remembers that a check has answered, so that a time-out can name
// those that haven't. What it answered is the verdict's matter.
func (l *lifecycle) validation(tx *transact.Tx, r transact.Record) error {
	if len(r.Value) == 0 {
		return nil
	}
	v, err := order.DecodeValidation(r.Value)
	if err != nil {
		return transact.Poisonf("a validation that can't be read: %w", err)
	}
	k, ok, err := load(tx, string(r.Key))
	if err != nil || !ok || k.order.State != order.Created || !k.answered(v.CheckType, l.checks) {
		return err
	}
	k.save(tx)
	return nil
}

func (l *lifecycle) verdict(tx *transact.Tx, r transact.Record) error {
	if len(r.Value) == 0 {
		return nil // SQL takes back a row; a decision stays
	}
	v, err := order.Decode(r.Value)
	if err != nil {
		return transact.Poisonf("a verdict that can't be read: %w", err)
	}
	if v.State != order.Validated && v.State != order.Failed {
		return transact.Poisonf("a verdict on order %q whose state is %q, not VALIDATED or FAILED", r.Key, v.State)
	}
	k, ok, err := load(tx, string(r.Key))
	if err != nil {
		return err
	}
	if !ok {
		return transact.Poisonf("a verdict on order %q, which was never created", r.Key)
	}
	if k.order.State != order.Created {
		return nil // decided: the row comes again when another check comes in
	}
	k.decide(tx, v.State, v.Reasons)
	return nil
}

// shipment makes a VALIDATED order SHIPPED. Whoever ships owns the topic; what
// is in the record is theirs, the key says it all.
func (l *lifecycle) shipment(tx *transact.Tx, r transact.Record) error {
	if len(r.Value) == 0 {
		return nil
	}
	k, ok, err := load(tx, string(r.Key))
	switch {
	case err != nil:
		return err
	case !ok:
		return transact.Poisonf("a shipment of order %q, which was never created", r.Key)
	case k.order.State == order.Shipped:
		return nil // told twice
	case k.order.State != order.Validated:
		return transact.Poisonf("a shipment of order %q, which is %s, not VALIDATED", r.Key, k.order.State)
	}
	k.next(tx, order.Shipped)
	return nil
}

// Tick fails the orders whose deadline is over.
func (l *lifecycle) Tick(tx *transact.Tx) error {
	now := tx.Now()
	t, ok := l.ticks[tx.Partition()]
	if !ok || now.Sub(t.last) > max(l.grace, 5*time.Second) {
		t.first = now
	}
	t.last = now
	l.ticks[tx.Partition()] = t
	if now.Sub(t.first) < l.grace {
		return nil
	}
	const most = 1000 // in one transaction; the next tick takes the rest
	var due [][]byte
	tx.State().Range([]byte("d/"), deadlineKey(now.UnixMilli(), ""), func(key, _ []byte) bool {
		due = append(due, bytes.Clone(key))
		return len(due) < most
	})
	for _, key := range due {
		_, id, _ := strings.Cut(string(key[len("d/"):]), "/")
		k, ok, err := load(tx, id)
		if err != nil {
			return err
		}
		if !ok || k.order.State != order.Created {
			tx.State().Delete(key)
			continue
		}
		k.decide(tx, order.Failed, []string{l.timeout(k.checks)})
	}
	return nil
}

// timeout words the reason of an order that had no verdict in time.
func (l *lifecycle) timeout(answered []string) string {
	var missing []string
	for _, c := range l.checks {
		if !slices.Contains(answered, c) {
			missing = append(missing, c)
		}
	}
	if len(missing) == 0 {
		return fmt.Sprintf("TIMEOUT: no verdict within %v, though every check has answered", l.deadline)
	}
	return fmt.Sprintf("TIMEOUT: no %s within %v", strings.Join(missing, ", "), l.deadline)
}

// kept is an order as the state keeps it.
type kept struct {
	order    order.Order
	deadline int64    // Unix milliseconds
	creator  string   // id of the request that made it, in hexadecimal
	checks   []string // that have answered
}

func load(tx *transact.Tx, id string) (kept, bool, error) {
	v, ok := tx.State().Get([]byte("o/" + id))
	if !ok {
		return kept{}, false, nil
	}
	k, err := decodeKept(v)
	if err != nil {
		return kept{}, false, fmt.Errorf("state of order %q: %w", id, err)
	}
	return k, true, nil
}

func (k *kept) encode() []byte {
	b := strconv.AppendInt(make([]byte, 0, 320), k.deadline, 10)
	b = append(append(b, ' '), k.creator...)
	b = append(append(b, ' '), strings.Join(k.checks, ",")...)
	return k.order.Append(append(b, '\n'))
}

func decodeKept(b []byte) (kept, error) {
	head, body, ok := bytes.Cut(b, []byte{'\n'})
	parts := strings.Split(string(head), " ")
	if !ok || len(parts) != 3 {
		return kept{}, fmt.Errorf("not as this program writes it: %q", b)
	}
	k := kept{creator: parts[1]}
	if parts[2] != "" {
		k.checks = strings.Split(parts[2], ",")
	}
	var err error
	if k.deadline, err = strconv.ParseInt(parts[0], 10, 64); err != nil {
		return kept{}, err
	}
	k.order, err = order.Decode(body)
	return k, err
}

func (k *kept) save(tx *transact.Tx) { tx.State().Put([]byte("o/"+k.order.ID), k.encode()) }

// answered notes a check, and tells whether that was news.
func (k *kept) answered(check string, known []string) bool {
	if !slices.Contains(known, check) || slices.Contains(k.checks, check) {
		return false
	}
	k.checks = append(k.checks, check)
	return true
}

// decide gives the order its final state. The caller has seen that it is still
// CREATED.
func (k *kept) decide(tx *transact.Tx, s order.State, reasons []string) {
	k.order.Reasons = reasons
	tx.State().Delete(deadlineKey(k.deadline, k.order.ID))
	k.next(tx, s)
}

// next writes the order's next state.
func (k *kept) next(tx *transact.Tx, s order.State) {
	k.order.State = s
	k.order.Version++
	k.save(tx)
	tx.Emit(transact.Record{Topic: ordersTopic, Key: []byte(k.order.ID), Value: k.order.Encode()})
}

// deadlineKey sorts by time, then by id.
func deadlineKey(ms int64, id string) []byte { return fmt.Appendf(nil, "d/%013d/%s", ms, id) }
