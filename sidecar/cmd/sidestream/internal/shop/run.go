package shop

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"text/tabwriter"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"golang.org/x/sync/errgroup"

	"github.com/sidestream/sidestream/sidecar/cmd/sidestream/internal/feed"
)

// Options of Run.
type Options struct {
	API    string // base URL of the orders API
	Broker string
	Seed   uint64
	Orders int
	Mail   Mail
	// Flows has the demo follow paid orders to their shipment and invoice.
	Flows bool
	// Say shows lines.
	Say func(format string, args ...any)
}

// settle is how long orders may take to their final states: those whose check
// stays away end after a minute.
const settle = 90 * time.Second

// Run loads the shop, places orders of every kind, and reports. What doesn't add
// up is the error.
func Run(ctx context.Context, o Options) error {
	list := orders(o.Seed, o.Orders)
	if err := load(ctx, o, len(list)); err != nil {
		return err
	}
	if err := stocked(ctx, o.Broker); err != nil {
		return err
	}
	o.Say("the shop has %d products and %d customers; placing %d orders (seed %d)", len(products), len(list), len(list), o.Seed)
	begin, before := time.Now(), 0
	if o.Mail.Inbox != "" {
		n, err := inbox(ctx, o.Mail.Inbox)
		if err != nil {
			return err
		}
		before = n
	}
	if err := place(ctx, o, list); err != nil {
		return err
	}
	placed := time.Since(begin)
	o.Say("%d orders placed in %v", len(list), placed.Round(time.Millisecond))
	if o.Mail.Pay {
		if err := pay(ctx, o, list); err != nil {
			return err
		}
	}
	books, err := Settle(ctx, o.Broker, settle, nil)
	if err != nil {
		return err
	}
	report, faults := judge(books, list)
	o.Say("%s", report)
	faults = append(faults, books.Faults()...)
	if o.Mail.Program != "" {
		more, err := followMails(ctx, o, begin, before)
		if err != nil {
			return err
		}
		faults = append(faults, more...)
	}
	if o.Flows {
		more, err := followFlows(ctx, o)
		if err != nil {
			return err
		}
		faults = append(faults, more...)
	}
	if len(faults) == 0 {
		o.Say("the books add up: each of %d orders has one final state, reserved stock is what the VALIDATED orders hold, and nothing is oversold", len(books.orders))
		return nil
	}
	more := ""
	if len(faults) > 20 {
		more = fmt.Sprintf("\n  and %d more", len(faults)-20)
		faults = faults[:20]
	}
	return fmt.Errorf("not all is as it should be:\n  %s%s", strings.Join(faults, "\n  "), more)
}

// load writes customers, stock and list prices as their owners would.
func load(ctx context.Context, o Options, customers int) error {
	rng := rand.New(rand.NewPCG(o.Seed, 2))
	var lines strings.Builder
	for i := range customers {
		lines.WriteString(customer(firstCustomer+i, rng) + "\n")
	}
	if err := put(ctx, o.Broker, feed.Customers, lines.String()); err != nil {
		return err
	}
	lines.Reset()
	for _, p := range products {
		fmt.Fprintf(&lines, "{\"product\":%q,\"stock\":%d}\n", p.name, p.stock)
	}
	if err := put(ctx, o.Broker, feed.Stock, lines.String()); err != nil {
		return err
	}
	lines.Reset()
	for _, p := range products {
		fmt.Fprintf(&lines, "{\"product\":%q,\"listPrice\":%d.%02d}\n", p.name, p.cents/100, p.cents%100)
	}
	return put(ctx, o.Broker, feed.Products, lines.String())
}

func put(ctx context.Context, broker string, kind feed.Kind, lines string) error {
	var failed error
	bad := func(e feed.RowError) {
		if failed == nil {
			failed = fmt.Errorf("loading %s: %w", kind, e)
		}
	}
	t, err := feed.OpenTopic(ctx, []string{broker}, kind, bad)
	if err != nil {
		return err
	}
	err = feed.Read(strings.NewReader(lines), kind, func(r feed.Row) error {
		t.Put(ctx, r, func() {})
		return nil
	}, bad)
	if cerr := t.Close(ctx); err == nil {
		err = cerr
	}
	if err == nil {
		err = failed
	}
	return err
}

// stocked waits until the inventory has read the stock. Orders come to it on
// another topic, and those that overtake the stock would find an empty shop.
func stocked(ctx context.Context, broker string) error {
	const topic = "warehouse-inventory"
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	cl, err := kgo.NewClient(kgo.SeedBrokers(broker))
	if err != nil {
		return err
	}
	defer cl.Close()
	adm := kadm.NewClient(cl)
	for {
		lags, err := adm.Lag(ctx)
		if err != nil {
			return fmt.Errorf("asking how far the stock has been read: %w", err)
		}
		read := false
		for _, group := range lags {
			if ps := group.Lag[topic]; len(ps) > 0 {
				read = group.Lag.TotalByTopic()[topic].Lag == 0
			}
		}
		if read {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("nobody has read the stock from %s: is the inventory service up?", topic)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// place posts the orders, some at a time.
func place(ctx context.Context, o Options, list []order) error {
	const clients = 16
	api, err := feed.NewAPI(o.API, clients)
	if err != nil {
		return err
	}
	var next atomic.Int64
	g, ctx := errgroup.WithContext(ctx)
	for range clients {
		g.Go(func() error {
			for {
				i := int(next.Add(1)) - 1
				if i >= len(list) {
					return nil
				}
				bounded, cancel := context.WithTimeout(ctx, time.Minute)
				_, err := api.Post(bounded, list[i].json())
				cancel()
				if err != nil {
					return fmt.Errorf("order %s (%s): %w", list[i].ID, kinds[list[i].Kind].name, err)
				}
			}
		})
	}
	return g.Wait()
}

// judge says how each kind ended, and what should have ended in another way.
func judge(b *Books, list []order) (report string, faults []string) {
	type tally struct {
		orders, validated, failed int
		reason                    string
	}
	tallies := make([]tally, len(kinds))
	for _, o := range list {
		t, k := &tallies[o.Kind], kinds[o.Kind]
		t.orders++
		e := b.orders[o.ID]
		if e == nil {
			faults = append(faults, fmt.Sprintf("order %s (%s) isn't on the orders topic", o.ID, k.name))
			continue
		}
		switch e.State {
		case validated, shipped:
			t.validated++
		case failed:
			t.failed++
			reasons := strings.Join(e.Reasons, "; ")
			if t.reason == "" {
				t.reason = reasons
			}
			if k.reason != "" && !strings.Contains(reasons, k.reason) {
				faults = append(faults, fmt.Sprintf("order %s (%s) FAILED for %q, in which %q isn't", o.ID, k.name, reasons, k.reason))
			}
		}
		if k.state != "" && len(e.finals) > 0 && e.finals[0] != k.state {
			faults = append(faults, fmt.Sprintf("order %s (%s) is %s instead of %s %v", o.ID, k.name, e.finals[0], k.state, e.Reasons))
		}
	}
	var out strings.Builder
	w := tabwriter.NewWriter(&out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "kind\torders\tVALIDATED\tFAILED\twhy, for instance\n")
	for i, t := range tallies {
		fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%s\n", kinds[i].name, t.orders, t.validated, t.failed, t.reason)
		if kinds[i].name == "last pieces" && t.validated != min(t.orders, lastPieces.stock) {
			faults = append(faults, fmt.Sprintf("%d orders got one of the last %d %s", t.validated, lastPieces.stock, lastPieces.name))
		}
	}
	w.Flush()
	return strings.TrimRight(out.String(), "\n"), faults
}
