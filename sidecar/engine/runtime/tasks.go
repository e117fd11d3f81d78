package runtime

import (
	"github.com/sidestream/sidestream/sidecar/engine/exec"
	"github.com/sidestream/sidestream/sidecar/engine/plan"
	"github.com/sidestream/sidestream/sidecar/engine/serde"
	"github.com/sidestream/sidestream/sidecar/engine/state"
	"github.com/sidestream/sidestream/sidecar/registry"
)

// builder makes the tasks of a query.
type builder struct {
	q       *Query
	cluster *cluster
	memory  bool // repartition topics are kept in memory
	sources map[topicPartition]*source
	order   []*source
	tasks   []*task
	inside  map[string][]*queue // by repartition topic and partition, in memory
	// schemas of repartition topics that are in memory; nil for the registry's.
	schemas serde.SchemaRegistry
}

// env is what a task is given beside its stores.
type env struct {
	store func(t *task, s *plan.Store) (state.Store, error)
	emit  func(t *task, o *exec.Output) error
	row   func(r *exec.Row) error
	log   func(p exec.Problem)
}

func (q *Query) build(c *cluster, memory bool, e env) (*builder, error) {
	b := &builder{q: q, cluster: c, memory: memory, sources: map[topicPartition]*source{}, inside: map[string][]*queue{}}
	if memory {
		b.schemas = registry.New()
	}
	for _, sub := range q.subs {
		for p := range q.partitionsOf(sub) {
			if err := b.task(sub, p, e); err != nil {
				return nil, err
			}
		}
	}
	return b, nil
}

func (b *builder) task(sub *plan.SubTopology, partition int32, e env) error {
	t := &task{sub: sub, partition: partition}
	var failed error
	var err error
	t.exec, err = exec.Build(sub, exec.Env{
		Functions: b.q.rt.cfg.Functions,
		Schemas:   b.q.rt.cfg.Schemas,
		Internal:  b.q.internal(""), InternalSchemas: b.schemas,
		Config: b.q.opts.Config,
		Store: func(s *plan.Store) state.Store {
			st, err := e.store(t, s)
			if err != nil && failed == nil {
				failed = err
			}
			return st
		},
		Emit:    func(o *exec.Output) error { return e.emit(t, o) },
		EmitRow: e.row,
		Log:     e.log,
	})
	if err == nil {
		err = failed
	}
	if err != nil {
		return err
	}
	all := exec.SingleTask(sub)
	queues := map[topicPartition]*queue{}
	for i, read := range sub.Reads {
		topic := b.q.topicOf(read)
		first, behind := partition, partition+1
		if all {
			first, behind = 0, b.q.topics[topic]
		}
		for p := first; p < behind && p < b.q.topics[topic]; p++ {
			key := topicPartition{topic, p}
			in := queues[key]
			if in == nil {
				in = b.queue(read, key)
				queues[key] = in
				t.queues = append(t.queues, in)
			}
			in.reads = append(in.reads, i)
		}
	}
	b.tasks = append(b.tasks, t)
	return nil
}

func (b *builder) queue(read plan.Node, key topicPartition) *queue {
	if _, internal := read.(*plan.Repartition); internal && b.memory {
		q := newQueue(nil)
		list := b.inside[key.topic]
		for int32(len(list)) <= key.partition {
			list = append(list, nil)
		}
		list[key.partition] = q
		b.inside[key.topic] = list
		return q
	}
	s := b.sources[key]
	if s == nil {
		s = &source{topicPartition: key, leader: b.cluster.leaders[key.topic][key.partition]}
		b.sources[key] = s
		b.order = append(b.order, s)
	}
	return newQueue(s)
}
