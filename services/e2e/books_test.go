package e2e

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/stretchr/testify/require"
)

// checkBooks reads the topics alone and fails unless they add up: n orders were
// accepted, each has one CREATED and one final state, in this order and with its
// fields unchanged; no validator answered an order twice; and of each product
// the reserved stock is that of the orders that hold some, and never more than
// there ever was.
func (s *stack) checkBooks(n int) {
	s.t.Helper()
	// Releases of failed orders come behind their final state.
	s.eventually(60*time.Second, "the books add up", func() error { return s.books(n) })
}

func (s *stack) books(n int) error {
	orders, err := s.tryRead("orders")
	if err != nil {
		return err
	}
	type life struct {
		states  []string
		content string
		product string
		amount  int
	}
	lives := map[string]*life{}
	for _, r := range orders {
		content := r.str("CUSTOMERID") + " " + r.str("PRODUCT") + " " + r.str("QUANTITY") + " " + r.str("PRICE")
		l := lives[string(r.Key)]
		if l == nil {
			amount, err := strconv.Atoi(r.str("QUANTITY"))
			if err != nil {
				return fmt.Errorf("order %s: %w", r.Key, err)
			}
			l = &life{content: content, product: r.str("PRODUCT"), amount: amount}
			lives[string(r.Key)] = l
		}
		if content != l.content {
			return fmt.Errorf("order %s changed from %q to %q", r.Key, l.content, content)
		}
		l.states = append(l.states, r.str("STATE"))
	}
	if len(lives) != n {
		return fmt.Errorf("%d orders on the topic, %d accepted", len(lives), n)
	}
	held := map[string]int{}
	for id, l := range lives {
		if len(l.states) != 2 || l.states[0] != "CREATED" || (l.states[1] != "VALIDATED" && l.states[1] != "FAILED") {
			return fmt.Errorf("order %s went through %v", id, l.states)
		}
		if l.states[1] == "VALIDATED" {
			held[l.product] += l.amount
		}
	}
	for _, topic := range []string{"fraud-validations", "inventory-validations", "details-validations"} {
		seen := map[string]bool{}
		validations, err := s.tryRead(topic)
		if err != nil {
			return err
		}
		for _, r := range validations {
			if seen[string(r.Key)] {
				return fmt.Errorf("%s answers order %s twice", topic, r.Key)
			}
			seen[string(r.Key)] = true
			if lives[string(r.Key)] == nil {
				return fmt.Errorf("%s answers order %s, which nobody placed", topic, r.Key)
			}
		}
	}
	return s.stockBooks(held)
}

func (s *stack) stockBooks(held map[string]int) error {
	most := map[string]int{}
	stock, err := s.tryRead("warehouse-inventory")
	if err != nil {
		return err
	}
	for _, r := range stock {
		v, err := strconv.Atoi(r.str("STOCK"))
		if err != nil {
			return fmt.Errorf("stock of %s: %w", r.Key, err)
		}
		most[string(r.Key)] = max(most[string(r.Key)], v)
	}
	reserved, err := s.tryRead("reserved-stock")
	if err != nil {
		return err
	}
	last := map[string]int{}
	for _, r := range reserved {
		v, err := strconv.Atoi(r.str("RESERVED"))
		if err != nil {
			return fmt.Errorf("reserved stock of %s: %w", r.Key, err)
		}
		if v < 0 || v > most[string(r.Key)] {
			// Not to be waited for: it was wrong at this moment already.
			require.Failf(s.t, "oversold", "%d of %s reserved, the most there ever was is %d", v, r.Key, most[string(r.Key)])
		}
		last[string(r.Key)] = v
	}
	for product := range most {
		if held[product] != last[product] {
			return fmt.Errorf("%d of %s reserved, VALIDATED orders hold %d", last[product], product, held[product])
		}
	}
	return nil
}

// story is everything that the topics say of an order, for a test that failed.
func (s *stack) story(id string) string {
	var b strings.Builder
	for _, topic := range []string{"order-requests", "order-outcomes", "orders", "fraud-window", "orders-by-product", "fraud-validations", "inventory-validations",
		"details-validations", "order-validations", "order-verdicts"} {
		records, err := s.tryRead(topic)
		if err != nil {
			fmt.Fprintf(&b, "%s: %v\n", topic, err)
		}
		for _, r := range records {
			if string(r.Key) == id || r.str("ID") == id || r.str("ORDERID") == id {
				fmt.Fprintf(&b, "%s-%d@%d %s %s\n", topic, r.Partition, r.Offset, r.Timestamp.Format("15:04:05.000"), r.Value)
			}
		}
	}
	return b.String()
}
