package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"time"

	"github.com/sidestream/sidestream/services/transact"
)

// The topics; ksql/topics.yaml says what is in them.
const (
	rowsTopic     = "order-emails"
	sentTopic     = "emails-sent" // the changelog too: what is reported is what is remembered
	commandsTopic = "email-commands"
)

// emailer is the processor: it alone decides what is on record about each mail.
type emailer struct {
	desk   *desk
	policy policy
	domain string
	// release bounds the wait for mails under way when partitions go.
	release time.Duration
	log     *slog.Logger
	done    func(*letter, outcome) // told of each end of an attempt, before its commit

	fresh   map[int32]bool            // partitions whose state was not looked through yet
	orphans map[int32]map[string]bool // SENDING by somebody who is gone
}

func newEmailer(d *desk, p policy, domain string, release time.Duration, log *slog.Logger) *emailer {
	return &emailer{
		desk: d, policy: p, domain: domain, release: release, log: log,
		done:  func(*letter, outcome) {},
		fresh: map[int32]bool{}, orphans: map[int32]map[string]bool{},
	}
}

// Take reads the open mails of the partitions anew, at their next tick.
func (e *emailer) Take(partitions []int32) {
	clear(e.fresh)
	clear(e.orphans)
	for _, p := range partitions {
		e.fresh[p] = true
		e.orphans[p] = map[string]bool{}
	}
	e.desk.take(partitions)
}

// Release waits for the mails that the SMTP server is being given.
func (e *emailer) Release() {
	ctx, cancel := context.WithTimeout(context.Background(), e.release)
	defer cancel()
	e.desk.close(ctx)
}

// Process takes a row or an operator's command.
func (e *emailer) Process(tx *transact.Tx, r transact.Record) error {
	if len(r.Key) == 0 {
		return transact.Poisonf("the key, the order's id, is missing")
	}
	l, err := e.get(tx, string(r.Key))
	if err != nil {
		return err
	}
	switch {
	case r.Value == nil:
		return nil
	case r.Topic == commandsTopic:
		return e.command(tx, l, r)
	}
	row, err := decodeRow(r.Value)
	if err != nil {
		return transact.Poison(err)
	}
	switch {
	case l == nil:
		l = newLetter(string(r.Key), row, e.domain, tx.Now())
	case l.Status == noAddress && row.Email != l.Row.Email:
		l.Row = &row
		l.address()
	default:
		return nil // one mail an order
	}
	e.put(tx, l)
	return nil
}

// command is what an operator wants. A replica has checked it against the SQL
// view; what is on record here is what counts.
type command struct {
	Action string `json:"action"` // send or drop
	To     string `json:"to,omitempty"`
}

func (e *emailer) command(tx *transact.Tx, l *letter, r transact.Record) error {
	var c command
	if err := json.Unmarshal(r.Value, &c); err != nil {
		return transact.Poisonf("a command that isn't one: %w", err)
	}
	switch {
	case l == nil:
		return transact.Poisonf("a command for order %q, which has no mail", r.Key)
	case !l.Status.waits():
		e.log.Info("a command comes too late", "order", l.OrderID, "action", c.Action, "status", l.Status)
		return nil
	}
	switch c.Action {
	case "drop":
		l.Status, l.Reason, l.Row = dropped, "by an operator", nil
	case "send":
		if c.To != "" {
			l.Row.Email = c.To
		}
		if l.address(); l.Status == queued {
			l.CreatedAt = tx.Now().UnixMilli() // the time to give up begins anew
		}
	default:
		return transact.Poisonf("a command %q: there are send and drop", c.Action)
	}
	e.put(tx, l)
	return nil
}

// put writes the letter, and queues it if there is something to do.
func (e *emailer) put(tx *transact.Tx, l *letter) {
	tx.State().Put([]byte(l.OrderID), l.encode())
	if l.Status == queued {
		e.desk.put(l, tx.Partition())
	}
}

// get is what is on record for an order, nil for nothing. A record that can't be
// read is Poison: without it, nobody knows whether a mail went out.
func (e *emailer) get(tx *transact.Tx, orderID string) (*letter, error) {
	b, ok := tx.State().Get([]byte(orderID))
	if !ok {
		return nil, nil
	}
	l, err := decodeLetter(b)
	if err != nil {
		return nil, transact.Poisonf("the record of order %s on %s can't be read: %w", orderID, sentTopic, err)
	}
	if l.Row == nil && (l.Status.open() || l.Status.waits()) {
		return nil, transact.Poisonf("the record of order %s on %s is %s, but what the mail is made of is missing", orderID, sentTopic, l.Status)
	}
	return l, nil
}

// Tick carries the mails on from step to step; see desk.
func (e *emailer) Tick(tx *transact.Tx) error {
	p := tx.Partition()
	if e.fresh[p] {
		e.look(tx)
		delete(e.fresh, p)
	}
	return errors.Join(e.adopt(tx), e.advance(tx))
}

// look finds the open mails of a partition that was taken over.
func (e *emailer) look(tx *transact.Tx) {
	tx.State().Range(nil, nil, func(k, v []byte) bool {
		if bytes.HasPrefix(v, []byte(`{"status":"SENT"`)) {
			return true // nearly all of them
		}
		l, err := e.get(tx, string(k))
		if err != nil {
			e.log.Error("a mail is left alone", "error", err)
			return true
		}
		switch l.Status {
		case queued:
			e.desk.put(l, tx.Partition())
		case sending:
			if !e.desk.has(l.OrderID, l.Attempt) {
				e.orphans[tx.Partition()][l.OrderID] = true
			}
		case sent, held, refused, noAddress, dropped:
		}
		return true
	})
}

// adopt applies the crash policy to mails whose program died between the intent
// and the result.
func (e *emailer) adopt(tx *transact.Tx) error {
	for id := range e.orphans[tx.Partition()] {
		l, err := e.get(tx, id)
		if err != nil {
			return err
		}
		if l == nil || l.Status != sending || e.desk.has(id, l.Attempt) {
			delete(e.orphans[tx.Partition()], id) // it is committed
			continue
		}
		l.doubt("the program ended while it sent this mail", e.policy, tx.Now())
		e.log.Warn("a mail was being sent when its program ended", "order", id, "status", l.Status, "messageId", l.MessageID)
		e.done(l, outcome{kind: unknown})
		e.put(tx, l)
	}
	return nil
}

// advance does the processor's part of every attempt in this partition.
func (e *emailer) advance(tx *transact.Tx) error {
	d := e.desk
	d.mu.Lock()
	defer d.mu.Unlock()
	for id, a := range d.attempts {
		if a.partition != tx.Partition() || a.phase == taken || a.phase == running {
			continue
		}
		l, err := e.get(tx, id)
		if err != nil {
			return err
		}
		mine := l != nil && l.Status == sending && l.Attempt == a.name
		switch a.phase {
		case taken, running:
		case asked:
			if l == nil || l.Status != queued || l.To != a.to {
				d.refuse(a)
				continue
			}
			l.Status, l.Attempt, l.RetryAt = sending, a.name, 0
			l.Attempts++
			tx.State().Put([]byte(id), l.encode())
			a.letter, a.phase = l, written
		case written:
			if !mine { // it was undone
				a.phase = asked
				continue
			}
			a.phase = running
			a.answer <- true
		case finished:
			record, _ := tx.State().Get([]byte(id))
			if written := a.wrote != nil && bytes.Equal(record, a.wrote); !written && l != nil && (mine || l.Status == queued) {
				e.settle(tx, a, l, mine)
				continue
			}
			delete(d.attempts, id) // it is committed
			if l != nil && l.Status == queued {
				d.push(l, a.partition)
			}
			d.signal()
		}
	}
	return nil
}

// settle writes the outcome of an attempt. One that was refused before it was
// claimed is written over QUEUED.
func (e *emailer) settle(tx *transact.Tx, a *attempt, l *letter, claimed bool) {
	if !claimed {
		l.Attempts++
	}
	l.settle(a.outcome, e.policy, tx.Now())
	first := a.wrote == nil
	a.wrote = l.encode()
	tx.State().Put([]byte(a.orderID), a.wrote)
	if first {
		e.done(l, a.outcome)
	}
}
