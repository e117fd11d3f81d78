package plan

import "github.com/sidestream/sidestream/sidecar/engine/types"

// Expr is a typed expression over one row. Expressions are data: package exec
// compiles them.
type Expr interface{ ResultType() types.Type }

// Column is a column of the input row, by its place in the key or the value.
type Column struct {
	Name  string
	InKey bool
	Index int
	Type  types.Type
}

// PseudoKind names a fact about a record that is not in its columns.
type PseudoKind uint8

// The pseudo columns.
const (
	RowTime PseudoKind = iota
	RowPartition
	RowOffset
	WindowStart
	WindowEnd
)

// Pseudo is a fact about the record: its time, place or window.
type Pseudo struct{ Kind PseudoKind }

// Literal is a constant.
type Literal struct {
	Value types.Value
	Type  types.Type
}

// Call is a scalar function. Name is upper-case; exec finds the overload by the
// types of the arguments, as analysis did, so that a plan names no code.
type Call struct {
	Name string
	Args []Expr
	Type types.Type
}

// Lambda is an argument of a Call: its body refers to its parameters by
// LambdaVar. Slot is the first parameter's place among all lambda variables in
// scope; nested lambdas take the places behind it.
type Lambda struct {
	Params []string
	Slot   int
	Body   Expr
	// ParamTypes are the types the parameters have in this call.
	ParamTypes []types.Type
}

// LambdaVar is a parameter of an enclosing Lambda.
type LambdaVar struct {
	Name string
	Slot int
	Type types.Type
}

// ArithOp is an arithmetic operator.
type ArithOp uint8

// The arithmetic operators. Add also concatenates strings.
const (
	Add ArithOp = iota
	Subtract
	Multiply
	Divide
	Modulus
)

// Arith is L op R, of type Type.
type Arith struct {
	Op   ArithOp
	L, R Expr
	Type types.Type
}

// Negate is unary minus.
type Negate struct{ X Expr }

// CompareOp is a comparison operator.
type CompareOp uint8

// The comparison operators. A comparison with NULL is false, but for the last
// two.
const (
	Equal CompareOp = iota
	NotEqual
	Less
	LessEqual
	Greater
	GreaterEqual
	IsDistinctFrom
	IsNotDistinctFrom
)

// Compare is L op R; both sides have comparable types (analysis put casts where
// a literal was coerced).
type Compare struct {
	Op   CompareOp
	L, R Expr
}

// And, Or and Not are two-valued, since comparisons are.
type (
	And struct{ L, R Expr }
	Or  struct{ L, R Expr }
	Not struct{ X Expr }
)

// IsNull is X IS NULL, or IS NOT NULL when Negated.
type IsNull struct {
	X       Expr
	Negated bool
}

// In is X IN (List). NOT IN is Not{In}.
type In struct {
	X    Expr
	List []Expr
}

// Between is Low <= X AND X <= High.
type Between struct{ X, Low, High Expr }

// Like is X LIKE Pattern ESCAPE Escape; Escape is 0 when there is none.
type Like struct {
	X, Pattern Expr
	Escape     rune
}

// When is a branch of a Case.
type When struct{ Cond, Result Expr }

// Case is a searched CASE; Else is nil for NULL.
type Case struct {
	Whens []When
	Else  Expr
	Type  types.Type
}

// Cast is CAST(X AS Type). Implicit casts are written as explicit ones.
type Cast struct {
	X    Expr
	Type types.Type
}

// FieldOf is X->Name, field Index of a STRUCT.
type FieldOf struct {
	X     Expr
	Name  string
	Index int
	Type  types.Type
}

// Subscript is X[Index]: an array element (from 1, negative from the end) or a
// map's value.
type Subscript struct {
	X, Index Expr
	Type     types.Type
}

// MakeArray, MakeMap and MakeStruct build values.
type (
	MakeArray struct {
		Items []Expr
		Type  types.Type
	}
	MakeMap struct {
		Keys, Values []Expr
		Type         types.Type
	}
	MakeStruct struct {
		Values []Expr
		Type   types.Type
	}
)

func (e *Column) ResultType() types.Type    { return e.Type }
func (e *Literal) ResultType() types.Type   { return e.Type }
func (e *Call) ResultType() types.Type      { return e.Type }
func (e *Lambda) ResultType() types.Type    { return types.Type{Kind: types.Lambda} }
func (e *LambdaVar) ResultType() types.Type { return e.Type }
func (e *Arith) ResultType() types.Type     { return e.Type }
func (e *Negate) ResultType() types.Type    { return e.X.ResultType() }
func (e *Case) ResultType() types.Type      { return e.Type }
func (e *Cast) ResultType() types.Type      { return e.Type }
func (e *FieldOf) ResultType() types.Type   { return e.Type }
func (e *Subscript) ResultType() types.Type { return e.Type }

func (e *MakeArray) ResultType() types.Type  { return e.Type }
func (e *MakeMap) ResultType() types.Type    { return e.Type }
func (e *MakeStruct) ResultType() types.Type { return e.Type }

func (*Compare) ResultType() types.Type { return types.TBoolean }
func (*And) ResultType() types.Type     { return types.TBoolean }
func (*Or) ResultType() types.Type      { return types.TBoolean }
func (*Not) ResultType() types.Type     { return types.TBoolean }
func (*IsNull) ResultType() types.Type  { return types.TBoolean }
func (*In) ResultType() types.Type      { return types.TBoolean }
func (*Between) ResultType() types.Type { return types.TBoolean }
func (*Like) ResultType() types.Type    { return types.TBoolean }

// ResultType is INTEGER for the partition, BIGINT for the rest.
func (e *Pseudo) ResultType() types.Type {
	if e.Kind == RowPartition {
		return types.TInteger
	}
	return types.TBigint
}
