package main

import (
	"errors"
	"fmt"
	"hash/fnv"

	"github.com/sidestream/sidestream/services/internal/order"
)

// charge is what a provider is asked for.
type charge struct {
	// key is the payment's id. Providers keep it: to charge the same key again
	// charges nobody twice, so that a charge may be repeated when its answer got
	// lost.
	key    string
	order  string
	ccy    string
	amount order.Money
	try    int // from 1
}

// provider takes money. A declined error is final; any other may pass.
type provider interface {
	charge(charge) error
}

// declined is a refusal that trying again doesn't change.
type declined struct{ reason string }

func (d declined) Error() string { return d.reason }

// simulated is a provider for demos and tests. What becomes of a charge depends
// only on its order and try, so that a run can be repeated.
type simulated struct {
	declines int // percent of the orders whose card is declined
	outages  int // percent of the tries that find the provider away
}

func (s simulated) charge(c charge) error {
	if chance("outage", c.order, c.try) < s.outages {
		return errors.New("the provider is away")
	}
	if chance("decline", c.order, 0) < s.declines {
		return declined{"the card was declined"}
	}
	return nil
}

// chance is a number from 0 to 99 that depends on what it is given alone.
func chance(what, id string, try int) int {
	h := fnv.New64a()
	fmt.Fprintf(h, "%s/%s/%d", what, id, try)
	n := h.Sum64()
	n ^= n >> 33 // FNV's low bits alone are not even
	return int(n * 0x9E3779B97F4A7C15 >> 33 % 100)
}
