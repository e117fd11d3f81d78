package ast

// Statement is a statement node.
type Statement interface {
	Node
	// Source is the statement's text as written, its semicolon included.
	Source() string
	statement()
}

// Span is what every statement has: where it begins and its text as written.
type Span struct {
	Pos
	Text string
}

// Source is the statement's text as written, its semicolon included.
func (s *Span) Source() string { return s.Text }

func (*Span) statement() {}

// SetSpan places the statement; the parser calls it.
func (s *Span) SetSpan(p Pos, text string) { s.Pos, s.Text = p, text }

// Property is a member of a WITH clause. Name is upper-case unless it was
// written as a string; Value is a literal.
type Property struct {
	Pos
	Name  string
	Value Expr
}

// Properties are a WITH clause, in the order written.
type Properties []Property

// Get is the value of that (upper-case) name, or nil.
func (ps Properties) Get(name string) Expr {
	for i := range ps {
		if ps[i].Name == name {
			return ps[i].Value
		}
	}
	return nil
}

// ColumnRole says what a declared column is.
type ColumnRole uint8

// The roles of columns.
const (
	ValueColumn ColumnRole = iota
	KeyColumn
	PrimaryKeyColumn
	HeadersColumn
	HeaderColumn
)

// Element is a declared column. Header is the header's key for a HeaderColumn.
type Element struct {
	Ident
	Type   *Type
	Role   ColumnRole
	Header string
}

// CreateSource is CREATE STREAM or CREATE TABLE over a topic.
type CreateSource struct {
	Span
	Table       bool
	OrReplace   bool
	ReadOnly    bool // CREATE SOURCE STREAM | TABLE
	IfNotExists bool
	Name        Ident
	Elements    []Element
	With        Properties
}

// CreateAs is CREATE STREAM or TABLE … AS SELECT.
type CreateAs struct {
	Span
	Table       bool
	OrReplace   bool
	IfNotExists bool
	Name        Ident
	With        Properties
	Query       *Query
}

// InsertInto is INSERT INTO … SELECT.
type InsertInto struct {
	Span
	Target Ident
	With   Properties
	Query  *Query
}

// InsertValues is INSERT INTO … VALUES. Columns is empty where none are named.
type InsertValues struct {
	Span
	Target  Ident
	Columns []Ident
	Values  []Expr
}

// Select is a query as a statement: a pull query where it has no EMIT, else a
// push query.
type Select struct {
	Span
	Query *Query
}

// CreateType is CREATE TYPE Name AS Type.
type CreateType struct {
	Span
	IfNotExists bool
	Name        Ident
	Type        *Type
}

// DropType is DROP TYPE.
type DropType struct {
	Span
	IfExists bool
	Name     Ident
}

// DropSource is DROP STREAM or DROP TABLE.
type DropSource struct {
	Span
	Table       bool
	IfExists    bool
	Name        Ident
	DeleteTopic bool
}

// AlterSource is ALTER STREAM or TABLE … ADD COLUMN.
type AlterSource struct {
	Span
	Table bool
	Name  Ident
	Add   []Element
}

// AlterSystem is ALTER SYSTEM 'Name'='Value'.
type AlterSystem struct {
	Span
	Name, Value string
}

// SetProperty is SET 'Name'='Value'.
type SetProperty struct {
	Span
	Name, Value string
}

// UnsetProperty is UNSET 'Name'.
type UnsetProperty struct {
	Span
	Name string
}

// Define is DEFINE name = 'Value'.
type Define struct {
	Span
	Name  string
	Value string
}

// Undefine is UNDEFINE name.
type Undefine struct {
	Span
	Name string
}

// Terminate is TERMINATE of one query, or of all of them.
type Terminate struct {
	Span
	All   bool
	Query string
}

// Pause is PAUSE of one query, or of all of them.
type Pause struct {
	Span
	All   bool
	Query string
}

// Resume is RESUME of one query, or of all of them.
type Resume struct {
	Span
	All   bool
	Query string
}

// ShowKind is what a SHOW (or LIST) statement shows.
type ShowKind uint8

// What can be shown.
const (
	ShowTopics ShowKind = iota
	ShowStreams
	ShowTables
	ShowQueries
	ShowFunctions
	ShowProperties
	ShowTypes
	ShowVariables
	ShowConnectors
	ShowConnectorPlugins
)

// String is what is shown, as it is written.
func (k ShowKind) String() string {
	return [...]string{"TOPICS", "STREAMS", "TABLES", "QUERIES", "FUNCTIONS", "PROPERTIES", "TYPES",
		"VARIABLES", "CONNECTORS", "CONNECTOR PLUGINS"}[k]
}

// ConnectorKind restricts SHOW CONNECTORS, and is a part of CREATE CONNECTOR.
type ConnectorKind uint8

// The kinds of connectors.
const (
	AnyConnector ConnectorKind = iota
	SourceConnector
	SinkConnector
)

// Show is SHOW or LIST.
type Show struct {
	Span
	Kind      ShowKind
	All       bool // SHOW ALL TOPICS
	Extended  bool
	Connector ConnectorKind // SHOW SOURCE | SINK CONNECTORS
}

// DescribeKind is what a DESCRIBE statement describes.
type DescribeKind uint8

// What can be described.
const (
	DescribeSource DescribeKind = iota
	DescribeStreams
	DescribeTables
	DescribeFunction
	DescribeConnector
)

// Describe is DESCRIBE. Name is empty for all streams or tables.
type Describe struct {
	Span
	Kind     DescribeKind
	Name     Ident
	Extended bool
}

// Explain is EXPLAIN of a statement, or of a running query by its id: one of
// the two is set.
type Explain struct {
	Span
	Statement Statement
	Query     string
}

// Print is PRINT topic. Interval and Limit are nil where not written. The
// topic's name keeps its case.
type Print struct {
	Span
	Topic         string
	FromBeginning bool
	Interval      *int
	Limit         *int
}

// AssertTopic is ASSERT [NOT EXISTS] TOPIC. Timeout is nil where not written.
type AssertTopic struct {
	Span
	NotExists bool
	Topic     string
	With      Properties
	Timeout   *Duration
}

// AssertSchema is ASSERT [NOT EXISTS] SCHEMA. Subject is "" and ID nil where not
// written; at least one of them is.
type AssertSchema struct {
	Span
	NotExists bool
	Subject   string
	ID        *int
	Timeout   *Duration
}

// AssertValues is ASSERT VALUES of the SQL tests: the next record of Source has
// these values.
type AssertValues struct {
	Span
	Target  Ident
	Columns []Ident
	Values  []Expr
}

// AssertTombstone is ASSERT NULL VALUES … KEY (…) of the SQL tests: the next
// record of the source has this key and no value.
type AssertTombstone struct {
	Span
	Target  Ident
	Columns []Ident
	Values  []Expr
}

// AssertSource is ASSERT STREAM or ASSERT TABLE of the SQL tests: the source
// exists with these columns and properties.
type AssertSource struct {
	Span
	Table    bool
	Name     Ident
	Elements []Element
	With     Properties
}

// CreateConnector is CREATE SOURCE | SINK CONNECTOR.
type CreateConnector struct {
	Span
	Kind        ConnectorKind
	IfNotExists bool
	Name        Ident
	With        Properties
}

// DropConnector is DROP CONNECTOR.
type DropConnector struct {
	Span
	IfExists bool
	Name     Ident
}
