package driver

import (
	"fmt"
	"sort"

	"github.com/sidestream/sidestream/sidecar/engine/exec"
	"github.com/sidestream/sidestream/sidecar/engine/plan"
	"github.com/sidestream/sidestream/sidecar/engine/state"
)

// Query is a plan that runs in a Driver: a task for each sub-topology and
// partition, and the internal topics between them.
type Query struct {
	driver *Driver
	plan   *plan.Query
	parts  []*part
	reads  map[string][]input // of outside topics
	inside map[string][]input // of repartition topics
	out    []delivery         // written during the current delivery
	// Taken and Wrote count the records of outside topics that it has read and
	// written.
	Taken, Wrote int
	// OnRow takes the rows of a plan.Emit.
	OnRow func(r *exec.Row) error
}

// part is a sub-topology with its tasks.
type part struct {
	sub    *plan.SubTopology
	tasks  []*exec.Task
	stores []map[string]*state.Memory
	queues [][]queue // by task, by read
}

// input is a place where a topic is read.
type input struct {
	part *part
	read int
}

// queue holds records that wait for a task, in order of arrival.
type queue []exec.Input

func newQuery(d *Driver, p *plan.Query) (*Query, error) {
	q := &Query{driver: d, plan: p, reads: map[string][]input{}, inside: map[string][]input{}}
	if sink, ok := p.Root.(*plan.Sink); ok {
		d.topic(sink.Topic)
	}
	written := map[plan.Node]int{} // partitions of the tasks that write a repartition topic
	for _, sub := range plan.Split(p) {
		pt := &part{sub: sub}
		partitions, sources := 1, 0
		for i, read := range sub.Reads {
			switch r := read.(type) {
			case *plan.Source:
				partitions = max(partitions, len(d.topic(r.Topic).parts))
				sources++
				q.reads[r.Topic] = append(q.reads[r.Topic], input{pt, i})
			case *plan.Repartition:
				name := q.internal(r.Topic)
				q.inside[name] = append(q.inside[name], input{pt, i})
			default:
				return nil, fmt.Errorf("query %s: %T can't be read", p.ID, read)
			}
		}
		// A repartition topic has as many partitions as what it is joined with, or
		// else as those who write it.
		for _, read := range sub.Reads {
			if sources == 0 {
				partitions = max(partitions, written[read])
			}
		}
		for _, read := range sub.Reads {
			if r, ok := read.(*plan.Repartition); ok {
				d.CreateTopic(q.internal(r.Topic), partitions)
			}
		}
		for _, root := range sub.Roots {
			written[root] = partitions
		}
		if exec.SingleTask(sub) {
			partitions = 1
		}
		for range partitions {
			if err := q.addTask(pt); err != nil {
				return nil, fmt.Errorf("query %s: %w", p.ID, err)
			}
		}
		q.parts = append(q.parts, pt)
	}
	return q, nil
}

// addTask adds a task with empty stores.
func (q *Query) addTask(pt *part) error {
	stores := map[string]*state.Memory{}
	task, err := q.build(pt, stores)
	if err != nil {
		return err
	}
	pt.tasks = append(pt.tasks, task)
	pt.stores = append(pt.stores, stores)
	pt.queues = append(pt.queues, make([]queue, len(pt.sub.Reads)))
	return nil
}

// Restart builds all tasks anew on the stores of the old ones, as a process does
// that was stopped between two records.
func (q *Query) Restart() error {
	for _, pt := range q.parts {
		for i := range pt.tasks {
			pt.tasks[i].Flush()
			task, err := q.build(pt, pt.stores[i])
			if err != nil {
				return err
			}
			pt.tasks[i] = task
		}
	}
	return nil
}

func (q *Query) build(pt *part, stores map[string]*state.Memory) (*exec.Task, error) {
	return exec.Build(pt.sub, exec.Env{
		Functions: q.driver.opts.Functions,
		Schemas:   q.driver.opts.Schemas,
		Internal:  q.internal(""),
		Config:    q.driver.opts.Config,
		Store: func(s *plan.Store) state.Store {
			if stores[s.Name] == nil {
				stores[s.Name] = state.NewMemory()
			}
			return stores[s.Name]
		},
		Emit: q.emit,
		EmitRow: func(r *exec.Row) error {
			if q.OnRow == nil {
				return nil
			}
			return q.OnRow(r)
		},
		Log: func(p exec.Problem) {
			if q.driver.opts.OnProblem != nil {
				q.driver.opts.OnProblem(q.plan.ID, p)
			}
		},
	})
}

func (q *Query) internal(suffix string) string {
	return q.driver.opts.AppID(q.plan.ID) + "-" + suffix
}

// Plan is what the query runs.
func (q *Query) Plan() *plan.Query { return q.plan }

// Topics are the outside topics that the query reads, sorted.
func (q *Query) Topics() []string {
	names := make([]string, 0, len(q.reads))
	for n := range q.reads {
		names = append(names, n)
	}
	sort.Strings(names)
	return names
}

// Pipe gives a record to this query alone, and writes it to its topic.
func (q *Query) Pipe(topic string, r Record) error {
	r, err := q.driver.Write(topic, r)
	if err != nil {
		return err
	}
	_, err = q.deliver(topic, r)
	return err
}

// Feed gives the query all records that a topic holds.
func (q *Query) Feed(topic string) error {
	for _, r := range q.driver.Read(topic) {
		if _, err := q.deliver(topic, r); err != nil {
			return err
		}
	}
	return nil
}

// Deliver gives the query a record that is on its topic already.
func (q *Query) Deliver(topic string, r Record) error {
	_, err := q.deliver(topic, r)
	return err
}

// deliver processes a record to quiescence and returns what the query wrote to
// outside topics.
func (q *Query) deliver(topic string, r Record) ([]delivery, error) {
	inputs := q.reads[topic]
	if len(inputs) == 0 {
		return nil, nil
	}
	q.out = nil
	q.Taken++
	for _, in := range inputs {
		in.part.enqueue(in.read, r)
	}
	if err := q.drain(); err != nil {
		return nil, fmt.Errorf("query %s: record %s-%d@%d: %w", q.plan.ID, topic, r.Partition, r.Offset, err)
	}
	return q.out, nil
}

func (pt *part) enqueue(read int, r Record) {
	task := int(r.Partition) % len(pt.tasks)
	pt.queues[task][read] = append(pt.queues[task][read], exec.Input{
		Key: r.Key, Value: r.Value, Time: r.Time, Partition: r.Partition, Offset: r.Offset, Headers: r.Headers,
	})
}

// drain runs tasks until nothing waits: of the records at the heads of queues
// the earliest is next, as in a Kafka Streams task.
func (q *Query) drain() error {
	for {
		var best *queue
		var task *exec.Task
		var read int
		for _, pt := range q.parts {
			for t := range pt.tasks {
				for i := range pt.queues[t] {
					w := &pt.queues[t][i]
					if len(*w) > 0 && (best == nil || (*w)[0].Time < (*best)[0].Time) {
						best, task, read = w, pt.tasks[t], i
					}
				}
			}
		}
		if best == nil {
			return nil
		}
		in := (*best)[0]
		if *best = (*best)[1:]; len(*best) == 0 {
			*best = nil
		}
		if err := task.Process(read, &in); err != nil {
			return err
		}
	}
}

// emit takes a record that a task wrote.
func (q *Query) emit(o *exec.Output) error {
	name := o.Topic
	if o.Internal {
		name = q.internal(name)
	}
	t := q.driver.topic(name)
	partition := o.Partition
	if partition < 0 && o.Key != nil {
		partition = o.PartitionOf(int32(len(t.parts)))
	}
	r := t.append(Record{Key: o.Key, Value: o.Value, Time: o.Time, Headers: o.Headers, Partition: partition})
	if !o.Internal {
		q.Wrote++
		q.out = append(q.out, delivery{name, r})
		return nil
	}
	for _, in := range q.inside[name] {
		in.part.enqueue(in.read, r)
	}
	return nil
}

// AdvanceWallClock tells the query's tasks the time of day; it stands at the
// epoch otherwise.
func (q *Query) AdvanceWallClock(ms int64) {
	for _, pt := range q.parts {
		for _, t := range pt.tasks {
			t.AdvanceWallClock(ms)
		}
	}
}

// Lookup answers a pull query from the query's stores, partition by partition.
func (q *Query) Lookup(sel exec.Selection, fn func(r *exec.Row) bool) error {
	l, err := exec.NewLookup(q.plan, q.driver.opts.Functions, nil)
	if err != nil {
		return err
	}
	more := true
	for _, s := range q.Stores(q.plan.Materialized.Store.Name) {
		err := l.Each(s, sel, func(r *exec.Row) bool {
			more = fn(r)
			return more
		})
		if err != nil || !more {
			return err
		}
	}
	return nil
}

// Stores are the stores of that name, one a task.
func (q *Query) Stores(name string) []state.Reader {
	var out []state.Reader
	for _, pt := range q.parts {
		for _, stores := range pt.stores {
			if s := stores[name]; s != nil {
				out = append(out, s)
			}
		}
	}
	return out
}
