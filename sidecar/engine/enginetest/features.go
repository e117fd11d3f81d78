package enginetest

import (
	"strings"

	"github.com/sidestream/sidestream/sidecar/engine/ast"
	"github.com/sidestream/sidestream/sidecar/engine/parser"
	"github.com/sidestream/sidestream/sidecar/engine/types"
)

// features are what a case touches, by kind: statements, query parts, functions,
// types, formats.
type features map[feature]bool

type feature struct{ kind, name string }

// The kinds of features.
const (
	statementFeature = "statement"
	partFeature      = "part"
	functionFeature  = "function"
	typeFeature      = "type"
	formatFeature    = "format"
)

func (f features) add(kind, name string) {
	if name != "" {
		f[feature{kind, name}] = true
	}
}

// features reads them off the case's statements; a statement that can't be read
// has none.
func (c *Case) features() features {
	f := features{}
	for _, name := range c.Formats {
		f.add(formatFeature, name)
	}
	for _, text := range c.Statements {
		f.text(text)
	}
	return f
}

func (f features) text(text string) {
	statements, err := parser.Parse(text)
	if err != nil {
		statements, err = parser.ParseTest(text)
	}
	if err != nil {
		return
	}
	for _, st := range statements {
		f.statement(st)
	}
}

func (f features) statement(st ast.Statement) {
	f.add(statementFeature, statementName(st))
	switch st := st.(type) {
	case *ast.CreateSource:
		if st.OrReplace {
			f.add(statementFeature, "CREATE OR REPLACE "+sourceWord(st.Table))
		}
		for i := range st.Elements {
			f.typ(st.Elements[i].Type)
			if r := st.Elements[i].Role; r == ast.HeaderColumn || r == ast.HeadersColumn {
				f.add(partFeature, "columns from record headers")
			}
		}
		f.properties(st.With)
	case *ast.CreateAs:
		if st.OrReplace {
			f.add(statementFeature, "CREATE OR REPLACE "+sourceWord(st.Table)+" … AS SELECT")
		}
		f.properties(st.With)
		f.query(st.Query)
	case *ast.InsertInto:
		f.query(st.Query)
	case *ast.Select:
		f.query(st.Query)
	case *ast.InsertValues:
		for _, v := range st.Values {
			f.expr(v)
		}
	case *ast.CreateType:
		f.typ(st.Type)
	}
}

func sourceWord(table bool) string {
	if table {
		return "TABLE"
	}
	return "STREAM"
}

// statementName is the kind of a statement as users know it.
func statementName(st ast.Statement) string {
	switch st := st.(type) {
	case *ast.CreateSource:
		if st.ReadOnly {
			return "CREATE SOURCE " + sourceWord(st.Table)
		}
		return "CREATE " + sourceWord(st.Table)
	case *ast.CreateAs:
		return "CREATE " + sourceWord(st.Table) + " … AS SELECT"
	case *ast.InsertInto:
		return "INSERT INTO … SELECT"
	case *ast.InsertValues:
		return "INSERT INTO … VALUES"
	case *ast.Select:
		if st.Query.Emit == ast.EmitNone {
			return "SELECT (pull query)"
		}
		return "SELECT … EMIT (push query)"
	case *ast.CreateType:
		return "CREATE TYPE"
	case *ast.DropType:
		return "DROP TYPE"
	case *ast.DropSource:
		return "DROP STREAM, DROP TABLE"
	case *ast.AlterSource:
		return "ALTER STREAM, ALTER TABLE"
	case *ast.AlterSystem:
		return "ALTER SYSTEM"
	case *ast.SetProperty, *ast.UnsetProperty:
		return "SET, UNSET"
	case *ast.Define, *ast.Undefine:
		return "DEFINE, UNDEFINE"
	case *ast.Terminate:
		return "TERMINATE"
	case *ast.Pause, *ast.Resume:
		return "PAUSE, RESUME"
	case *ast.Show:
		return "SHOW, LIST"
	case *ast.Describe:
		return "DESCRIBE"
	case *ast.Explain:
		return "EXPLAIN"
	case *ast.Print:
		return "PRINT"
	case *ast.AssertTopic, *ast.AssertSchema:
		return "ASSERT TOPIC, ASSERT SCHEMA"
	case *ast.AssertValues, *ast.AssertTombstone, *ast.AssertSource:
		return "ASSERT VALUES, STREAM, TABLE (in SQL tests)"
	case *ast.CreateConnector, *ast.DropConnector:
		return "CREATE CONNECTOR, DROP CONNECTOR"
	}
	return ""
}

// allStatements is every kind, in the order in which they are shown.
var allStatements = []string{
	"CREATE STREAM", "CREATE TABLE", "CREATE SOURCE STREAM", "CREATE SOURCE TABLE", "CREATE OR REPLACE STREAM", "CREATE OR REPLACE TABLE",
	"CREATE STREAM … AS SELECT", "CREATE TABLE … AS SELECT", "CREATE OR REPLACE STREAM … AS SELECT", "CREATE OR REPLACE TABLE … AS SELECT",
	"INSERT INTO … SELECT", "INSERT INTO … VALUES", "SELECT (pull query)", "SELECT … EMIT (push query)",
	"CREATE TYPE", "DROP TYPE", "DROP STREAM, DROP TABLE", "ALTER STREAM, ALTER TABLE", "ALTER SYSTEM",
	"TERMINATE", "PAUSE, RESUME", "SHOW, LIST", "DESCRIBE", "EXPLAIN", "PRINT", "SET, UNSET", "DEFINE, UNDEFINE",
	"ASSERT TOPIC, ASSERT SCHEMA", "ASSERT VALUES, STREAM, TABLE (in SQL tests)", "CREATE CONNECTOR, DROP CONNECTOR",
}

func (f features) properties(with ast.Properties) {
	for _, p := range with {
		switch strings.ToUpper(p.Name) {
		case "TIMESTAMP":
			f.add(partFeature, "WITH (TIMESTAMP, TIMESTAMP_FORMAT)")
		case "WRAP_SINGLE_VALUE":
			f.add(partFeature, "WITH (WRAP_SINGLE_VALUE)")
		case "WINDOW_TYPE":
			f.add(partFeature, "WITH (WINDOW_TYPE, WINDOW_SIZE)")
		case "KEY_SCHEMA_ID", "VALUE_SCHEMA_ID":
			f.add(partFeature, "WITH (KEY_SCHEMA_ID, VALUE_SCHEMA_ID)")
		case "PARTITIONS", "REPLICAS":
			f.add(partFeature, "WITH (PARTITIONS, REPLICAS)")
		}
	}
}

func (f features) query(q *ast.Query) {
	for _, j := range q.From.Joins {
		f.add(partFeature, j.Kind.String())
		if j.Within != nil {
			f.add(partFeature, "WITHIN")
			if j.Within.Grace != nil {
				f.add(partFeature, "WITHIN … GRACE PERIOD")
			}
		}
	}
	if len(q.From.Joins) > 1 {
		f.add(partFeature, "joins of three sources and more")
	}
	if q.Window != nil {
		f.add(partFeature, "WINDOW "+q.Window.Kind.String())
		if q.Window.Grace != nil {
			f.add(partFeature, "WINDOW … GRACE PERIOD")
		}
		if q.Window.Retention != nil {
			f.add(partFeature, "WINDOW … RETENTION")
		}
	}
	for name, there := range map[string]bool{
		"WHERE": q.Where != nil, "GROUP BY": q.GroupBy != nil, "PARTITION BY": q.PartitionBy != nil, "HAVING": q.Having != nil,
		"EMIT FINAL": q.Emit == ast.EmitFinal, "LIMIT": q.Limit != nil,
	} {
		if there {
			f.add(partFeature, name)
		}
	}
	for _, s := range q.Select {
		f.expr(s.Expr)
	}
	for _, j := range q.From.Joins {
		f.expr(j.On)
	}
	f.expr(q.Where)
	f.expr(q.Having)
	for _, e := range append(append([]ast.Expr{}, q.GroupBy...), q.PartitionBy...) {
		f.expr(e)
	}
}

func (f features) expr(e ast.Expr) {
	ast.Walk(e, func(e ast.Expr) bool {
		switch e := e.(type) {
		case *ast.Call:
			f.add(functionFeature, strings.ToUpper(e.Name))
		case *ast.Cast:
			f.add(partFeature, "CAST")
			f.typ(e.Type)
		case *ast.Lambda:
			f.add(partFeature, "lambdas")
		case *ast.Case:
			f.add(partFeature, "CASE")
		case *ast.In:
			f.add(partFeature, "IN")
		case *ast.Like:
			f.add(partFeature, "LIKE")
		case *ast.Between:
			f.add(partFeature, "BETWEEN")
		case *ast.FieldOf, *ast.AllFields:
			f.add(partFeature, "STRUCT->FIELD")
		case *ast.Subscript:
			f.add(partFeature, "subscripts")
		case *ast.MakeArray, *ast.MakeMap, *ast.MakeStruct:
			f.add(partFeature, "constructors of ARRAY, MAP, STRUCT")
		}
		return true
	})
}

func (f features) typ(t *ast.Type) {
	if t == nil {
		return
	}
	if t.Name == "" && t.Kind != types.Null {
		f.add(typeFeature, t.Kind.String())
	}
	f.typ(t.Key)
	f.typ(t.Elem)
	for i := range t.Fields {
		f.typ(t.Fields[i].Type)
	}
}
