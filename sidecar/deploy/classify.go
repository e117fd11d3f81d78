package deploy

import (
	"context"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/sidestream/sidestream/sidecar/engine/analyze"
	"github.com/sidestream/sidestream/sidecar/engine/ast"
)

// classify decides what an edit asks for. Its rules are what a ksqlDB server was
// measured to do with each kind of edit; README.md has them as a table.
func (p *planner) classify(ctx context.Context, it *item) error {
	st := it.step
	st.QueryID, st.Topic = it.queryID, it.topic
	if st.Class == Forbidden {
		return nil
	}
	if it.old != nil {
		st.Diff = diff(lines(it.old.Node), lines(it.stmt.Node))
	}
	switch {
	case it.stmt.Kind == Type:
		p.classifyType(it)
	case it.old == nil && it.object != "":
		st.Class, st.Reason = Forbidden, "the server has it, but what it says of it can't be read"
		st.Do = "compare it by hand (DESCRIBE), or drop it and apply again"
	case it.old == nil && it.renames != nil:
		p.classifyRename(it)
	case it.old == nil:
		p.classifyNew(it)
	case it.stmt.Kind == Insert:
		p.classifyInsert(it)
	case it.old.Kind != it.stmt.Kind && !it.split():
		p.rebuild(it, fmt.Sprintf("a %s becomes a %s", strings.ToLower(string(it.old.Kind)), strings.ToLower(string(it.stmt.Kind))))
	case it.stmt.query() == nil:
		p.classifyDeclared(it)
	default:
		p.classifyQuery(it)
	}
	if p.opts.Rebuild && st.Class == Forbidden && it.now != nil && (it.stmt.Kind == Insert || it.renames != nil) {
		st.Class, it.impact = RebuildNeeded, sameTopic
	}
	p.permit(it)
	if err := p.topicAdmin(ctx, it); err != nil {
		return err
	}
	p.strangers(it)
	return nil
}

// strangers forbids making anew what a query reads or writes that isn't of this
// folder: it would stand in the way, in the middle of the work.
func (p *planner) strangers(it *item) {
	d := p.server.described[it.object]
	if it.step.Class != RebuildNeeded && it.step.Class != Moved || it.stmt.Kind == Insert || d == nil {
		return
	}
	for _, q := range append(slices.Clone(d.ReadQueries), d.WriteQueries...) {
		if !p.known[q.ID] && len(q.Sinks) > 0 { // without a sink it is a SOURCE TABLE's own
			it.impact = none
			it.step.Class, it.step.Allowed = Forbidden, false
			it.step.Reason = fmt.Sprintf("it is to be made anew (%s), but query %s, which isn't of this folder, uses it", it.step.Reason, q.ID)
			it.step.Do = "TERMINATE " + q.ID + " and drop what it makes, or take it into the folder"
			return
		}
	}
}

// permit tells whether what a rebuild needs is allowed.
func (p *planner) permit(it *item) {
	if it.step.Class == RebuildNeeded {
		it.step.Allowed = p.opts.Rebuild || p.opts.AllowRebuild || it.stmt.Rebuild != NoRebuild || p.allowedAbove(it)
	}
}

// allowedAbove: it is rebuilt because of something that is allowed to be.
func (p *planner) allowedAbove(it *item) bool {
	for _, up := range p.upstream(it) {
		if up.step.Class == RebuildNeeded && up.step.Allowed {
			return true
		}
	}
	return false
}

func (p *planner) classifyType(it *item) {
	switch {
	case it.object == "":
		it.step.Class = New
	case it.old != nil && canonical(it.old.Node, nil) != canonical(it.stmt.Node, nil):
		it.step.Class, it.step.Reason = Forbidden, "The type has changed, and types can't be replaced."
		it.step.Do = "give the new one another name"
	default:
		it.step.Class = Unchanged
	}
}

func (p *planner) classifyNew(it *item) {
	st := it.step
	st.Class = New
	if it.entry != nil {
		st.Notes = append(st.Notes, "it was applied before, but the server has it no more: it is made anew")
	}
	if it.stmt.query() == nil || it.stmt.Kind == Insert || it.now == nil {
		return
	}
	topic := it.now.source.Topic
	if n := p.topics[topic]; n > 0 && !slices.ContainsFunc(p.items, func(o *item) bool { return o.topic == topic }) && it.entry != nil {
		st.Notes = append(st.Notes, "its results are written to topic "+topic+" again, from the beginning")
	}
}

// classifyDeclared is for CREATE STREAM and TABLE over a topic.
func (p *planner) classifyDeclared(it *item) {
	st := it.step
	source := p.topicOwner(it)
	if it.split() {
		p.rebuild(it, "it was made by a query, and is now declared over a topic")
		return
	}
	changed := p.difference(it)
	switch {
	case changed == "" && source == nil:
		st.Class = Unchanged
		return
	case changed == "":
		st.Class, it.impact = Moved, newTopic
		st.Reason = fmt.Sprintf("its topic is that of %s, which gets a new version", source.name())
		st.Do = "it is declared again, over the new topic"
		return
	case it.old.readOnly() != it.stmt.readOnly() || it.stmt.readOnly():
		p.rebuild(it, "a SOURCE table or stream can't be replaced ("+changed+")")
		it.impact = sameTopic
		st.Do = "it is dropped and made again, and reads its topic anew; until it has, pulls find nothing"
		return
	}
	err := p.replaceable(it)
	if err == nil && source == nil {
		st.Class, st.Reason = InPlace, changed
		st.Do = "CREATE OR REPLACE; queries that read it go on as they are"
		return
	}
	if source != nil && err == nil {
		st.Class, it.impact, st.Reason = Moved, newTopic, changed
		st.Do = "it is declared again, over the new topic"
		return
	}
	it.impact = sameTopic
	if it.before != nil && it.now != nil && it.before.source.Topic != it.now.source.Topic {
		it.impact = otherTopic
	}
	p.rebuild(it, because(err))
	st.Server = err.Error()
	st.Do = "it is dropped and declared again, with all that reads it"
	if it.impact == sameTopic {
		st.Do += "; stateless readers go on at their offsets"
	}
}

// topicOwner is the item of this folder that writes the topic that it declares,
// where that one gets another topic.
func (p *planner) topicOwner(it *item) *item {
	topic := sinkTopic(it.stmt)
	for _, o := range p.items {
		if o == it {
			return nil
		}
		if o.impact == newTopic && o.stmt.query() != nil && o.stmt.Kind != Insert && sinkTopic(o.stmt) == topic {
			return o
		}
	}
	return nil
}

// classifyQuery is for CREATE … AS SELECT.
func (p *planner) classifyQuery(it *item) {
	st := it.step
	up := p.affected(it)
	changed := p.difference(it)
	switch {
	case it.old.query() == nil && !it.split():
		p.rebuild(it, "it was declared over a topic, and is now made by a query")
		return
	case it.queryID == "" || it.split() && !p.runs(it.queryID):
		p.rebuild(it, "its query has been terminated: what it knew is lost")
		st.Notes = append(st.Notes, "where it stood isn't known any more: readers that go over to the new version read all of it")
		return
	}
	q, _ := p.server.query(it.queryID)
	if paused(q) && changed != "" {
		st.Notes = append(st.Notes, "the query is paused; replacing it lets it run")
	}
	if q.StatusCount["ERROR"] > 0 {
		st.Notes = append(st.Notes, "the query is in state ERROR: EXPLAIN "+it.queryID)
	}
	if changed == "" && up == nil {
		st.Class = Unchanged
		return
	}
	var refused error
	if changed != "" {
		refused = p.replaceable(it)
	}
	keeps := it.now != nil && !stateless(it.now.plan)
	switch {
	case refused != nil && it.stmt.Rebuild == Onward && !keeps && (up == nil || up.impact != otherTopic):
		st.Class, it.impact = Moved, sameTopic
		st.Reason, st.Server = because(refused), refused.Error()
		st.Do = "the old query ends; the new one goes on at its offsets, into the same topic: what is in it stays as it is"
	case refused != nil:
		p.rebuild(it, because(refused))
		st.Server = refused.Error()
	case up != nil && (keeps || up.impact == otherTopic):
		reason := fmt.Sprintf("it reads %s, which is made anew, and keeps state of it", up.name())
		if up.impact == otherTopic {
			reason = fmt.Sprintf("it reads %s, which has other records now", up.name())
		}
		p.rebuild(it, reason)
	case up != nil:
		st.Class, it.impact = Moved, sameTopic
		st.Reason = fmt.Sprintf("it reads %s, which is made anew", up.name())
		st.Do = "its query ends; the new one goes on exactly where it stood, into the same topic"
	case it.split():
		st.Class, st.Reason = InPlace, changed
		st.Do = "the query ends; the new one goes on at its offsets"
	default:
		st.Class, st.Reason = InPlace, changed
		st.Do = "CREATE OR REPLACE: the query goes on at its offsets, under its id"
		if it.stmt.Kind == Table {
			st.Notes = append(st.Notes, "not retroactive: aggregates go on from what they hold, and rows that a stricter filter would drop stay until they change")
		}
	}
}

func (p *planner) runs(id string) bool { _, ok := p.server.query(id); return ok }

// classifyInsert is for INSERT INTO … SELECT.
func (p *planner) classifyInsert(it *item) {
	st := it.step
	up := p.affected(it)
	target := p.byName[it.stmt.Name]
	if target != nil && target.impact == none {
		target = nil
	}
	changed := canonical(it.old.Node, nil) != canonical(it.stmt.Node, nil) || !sameProperties(it.old, it.stmt)
	if !changed && up == nil && target == nil {
		st.Class = Unchanged
		return
	}
	if it.now != nil && !stateless(it.now.plan) {
		st.Class, st.Reason = Forbidden, "this INSERT INTO keeps state (a join, an aggregate, a table), which ends with the query"
		st.Do = "make a CREATE STREAM … AS of it, and a plain INSERT INTO … SELECT * FROM that"
		return
	}
	if up != nil && up.impact == otherTopic {
		st.Class, st.Reason = Forbidden, fmt.Sprintf("it reads %s, which has other records now: no position in them is known", up.name())
		st.Do = "take this INSERT INTO out, apply, and put it in again: it then reads the new topic from the beginning"
		return
	}
	st.Class, st.Reason = InPlace, "a running INSERT INTO can't be replaced, but its successor can go on at its offsets"
	st.Do = "PAUSE, wait for its offsets to stand still, give them to the new query's group, TERMINATE, INSERT INTO with another QUERY_ID"
	if up != nil || target != nil {
		st.Class = Moved
		who := target
		if up != nil {
			who = up
		}
		st.Reason = fmt.Sprintf("%s is made anew", who.name())
		st.Do = "it goes on exactly where it stood"
		if target != nil && target.impact == newTopic {
			st.Do = "it fills the new version too, and goes on in it exactly where it stood"
		}
	}
}

// classifyRename is for a new name for what writes a topic.
func (p *planner) classifyRename(it *item) {
	st := it.step
	st.QueryID, st.Topic = it.renames.queryID, it.renames.topic
	st.Reason = fmt.Sprintf("it takes the place of %s, whose topic it has", it.renames.name())
	if it.now != nil && !stateless(it.now.plan) || it.renames.before == nil || !stateless(it.renames.before.plan) {
		st.Class = Forbidden
		st.Do = "what the query remembers can't be handed over: give the new one a topic of its own (KAFKA_TOPIC), or keep the old name"
		return
	}
	if up := p.affected(it); up != nil && up.impact == otherTopic {
		st.Class, st.Do = Forbidden, "rename in one step and change what it reads in another"
		return
	}
	st.Class, it.impact = Moved, sameTopic
	st.Do = "the old query ends; the new one goes on at its offsets, into the same topic"
}

// renames finds new objects that write a topic whose old writer is gone.
func (p *planner) renames() {
	for _, it := range p.items {
		if it.old != nil || it.object != "" || it.stmt.query() == nil || it.stmt.Kind == Insert {
			continue
		}
		for _, g := range p.gone {
			if g.old.query() != nil && g.old.Kind == it.stmt.Kind && g.queryID != "" && !g.renamed && sinkTopic(g.old) == sinkTopic(it.stmt) {
				it.renames, g.renamed = g, true
				break
			}
		}
	}
}

// rebuild makes it a new version of its own.
func (p *planner) rebuild(it *item, reason string) {
	it.step.Class, it.step.Reason, it.impact = RebuildNeeded, reason, newTopic
	if it.stmt.query() == nil {
		it.impact = sameTopic
		return
	}
	it.step.NewTopic = versioned(sinkTopic(it.stmt), it.version()+1)
	if it.before != nil && it.before.source != nil && sinkTopic(it.stmt) != it.before.source.Topic {
		it.step.NewTopic = sinkTopic(it.stmt) // the file gives it one
	}
	it.step.Do = "a new version beside the old one, in topic " + it.step.NewTopic + ", filled from the beginning; then readers go over and the old one is dropped"
}

// upstream are the items that an item reads, or writes into.
func (p *planner) upstream(it *item) []*item {
	var out []*item
	for _, r := range it.stmt.Reads {
		if up := p.byName[r]; up != nil && up != it {
			out = append(out, up)
		}
	}
	if target := p.byName[it.stmt.Name]; it.stmt.Kind == Insert && target != nil {
		out = append(out, target)
	}
	if it.stmt.query() == nil {
		if o := p.topicOwner(it); o != nil {
			out = append(out, o)
		}
	}
	return out
}

// affected is what an item reads that is made anew: the one with the most
// impact; nil for none.
func (p *planner) affected(it *item) *item {
	var worst *item
	for _, r := range it.stmt.Reads {
		if up := p.byName[r]; up != nil && up != it && up.impact != none && (worst == nil || up.impact > worst.impact) {
			worst = up
		}
	}
	return worst
}

// difference says what has changed in an object; "" for nothing.
func (p *planner) difference(it *item) string {
	if !sameProperties(it.old, it.stmt) {
		return "its properties (SET) have changed"
	}
	if it.before != nil && it.now != nil && it.before.source != nil && it.now.source != nil {
		if it.before.source.Schema.String() != it.now.source.Schema.String() {
			if canonical(it.old.Node, nil) == canonical(it.stmt.Node, nil) {
				return "what SELECT * stands for has changed"
			}
			return "its columns have changed"
		}
	}
	if canonical(it.old.Node, nil) == canonical(it.stmt.Node, nil) {
		return ""
	}
	keep := it.stmt.properties()
	if keep == nil {
		keep = ast.Properties{}
	}
	if it.before != nil && it.now != nil && it.before.source != nil && it.now.source != nil {
		was, is := parseOne(it.before.source.SQL), parseOne(it.now.source.SQL)
		if was != nil && is != nil && it.now.source.Topic == it.before.source.Topic && canonical(was.Node, keep) == canonical(is.Node, keep) {
			return ""
		}
	}
	return changedParts(diff(lines(it.old.Node), lines(it.stmt.Node)))
}

var clauseWord = regexp.MustCompile(`^[-+] (WHERE|HAVING|FROM|WINDOW|GROUP BY|PARTITION BY|(?:INNER |LEFT |RIGHT |FULL )?(?:OUTER )?JOIN|WITHIN|CREATE|EMIT)\b`)

// changedParts names the clauses that a difference is in.
func changedParts(diff []string) string {
	var parts []string
	for _, line := range diff {
		part := "expressions"
		if m := clauseWord.FindStringSubmatch(line); m != nil {
			if part = m[1]; part == "CREATE" {
				part = "WITH"
			}
		}
		if !slices.Contains(parts, part) {
			parts = append(parts, part)
		}
	}
	if parts == nil {
		return "its text has changed"
	}
	return "changed: " + strings.Join(parts, ", ")
}

// sameProperties compares what was SET, but where a query begins: that is past.
func sameProperties(old, next *Statement) bool {
	if old.Properties == nil {
		return true // nobody knows
	}
	strip := func(m map[string]string) map[string]string {
		out := maps.Clone(m)
		delete(out, "auto.offset.reset")
		return out
	}
	return maps.Equal(strip(old.Properties), strip(next.Properties))
}

// replaceable is the server's answer to CREATE OR REPLACE: nil where it takes it.
func (p *planner) replaceable(it *item) error {
	if it.before == nil || it.now == nil {
		return nil // the server decides; a refusal changes nothing
	}
	env := p.result.now.env(it.stmt)
	env.Catalog = p.result.now.catalog.Copy()
	env.Catalog.Put(it.before.source)
	switch n := replacing(it.stmt.Node).(type) {
	case *ast.CreateSource:
		_, err := analyze.CreateSource(env, n, "")
		return err
	case *ast.CreateAs:
		made, err := analyze.CreateAs(env, n, it.queryID)
		if err != nil {
			return err
		}
		if it.split() {
			return nil // a stateless query that goes on elsewhere
		}
		return analyze.Upgradeable(it.before.plan, made.Plan)
	}
	return nil
}

var (
	columnsChanged = regexp.MustCompile(`The following columns are changed, missing or reordered: \[(.*)\]`)
	keysChanged    = regexp.MustCompile(`The following key columns are changed, missing or reordered: \[(.*)\]`)
	notYet         = regexp.MustCompile(`Upgrades not yet supported for (\w+)`)
	windowOf       = regexp.MustCompile(`window=Optional\[(WindowInfo\{[^}]*\})`)
	mustMatch      = regexp.MustCompile(`must have matching (.+?)\. Values differ: (.*) vs\. (.*)`)
)

// because is a server's refusal in plainer words.
func because(err error) string {
	if err == nil {
		return ""
	}
	text := err.Error()
	if m := keysChanged.FindStringSubmatch(text); m != nil {
		return "the key changes: " + m[1]
	}
	if m := columnsChanged.FindStringSubmatch(text); m != nil {
		return "columns are changed, missing or in another place: " + m[1]
	}
	if m := notYet.FindStringSubmatch(text); m != nil {
		switch {
		case strings.HasSuffix(m[1], "Join"):
			return "a query with a join can't be replaced (" + m[1] + ")"
		case strings.Contains(m[1], "Windowed"):
			return "a windowed aggregate can't be replaced (" + m[1] + ")"
		}
		return m[1] + " can't be replaced"
	}
	if m := mustMatch.FindStringSubmatch(text); m != nil {
		switch m[1] {
		case "topicName":
			return fmt.Sprintf("it reads another topic: %s instead of %s", m[3], m[2])
		case "class":
			return "its steps are others: " + shortClass(m[3]) + " instead of " + shortClass(m[2])
		case "keyExpressions":
			return fmt.Sprintf("it is partitioned by %s instead of %s", m[3], m[2])
		case "group by clause":
			return fmt.Sprintf("it groups by %s instead of %s", m[3], m[2])
		case "aggregate functions":
			return fmt.Sprintf("its aggregates are %s instead of %s", m[3], m[2])
		}
		if strings.HasPrefix(m[1], "columns not part") {
			return fmt.Sprintf("it aggregates over the columns %s instead of %s", m[3], m[2])
		}
		return fmt.Sprintf("its %s are %s instead of %s", m[1], m[3], m[2])
	}
	switch {
	case strings.Contains(text, "non-join source into a join source"):
		return "a join is added or taken away"
	case strings.Contains(text, "' has timestampColumn = "):
		return "its TIMESTAMP changes"
	case strings.Contains(text, "' has topic = "):
		if w := windowOf.FindAllStringSubmatch(text, 2); len(w) == 2 && w[0][1] != w[1][1] {
			return "its window changes"
		}
		return "its topic or its format changes"
	case strings.Contains(text, "' has type = "):
		return "a stream becomes a table, or a table a stream"
	}
	return oneLine(text)
}

func shortClass(name string) string { return name[strings.LastIndex(name, ".")+1:] }
