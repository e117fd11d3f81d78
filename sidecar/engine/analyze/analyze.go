// Package analyze finds every mistake a statement can hold, and makes of a
// correct one what the engine needs to carry it out.
//
// In: syntax trees of package parser and an [Env]: the catalogue, the functions,
// the topics of the cluster. Out: a catalog.Source, a plan.Query, a lookup or
// rows to insert. Nothing is changed: the caller puts the source into the
// catalogue and starts the query.
//
// Errors are of package diagnostic, with positions, in ksqlDB's words.
//
// Next: package expression types single expressions; package plan holds what
// comes out; package exec runs it.
package analyze

import (
	"github.com/sidestream/sidestream/sidecar/engine/catalog"
	"github.com/sidestream/sidestream/sidecar/engine/exec"
	"github.com/sidestream/sidestream/sidecar/engine/function"
	"github.com/sidestream/sidestream/sidecar/engine/plan"
	"github.com/sidestream/sidestream/sidecar/engine/schema"
	"github.com/sidestream/sidestream/sidecar/engine/serde"
	"github.com/sidestream/sidestream/sidecar/engine/types"
)

// Env is what statements are analysed against.
type Env struct {
	Catalog   *catalog.Catalog
	Functions function.Registry
	// Topics tells the partitions of a topic; ok is false when there is none. Nil
	// stands for a cluster without topics, where those named are made as needed.
	Topics func(topic string) (partitions int, ok bool)
	// Config are the server's and the statement's properties (ksqlDB names,
	// values as text).
	Config  map[string]string
	Schemas serde.SchemaRegistry // nil without
}

// TopicSpec is a topic that a statement needs: made when missing, checked when
// there.
type TopicSpec struct {
	Name       string
	Partitions int
	Replicas   int // 0: the broker's default
	// Config of a new topic: cleanup.policy, retention.ms.
	Config map[string]string
	// Strict: the statement gives the retention, so a topic that is there already
	// must have it.
	Strict bool `json:",omitempty"`
}

// Persistent is a query that writes a topic: CREATE … AS SELECT, INSERT INTO …
// SELECT, or the query behind CREATE SOURCE TABLE.
type Persistent struct {
	// Source is the new stream or table; nil for INSERT INTO. For CREATE SOURCE
	// TABLE it is the table.
	Source *catalog.Source
	Plan   *plan.Query
	// Topic of the sink; nil for CREATE SOURCE TABLE.
	Topic *TopicSpec
	// Reads and Writes are names of sources; Writes is "" for CREATE SOURCE TABLE.
	Reads  []string
	Writes string
	// Warnings for the answer, such as the one for joins without GRACE PERIOD.
	Warnings []string
	// Replaces: the statement said OR REPLACE and there is such a source.
	Replaces bool
	// Exists: the statement said IF NOT EXISTS and there is; nothing is to be done.
	Exists bool
}

// Created is a source made by a plain CREATE STREAM or TABLE.
type Created struct {
	Source *catalog.Source
	// Topic to make; nil when it is there.
	Topic    *TopicSpec
	Warnings []string
	Replaces bool
	Exists   bool
	// Query keeps a CREATE SOURCE TABLE's rows for pull queries; nil otherwise.
	Query *plan.Query
}

// Push is a query whose rows go to a client.
type Push struct {
	Plan    *plan.Query // root is a plan.Emit; Out().Schema's values are the columns of the answer
	Columns []schema.Column
	// Key says which of Columns are key columns, by place.
	Key []bool
	// Bounds are WINDOWSTART or WINDOWEND for Columns that are the bounds of the
	// row's window as they are, "" for the others.
	Bounds []string
	Table  bool
	Limit  int // -1 for none
	Reads  []string
	// FromTable etc. need no more: the runtime reads from latest or earliest by
	// auto.offset.reset.
}

// Pull is a query answered from what is stored: of a table by lookup, of a
// stream by reading its topic to the end.
type Pull struct {
	// Source is read; QueryID is the query that keeps it, "" for a stream.
	Source  *catalog.Source
	QueryID string
	Columns []schema.Column
	Key     []bool
	Limit   int // -1 for none
	// Of a table: Selection finds candidate rows; each is then tested by Where (nil
	// for none) and projected by Select, both over the table's row (key and value
	// columns of Source.Schema, pseudo columns by plan.Pseudo).
	Selection exec.Selection
	Where     plan.Expr
	Select    []plan.Expr
	// Of a stream: Stream's plan yields the rows; it is run up to the ends that the
	// topic has now.
	Stream *Push
}

// Insert is a row of INSERT INTO … VALUES.
type Insert struct {
	Source *catalog.Source
	// Key and Value are in the order of Source.Schema (header columns left out);
	// Key is nil when every key column is NULL.
	Key, Value []types.Value
	// Time is ROWTIME in ms, or -1 for now.
	Time int64
}
