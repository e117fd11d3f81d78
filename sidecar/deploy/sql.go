package deploy

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/sidestream/sidestream/sidecar/engine/ast"
	"github.com/sidestream/sidestream/sidecar/engine/catalog"
	"github.com/sidestream/sidestream/sidecar/engine/format"
	"github.com/sidestream/sidestream/sidecar/engine/parser"
	"github.com/sidestream/sidestream/sidecar/engine/plan"
	"github.com/sidestream/sidestream/sidecar/engine/serde"
)

// parseOne reads a single statement of a server or the ledger; nil if it can't be
// read.
func parseOne(sql string) *Statement {
	if !strings.HasSuffix(strings.TrimSpace(sql), ";") {
		sql += ";"
	}
	nodes, err := parser.Parse(sql)
	if err != nil || len(nodes) == 0 {
		return nil
	}
	s := &Statement{Node: nodes[0], text: sql}
	if len(nodes) > 1 { // a source that was ALTERed: its columns follow
		src, ok := s.Node.(*ast.CreateSource)
		if !ok {
			return nil
		}
		whole := *src
		whole.Elements = slices.Clone(src.Elements)
		for _, n := range nodes[1:] {
			alter, ok := n.(*ast.AlterSource)
			if !ok {
				return nil
			}
			whole.Elements = append(whole.Elements, alter.Add...)
		}
		s.Node = &whole
	}
	if !s.name() {
		return nil
	}
	return s
}

// parseServer reads a statement as a server gives it back: with a property that it
// doesn't take.
func parseServer(sql string) *Statement {
	s := parseOne(sql)
	if s == nil {
		return nil
	}
	without := func(ps ast.Properties) ast.Properties {
		return slices.DeleteFunc(slices.Clone(ps), func(p ast.Property) bool { return p.Name == "CLEANUP_POLICY" })
	}
	switch n := s.Node.(type) {
	case *ast.CreateSource:
		c := *n
		c.With = without(n.With)
		s.Node = &c
	case *ast.CreateAs:
		c := *n
		c.With = without(n.With)
		s.Node = &c
	}
	return s
}

// canonical is a statement in one form, so that layout, letter case, brackets and
// the order of properties don't count; nor does what a server fills in.
func canonical(node ast.Statement, keep ast.Properties) string {
	with := func(ps ast.Properties) ast.Properties {
		var out ast.Properties
		for _, p := range ps {
			if keep == nil || keep.Get(p.Name) != nil {
				out = append(out, p)
			}
		}
		slices.SortFunc(out, func(a, b ast.Property) int { return strings.Compare(a.Name, b.Name) })
		return out
	}
	switch n := node.(type) {
	case *ast.CreateSource:
		c := *n
		c.OrReplace, c.IfNotExists, c.With = false, false, with(n.With)
		return format.Statement(&c)
	case *ast.CreateAs:
		c := *n
		c.OrReplace, c.IfNotExists, c.With, c.Query = false, false, with(n.With), emitting(n.Query)
		return format.Statement(&c)
	case *ast.InsertInto:
		c := *n
		c.Query = emitting(n.Query)
		c.With = slices.DeleteFunc(with(n.With), func(p ast.Property) bool { return p.Name == "QUERY_ID" })
		return format.Statement(&c)
	case *ast.CreateType:
		c := *n
		c.IfNotExists = false
		return format.Statement(&c)
	}
	return format.Statement(node)
}

func emitting(q *ast.Query) *ast.Query {
	c := *q
	if c.Emit == ast.EmitNone {
		c.Emit = ast.EmitChanges
	}
	return &c
}

// replacing is the statement with OR REPLACE.
func replacing(node ast.Statement) ast.Statement {
	switch n := node.(type) {
	case *ast.CreateSource:
		c := *n
		c.OrReplace, c.IfNotExists = true, false
		return &c
	case *ast.CreateAs:
		c := *n
		c.OrReplace, c.IfNotExists = true, false
		return &c
	}
	return node
}

// reading is a query that reads other sources in the place of those named, which
// keep their names in it as aliases.
func reading(q *ast.Query, instead map[string]string) *ast.Query {
	c := *q
	c.From.Joins = slices.Clone(q.From.Joins)
	if to, ok := instead[c.From.Source.Name]; ok {
		c.From.Source.Name = to
	}
	for i := range c.From.Joins {
		if to, ok := instead[c.From.Joins[i].Source.Name]; ok {
			c.From.Joins[i].Source.Name = to
		}
	}
	return &c
}

// with sets a property of a WITH clause.
func with(ps ast.Properties, name string, value ast.Expr) ast.Properties {
	out := slices.DeleteFunc(slices.Clone(ps), func(p ast.Property) bool { return p.Name == name })
	return append(out, ast.Property{Name: name, Value: value})
}

func text(s string) ast.Expr { return &ast.StringLit{Value: s} }

// inserting is INSERT INTO target of a query, with the id that names its consumer
// group.
func inserting(target, queryID string, q *ast.Query) string {
	return format.Statement(&ast.InsertInto{Target: ast.Ident{Name: target}, With: ast.Properties{{Name: "QUERY_ID", Value: text(queryID)}}, Query: emitting(q)})
}

// until is a query of one source that ends at offsets: it passes nothing from
// there on.
func until(q *ast.Query, end map[int32]int64) (*ast.Query, error) {
	var parts []string
	for _, p := range slices.Sorted(maps.Keys(end)) {
		parts = append(parts, fmt.Sprintf("(ROWPARTITION = %d AND ROWOFFSET < %d)", p, end[p]))
	}
	bound, err := parser.ParseExpr("(" + strings.Join(parts, " OR ") + ")")
	if err != nil {
		return nil, err
	}
	c := *q
	if c.Where == nil {
		c.Where = bound
	} else {
		c.Where = &ast.Logical{L: c.Where, R: bound}
	}
	return &c, nil
}

// declaration is CREATE STREAM or TABLE over a topic for what a query writes
// there.
func declaration(src *catalog.Source, name, topic string, partitions int, orReplace, source bool) string {
	var b strings.Builder
	b.WriteString("CREATE ")
	if orReplace {
		b.WriteString("OR REPLACE ")
	}
	if source {
		b.WriteString("SOURCE ")
	}
	b.WriteString(src.Kind() + " " + format.Name(name) + " (")
	key := " KEY"
	if src.Table {
		key = " PRIMARY KEY"
	}
	for i, c := range src.Schema.Key {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(format.Name(c.Name) + " " + c.Type.String() + key)
	}
	for i, c := range src.Schema.Value {
		if i > 0 || len(src.Schema.Key) > 0 {
			b.WriteString(", ")
		}
		b.WriteString(format.Name(c.Name) + " " + c.Type.String())
		switch {
		case c.Headers && c.HeaderKey != nil:
			b.WriteString(" HEADER(" + format.String(*c.HeaderKey) + ")")
		case c.Headers:
			b.WriteString(" HEADERS")
		}
	}
	b.WriteString(") WITH (KAFKA_TOPIC=" + format.String(topic))
	add := func(name, value string) { b.WriteString(", " + name + "=" + value) }
	add("KEY_FORMAT", format.String(src.KeyFormat.Name))
	formatOptions(add, "KEY", src.KeyFormat)
	add("VALUE_FORMAT", format.String(src.ValueFormat.Name))
	formatOptions(add, "VALUE", src.ValueFormat)
	if src.ValueFormat.Unwrapped && src.ValueFormat.Name != serde.Kafka && src.ValueFormat.Name != serde.Delimited {
		add("WRAP_SINGLE_VALUE", "false")
	}
	if partitions > 0 {
		add("PARTITIONS", strconv.Itoa(partitions))
	}
	if t := src.Timestamp; t != nil {
		add("TIMESTAMP", format.String(t.Column.Name))
		if t.Layout != "" {
			add("TIMESTAMP_FORMAT", format.String(t.Layout))
		}
	}
	if src.Window != plan.NoWindow {
		add("WINDOW_TYPE", format.String(src.WindowText))
		if src.Window == plan.TimeWindow {
			add("WINDOW_SIZE", format.String(strconv.FormatInt(src.WindowSize, 10)+" MILLISECONDS"))
		}
	}
	b.WriteString(");")
	return b.String()
}

func formatOptions(add func(name, value string), side string, f plan.Format) {
	for _, o := range []struct{ prop, name string }{
		{"delimiter", "DELIMITER"}, {"fullSchemaName", "SCHEMA_FULL_NAME"}, {"schemaId", "SCHEMA_ID"}, {"nullableRepresentation", "PROTOBUF_NULLABLE_REPRESENTATION"},
	} {
		v, ok := f.Props[o.prop]
		switch {
		case !ok:
		case o.prop == "schemaId":
			add(side+"_"+o.name, v)
		default:
			add(side+"_"+o.name, format.String(v))
		}
	}
}

// versioned is the name of the n-th version of an object or topic.
func versioned(name string, n int) string {
	base := name
	if i := strings.LastIndex(strings.ToLower(name), "_v"); i > 0 {
		if _, err := strconv.Atoi(name[i+2:]); err == nil {
			base = name[:i]
		}
	}
	suffix := "_v" + strconv.Itoa(n)
	if base == strings.ToUpper(base) {
		suffix = strings.ToUpper(suffix)
	}
	return base + suffix
}
