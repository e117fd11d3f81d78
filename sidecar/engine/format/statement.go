package format

import (
	"sort"
	"strconv"

	"github.com/sidestream/sidestream/sidecar/engine/ast"
)

// Statement is a statement's canonical text, with its semicolon.
func Statement(s ast.Statement) string {
	var b writer
	b.statement(s)
	b.add(";")
	return b.String()
}

func (b *writer) addInt(before string, n int64) { b.add(before, strconv.FormatInt(n, 10)) }

func (b *writer) statement(s ast.Statement) {
	switch s := s.(type) {
	case *ast.CreateSource:
		b.createHead(s.OrReplace, s.ReadOnly, s.Table, s.IfNotExists, s.Name)
		if len(s.Elements) > 0 {
			b.add(" ")
			b.elements(s.Elements)
		}
		b.with(s.With)
	case *ast.CreateAs:
		b.createHead(s.OrReplace, false, s.Table, s.IfNotExists, s.Name)
		b.with(s.With)
		b.add(" AS ")
		b.query(s.Query)
	case *ast.InsertInto:
		b.add("INSERT INTO ", Name(s.Target.Name))
		b.with(s.With)
		b.add(" ")
		b.query(s.Query)
	case *ast.InsertValues:
		b.add("INSERT INTO ", Name(s.Target.Name))
		b.columns(s.Columns)
		b.add(" VALUES (")
		b.exprs(s.Values)
		b.add(")")
	case *ast.Select:
		b.query(s.Query)
	case *ast.CreateType:
		b.add("CREATE TYPE ", given(s.IfNotExists, "IF NOT EXISTS "), Name(s.Name.Name), " AS ", Type(s.Type))
	case *ast.DropType:
		b.add("DROP TYPE ", given(s.IfExists, "IF EXISTS "), Name(s.Name.Name))
	case *ast.DropSource:
		b.add("DROP ", kind(s.Table), " ", given(s.IfExists, "IF EXISTS "), Name(s.Name.Name), given(s.DeleteTopic, " DELETE TOPIC"))
	case *ast.AlterSource:
		b.add("ALTER ", kind(s.Table), " ", Name(s.Name.Name))
		for i, e := range s.Add {
			b.add(given(i > 0, ","), " ADD COLUMN ", Name(e.Name), " ", Type(e.Type))
		}
	case *ast.CreateConnector:
		b.add("CREATE ", given(s.Kind == ast.SinkConnector, "SINK"), given(s.Kind != ast.SinkConnector, "SOURCE"),
			" CONNECTOR ", given(s.IfNotExists, "IF NOT EXISTS "), Name(s.Name.Name))
		b.with(s.With)
	case *ast.DropConnector:
		b.add("DROP CONNECTOR ", given(s.IfExists, "IF EXISTS "), Name(s.Name.Name))
	case *ast.Show, *ast.Describe, *ast.Explain, *ast.Print:
		b.question(s)
	case *ast.AssertTopic, *ast.AssertSchema, *ast.AssertValues, *ast.AssertTombstone, *ast.AssertSource:
		b.assertion(s)
	default:
		b.setting(s)
	}
}

// setting writes the statements about properties, variables and queries.
func (b *writer) setting(s ast.Statement) {
	switch s := s.(type) {
	case *ast.AlterSystem:
		b.add("ALTER SYSTEM ", String(s.Name), "=", String(s.Value))
	case *ast.SetProperty:
		b.add("SET ", String(s.Name), "=", String(s.Value))
	case *ast.UnsetProperty:
		b.add("UNSET ", String(s.Name))
	case *ast.Define:
		b.add("DEFINE ", variable(s.Name), " = ", String(s.Value))
	case *ast.Undefine:
		b.add("UNDEFINE ", variable(s.Name))
	case *ast.Terminate:
		b.add("TERMINATE ", queryName(s.All, s.Query))
	case *ast.Pause:
		b.add("PAUSE ", queryName(s.All, s.Query))
	case *ast.Resume:
		b.add("RESUME ", queryName(s.All, s.Query))
	}
}

// question writes the statements that ask the server for something.
func (b *writer) question(s ast.Statement) {
	switch s := s.(type) {
	case *ast.Show:
		connectors := [...]string{"", "SOURCE ", "SINK "}
		b.add("SHOW ", given(s.All, "ALL "), connectors[s.Connector], s.Kind.String(), given(s.Extended, " EXTENDED"))
	case *ast.Describe:
		b.add("DESCRIBE ")
		switch s.Kind {
		case ast.DescribeStreams:
			b.add("STREAMS")
		case ast.DescribeTables:
			b.add("TABLES")
		case ast.DescribeFunction:
			b.add("FUNCTION ", variable(s.Name.Name))
		case ast.DescribeConnector:
			b.add("CONNECTOR ", variable(s.Name.Name))
		default:
			b.add(Name(s.Name.Name))
		}
		b.add(given(s.Extended, " EXTENDED"))
	case *ast.Explain:
		b.add("EXPLAIN ")
		if s.Statement != nil {
			b.statement(s.Statement)
		} else {
			b.add(Name(s.Query))
		}
	case *ast.Print:
		b.add("PRINT ", String(s.Topic), given(s.FromBeginning, " FROM BEGINNING"))
		if s.Interval != nil {
			b.addInt(" INTERVAL ", int64(*s.Interval))
		}
		if s.Limit != nil {
			b.addInt(" LIMIT ", int64(*s.Limit))
		}
	}
}

func (b *writer) assertion(s ast.Statement) {
	switch s := s.(type) {
	case *ast.AssertTopic:
		b.add("ASSERT ", given(s.NotExists, "NOT EXISTS "), "TOPIC ", String(s.Topic))
		b.with(s.With)
		b.timeout(s.Timeout)
	case *ast.AssertSchema:
		b.add("ASSERT ", given(s.NotExists, "NOT EXISTS "), "SCHEMA")
		if s.Subject != "" {
			b.add(" SUBJECT ", String(s.Subject))
		}
		if s.ID != nil {
			b.addInt(" ID ", int64(*s.ID))
		}
		b.timeout(s.Timeout)
	case *ast.AssertValues:
		b.add("ASSERT VALUES ", Name(s.Target.Name))
		b.columns(s.Columns)
		b.add(" VALUES (")
		b.exprs(s.Values)
		b.add(")")
	case *ast.AssertTombstone:
		b.add("ASSERT NULL VALUES ", Name(s.Target.Name))
		b.columns(s.Columns)
		b.add(" KEY (")
		b.exprs(s.Values)
		b.add(")")
	case *ast.AssertSource:
		b.add("ASSERT ", kind(s.Table), " ", Name(s.Name.Name))
		if len(s.Elements) > 0 {
			b.add(" ")
			b.elements(s.Elements)
		}
		b.with(s.With)
	}
}

func (b *writer) createHead(orReplace, readOnly, table, ifNotExists bool, name ast.Ident) {
	b.add("CREATE ", given(orReplace, "OR REPLACE "), given(readOnly, "SOURCE "), kind(table), " ",
		given(ifNotExists, "IF NOT EXISTS "), Name(name.Name))
}

func (b *writer) elements(list []ast.Element) {
	b.add("(")
	for i, e := range list {
		b.add(given(i > 0, ", "), Name(e.Name), " ", Type(e.Type))
		switch e.Role {
		case ast.KeyColumn:
			b.add(" KEY")
		case ast.PrimaryKeyColumn:
			b.add(" PRIMARY KEY")
		case ast.HeadersColumn:
			b.add(" HEADERS")
		case ast.HeaderColumn:
			b.add(" HEADER(", String(e.Header), ")")
		}
	}
	b.add(")")
}

// with writes a WITH clause in the order of the names.
func (b *writer) with(with ast.Properties) {
	if len(with) == 0 {
		return
	}
	sorted := append(ast.Properties(nil), with...)
	sort.SliceStable(sorted, func(i, j int) bool { return sorted[i].Name < sorted[j].Name })
	b.add(" WITH (")
	for i, p := range sorted {
		b.add(given(i > 0, ", "), propertyName(p.Name), "=")
		b.expr(p.Value)
	}
	b.add(")")
}

// propertyName quotes what isn't an identifier, such as a connector's option.
func propertyName(name string) string {
	if Name(name) == name {
		return name
	}
	return String(name)
}

func (b *writer) columns(list []ast.Ident) {
	if len(list) == 0 {
		return
	}
	b.add(" (")
	for i, c := range list {
		b.add(given(i > 0, ", "), Name(c.Name))
	}
	b.add(")")
}

func (b *writer) timeout(d *ast.Duration) {
	if d != nil {
		b.add(" TIMEOUT ", d.String())
	}
}

func kind(table bool) string {
	if table {
		return "TABLE"
	}
	return "STREAM"
}

func given(yes bool, text string) string {
	if yes {
		return text
	}
	return ""
}

func queryName(all bool, id string) string {
	if all {
		return "ALL"
	}
	return Name(id)
}

// variable is a name whose case is kept without quotes.
func variable(name string) string {
	for i := 0; i < len(name); i++ {
		c := name[i]
		if c|0x20 < 'a' || c|0x20 > 'z' {
			if c != '_' && (c < '0' || c > '9' || i == 0) {
				return Name(name)
			}
		}
	}
	return name
}
