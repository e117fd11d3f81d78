package deploy

import (
	"context"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/sidestream/sidestream/sidecar/client"
	"github.com/sidestream/sidestream/sidecar/engine/ast"
)

// Class says what an edit asks of a running server.
type Class string

// The classes, from nothing to what can't be.
const (
	// Unchanged: nothing is sent. Even the same text sent again pauses a query.
	Unchanged Class = "same"
	// New: it isn't there yet.
	New Class = "new"
	// InPlace: CREATE OR REPLACE takes it, or the query is ended and goes on under
	// another id at the same offsets. Nothing is lost, nothing read twice.
	InPlace Class = "in place"
	// Moved: unchanged, or changed in a way that needs no replay, but declared
	// anew, since what it reads is. It goes on exactly where it stood.
	Moved Class = "moved"
	// RebuildNeeded: a new version beside the old one, filled from the beginning.
	RebuildNeeded Class = "rebuild"
	// Gone: the folder doesn't have it any more.
	Gone Class = "removed"
	// Forbidden: no procedure leads there without loss or doubles.
	Forbidden Class = "forbidden"
)

// Exit codes of sidestream plan, and of apply.
const (
	ExitNothing   = 0
	ExitError     = 1
	ExitChanges   = 2
	ExitRebuild   = 3
	ExitForbidden = 4
)

// Amount is how many records of a topic are read again. It is a bound: markers of
// transactions and what was compacted away count.
type Amount struct {
	Topic   string `json:"topic"`
	Records int64  `json:"records"`
}

// Step is what is to be done with an object.
type Step struct {
	Place string `json:"place,omitempty"` // file:line:column; "" where the folder has it no more
	Kind  Kind   `json:"kind"`
	Name  string `json:"name"`
	Class Class  `json:"class"`
	// Reason why, in a sentence; Server is the server's answer to CREATE OR REPLACE.
	Reason string `json:"reason,omitempty"`
	Server string `json:"server,omitempty"`
	// Do says what to do about it, or what is done.
	Do string `json:"do,omitempty"`
	// Diff of the two texts in their canonical form: the lines that differ, with - and +.
	Diff []string `json:"diff,omitempty"`
	// QueryID that runs now; Topic that it has, NewTopic that it is to have.
	QueryID  string `json:"queryId,omitempty"`
	Topic    string `json:"topic,omitempty"`
	NewTopic string `json:"newTopic,omitempty"`
	// Replays are topics that are read again from the beginning, State what is kept
	// of them now and is built anew.
	Replays []Amount `json:"replays,omitempty"`
	State   []Amount `json:"state,omitempty"`
	// Readers are consumer groups outside of this server that read the old topic.
	Readers []Reader `json:"readers,omitempty"`
	// Tell are those who, by what is checked in, read the old topic or query the old
	// object: they must be told of the new one.
	Tell []string `json:"tell,omitempty"`
	// Allowed: the file, or --allow-rebuild, allows what it needs.
	Allowed bool     `json:"allowed,omitempty"`
	Notes   []string `json:"notes,omitempty"`
}

// Plan is what Apply would do.
type Plan struct {
	Folder    string  `json:"folder"`
	Server    string  `json:"server"`
	ServiceID string  `json:"serviceId"`
	Steps     []*Step `json:"steps"`
	// Extras are queries of the server that no folder made; they are left alone.
	Extras []Extra `json:"extras,omitempty"`
	// Unfinished: an earlier apply was cut off; the next one ends its work first.
	Unfinished string `json:"unfinished,omitempty"`

	items []*item
	now   *world
}

// Count of the steps of a class.
func (p *Plan) Count(c Class) int {
	n := 0
	for _, s := range p.Steps {
		if s.Class == c {
			n++
		}
	}
	return n
}

// ExitCode is the worst that the plan holds.
func (p *Plan) ExitCode() int {
	code := ExitNothing
	if p.Unfinished != "" {
		code = ExitChanges
	}
	for _, s := range p.Steps {
		switch {
		case s.Class == Forbidden:
			return ExitForbidden
		case s.Class == RebuildNeeded && !s.Allowed:
			code = max(code, ExitRebuild)
		case s.Class != Unchanged:
			code = max(code, ExitChanges)
		}
	}
	return code
}

// MakePlan compares a folder with what a server runs. Nothing is sent that
// changes anything: a server has no dry run, so that what it would answer is
// worked out here, from the statements' trees and plans. The error is a *Fault
// where the SQL has mistakes.
func MakePlan(ctx context.Context, c *client.Client, f *Folder, opts Options) (*Plan, error) {
	p := newPlanner(c, f, opts)
	return p.plan(ctx)
}

// item is an object or an INSERT INTO: as the folder wants it, and as it is.
type item struct {
	stmt  *Statement // nil where the folder has it no more
	key   string     // in the ledger
	entry *Entry     // nil where the ledger has none
	old   *Statement // nil where nothing is there
	// before and now are what analysis makes of old and stmt.
	before, now *meaning
	object      string // its name on the server, "" where it isn't there
	queryID     string // that writes it
	topic       string // that it has on Kafka
	impact      impact
	step        *Step
	// renames: the item whose topic this new one takes over.
	renames *item
	renamed bool
}

// impact is what a change of an item means for those that read it.
type impact int

const (
	none       impact = iota
	sameTopic         // declared anew, over the same records
	newTopic          // its next version: a position is known where readers go on
	otherTopic        // other records
)

func (it *item) name() string {
	if it.stmt != nil {
		return it.stmt.Name
	}
	return it.old.Name
}

func (it *item) kind() Kind {
	if it.stmt != nil {
		return it.stmt.Kind
	}
	return it.old.Kind
}

func (it *item) version() int {
	if it.entry == nil || it.entry.Version == 0 {
		return 1
	}
	return it.entry.Version
}

func (it *item) split() bool { return it.entry != nil && it.entry.Split }

type planner struct {
	folder  *Folder
	opts    Options
	ledger  *Ledger
	server  *server
	book    *book
	topics  map[string]int // of the broker; nil where it isn't known
	items   []*item
	gone    []*item
	byName  map[string]*item
	wasName map[string]*item // by the name that it had
	known   map[string]bool  // queries that are accounted for
	result  *Plan
}

func newPlanner(c *client.Client, f *Folder, opts Options) *planner {
	return &planner{folder: f, opts: opts, ledger: opts.Ledger, server: &server{client: c, properties: opts.Properties},
		byName: map[string]*item{}, wasName: map[string]*item{}, known: map[string]bool{}}
}

func (p *planner) plan(ctx context.Context) (*Plan, error) {
	p.result = &Plan{Folder: p.folder.Service, Server: p.server.client.URL()}
	if err := p.read(ctx); err != nil {
		return nil, err
	}
	p.result.ServiceID = p.server.info.ServiceID
	if p.book.operation != nil {
		p.result.Unfinished = p.book.operation.About
	}
	p.findSources()
	p.findInserts()
	p.findGone()
	p.before()
	if err := p.after(); err != nil {
		return nil, err
	}
	p.renames()
	for _, it := range p.items {
		if err := p.classify(ctx, it); err != nil {
			return nil, err
		}
	}
	if err := p.amounts(ctx); err != nil {
		return nil, err
	}
	for _, it := range p.items {
		p.result.Steps = append(p.result.Steps, it.step)
	}
	for _, it := range p.gone {
		if !it.renamed {
			p.result.Steps = append(p.result.Steps, it.step)
		}
	}
	p.extras()
	p.result.items = p.items
	return p.result, nil
}

// read asks the server, the ledger and the broker.
func (p *planner) read(ctx context.Context) error {
	p.book = &book{entries: map[string]Entry{}}
	var names []string
	if p.ledger != nil {
		var err error
		if p.book, err = p.ledger.load(ctx); err != nil {
			return err
		}
		if p.topics, err = p.ledger.kafka.partitions(ctx); err != nil {
			return err
		}
	}
	for key, e := range p.book.entries {
		names = append(names, key)
		if e.Object != "" {
			names = append(names, e.Object)
		}
	}
	for _, s := range p.folder.Statements {
		names = append(names, s.Name)
	}
	info, err := p.server.client.Info(ctx)
	if err != nil {
		return err
	}
	p.server.info = info
	return p.server.look(ctx, names)
}

// findSources pairs the folder's objects with what is there.
func (p *planner) findSources() {
	for _, s := range p.folder.Statements {
		it := &item{stmt: s, key: s.Name, step: &Step{Place: s.Place(), Kind: s.Kind, Name: s.Name}}
		p.items = append(p.items, it)
		if s.Kind == Insert {
			continue
		}
		if s.Kind == Type {
			it.key = "type " + s.Name
		} else {
			p.byName[s.Name] = it
		}
		if e, ok := p.book.entries[it.key]; ok {
			it.entry = &e
		}
		p.match(it)
	}
}

// match finds what an item is now.
func (p *planner) match(it *item) {
	name := strings.TrimPrefix(it.key, "type ")
	if it.key != name {
		if _, there := p.server.types[name]; there && it.entry != nil {
			it.old, it.object = parseOne(it.entry.SQL), name
		} else if there {
			it.object = name
		}
		return
	}
	object := name
	if it.entry != nil && it.entry.Object != "" {
		object = it.entry.Object
	}
	d := p.server.described[object]
	if d == nil {
		return
	}
	it.object, it.topic = object, d.Topic
	it.queryID = p.server.writer(object)
	if it.split() {
		it.queryID = it.entry.QueryID
	}
	if it.queryID != "" {
		p.known[it.queryID] = true
	}
	if it.entry != nil && plainText(it.entry.Server) == plainText(d.Statement) {
		it.old = parseOne(it.entry.SQL)
	}
	if it.old == nil {
		if it.old = parseServer(d.Statement); it.old != nil {
			it.old.Name = name
		}
		if it.entry != nil && it.entry.Server != "" {
			it.step.Notes = append(it.step.Notes, "somebody has changed it on the server since it was applied")
		}
	}
	if it.old != nil && it.entry != nil {
		it.old.Properties = it.entry.Properties
	}
}

// findInserts pairs the folder's INSERT INTO with those that run: by their text,
// then by what they read and write.
func (p *planner) findInserts() {
	var running []*item
	seen := map[string]bool{}
	for _, key := range slices.Sorted(maps.Keys(p.book.entries)) {
		id, ok := strings.CutPrefix(key, "insert ")
		if !ok {
			continue
		}
		e := p.book.entries[key]
		old := parseOne(e.SQL)
		if _, there := p.server.query(id); there && old != nil {
			old.Properties = e.Properties
			running = append(running, &item{key: key, entry: &e, old: old, queryID: id, object: id})
			seen[id] = true
		}
	}
	for _, q := range p.server.queries {
		if !isInsert(q) || seen[q.ID] || p.known[q.ID] {
			continue
		}
		if old := parseOne(q.QueryString); old != nil {
			running = append(running, &item{key: "insert " + q.ID, old: old, queryID: q.ID, object: q.ID})
		}
	}
	take := func(same func(want *Statement, have *item) bool) {
		for _, it := range p.items {
			if it.stmt.Kind != Insert || it.old != nil {
				continue
			}
			i := slices.IndexFunc(running, func(have *item) bool { return !p.known[have.queryID] && same(it.stmt, have) })
			if i < 0 {
				continue
			}
			have := running[i]
			it.key, it.entry, it.old, it.queryID, it.object = have.key, have.entry, have.old, have.queryID, have.object
			p.known[have.queryID] = true
		}
	}
	take(func(want *Statement, have *item) bool {
		return canonical(want.Node, nil) == canonical(have.old.Node, nil)
	})
	take(func(want *Statement, have *item) bool {
		return want.Name == have.old.Name && slices.Equal(want.Reads, have.old.Reads)
	})
	for _, it := range p.items {
		if it.stmt.Kind != Insert {
			continue
		}
		if it.old == nil {
			it.key = ""
		}
	}
	for _, have := range running {
		if !p.known[have.queryID] && have.entry != nil && have.entry.Folder == p.folder.Service {
			p.known[have.queryID] = true
			p.gone = append(p.gone, have)
		}
	}
}

// findGone finds what the folder had before and has no more.
func (p *planner) findGone() {
	for _, key := range slices.Sorted(maps.Keys(p.book.entries)) {
		e := p.book.entries[key]
		if e.Folder != p.folder.Service || strings.HasPrefix(key, "insert ") || p.wanted(key) {
			continue
		}
		it := &item{key: key, entry: &e, step: &Step{}}
		p.match(it)
		if it.old == nil {
			if it.old = parseOne(e.SQL); it.old == nil {
				continue
			}
		}
		p.gone = append(p.gone, it)
	}
	// Readers go first.
	slices.SortStableFunc(p.gone, func(a, b *item) int {
		return b.entry.Place - a.entry.Place
	})
	for _, it := range p.gone {
		it.step = &Step{Kind: it.old.Kind, Name: it.old.Name, Class: Gone, QueryID: it.queryID, Topic: it.topic,
			Reason: "the folder doesn't have it any more", Do: "its query ends and its name is dropped; its topic and what is in it stay"}
		if it.old.Kind == Type || it.old.Kind == Insert {
			it.step.Do = "it is dropped"
		}
		if it.old.Kind == Insert {
			it.step.Do = "the query ends; what it wrote stays"
		}
	}
}

func (p *planner) wanted(key string) bool {
	return slices.ContainsFunc(p.items, func(it *item) bool { return it.key == key })
}

// before analyses what is there, in an order in which it makes sense.
func (p *planner) before() {
	w := newWorld(p.opts.Properties, p.topicKnown, false)
	all := append(slices.Clone(p.items), p.gone...)
	for _, it := range all {
		if it.old != nil && it.old.Kind != Insert && it.old.Kind != Type {
			p.wasName[it.old.Name] = it
		}
	}
	for again := true; again; {
		again = false
		for _, it := range all {
			if it.old == nil || it.before != nil {
				continue
			}
			if m, err := w.learn(it.old, it.queryID); err == nil {
				it.before, again = m, true
			}
		}
	}
}

func (p *planner) topicKnown(topic string) (int, bool) {
	n, ok := p.topics[topic]
	return n, ok
}

// after analyses the folder against the topics of the broker. Every mistake is in
// the error.
func (p *planner) after() error {
	w := newWorld(p.opts.Properties, p.topicKnown, p.topics != nil)
	// A topic has moved on to its next version: statements name the first one.
	for _, e := range p.book.entries {
		if e.Topic == "" {
			continue
		}
		if old := parseOne(e.SQL); old != nil {
			if n, ok := p.topics[e.Topic]; ok {
				w.made[sinkTopic(old)] = n
			}
		}
	}
	for _, it := range p.items {
		if it.before != nil && it.before.source != nil && it.topic != "" {
			if n, ok := p.topics[it.topic]; ok && sinkTopic(it.stmt) == it.before.source.Topic {
				w.made[it.before.source.Topic] = n
			}
		}
	}
	failed := map[string]bool{}
	var fault strings.Builder
	for i, it := range p.items {
		s := it.stmt
		if slices.ContainsFunc(s.Reads, func(r string) bool { return failed[r] }) || s.Kind == Insert && failed[s.Name] {
			failed[s.Name] = true
			if p.opts.Unchecked {
				it.step.Notes = append(it.step.Notes, "what it reads can't be analysed here, so the server decides")
			}
			continue
		}
		id := it.queryID
		if id == "" {
			id = fmt.Sprintf("PLAN_%d", i)
		}
		m, err := w.learn(s, id)
		if err == nil {
			it.now = m
			continue
		}
		failed[s.Name] = true
		if strings.Contains(err.Error(), topicExists) {
			it.step.Class, it.step.Reason = Forbidden, oneLine(err.Error())
			if m := wrongCount.FindStringSubmatch(it.step.Reason); m != nil {
				it.step.Reason = fmt.Sprintf("it makes topic %s with %s partitions, and the topic has %s", m[1], m[2], m[3])
			}
			it.step.Do = "partitions, replicas and retention are the topic's: change topics.yaml, or give the new version a topic of its own (KAFKA_TOPIC)"
			continue
		}
		if p.opts.Unchecked {
			it.step.Notes = append(it.step.Notes, "it can't be analysed here, so the server decides: "+oneLine(err.Error()))
			continue
		}
		fault.WriteString(s.show(err))
	}
	p.result.now = w
	if fault.Len() > 0 {
		return &Fault{Text: fault.String()}
	}
	return nil
}

var wrongCount = regexp.MustCompile(`A Kafka topic with the name '([^']*)' already .* KSQL expects (\d+) partitions \(topic has (\d+)\)`)

const topicExists = "already exists, with different partition/replica/retention configuration"

// sinkTopic is the topic that a statement names, or has by its name.
func sinkTopic(s *Statement) string {
	if lit, ok := s.properties().Get("KAFKA_TOPIC").(*ast.StringLit); ok {
		return lit.Value
	}
	return s.Name
}

// extras lists the queries that nothing accounts for.
func (p *planner) extras() {
	for _, q := range p.server.queries {
		if !p.known[q.ID] && len(q.Sinks) > 0 {
			p.result.Extras = append(p.result.Extras, Extra{q.ID, q.QueryString})
		}
	}
}
