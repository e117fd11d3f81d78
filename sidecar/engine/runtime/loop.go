package runtime

import (
	"context"
	"fmt"
	"time"
)

const (
	// quantum is how many records a task processes before the next task has its turn.
	quantum = 512
	// closing bounds the last commit of a query that is told to stop.
	closing = 5 * time.Second
	// Commits beyond a burst keep a distance: a busy query gathers records rather
	// than paying a transaction for each.
	commitDistance = 4 * time.Millisecond
	commitBurst    = 4
	// refresh is how often the offsets of quiet partitions are committed again, for
	// brokers forget those of groups without members after some days.
	refresh = 12 * time.Hour
	// transactionMax bounds the bytes written in one transaction.
	transactionMax = 8 << 20
)

// loop runs until the query is paused (nil), stopped or fails.
func (l *life) loop(ctx context.Context) error {
	q := l.q
	if l.unset {
		// Where a query begins is committed first: what is written while it is down
		// must not be passed by.
		if err := l.commit(); err != nil {
			return err
		}
	}
	f := fetch(ctx, l.client, l.sources)
	defer f.close()
	q.setState(Running, nil)

	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	pace := newPace(commitDistance, commitBurst)
	refreshed := time.Now()
	var since time.Time // when the open transaction began; zero without
	for {
		paused, wake := q.pauseState()
		if paused || ctx.Err() != nil {
			f.close()
			return l.settle(since)
		}
		worked, err := l.work()
		if err != nil {
			return err
		}
		now := time.Now()
		if worked > 0 {
			if since.IsZero() {
				since = now
			}
			q.Processed.Add(int64(worked))
			if now.Sub(since) < q.opts.CommitInterval && l.prod.bytes < transactionMax {
				select {
				case chunks := <-f.out:
					if err := l.arrive(chunks); err != nil {
						return err
					}
				case err := <-f.errs:
					return err
				default:
				}
				continue
			}
		}
		if now.Sub(refreshed) > refresh {
			clear(l.committed)
			refreshed, since = now, now
		}
		var wait time.Duration = -1
		if !since.IsZero() {
			due := since.Add(q.rt.cfg.OffsetInterval)
			if l.urgent() {
				due = now.Add(pace.wait(now))
			}
			if now.Sub(since) >= q.opts.CommitInterval && l.urgent() || !now.Before(due) {
				if err := l.commit(); err != nil {
					return err
				}
				pace.take()
				since = time.Time{}
				if worked > 0 {
					continue
				}
			} else {
				wait = due.Sub(now)
			}
		}
		if worked > 0 {
			continue
		}
		l.measure()
		var due <-chan time.Time
		if wait >= 0 {
			timer.Reset(wait)
			due = timer.C
		}
		select {
		case chunks := <-f.out:
			if err := l.arrive(chunks); err != nil {
				return err
			}
		case err := <-f.errs:
			return err
		case <-due:
		case <-wake:
		case <-ctx.Done():
		}
	}
}

// settle commits what is done when a query stops or pauses.
func (l *life) settle(since time.Time) error {
	if since.IsZero() {
		return nil
	}
	return l.commit()
}

// measure tells how far the query is behind its inputs.
func (l *life) measure() {
	lag := int64(0)
	for _, s := range l.sources {
		if s.known {
			lag += max(0, s.stable-s.done())
		}
	}
	l.q.Lag.Store(lag)
}

func (l *life) arrive(chunks []*chunk) error {
	for _, c := range chunks {
		if err := c.source.arrive(c); err != nil {
			return err
		}
	}
	return nil
}

// work lets each task process a quantum.
func (l *life) work() (int, error) {
	total := 0
	now := int64(0)
	for _, t := range l.tasks {
		if t.next() == nil {
			continue
		}
		if now == 0 {
			now = time.Now().UnixMilli()
		}
		t.exec.AdvanceWallClock(now)
		n, err := t.run(quantum)
		if total += n; err != nil {
			return total, fmt.Errorf("task %d_%d: %w", t.sub.ID, t.partition, err)
		}
	}
	return total, nil
}

// urgent tells that someone waits for the commit: records were written, or rows
// that pull queries find.
func (l *life) urgent() bool {
	if l.prod.records > 0 {
		return true
	}
	for _, s := range l.stores {
		if s.table.Changed() > 0 {
			return true
		}
	}
	return false
}
