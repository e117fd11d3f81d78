package runtime

import (
	"context"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/sidestream/sidestream/sidecar/engine/exec"
	"github.com/sidestream/sidestream/sidecar/engine/plan"
	"github.com/sidestream/sidestream/sidecar/engine/state"
)

// Push runs a plan that ends in a plan.Emit, and calls fn with its rows from the
// calling goroutine. The rows belong to fn. Nothing of it is kept: its state and
// its repartition topics are in memory, and it begins at the topics' ends, or at
// their beginnings with Options.FromEarliest.
//
// It ends when ctx does (nil), when fn returns an error (that error), or, with
// Options.UntilEnd, when all that the topics held at the start has been read.
func (r *Runtime) Push(ctx context.Context, p *plan.Query, o Options, fn func(row *exec.Row) error) error {
	err := r.push(ctx, p, o, fn)
	if ctx.Err() != nil {
		return nil
	}
	return err
}

func (r *Runtime) push(ctx context.Context, p *plan.Query, o Options, fn func(row *exec.Row) error) error {
	q := newQuery(r, p, o)
	defer q.cancel()
	defer q.kill()
	if err := q.size(ctx); err != nil {
		return err
	}
	client, err := kgo.NewClient(r.clientOptions(kgo.ClientID(q.app))...)
	if err != nil {
		return err
	}
	defer client.Close()
	admin := kadm.NewClient(client)
	outside := map[string]int32{}
	for _, sub := range q.subs {
		for _, read := range sub.Reads {
			if s, ok := read.(*plan.Source); ok {
				outside[s.Topic] = q.topics[s.Topic]
			}
		}
	}
	c, err := look(ctx, client, outside)
	if err != nil {
		return err
	}
	t := &transient{q: q}
	t.b, err = q.build(c, true, env{
		store: func(*task, *plan.Store) (state.Store, error) { return state.NewMemory(), nil },
		emit:  t.emit,
		row:   fn,
		log:   q.problem,
	})
	if err != nil {
		return err
	}
	if err := t.position(ctx, admin, outside); err != nil {
		return err
	}
	if o.Ready != nil {
		o.Ready()
	}
	return t.run(ctx, client)
}

// transient is a query that belongs to whoever asked it.
type transient struct {
	q    *Query
	b    *builder
	ends map[topicPartition]int64
}

func (t *transient) position(ctx context.Context, admin *kadm.Client, topics map[string]int32) error {
	names := make([]string, 0, len(topics))
	for n := range topics {
		names = append(names, n)
	}
	starts, ends, err := bounds(ctx, admin, names)
	if err != nil {
		return err
	}
	t.ends = ends
	for _, s := range t.b.order {
		s.next = ends[s.topicPartition]
		if t.q.opts.FromEarliest {
			s.next = starts[s.topicPartition]
		}
		s.fetched = s.next
		for _, q := range s.queues {
			q.from, q.pos = s.next, s.next
		}
	}
	return nil
}

func (t *transient) run(ctx context.Context, client *kgo.Client) error {
	if t.q.opts.UntilEnd && t.ended() {
		return nil
	}
	f := fetch(ctx, client, t.b.order)
	defer f.close()
	for {
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
			return nil
		}
		if err := t.drain(ctx); err != nil {
			return err
		}
		if t.q.opts.UntilEnd && t.ended() {
			return nil
		}
	}
}

// drain runs the tasks until none has anything to do.
func (t *transient) drain(ctx context.Context) error {
	for ctx.Err() == nil {
		worked := 0
		now := time.Now().UnixMilli()
		for _, task := range t.b.tasks {
			if task.next() == nil {
				continue
			}
			task.exec.AdvanceWallClock(now)
			n, err := task.run(quantum)
			if worked += n; err != nil {
				return err
			}
		}
		if worked == 0 {
			return nil
		}
	}
	return nil
}

// ended tells that everything that was there at the start has been processed.
func (t *transient) ended() bool {
	for _, s := range t.b.order {
		if s.done() < t.ends[s.topicPartition] {
			return false
		}
	}
	return true
}

// emit takes a record for a repartition topic straight to the task that reads it.
func (t *transient) emit(from *task, o *exec.Output) error {
	if !o.Internal {
		return fmt.Errorf("a transient query can't write to topic %s", o.Topic)
	}
	queues := t.b.inside[t.q.internal(o.Topic)]
	if len(queues) == 0 {
		return fmt.Errorf("nothing reads %s", o.Topic)
	}
	n := t.q.topics[t.q.internal(o.Topic)]
	p := o.Partition
	if p < 0 {
		if p = from.partition % n; o.Key != nil {
			p = o.PartitionOf(n)
		}
	}
	if int(p) >= len(queues) || queues[p] == nil {
		return fmt.Errorf("nothing reads %s-%d", o.Topic, p)
	}
	in := queues[p]
	in.pos++
	in.memory = append(in.memory, exec.Input{Key: o.Key, Value: o.Value, Time: o.Time, Partition: p, Offset: in.pos, Headers: o.Headers})
	if !in.has {
		return in.advance()
	}
	return nil
}
