package shop

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/sidestream/sidestream/sidecar/cmd/sidestream/internal/feed"
)

// Mail says how the demo follows the mails. The zero value: there are none.
type Mail struct {
	Program string // base URL of the email program
	Inbox   string // base URL of the inbox that they land in; "" if there is none
	// Pay has the demo pay each order, FAILED ones too, since no service does.
	Pay bool
}

// pay writes a payment for each order, as the payments service would.
func pay(ctx context.Context, o Options, list []order) error {
	var lines strings.Builder
	for _, p := range list {
		cents := max(p.Quantity, -p.Quantity) * p.Cents
		fmt.Fprintf(&lines, "{\"id\":%q,\"orderId\":%q,\"ccy\":\"EUR\",\"amount\":%d.%02d}\n", "pay-"+p.ID, p.ID, cents/100, cents%100)
	}
	return put(ctx, o.Broker, feed.Payments, lines.String())
}

// post is what the topics say about payments and mails.
type post struct {
	states   map[string]string // order → its state
	paid     map[string]bool
	unpaid   map[string]bool // orders whose payment was declined
	statuses map[string]string
	levels   map[string]string
	sentAt   map[string]int64
}

func readPost(ctx context.Context, broker string, declines bool) (*post, error) {
	p := &post{states: map[string]string{}, paid: map[string]bool{}, unpaid: map[string]bool{},
		statuses: map[string]string{}, levels: map[string]string{}, sentAt: map[string]int64{}}
	topics := []string{"orders", "payments", "emails-sent"}
	if declines {
		topics = append(topics, "payment-failures")
	}
	return p, scan(ctx, broker, topics, p.record)
}

func (p *post) record(r *kgo.Record) error {
	if r.Value == nil {
		return nil
	}
	var v struct {
		OrderID string `json:"orderId"`
		State   string `json:"state"`
		Status  string `json:"status"`
		Level   string `json:"level"`
		SentAt  int64  `json:"sentAt"`
	}
	if err := json.Unmarshal(r.Value, &v); err != nil {
		return err
	}
	key := string(r.Key)
	switch r.Topic {
	case "orders":
		p.states[key] = v.State
	case "payments":
		p.paid[v.OrderID] = true
	case "payment-failures":
		p.unpaid[key] = true
	case "emails-sent":
		p.statuses[key], p.levels[key], p.sentAt[key] = v.Status, v.Level, v.SentAt
	}
	return nil
}

// due tells whether an order is to be mailed, and whether that is known yet.
func (p *post) due(id string) (due, known bool) {
	switch p.states[id] {
	case validated, shipped:
		return p.paid[id], p.paid[id] || p.unpaid[id]
	}
	return false, true
}

// open names the orders whose mail isn't where it belongs yet.
func (p *post) open() []string {
	var out []string
	for _, id := range slices.Sorted(maps.Keys(p.states)) {
		due, known := p.due(id)
		switch {
		case !known:
			out = append(out, fmt.Sprintf("order %s is %s and neither paid nor declined", id, p.states[id]))
		case due && p.statuses[id] != "SENT":
			out = append(out, fmt.Sprintf("order %s is %s and paid, and its mail is %s", id, p.states[id], orNone(p.statuses[id])))
		}
	}
	return out
}

// faults are mails that must not be.
func (p *post) faults() []string {
	var out []string
	for _, id := range slices.Sorted(maps.Keys(p.statuses)) {
		if due, _ := p.due(id); !due {
			out = append(out, fmt.Sprintf("order %s is %s, paid: %v, and its mail is %s", id, orNone(p.states[id]), p.paid[id], p.statuses[id]))
		}
	}
	return out
}

func orNone(s string) string {
	if s == "" {
		return "none"
	}
	return s
}

// followMails waits until each order that is VALIDATED and paid has its mail, and
// reports. The inbox had a number of mails when the demo began.
func followMails(ctx context.Context, o Options, begin time.Time, before int) ([]string, error) {
	var p *post
	for deadline := time.Now().Add(settle); ; {
		var err error
		if p, err = readPost(ctx, o.Broker, !o.Mail.Pay); err != nil {
			return nil, err
		}
		if len(p.open()) == 0 || time.Now().After(deadline) {
			break
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(300 * time.Millisecond):
		}
	}
	faults := append(p.open(), p.faults()...)
	sent, unmailed := map[string]int{}, 0
	total := 0
	for id, status := range p.statuses {
		if status == "SENT" && p.sentAt[id] >= begin.UnixMilli() {
			sent[p.levels[id]]++
			total++
		}
	}
	for id := range p.paid {
		if due, _ := p.due(id); !due {
			unmailed++
		}
	}
	var levels []string
	for _, l := range slices.Sorted(maps.Keys(sent)) {
		levels = append(levels, fmt.Sprintf("%s %d", l, sent[l]))
	}
	o.Say("%d mails sent (%s), one for each order that is VALIDATED and paid, none for %d that are paid and FAILED; figures: %s/admin/stats", total, strings.Join(levels, ", "), unmailed, o.Mail.Program)
	if o.Mail.Inbox != "" {
		after, err := inbox(ctx, o.Mail.Inbox)
		if err != nil {
			return nil, err
		}
		o.Say("read them: %s", o.Mail.Inbox)
		if after-before != total {
			faults = append(faults, fmt.Sprintf("%d mails were sent, and %d are in the inbox", total, after-before))
		}
	}
	return faults, nil
}

// inbox counts the mails in mailpit.
func inbox(ctx context.Context, base string) (int, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, base+"/api/v1/messages?limit=1", nil)
	if err != nil {
		return 0, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, fmt.Errorf("the inbox: %w", err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return 0, fmt.Errorf("the inbox: %w", err)
	}
	var v struct {
		Total *int `json:"total"`
	}
	if err := json.Unmarshal(b, &v); err != nil || v.Total == nil {
		return 0, fmt.Errorf("the inbox at %s answers %d and no count: %.200s", base, resp.StatusCode, b)
	}
	return *v.Total, nil
}
