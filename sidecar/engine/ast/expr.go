package ast

// Expr is an expression node.
type Expr interface {
	Node
	expr()
}

// Literals.
type (
	// NullLit is NULL.
	NullLit struct{ Pos }
	// BoolLit is TRUE or FALSE.
	BoolLit struct {
		Pos
		Value bool
	}
	// IntLit is a whole number: INTEGER if it fits 32 bits, else BIGINT. A sign
	// written before it is part of it.
	IntLit struct {
		Pos
		Value int64
		// Bigint is true where the type is BIGINT.
		Bigint bool
	}
	// DecimalLit is a number with a point; Text keeps its scale ("-1.50").
	DecimalLit struct {
		Pos
		Text string
	}
	// DoubleLit is a number with an exponent.
	DoubleLit struct {
		Pos
		Value float64
	}
	// StringLit is text in single quotes; Value has the quotes and escapes removed.
	StringLit struct {
		Pos
		Value string
	}
	// UnitLit is a time unit as an argument: DATEADD(DAYS, …).
	UnitLit struct {
		Pos
		Unit Unit
	}
)

// ColumnRef is a column, of Source where that is not empty.
type ColumnRef struct {
	Pos
	Source string
	Name   string
}

// LambdaVar is a parameter of an enclosing Lambda.
type LambdaVar struct {
	Pos
	Name string
}

// Arith is L Op R.
type Arith struct {
	Pos
	Op   ArithOp
	L, R Expr
}

// Concat is L || R.
type Concat struct {
	Pos
	L, R Expr
}

// Unary is a sign before an expression.
type Unary struct {
	Pos
	Minus bool
	X     Expr
}

// Compare is L Op R.
type Compare struct {
	Pos
	Op   CompareOp
	L, R Expr
}

// Logical is L AND R, or L OR R.
type Logical struct {
	Pos
	Or   bool
	L, R Expr
}

// Not is NOT X. X NOT IN (…), NOT LIKE and NOT BETWEEN are Not of the plain form.
type Not struct {
	Pos
	X Expr
}

// IsNull is X IS NULL, or X IS NOT NULL when Negated.
type IsNull struct {
	Pos
	X       Expr
	Negated bool
}

// In is X IN (List…).
type In struct {
	Pos
	X    Expr
	List []Expr
}

// Between is X BETWEEN Low AND High.
type Between struct {
	Pos
	X, Low, High Expr
}

// Like is X LIKE Pattern; Escape is 0 where there is no ESCAPE.
type Like struct {
	Pos
	X, Pattern Expr
	Escape     rune
}

// Case is a searched CASE, or a simple one where Operand is not nil. Else is
// nil where there is none.
type Case struct {
	Pos
	Operand Expr
	Whens   []When
	Else    Expr
}

// When is WHEN Cond THEN Result.
type When struct {
	Pos
	Cond, Result Expr
}

// Cast is CAST(X AS Type).
type Cast struct {
	Pos
	X    Expr
	Type *Type
}

// Call is a function call; Name is upper-case. COUNT(*) has no arguments.
type Call struct {
	Pos
	Name string
	Args []Expr
}

// Lambda is Params => Body.
type Lambda struct {
	Pos
	Params []Ident
	Body   Expr
}

// FieldOf is X->Name.
type FieldOf struct {
	Pos
	X    Expr
	Name string
}

// AllFields is X->*, all fields of a struct; it stands in the SELECT list only.
type AllFields struct {
	Pos
	X Expr
}

// Subscript is X[Index].
type Subscript struct {
	Pos
	X, Index Expr
}

// MakeArray is ARRAY[Items…].
type MakeArray struct {
	Pos
	Items []Expr
}

// MakeMap is MAP(Keys[i] := Values[i], …).
type MakeMap struct {
	Pos
	Keys, Values []Expr
}

// MakeStruct is STRUCT(Fields[i].Name := Fields[i].Value, …).
type MakeStruct struct {
	Pos
	Fields []StructField
}

// StructField is a field of a MakeStruct.
type StructField struct {
	Ident
	Value Expr
}

// ArithOp is an arithmetic operator.
type ArithOp uint8

// The arithmetic operators.
const (
	Add ArithOp = iota
	Subtract
	Multiply
	Divide
	Modulus
)

// String is the operator's sign.
func (op ArithOp) String() string { return [...]string{"+", "-", "*", "/", "%"}[op] }

// CompareOp is a comparison operator.
type CompareOp uint8

// The comparison operators.
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

// String is the operator as it is written.
func (op CompareOp) String() string {
	return [...]string{"=", "<>", "<", "<=", ">", ">=", "IS DISTINCT FROM", "IS NOT DISTINCT FROM"}[op]
}

func (*NullLit) expr()    {}
func (*BoolLit) expr()    {}
func (*IntLit) expr()     {}
func (*DecimalLit) expr() {}
func (*DoubleLit) expr()  {}
func (*StringLit) expr()  {}
func (*UnitLit) expr()    {}
func (*ColumnRef) expr()  {}
func (*LambdaVar) expr()  {}
func (*Arith) expr()      {}
func (*Concat) expr()     {}
func (*Unary) expr()      {}
func (*Compare) expr()    {}
func (*Logical) expr()    {}
func (*Not) expr()        {}
func (*IsNull) expr()     {}
func (*In) expr()         {}
func (*Between) expr()    {}
func (*Like) expr()       {}
func (*Case) expr()       {}
func (*Cast) expr()       {}
func (*Call) expr()       {}
func (*Lambda) expr()     {}
func (*FieldOf) expr()    {}
func (*AllFields) expr()  {}
func (*Subscript) expr()  {}
func (*MakeArray) expr()  {}
func (*MakeMap) expr()    {}
func (*MakeStruct) expr() {}
