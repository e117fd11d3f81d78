package enginetest

import (
	"encoding/json"
	"strings"

	"github.com/sidestream/sidestream/sidecar/engine/analyze"
	"github.com/sidestream/sidestream/sidecar/engine/ast"
	"github.com/sidestream/sidestream/sidecar/engine/parser"
	"github.com/sidestream/sidestream/sidecar/engine/schema"
	"github.com/sidestream/sidestream/sidecar/engine/serde"
)

// Topic is a topic that a case makes before its statements run, with the schemas
// that are registered for it.
type Topic struct {
	Name                   string
	Partitions, Replicas   int
	KeyFormat, ValueFormat string
	KeySchema, ValueSchema json.RawMessage
	KeySchemaID            *int `json:"keySchemaId"`
	ValueSchemaID          *int `json:"valueSchemaId"`

	KeySchemaReferences, ValueSchemaReferences []Reference

	// Format and Schema are the value's in older cases.
	Format string
	Schema json.RawMessage
}

// Reference is a schema that another one imports.
type Reference struct{ Name, Schema string }

// subject is a schema to be registered.
type subject struct {
	name, kind, text string
	id               int // 0: the registry's next
	references       []Reference
}

// subjects are the schemas of a topic, the key's first.
func (t *Topic) subjects() []subject {
	valueFormat, valueSchema := t.ValueFormat, t.ValueSchema
	if valueFormat == "" {
		valueFormat = t.Format
	}
	if isNull(valueSchema) {
		valueSchema = t.Schema
	}
	var out []subject
	add := func(name, format string, text json.RawMessage, id *int, refs []Reference) {
		if isNull(text) {
			return
		}
		if format == "" {
			format = serde.Avro
		}
		s := subject{name: name, kind: serde.SchemaType(format), text: string(text), references: refs}
		var quoted string
		if format == serde.Protobuf && json.Unmarshal(text, &quoted) == nil {
			s.text = quoted
		}
		if id != nil {
			s.id = *id
		}
		out = append(out, s)
	}
	add(t.Name+"-key", t.KeyFormat, t.KeySchema, t.KeySchemaID, t.KeySchemaReferences)
	add(t.Name+"-value", valueFormat, valueSchema, t.ValueSchemaID, t.ValueSchemaReferences)
	return out
}

// subjects are the schemas of all the case's topics, in the order in which
// ksqlDB's runner registers them, which gives them their ids: those of the
// topics that statements declare, then those that the case lists.
func (c *Case) subjects() []subject {
	listed := map[string]bool{}
	for i := range c.Topics {
		listed[c.Topics[i].Name] = true
	}
	var out []subject
	for _, s := range c.declared() {
		if topic := strings.TrimSuffix(strings.TrimSuffix(s.name, "-key"), "-value"); !listed[topic] {
			out = append(out, s)
		}
	}
	for i := range c.Topics {
		out = append(out, c.Topics[i].subjects()...)
	}
	return out
}

// declared are the schemas of the columns in CREATE STREAM and CREATE TABLE.
// Statements that can't be read have none.
func (c *Case) declared() []subject {
	statements, err := parser.Parse(strings.Join(c.Statements, "\n"))
	if err != nil {
		return nil
	}
	s := NewSession(c.config(), nil)
	s.SinglePartition = true
	s.UseRegistry(newRegistry())
	var out []subject
	for _, st := range statements {
		if st, ok := st.(*ast.CreateType); ok {
			_ = s.apply(st) // what's wrong with it shows when the case runs
		}
		create, ok := st.(*ast.CreateSource)
		if !ok {
			continue
		}
		created, err := analyze.CreateSource(s.Env, create, "")
		if err != nil {
			continue
		}
		key, value := halves(created.Source.Topic, created.Source, nil)
		for _, h := range []half{key, value} {
			if text, ok := h.declared(create); ok {
				out = append(out, subject{name: h.options().Subject, kind: serde.SchemaType(h.format.Name), text: text})
			}
		}
	}
	return out
}

// declared is the schema of a half whose columns a statement spells out.
func (h *half) declared(st *ast.CreateSource) (text string, ok bool) {
	if serde.SchemaType(h.format.Name) == "" || len(h.columns) == 0 {
		return "", false
	}
	spelled := false
	for _, e := range st.Elements {
		isKey := e.Role == ast.KeyColumn || e.Role == ast.PrimaryKeyColumn
		spelled = spelled || isKey == h.isKey && e.Role != ast.HeaderColumn && e.Role != ast.HeadersColumn
	}
	if !spelled {
		return "", false
	}
	text, err := serde.Schema(h.format, append([]schema.Column{}, h.columns...), h.options())
	return text, err == nil
}
