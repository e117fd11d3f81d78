// Package driver runs plans on topics in memory, one record at a time: the
// engine without Kafka, disk or clock.
//
// In: plan.Queries and records. Out: records on topics. A record goes through a
// query to its end, internal topics included, before the next is taken, so a run
// is repeatable to the byte. SQL tests, the conformance cases and unit tests
// stand on it.
//
//	d := driver.New(driver.Options{Functions: function.Builtin()})
//	q, err := d.AddQuery(p)           // in the order of creation
//	err = d.Pipe("orders", driver.Record{…})
//	rows := d.Read("VALIDATED_ORDERS")
//
// [Driver.Pipe] takes a record on to every query that reads its topic, and on to
// those that read what they write. [Query.Pipe] gives it to one query only, for
// suites that run query after query.
package driver

import (
	"fmt"

	"github.com/sidestream/sidestream/sidecar/engine/exec"
	"github.com/sidestream/sidestream/sidecar/engine/function"
	"github.com/sidestream/sidestream/sidecar/engine/plan"
	"github.com/sidestream/sidestream/sidecar/engine/serde"
)

// Record is a record of a topic. Offset is set by the driver; so is Partition,
// by the key, when it is negative.
type Record struct {
	Key, Value []byte
	Time       int64
	Headers    []exec.Header
	Partition  int32
	Offset     int64
}

// Options of a Driver.
type Options struct {
	Functions function.Registry
	Schemas   serde.SchemaRegistry
	// Config values for every query (ksqlDB property names).
	Config map[string]string
	// OnProblem hears of what goes to the processing log.
	OnProblem func(queryID string, p exec.Problem)
	// AppID names a query's internal topics; ksqlDB's form by default.
	AppID func(queryID string) string
	// MaxHops bounds the records that one Pipe may cause, since queries may feed
	// each other in a circle. 1,000,000 by default.
	MaxHops int
}

// Driver holds topics and the queries on them. Use it from one goroutine.
type Driver struct {
	opts    Options
	topics  map[string]*topic
	queries []*Query
}

type topic struct {
	name    string
	parts   []int64 // next offset of each partition
	records []Record
}

// New makes a driver without topics or queries.
func New(o Options) *Driver {
	if o.AppID == nil {
		o.AppID = func(id string) string { return "_confluent-ksql-some.ksql.service.idquery_" + id }
	}
	if o.MaxHops == 0 {
		o.MaxHops = 1_000_000
	}
	return &Driver{opts: o, topics: map[string]*topic{}}
}

// CreateTopic makes a topic with that many partitions, or does nothing when
// there is one of that name. A topic that nobody made has one partition.
func (d *Driver) CreateTopic(name string, partitions int) {
	if d.topics[name] == nil {
		d.topics[name] = &topic{name: name, parts: make([]int64, max(partitions, 1))}
	}
}

func (d *Driver) topic(name string) *topic {
	d.CreateTopic(name, 1)
	return d.topics[name]
}

// Partitions is the number of partitions of a topic; 0 when there is none.
func (d *Driver) Partitions(name string) int {
	if t := d.topics[name]; t != nil {
		return len(t.parts)
	}
	return 0
}

// Topics are the names of all topics, internal ones included.
func (d *Driver) Topics() []string {
	names := make([]string, 0, len(d.topics))
	for n := range d.topics {
		names = append(names, n)
	}
	return names
}

// DeleteTopic forgets a topic and its records.
func (d *Driver) DeleteTopic(name string) { delete(d.topics, name) }

// append writes a record and gives it its place.
func (t *topic) append(r Record) Record {
	if r.Partition < 0 {
		r.Partition = 0
		if r.Key != nil {
			r.Partition = exec.Partition(r.Key, int32(len(t.parts)))
		}
	}
	r.Offset = t.parts[r.Partition]
	t.parts[r.Partition]++
	t.records = append(t.records, r)
	return r
}

// Read gives all records of a topic in the order in which they were written.
func (d *Driver) Read(name string) []Record {
	if t := d.topics[name]; t != nil {
		return t.records
	}
	return nil
}

// Write appends a record to a topic without giving it to any query.
func (d *Driver) Write(name string, r Record) (Record, error) {
	t := d.topic(name)
	if int(r.Partition) >= len(t.parts) {
		return r, fmt.Errorf("topic %s has %d partitions, there is no partition %d", name, len(t.parts), r.Partition)
	}
	return t.append(r), nil
}

type delivery struct {
	topic  string
	record Record
}

// Pipe writes a record and takes it to the queries that read the topic, in the
// order of their creation, then what they wrote to the queries that read that.
func (d *Driver) Pipe(name string, r Record) error {
	r, err := d.Write(name, r)
	if err != nil {
		return err
	}
	return d.cascade(name, []delivery{{name, r}})
}

// CatchUp gives a query the records that a topic holds, and takes what it writes
// on as Pipe does.
func (d *Driver) CatchUp(q *Query, name string) error {
	for _, r := range d.Read(name) {
		out, err := q.deliver(name, r)
		if err != nil {
			return err
		}
		if err := d.cascade(name, out); err != nil {
			return err
		}
	}
	return nil
}

// cascade takes records to the queries that read them, and so on; cause is the
// topic that started it.
func (d *Driver) cascade(cause string, pending []delivery) error {
	for hops := 0; len(pending) > 0; hops++ {
		if hops > d.opts.MaxHops {
			return fmt.Errorf("one record of topic %s caused more than %d others: do the queries feed each other in a circle?", cause, d.opts.MaxHops)
		}
		next := pending[0]
		pending = pending[1:]
		for _, q := range d.queries {
			out, err := q.deliver(next.topic, next.record)
			if err != nil {
				return err
			}
			pending = append(pending, out...)
		}
	}
	return nil
}

// Query finds a query by its id, or nil.
func (d *Driver) Query(id string) *Query {
	for _, q := range d.queries {
		if q.plan.ID == id {
			return q
		}
	}
	return nil
}

// Drop ends a query; its topics stay.
func (d *Driver) Drop(id string) {
	for i, q := range d.queries {
		if q.plan.ID == id {
			d.queries = append(d.queries[:i:i], d.queries[i+1:]...)
			return
		}
	}
}

// AddQuery starts a query. It reads its topics from now on; [Query.Feed] gives
// it what they hold already.
func (d *Driver) AddQuery(p *plan.Query) (*Query, error) {
	if d.Query(p.ID) != nil {
		return nil, fmt.Errorf("query %s runs already", p.ID)
	}
	q, err := newQuery(d, p)
	if err != nil {
		return nil, err
	}
	d.queries = append(d.queries, q)
	return q, nil
}

// Replace lets a query take the place of the one of its id: it goes on with the
// state that the old one has, and reads its topics from now on.
func (d *Driver) Replace(p *plan.Query) (*Query, error) {
	for i, old := range d.queries {
		if old.plan.ID != p.ID {
			continue
		}
		q, err := newQuery(d, p)
		if err != nil {
			return nil, err
		}
		for n, pt := range q.parts {
			for t := range pt.tasks {
				if n >= len(old.parts) || t >= len(old.parts[n].stores) {
					continue
				}
				pt.stores[t] = old.parts[n].stores[t]
				if pt.tasks[t], err = q.build(pt, pt.stores[t]); err != nil {
					return nil, err
				}
			}
		}
		d.queries[i] = q
		return q, nil
	}
	return nil, fmt.Errorf("query %s doesn't run", p.ID)
}
