package exec

import (
	"fmt"
	"math"
	"strconv"
	"unsafe"

	"github.com/sidestream/sidestream/sidecar/engine/plan"
	"github.com/sidestream/sidestream/sidecar/engine/types"
)

// Task runs one sub-topology over one partition. It is used from one goroutine.
type Task struct {
	env     Env
	inputs  []func(in *Input) error
	flushes []func()
	time    int64 // the latest time of an input
	now     int64 // the wall clock, as told
}

// noTime is the stream time before the first record.
const noTime = math.MinInt64

// Process takes a record of the sub-topology's Reads[read] through the
// operators; what comes out goes to Env.Emit before Process returns. Records of
// one topic are handed in by offset, those of several topics by time. An error
// ends the query: the record could not be processed and must not be passed by.
func (t *Task) Process(read int, in *Input) error {
	if err := t.inputs[read](in); err != nil {
		return err
	}
	// A record that can't be used doesn't move stream time; its time is noTime.
	return nil
}

// StreamTime is the latest time of the records that the task has taken, or
// false before the first.
func (t *Task) StreamTime() (ms int64, ok bool) { return t.time, t.time != noTime }

// AdvanceWallClock tells the task the time of day in milliseconds. It only
// limits how often EMIT FINAL and outer joins look for windows that closed (as
// Kafka Streams does, once a second); rows still come out when a record goes in.
func (t *Task) AdvanceWallClock(ms int64) {
	if ms > t.now {
		t.now = ms
	}
}

// Flush writes to the stores what operators keep beside them (their stream
// times). Call it before what the stores hold is committed; a task built on the
// stores then goes on exactly where this one was.
func (t *Task) Flush() {
	for _, f := range t.flushes {
		f()
	}
}

func (t *Task) seen(ms int64) {
	if ms > t.time {
		t.time = ms
	}
}

// operator takes rows.
type operator interface{ process(r *Row) error }

// operatorFunc is a side of an operator with several inputs.
type operatorFunc func(r *Row) error

func (f operatorFunc) process(r *Row) error { return f(r) }

// getter looks rows of a table up; nil without one. What it returns is valid
// until its next call.
type getter interface {
	get(key []types.Value) (*Row, error)
}

// stage is what the builder knows of a step: where its consumers attach, and,
// for tables, how to look its rows up.
type stage struct {
	next []operator
	// table rows: get finds them, or is nil; knowsOld tells that Row.Old is what
	// was there before; wantsOld is set by consumers that read it.
	get      getter
	knowsOld bool
	wantsOld bool
	// input, where wanting this step's old rows means wanting those.
	inputs []*stage
}

func (s *stage) forward(r *Row) error {
	for _, o := range s.next {
		if err := o.process(r); err != nil {
			return err
		}
	}
	return nil
}

// needOld asks for the rows before.
func (s *stage) needOld() {
	if s.wantsOld {
		return
	}
	s.wantsOld = true
	for _, in := range s.inputs {
		in.needOld()
	}
}

// Build makes the operators of a sub-topology.
func Build(sub *plan.SubTopology, env Env) (*Task, error) {
	if env.Log == nil {
		env.Log = func(Problem) {}
	}
	b := &builder{
		env:    env,
		task:   &Task{env: env, time: noTime},
		sub:    sub,
		stages: map[plan.Node]*stage{},
	}
	b.task.inputs = make([]func(*Input) error, len(sub.Reads))
	for _, root := range sub.Roots {
		if err := b.root(root); err != nil {
			return nil, err
		}
	}
	for i, f := range b.task.inputs {
		if f == nil {
			return nil, fmt.Errorf("exec: nothing reads %s", sub.Reads[i].Out().Name)
		}
	}
	return b.task, nil
}

// SingleTask tells whether one task must see all partitions of a sub-topology:
// the sides of a foreign-key join are partitioned differently.
func SingleTask(sub *plan.SubTopology) bool {
	for _, root := range sub.Roots {
		if holdsForeignKeyJoin(root, true) {
			return true
		}
	}
	return false
}

func holdsForeignKeyJoin(n plan.Node, isRoot bool) bool {
	switch n.(type) {
	case *plan.ForeignKeyJoin:
		return true
	case *plan.Repartition:
		if !isRoot { // another sub-topology is behind it
			return false
		}
	}
	for _, in := range n.Inputs() {
		if holdsForeignKeyJoin(in, false) {
			return true
		}
	}
	return false
}

type builder struct {
	env    Env
	task   *Task
	sub    *plan.SubTopology
	stages map[plan.Node]*stage
}

// root builds a last step: one that hands rows out of the task.
func (b *builder) root(n plan.Node) error {
	switch n := n.(type) {
	case *plan.Sink:
		return b.sink(n)
	case *plan.Emit:
		return b.emit(n)
	case *plan.Repartition:
		return b.repartitionWrite(n)
	default:
		_, err := b.stage(n)
		return err
	}
}

// stage builds a step and those before it, once.
func (b *builder) stage(n plan.Node) (*stage, error) {
	if s, ok := b.stages[n]; ok {
		return s, nil
	}
	s, err := b.build(n)
	if err != nil {
		return nil, err
	}
	b.stages[n] = s
	return s, nil
}

func (b *builder) build(n plan.Node) (*stage, error) {
	switch n := n.(type) {
	case *plan.Source:
		return b.source(n)
	case *plan.Repartition:
		return b.repartitionRead(n)
	case *plan.Filter:
		return b.filter(n)
	case *plan.Project:
		return b.project(n)
	case *plan.FlatMap:
		return b.flatMap(n)
	case *plan.Rekey:
		return b.rekey(n)
	case *plan.GroupBy:
		return b.groupBy(n)
	case *plan.Aggregate:
		return b.aggregate(n)
	case *plan.StreamStreamJoin:
		return b.streamStreamJoin(n)
	case *plan.StreamTableJoin:
		return b.streamTableJoin(n)
	case *plan.TableTableJoin:
		return b.tableTableJoin(n)
	case *plan.ForeignKeyJoin:
		return b.foreignKeyJoin(n)
	case *plan.Materialize:
		return b.materialize(n)
	}
	return nil, fmt.Errorf("exec: no operator for %T", n)
}

// attach makes op the consumer of a step.
func (b *builder) attach(n plan.Node, op operator) (*stage, error) {
	s, err := b.stage(n)
	if err != nil {
		return nil, err
	}
	s.next = append(s.next, op)
	return s, nil
}

// readIndex is the place of a step among the sub-topology's inputs.
func (b *builder) readIndex(n plan.Node) (int, error) {
	for i, r := range b.sub.Reads {
		if r == n {
			return i, nil
		}
	}
	return 0, fmt.Errorf("exec: %s is no input of its sub-topology", n.Out().Name)
}

// millis is a configured number of milliseconds.
func (b *builder) millis(name string, missing int64) int64 {
	if v, err := strconv.ParseInt(b.env.Config[name], 10, 64); err == nil {
		return v
	}
	return missing
}

func (b *builder) enabled(name string, missing bool) bool {
	if v, err := strconv.ParseBool(b.env.Config[name]); err == nil {
		return v
	}
	return missing
}

// throttle lets an operator look for closed windows once an interval of the
// wall clock.
type throttle struct {
	task     *Task
	interval int64
	next     int64
}

func (t *throttle) ready() bool {
	if t.task.now < t.next {
		return false
	}
	t.next = t.task.now + t.interval
	return true
}

func unsafeString(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }
