package enginetest

import (
	"encoding/base64"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/sidestream/sidestream/sidecar/engine/catalog"
	"github.com/sidestream/sidestream/sidecar/engine/diagnostic"
	"github.com/sidestream/sidestream/sidecar/engine/driver"
	"github.com/sidestream/sidestream/sidecar/engine/exec"
	"github.com/sidestream/sidestream/sidecar/engine/function/functiontest"
)

// Run runs the case on the deterministic driver; nil when it passes. Where
// records or sources aren't as expected, the error is Differences.
func (c *Case) Run() (err error) {
	defer func() {
		if e := recover(); e != nil {
			err = fmt.Errorf("panic: %v", e)
		}
	}()
	s := NewSession(c.config(), functiontest.Registry(c.config()))
	s.SinglePartition = true
	s.partitions = c.partitions()
	if c.NeedsSchemaRegistry {
		r := newRegistry()
		for _, sub := range c.subjects() {
			if err := r.add(sub); err != nil {
				return err
			}
		}
		s.UseRegistry(r)
	}
	err = s.Apply(strings.Join(c.Statements, "\n"))
	running := err == nil
	if running {
		err = c.pipe(s)
	}
	if c.ExpectedException != nil {
		return c.ExpectedException.check(err, running, c.Statements[len(c.Statements)-1])
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

// partitions are those of the topics that the case lists, and of those that it
// has records of.
func (c *Case) partitions() map[string]int {
	out := map[string]int{}
	for _, r := range slices.Concat(c.Inputs, c.Outputs) {
		out[r.Topic] = 4
	}
	for i := range c.Topics {
		out[c.Topics[i].Name] = max(c.Topics[i].Partitions, 1)
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
		r, err := in.encode(s.sourceOf(in.Topic), s)
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

func (r *Record) encode(src *catalog.Source, s *Session) (driver.Record, error) {
	key, value := halves(r.Topic, src, s.Env.Schemas)
	return r.bytes(key, value)
}

// bytes makes the record of a topic with these halves.
func (r *Record) bytes(key, value half) (driver.Record, error) {
	out := driver.Record{}
	if r.Timestamp != nil {
		out.Time = *r.Timestamp
	}
	var err error
	if out.Key, err = key.encode(r.Key); err != nil {
		return out, err
	}
	if out.Key != nil {
		out.Key = r.Window.append(out.Key[:len(out.Key):len(out.Key)])
	}
	if out.Value, err = value.encode(r.Value); err != nil {
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
	return c.compareTopics(func(topic string) (*catalog.Source, []driver.Record, error) {
		return s.sinkOf(topic), s.Driver.Read(topic), nil
	}, s)
}

// compareTopics compares the records of every topic that the case expects with
// what read finds.
func (c *Case) compareTopics(read func(topic string) (*catalog.Source, []driver.Record, error), s *Session) error {
	want := map[string][]*Record{}
	var topics []string
	for i := range c.Outputs {
		t := c.Outputs[i].Topic
		if want[t] == nil {
			topics = append(topics, t)
		}
		want[t] = append(want[t], &c.Outputs[i])
	}
	var found Differences
	for _, t := range topics {
		src, got, err := read(t)
		if err != nil {
			return err
		}
		cmp := recordComparer{src: src, noInputs: len(c.Inputs) == 0}
		cmp.loose = c.config()["use.exact.numeric.comparison"] == "false"
		cmp.key, cmp.value = halves(t, src, s.Env.Schemas)
		cmp.topic(t, want[t], got)
		found = append(found, cmp.found...)
	}
	return found.orNil()
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

// recordComparer compares the records of a topic.
type recordComparer struct {
	comparer
	src        *catalog.Source
	key, value half
	noInputs   bool
}

// enough is how many records with differences are told of.
const enough = 5

func (c *recordComparer) topic(name string, want []*Record, got []driver.Record) {
	bad := 0
	for i := range min(len(want), len(got)) {
		before := len(c.found)
		c.record(fmt.Sprintf("%s[%d]", name, i), want[i], &got[i])
		if len(c.found) > before {
			if bad++; bad == enough {
				break
			}
		}
	}
	if len(want) == len(got) {
		return
	}
	c.found.text(name, fmt.Sprintf("%d records", len(want)), fmt.Sprintf("%d records", len(got)))
	for i := len(want); i < min(len(got), len(want)+enough); i++ {
		c.found.text(fmt.Sprintf("%s[%d]", name, i), "no record", c.describe(&got[i]))
	}
	for i := len(got); i < min(len(want), len(got)+enough); i++ {
		c.found.text(fmt.Sprintf("%s[%d]", name, i), string(want[i].Key)+" → "+string(want[i].Value), "no record")
	}
}

// describe tells a record in a line.
func (c *recordComparer) describe(r *driver.Record) string {
	raw, win := cutWindow(r.Key, c.src)
	key, err := c.key.decode(raw)
	value, err2 := c.value.decode(r.Value)
	if err := errors.Join(err, err2); err != nil {
		return fmt.Sprintf("%q → %q: %v", r.Key, r.Value, err)
	}
	return fmt.Sprintf("%s → %s at %d, window %s", show(key), show(value), r.Time, win)
}

func (c *recordComparer) record(field string, want *Record, got *driver.Record) {
	raw, win := cutWindow(got.Key, c.src)
	c.half(field+".key", want.Key, raw, &c.key)
	c.half(field+".value", want.Value, got.Value, &c.value)
	if want.Timestamp != nil && *want.Timestamp != got.Time && (!c.noInputs || *want.Timestamp != 0) {
		c.found.text(field+".timestamp", *want.Timestamp, got.Time)
	}
	if w := want.Window; w.String() != win.String() && (w == nil || win == nil || !strings.EqualFold(w.String(), win.String())) {
		c.found.text(field+".window", w, win)
	}
	c.headers(field, want, got)
}

func (c *recordComparer) half(field string, want []byte, got []byte, h *half) {
	w, err := expected(want)
	if err != nil {
		c.found.text(field, string(want), err)
		return
	}
	g, err := h.decode(got)
	if err != nil {
		c.found.text(field, show(w), fmt.Sprintf("%q, which can't be read: %v", got, err))
		return
	}
	c.compare(w, g, field)
}

// headers: where none are expected there must be none.
func (c *recordComparer) headers(field string, want *Record, got *driver.Record) {
	n := 0
	if want.Headers != nil {
		n = len(*want.Headers)
	}
	if n != len(got.Headers) {
		c.found.text(field+".headers", n, len(got.Headers))
		return
	}
	for i, h := range got.Headers {
		w := (*want.Headers)[i]
		text := func(key, value string) string { return key + "=" + value }
		value := ""
		if w.VALUE != nil {
			value = *w.VALUE
		}
		if a, b := text(w.KEY, value), text(h.Key, base64.StdEncoding.EncodeToString(h.Value)); a != b {
			c.found.text(fmt.Sprintf("%s.headers[%d]", field, i), a, b)
		}
	}
}

// completed is the WITH clause that the server writes into a statement's text.
var completed = regexp.MustCompile(` WITH \([^)]*\) AS SELECT`)

// check compares a mistake that was found with the expected one: its class, as
// far as the engine tells classes apart, and its message. running: it was found
// while records came in; last is the statement that was to fail.
func (e *Exception) check(err error, running bool, last string) error {
	if err == nil {
		return fmt.Errorf("expected the mistake %q, got none", e.Message)
	}
	text := err.Error()
	class := e.Type[strings.LastIndex(e.Type, ".")+1:]
	if running {
		// Kafka Streams wraps what a step throws.
		if class != "StreamsException" || !strings.Contains("Exception caught in process", e.Message) || !strings.Contains(text, e.CauseMessage) {
			return fmt.Errorf("expected a %s %q by %q, got while running %q", class, e.Message, e.CauseMessage, text)
		}
		return nil
	}
	d := diagnostic.All(err)[0]
	if !strings.Contains(text, e.Message) {
		if d.Statement != "" {
			last = d.Statement
		}
		if !strings.Contains(d.Message+"\nStatement: "+completed.ReplaceAllString(last, " AS SELECT"), e.Message) {
			return fmt.Errorf("expected the mistake %q, got %q", e.Message, text)
		}
	}
	// ksqlDB's runner wraps some statements' mistakes in the general class, of which
	// the others are.
	if class == "ParseFailedException" && d.Kind != diagnostic.Syntax || class == "StreamsException" {
		return fmt.Errorf("expected a %s, got kind %d: %q", class, d.Kind, text)
	}
	return nil
}
