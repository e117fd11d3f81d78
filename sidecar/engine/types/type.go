// Package types holds SQL types and values, the vocabulary every later phase
// of the engine shares.
//
// In: nothing. Out: [Type], which describes a column, and [Value], which holds
// one. Values are immutable, compact (no allocation for numbers, none beyond
// the bytes themselves for strings) and know their own kind.
//
// Next: package schema names columns; package serde turns bytes into values;
// package function computes on them.
package types

import (
	"fmt"
	"strings"
)

// Kind is the base of a SQL type.
type Kind uint8

// The kinds, in the order in which numbers widen. Null is the type of the
// literal NULL, which every other type accepts.
const (
	Null Kind = iota
	Boolean
	Integer
	Bigint
	Decimal
	Double
	String
	Bytes
	Date
	Time
	Timestamp
	Array
	Map
	Struct
	// Lambda and IntervalUnit are the types of arguments only; no column has them.
	Lambda
	IntervalUnit
)

var kindNames = [...]string{"NULL", "BOOLEAN", "INTEGER", "BIGINT", "DECIMAL", "DOUBLE", "STRING", "BYTES",
	"DATE", "TIME", "TIMESTAMP", "ARRAY", "MAP", "STRUCT", "LAMBDA", "INTERVALUNIT"}

func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return fmt.Sprintf("Kind(%d)", uint8(k))
}

// Type is a SQL type. Precision and Scale belong to DECIMAL, Elem to ARRAY and
// MAP (its values), Key to MAP, Fields to STRUCT. Types are compared by Equal.
type Type struct {
	Kind      Kind
	Precision int
	Scale     int
	Key       *Type
	Elem      *Type
	Fields    []Field
}

// Field is a named member of a STRUCT.
type Field struct {
	Name string
	Type Type
}

// The types without parameters.
var (
	TNull      = Type{Kind: Null}
	TBoolean   = Type{Kind: Boolean}
	TInteger   = Type{Kind: Integer}
	TBigint    = Type{Kind: Bigint}
	TDouble    = Type{Kind: Double}
	TString    = Type{Kind: String}
	TBytes     = Type{Kind: Bytes}
	TDate      = Type{Kind: Date}
	TTime      = Type{Kind: Time}
	TTimestamp = Type{Kind: Timestamp}
)

// TDecimal is DECIMAL(precision, scale).
func TDecimal(precision, scale int) Type {
	return Type{Kind: Decimal, Precision: precision, Scale: scale}
}

// TArray is ARRAY<elem>.
func TArray(elem Type) Type { return Type{Kind: Array, Elem: &elem} }

// TMap is MAP<key, value>.
func TMap(key, value Type) Type { return Type{Kind: Map, Key: &key, Elem: &value} }

// TStruct is STRUCT<fields…>.
func TStruct(fields ...Field) Type { return Type{Kind: Struct, Fields: fields} }

// IsNumeric tells whether arithmetic accepts the type.
func (t Type) IsNumeric() bool { return t.Kind >= Integer && t.Kind <= Double }

// Equal tells whether two types are the same in every parameter.
func (t Type) Equal(o Type) bool {
	if t.Kind != o.Kind || t.Precision != o.Precision || t.Scale != o.Scale || len(t.Fields) != len(o.Fields) {
		return false
	}
	if !equalPtr(t.Key, o.Key) || !equalPtr(t.Elem, o.Elem) {
		return false
	}
	for i, f := range t.Fields {
		if f.Name != o.Fields[i].Name || !f.Type.Equal(o.Fields[i].Type) {
			return false
		}
	}
	return true
}

func equalPtr(a, b *Type) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.Equal(*b)
}

// String is the type as ksqlDB prints it: `DECIMAL(12, 2)`, `MAP<STRING, INTEGER>`,
// field names of a STRUCT in backticks.
func (t Type) String() string {
	switch t.Kind {
	case Decimal:
		return fmt.Sprintf("DECIMAL(%d, %d)", t.Precision, t.Scale)
	case Array:
		return "ARRAY<" + t.Elem.String() + ">"
	case Map:
		return "MAP<" + t.Key.String() + ", " + t.Elem.String() + ">"
	case Struct:
		parts := make([]string, len(t.Fields))
		for i, f := range t.Fields {
			parts[i] = "`" + strings.ReplaceAll(f.Name, "`", "``") + "` " + f.Type.String()
		}
		return "STRUCT<" + strings.Join(parts, ", ") + ">"
	default:
		return t.Kind.String()
	}
}
