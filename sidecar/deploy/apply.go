package deploy

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/sidestream/sidestream/sidecar/client"
	"github.com/sidestream/sidestream/sidecar/engine/ast"
)

// Options of Apply.
type Options struct {
	// Ledger remembers what was applied; nil compares texts alone, and then takes
	// for changed what the server writes in another way.
	Ledger Ledger
	// Rebuild drops and makes again what the server refuses to replace, with
	// everything that reads it: the new queries read their topics from the
	// beginning and write their results again. For development only.
	Rebuild bool
	// DryRun says what would be done.
	DryRun bool
	// Properties for all statements, before those that the folder SETs.
	Properties map[string]string
	// Progress is called after each statement; nil for nobody.
	Progress func(Change)
}

// Action is what was done with a statement.
type Action string

// What is done with statements.
const (
	Created  Action = "created"
	Replaced Action = "replaced"
	Rebuilt  Action = "rebuilt"
	Same     Action = "same"
)

// Change is what was done with a statement, or with DryRun would be.
type Change struct {
	Place   string `json:"place"` // file:line:column
	Kind    Kind   `json:"kind"`
	Name    string `json:"name"`
	Action  Action `json:"action"`
	QueryID string `json:"queryId,omitempty"`
}

// Extra is a persistent query of the server that nothing in the folder makes.
type Extra struct {
	QueryID string `json:"queryId"`
	SQL     string `json:"sql"`
}

// Result is what Apply did.
type Result struct {
	Changes []Change `json:"changes"`
	// Extras are left alone.
	Extras []Extra `json:"extras,omitempty"`
}

// defaults are the properties of every statement: a query must see what was
// written before it was made, and each change of a table.
var defaults = map[string]string{
	"auto.offset.reset":                      "earliest",
	"ksql.streams.cache.max.bytes.buffering": "0",
}

// Apply brings the server to what the folder says, statement by statement, and
// sends nothing for those that are there already. What it couldn't do is the
// error: a *Fault at the statement, after which nothing more was sent.
func Apply(ctx context.Context, c *client.Client, f *Folder, opts Options) (*Result, error) {
	a := &applier{client: c, folder: f, opts: opts, done: map[*Statement]bool{}, entries: map[string]Entry{}}
	if err := a.load(ctx); err != nil {
		return nil, err
	}
	for _, s := range f.Statements {
		if a.done[s] {
			continue
		}
		if err := a.statement(ctx, s); err != nil {
			return &a.result, err
		}
	}
	a.extras()
	return &a.result, nil
}

type applier struct {
	client  *client.Client
	folder  *Folder
	opts    Options
	entries map[string]Entry
	sources map[string]client.Source
	types   map[string]client.Schema
	queries []client.RunningQuery
	done    map[*Statement]bool
	known   map[string]bool // queries that the folder accounts for
	last    *int64
	result  Result
}

// load reads what the server and the ledger have.
func (a *applier) load(ctx context.Context) error {
	entities, err := a.client.Exec(ctx, "SHOW STREAMS; SHOW TABLES; SHOW QUERIES; SHOW TYPES;")
	if err != nil {
		return err
	}
	a.sources, a.types, a.queries, a.known = map[string]client.Source{}, map[string]client.Schema{}, nil, map[string]bool{}
	for _, e := range entities {
		for _, s := range append(e.Streams, e.Tables...) {
			a.sources[s.Name] = s
		}
		for name, t := range e.Types {
			a.types[name] = t
		}
		for _, q := range e.Queries {
			if q.QueryType == "PERSISTENT" {
				a.queries = append(a.queries, q)
			}
		}
	}
	if a.opts.Ledger == nil {
		return nil
	}
	a.entries, err = a.opts.Ledger.Load(ctx)
	return err
}

func (a *applier) statement(ctx context.Context, s *Statement) error {
	switch s.Kind {
	case Insert:
		return a.insert(ctx, s)
	case Type:
		if _, ok := a.types[s.Name]; !ok {
			return a.create(ctx, s, Created)
		}
		if old, ok := a.entries["type "+s.Name]; ok && old.Hash != hash(s.SQL()) {
			return s.fault("The type has changed, and types can't be replaced: give the new one another name.")
		}
		return a.note(s, Same, "")
	}
	old, ok := a.sources[s.Name]
	if !ok {
		return a.create(ctx, s, Created)
	}
	if old.Type != string(s.Kind) {
		return s.fault(fmt.Sprintf("%s is a %s on the server.", s.Name, old.Type))
	}
	described, err := a.describe(ctx, s.Name)
	if err != nil {
		return err
	}
	for _, q := range described.WriteQueries {
		if !isInsert(q) {
			a.known[q.ID] = true
		}
	}
	if a.same(s, described.Statement) {
		return a.note(s, Same, "")
	}
	return a.replace(ctx, s)
}

// same tells whether the server has the statement already.
func (a *applier) same(s *Statement, server string) bool {
	if e, ok := a.entries[s.Name]; ok && plainText(e.Server) == plainText(server) {
		return e.Hash == hash(s.SQL())
	}
	return sameText(s, server)
}

var (
	orReplace  = regexp.MustCompile(`(?i)^\s*CREATE\s+OR\s+REPLACE\b`)
	createWord = regexp.MustCompile(`(?i)^\s*CREATE\b`)
)

// plainText is a statement without OR REPLACE, which a server keeps in its text.
func plainText(sql string) string {
	return orReplace.ReplaceAllString(normal(sql), "CREATE")
}

func (a *applier) describe(ctx context.Context, name string) (*client.SourceDescription, error) {
	entities, err := a.client.Exec(ctx, "DESCRIBE "+quote(name)+";")
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

func (a *applier) replace(ctx context.Context, s *Statement) error {
	if source, ok := s.Node.(*ast.CreateSource); ok && source.ReadOnly {
		return a.refused(ctx, s, "CREATE OR REPLACE is not supported on source tables and streams.")
	}
	if a.opts.DryRun {
		return a.note(s, Replaced, "")
	}
	sql := createWord.ReplaceAllString(s.SQL(), "CREATE OR REPLACE")
	if orReplace.MatchString(s.SQL()) {
		sql = s.SQL()
	}
	id, err := a.send(ctx, s, sql)
	if text, ok := refusal(err); ok {
		return a.refused(ctx, s, text)
	}
	if err != nil {
		return err
	}
	return a.finish(ctx, s, Replaced, id)
}

// refused rebuilds what the server doesn't replace, or says what can be done.
func (a *applier) refused(ctx context.Context, s *Statement, text string) error {
	if a.opts.Rebuild {
		return a.rebuild(ctx, s)
	}
	return s.faultWith(text, "The running query is untouched. In development --rebuild drops it and what reads it, and makes them again; in production make the new version beside it, under another name and topic.")
}

func (a *applier) insert(ctx context.Context, s *Statement) error {
	want := normal(s.SQL())
	var stale []client.RunningQuery
	for _, q := range a.queries {
		switch {
		case a.known[q.ID]:
		case normal(q.QueryString) == want:
			a.known[q.ID] = true
			return a.note(s, Same, q.ID)
		case a.replacedBy(q, s):
			stale = append(stale, q)
		}
	}
	if len(stale) == 0 {
		return a.create(ctx, s, Created)
	}
	if !a.opts.Rebuild {
		return s.faultWith(fmt.Sprintf("This INSERT INTO has changed: on the server %s is: %s", stale[0].ID, normal(stale[0].QueryString)),
			"A running INSERT INTO can't be replaced. In development --rebuild ends it and starts the new one from the beginning of its topic; in production PAUSE it, give the new one its offsets and TERMINATE it.")
	}
	for _, q := range stale {
		if err := a.terminate(ctx, s, q.ID); err != nil {
			return err
		}
	}
	return a.create(ctx, s, Rebuilt)
}

// replacedBy tells whether a running INSERT INTO is an older text of s: it
// writes the same target from the same source, and nothing in the folder is it.
func (a *applier) replacedBy(q client.RunningQuery, s *Statement) bool {
	if !isInsert(q) || !slices.Contains(q.Sinks, s.Name) {
		return false
	}
	text := normal(q.QueryString)
	for _, other := range a.folder.Statements {
		if other.Kind == Insert && normal(other.SQL()) == text {
			return false
		}
	}
	return slices.Equal(readsOf(q.QueryString), s.Reads)
}

var insertWord = regexp.MustCompile(`(?i)^\s*INSERT\s+INTO\b`)

func isInsert(q client.RunningQuery) bool { return insertWord.MatchString(q.QueryString) }

// rebuild drops an object and what reads it, and makes them again in order.
func (a *applier) rebuild(ctx context.Context, s *Statement) error {
	all := a.dependents(s)
	if a.opts.DryRun {
		for _, d := range all {
			a.done[d] = true
			if err := a.note(d, Rebuilt, ""); err != nil {
				return err
			}
		}
		return nil
	}
	for _, d := range slices.Backward(all) {
		for _, q := range a.queries {
			ended := d.Kind == Insert && normal(q.QueryString) == normal(d.SQL()) ||
				d.Kind != Insert && slices.Contains(q.Sinks, d.Name) && !isInsert(q)
			if ended {
				if err := a.terminate(ctx, s, q.ID); err != nil {
					return err
				}
			}
		}
		if _, there := a.sources[d.Name]; d.Kind == Insert || !there {
			continue
		}
		if _, err := a.send(ctx, s, fmt.Sprintf("DROP %s %s;", d.Kind, quote(d.Name))); err != nil {
			if text, ok := refusal(err); ok {
				return s.fault(text)
			}
			return err
		}
		delete(a.sources, d.Name)
	}
	for _, d := range all {
		a.done[d] = true
		if err := a.create(ctx, d, Rebuilt); err != nil {
			return err
		}
	}
	return nil
}

// dependents are s and the statements that read it, or write into it, directly or
// not, in the folder's order.
func (a *applier) dependents(s *Statement) []*Statement {
	names := map[string]bool{s.Name: true}
	out := []*Statement{s}
	from := slices.Index(a.folder.Statements, s)
	for _, d := range a.folder.Statements[from+1:] {
		reads := slices.ContainsFunc(d.Reads, func(r string) bool { return names[r] })
		if d.Kind == Insert && (reads || names[d.Name]) {
			out = append(out, d)
			continue
		}
		if reads {
			names[d.Name] = true
			out = append(out, d)
		}
	}
	return out
}

func (a *applier) terminate(ctx context.Context, s *Statement, id string) error {
	a.known[id] = true
	_, err := a.send(ctx, s, "TERMINATE "+id+";")
	if text, ok := refusal(err); ok && strings.Contains(strings.ToLower(text), "unknown query") {
		return nil // it ended by itself
	}
	return err
}

func (a *applier) create(ctx context.Context, s *Statement, action Action) error {
	if a.opts.DryRun {
		return a.note(s, action, "")
	}
	id, err := a.send(ctx, s, s.SQL())
	if text, ok := refusal(err); ok {
		return s.fault(text)
	}
	if err != nil {
		return err
	}
	return a.finish(ctx, s, action, id)
}

// finish remembers what the server has now.
func (a *applier) finish(ctx context.Context, s *Statement, action Action, id string) error {
	a.known[id] = true
	if a.opts.Ledger != nil && s.Kind != Insert {
		key, e := s.Name, Entry{Hash: hash(s.SQL()), SQL: s.SQL(), At: time.Now().UTC()}
		if s.Kind == Type {
			key = "type " + key
		} else {
			described, err := a.describe(ctx, s.Name)
			if err != nil {
				return err
			}
			e.Server = described.Statement
		}
		if err := a.opts.Ledger.Save(ctx, key, e); err != nil {
			return err
		}
	}
	return a.note(s, action, id)
}

func (a *applier) note(s *Statement, action Action, id string) error {
	c := Change{Place: s.Place(), Kind: s.Kind, Name: s.Name, Action: action, QueryID: id}
	a.result.Changes = append(a.result.Changes, c)
	if a.opts.Progress != nil {
		a.opts.Progress(c)
	}
	return nil
}

// extras lists queries that the folder doesn't account for.
func (a *applier) extras() {
	made := map[string]bool{}
	for _, s := range a.folder.Statements {
		if s.Kind != Insert {
			made[s.Name] = true
		}
	}
	for _, q := range a.queries {
		ours := slices.ContainsFunc(q.Sinks, func(n string) bool { return made[n] }) && !isInsert(q)
		if !a.known[q.ID] && !ours && len(q.Sinks) > 0 {
			a.result.Extras = append(a.result.Extras, Extra{q.ID, q.QueryString})
		}
	}
}

// send runs one statement and waits until the server has carried it out. The id
// is that of the query it started.
func (a *applier) send(ctx context.Context, s *Statement, sql string) (string, error) {
	props := map[string]any{}
	for _, m := range []map[string]string{defaults, a.opts.Properties, s.Properties} {
		for k, v := range m {
			props[k] = v
		}
	}
	entities, err := a.client.Execute(ctx, client.Statements{SQL: sql, Properties: props, AfterCommand: a.last})
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
		a.last = &seq
		status, err := a.wait(ctx, e.CommandID, *e.CommandStatus)
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
func (a *applier) wait(ctx context.Context, id string, s client.CommandStatus) (client.CommandStatus, error) {
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
		if s, err = a.client.Status(ctx, id); err != nil {
			return s, err
		}
	}
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

// fault is an error at the statement.
func (s *Statement) fault(text string) error { return s.faultWith(text, "") }

// faultWith is an error at the statement that says what to do.
func (s *Statement) faultWith(text, hint string) error { return &Fault{s.render(text, hint)} }

// quote writes a name exactly.
func quote(name string) string { return "`" + strings.ReplaceAll(name, "`", "``") + "`" }

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
