package shop

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math/big"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// flows is what the topics say about the orders that are paid: all of them are to
// be shipped, and to have one invoice.
type flows struct {
	states   map[string]string
	paid     map[string]bool
	declined map[string]bool
	sent     map[string]int    // shipments of an order
	invoices map[string]string // order → amount
}

func readFlows(ctx context.Context, broker string) (*flows, error) {
	f := &flows{states: map[string]string{}, paid: map[string]bool{}, declined: map[string]bool{}, sent: map[string]int{}, invoices: map[string]string{}}
	return f, scan(ctx, broker, []string{"orders", "payments", "payment-failures", "shipments", "invoices"}, f.record)
}

func (f *flows) record(r *kgo.Record) error {
	if r.Value == nil {
		return nil
	}
	var v struct {
		OrderID string      `json:"orderId"`
		State   string      `json:"state"`
		Amount  json.Number `json:"amount"`
	}
	if err := json.Unmarshal(r.Value, &v); err != nil {
		return err
	}
	key := string(r.Key)
	switch r.Topic {
	case "orders":
		f.states[key] = v.State
	case "payments":
		f.paid[v.OrderID] = true
	case "payment-failures":
		f.declined[key] = true
	case "shipments":
		f.sent[key]++
	case "invoices":
		f.invoices[key] = v.Amount.String()
	}
	return nil
}

// open names the orders that aren't where they belong yet.
func (f *flows) open() []string {
	var out []string
	for _, id := range slices.Sorted(maps.Keys(f.states)) {
		state := f.states[id]
		if state != validated && state != shipped {
			continue
		}
		switch {
		case !f.paid[id] && !f.declined[id]:
			out = append(out, fmt.Sprintf("order %s is %s and neither paid nor declined", id, state))
		case f.paid[id] && (state != shipped || f.sent[id] != 1):
			out = append(out, fmt.Sprintf("order %s is paid and %s, with %d shipments", id, state, f.sent[id]))
		case f.paid[id] && f.invoices[id] == "":
			out = append(out, fmt.Sprintf("order %s is paid and has no invoice", id))
		}
	}
	return out
}

// faults are shipments and invoices that must not be.
func (f *flows) faults() []string {
	var out []string
	for _, id := range slices.Sorted(maps.Keys(f.sent)) {
		if !f.paid[id] || f.states[id] != shipped {
			out = append(out, fmt.Sprintf("order %s was sent; it is %s, paid: %v", id, orNone(f.states[id]), f.paid[id]))
		}
	}
	for _, id := range slices.Sorted(maps.Keys(f.invoices)) {
		if !f.paid[id] {
			out = append(out, fmt.Sprintf("order %s has an invoice and isn't paid", id))
		}
	}
	return out
}

// followFlows waits until each paid order is shipped and billed, and reports.
func followFlows(ctx context.Context, o Options) ([]string, error) {
	for deadline := time.Now().Add(settle); ; {
		f, err := readFlows(ctx, o.Broker)
		if err != nil {
			return nil, err
		}
		if len(f.open()) > 0 && time.Now().Before(deadline) {
			select {
			case <-ctx.Done():
				return nil, ctx.Err()
			case <-time.After(300 * time.Millisecond):
			}
			continue
		}
		revenue := new(big.Rat)
		for _, amount := range f.invoices {
			if n, ok := new(big.Rat).SetString(amount); ok {
				revenue.Add(revenue, n)
			}
		}
		o.Say("%d orders are paid, shipped and billed, %s EUR in all; %d were declined by the payment provider", len(f.invoices), revenue.FloatString(2), len(f.declined))
		return append(f.open(), f.faults()...), nil
	}
}
