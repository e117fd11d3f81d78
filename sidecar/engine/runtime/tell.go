package runtime

import (
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/sidestream/sidestream/sidecar/engine/exec"
	"github.com/sidestream/sidestream/sidecar/engine/plan"
)

// Traffic counts what a query has read of a topic, or written to its sink, since
// the query began here.
type Traffic struct {
	Records, Bytes, Failed atomic.Int64
	Last                   atomic.Int64 // when, in ms of the wall clock; 0 before the first
	LastFailed             atomic.Int64
}

func (t *Traffic) add(records, bytes int64) {
	if t == nil || records == 0 {
		return
	}
	t.Records.Add(records)
	t.Bytes.Add(bytes)
	t.Last.Store(time.Now().UnixMilli())
}

// Read is the traffic from a topic that the query reads, nil for others.
func (q *Query) Read(topic string) *Traffic { return q.read[topic] }

// Written is the traffic to the query's sink.
func (q *Query) Written() *Traffic { return &q.written }

// count notes what the tasks did since the last commit.
func (l *life) count() {
	for _, t := range l.tasks {
		for _, in := range t.queues {
			if in.source != nil && in.records > 0 {
				l.q.read[in.source.topic].add(in.records, in.bytes)
			}
			in.records, in.bytes = 0, 0
		}
	}
	for _, t := range l.outside {
		l.q.Emitted.Add(int64(t.records))
		l.q.written.add(int64(t.records), 0)
		t.records = 0
	}
}

// unread counts a record that could not be read.
func (q *Query) unread(p exec.Problem) {
	if t := q.read[p.Topic]; t != nil && p.Type == "deserializationError" {
		t.Failed.Add(1)
		t.LastFailed.Store(time.Now().UnixMilli())
	}
}

// Partition is a partition of a topic.
type Partition struct {
	Topic string
	ID    int32
}

// Task is a part of a query that runs for itself: a sub-topology on one partition
// of its inputs.
type Task struct {
	ID     string // sub-topology_partition
	Inputs []Partition
	Stores []Store
}

// Store is a store of a task. Changelog is the topic that it is restored from, ""
// where that is the topic of its source.
type Store struct{ Name, Changelog string }

// Tasks are the query's tasks, with the ids that Kafka Streams would give them.
func (q *Query) Tasks() []Task {
	var out []Task
	groups := plan.Groups(q.plan)
	for i, sub := range q.subs {
		id := sub.ID
		for _, read := range sub.Reads {
			if n, ok := groups[planTopic(read)]; ok {
				id = n
			}
		}
		var stores []Store
		for j, s := range q.stores {
			if q.storeSubs[j] != i {
				continue
			}
			st := Store{Name: s.Name}
			if !s.NoChangelog {
				st.Changelog = q.changelog(s)
			}
			stores = append(stores, st)
		}
		for p := range q.partitionsOf(sub) {
			out = append(out, Task{ID: fmt.Sprintf("%d_%d", id, p), Inputs: q.inputsOf(sub, p), Stores: stores})
		}
	}
	return out
}

func planTopic(read plan.Node) string {
	switch r := read.(type) {
	case *plan.Source:
		return r.Topic
	case *plan.Repartition:
		return r.Topic
	}
	return ""
}

// inputsOf are the partitions that the task of a partition reads.
func (q *Query) inputsOf(sub *plan.SubTopology, partition int32) []Partition {
	var out []Partition
	for _, read := range sub.Reads {
		topic := q.topicOf(read)
		first, behind := partition, partition+1
		if exec.SingleTask(sub) {
			first, behind = 0, q.topics[topic]
		}
		for p := first; p < behind && p < q.topics[topic]; p++ {
			if in := (Partition{topic, p}); !slices.Contains(out, in) {
				out = append(out, in)
			}
		}
	}
	return out
}
