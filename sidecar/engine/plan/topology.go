package plan

import (
	"fmt"
	"strings"
)

// Kafka Streams gives each processor of a topology a number, and names stores
// and topics of joins by it. So that our internal topics are called as ksqlDB's,
// streamsBuilder counts as the Streams DSL does: in the order in which ksqlDB
// builds its steps, and one for each processor even where it has a name.

// Number fills Step.Numbered below root.
func Number(root *Step) { (&streamsBuilder{}).step(root) }

// Topology describes the query's processors in the form of Kafka Streams'
// topology description.
func Topology(q *Query) string {
	if q.Steps == nil {
		return ""
	}
	return topology(q).text()
}

func topology(q *Query) *streamsBuilder {
	b := &streamsBuilder{}
	last := b.step(q.Steps)
	if _, ok := q.Root.(*Emit); ok {
		if q.Steps.Table {
			last = b.then(b.number("KTABLE-TOSTREAM"), last)
			b.then(b.number("KSTREAM-FOREACH"), last)
		} else {
			b.then(b.number("KSTREAM-PROCESSOR"), last)
		}
	}
	return b
}

// processor is a node of a topology.
type processor struct {
	kind   string // Source, Processor, Sink
	name   string
	topic  string
	stores []string
	from   []*processor
	to     []*processor
	size   int
	group  int
}

type streamsBuilder struct {
	next  int
	nodes []*processor
}

func (b *streamsBuilder) number(prefix string) string {
	n := fmt.Sprintf("%s-%010d", prefix, b.next)
	b.next++
	return n
}

// named takes a number and uses the name instead.
func (b *streamsBuilder) named(name string) string {
	b.next++
	return name
}

func (b *streamsBuilder) add(kind, name string, from ...*processor) *processor {
	p := &processor{kind: kind, name: name, from: from}
	for _, f := range from {
		f.to = append(f.to, p)
	}
	b.nodes = append(b.nodes, p)
	return p
}

func (b *streamsBuilder) then(name string, from ...*processor) *processor {
	return b.add("Processor", name, from...)
}

// step builds the processors of a step and returns the last.
func (b *streamsBuilder) step(s *Step) *processor {
	name := dashed(s.Name)
	switch s.Kind {
	case SourceStep:
		return b.source(s)
	case FilterStep:
		in := b.step(s.Inputs[0])
		if !s.Table {
			return b.then(b.named(name), in)
		}
		in = b.then(b.named(name+"-ApplyPredicate"), in)
		in = b.then(b.named(name+"-Filter"), in)
		return b.then(b.named(name+"-PostProcess"), in)
	case ProjectStep:
		in := b.step(s.Inputs[0])
		if s.Store != "" {
			return b.keep(b.then(b.number("KTABLE-TRANSFORMVALUES"), in), s.Store)
		}
		return b.then(b.named(name), in)
	case RekeyStep:
		return b.rekey(s, name, b.step(s.Inputs[0]))
	case GroupByStep:
		return b.groupBy(s, name, b.step(s.Inputs[0]))
	case AggregateStep:
		return b.aggregate(s, name, b.step(s.Inputs[0]))
	case JoinStep:
		return b.join(s, name)
	case SinkStep:
		in := b.step(s.Inputs[0])
		if s.Table {
			in = b.then(b.number("KTABLE-TOSTREAM"), in)
		}
		sink := b.add("Sink", b.number("KSTREAM-SINK"), in)
		sink.topic = s.Topic
		return sink
	default:
		return b.then(b.named(name), b.step(s.Inputs[0]))
	}
}

func dashed(name string) string { return strings.ReplaceAll(name, ".", "-") }

func (b *streamsBuilder) keep(p *processor, stores ...string) *processor {
	p.stores = append(p.stores, stores...)
	return p
}

func (b *streamsBuilder) source(s *Step) *processor {
	if s.Table {
		b.next++ // the name of a store that gets another one
	}
	src := b.add("Source", b.number("KSTREAM-SOURCE"))
	src.topic = s.Topic
	if !s.Table {
		return b.then(b.number("KSTREAM-TRANSFORMVALUES"), src)
	}
	table := b.then(b.number("KTABLE-SOURCE"), src)
	kept := b.keep(b.then(b.number("KTABLE-TRANSFORMVALUES"), table), s.Store)
	return b.then(b.number("KTABLE-TRANSFORMVALUES"), kept)
}

// repartition leads a stream through a topic.
func (b *streamsBuilder) repartition(in *processor, topic string) *processor {
	b.next += 3
	filter := b.then(topic+"-filter", in)
	sink := b.add("Sink", topic+"-sink", filter)
	sink.topic = topic
	src := b.add("Source", topic+"-source")
	src.topic = topic
	return src
}

func (b *streamsBuilder) rekey(s *Step, name string, in *processor) *processor {
	if !s.Table {
		return b.then(b.named(name+"-SelectKey"), in)
	}
	in = b.then(b.number("KTABLE-TOSTREAM"), in)
	in = b.then(b.named(name+"-SelectKey-Mapper"), in)
	table := b.named(name + "-SelectKey")
	if len(s.Repartition) > 0 && s.Repartition[0] != "" {
		in = b.repartition(in, s.Repartition[0])
	}
	return b.keep(b.then(table, in), s.Store)
}

func (b *streamsBuilder) groupBy(s *Step, name string, in *processor) *processor {
	switch {
	case s.Table:
		in = b.then(b.number("KTABLE-FILTER"), in)
		return b.then(b.named(name), in)
	case s.Repartition == nil:
		return in
	default:
		in = b.then(b.number("KSTREAM-FILTER"), in)
		return b.then(b.named(name), in)
	}
}

func (b *streamsBuilder) aggregate(s *Step, name string, in *processor) *processor {
	group := s.Inputs[0]
	var fold string
	switch {
	case group.Table:
		topic := group.Repartition[0]
		sink := b.add("Sink", b.number("KSTREAM-SINK"), in)
		sink.topic = topic
		in = b.add("Source", b.number("KSTREAM-SOURCE"))
		in.topic = topic
		fold = b.number("KTABLE-AGGREGATE")
	case group.Repartition != nil:
		fold = b.number("KSTREAM-AGGREGATE")
		in = b.repartition(in, group.Repartition[0])
	default:
		fold = b.number("KSTREAM-AGGREGATE")
	}
	in = b.keep(b.then(fold, in), s.Store)
	in = b.then(b.named(name+"-ToOutputSchema"), in)
	if s.Windowed {
		in = b.then(b.named(name+"-WindowSelect"), in)
	}
	return in
}

func (b *streamsBuilder) join(s *Step, name string) *processor {
	left, right := s.Inputs[0], s.Inputs[1]
	switch {
	case s.Foreign:
		return b.foreignKeyJoin(s)
	case left.Table:
		l, r := b.step(left), b.step(right)
		merge := b.number("KTABLE-MERGE")
		this := b.keep(b.then(b.number("KTABLE-JOINTHIS"), l), storesOf(right)...)
		other := b.keep(b.then(b.number("KTABLE-JOINOTHER"), r), storesOf(left)...)
		return b.then(merge, this, other)
	case right.Table:
		b.step(right)
		l := b.step(left)
		if s.Repartition[0] != "" {
			l = b.repartition(l, s.Repartition[0])
		}
		return b.keep(b.then(b.named(name), l), storesOf(right)...)
	default:
		return b.streamJoin(s, name)
	}
}

func (b *streamsBuilder) streamJoin(s *Step, name string) *processor {
	this, other := b.step(s.Inputs[0]), b.step(s.Inputs[1])
	topics := s.Repartition
	if s.Join == Right { // runs as the left join of the right stream
		this, other = other, this
		topics = []string{topics[1], topics[0]}
	}
	if topics[0] != "" {
		this = b.repartition(this, topics[0])
	}
	if topics[1] != "" {
		other = b.repartition(other, topics[1])
	}
	thisName, otherName := "JOINTHIS", "JOINOTHER"
	thisSuffix, otherSuffix := "-this-join", "-other-join"
	if s.Join == Full {
		thisName, thisSuffix = "OUTERTHIS", "-outer-this-join"
	}
	if s.Join != Inner {
		otherName, otherSuffix = "OUTEROTHER", "-outer-other-join"
	}
	thisWindowed := b.then(b.named(name+"-this-windowed"), this)
	otherWindowed := b.then(b.named(name+"-other-windowed"), other)
	shared := fmt.Sprintf("KSTREAM-OUTERSHARED-%010d-store", b.next)
	n := Numbered{This: b.number("KSTREAM-"+thisName) + "-store", Other: b.number("KSTREAM-"+otherName) + "-store"}
	b.keep(thisWindowed, n.This)
	b.keep(otherWindowed, n.Other)
	thisJoin := b.keep(b.then(name+thisSuffix, thisWindowed), n.Other)
	otherJoin := b.keep(b.then(name+otherSuffix, otherWindowed), n.This)
	if s.Waits {
		n.Outer = shared
		b.keep(thisJoin, shared)
		b.keep(otherJoin, shared)
	}
	s.Numbered = n
	return b.then(b.named(name+"-merge"), thisJoin, otherJoin)
}

func (b *streamsBuilder) foreignKeyJoin(s *Step) *processor {
	const prefix = "KTABLE-FK-JOIN-SUBSCRIPTION-"
	l, r := b.step(s.Inputs[0]), b.step(s.Inputs[1])
	registration := b.number(prefix+"REGISTRATION") + "-topic"
	l = b.then(b.number(prefix+"REGISTRATION"), l)
	sink := b.add("Sink", b.number("KTABLE-SINK"), l)
	sink.topic = registration
	src := b.add("Source", b.number("KTABLE-SOURCE"))
	src.topic = registration
	subscriptions := b.number(prefix + "STATE-STORE")
	receive := b.keep(b.then(b.number(prefix+"PROCESSOR"), src), subscriptions)
	found := b.keep(b.then(b.number(prefix+"PROCESSOR"), receive), storesOf(s.Inputs[1])...)
	changed := b.keep(b.then(b.number(prefix+"PROCESSOR"), r), subscriptions)
	response := b.number(prefix+"RESPONSE") + "-topic"
	answer := b.add("Sink", b.number("KTABLE-SINK"), found, changed)
	answer.topic = response
	back := b.add("Source", b.number("KTABLE-SOURCE"))
	back.topic = response
	resolve := b.keep(b.then(b.number(prefix+"RESPONSE-RESOLVER-PROCESSOR"), back), storesOf(s.Inputs[0])...)
	out := b.then(b.number("KTABLE-FK-JOIN-OUTPUT"), resolve)
	b.next++ // the name of a store that isn't made
	s.Numbered = Numbered{Subscriptions: subscriptions, Registration: registration, Response: response}
	return out
}

// storesOf are the stores in which a table's rows are found: its own, or those
// of what it is made of.
func storesOf(s *Step) []string {
	if s.Store != "" {
		return []string{s.Store}
	}
	var out []string
	for _, in := range s.Inputs {
		out = append(out, storesOf(in)...)
	}
	return out
}
