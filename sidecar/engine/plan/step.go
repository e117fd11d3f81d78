package plan

import "github.com/sidestream/sidestream/sidecar/engine/schema"

// Step is a step of a query in ksqlDB's words. The tree of steps is what EXPLAIN
// prints and what the numbers in Kafka Streams' names are counted by; the tree
// of [Node]s is what runs. They differ: a step that only renames columns needs
// no node, and nodes carry the columns in use where steps carry all.
type Step struct {
	Kind   StepKind
	Name   string // its place in the query: "Aggregate.GroupBy"
	Schema schema.Schema
	Inputs []*Step
	// Table tells whether the step yields a table.
	Table bool
	// Topic of a SOURCE or SINK.
	Topic string
	// Store is what a table's SOURCE, a materialized PROJECT, a REKEY of a table
	// and an AGGREGATE keep their rows in.
	Store string
	// Windowed marks an AGGREGATE with a WINDOW.
	Windowed bool
	// Keys are the expressions of a REKEY or GROUP_BY, Functions the calls of an
	// AGGREGATE, one for each place where it is written.
	Keys, Functions []string
	// Repartition names the topics, by input, that the step's inputs pass through
	// on their way to it; "" for none.
	Repartition []string
	// Join is the type of a JOIN, Foreign marks one by foreign key, and Waits one
	// of streams whose rows wait for a match until their window closes.
	Join    JoinType
	Foreign bool
	Waits   bool
	// Numbered are the stores and topics that Kafka Streams names by number; see
	// [Number].
	Numbered Numbered
}

// Numbered are the names that Kafka Streams makes for a JOIN by counting its
// processors.
type Numbered struct {
	This, Other, Outer string // stores of a join of streams
	// of a join by foreign key
	Subscriptions          string
	Registration, Response string
}

// StepKind is the kind of a step.
type StepKind uint8

// The kinds of steps.
const (
	SourceStep StepKind = iota
	FilterStep
	ProjectStep
	FlatMapStep
	RekeyStep
	GroupByStep
	AggregateStep
	JoinStep
	SinkStep
)

// String is the kind as EXPLAIN prints it.
func (k StepKind) String() string {
	return [...]string{"SOURCE", "FILTER", "PROJECT", "FLAT_MAP", "REKEY", "GROUP_BY", "AGGREGATE", "JOIN", "SINK"}[k]
}
