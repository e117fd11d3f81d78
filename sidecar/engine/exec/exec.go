// Package exec runs plans: it builds operators from a sub-topology and drives
// records through them. It is synchronous and deterministic: a record goes in,
// records come out, time and state are handed in. It knows neither Kafka, disk
// nor the wall clock.
//
// In: a plan.SubTopology and an [Env]. Out: a [Task], which takes raw records
// and hands raw records to Env.Emit.
//
// Next: package driver runs tasks on topics in memory, for tests and cases;
// package runtime runs them on Kafka.
package exec

import (
	"github.com/sidestream/sidestream/sidecar/engine/function"
	"github.com/sidestream/sidestream/sidecar/engine/plan"
	"github.com/sidestream/sidestream/sidecar/engine/serde"
	"github.com/sidestream/sidestream/sidecar/engine/state"
	"github.com/sidestream/sidestream/sidecar/engine/types"
)

// Header is a record header.
type Header struct {
	Key   string
	Value []byte
}

// Input is a record as read from a topic. Nil Key or Value means null. The
// bytes must stay unchanged: values may point into them.
type Input struct {
	Key, Value []byte
	Time       int64 // ms since the epoch
	Partition  int32
	Offset     int64
	Headers    []Header
}

// Output is a record to write. Partition is by the key's murmur2 hash, unless
// it is given (>= 0). Topic is complete for sinks, and the plan's suffix for
// repartition topics, told apart by Internal.
type Output struct {
	Topic      string
	Internal   bool
	Key, Value []byte
	Time       int64
	Headers    []Header
	Partition  int32
	// Plain is Key without its window: records of all windows of a key are in one
	// partition.
	Plain []byte
}

// PartitionOf is the partition among n that the record's key belongs to.
func (o *Output) PartitionOf(n int32) int32 {
	if o.Plain != nil {
		return Partition(o.Plain, n)
	}
	return Partition(o.Key, n)
}

// Window is the window of a key; zero without.
type Window struct{ Start, End int64 }

// Row is a row on its way through a task: a stream's record, or a table's
// change. A nil Key is a null key, a nil Value a null value (a deletion in a
// table). Rows are shared between operators: they never change what they were
// given, and keep nothing of it after they return, for the slices and the bytes
// behind texts are used again for the next record.
type Row struct {
	Key, Value []types.Value
	Old        []types.Value // tables: the row before, nil when there was none or it isn't known
	Window     Window
	Time       int64
	Partition  int32
	Offset     int64
	Headers    []Header
}

// Problem is an entry for the processing log.
type Problem struct {
	// Type is ksqlDB's: "deserializationError", "recordProcessingError",
	// "serializationError".
	Type    string
	Logger  string // step, e.g. "Project"
	Message string
	Cause   []string
	// Topic and Target ("key" or "value") of a deserialisation error.
	Topic, Target string
	// Input is the record that could not be read, Row the row that could not be
	// processed or written. Both are valid during the call.
	Input *Input
	Row   *Row
}

// Env is what a task is given of the world. All of it is used from the
// goroutine that calls the task.
type Env struct {
	Functions function.Registry
	Schemas   serde.SchemaRegistry // nil without
	// Internal is how the names of the query's own topics begin, for the subjects
	// of their schemas; InternalSchemas is where those are, nil for Schemas.
	Internal        string
	InternalSchemas serde.SchemaRegistry
	// Store opens the store of that description; called once for each while
	// building.
	Store func(s *plan.Store) state.Store
	// Emit takes a record for a topic. The bytes belong to the callee; out itself
	// is used again after the call.
	Emit func(out *Output) error
	// EmitRow takes rows of a plan.Emit. The row belongs to the callee.
	EmitRow func(r *Row) error
	// Log takes problems. Processing goes on.
	Log func(p Problem)
	// Config values that change behaviour (ksqlDB property names).
	Config map[string]string
}
