package main

import (
	"container/heap"
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/google/uuid"
)

// desk is where the processor, which owns what is on record, and the workers,
// which talk to the SMTP server, meet. A mail passes it in these steps; the
// processor's are those of its Tick:
//
//	put     processor  the mail is QUEUED and will be due at a time
//	next    worker     takes it, connects, and offers it to the server
//	claim   worker     the server is ready for its text: asks for it and waits
//	        processor  writes SENDING; one tick later, when that is committed, lets go
//	finish  worker     tells the outcome, of an offer that was refused, too
//	        processor  writes it; one tick later, when that is committed, forgets it
//
// All that the processor writes may be undone before it is committed, so it
// looks at the state again in the next tick and does it again if need be.
type desk struct {
	mu       sync.Mutex
	held     map[int32]bool
	queue    dueQueue
	attempts map[string]*attempt // by order id
	closed   bool                // nothing is handed out until partitions are taken
	stopped  bool                // and never again
	changed  chan struct{}       // closed, and made anew, when something changes
	pausedTo time.Time           // the SMTP server is away until then
	outages  int                 // times in a row that it was
	life     string              // of this process
	number   int                 // of the last attempt
}

// attempt is one mail in the hands of a worker.
type attempt struct {
	orderID   string
	to        string
	partition int32
	name      string // on record while SENDING
	phase     phase
	letter    *letter // as it was claimed
	outcome   outcome
	answer    chan bool // to claim: true, send it; false, leave it
	wrote     []byte    // the record of the outcome
}

type phase int

const (
	taken    phase = iota // a worker has it and offers it to the server
	asked                 // SENDING is to be written
	written               // SENDING is written, maybe not committed
	running               // the server may have it
	finished              // the outcome is to be written
)

func newDesk() *desk {
	return &desk{held: map[int32]bool{}, attempts: map[string]*attempt{}, changed: make(chan struct{}), life: uuid.NewString()}
}

// signal wakes all who wait. The lock is held.
func (d *desk) signal() {
	close(d.changed)
	d.changed = make(chan struct{})
}

// take sets the partitions that are ours. What waits of others is forgotten;
// what is on its way goes on, so that it is known if its partition comes back.
func (d *desk) take(partitions []int32) {
	d.mu.Lock()
	defer d.mu.Unlock()
	clear(d.held)
	for _, p := range partitions {
		d.held[p] = true
	}
	d.closed = d.stopped
	d.queue = nil // read anew from the state
	for _, a := range d.attempts {
		if !d.held[a.partition] {
			d.refuse(a)
		}
	}
	d.signal()
}

// refuse takes a mail back from a worker that hasn't begun with it. The lock is
// held.
func (d *desk) refuse(a *attempt) {
	switch a.phase {
	case taken:
		delete(d.attempts, a.orderID)
	case asked, written:
		delete(d.attempts, a.orderID)
		a.answer <- false
	case running, finished:
	}
}

// put queues a mail.
func (d *desk) put(l *letter, partition int32) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.push(l, partition)
	d.signal()
}

// push is put under the lock, without waking anybody.
func (d *desk) push(l *letter, partition int32) {
	heap.Push(&d.queue, dueMail{l.OrderID, l.To, partition, time.UnixMilli(l.RetryAt)})
}

// has tells whether an attempt of this name is in hand.
func (d *desk) has(orderID, name string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	a := d.attempts[orderID]
	return a != nil && a.name == name
}

// next hands out a mail that is due, and waits for one. It returns nil when ctx
// ends.
func (d *desk) next(ctx context.Context) *attempt {
	for {
		d.mu.Lock()
		a, wait := d.pop()
		changed := d.changed
		d.mu.Unlock()
		if a != nil {
			return a
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-changed:
		case <-timer.C:
		}
		timer.Stop()
	}
}

// pop takes the next mail that is due, or tells how long to wait. The lock is held.
func (d *desk) pop() (*attempt, time.Duration) {
	const long = time.Minute
	now := time.Now()
	if d.closed {
		return nil, long
	}
	if d.pausedTo.After(now) {
		return nil, d.pausedTo.Sub(now)
	}
	for len(d.queue) > 0 {
		first := d.queue[0]
		if first.due.After(now) {
			return nil, min(long, first.due.Sub(now))
		}
		heap.Pop(&d.queue)
		if !d.held[first.partition] || d.attempts[first.orderID] != nil {
			continue
		}
		d.number++
		a := &attempt{orderID: first.orderID, to: first.to, partition: first.partition, name: fmt.Sprintf("%s/%d", d.life, d.number), answer: make(chan bool, 1)}
		d.attempts[first.orderID] = a
		return a, 0
	}
	return nil, long
}

// giveBack returns a mail that there is no connection for, and lets all workers
// wait, longer each time: the server is away for every mail. It tells whether the
// outage is news.
func (d *desk) giveBack(a *attempt) (news bool) {
	const shortest, longest = 100 * time.Millisecond, 10 * time.Second
	d.mu.Lock()
	defer d.mu.Unlock()
	if now := time.Now(); !d.pausedTo.After(now) {
		pause := min(longest, shortest<<min(d.outages, 10))
		d.pausedTo = now.Add(pause)
		d.outages++
		news = d.outages == 1
	}
	if d.attempts[a.orderID] == a {
		delete(d.attempts, a.orderID)
		heap.Push(&d.queue, dueMail{a.orderID, a.to, a.partition, time.Now()})
	}
	return news
}

// connected says that the server is there. It tells whether that is news.
func (d *desk) connected() (news bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	news = d.outages > 0
	d.outages, d.pausedTo = 0, time.Time{}
	if news {
		d.signal()
	}
	return news
}

// claim asks that the mail be put on record as SENDING. When it returns the
// letter, that is committed.
func (d *desk) claim(ctx context.Context, a *attempt) *letter {
	d.mu.Lock()
	if d.attempts[a.orderID] != a {
		d.mu.Unlock()
		return nil
	}
	a.phase = asked
	d.mu.Unlock()
	select {
	case ok := <-a.answer:
		if !ok {
			return nil
		}
		return a.letter
	case <-ctx.Done():
		d.mu.Lock()
		defer d.mu.Unlock()
		switch {
		case d.attempts[a.orderID] != a:
		case a.phase == asked:
			delete(d.attempts, a.orderID)
		case a.phase == written, a.phase == running: // on record, and not begun
			a.phase, a.outcome = finished, outcome{kind: notStarted}
		}
		return nil
	}
}

// finish tells how it ended.
func (d *desk) finish(a *attempt, o outcome) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.attempts[a.orderID] != a {
		return // taken back meanwhile; it had not begun
	}
	a.phase, a.outcome = finished, o
	d.signal()
}

// close hands nothing out any more, takes back what is not begun, and waits until
// no worker has a mail, or ctx ends.
func (d *desk) close(ctx context.Context) {
	d.mu.Lock()
	d.closed = true
	for _, a := range d.attempts {
		switch a.phase {
		case taken, asked:
			d.refuse(a)
		case written:
			// It may be on record: then that is taken back like an outcome.
			a.phase, a.outcome = finished, outcome{kind: notStarted}
			a.answer <- false
		case running, finished:
		}
	}
	d.mu.Unlock()
	d.wait(ctx, func() bool {
		for _, a := range d.attempts {
			if a.phase == running {
				return false
			}
		}
		return true
	})
}

// stop is close for good.
func (d *desk) stop(ctx context.Context) {
	d.mu.Lock()
	d.stopped = true
	d.mu.Unlock()
	d.close(ctx)
}

// drained waits until everything is on record, or ctx ends.
func (d *desk) drained(ctx context.Context) {
	d.wait(ctx, func() bool { return len(d.attempts) == 0 })
}

func (d *desk) wait(ctx context.Context, done func() bool) {
	for {
		d.mu.Lock()
		ok, changed := done(), d.changed
		d.mu.Unlock()
		if ok {
			return
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return
		}
	}
}

// counts are the mails that wait and those that workers have.
func (d *desk) counts() (waiting, busy int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.queue), len(d.attempts)
}

type dueMail struct {
	orderID   string
	to        string
	partition int32
	due       time.Time
}

// dueQueue is a heap by the time at which a mail is due.
type dueQueue []dueMail

func (q dueQueue) Len() int           { return len(q) }
func (q dueQueue) Less(i, j int) bool { return q[i].due.Before(q[j].due) }
func (q dueQueue) Swap(i, j int)      { q[i], q[j] = q[j], q[i] }
func (q *dueQueue) Push(x any)        { *q = append(*q, x.(dueMail)) }
func (q *dueQueue) Pop() any {
	old := *q
	x := old[len(old)-1]
	*q = old[:len(old)-1]
	return x
}
