package runtime

import (
	"context"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
)

// commit ends the transaction: changelogs, then offsets, then the end; and when
// that is done, the local store.
func (l *life) commit() error {
	ctx := l.ctx
	for _, t := range l.tasks {
		if t.dirty {
			t.exec.Flush()
		}
	}
	for _, s := range l.stores {
		if s.table.Changed() > 0 {
			if err := s.record(ctx, l.prod); err != nil {
				return err
			}
		}
	}
	var offsets []position
	for _, s := range l.sources {
		p := l.position(s)
		if at, ok := l.committed[s.topicPartition]; ok && at == p.offset && p.note == "" {
			continue
		}
		offsets = append(offsets, p)
	}
	if len(offsets) == 0 && l.prod.records == 0 {
		return nil
	}
	if err := l.prod.commit(ctx, offsets); err != nil {
		return err
	}
	for _, p := range offsets {
		l.committed[p.topicPartition] = p.offset
	}
	for _, s := range l.stores {
		if err := s.settle(l.batch); err != nil {
			return err
		}
	}
	if err := l.batch.Commit(); err != nil {
		return err
	}
	for _, s := range l.stores {
		if s.table.Changed() > 0 {
			s.table.Discard()
		}
	}
	var latest int64
	for _, t := range l.tasks {
		if ms, ok := t.exec.StreamTime(); ok && t.dirty && ms > latest {
			latest = ms
		}
		t.dirty = false
	}
	q := l.q
	if latest > 0 {
		q.LastTime.Store(latest)
	}
	l.count()
	q.Commits.Add(1)
	l.measure()
	q.rt.keep()
	l.purge.after(l, offsets)
	return nil
}

// keepInterval is how often the stores are written down: how much of the
// changelogs a crash makes the next start read.
const keepInterval = time.Minute

// keep has the stores written down, now and then, without waiting for it.
func (r *Runtime) keep() {
	last, now := r.kept.Load(), time.Now().UnixMilli()
	if now-last >= keepInterval.Milliseconds() && r.kept.CompareAndSwap(last, now) && last != 0 {
		r.disk.FlushSoon()
	}
}

// Repartition topics are emptied now and then behind what was read.
const (
	purgeInterval = 30 * time.Second // by default
	purgeTimeout  = 10 * time.Second
)

// purger deletes records of repartition topics that have been read.
type purger struct {
	wg      sync.WaitGroup
	last    time.Time
	behind  map[topicPartition]int64
	running chan struct{}
}

func (p *purger) after(l *life, offsets []position) {
	if len(l.internal) == 0 {
		return
	}
	for _, o := range offsets {
		if l.internal[o.topic] && o.offset > 0 {
			if p.behind == nil {
				p.behind = map[topicPartition]int64{}
				p.last = time.Now()
			}
			p.behind[o.topicPartition] = o.offset
		}
	}
	if len(p.behind) == 0 || time.Since(p.last) < l.q.rt.cfg.PurgeInterval {
		return
	}
	if p.running != nil {
		select {
		case <-p.running:
		default:
			return
		}
	}
	var behind kadm.Offsets
	for tp, o := range p.behind {
		behind.Add(kadm.Offset{Topic: tp.topic, Partition: tp.partition, At: o, LeaderEpoch: -1})
	}
	clear(p.behind)
	p.last = time.Now()
	done := make(chan struct{})
	p.running = done
	p.wg.Add(1)
	go func() {
		defer p.wg.Done()
		defer close(done)
		ctx, cancel := context.WithTimeout(l.ctx, purgeTimeout)
		defer cancel()
		if _, err := l.admin.DeleteRecords(ctx, behind); err != nil {
			l.q.rt.log.Debug("repartition topics can't be emptied", "query", l.q.id, "err", err)
		}
	}()
}

func (p *purger) wait() { p.wg.Wait() }
