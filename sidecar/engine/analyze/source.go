package analyze

import (
	"fmt"
	"strings"

	"github.com/sidestream/sidestream/sidecar/engine/ast"
	"github.com/sidestream/sidestream/sidecar/engine/catalog"
	"github.com/sidestream/sidestream/sidecar/engine/diagnostic"
	"github.com/sidestream/sidestream/sidecar/engine/format"
	"github.com/sidestream/sidestream/sidecar/engine/plan"
	"github.com/sidestream/sidestream/sidecar/engine/schema"
	"github.com/sidestream/sidestream/sidecar/engine/serde"
	"github.com/sidestream/sidestream/sidecar/engine/types"
)

// CreateSource analyses CREATE [OR REPLACE] [SOURCE] STREAM | TABLE over a topic.
// queryID is the id of the query that keeps the rows of a CREATE SOURCE TABLE;
// other statements don't use it. The Source's SQL is the statement in canonical
// form, with the properties that were left to the server.
func CreateSource(env *Env, s *ast.CreateSource, queryID string) (*Created, error) {
	props, err := parseProperties(s.With, withSource)
	if err != nil {
		return nil, err
	}
	columns, written, err := declared(env, s)
	if err != nil {
		return nil, err
	}
	if props.Topic == "" {
		props.Topic = s.Name.Name
	}
	if err := infer(env, s, props, &columns); err != nil {
		return nil, err
	}
	src := &catalog.Source{Name: s.Name.Name, Table: s.Table, ReadOnly: s.ReadOnly, Schema: columns, Topic: props.Topic,
		WindowText: props.WindowType, WindowSize: props.WindowSize}
	switch props.WindowType {
	case "SESSION":
		src.Window = plan.SessionWindow
	case "TUMBLING", "HOPPING":
		src.Window = plan.TimeWindow
	}
	if src.KeyFormat, src.ValueFormat, err = props.formats(env, &columns, nil); err != nil {
		return nil, placed(err, s.Pos)
	}
	src.KeyFormat = namedKey(src.KeyFormat, src.Name)
	text := canonical(s, written, props, src)
	src.SQL = format.Statement(text)
	out := &Created{Source: src}
	if err := sourceTopic(env, props, text, out); err != nil {
		return nil, err
	}
	if err := checkSource(env, s, props, out); err != nil {
		return nil, stating(err, src.SQL)
	}
	if out.Exists {
		return out, nil
	}
	if s.ReadOnly && s.Table {
		src.CreatedBy, src.Materialized = queryID, true
		out.Query = keepRows(src, queryID)
	}
	return out, nil
}

// checkSource checks what the columns, the properties and the catalogue mean for
// each other.
func checkSource(env *Env, s *ast.CreateSource, props *properties, out *Created) (err error) {
	if err := checkDeclared(s, out.Source, props); err != nil {
		return err
	}
	if out.Source.Timestamp, err = props.timestamp(&out.Source.Schema); err != nil {
		return err
	}
	return existing(env, s, out)
}

// stating says which statement an error is about, in canonical form.
func stating(err error, text string) error {
	if err == nil {
		return nil
	}
	for _, e := range diagnostic.All(err) {
		if e.Statement == "" {
			e.Statement = text
		}
	}
	return err
}

// placed gives an error without a position the statement's.
func placed(err error, pos ast.Pos) error {
	for _, e := range diagnostic.All(err) {
		if !e.Pos.Known() {
			e.Pos = pos
		}
	}
	return err
}

// declared are the columns of the statement, and the elements with their types
// resolved.
func declared(env *Env, s *ast.CreateSource) (schema.Schema, []ast.Element, error) {
	var out schema.Schema
	var written []ast.Element
	for _, e := range s.Elements {
		t, err := e.Type.Resolve(env.Catalog.Type)
		if err != nil {
			return out, nil, diagnostic.At(e.Type.Pos, "%v", err)
		}
		if err := checkElement(s, &e, t); err != nil {
			return out, nil, err
		}
		c := schema.Column{Name: e.Name, Type: t}
		switch e.Role {
		case ast.KeyColumn, ast.PrimaryKeyColumn:
			out.Key = append(out.Key, c)
		case ast.HeadersColumn:
			c.Headers = true
			out.Value = append(out.Value, c)
		case ast.HeaderColumn:
			key := e.Header
			c.Headers, c.HeaderKey = true, &key
			out.Value = append(out.Value, c)
		default:
			out.Value = append(out.Value, c)
		}
		e.Type = ast.TypeOf(t)
		written = append(written, e)
	}
	return out, written, checkNames(s, &out)
}

var allHeaders = types.TArray(types.TStruct(types.Field{Name: "KEY", Type: types.TString}, types.Field{Name: "VALUE", Type: types.TBytes}))

// checkElement checks one column by itself.
func checkElement(s *ast.CreateSource, e *ast.Element, t types.Type) error {
	const about = "\nTables have PRIMARY KEYs, which are unique and NON NULL.\nStreams have KEYs, which have no uniqueness or NON NULL constraints."
	wrong := func(used, right, kind string) error {
		err := located(e.Pos, "Column %s is a '%s' column: please use '%s' for %s.%s", schema.Quote(e.Name), used, right, kind, about)
		err.Kind, err.Statement = diagnostic.Syntax, schema.Quote(e.Name)
		return err
	}
	switch {
	case e.Role == ast.KeyColumn && s.Table:
		return wrong("KEY", "PRIMARY KEY", "tables")
	case e.Role == ast.PrimaryKeyColumn && !s.Table:
		return wrong("PRIMARY KEY", "KEY", "streams")
	case isSystem(e.Name):
		return diagnostic.At(e.Pos, "'%s' is a reserved column name. You cannot use it as a name for a column.", e.Name)
	case e.Role == ast.HeadersColumn && !t.Equal(allHeaders):
		return headerType(e, "HEADERS", allHeaders, t)
	case e.Role == ast.HeaderColumn && t.Kind != types.Bytes:
		return headerType(e, "HEADER('"+e.Header+"')", types.TBytes, t)
	case e.Role == ast.KeyColumn || e.Role == ast.PrimaryKeyColumn:
		return checkKeyType(e.Pos, e.Name, t)
	}
	return nil
}

func headerType(e *ast.Element, what string, want, got types.Type) error {
	err := diagnostic.At(e.Pos, "Invalid type for %s column: expected %s, got %s", what, want, got)
	err.Kind = diagnostic.General
	return err
}

// checkNames refuses two columns of one name, and headers read twice.
func checkNames(s *ast.CreateSource, columns *schema.Schema) error {
	seen := map[string]bool{}
	all, keys := false, map[string]bool{}
	for _, e := range s.Elements {
		if seen[e.Name] {
			kind, text := "value", ""
			if columns.FindKey(e.Name) >= 0 {
				kind = "key"
			}
			for _, c := range append(append([]schema.Column(nil), columns.Key...), columns.Value...) {
				if c.Name == e.Name {
					text = schema.Quote(c.Name) + " " + c.Type.String()
				}
			}
			if kind == "key" {
				text += " KEY"
			}
			return diagnostic.At(e.Pos, "Duplicate %s columns found in schema: %s", kind, text)
		}
		seen[e.Name] = true
		switch {
		case e.Role == ast.HeadersColumn && (all || len(keys) > 0), e.Role == ast.HeaderColumn && all:
			return diagnostic.At(e.Pos, "Schema already contains a HEADERS column.")
		case e.Role == ast.HeaderColumn && keys[e.Header]:
			return diagnostic.At(e.Pos, "Schema already contains a HEADER('%s') column.", e.Header)
		}
		all = all || e.Role == ast.HeadersColumn
		if e.Role == ast.HeaderColumn {
			keys[e.Header] = true
		}
	}
	return nil
}

// checkDeclared checks the columns together with the properties.
func checkDeclared(s *ast.CreateSource, src *catalog.Source, props *properties) error {
	switch {
	case len(src.Schema.Key)+len(src.Schema.Value) == 0:
		if serde.SchemaType(src.ValueFormat.Name) != "" {
			return diagnostic.At(s.Name.Pos, "Schema for message values on topic '%[1]s' does not exist in the Schema Registry.\nSubject: %[1]s-value\n"+
				"Either the topic is another one, or nothing was registered for it yet: give the columns, or register a schema.", src.Topic)
		}
		return diagnostic.At(s.Name.Pos, "No columns supplied.")
	case s.Table && len(src.Schema.Key) == 0:
		return diagnostic.At(s.Name.Pos, "Tables require a PRIMARY KEY. Please define the PRIMARY KEY.")
	case src.Window != plan.NoWindow && len(src.Schema.Key) == 0:
		return diagnostic.At(props.pos("WINDOW_TYPE"), "Windowed sources require a key column.")
	}
	return nil
}

// canonical is the statement as DESCRIBE shows it: types resolved, and the
// properties given that the server chose.
func canonical(s *ast.CreateSource, elements []ast.Element, props *properties, src *catalog.Source) *ast.CreateSource {
	out := *s
	out.Elements = elements
	out.With = append(ast.Properties(nil), s.With...)
	for i := range out.With {
		out.With[i].Name = strings.ToUpper(out.With[i].Name)
	}
	add := func(name, value string) {
		if out.With.Get(name) == nil {
			out.With = append(out.With, ast.Property{Name: name, Value: &ast.StringLit{Value: value}})
		}
	}
	cleanup := "delete"
	if src.Table {
		cleanup = "compact"
	}
	add("CLEANUP_POLICY", cleanup)
	add("KAFKA_TOPIC", src.Topic)
	if out.With.Get("FORMAT") == nil {
		key := src.KeyFormat.Name
		if key == serde.None && props.KeyFormat == "" {
			key = serde.Kafka
		}
		add("KEY_FORMAT", key)
		add("VALUE_FORMAT", src.ValueFormat.Name)
	}
	return &out
}

// sourceTopic says what topic to make, or that the one that is there will do.
func sourceTopic(env *Env, props *properties, text *ast.CreateSource, out *Created) error {
	src := out.Source
	replicas := max(props.Replicas, 1)
	there, found := 0, false
	if env.Topics != nil {
		there, found = env.Topics(src.Topic)
	}
	switch {
	case found && props.Partitions != 0 && props.Partitions != there:
		return topicDiffers(props, src.Topic, there, props.Partitions, replicas)
	case found:
		src.Partitions = there
		return nil
	case props.Partitions == 0 && env.Topics != nil:
		example := *text
		example.With = append(ast.Properties(nil), text.With...)
		for i := range example.With {
			if example.With[i].Name == "CLEANUP_POLICY" {
				example.With[i] = ast.Property{Name: "PARTITIONS", Value: &ast.IntLit{Value: 2}}
			}
		}
		err := diagnostic.At(props.pos("KAFKA_TOPIC"), "Topic '%s' does not exist. If you want to create a new topic for the stream/table please re-run the statement"+
			" providing the required 'PARTITIONS' configuration in the WITH clause (and optionally 'REPLICAS'). For example: %s",
			src.Topic, format.Statement(&example))
		err.Kind = diagnostic.General
		return err
	}
	src.Partitions, src.Replicas = max(props.Partitions, 1), props.Replicas
	out.Topic = props.newTopic(src.Topic, src.Partitions, props.Replicas, src.Table, src.Window != plan.NoWindow, 0)
	return nil
}

// topicDiffers: a topic is there and isn't as the statement wants it.
func topicDiffers(props *properties, topic string, there, want, replicas int) error {
	retention := int64(defaultRetention)
	if props.Retention >= 0 {
		retention = props.Retention
	}
	return diagnostic.At(props.pos("PARTITIONS"), "A Kafka topic with the name '%s' already exists, with different partition/replica/retention configuration than required."+
		" KSQL expects %d partitions (topic has %d), %d replication factor (topic has %d), and %d retention (topic has %d).",
		topic, want, there, replicas, replicas, retention, retention)
}

// existing decides what a source of the same name means for the statement.
func existing(env *Env, s *ast.CreateSource, out *Created) error {
	kind := strings.ToLower(out.Source.Kind())
	old, found := env.Catalog.Source(s.Name.Name)
	if s.OrReplace && (s.ReadOnly || found && old.ReadOnly) {
		return diagnostic.At(s.Name.Pos, "Cannot add %s '%s': CREATE OR REPLACE is not supported on source %ss.", kind, s.Name.Name, kind)
	}
	switch {
	case !found:
		return nil
	case s.OrReplace:
		if err := checkReplace(old, out.Source); err != nil {
			return placed(err, s.Name.Pos)
		}
		out.Replaces = true
		out.Source.CreatedBy, out.Source.Materialized = old.CreatedBy, old.Materialized
		return nil
	case s.IfNotExists:
		out.Exists = true
		out.Warnings = append(out.Warnings, fmt.Sprintf("Cannot add %s %s: A %s with the same name already exists.", kind, schema.Quote(s.Name.Name), strings.ToLower(old.Kind())))
		return nil
	}
	return diagnostic.At(s.Name.Pos, "Cannot add %s '%s': A %s with the same name already exists", kind, s.Name.Name, strings.ToLower(old.Kind()))
}

// keepRows is the query behind CREATE SOURCE TABLE: it reads the topic into a
// store that pull queries look in.
func keepRows(src *catalog.Source, queryID string) *plan.Query {
	store := &plan.Store{Name: "KsqlTopic-Reduce", Kind: plan.KeyValueStore}
	shape := plan.Output{Schema: src.Schema, Table: true, Window: src.Window, WindowSize: src.WindowSize}
	read := &plan.Source{Output: shape, Topic: src.Topic, SourceName: src.Name, KeyFormat: src.KeyFormat, ValueFormat: src.ValueFormat,
		KeyColumns: src.Schema.Key, ValueColumns: src.Schema.Value, Timestamp: src.Timestamp}
	read.Name = "KsqlTopic.Source"
	keep := &plan.Materialize{Output: shape, Input: read, Store: store}
	keep.Name = "KsqlTopic-Reduce"
	all := schema.Schema{Key: src.Schema.Key, Value: append(append([]schema.Column(nil), src.Schema.Value...),
		schema.Column{Name: schema.RowTime, Type: types.TBigint}, schema.Column{Name: schema.RowPartition, Type: types.TInteger},
		schema.Column{Name: schema.RowOffset, Type: types.TBigint})}
	all.Value = append(all.Value, src.Schema.Key...)
	source := &plan.Step{Kind: plan.SourceStep, Name: read.Name, Schema: all, Table: true, Topic: src.Topic, Store: store.Name}
	return &plan.Query{ID: queryID, Root: keep, Materialized: &plan.Materialized{Store: store, Stored: &keep.Output},
		Steps: &plan.Step{Kind: plan.ProjectStep, Name: "Project", Schema: src.Schema, Table: true, Inputs: []*plan.Step{source}}}
}
