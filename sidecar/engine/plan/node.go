package plan

import (
	"github.com/sidestream/sidestream/sidecar/engine/schema"
	"github.com/sidestream/sidestream/sidecar/engine/types"
)

// Node is one step of a query. Its output rows have its Schema: a key slice and
// a value slice in that order of columns. A step whose output is a table passes
// changes (old row, new row); one whose output is a stream passes records.
type Node interface {
	Inputs() []Node
	Out() *Output
}

// Output is what every step says of its rows.
type Output struct {
	// Name of the step, unique in the query, in ksqlDB's words ("Project",
	// "Aggregate-GroupBy"): errors, EXPLAIN, internal topics and stores use it.
	Name   string
	Schema schema.Schema
	Table  bool
	// Window of the key, if it has one.
	Window WindowKind
	// WindowSize in milliseconds, of tumbling and hopping windows.
	WindowSize int64
}

// Out gives the output of the step that embeds it.
func (o *Output) Out() *Output { return o }

// WindowKind is the kind of a windowed key.
type WindowKind uint8

// The kinds of window. Time windows are TUMBLING and HOPPING ones.
const (
	NoWindow WindowKind = iota
	TimeWindow
	SessionWindow
)

// Format is how a key or a value is written: a serde's name and its options.
type Format struct {
	Name string // JSON, KAFKA, DELIMITED, NONE, AVRO, PROTOBUF, JSON_SR, PROTOBUF_NOSR
	// Props are the format's own options, such as VALUE_DELIMITER's value under
	// "delimiter", "fullSchemaName", "schemaId".
	Props map[string]string
	// Unwrapped: a single column is written bare instead of as a record.
	Unwrapped bool
}

// Timestamp extracts a record's time from a column; Layout is a Java date
// pattern, used for STRING columns.
type Timestamp struct {
	Column Column
	Layout string
}

// Source reads a topic. Its rows are the declared columns; a record that can't
// be read goes to the processing log and is passed by. A table source turns
// records into changes; with Store it keeps the table, without (a table that
// nothing looks up) old rows are unknown and treated as nil.
type Source struct {
	Output
	Topic       string
	SourceName  string // as in the catalogue
	KeyFormat   Format
	ValueFormat Format
	// Columns by the catalogue, headers included, of which Schema may be a part:
	// a column that the query doesn't use need not be decoded.
	KeyColumns, ValueColumns []schema.Column
	// Used says, by place in ValueColumns, which are decoded; nil means all.
	Used      []bool
	Timestamp *Timestamp
	Store     *Store // tables only
}

// Filter keeps the rows for which Pred is true. On a table it turns a row that
// stops to match into a deletion, and says nothing of one that never did.
type Filter struct {
	Output
	Input Node
	Pred  Expr
}

// Project computes new value columns; the key stays (renamed by Schema.Key).
type Project struct {
	Output
	Input  Node
	Values []Expr
}

// FlatMap appends, for each row, the rows of its table functions, side by side;
// shorter ones are padded with NULL. Output values: the input's, then one
// column a function.
type FlatMap struct {
	Output
	Input     Node
	Functions []TableCall
}

// TableCall is a table function with its arguments.
type TableCall struct {
	Name string
	Args []Expr
	Type types.Type // of the column it yields
}

// Rekey gives a stream or table a new key (PARTITION BY, the key of a join).
// Keys empty means no key. An expression that fails, and on a stream one that is
// NULL, gives a null key.
type Rekey struct {
	Output
	Input Node
	Keys  []Expr
}

// Repartition writes the rows to an internal topic, partitioned by key, and
// reads them back: the place where a topology is cut in two.
type Repartition struct {
	Output
	Input       Node
	Topic       string // suffix: the server puts its application id before it
	KeyFormat   Format
	ValueFormat Format
	// Changes: a table's changes are carried as old and new row, each to the
	// partition of its own key (the input of a table's GROUP BY).
	Changes bool
}

// GroupBy sets the key of an aggregation. A row with a NULL among Keys is
// dropped and logged. On a table, the old row leaves its old group and the new
// row enters its new one, as two changes.
type GroupBy struct {
	Output
	Input Node
	Keys  []Expr
}

// Aggregate folds the rows of a group. Output values: Carried input columns
// first, then one column a call. On a table input it undoes the old row.
type Aggregate struct {
	Output
	Input  Node
	Calls  []AggregateCall
	Window *Window // nil without
	Store  *Store
	// Carried are value columns taken as they are from the latest row of the
	// group (needed columns that are functions of the key). May be empty.
	Carried []Expr
	// FromTable: the input is a table, whose old rows are undone.
	FromTable bool
	// Final: EMIT FINAL; one row a window, when it closes.
	Final bool
}

// AggregateCall is an aggregate function, the row expressions it reads and its
// constant arguments (behind them in SQL).
type AggregateCall struct {
	Name   string
	Args   []Expr
	Consts []types.Value
	Type   types.Type // of its result
	// State is the type of what is kept between rows.
	State types.Type
}

// Window is a WINDOW clause; durations in milliseconds, -1 where not given.
type Window struct {
	Kind      WindowKind
	Hopping   bool
	Size      int64 // the gap of a session
	Advance   int64
	Grace     int64 // resolved: the default has been applied
	Retention int64 // resolved
}

// JoinType is the type of a join.
type JoinType uint8

// The join types. Planning turns RIGHT joins of streams into themselves, not
// into LEFT: their column order and null sides differ.
const (
	Inner JoinType = iota
	Left
	Right
	Full
)

func (j JoinType) String() string { return [...]string{"INNER", "LEFT", "RIGHT", "FULL"}[j] }

// StreamStreamJoin joins records of two co-partitioned streams of equal key
// whose times are at most Before/After apart. Output values: left's then
// right's; time is the later of the two.
type StreamStreamJoin struct {
	Output
	Left, Right Node
	Type        JoinType
	Before      int64 // right may be that much earlier than left, in ms
	After       int64 // and that much later
	Grace       int64 // -1: no GRACE PERIOD: 24 h, and outer rows are emitted at once
	LeftStore   *Store
	RightStore  *Store
	OuterStore  *Store // rows that wait for a match; nil for INNER or without grace
	// KeyName etc. are in Schema; a FULL or expression join's key is synthetic and equals the join key.
}

// StreamTableJoin looks each record of the stream up in the table (whose
// source, aggregate or Materialize keeps it). Output values: left's then
// right's.
type StreamTableJoin struct {
	Output
	Left, Right Node
	Type        JoinType // Inner or Left
}

// TableTableJoin joins two tables by their primary keys. Both sides are kept in
// stores: their own, or LeftStore/RightStore where they have none.
type TableTableJoin struct {
	Output
	Left, Right           Node
	Type                  JoinType
	LeftStore, RightStore *Store
}

// ForeignKeyJoin joins a table to another's primary key by an expression over
// its own columns. Output key is the left's. It subscribes through internal
// topics, so that both sides may be partitioned as they are.
type ForeignKeyJoin struct {
	Output
	Left, Right   Node
	Type          JoinType // Inner or Left
	ForeignKey    Expr
	LeftStore     *Store // left rows by left key
	RightStore    *Store // right rows by right key
	Subscriptions *Store // foreign key ‖ left key
	// Topics of the subscription and its answers, suffixes like Repartition's.
	RegistrationTopic, ResponseTopic string
	KeyFormat                        Format // of the right's key in the registration topic
}

// Materialize keeps a table's rows in a store so that they can be looked up
// (joins, pull queries) and so that old rows are known.
type Materialize struct {
	Output
	Input Node
	Store *Store
}

// Sink writes the rows to the output topic.
type Sink struct {
	Output
	Input       Node
	SinkName    string
	Topic       string
	KeyFormat   Format
	ValueFormat Format
	Timestamp   *Timestamp // WITH (TIMESTAMP=…)
}

// Emit hands rows to whoever runs a push query instead of a topic.
type Emit struct {
	Output
	Input Node
}

// Store describes a state store; Name is the suffix of its changelog topic
// ("…-changelog" is added).
type Store struct {
	Name string
	Kind StoreKind
	// Retention of windowed stores in milliseconds.
	Retention int64
	// NoChangelog: the source topic itself is the changelog.
	NoChangelog bool
}

// StoreKind tells how a store's keys are made.
type StoreKind uint8

// The kinds of store.
const (
	KeyValueStore StoreKind = iota
	WindowStore
	SessionStore
)

func (*Source) Inputs() []Node             { return nil }
func (n *Filter) Inputs() []Node           { return []Node{n.Input} }
func (n *Project) Inputs() []Node          { return []Node{n.Input} }
func (n *FlatMap) Inputs() []Node          { return []Node{n.Input} }
func (n *Rekey) Inputs() []Node            { return []Node{n.Input} }
func (n *Repartition) Inputs() []Node      { return []Node{n.Input} }
func (n *GroupBy) Inputs() []Node          { return []Node{n.Input} }
func (n *Aggregate) Inputs() []Node        { return []Node{n.Input} }
func (n *StreamStreamJoin) Inputs() []Node { return []Node{n.Left, n.Right} }
func (n *StreamTableJoin) Inputs() []Node  { return []Node{n.Left, n.Right} }
func (n *TableTableJoin) Inputs() []Node   { return []Node{n.Left, n.Right} }
func (n *ForeignKeyJoin) Inputs() []Node   { return []Node{n.Left, n.Right} }
func (n *Materialize) Inputs() []Node      { return []Node{n.Input} }
func (n *Sink) Inputs() []Node             { return []Node{n.Input} }
func (n *Emit) Inputs() []Node             { return []Node{n.Input} }

// Query is a plan to run: its root is a Sink (persistent), an Emit (push) or a
// Materialize (source table).
type Query struct {
	ID   string
	Root Node
	// Materialized says where a pull query finds the rows of the query's table,
	// nil when it can't be queried.
	Materialized *Materialized
	// Steps is the query in ksqlDB's words, for EXPLAIN.
	Steps *Step
}

// Materialized is a store of rows and the Filter and Project steps (in order)
// that lead from a stored row to the table's row.
type Materialized struct {
	Store  *Store
	Stored *Output // shape of the stored rows
	// Format is how ksqlDB would write the stored rows: PROTOBUF has no NULL for
	// numbers and texts, and so they come back as 0 and "".
	Format Format
	Steps  []Node
}
