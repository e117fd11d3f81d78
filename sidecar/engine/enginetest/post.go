package enginetest

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"github.com/sidestream/sidestream/sidecar/engine/ast"
	"github.com/sidestream/sidestream/sidecar/engine/catalog"
	"github.com/sidestream/sidestream/sidecar/engine/parser"
	"github.com/sidestream/sidestream/sidecar/engine/plan"
	"github.com/sidestream/sidestream/sidecar/engine/schema"
	"github.com/sidestream/sidestream/sidecar/engine/serde"
	"github.com/sidestream/sidestream/sidecar/engine/types"
)

// Post is what a case expects of the catalogue and the topics at its end.
type Post struct {
	Sources []PostSource
	Topics  struct {
		// Blacklist matches names that no topic may have.
		Blacklist string
		Topics    []PostTopic
	}
}

// PostSource is a stream or table that must be there.
type PostSource struct {
	Name, Type, Schema         string
	KeyFormat                  *postFormat
	ValueFormat                json.RawMessage
	KeyFeatures, ValueFeatures *[]string
	IsSource                   *bool
}

// PostTopic is a topic that must be there.
type PostTopic struct {
	Name                   string
	KeyFormat, ValueFormat *topicFormat
	KeySchema, ValueSchema json.RawMessage
	Partitions             int
}

type postFormat struct {
	Format     string
	WindowType string
	WindowSize *int64
}

// topicFormat is the format of a topic's keys or values.
type topicFormat struct {
	Format     string
	Features   []string
	Properties map[string]string
	WindowInfo *struct {
		Type string
		Size *int64
	}
}

func (f *topicFormat) String() string {
	if f == nil {
		return "none"
	}
	out := f.Format
	if len(f.Features) > 0 {
		out += " " + strings.Join(f.Features, " ")
	}
	for _, k := range slices.Sorted(maps.Keys(f.Properties)) {
		out += fmt.Sprintf(" %s=%s", k, f.Properties[k])
	}
	if w := f.WindowInfo; w != nil {
		out += " window " + w.Type
		if w.Size != nil {
			out += fmt.Sprintf(" of %d", *w.Size)
		}
	}
	return out
}

func (p *Post) check(s *Session) error {
	var found Differences
	for i := range p.Sources {
		p.Sources[i].check(s, &found)
	}
	topics := s.topics()
	for _, name := range slices.Sorted(maps.Keys(topics)) {
		if p.Topics.Blacklist == "" {
			break
		}
		match, err := regexp.MatchString(p.Topics.Blacklist, name)
		if err != nil {
			return err
		}
		if match {
			found.text("topic "+name, "not to be there", "there")
		}
	}
	for i := range p.Topics.Topics {
		p.Topics.Topics[i].check(topics, &found)
	}
	return found.orNil()
}

func (t *PostTopic) check(topics map[string]*knownTopic, found *Differences) {
	field := "topic " + t.Name
	got, ok := topics[t.Name]
	if !ok {
		found.text(field, "there", "missing: there are "+strings.Join(slices.Sorted(maps.Keys(topics)), ", "))
		return
	}
	if t.Partitions != 0 && t.Partitions != got.partitions {
		found.text(field+".partitions", t.Partitions, got.partitions)
	}
	for _, h := range []struct {
		name   string
		want   *topicFormat
		schema json.RawMessage
		got    half
	}{{"key", t.KeyFormat, t.KeySchema, got.key}, {"value", t.ValueFormat, t.ValueSchema, got.value}} {
		if h.want != nil {
			have := h.got.describe()
			if h.name == "key" {
				have.WindowInfo = windowInfo(got.window, got.windowText, got.windowSize)
			}
			// The size of an inherited window is in its unit as it was written.
			if w, g := h.want.WindowInfo, have.WindowInfo; w != nil && g != nil && w.Size != nil && g.Size != nil && *w.Size*1000 == *g.Size {
				*w.Size = *g.Size
			}
			if h.want.String() != have.String() {
				found.text(field+"."+h.name, h.want, have)
			}
		}
		if !isNull(h.schema) {
			h.got.checkSchema(field+"."+h.name+" schema", h.schema, found)
		}
	}
}

// checkSchema compares the schema that is registered, or would be, with the
// expected one: Protobuf as text, the others as JSON.
func (h *half) checkSchema(field string, want json.RawMessage, found *Differences) {
	got := ""
	if h.registry != nil {
		if _, _, text, _, err := h.registry.Latest(h.options().Subject); err == nil {
			got = text
		}
	}
	if got == "" && len(h.columns) > 0 && serde.SchemaType(h.format.Name) != "" {
		text, err := serde.Schema(h.format, h.columns, h.options())
		if err != nil {
			text = err.Error()
		}
		got = text
	}
	var text string
	if json.Unmarshal(want, &text) == nil {
		if strings.Join(strings.Fields(text), " ") != strings.Join(strings.Fields(got), " ") {
			found.text(field, text, got)
		}
		return
	}
	var a, b any
	if json.Unmarshal(want, &a) != nil || json.Unmarshal([]byte(got), &b) != nil || !reflect.DeepEqual(a, b) {
		found.text(field, string(want), got)
	}
}

func windowInfo(kind plan.WindowKind, text string, size int64) *struct {
	Type string
	Size *int64
} {
	if kind == plan.NoWindow {
		return nil
	}
	w := &struct {
		Type string
		Size *int64
	}{Type: text}
	if kind == plan.TimeWindow {
		w.Size = &size
	}
	return w
}

// describe tells the format as ksqlDB's topics do: with what differs from its
// defaults.
func (h *half) describe() *topicFormat {
	f := &topicFormat{Format: h.format.Name, Properties: map[string]string{}}
	if len(h.columns) == 1 && (h.isKey || h.format.Unwrapped) && serde.CanUnwrap(h.format.Name) && serde.CanWrap(h.format.Name) {
		f.Features = []string{"UNWRAP_SINGLES"}
	}
	for _, name := range []string{"fullSchemaName", "nullableRepresentation", "delimiter"} {
		if v := h.format.Props[name]; v != "" {
			if name == "nullableRepresentation" {
				v = strings.ToLower(v)
			}
			f.Properties[name] = v
		}
	}
	if f.Format == serde.Protobuf {
		f.Properties["unwrapPrimitives"] = "true"
	}
	return f
}

func (p *PostSource) check(s *Session, found *Differences) {
	field := "source " + p.Name
	src, ok := s.Env.Catalog.Source(p.Name)
	if !ok {
		found.text(field, "there", "missing")
		return
	}
	if p.Type != "" && !strings.EqualFold(p.Type, src.Kind()) {
		found.text(field, p.Type, src.Kind())
	}
	if p.Schema != "" {
		sameSchema(s, field+".schema", p.Schema, src, found)
	}
	if f := p.KeyFormat; f != nil {
		if f.Format != "" && f.Format != src.KeyFormat.Name {
			found.text(field+".key format", f.Format, src.KeyFormat.Name)
		}
		if f.WindowType != "" && f.WindowType != src.WindowText {
			found.text(field+".window", f.WindowType, src.WindowText)
		}
		if f.WindowSize != nil && *f.WindowSize != src.WindowSize {
			found.text(field+".window size", *f.WindowSize, src.WindowSize)
		}
	}
	if len(p.ValueFormat) > 0 {
		var text string
		var f postFormat
		if json.Unmarshal(p.ValueFormat, &text) != nil && json.Unmarshal(p.ValueFormat, &f) == nil {
			text = f.Format
		}
		if text != "" && text != src.ValueFormat.Name {
			found.text(field+".value format", text, src.ValueFormat.Name)
		}
	}
	key, value := halves(src.Topic, src, s.Env.Schemas)
	for _, h := range []struct {
		name string
		want *[]string
		half half
	}{{"key", p.KeyFeatures, key}, {"value", p.ValueFeatures, value}} {
		if h.want == nil {
			continue
		}
		slices.Sort(*h.want)
		if got := h.half.describe().Features; !slices.Equal(*h.want, got) {
			found.text(field+"."+h.name+" features", *h.want, got)
		}
	}
	if p.IsSource != nil && *p.IsSource != src.ReadOnly {
		found.text(field+".read-only", *p.IsSource, src.ReadOnly)
	}
}

func sameSchema(s *Session, field, text string, src *catalog.Source, found *Differences) {
	elements, err := parser.ParseSchema(text)
	if err != nil {
		found.text(field, text, "a schema that can't be read: "+err.Error())
		return
	}
	var want schema.Schema
	for _, e := range elements {
		t, err := e.Type.Resolve(func(n string) (types.Type, bool) { return s.Env.Catalog.Type(n) })
		if err != nil {
			found.text(field, text, err)
			return
		}
		col := schema.Column{Name: e.Name, Type: t}
		if e.Role == ast.KeyColumn || e.Role == ast.PrimaryKeyColumn {
			want.Key = append(want.Key, col)
		} else {
			want.Value = append(want.Value, col)
		}
	}
	got := schema.Schema{Key: src.Schema.Key}
	for _, c := range src.Schema.Value {
		got.Value = append(got.Value, schema.Column{Name: c.Name, Type: c.Type})
	}
	if want.String() != got.String() {
		found.text(field, want.String(), got.String())
	}
}

// knownTopic is a topic of a source or a query.
type knownTopic struct {
	key, value half
	partitions int
	window     plan.WindowKind
	windowText string
	windowSize int64
}

// topics are the topics of all sources and queries: what they read and write,
// repartition topics and changelogs.
func (s *Session) topics() map[string]*knownTopic {
	out := map[string]*knownTopic{}
	for _, src := range s.Env.Catalog.Sources() {
		key, value := halves(src.Topic, src, s.Env.Schemas)
		out[src.Topic] = &knownTopic{key: key, value: value, partitions: src.Partitions,
			window: src.Window, windowText: src.WindowText, windowSize: src.WindowSize}
	}
	for _, q := range s.Queries {
		w := topicWalk{out: out, session: s, prefix: "_confluent-ksql-some.ksql.service.idquery_" + q.Plan().ID + "-", seen: map[plan.Node]bool{}}
		w.node(q.Plan().Root)
	}
	// ksqlDB's runner makes the topics of records before the first statement.
	for name, n := range s.partitions {
		if t := out[name]; t != nil {
			t.partitions = n
		}
	}
	return out
}

// topicWalk collects a query's topics. The format of a changelog is that of the
// last topic that was read on the way to its store.
type topicWalk struct {
	out     map[string]*knownTopic
	session *Session
	prefix  string
	seen    map[plan.Node]bool
	at      knownTopic
	// windowText is the kind of the leftmost source's windows, which those joined
	// with it are read as.
	windowText string
}

func (w *topicWalk) node(n plan.Node) {
	if w.seen[n] {
		return
	}
	w.seen[n] = true
	for _, in := range n.Inputs() {
		w.node(in)
	}
	out := n.Out()
	switch n := n.(type) {
	case *plan.Source:
		if src, ok := w.session.Env.Catalog.Source(n.SourceName); ok && w.windowText == "" {
			w.windowText = src.WindowText
		}
		w.read(n.Topic, n.KeyFormat, n.ValueFormat, out)
		w.store(n.Store)
	case *plan.Repartition:
		w.read(w.prefix+n.Topic, n.KeyFormat, n.ValueFormat, out)
		topic := w.at
		w.out[w.prefix+n.Topic] = &topic
	case *plan.Aggregate:
		w.store(n.Store)
	case *plan.Materialize:
		w.store(n.Store)
	case *plan.StreamStreamJoin:
		w.store(n.LeftStore)
		w.store(n.RightStore)
		w.store(n.OuterStore)
	case *plan.ForeignKeyJoin:
		w.store(n.Subscriptions)
	}
}

func (w *topicWalk) read(topic string, key, value plan.Format, out *plan.Output) {
	w.at = knownTopic{
		key:    half{format: key, columns: out.Schema.Key, topic: topic, isKey: true, registry: w.session.Env.Schemas},
		value:  half{format: value, columns: out.Schema.Value, topic: topic, registry: w.session.Env.Schemas},
		window: out.Window, windowText: w.windowText, windowSize: out.WindowSize,
	}
}

func (w *topicWalk) store(st *plan.Store) {
	if st == nil || st.NoChangelog {
		return
	}
	topic := w.at
	w.out[w.prefix+st.Name+"-changelog"] = &topic
}
