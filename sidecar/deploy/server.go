package deploy

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sidestream/sidestream/sidecar/client"
)

// defaults are the properties of every statement: a query must see what was
// written before it was made, and each change of a table.
var defaults = map[string]string{
	"auto.offset.reset":                      "earliest",
	"ksql.streams.cache.max.bytes.buffering": "0",
}

// server is a ksqlDB server or embedded engine: what is sent to it, one statement
// after the other, and what it says it has.
type server struct {
	client *client.Client
	// properties of every statement, before those of the statement.
	properties map[string]string
	last       *int64 // sequence number of the last command

	info      client.Info
	sources   map[string]client.Source
	described map[string]*client.SourceDescription
	types     map[string]client.Schema
	queries   []client.RunningQuery // persistent ones
	// still is how long offsets must stand to be the last ones of a paused query.
	still time.Duration
}

// look reads what the server has, and describes those of the sources that are
// there.
func (v *server) look(ctx context.Context, names []string) error {
	if err := v.lookShort(ctx); err != nil {
		return err
	}
	v.described = map[string]*client.SourceDescription{}
	var ask strings.Builder
	for _, n := range slices.Compact(slices.Sorted(slices.Values(names))) {
		if _, there := v.sources[n]; there {
			ask.WriteString("DESCRIBE " + quote(n) + ";")
		}
	}
	if ask.Len() == 0 {
		return nil
	}
	entities, err := v.client.Exec(ctx, ask.String())
	if err != nil {
		return err
	}
	for _, e := range entities {
		if e.SourceDescription != nil {
			v.described[e.SourceDescription.Name] = e.SourceDescription
		}
	}
	return nil
}

// lookShort reads names and queries.
func (v *server) lookShort(ctx context.Context) error {
	entities, err := v.client.Exec(ctx, "SHOW STREAMS; SHOW TABLES; SHOW QUERIES; SHOW TYPES; SHOW PROPERTIES;")
	if err != nil {
		return err
	}
	v.sources, v.types, v.queries, v.still = map[string]client.Source{}, map[string]client.Schema{}, nil, time.Second
	for _, e := range entities {
		for _, s := range append(e.Streams, e.Tables...) {
			v.sources[s.Name] = s
		}
		maps.Copy(v.types, e.Types)
		for _, q := range e.Queries {
			if q.QueryType == "PERSISTENT" {
				v.queries = append(v.queries, q)
			}
		}
		for _, p := range e.Properties {
			if strings.HasSuffix(p.Name, "commit.interval.ms") {
				if ms, err := strconv.Atoi(p.Value); err == nil {
					v.still = max(v.still, 2*time.Duration(ms)*time.Millisecond)
				}
			}
		}
	}
	return nil
}

func (v *server) describe(ctx context.Context, name string) (*client.SourceDescription, error) {
	entities, err := v.client.Exec(ctx, "DESCRIBE "+quote(name)+";")
	if err != nil {
		return nil, err
	}
	for _, e := range entities {
		if e.SourceDescription != nil {
			return e.SourceDescription, nil
		}
	}
	return nil, fmt.Errorf("the server doesn't describe %s", name)
}

func (v *server) query(id string) (client.RunningQuery, bool) {
	i := slices.IndexFunc(v.queries, func(q client.RunningQuery) bool { return q.ID == id })
	if i < 0 {
		return client.RunningQuery{}, false
	}
	return v.queries[i], true
}

// writer is the id of the CREATE … AS query that writes an object; "" for none.
func (v *server) writer(object string) string {
	for _, q := range v.queries {
		if !isInsert(q) && slices.Contains(q.Sinks, object) {
			return q.ID
		}
	}
	return ""
}

func isInsert(q client.RunningQuery) bool { return insertWord.MatchString(q.QueryString) }

func paused(q client.RunningQuery) bool { return q.StatusCount["PAUSED"] > 0 }

// send runs one statement and waits until the server has carried it out. The id
// is that of the query it started.
func (v *server) send(ctx context.Context, sql string, own map[string]string) (string, error) {
	props := map[string]any{}
	for _, m := range []map[string]string{defaults, v.properties, own} {
		for k, value := range m {
			props[k] = value
		}
	}
	entities, err := v.client.Execute(ctx, client.Statements{SQL: sql, Properties: props, AfterCommand: v.last})
	if err != nil {
		return "", err
	}
	for _, e := range entities {
		if e.Type == "warning_entity" {
			return "", &client.Error{HTTPStatus: http.StatusBadRequest, ErrorCode: client.CodeBadStatement, Message: e.Message, StatementText: sql}
		}
		if e.CommandStatus == nil {
			continue
		}
		seq := e.CommandSequenceNumber
		v.last = &seq
		status, err := v.wait(ctx, e.CommandID, *e.CommandStatus)
		if err != nil {
			return "", err
		}
		if status.Status == "ERROR" {
			return "", &client.Error{HTTPStatus: http.StatusBadRequest, ErrorCode: client.CodeBadStatement, Message: status.Message, StatementText: sql}
		}
		return status.QueryID, nil
	}
	return "", nil
}

// wait follows a command that the server has only queued so far.
func (v *server) wait(ctx context.Context, id string, s client.CommandStatus) (client.CommandStatus, error) {
	for {
		switch s.Status {
		case "QUEUED", "PARSING", "EXECUTING", "RUNNING":
		default:
			return s, nil
		}
		select {
		case <-ctx.Done():
			return s, fmt.Errorf("the server hasn't carried out %s yet (%s): %w", id, s.Status, context.Cause(ctx))
		case <-time.After(200 * time.Millisecond):
		}
		var err error
		if s, err = v.client.Status(ctx, id); err != nil {
			return s, err
		}
	}
}

// busy tells an error that says that the server couldn't take the statement just
// now: another one was under way, or its command topic was slow.
func busy(err error) bool {
	var e *client.Error
	return errors.As(err, &e) && e.HTTPStatus >= 500 &&
		(strings.Contains(e.Message, "fenced") || strings.Contains(e.Message, "into the command topic") || strings.Contains(e.Message, "previous command"))
}

// refusal is the server's text where it refuses a statement, as against not
// being able to answer.
func refusal(err error) (string, bool) {
	var e *client.Error
	if errors.As(err, &e) && e.HTTPStatus < 500 {
		return e.Message, true
	}
	return "", false
}

// ensure sends a statement that makes something, unless there tells that it is
// there: after an error that leaves open what has happened it is looked again.
func (v *server) ensure(ctx context.Context, sql string, own map[string]string, there func() (string, bool, error)) (string, error) {
	for try := 0; ; try++ {
		if id, ok, err := there(); err != nil || ok {
			return id, err
		}
		id, err := v.send(ctx, sql, own)
		if err == nil || !busy(err) || try == 4 {
			return id, err
		}
		select {
		case <-ctx.Done():
			return "", context.Cause(ctx)
		case <-time.After(500 * time.Millisecond):
		}
	}
}

// create makes a source, or finds that it has been made meanwhile.
func (v *server) create(ctx context.Context, sql string, name string, own map[string]string) (string, error) {
	first := true
	return v.ensure(ctx, sql, own, func() (string, bool, error) {
		if first {
			first = false
			return "", false, nil
		}
		if err := v.lookShort(ctx); err != nil {
			return "", false, err
		}
		_, ok := v.sources[name]
		return v.writer(name), ok, nil
	})
}

// start makes an INSERT INTO query of that id.
func (v *server) start(ctx context.Context, sql, id string, own map[string]string) error {
	_, err := v.ensure(ctx, sql, own, func() (string, bool, error) {
		if err := v.lookShort(ctx); err != nil {
			return "", false, err
		}
		_, ok := v.query(id)
		return id, ok, nil
	})
	return err
}

// terminate ends a query and waits until the server doesn't list it any more.
func (v *server) terminate(ctx context.Context, id string) error {
	return await(ctx, 100*time.Millisecond, func() (bool, error) {
		if err := v.lookShort(ctx); err != nil {
			return false, err
		}
		if _, there := v.query(id); !there {
			return true, nil
		}
		_, err := v.send(ctx, "TERMINATE "+id+";", nil)
		if text, ok := refusal(err); ok && strings.Contains(strings.ToLower(text), "unknown query") || busy(err) {
			err = nil
		}
		return false, err
	})
}

// drop removes a source, and never its topic: a DROP … DELETE TOPIC that is
// refused has deleted the topic all the same.
func (v *server) drop(ctx context.Context, name string) error {
	return await(ctx, 200*time.Millisecond, func() (bool, error) {
		if err := v.lookShort(ctx); err != nil {
			return false, err
		}
		src, there := v.sources[name]
		if !there {
			return true, nil
		}
		_, err := v.send(ctx, fmt.Sprintf("DROP %s %s;", src.Type, quote(name)), nil)
		if busy(err) {
			err = nil
		}
		return false, err
	})
}

// pause stops a query before its next record; resume lets it go on.
func (v *server) pause(ctx context.Context, id string) error {
	_, err := v.send(ctx, "PAUSE "+id+";", nil)
	return err
}

func (v *server) resume(ctx context.Context, id string) error {
	_, err := v.send(ctx, "RESUME "+id+";", nil)
	return err
}

// running waits until the queries run.
func (v *server) running(ctx context.Context, ids []string) error {
	last := ""
	err := await(ctx, 200*time.Millisecond, func() (bool, error) {
		if err := v.lookShort(ctx); err != nil {
			return false, err
		}
		last = ""
		for _, id := range ids {
			q, ok := v.query(id)
			switch {
			case !ok:
				last = id + " isn't there"
			case q.StatusCount["ERROR"] > 0 || q.StatusCount["UNRESPONSIVE"] > 0 || len(q.StatusCount) == 0 && q.State != "RUNNING":
				last = fmt.Sprintf("%s is %s", id, q.State)
			}
		}
		return last == "", nil
	})
	if err != nil && last != "" {
		return fmt.Errorf("applied, but not all queries run: %s (EXPLAIN it on the server): %w", last, err)
	}
	return err
}

// WaitReady waits until the server answers and is healthy. A bound comes from
// the context.
func WaitReady(ctx context.Context, c *client.Client) (client.Info, error) {
	var last error
	for {
		info, err := c.Info(ctx)
		if err == nil {
			var h client.Health
			if h, err = c.Healthcheck(ctx); err == nil && h.IsHealthy {
				return info, nil
			}
			if err == nil {
				err = fmt.Errorf("it isn't healthy: %s", unhealthy(h))
			}
		}
		if ctx.Err() == nil || last == nil {
			last = err
		}
		select {
		case <-ctx.Done():
			return info, fmt.Errorf("the ksqlDB server at %s isn't ready: %w", c.URL(), last)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func unhealthy(h client.Health) string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(h.Details)) {
		if !h.Details[name].IsHealthy {
			parts = append(parts, name)
		}
	}
	return strings.Join(parts, ", ")
}

// quote writes a name exactly.
func quote(name string) string { return "`" + strings.ReplaceAll(name, "`", "``") + "`" }
