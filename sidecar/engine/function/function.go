// Package function holds ksqlDB's functions, found by name and argument types.
//
// In: values. Out: values. [Registry] is the catalogue: analysis asks it for
// the result type of a call, package exec for the code. Each family of
// functions stands in its own file and registers itself in [Builtin].
package function

import "github.com/sidestream/sidestream/sidecar/engine/types"

// Param is a parameter of an overload.
type Param struct {
	Name string
	// Type the argument must have, where Shape is nil. A DECIMAL of precision 0
	// stands for any.
	Type types.Type
	// Shape is the type of a generic parameter, or of a lambda.
	Shape *Shape
	Doc   string
}

// Shape is a type with holes: Var names a hole, which stands for the same type
// wherever it appears in a signature (ANY for any); Key and Elem describe ARRAY
// and MAP, Params and Result a lambda.
type Shape struct {
	Var    string
	Kind   types.Kind // Array, Map, Lambda or a plain kind when Var is empty
	Key    *Shape
	Elem   *Shape
	Params []Shape // of a lambda
	Result *Shape  // of a lambda

	fields []types.Field // of a STRUCT
}

// Scalar is a function of one row.
type Scalar struct {
	Name string // upper-case
	// Display is the name in messages about its arguments; "" stands for Name.
	Display   string
	Author    string
	Doc       string
	Category  string
	Overloads []Overload
}

// Overload is one signature of a Scalar.
type Overload struct {
	Params   []Param
	Variadic bool // the last parameter may repeat (zero or more times)
	Doc      string
	// Return is the result type; ReturnFor computes it from the argument types
	// when it depends on them (or nil). consts[i] is the argument's value where
	// it is a literal, else NULL.
	Return    types.Type
	ReturnFor func(args []types.Type) (types.Type, error)
	// Eval computes the result. args may not be kept. NULL arguments are handed
	// in as they are. An error makes the result NULL, with a processing log
	// record.
	Eval func(args []types.Value) (types.Value, error)
	// EvalTyped is set instead of Eval by functions that need their argument
	// types (e.g. TO_JSON_STRING of a STRUCT); it is called once a plan and
	// returns the Eval to use.
	EvalTyped func(args []types.Type, result types.Type) func(args []types.Value) (types.Value, error)

	result *Shape // of generic overloads
}

// Table is a function that yields rows.
type Table struct {
	Name, Display, Author, Doc string
	Overloads                  []TableOverload
}

// TableOverload is one signature of a Table.
type TableOverload struct {
	Params    []Param
	Variadic  bool
	Doc       string
	Return    types.Type
	ReturnFor func(args []types.Type) (types.Type, error)
	Eval      func(args []types.Value) ([]types.Value, error)

	result *Shape // of generic overloads
}

// Aggregate is a function of many rows.
type Aggregate struct {
	Name, Author, Doc string
	Overloads         []AggregateOverload
}

// AggregateOverload is one signature of an Aggregate. Params are read from each
// row; Consts are literals behind them.
type AggregateOverload struct {
	Params   []Param
	Variadic bool
	Consts   []Param
	// OptionalConsts tells how many of the last of Consts may be left out.
	OptionalConsts int
	Doc            string
	// ReturnText is the result's type for DESCRIBE FUNCTION ("ARRAY<T>"); the one
	// of a call is Aggregator.Result.
	ReturnText string
	// New makes the function for argument types and constants, or says why they
	// don't fit.
	New func(args []types.Type, consts []types.Value) (Aggregator, error)
}

// Aggregator folds values. It keeps nothing itself: the state is a Value that
// package exec stores between rows, NULL included. Calls must not change the
// state given to them but return a new one.
type Aggregator interface {
	// State and Result are types of what is kept and of what the call yields.
	State() types.Type
	Result() types.Type
	Init() types.Value
	Add(state types.Value, args []types.Value) (types.Value, error)
	// Merge joins two states (windows of a session), the earlier first.
	Merge(a, b types.Value) (types.Value, error)
	// Final turns the state into the result.
	Final(state types.Value) (types.Value, error)
}

// Undoer is an Aggregator that can take a row back, as tables need it.
type Undoer interface {
	Undo(state types.Value, args []types.Value) (types.Value, error)
}

// Registry finds functions. Lookups take upper-case names.
type Registry interface {
	Scalar(name string) (*Scalar, bool)
	Aggregate(name string) (*Aggregate, bool)
	Table(name string) (*Table, bool)
	// ResolveScalar picks the overload for the argument types, by ksqlDB's rules
	// (exact, then implicit widening, then variadic), and its result type.
	// Lambda arguments are given as types.Type{Kind: types.Lambda}; see
	// LambdaParams. The error's text is ksqlDB's.
	ResolveScalar(name string, args []types.Type) (*Overload, types.Type, error)
	// LambdaParams gives the parameter types of the lambda at argument index arg,
	// from the other arguments' types; ok is false when no overload takes one.
	LambdaParams(name string, args []types.Type, arg int, params int) ([]types.Type, bool)
	// ResolveScalarLambda is ResolveScalar when the lambdas' result types are
	// known: lambdas[i] is the result type of the lambda at argument i.
	ResolveScalarLambda(name string, args []types.Type, lambdas map[int]types.Type) (*Overload, types.Type, error)
	ResolveAggregate(name string, args []types.Type, consts []types.Value) (Aggregator, error)
	ResolveTable(name string, args []types.Type) (*TableOverload, types.Type, error)
	// Names of all functions, sorted, with their kind ("SCALAR", "AGGREGATE", "TABLE").
	List() []Listing
}

// Listing is a line of SHOW FUNCTIONS.
type Listing struct{ Name, Kind, Category string }
