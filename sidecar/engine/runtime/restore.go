package runtime

import (
	"context"
	"fmt"

	"github.com/sidestream/sidestream/sidecar/engine/exec"
	"github.com/sidestream/sidestream/sidecar/engine/plan"
	"github.com/sidestream/sidestream/sidecar/engine/state"
)

// restoreBatch is how many bytes of restored entries are written at once.
const restoreBatch = 1 << 20

// restoring is a partition that a store is restored from.
type restoring struct {
	store  *store
	log    *storeLog
	source *source
	queue  *queue
	end    int64
	task   *exec.Task // of a store without a changelog: decodes its topic
}

// restore brings the stores to what was committed: from where they are on disk,
// or, where that isn't part of the changelog's history, from nothing.
func (l *life) restore(ctx context.Context, starts, ends map[topicPartition]int64) error {
	var todo []*restoring
	total := int64(0)
	for _, t := range l.tasks {
		for _, st := range t.stores {
			list, err := l.missing(t, st, starts, ends)
			if err != nil {
				return err
			}
			for _, r := range list {
				total += r.end - r.source.next
			}
			todo = append(todo, list...)
		}
	}
	q := l.q
	q.restored.Store(0)
	q.toRestore.Store(total)
	if len(todo) == 0 {
		q.ready.Store(true)
		return nil
	}
	q.rt.log.Info("restoring", "query", q.id, "records", total)
	if err := l.replay(ctx, todo); err != nil {
		return fmt.Errorf("restore: %w", err)
	}
	q.restored.Store(total)
	q.ready.Store(true)
	return nil
}

// missing tells what a store lacks of its logs. A store that is ahead of them,
// or behind what they still hold, starts from nothing.
func (l *life) missing(t *task, st *store, starts, ends map[topicPartition]int64) ([]*restoring, error) {
	fits, holds := true, false
	end := map[*storeLog]int64{}
	for _, g := range st.logs {
		if err := g.load(l.q.rt.disk); err != nil {
			return nil, err
		}
		end[g] = ends[g.topicPartition]
		if g.queue != nil { // not further than the query has read
			end[g] = g.queue.pos
			if _, known := l.committed[g.topicPartition]; !known {
				end[g] = starts[g.topicPartition] // what is before its beginning is not the query's
			}
		}
		holds = holds || g.held >= 0
		if g.held > end[g] || g.held >= 0 && g.held < starts[g.topicPartition] {
			fits = false
		}
	}
	if !fits || !holds {
		l.q.ready.Store(false)
		if err := l.q.rt.disk.Wipe(st.data); err != nil {
			return nil, err
		}
		if err := l.q.rt.disk.Wipe(st.meta); err != nil {
			return nil, err
		}
		for _, g := range st.logs {
			g.held = -1
		}
	}
	var out []*restoring
	for _, g := range st.logs {
		from := max(g.held, starts[g.topicPartition])
		if from >= end[g] {
			continue
		}
		s := &source{topicPartition: g.topicPartition, leader: l.leader(g), next: from}
		r := &restoring{store: st, log: g, source: s, end: end[g], queue: newQueue(s)}
		r.queue.from, r.queue.pos = from, from
		if st.log == nil {
			var err error
			if r.task, err = l.reader(t.sub, st); err != nil {
				return nil, err
			}
		}
		out = append(out, r)
	}
	return out, nil
}

func (l *life) leader(g *storeLog) int32 {
	if g.queue != nil {
		return g.queue.source.leader
	}
	return l.prod.topics[g.topic].partitions[g.partition].leader
}

// reader makes a task of a source step alone, which fills the step's store.
func (l *life) reader(sub *plan.SubTopology, st *store) (*exec.Task, error) {
	src := sourceOf(sub, st.plan)
	cfg := l.q.rt.cfg
	return exec.Build(&plan.SubTopology{ID: sub.ID, Roots: []plan.Node{src}, Reads: []plan.Node{src}}, exec.Env{
		Functions: cfg.Functions, Schemas: cfg.Schemas, Config: l.q.opts.Config,
		Store: func(*plan.Store) state.Store { return st.table },
	})
}

// replay reads the logs to their ends.
func (l *life) replay(ctx context.Context, todo []*restoring) error {
	sources := make([]*source, len(todo))
	for i, r := range todo {
		sources[i] = r.source
	}
	f := fetch(ctx, l.client, sources)
	defer f.close()
	for left := len(todo); left > 0; {
		select {
		case chunks := <-f.out:
			for _, c := range chunks {
				if err := c.source.arrive(c); err != nil {
					return err
				}
			}
		case err := <-f.errs:
			return err
		case <-ctx.Done():
			return ctx.Err()
		}
		left = 0
		for _, r := range todo {
			if err := l.apply(r); err != nil {
				return err
			}
			if r.queue.pos < r.end {
				left++
			}
		}
	}
	return nil
}

// apply takes what has arrived of a log into its store.
func (l *life) apply(r *restoring) error {
	before := r.queue.pos
	put := func(offset int64) error {
		if err := r.store.table.Apply(l.batch); err != nil {
			return err
		}
		if err := r.log.hold(l.batch, offset); err != nil {
			return err
		}
		r.store.table.Discard()
		return l.batch.Commit()
	}
	size := 0
	for r.queue.has && r.queue.head.Offset < r.end {
		in := &r.queue.head
		switch {
		case r.task != nil:
			if err := r.task.Process(0, in); err != nil {
				return err
			}
		case in.Key == nil:
			return fmt.Errorf("%s@%d has no key: it is no changelog record", r.source, in.Offset)
		case in.Value == nil:
			r.store.table.Delete(in.Key)
		default:
			r.store.table.Put(in.Key, in.Value)
		}
		if size += len(in.Key) + len(in.Value); size > restoreBatch {
			if err := put(in.Offset + 1); err != nil {
				return err
			}
			size = 0
		}
		if err := r.queue.advance(); err != nil {
			return err
		}
	}
	if r.queue.has {
		r.queue.pos = max(r.queue.pos, min(r.end, r.queue.head.Offset))
	}
	l.q.restored.Add(min(r.queue.pos, r.end) - min(before, r.end))
	if r.task != nil {
		r.task.Flush()
	}
	return put(min(r.queue.pos, r.end))
}
