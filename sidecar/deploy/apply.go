package deploy

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/sidestream/sidestream/sidecar/client"
	"github.com/sidestream/sidestream/sidecar/engine/ast"
	"github.com/sidestream/sidestream/sidecar/engine/format"
)

// Options of Apply and MakePlan.
type Options struct {
	// Ledger remembers what was applied, and leads to Kafka; nil compares texts
	// alone, takes for changed what the server writes in another way, and can only
	// create and replace.
	Ledger *Ledger
	// Rebuild drops and makes again what the server refuses to replace, with
	// everything that reads it: the new queries read their topics from the
	// beginning and write their results again. For development only.
	Rebuild bool
	// AllowRebuild allows all rebuilds, as --@rebuild: allow before a statement
	// allows one.
	AllowRebuild bool
	// DeleteTopics deletes the topics of what is removed, and of old versions that
	// nobody else reads. Without it they stay.
	DeleteTopics bool
	// DryRun says what would be done.
	DryRun bool
	// Unchecked takes SQL that the analysis here refuses, for servers that know more:
	// then the server decides whether it can be replaced.
	Unchecked bool
	// Properties for all statements, before those that the folder SETs.
	Properties map[string]string
	// Progress is called after each statement; nil for nobody.
	Progress func(Change)
	// Say is told what takes its time, in a line; nil for nobody.
	Say func(string)
	// By is the version of who applies, for the ledger.
	By string
}

// Action is what was done with a statement.
type Action string

// What is done with statements.
const (
	Created  Action = "created"
	Replaced Action = "replaced"
	Resumed  Action = "resumed" // ended, and gone on with at the same offsets
	MovedOn  Action = "moved"
	Rebuilt  Action = "rebuilt"
	Dropped  Action = "dropped"
	Same     Action = "same"
)

// Change is what was done with a statement, or with DryRun would be.
type Change struct {
	Place   string `json:"place,omitempty"` // file:line:column
	Kind    Kind   `json:"kind"`
	Name    string `json:"name"`
	Action  Action `json:"action"`
	QueryID string `json:"queryId,omitempty"`
	// Topic is the one that a rebuilt object has now.
	Topic string `json:"topic,omitempty"`
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
	// Left are the statements that it didn't come to, by place, after an error.
	Left []string `json:"left,omitempty"`
	// Notes are things to know or to do by hand.
	Notes []string `json:"notes,omitempty"`
}

// Apply brings the server to what the folder says: it makes a plan and carries it
// out. Nothing is sent for what is there already, and nothing at all when the
// plan holds something that is forbidden, or a rebuild that nobody has allowed.
// One applier at a time works on a service: others wait. What couldn't be done is
// the error: a *Fault at the statement, after which nothing more was sent.
func Apply(ctx context.Context, c *client.Client, f *Folder, opts Options) (*Result, error) {
	a := &applier{opts: opts, ledger: opts.Ledger}
	if opts.Ledger != nil && !opts.DryRun {
		held, unlock, err := opts.Ledger.Lock(ctx, func(holder string) { a.say("waiting for %s, which applies SQL to this service", holder) })
		if err != nil {
			return nil, err
		}
		defer unlock()
		ctx = held
	}
	return a.run(ctx, c, f)
}

type applier struct {
	opts   Options
	ledger *Ledger
	plan   *planner
	server *server
	// objects are the names on the server of what has another one in the folder;
	// topics likewise.
	objects map[string]string
	topics  map[string]string
	started []string // queries that must run at the end
	changes map[*item]Change
	result  Result
}

func (a *applier) say(format string, args ...any) {
	if a.opts.Say != nil {
		a.opts.Say(fmt.Sprintf(format, args...))
	}
}

func (a *applier) run(ctx context.Context, c *client.Client, f *Folder) (*Result, error) {
	a.changes = map[*item]Change{}
	p := newPlanner(c, f, a.opts)
	a.plan, a.server = p, p.server
	if a.ledger != nil && !a.opts.DryRun {
		if err := a.finishOld(ctx); err != nil {
			return nil, err
		}
	}
	if _, err := p.plan(ctx); err != nil {
		return nil, err
	}
	a.names()
	if err := a.refuse(); err != nil {
		return nil, err
	}
	a.result.Extras = p.result.Extras
	if a.opts.DryRun {
		a.dryRun()
		return &a.result, nil
	}
	err := a.carryOut(ctx)
	a.report(err)
	if err == nil {
		err = a.server.running(ctx, a.started)
	}
	if lost := context.Cause(ctx); err != nil && errors.Is(lost, errLeaseLost) {
		err = errors.Join(err, lost)
	}
	return &a.result, err
}

// names learns which objects and topics have other names than the folder says.
func (a *applier) names() {
	a.objects, a.topics = map[string]string{}, map[string]string{}
	for _, it := range append(slices.Clone(a.plan.items), a.plan.gone...) {
		if it.entry == nil || it.old == nil || it.kind() == Insert {
			continue
		}
		if it.entry.Object != "" && it.stmt != nil {
			a.objects[it.stmt.Name] = it.entry.Object
		}
		if it.entry.Topic != "" {
			a.topics[sinkTopic(it.old)] = it.entry.Topic
		}
	}
}

// refuse says what stands in the way, all of it.
func (a *applier) refuse() error {
	var b strings.Builder
	for _, it := range a.plan.items {
		st := it.step
		message := st.Reason
		if st.Server != "" {
			message = st.Server
		}
		switch {
		case st.Class == Forbidden:
			b.WriteString(it.stmt.render(message, st.Do))
		case st.Class == RebuildNeeded && !st.Allowed:
			b.WriteString(it.stmt.render(message, "The running query is untouched. This needs a rebuild: "+st.Do+
				". Allow it by a line "+rebuildLine+" allow before the statement, or by --allow-rebuild; sidestream plan shows what it costs."))
		}
	}
	if b.Len() > 0 {
		return &Fault{Text: b.String(), Code: a.plan.result.ExitCode()}
	}
	return nil
}

var actions = map[Class]Action{Unchanged: Same, New: Created, InPlace: Replaced, Moved: MovedOn, RebuildNeeded: Rebuilt, Gone: Dropped}

func (a *applier) dryRun() {
	for _, st := range a.plan.result.Steps {
		c := Change{Place: st.Place, Kind: st.Kind, Name: st.Name, Action: actions[st.Class], QueryID: st.QueryID, Topic: st.NewTopic}
		if st.Class == InPlace && st.Kind == Insert {
			c.Action = Resumed
		}
		a.result.Changes = append(a.result.Changes, c)
	}
}

// done notes a change.
func (a *applier) done(it *item, action Action, queryID string) {
	c := Change{Place: it.step.Place, Kind: it.kind(), Name: it.name(), Action: action, QueryID: queryID}
	if action == Rebuilt {
		c.Topic = it.step.NewTopic
	}
	a.changes[it] = c
	if queryID != "" && action != Same && action != Dropped {
		a.started = append(a.started, queryID)
	}
	if a.opts.Progress != nil {
		a.opts.Progress(c)
	}
}

// report lists the changes in the folder's order.
func (a *applier) report(err error) {
	for _, it := range append(slices.Clone(a.plan.items), a.plan.gone...) {
		c, ok := a.changes[it]
		switch {
		case ok:
			a.result.Changes = append(a.result.Changes, c)
		case err != nil && !it.renamed:
			place := it.step.Place
			if place == "" {
				place = it.name() + " (to be removed)"
			}
			a.result.Left = append(a.result.Left, place)
		}
	}
}

// carryOut does what the plan says. What is made anew goes in one operation, with
// what reads it; before it comes what doesn't depend on it, behind it the rest.
func (a *applier) carryOut(ctx context.Context) error {
	group := a.group()
	inGroup := map[string]bool{}
	for _, it := range group {
		if it.stmt.Kind != Insert {
			inGroup[it.stmt.Name] = true
		}
	}
	late := func(it *item) bool {
		hit := slices.ContainsFunc(it.stmt.Reads, func(r string) bool { return inGroup[r] }) || it.stmt.Kind == Insert && inGroup[it.stmt.Name]
		if hit && it.stmt.Kind != Insert {
			inGroup[it.stmt.Name] = true
		}
		return hit
	}
	var after []*item
	for _, it := range a.plan.items {
		switch {
		case it.step.Class == Unchanged:
			a.done(it, Same, it.queryID)
			if it.entry != nil && it.entry.Hash != hash(it.stmt.SQL()) || it.entry == nil && a.ledger != nil {
				if err := a.remember(ctx, it); err != nil { // its layout or a comment
					return err
				}
			}
		case slices.Contains(group, it):
		case late(it):
			after = append(after, it)
		default:
			if err := a.single(ctx, it); err != nil {
				return err
			}
		}
	}
	if len(group) > 0 {
		if err := a.removeGone(ctx); err != nil { // they may read what is dropped
			return err
		}
		if err := a.together(ctx, group); err != nil {
			return err
		}
	}
	for _, it := range after {
		if err := a.single(ctx, it); err != nil {
			return err
		}
	}
	return a.removeGone(ctx)
}

// group are the items that are made anew.
func (a *applier) group() []*item {
	var out []*item
	for _, it := range a.plan.items {
		if it.step.Class == RebuildNeeded || it.step.Class == Moved {
			out = append(out, it)
		}
	}
	return out
}

// single carries out a step that concerns nothing else.
func (a *applier) single(ctx context.Context, it *item) error {
	switch it.step.Class {
	case New:
		id, err := a.create(ctx, it)
		if err != nil {
			return it.stmt.failed(err)
		}
		a.done(it, Created, id)
		return nil
	case InPlace:
		if it.stmt.Kind == Insert || it.split() {
			return a.resume(ctx, it)
		}
		id, err := a.replace(ctx, it)
		if err != nil {
			return it.stmt.failed(err)
		}
		a.done(it, Replaced, id)
		return nil
	}
	return fmt.Errorf("%s: nothing is known to be done for %q", it.stmt.Place(), it.step.Class)
}

// failed is an error at the statement where the server has refused it.
func (s *Statement) failed(err error) error {
	if text, ok := refusal(err); ok {
		return s.fault(text)
	}
	return err
}

// sql is the statement as it is to be sent: as it stands, where nothing that it
// names has another name on the server.
func (a *applier) sql(s *Statement) string {
	node, changed := a.placed(s.Node)
	if !changed {
		return s.SQL()
	}
	return format.Statement(node)
}

// placed is a statement with the names that things have on the server.
func (a *applier) placed(node ast.Statement) (ast.Statement, bool) {
	reads := func(q *ast.Query) bool {
		return slices.ContainsFunc(q.From.Sources(), func(s ast.Source) bool { return a.objects[s.Name] != "" })
	}
	switch n := node.(type) {
	case *ast.CreateSource:
		if lit, ok := n.With.Get("KAFKA_TOPIC").(*ast.StringLit); ok && a.topics[lit.Value] != "" {
			c := *n
			c.With = with(n.With, "KAFKA_TOPIC", text(a.topics[lit.Value]))
			return &c, true
		}
	case *ast.CreateAs:
		c, changed := *n, reads(n.Query)
		c.Query = reading(n.Query, a.objects)
		if to := a.objects[n.Name.Name]; to != "" {
			c.Name.Name, changed = to, true
			c.With = with(c.With, "KAFKA_TOPIC", text(sinkTopic(&Statement{Node: n, Name: n.Name.Name})))
		}
		if lit, ok := c.With.Get("KAFKA_TOPIC").(*ast.StringLit); ok && a.topics[lit.Value] != "" {
			c.With, changed = with(c.With, "KAFKA_TOPIC", text(a.topics[lit.Value])), true
		}
		return &c, changed
	case *ast.InsertInto:
		c, changed := *n, reads(n.Query)
		c.Query = reading(n.Query, a.objects)
		if to := a.objects[n.Target.Name]; to != "" {
			c.Target.Name, changed = to, true
		}
		return &c, changed
	}
	return node, false
}

// create makes what isn't there.
func (a *applier) create(ctx context.Context, it *item) (string, error) {
	s := it.stmt
	sql := a.sql(s)
	var id string
	var err error
	switch s.Kind {
	case Insert:
		id, err = a.server.send(ctx, sql, s.Properties)
		if busy(err) {
			id, err = a.again(ctx, sql, s.Properties)
		}
		it.queryID, it.key = id, "insert "+id
	case Type:
		id, err = a.server.send(ctx, sql, s.Properties)
	default:
		id, err = a.server.create(ctx, sql, s.Name, s.Properties)
		it.queryID = id
	}
	if err != nil {
		return "", err
	}
	it.object = s.Name
	return id, a.remember(ctx, it)
}

// again sends an INSERT INTO once more after an error that leaves open whether
// the server has it.
func (a *applier) again(ctx context.Context, sql string, own map[string]string) (string, error) {
	before := map[string]bool{}
	for _, q := range a.server.queries {
		before[q.ID] = true
	}
	return a.server.ensure(ctx, sql, own, func() (string, bool, error) {
		if err := a.server.lookShort(ctx); err != nil {
			return "", false, err
		}
		for _, q := range a.server.queries {
			if !before[q.ID] && isInsert(q) && normal(q.QueryString) == normal(sql) {
				return q.ID, true, nil
			}
		}
		return "", false, nil
	})
}

// replace sends CREATE OR REPLACE.
func (a *applier) replace(ctx context.Context, it *item) (string, error) {
	sql := withReplace(a.sql(it.stmt))
	was := a.server.described[it.object]
	id, err := a.server.send(ctx, sql, it.stmt.Properties)
	for try := 0; busy(err) && try < 4; try++ {
		// It may have been taken all the same: then its text is another one.
		d, look := a.server.describe(ctx, it.object)
		if look != nil {
			return "", errors.Join(err, look)
		}
		if was != nil && normal(d.Statement) != normal(was.Statement) {
			err = nil
			break
		}
		id, err = a.server.send(ctx, sql, it.stmt.Properties)
	}
	if err != nil {
		return "", err
	}
	if id == "" {
		id = it.queryID
	}
	it.queryID = id
	if err := a.realias(ctx, it); err != nil {
		return id, err
	}
	return id, a.remember(ctx, it)
}

// realias declares the name of a versioned object again, when it has more
// columns.
func (a *applier) realias(ctx context.Context, it *item) error {
	if it.entry == nil || it.entry.Object == "" || it.before == nil || it.now == nil || it.before.source.Schema.String() == it.now.source.Schema.String() {
		return nil
	}
	source := aliasIsSource(it.now.source)
	if source {
		if err := a.server.drop(ctx, it.stmt.Name); err != nil {
			return err
		}
	}
	_, err := a.server.send(ctx, declaration(it.now.source, it.stmt.Name, it.topic, 0, !source, source), nil)
	return err
}

// remember writes an item into the ledger as it is now.
func (a *applier) remember(ctx context.Context, it *item) error {
	if a.ledger == nil {
		return nil
	}
	e := a.entry(it)
	if it.stmt.Kind != Insert && it.stmt.Kind != Type {
		d, err := a.server.describe(ctx, it.object)
		if err != nil {
			return err
		}
		e.Server = d.Statement
	}
	return a.ledger.Save(ctx, it.key, &e)
}

// entry is what the ledger is to say of an item; its Server is still missing.
func (a *applier) entry(it *item) Entry {
	e := Entry{Version: 1}
	if it.entry != nil {
		e = *it.entry
		e.Version = it.version()
	}
	e.Hash, e.SQL, e.At = hash(it.stmt.SQL()), it.stmt.SQL(), time.Now().UTC()
	e.Kind, e.Folder, e.Place = it.stmt.Kind, a.plan.folder.Service, slices.Index(a.plan.items, it)+1
	e.Properties, e.QueryID = maps.Clone(it.stmt.Properties), it.queryID
	if e.Properties == nil {
		e.Properties = map[string]string{}
	}
	e.By, e.ServerVersion = a.opts.By, a.server.info.Version
	return e
}

// removeGone drops what the folder has no more: what reads before what is read.
func (a *applier) removeGone(ctx context.Context) error {
	for _, it := range a.plan.gone {
		if _, did := a.changes[it]; did || it.renamed {
			continue
		}
		if err := a.remove(ctx, it); err != nil {
			return fmt.Errorf("%s, which the folder has no more, can't be removed: %w", it.name(), err)
		}
		a.done(it, Dropped, it.queryID)
	}
	return nil
}

func (a *applier) remove(ctx context.Context, it *item) error {
	if it.queryID != "" {
		if err := a.server.terminate(ctx, it.queryID); err != nil {
			return err
		}
	}
	switch it.old.Kind {
	case Insert:
	case Type:
		if it.object != "" {
			if _, err := a.server.send(ctx, "DROP TYPE IF EXISTS "+quote(it.old.Name)+";", nil); err != nil {
				return err
			}
		}
	default:
		for _, name := range it.names() {
			if err := a.server.drop(ctx, name); err != nil {
				return err
			}
		}
		if err := a.deleteTopic(ctx, it, it.topic); err != nil {
			return err
		}
	}
	return a.ledger.Save(ctx, it.key, nil)
}

// names are those that an item has on the server: its own and its version's.
func (it *item) names() []string {
	if it.object == "" {
		return nil
	}
	name := it.key
	if it.object != name {
		return []string{name, it.object}
	}
	return []string{name}
}

// deleteTopic deletes the topic of what was dropped, if that is wanted and nobody
// reads it.
func (a *applier) deleteTopic(ctx context.Context, it *item, topic string) error {
	if it.old.query() == nil && !it.split() || topic == "" {
		return nil // a topic that it only declared
	}
	if !a.opts.DeleteTopics {
		a.result.Notes = append(a.result.Notes, fmt.Sprintf("topic %s of %s is kept, with what is in it", topic, it.name()))
		return nil
	}
	readers, err := a.ledger.kafka.readers(ctx, topic, a.server.info.ServiceID)
	if err != nil {
		return err
	}
	if len(readers) > 0 {
		a.result.Notes = append(a.result.Notes, fmt.Sprintf("topic %s is kept: group %s reads it", topic, readers[0].Group))
		return nil
	}
	return a.ledger.kafka.deleteTopic(ctx, topic)
}

// fault is an error at the statement.
func (s *Statement) fault(text string) error { return s.faultWith(text, "") }

// faultWith is an error at the statement that says what to do.
func (s *Statement) faultWith(text, hint string) error { return &Fault{Text: s.render(text, hint)} }
