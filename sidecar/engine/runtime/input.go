package runtime

import (
	"fmt"
	"runtime/debug"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/sidestream/sidestream/sidecar/engine/exec"
	"github.com/sidestream/sidestream/sidecar/engine/plan"
	"github.com/sidestream/sidestream/sidecar/engine/state/disk"
)

// task is an exec.Task with its inputs and stores.
type task struct {
	sub       *plan.SubTopology
	partition int32
	exec      *exec.Task
	queues    []*queue
	stores    []*store
	dirty     bool // it has processed records since the last commit
}

// queue is an input of a task: the records of one partition, in order. Sources
// of one topic share it, so that both sides of a self-join see each record at
// the same time.
type queue struct {
	reads  []int
	source *source      // nil: fed from memory
	memory []exec.Input // of transient queries' repartition topics
	chunks []*chunk
	reader batchReader
	open   bool // reader stands in chunks[0]

	head exec.Input
	has  bool
	from int64 // records below have been processed
	pos  int64 // the offset behind what has been processed
	// processed since the last commit
	records, bytes int64
}

var decompressor = kgo.DefaultDecompressor()

func newQueue(s *source) *queue {
	q := &queue{source: s, reader: batchReader{unpack: decompressor}}
	if s != nil {
		s.queues = append(s.queues, q)
	}
	return q
}

// arrive takes what was fetched of a partition to its queues.
func (s *source) arrive(c *chunk) error {
	s.fetched, s.stable, s.known = c.next, c.stable, true
	if len(c.data) == 0 {
		for _, q := range s.queues {
			if !q.has && len(q.chunks) == 0 {
				q.pos = max(q.pos, c.next)
			}
		}
		return nil
	}
	if c.refs = len(s.queues); c.refs == 0 {
		c.refs = 1
		c.release()
	}
	for _, q := range s.queues {
		q.chunks = append(q.chunks, c)
		if !q.has {
			if err := q.advance(); err != nil {
				return err
			}
		}
	}
	return nil
}

// advance makes the next record the head.
func (q *queue) advance() error {
	q.has = false
	if q.source == nil {
		if len(q.memory) > 0 {
			q.head, q.has = q.memory[0], true
			q.memory[0] = exec.Input{}
			if q.memory = q.memory[1:]; len(q.memory) == 0 {
				q.memory = nil
			}
		}
		return nil
	}
	for len(q.chunks) > 0 {
		c := q.chunks[0]
		if !q.open {
			q.reader.open(c.data, c.aborts, max(q.from, c.start))
			q.open = true
		}
		ok, err := q.reader.next(&q.head)
		if err != nil {
			return fmt.Errorf("%s: %w", q.source, err)
		}
		if ok {
			q.head.Partition = q.source.partition
			q.has, q.pos = true, q.head.Offset
			return nil
		}
		q.open = false
		q.pos = max(q.from, c.next)
		q.chunks[0] = nil
		q.chunks = q.chunks[1:]
		c.release()
	}
	q.chunks = nil
	return nil
}

// next is the queue whose head is the earliest; nil when there is none, or when
// an input that is empty here may hold an earlier record on the broker.
func (t *task) next() *queue {
	if len(t.queues) == 1 {
		if q := t.queues[0]; q.has {
			return q
		}
		return nil
	}
	var best *queue
	for _, q := range t.queues {
		if !q.has {
			if q.source != nil && !q.source.caughtUp() {
				return nil
			}
			continue
		}
		if best == nil || q.head.Time < best.head.Time {
			best = q
		}
	}
	return best
}

// run processes up to budget records and tells how many it did. A store that
// can't be read, or a bug in a function, ends the query's life, not the process.
func (t *task) run(budget int) (n int, err error) {
	var q *queue
	defer func() {
		switch e := recover().(type) {
		case nil:
		case *disk.Failure:
			err = e
		default:
			err = fmt.Errorf("panic: %v\n%s", e, debug.Stack())
		}
		if err != nil && q != nil && q.has {
			where := "a repartition topic"
			if q.source != nil {
				where = q.source.String()
			}
			err = fmt.Errorf("record %s@%d: %w", where, q.head.Offset, err)
		}
	}()
	for n < budget {
		if q = t.next(); q == nil {
			break
		}
		t.dirty = true
		for _, read := range q.reads {
			if err := t.exec.Process(read, &q.head); err != nil {
				return n, err
			}
		}
		n++
		q.records++
		q.bytes += int64(len(q.head.Key) + len(q.head.Value))
		if err := q.advance(); err != nil {
			return n, err
		}
	}
	return n, nil
}
