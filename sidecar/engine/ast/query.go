package ast

// Query is a SELECT.
type Query struct {
	Pos
	Select      []SelectItem
	From        From
	Window      *Window
	Where       Expr
	GroupBy     []Expr
	PartitionBy []Expr
	Having      Expr
	Emit        Emit
	// Limit is nil where there is none.
	Limit *int
}

// SelectItem is an item of the SELECT list. Exactly one of Star and Expr is
// set: Star for `*` and, with Source, for `source.*`. Alias is "" where none is
// written.
type SelectItem struct {
	Pos
	Star   bool
	Source string
	Expr   Expr
	Alias  string
}

// From is what a query reads: a source, and the sources joined to it in order.
type From struct {
	Source Source
	Joins  []Join
}

// Sources are all sources in order, the first one included.
func (f *From) Sources() []Source {
	out := append(make([]Source, 0, 1+len(f.Joins)), f.Source)
	for i := range f.Joins {
		out = append(out, f.Joins[i].Source)
	}
	return out
}

// Source is a stream or table with the name it has in the query: Alias is the
// source's own name where none is written.
type Source struct {
	Pos
	Name  string
	Alias string
}

// JoinKind is the kind of a join.
type JoinKind uint8

// The kinds of joins.
const (
	InnerJoin JoinKind = iota
	LeftJoin
	RightJoin
	FullJoin
)

// String is the join as it is written in canonical form.
func (k JoinKind) String() string {
	return [...]string{"INNER JOIN", "LEFT OUTER JOIN", "RIGHT OUTER JOIN", "FULL OUTER JOIN"}[k]
}

// Join is a source joined to those before it. Within is nil where there is none.
type Join struct {
	Pos
	Kind   JoinKind
	Source Source
	Within *Within
	On     Expr
}

// Within bounds the time between the two records of a stream–stream join.
// Before and After are equal where one duration is written. Grace is nil where
// there is none.
type Within struct {
	Pos
	Before, After Duration
	Grace         *Duration
}

// WindowKind is the kind of a window.
type WindowKind uint8

// The kinds of windows.
const (
	Tumbling WindowKind = iota
	Hopping
	Session
)

// String is the kind in upper case.
func (k WindowKind) String() string { return [...]string{"TUMBLING", "HOPPING", "SESSION"}[k] }

// Window is a WINDOW clause. Size is the gap of a SESSION window; Advance is
// set for HOPPING only; Retention and Grace are nil where not written.
type Window struct {
	Pos
	Name      string
	Kind      WindowKind
	Size      Duration
	Advance   *Duration
	Retention *Duration
	Grace     *Duration
}

// Emit says when a query gives results.
type Emit uint8

// EmitNone is a pull query (or a persistent query's default), EmitChanges every
// change, EmitFinal the last state of a closed window.
const (
	EmitNone Emit = iota
	EmitChanges
	EmitFinal
)

// String is the clause, "" for none.
func (e Emit) String() string { return [...]string{"", "EMIT CHANGES", "EMIT FINAL"}[e] }
