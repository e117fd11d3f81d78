package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"
)

// status is where a mail is on its way.
//
//	QUEUED ─► SENDING ─► SENT
//	  ▲  ▲       │ ├───► REFUSED   by the SMTP server, for good
//	  │  └─retry─┘ └───► HELD      maybe sent, or tried for too long
//	  └─ operator ◄── REFUSED, HELD, NO_ADDRESS ── operator ─► DROPPED
type status string

const (
	queued    status = "QUEUED"     // to be sent, nothing under way
	sending   status = "SENDING"    // the intent: on record before the server gets the mail
	sent      status = "SENT"       // the server has taken it
	held      status = "HELD"       // an operator decides
	refused   status = "REFUSED"    // the server doesn't want it; an operator decides
	noAddress status = "NO_ADDRESS" // nowhere to send it to; an operator may give an address
	dropped   status = "DROPPED"    // an operator decided that it isn't sent
)

// open tells whether there is work to do without an operator.
func (s status) open() bool { return s == queued || s == sending }

// waits tells whether an operator decides.
func (s status) waits() bool { return s == held || s == refused || s == noAddress }

// letter is one order's mail: a record of `emails-sent`, which is the program's
// state and its report in one. Times are milliseconds since 1970.
type letter struct {
	Status    status `json:"status"` // first, so that it is found without decoding the rest
	OrderID   string `json:"orderId"`
	To        string `json:"to"`
	Level     string `json:"level"`
	Kind      string `json:"kind"`
	Reason    string `json:"reason"`    // why it isn't sent (yet); "" when all is well
	MessageID string `json:"messageId"` // without < and >
	Attempts  int    `json:"attempts"`
	CreatedAt int64  `json:"createdAt"`
	SentAt    *int64 `json:"sentAt"`
	RetryAt   int64  `json:"retryAt,omitempty"`
	// Attempt names the attempt that is under way while SENDING.
	Attempt string `json:"attempt,omitempty"`
	// Row is what the mail is made of, until it is SENT or DROPPED.
	Row *row `json:"row,omitempty"`
}

func (l *letter) encode() []byte {
	b, err := json.Marshal(l)
	if err != nil {
		panic(fmt.Sprintf("a letter is always JSON: %v", err)) // no field of it can fail
	}
	return b
}

func decodeLetter(b []byte) (*letter, error) {
	var l letter
	if err := json.Unmarshal(b, &l); err != nil {
		return nil, err
	}
	return &l, nil
}

// newLetter is the mail that a row asks for.
func newLetter(orderID string, r row, domain string, now time.Time) *letter {
	l := &letter{
		Status: queued, OrderID: orderID, Level: r.Level, Kind: r.Kind,
		MessageID: messageID(orderID, domain), CreatedAt: now.UnixMilli(), Row: &r,
	}
	l.address()
	return l
}

// address takes the address over from the row, or says why there is none.
func (l *letter) address() {
	to, err := address(l.Row.Email)
	if err != nil {
		l.Status, l.To, l.Reason = noAddress, "", err.Error()
		return
	}
	l.Status, l.To, l.Reason = queued, to, ""
}

// messageID is the same for an order at each attempt and in each program, so that
// a mail that comes twice is known by it.
func messageID(orderID, domain string) string {
	sum := sha256.Sum256([]byte("order-mail/" + orderID))
	return "order-" + hex.EncodeToString(sum[:12]) + "@" + domain
}

// settle writes the end of an attempt into the letter.
func (l *letter) settle(o outcome, p policy, now time.Time) {
	l.Attempt, l.RetryAt = "", 0
	switch o.kind {
	case delivered:
		at := now.UnixMilli()
		l.Status, l.Reason, l.SentAt, l.Row = sent, "", &at, nil
	case rejected:
		l.Status, l.Reason = refused, o.reason
	case notStarted:
		l.Status = queued
		l.Attempts--
	case failed:
		l.retry(o.reason, p, now)
	case unknown:
		l.doubt(o.reason, p, now)
	}
}

// doubt is for a mail of which nobody knows whether it was taken.
func (l *letter) doubt(reason string, p policy, now time.Time) {
	l.Attempt = ""
	if p.resend {
		l.retry(reason, p, now)
		return
	}
	l.Status, l.Reason = held, reason+"; it may have been delivered, look for its Message-ID before you send it"
}

// retry queues the letter for later, unless that has gone on for too long.
func (l *letter) retry(reason string, p policy, now time.Time) {
	l.Reason = reason
	if now.Sub(time.UnixMilli(l.CreatedAt)) > p.retryFor {
		l.Status, l.Reason = held, fmt.Sprintf("not sent within %v; last: %s", p.retryFor, reason)
		return
	}
	l.Status, l.RetryAt = queued, now.Add(p.pause(l.Attempts)).UnixMilli()
}

// policy is what is done about mails that don't get through.
type policy struct {
	resend   bool // what may have been delivered is sent again; else held
	retryMin time.Duration
	retryMax time.Duration
	retryFor time.Duration
}

// pause is the time before the attempt that follows the given number of them.
func (p policy) pause(attempts int) time.Duration {
	d := p.retryMin
	for i := 1; i < attempts && d < p.retryMax; i++ {
		d *= 2
	}
	return min(d, p.retryMax)
}
