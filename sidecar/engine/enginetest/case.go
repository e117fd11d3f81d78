package enginetest

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"sort"
	"strings"

	"github.com/sidestream/sidestream/sidecar/engine/ast"
	"github.com/sidestream/sidestream/sidecar/engine/catalog"
	"github.com/sidestream/sidestream/sidecar/engine/diagnostic"
	"github.com/sidestream/sidestream/sidecar/engine/driver"
	"github.com/sidestream/sidestream/sidecar/engine/exec"
	"github.com/sidestream/sidestream/sidecar/engine/function"
	"github.com/sidestream/sidestream/sidecar/engine/function/functiontest"
	"github.com/sidestream/sidestream/sidecar/engine/parser"
	"github.com/sidestream/sidestream/sidecar/engine/plan"
	"github.com/sidestream/sidestream/sidecar/engine/schema"
	"github.com/sidestream/sidestream/sidecar/engine/serde"
	"github.com/sidestream/sidestream/sidecar/engine/types"
)

// Case is a query case: statements, records that go in, records that come out,
// or the mistake that is found.
type Case struct {
	ID, Suite, File, Name string
	Format                string
	Statements            []string
	Inputs, Outputs       []Record
	Properties            map[string]json.RawMessage
	Topics                []caseTopic
	ExpectedException     *Exception
	Post                  *Post
	Formats               []string
	NeedsSchemaRegistry   bool
}

// Record is a record of a case.
type Record struct {
	Topic     string
	Key       json.RawMessage
	Value     json.RawMessage
	Timestamp *int64
	Window    *window
	Headers   *[]header
}

// caseTopic is a topic with the schemas that are registered for it.
type caseTopic struct {
	Name                   string
	KeyFormat, ValueFormat string
	KeySchema, ValueSchema json.RawMessage
	KeySchemaID            *int `json:"keySchemaId"`
	ValueSchemaID          *int `json:"valueSchemaId"`

	KeySchemaReferences, ValueSchemaReferences []caseReference
}

// caseReference is a schema that another one imports.
type caseReference struct{ Name, Schema string }

// register puts a topic's schemas into the session's Schema Registry.
func (t *caseTopic) register(r *registry) error {
	for _, half := range []struct {
		subject, format string
		text            json.RawMessage
		id              *int
		references      []caseReference
	}{{t.Name + "-key", t.KeyFormat, t.KeySchema, t.KeySchemaID, t.KeySchemaReferences},
		{t.Name + "-value", t.ValueFormat, t.ValueSchema, t.ValueSchemaID, t.ValueSchemaReferences}} {
		if isNull(half.text) {
			continue
		}
		if half.format == "" {
			half.format = serde.Avro
		}
		text := string(half.text)
		var quoted string
		if half.format == serde.Protobuf && json.Unmarshal(half.text, &quoted) == nil {
			text = quoted
		}
		var id int
		if half.id != nil {
			id = *half.id
			r.put(half.subject, serde.SchemaType(half.format), text, id)
		} else {
			var err error
			if id, err = r.Register(half.subject, serde.SchemaType(half.format), text); err != nil {
				return err
			}
		}
		for _, ref := range half.references {
			if r.references[id] == nil {
				r.references[id] = map[string]string{}
			}
			r.references[id][ref.Name] = ref.Schema
		}
	}
	return nil
}

type header struct {
	KEY   string
	VALUE *string
}

// Exception is an expected mistake: its Java class and a part of its message.
type Exception struct{ Type, Message string }

// Post is what a case expects of the catalogue and the topics at its end.
type Post struct {
	Sources []PostSource
	Topics  struct {
		Blacklist string
		Topics    []struct {
			Name        string
			KeyFormat   *postFormat
			ValueFormat *postFormat
		}
	}
}

// PostSource is a stream or table that must be there.
type PostSource struct {
	Name, Type, Schema string
	KeyFormat          *postFormat
	ValueFormat        json.RawMessage
	IsSource           *bool
}

type postFormat struct {
	Format     string
	WindowType string
	WindowSize *int64
}

// LoadCases reads cases from a gzipped file of JSON lines; os.ErrNotExist where
// there is none.
func LoadCases(path string) ([]*Case, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		return nil, err
	}
	var out []*Case
	r := bufio.NewReader(z)
	for {
		line, err := r.ReadBytes('\n')
		if len(bytes.TrimSpace(line)) > 0 {
			c := &Case{}
			if err := json.Unmarshal(line, c); err != nil {
				return nil, fmt.Errorf("case %d: %w", len(out)+1, err)
			}
			out = append(out, c)
		}
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			return nil, err
		}
	}
}

// Run runs the case; nil when it passes. functions may be nil for the built-in
// ones.
func (c *Case) Run(functions function.Registry) (err error) {
	defer func() {
		if e := recover(); e != nil {
			err = fmt.Errorf("panic: %v", e)
		}
	}()
	if functions == nil {
		functions = functiontest.Registry(c.config())
	}
	s := NewSession(c.config(), functions)
	s.SinglePartition = true
	if c.NeedsSchemaRegistry {
		r := s.useRegistry()
		for i := range c.Topics {
			if err := c.Topics[i].register(r); err != nil {
				return err
			}
		}
	}
	err = s.Apply(strings.Join(c.Statements, "\n"))
	if err == nil {
		err = c.pipe(s)
	}
	if c.ExpectedException != nil {
		return c.ExpectedException.check(err, c.Statements[len(c.Statements)-1])
	}
	if err != nil {
		return err
	}
	if err := c.compare(s); err != nil {
		return err
	}
	if c.Post != nil {
		return c.Post.check(s)
	}
	return nil
}

func (c *Case) config() map[string]string {
	out := map[string]string{}
	for k, v := range c.Properties {
		var text string
		if json.Unmarshal(v, &text) != nil {
			text = string(v)
		}
		out[k] = text
	}
	return out
}

// pipe writes the input records to their topics and takes them to the queries:
// each query gets, in the order of the file, the records of the topics that it
// reads, or what earlier queries wrote to those that have none.
func (c *Case) pipe(s *Session) error {
	records := make([]driver.Record, len(c.Inputs))
	has := map[string]bool{}
	for i := range c.Inputs {
		in := &c.Inputs[i]
		r, err := in.encode(s, s.sourceOf(in.Topic))
		if err != nil {
			return fmt.Errorf("input %d: %w", i, err)
		}
		if records[i], err = s.Driver.Write(in.Topic, r); err != nil {
			return err
		}
		has[in.Topic] = true
	}
	for _, q := range s.Queries {
		reads := map[string]bool{}
		for _, t := range q.Topics() {
			reads[t] = true
			if !has[t] {
				if err := q.Feed(t); err != nil {
					return err
				}
			}
		}
		for i, r := range records {
			if reads[c.Inputs[i].Topic] {
				if err := q.Deliver(c.Inputs[i].Topic, r); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func (r *Record) encode(s *Session, src *catalog.Source) (driver.Record, error) {
	out := driver.Record{}
	if r.Timestamp != nil {
		out.Time = *r.Timestamp
	}
	key, value := plan.Format{Name: "JSON"}, plan.Format{Name: "JSON"}
	var keys, values []schema.Column
	if src != nil {
		key, value, keys, values = src.KeyFormat, src.ValueFormat, src.Schema.Key, valueColumns(src)
	}
	var err error
	if out.Key, err = encode(r.Key, key, keys, s.serdeOptions(r.Topic, true)); err != nil {
		return out, err
	}
	if out.Key != nil {
		out.Key = r.Window.append(out.Key[:len(out.Key):len(out.Key)])
	}
	if out.Value, err = encode(r.Value, value, values, s.serdeOptions(r.Topic, false)); err != nil {
		return out, err
	}
	if r.Headers != nil {
		for _, h := range *r.Headers {
			var data []byte
			if h.VALUE != nil {
				if data, err = base64.StdEncoding.DecodeString(*h.VALUE); err != nil {
					return out, err
				}
			}
			out.Headers = append(out.Headers, exec.Header{Key: h.KEY, Value: data})
		}
	}
	return out, nil
}

// compare compares the records of every topic that the case expects.
func (c *Case) compare(s *Session) error {
	want := map[string][]*Record{}
	var topics []string
	for i := range c.Outputs {
		t := c.Outputs[i].Topic
		if want[t] == nil {
			topics = append(topics, t)
		}
		want[t] = append(want[t], &c.Outputs[i])
	}
	cmp := comparer{loose: c.config()["use.exact.numeric.comparison"] == "false"}
	for _, t := range topics {
		src, got := s.sinkOf(t), s.Driver.Read(t)
		for i, w := range want[t] {
			if i >= len(got) {
				return fmt.Errorf("topic %s: expected %d records, got %d", t, len(want[t]), len(got))
			}
			if err := w.compare(s, &got[i], src, cmp, len(c.Inputs) == 0); err != nil {
				return fmt.Errorf("topic %s record %d: %w", t, i, err)
			}
		}
		if len(got) > len(want[t]) {
			extra := got[len(want[t])]
			return fmt.Errorf("topic %s: expected %d records, got %d; the first extra one is %q → %q at %d", t, len(want[t]), len(got), extra.Key, extra.Value, extra.Time)
		}
	}
	return nil
}

// sinkOf finds the source over a topic, derived ones first.
func (s *Session) sinkOf(topic string) *catalog.Source {
	var found *catalog.Source
	for _, src := range s.Env.Catalog.Sources() {
		if src.Topic == topic && (found == nil || src.CreatedBy != "") {
			found = src
		}
	}
	return found
}

func (r *Record) compare(s *Session, got *driver.Record, src *catalog.Source, cmp comparer, noInputs bool) error {
	key, value := plan.Format{Name: "JSON"}, plan.Format{Name: "JSON"}
	var keys, values []schema.Column
	if src != nil {
		key, value, keys, values = src.KeyFormat, src.ValueFormat, src.Schema.Key, valueColumns(src)
	}
	keyBytes, win := cutWindow(got.Key, src)
	gotKey, err := decode(keyBytes, key, keys, s.serdeOptions(r.Topic, true))
	if err != nil {
		return fmt.Errorf("key: %w", err)
	}
	gotValue, err := decode(got.Value, value, values, s.serdeOptions(r.Topic, false))
	if err != nil {
		return fmt.Errorf("value: %w", err)
	}
	wantKey, err := tree(r.Key)
	if err != nil {
		return err
	}
	wantValue, err := tree(r.Value)
	if err != nil {
		return err
	}
	if err := cmp.diff(wantKey, gotKey, "key"); err != nil {
		return err
	}
	if err := cmp.diff(wantValue, gotValue, "value"); err != nil {
		return err
	}
	if r.Timestamp != nil && *r.Timestamp != got.Time && !(noInputs && *r.Timestamp == 0) {
		return fmt.Errorf("timestamp: expected %d, got %d (key %s, value %s)", *r.Timestamp, got.Time, show(gotKey), show(gotValue))
	}
	if err := r.compareWindow(win); err != nil {
		return err
	}
	return r.compareHeaders(got.Headers)
}

func (r *Record) compareWindow(got *window) error {
	switch {
	case r.Window == nil && got != nil:
		return fmt.Errorf("expected no window, got %d-%d", got.Start, got.End)
	case r.Window == nil:
		return nil
	case got == nil:
		return fmt.Errorf("expected window %d-%d, got none", r.Window.Start, r.Window.End)
	case r.Window.Start != got.Start || r.Window.End != got.End || !strings.EqualFold(r.Window.Type, got.Type):
		return fmt.Errorf("expected window %+v, got %+v", *r.Window, *got)
	}
	return nil
}

func (r *Record) compareHeaders(got []exec.Header) error {
	n := 0
	if r.Headers != nil {
		n = len(*r.Headers)
	}
	if n != len(got) {
		return fmt.Errorf("expected %d headers, got %d", n, len(got))
	}
	for i, h := range got {
		value := ""
		if w := (*r.Headers)[i].VALUE; w != nil {
			value = *w
		}
		if w := (*r.Headers)[i]; w.KEY != h.Key || value != base64.StdEncoding.EncodeToString(h.Value) {
			return fmt.Errorf("header %d: expected %s, got %s", i, w.KEY, h.Key)
		}
	}
	return nil
}

func tree(raw json.RawMessage) (any, error) {
	if isNull(raw) {
		return nil, nil
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	var v any
	err := d.Decode(&v)
	return v, err
}

// completed is the WITH clause that the server writes into a statement's text.
var completed = regexp.MustCompile(` WITH \([^)]*\) AS SELECT`)

// check compares a mistake that was found with the expected one: its class, as
// far as the engine tells classes apart, and its message; last is the statement
// that was to fail.
func (e *Exception) check(err error, last string) error {
	if err == nil {
		return fmt.Errorf("expected the mistake %q, got none", e.Message)
	}
	if !strings.Contains(err.Error(), e.Message) {
		d := diagnostic.All(err)[0]
		if d.Statement != "" {
			last = d.Statement
		}
		if !strings.Contains(d.Message+"\nStatement: "+completed.ReplaceAllString(last, " AS SELECT"), e.Message) {
			return fmt.Errorf("expected the mistake %q, got %q", e.Message, err.Error())
		}
	}
	kind := diagnostic.All(err)[0].Kind
	class := e.Type[strings.LastIndex(e.Type, ".")+1:]
	// The harness's engine wraps what a server tells as a plain KsqlException.
	if class == "ParseFailedException" && kind != diagnostic.Syntax {
		return fmt.Errorf("expected a %s, got kind %d: %q", class, kind, err.Error())
	}
	return nil
}

func (p *Post) check(s *Session) error {
	for i := range p.Sources {
		if err := p.Sources[i].check(s); err != nil {
			return fmt.Errorf("source %s: %w", p.Sources[i].Name, err)
		}
	}
	topics := s.internalTopics()
	for name := range topics {
		if p.Topics.Blacklist == "" {
			break
		}
		match, err := regexp.MatchString(p.Topics.Blacklist, name)
		if err != nil {
			return err
		}
		if match {
			return fmt.Errorf("topic %s should not be there", name)
		}
	}
	for _, t := range p.Topics.Topics {
		got, ok := topics[t.Name]
		if !ok {
			return fmt.Errorf("topic %s is missing; there are %s", t.Name, names(topics))
		}
		if t.KeyFormat != nil && t.KeyFormat.Format != got[0] || t.ValueFormat != nil && t.ValueFormat.Format != got[1] {
			return fmt.Errorf("topic %s has formats %v", t.Name, got)
		}
	}
	return nil
}

func names(m map[string][2]string) string {
	var out []string
	for n := range m {
		out = append(out, n)
	}
	sort.Strings(out)
	return strings.Join(out, ", ")
}

func (p *PostSource) check(s *Session) error {
	name := p.Name
	src, ok := s.Env.Catalog.Source(name)
	if !ok {
		return errors.New("is missing")
	}
	if p.Type != "" && !strings.EqualFold(p.Type, src.Kind()) {
		return fmt.Errorf("is a %s", src.Kind())
	}
	if p.Schema != "" {
		if err := sameSchema(s, p.Schema, src); err != nil {
			return err
		}
	}
	if f := p.KeyFormat; f != nil {
		if f.Format != "" && f.Format != src.KeyFormat.Name {
			return fmt.Errorf("key format: expected %s, got %s", f.Format, src.KeyFormat.Name)
		}
		if f.WindowType != "" && f.WindowType != src.WindowText {
			return fmt.Errorf("window: expected %s, got %s", f.WindowType, src.WindowText)
		}
		if f.WindowSize != nil && *f.WindowSize != src.WindowSize {
			return fmt.Errorf("window size: expected %d, got %d", *f.WindowSize, src.WindowSize)
		}
	}
	if len(p.ValueFormat) > 0 {
		var text string
		var f postFormat
		if json.Unmarshal(p.ValueFormat, &text) != nil {
			if err := json.Unmarshal(p.ValueFormat, &f); err != nil {
				return err
			}
			text = f.Format
		}
		if text != "" && text != src.ValueFormat.Name {
			return fmt.Errorf("value format: expected %s, got %s", text, src.ValueFormat.Name)
		}
	}
	if p.IsSource != nil && *p.IsSource != src.ReadOnly {
		return fmt.Errorf("read-only: expected %t, got %t", *p.IsSource, src.ReadOnly)
	}
	return nil
}

func sameSchema(s *Session, text string, src *catalog.Source) error {
	elements, err := parser.ParseSchema(text)
	if err != nil {
		return fmt.Errorf("can't read the expected schema %s: %w", text, err)
	}
	var want schema.Schema
	for _, e := range elements {
		t, err := e.Type.Resolve(func(n string) (types.Type, bool) { return s.Env.Catalog.Type(n) })
		if err != nil {
			return err
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
		return fmt.Errorf("schema: expected %s, got %s", want.String(), got.String())
	}
	return nil
}

// internalTopics are the topics of all sources and queries with the formats of key and
// value: repartition topics, changelogs and sinks.
func (s *Session) internalTopics() map[string][2]string {
	out := map[string][2]string{}
	for _, src := range s.Env.Catalog.Sources() {
		out[src.Topic] = [2]string{src.KeyFormat.Name, src.ValueFormat.Name}
	}
	for _, q := range s.Queries {
		prefix := "_confluent-ksql-some.ksql.service.idquery_" + q.Plan().ID + "-"
		seen := map[plan.Node]bool{}
		var key, value plan.Format
		store := func(st *plan.Store) {
			if st != nil && !st.NoChangelog {
				out[prefix+st.Name+"-changelog"] = [2]string{key.Name, value.Name}
			}
		}
		var walk func(n plan.Node)
		walk = func(n plan.Node) {
			if seen[n] {
				return
			}
			seen[n] = true
			for _, in := range n.Inputs() {
				walk(in)
			}
			switch n := n.(type) {
			case *plan.Source:
				key, value = n.KeyFormat, n.ValueFormat
				store(n.Store)
			case *plan.Repartition:
				key, value = n.KeyFormat, n.ValueFormat
				out[prefix+n.Topic] = [2]string{key.Name, value.Name}
			case *plan.Aggregate:
				store(n.Store)
			case *plan.Materialize:
				store(n.Store)
			case *plan.StreamStreamJoin:
				store(n.LeftStore)
				store(n.RightStore)
				store(n.OuterStore)
			case *plan.ForeignKeyJoin:
				store(n.Subscriptions)
			case *plan.Sink:
				out[n.Topic] = [2]string{n.KeyFormat.Name, n.ValueFormat.Name}
			}
		}
		walk(q.Plan().Root)
	}
	return out
}
