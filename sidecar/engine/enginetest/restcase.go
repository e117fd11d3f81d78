package enginetest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/sidestream/sidestream/sidecar/engine/ast"
	"github.com/sidestream/sidestream/sidecar/engine/catalog"
	"github.com/sidestream/sidestream/sidecar/engine/driver"
	"github.com/sidestream/sidestream/sidecar/engine/exec"
	"github.com/sidestream/sidestream/sidecar/engine/parser"
)

// How long a case over REST may take, and how long the rows of a pull query may
// take to become what is expected.
const (
	restPatience = 20 * time.Second
	rowPatience  = 3 * time.Second
)

// restRun is a case that runs over the REST API.
type restRun struct {
	c       *Case
	s       *server
	session *Session // knows the formats of topics
	// properties that requests carry.
	properties map[string]any
	// responses that no answer has met yet.
	responses []map[string]json.RawMessage
	found     Differences
}

// RunREST runs the case over the REST API of a server of its own: all statements
// but queries as one request, then the records, then query by query. nil when it
// passes; Differences where answers or records aren't as expected.
func (c *Case) RunREST(ctx context.Context) (err error) {
	ctx, cancel := context.WithTimeout(ctx, restPatience)
	defer cancel()
	config := map[string]string{"auto.offset.reset": "earliest", "ksql.query.push.v2.enabled": "true"}
	r := &restRun{c: c, responses: c.Responses, properties: map[string]any{}}
	for name, value := range c.config() {
		if strings.HasPrefix(name, "ksql.") {
			config[name] = value
		} else {
			r.properties[name] = value
		}
	}
	r.session = NewSession(maps.Clone(config), nil)
	registry := newRegistry()
	for _, s := range c.subjects() {
		if err := registry.add(s); err != nil {
			return err
		}
	}
	r.session.UseRegistry(registry)
	if r.s, err = newServer(ctx, config, registry); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.s.close()) }()
	if err := r.makeTopics(ctx); err != nil {
		return err
	}
	return r.run(ctx)
}

// makeTopics makes the topics that the case lists, and those that its statements
// take to be there, with as many partitions as ksqlDB's runner gives them.
func (r *restRun) makeTopics(ctx context.Context) error {
	want := map[string]int32{}
	for _, text := range r.c.Statements {
		statements, err := parser.Parse(text)
		if err != nil || len(statements) != 1 {
			continue // the server says what is wrong
		}
		create, ok := statements[0].(*ast.CreateSource)
		if !ok {
			continue
		}
		topic := create.Name.Name
		if text, ok := create.With.Get("KAFKA_TOPIC").(*ast.StringLit); ok {
			topic = text.Value
		}
		if create.With.Get("PARTITIONS") == nil {
			want[topic] = 4
		}
	}
	for i := range r.c.Topics {
		want[r.c.Topics[i].Name] = int32(max(r.c.Topics[i].Partitions, 1))
	}
	for topic, n := range want {
		resp, err := r.s.admin.CreateTopic(ctx, n, 1, nil, topic)
		if err = errors.Join(err, resp.Err); err != nil {
			return fmt.Errorf("topic %s: %w", topic, err)
		}
	}
	return nil
}

// isQuery tells the statements that go to /query.
var isQuery = regexp.MustCompile(`(?is)^\s*SELECT\s`)

func (r *restRun) run(ctx context.Context) error {
	var others, queries []string
	for _, st := range r.c.Statements {
		if isQuery.MatchString(st) {
			queries = append(queries, st)
		} else {
			others = append(others, st)
			_ = r.session.Apply(st) // the server says what is wrong
		}
	}
	if len(others) > 0 {
		a, err := r.s.ask(ctx, "/ksql", "", map[string]any{"ksql": strings.Join(others, "\n"), "streamsProperties": r.properties})
		if err != nil {
			return err
		}
		if done, err := r.refused(a); done || err != nil {
			return err
		}
		if err := r.entities(a); err != nil {
			return err
		}
		// A query that begins with the latest records has its place.
		if err := r.s.settle(ctx); err != nil {
			return err
		}
	}
	if !r.c.InputConditions.WaitForActivePushQuery {
		if err := r.produce(ctx); err != nil {
			return err
		}
	}
	for _, q := range queries {
		if done, err := r.query(ctx, q); done || err != nil {
			return err
		}
	}
	for _, q := range queries {
		if len(r.responses) == 0 || r.responses[0]["queryProto"] == nil {
			break
		}
		if err := r.proto(ctx, q); err != nil {
			return err
		}
	}
	if e := r.c.ExpectedError; e != nil {
		return fmt.Errorf("expected the error %q with status %d, got none", e.Message, e.Status)
	}
	if len(r.responses) > 0 {
		r.found.text("responses", fmt.Sprintf("%d more", len(r.responses)), "none")
	}
	if err := r.outputs(ctx); err != nil {
		return err
	}
	return r.found.orNil()
}

// refused compares an answer that is an error with the expected one. done: the
// case ends here.
func (r *restRun) refused(a answer) (done bool, err error) {
	want := r.c.ExpectedError
	if a.status == http.StatusOK {
		return false, nil
	}
	var body struct {
		Type    string `json:"@type"`
		Message string
	}
	if err := json.Unmarshal(a.body, &body); err != nil {
		return true, fmt.Errorf("status %d, and no error as JSON: %q", a.status, a.body)
	}
	if want == nil {
		return true, fmt.Errorf("refused with status %d: %s", a.status, body.Message)
	}
	var found Differences
	if want.Status != 0 && want.Status != a.status {
		found.text("error.status", want.Status, a.status)
	}
	if !strings.Contains(body.Message, want.Message) {
		found.text("error.message", strconv.Quote(want.Message), strconv.Quote(body.Message))
	}
	class := want.Type[strings.LastIndex(want.Type, ".")+1:]
	kinds := map[string]string{"KsqlStatementErrorMessage": "statement_error", "KsqlErrorMessage": "generic_error"}
	// A statement's error is an error, too.
	if kind := kinds[class]; kind != "" && kind != body.Type && kind != "generic_error" {
		found.text("error.@type", kind, body.Type)
	}
	return true, found.orNil()
}

// entities compares what /ksql answers with the responses for statements.
func (r *restRun) entities(a answer) error {
	var got []map[string]json.RawMessage
	if err := json.Unmarshal(a.body, &got); err != nil {
		return fmt.Errorf("/ksql answers %q: %w", a.body, err)
	}
	for i, entity := range got {
		if len(r.responses) == 0 || r.responses[0]["admin"] == nil {
			break // the case is silent on it
		}
		if err := r.listed(fmt.Sprintf("response %d", i), r.responses[0]["admin"], entity); err != nil {
			return err
		}
		r.responses = r.responses[1:]
	}
	return nil
}

// listed compares the members that the case lists. A name with "|starts_with"
// wants the beginning of a text; {STATEMENT} stands for the case's statement.
func (r *restRun) listed(field string, want json.RawMessage, got map[string]json.RawMessage) error {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(want, &members); err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(members)) {
		key, how, _ := strings.Cut(name, "|")
		w, err := expected(members[name])
		if err != nil {
			return err
		}
		g, err := jsonTree(got[key])
		if err != nil {
			return err
		}
		if strings.EqualFold(how, "starts_with") {
			a, b := fmt.Sprint(w), fmt.Sprint(g)
			if !strings.HasPrefix(b, a) {
				r.found.text(field+"."+key, a+"…", b)
			}
			continue
		}
		cmp := comparer{}
		cmp.compare(w, g, field+"."+key)
		r.found = append(r.found, cmp.found...)
	}
	return nil
}

// produce writes the case's records, and waits until the queries have read them.
func (r *restRun) produce(ctx context.Context) error {
	for i := range r.c.Inputs {
		in := &r.c.Inputs[i]
		rec, err := in.encode(r.session.sourceOf(in.Topic), r.session)
		if err != nil {
			return fmt.Errorf("input %d: %w", i, err)
		}
		out := &kgo.Record{Topic: in.Topic, Key: rec.Key, Value: rec.Value, Timestamp: time.UnixMilli(rec.Time)}
		if in.Timestamp == nil {
			out.Timestamp = time.Now()
		}
		for _, h := range rec.Headers {
			out.Headers = append(out.Headers, kgo.RecordHeader{Key: h.Key, Value: h.Value})
		}
		if out.Partition, err = r.partition(ctx, in.Topic, rec.Key); err != nil {
			return err
		}
		if err := r.s.kafka.ProduceSync(ctx, out).FirstErr(); err != nil {
			return fmt.Errorf("input %d: %w", i, err)
		}
	}
	return r.s.settle(ctx)
}

// partition is where a record belongs.
func (r *restRun) partition(ctx context.Context, topic string, key []byte) (int32, error) {
	topics, err := r.s.admin.ListTopics(ctx, topic)
	if err != nil {
		return 0, err
	}
	n := int32(len(topics[topic].Partitions))
	if n == 0 {
		return 0, fmt.Errorf("there is no topic %s", topic)
	}
	if key == nil {
		return 0, nil
	}
	return exec.Partition(key, n), nil
}

// outputs compares the records of topics.
func (r *restRun) outputs(ctx context.Context) error {
	if len(r.c.Outputs) == 0 {
		return nil
	}
	if err := r.s.settle(ctx); err != nil {
		return err
	}
	err := r.c.compareTopics(func(topic string) (*catalog.Source, []driver.Record, error) {
		records, err := r.s.read(ctx, topic)
		if err != nil {
			return nil, nil, fmt.Errorf("topic %s: %w", topic, err)
		}
		out := make([]driver.Record, len(records))
		for i, rec := range records {
			out[i] = driver.Record{Key: rec.Key, Value: rec.Value, Time: rec.Timestamp.UnixMilli(), Partition: rec.Partition, Offset: rec.Offset}
			for _, h := range rec.Headers {
				out[i].Headers = append(out[i].Headers, exec.Header{Key: h.Key, Value: h.Value})
			}
		}
		return r.session.sinkOf(topic), out, nil
	}, r.session)
	var found Differences
	if errors.As(err, &found) {
		r.found = append(r.found, found...)
		return nil
	}
	return err
}
