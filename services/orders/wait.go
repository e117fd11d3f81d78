package main

import (
	"context"
	"time"

	"github.com/sidestream/sidestream/services/internal/order"
	"github.com/sidestream/sidestream/services/internal/web"
)

// found is what is known of an order.
type found struct {
	ok    bool
	order order.Order
	raw   []byte // JSON of order
}

func (f *found) newer(o order.Order, raw []byte) {
	if f.ok && f.order.Version >= o.Version {
		return
	}
	if raw == nil {
		raw = o.Encode()
	}
	*f = found{ok: true, order: o, raw: raw}
}

type viewAnswer struct {
	order order.Order
	ok    bool
	err   error
}

// await waits until done holds for the order, for at most the given time (zero:
// not at all), and returns what is known of it then.
//
// It registers for the order's records first and reads second, so no change
// falls between the two. What is read is the newest records of this replica;
// and the SQL view if those don't have the order, or if always is set. An order
// that this replica hasn't seen (it was decided before the replica started) may
// still be on its way into the view, so the view is asked again now and then.
//
// The problem is 503: a part that is needed is away, or the server drains.
func (a *api) await(ctx context.Context, id string, wait time.Duration, always bool, done func(*order.Order) bool) (found, *web.Problem) {
	var f found
	w, r := a.recent.watch(id)
	defer w.stop()
	take := func(r *record) bool {
		if o, err := r.order(); err != nil {
			a.log.Error("a record of orders can't be read", "partition", r.partition, "offset", r.offset, "error", err)
		} else {
			f.newer(o, r.value)
		}
		return f.ok && done(&f.order)
	}
	if r != nil && take(r) && !always {
		return f, nil
	}

	began := time.Now()
	ctx, cancel := context.WithDeadline(ctx, began.Add(max(wait, a.readTime)))
	defer cancel()
	answers := make(chan viewAnswer, 1)
	ask := func() {
		bound, cancel := context.WithTimeout(ctx, a.readTime)
		defer cancel()
		var v viewAnswer
		v.order, v.ok, v.err = a.view.get(bound, id)
		answers <- v // holds one, and one is under way at most
	}
	var lastErr error
	asking := always || !f.ok
	if asking {
		go ask()
	}
	again := time.NewTimer(time.Hour)
	defer again.Stop()
	pause := 100 * time.Millisecond
	over := time.NewTimer(wait)
	defer over.Stop()
	expired := false
	draining := web.Draining(ctx)
	if wait == 0 {
		draining = nil // it has its answer in a moment
	}
	for {
		// The time is over when it is over and the view has had its say once.
		if expired && !asking {
			switch {
			case lastErr != nil:
				return f, a.viewProblem(lastErr)
			case a.away():
				return f, web.Unavailable("The order can't be read now: the Kafka broker doesn't answer. Nothing is lost; try again.")
			}
			return f, nil
		}
		select {
		case r := <-w.C:
			if take(r) && !(always && asking) {
				return f, nil
			}
		case v := <-answers:
			asking = false
			if lastErr = v.err; v.err == nil {
				_ = a.viewProblem(nil) // it answers: for the log
				if v.ok {
					f.newer(v.order, nil)
				}
				if f.ok && done(&f.order) {
					return f, nil
				}
			}
			if !expired && (!f.ok || lastErr != nil) {
				again.Reset(pause)
				pause = min(2*pause, 2*time.Second)
			}
		case <-again.C:
			asking = true
			go ask()
		case <-over.C:
			expired = true
		case <-draining:
			return f, web.Unavailable("This instance is shutting down; another one answers.")
		case <-ctx.Done():
			if expired {
				if lastErr == nil {
					lastErr = context.Cause(ctx)
				}
				return f, a.viewProblem(lastErr)
			}
			return f, web.Unavailable("The client went away.")
		}
	}
}
