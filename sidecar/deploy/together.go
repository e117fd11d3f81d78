package deploy

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sidestream/sidestream/sidecar/engine/ast"
	"github.com/sidestream/sidestream/sidecar/engine/catalog"
	"github.com/sidestream/sidestream/sidecar/engine/format"
	"github.com/sidestream/sidestream/sidecar/engine/plan"
)

// member is an item that is made anew together with others.
//
// A rebuilt query gets a version beside the old one, with a topic of its own:
//
//	keeps state   CREATE TABLE X_V2 … AS …, which reads everything from the
//	              beginning while the old one goes on. At the cut both stand at the
//	              same offsets.
//	stateless     a stream X_V2 over the new topic, filled by an INSERT INTO that
//	              ends at the offsets where the old query stands; from there on
//	              another one goes on.
//
// What is moved keeps its topic: at the cut it is dropped and declared again, and
// an INSERT INTO goes on at the old query's offsets. Either way every record of
// the inputs is in the old version's results or in the new one's live part, and
// in one of them only; the position where the live part begins is known, and
// there readers of the old topic go on.
type member struct {
	*item
	src *catalog.Source // what it makes; nil for INSERT INTO
	// rebuilt: it has a new version with a topic; keeps: its query has state.
	rebuilt, keeps bool
	// next is the object of the new version, "" where none is needed before the cut;
	// stays: it is used after it too, and its own name is declared besides.
	next  string
	stays bool
	topic string // that it has afterwards
	id    string // of the query that writes it afterwards; "" where it declares only
	// along: the new query runs from the preparation on, to stay.
	along bool
	// other: what it reads has nothing to do with what the old query read, so that
	// there is no place where they could meet: readers of the old version's topic
	// read the new one's from its beginning.
	other bool
	fills []string // ids of queries that fill and end

	at   offsets // where the new query begins
	ends offsets // of its topic, at the cut
}

// object is its name on the server afterwards.
func (m *member) object() string {
	if m.stays {
		return m.next
	}
	return m.stmt.Name
}

type together struct {
	*applier
	members []*member
	byName  map[string]*member
	op      *operation
}

// together makes a group of items anew.
func (a *applier) together(ctx context.Context, items []*item) error {
	if a.opts.Rebuild {
		return a.anew(ctx, items)
	}
	if a.ledger == nil {
		return items[0].stmt.faultWith("This needs a rebuild.", "For that apply needs Kafka: give --bootstrap.")
	}
	t := &together{applier: a, byName: map[string]*member{}}
	if err := t.design(items); err != nil {
		return err
	}
	names := make([]string, len(items))
	for i, it := range items {
		names[i] = it.name()
	}
	t.op = &operation{About: "the rebuild of " + strings.Join(names, ", ")}
	if err := a.ledger.saveOperation(ctx, t.op); err != nil {
		return err
	}
	if err := t.prepare(ctx); err != nil {
		return a.giveUp(ctx, t.op, err)
	}
	if err := t.meet(ctx); err != nil {
		return a.giveUp(ctx, t.op, err)
	}
	t.actions()
	if err := a.cut(ctx, t.op); err != nil {
		return err
	}
	t.finish(ctx)
	return nil
}

// design decides the names and kinds of what is made.
func (t *together) design(items []*item) error {
	for _, it := range items {
		m := &member{item: it, rebuilt: it.step.Class == RebuildNeeded && it.stmt.query() != nil}
		if it.now == nil {
			return it.stmt.fault("it can't be analysed")
		}
		m.src = it.now.source
		m.keeps = !stateless(it.now.plan) && it.stmt.query() != nil
		if it.stmt.Kind != Insert {
			t.byName[it.stmt.Name] = m
		}
		t.members = append(t.members, m)
	}
	if err := t.order(); err != nil {
		return err
	}
	for _, m := range t.members {
		t.designOne(m)
	}
	for _, m := range t.members {
		// What a query that stays reads or writes under its version's name stays too.
		for _, up := range t.sources(m) {
			up.stays = up.stays || m.rebuilt
		}
		if to := t.target(m); to != nil && m.along {
			to.stays = true
		}
	}
	for _, m := range t.members {
		if m.stmt.Kind != Insert && (m.rebuilt || m.stays) {
			m.next = t.freeName(m)
		}
	}
	return nil
}

// designOne decides on a member by itself.
func (t *together) designOne(m *member) {
	if m.topic = t.topicOf(m); m.rebuilt {
		m.topic = m.step.NewTopic
	}
	if m.stmt.query() == nil {
		return
	}
	to := t.target(m)
	m.other = m.rebuilt && (m.oldest().queryID == "" || len(t.stopped(m)) == 0 && len(t.outside(m)) == 0)
	switch {
	case m.keeps:
		m.along, m.stays = true, true
		return
	case m.rebuilt:
		m.along = m.other || len(t.sources(m)) > 0
		m.stays = m.along
	case to != nil && to.rebuilt:
		m.along = len(t.sources(m)) > 0
	}
	m.id = t.nextID(m.item)
}

// topicOf is the topic of what isn't rebuilt: the one that it has, or that of a
// member that writes it.
func (t *together) topicOf(m *member) string {
	topic := sinkTopic(m.stmt)
	if m.stmt.Kind == Insert {
		return ""
	}
	if m.stmt.query() == nil {
		for _, w := range t.members {
			if w.rebuilt && sinkTopic(w.stmt) == topic {
				return w.step.NewTopic
			}
		}
		return t.physical(topic)
	}
	if m.renames != nil {
		return m.renames.topic
	}
	if m.item.topic != "" {
		return m.item.topic
	}
	return t.physical(topic)
}

func (t *together) freeName(m *member) string {
	for n := m.version() + 1; ; n++ {
		name := versioned(m.stmt.Name, n)
		if _, there := t.server.sources[name]; !there && t.plan.byName[name] == nil {
			return name
		}
	}
}

// sources are the members that a member's query reads.
func (t *together) sources(m *member) []*member {
	var out []*member
	for _, r := range m.stmt.Reads {
		if up := t.byName[r]; up != nil {
			out = append(out, up)
		}
	}
	return out
}

// target is the member that an INSERT INTO writes; nil for none.
func (t *together) target(m *member) *member {
	if m.stmt.Kind != Insert {
		return nil
	}
	return t.byName[m.stmt.Name]
}

// writers are the members that write what a member declares: its INSERT INTOs,
// and for a source over another one's topic that one with its own.
func (t *together) writers(m *member) []*member {
	var out []*member
	for _, w := range t.members {
		switch {
		case w == m:
		case t.target(w) == m:
			out = append(out, w)
		case m.stmt.query() == nil && w.stmt.query() != nil && w.stmt.Kind != Insert && sinkTopic(w.stmt) == sinkTopic(m.stmt):
			out = append(append(out, w), t.writers(w)...)
		}
	}
	return out
}

// order puts what writes a topic before what reads it.
func (t *together) order() error {
	var out []*member
	left := slices.Clone(t.members)
	ready := func(m *member) bool {
		need := t.sources(m)
		for _, up := range t.sources(m) {
			need = append(need, t.writers(up)...)
		}
		if to := t.target(m); to != nil {
			need = append(need, to)
		}
		if m.stmt.query() == nil {
			need = append(need, t.writers(m)...)
		}
		return !slices.ContainsFunc(need, func(n *member) bool { return n != m && slices.Contains(left, n) })
	}
	for len(left) > 0 {
		i := slices.IndexFunc(left, ready)
		if i < 0 {
			return left[0].stmt.fault("What is to be made anew reads itself in a circle: change one after the other.")
		}
		out = append(out, left[i])
		left = slices.Delete(left, i, i+1)
	}
	t.members = out
	return nil
}

// instead are the names under which members are read before the cut.
func (t *together) instead(after bool) map[string]string {
	out := map[string]string{}
	for k, v := range t.objects {
		out[k] = v
	}
	for _, m := range t.members {
		switch {
		case m.stmt.Kind == Insert:
		case after && m.object() != m.stmt.Name:
			out[m.stmt.Name] = m.object()
		case after:
			delete(out, m.stmt.Name)
		case m.next != "":
			out[m.stmt.Name] = m.next
		}
	}
	return out
}

// saved notes in the ledger what undoing takes, before it is made.
func (t *together) saved(ctx context.Context) error { return t.ledger.saveOperation(ctx, t.op) }

// prepare makes the new versions and lets them catch up while the old ones run.
func (t *together) prepare(ctx context.Context) error {
	k := t.ledger.kafka
	for _, m := range t.members {
		if m.next != "" {
			t.op.Objects = append(t.op.Objects, m.next)
			if m.rebuilt && m.topic != m.item.topic {
				if there, err := k.partitions(ctx); err != nil {
					return err
				} else if there[m.topic] > 0 {
					return m.stmt.faultWith(fmt.Sprintf("Topic %s, which the new version is to have, is there already.", m.topic),
						"Delete it if nobody needs it, or give the new version another one (KAFKA_TOPIC).")
				}
				t.op.Topics = append(t.op.Topics, m.topic)
			}
			if err := t.saved(ctx); err != nil {
				return err
			}
			if err := t.makeNext(ctx, m); err != nil {
				return m.stmt.failed(err)
			}
		}
		if err := t.fill(ctx, m); err != nil {
			return m.stmt.failed(err)
		}
	}
	for _, m := range t.members {
		if err := t.caughtUp(ctx, m); err != nil {
			return err
		}
	}
	return nil
}

// partitionsFor a member's topic.
func (t *together) partitionsFor(m *member) int {
	if n := t.plan.topics[m.item.topic]; n > 0 {
		return n
	}
	return m.src.Partitions
}

// makeNext makes the object of a new version.
func (t *together) makeNext(ctx context.Context, m *member) error {
	var sql string
	switch n := m.stmt.Node.(type) {
	case *ast.CreateAs:
		if !m.keeps {
			sql = declaration(m.src, m.next, m.topic, t.partitionsFor(m), false, false)
			break
		}
		c := *n
		c.Name.Name, c.OrReplace, c.IfNotExists = m.next, false, false
		c.With = with(c.With, "KAFKA_TOPIC", text(m.topic))
		if c.With.Get("PARTITIONS") == nil && t.partitionsFor(m) > 0 {
			c.With = with(c.With, "PARTITIONS", &ast.IntLit{Value: int64(t.partitionsFor(m))})
		}
		c.Query = reading(n.Query, t.instead(false))
		sql = format.Statement(&c)
	case *ast.CreateSource:
		c := *n
		c.Name.Name, c.OrReplace, c.IfNotExists = m.next, false, false
		c.With = with(c.With, "KAFKA_TOPIC", text(m.topic))
		sql = format.Statement(&c)
	}
	id, err := t.server.create(ctx, sql, m.next, m.stmt.Properties)
	if err != nil {
		return err
	}
	if m.keeps {
		m.id = id
		t.op.Queries = append(t.op.Queries, id)
	}
	if m.rebuilt && t.plan.topics[m.item.topic] > 0 {
		return t.ledger.kafka.likeTopic(ctx, m.topic, m.item.topic)
	}
	return nil
}

// fillQuery starts a query that writes into a new version.
func (t *together) fillQuery(ctx context.Context, m *member, id string, q *ast.Query) error {
	object := m.next
	if to := t.target(m); to != nil {
		object = to.next
	}
	t.op.Queries = append(t.op.Queries, id)
	if err := t.saved(ctx); err != nil {
		return err
	}
	return t.server.start(ctx, inserting(object, id, q), id, m.stmt.Properties)
}

// fills: does a member's query have to fill a new version?
func (t *together) filling(m *member) bool {
	if to := t.target(m); to != nil {
		return to.rebuilt
	}
	return m.rebuilt && !m.keeps
}

// fill begins to fill a stateless member's new version, up to where the old query
// stands now.
func (t *together) fill(ctx context.Context, m *member) error {
	if !t.filling(m) {
		return nil
	}
	q := reading(m.stmt.query(), t.instead(false))
	if m.along { // what it reads ends by itself
		return t.fillQuery(ctx, m, m.id, q)
	}
	at, err := t.position(ctx, m)
	if err != nil {
		return err
	}
	m.at = at
	return t.bounded(ctx, m, q, nil)
}

// position is where the old query of a member stands; for one without any, the end
// of what it reads.
func (t *together) position(ctx context.Context, m *member) (offsets, error) {
	inputs := t.inputsOf(m)
	if m.queryID == "" {
		return t.ledger.kafka.ends(ctx, inputs...)
	}
	at, err := t.ledger.kafka.committed(ctx, t.groupOf(m.queryID))
	if err != nil {
		return nil, err
	}
	return t.complete(ctx, at, inputs)
}

// inputsOf are the topics that a member's new query reads.
func (t *together) inputsOf(m *member) []string {
	var out []string
	for _, topic := range topicsRead(m.now.plan) {
		out = append(out, t.physical(topic))
	}
	return out
}

// bounded fills from the offsets from (nil: the beginning) up to m.at.
func (t *together) bounded(ctx context.Context, m *member, q *ast.Query, from offsets) error {
	inputs := t.inputsOf(m)
	starts, err := t.ledger.kafka.starts(ctx, inputs...)
	if err != nil {
		return err
	}
	if from == nil {
		from = starts
	}
	n, err := t.ledger.kafka.pending(ctx, from, m.at)
	if err != nil || n == 0 {
		return err
	}
	bound, err := until(q, m.at[inputs[0]])
	if err != nil {
		return err
	}
	id := fmt.Sprintf("%s_FILL%d", m.id, len(m.fills)+1)
	if err := t.ledger.kafka.seed(ctx, t.groupOf(id), from); err != nil {
		return err
	}
	m.fills = append(m.fills, id)
	return t.fillQuery(ctx, m, id, bound)
}

// filled waits until the last fill of a member has come to its end.
func (t *together) filled(ctx context.Context, m *member) error {
	if len(m.fills) == 0 {
		return nil
	}
	id := m.fills[len(m.fills)-1]
	return t.reach(ctx, id, m.at)
}

// reach waits until a query has read up to offsets.
func (t *together) reach(ctx context.Context, id string, want offsets) error {
	said := time.Now()
	return await(ctx, 50*time.Millisecond, func() (bool, error) {
		at, err := t.ledger.kafka.committed(ctx, t.groupOf(id))
		if err != nil {
			return false, err
		}
		left, total := int64(0), int64(0)
		short := offsets{}
		for topic, ps := range want {
			for p, end := range ps {
				have := at[topic][p]
				left += max(0, end-have)
				total += end
				if have < end {
					short.set(topic, p, end)
				}
			}
		}
		if left == 0 {
			return true, nil
		}
		if time.Since(said) > 2*time.Second {
			said = time.Now()
			t.say("%s: %d of %d records to go", id, left, total)
			if err := t.alive(ctx, id); err != nil {
				return false, err
			}
		}
		if left > 64 {
			return false, nil
		}
		// Perhaps only markers of transactions are left.
		n, err := t.ledger.kafka.pending(ctx, at, short)
		return err == nil && n == 0, err
	})
}

// alive tells that a query has failed.
func (t *together) alive(ctx context.Context, id string) error {
	if err := t.server.lookShort(ctx); err != nil {
		return err
	}
	if q, ok := t.server.query(id); !ok || q.StatusCount["ERROR"] > 0 {
		return fmt.Errorf("query %s of the new version has failed (EXPLAIN %s)", id, id)
	}
	return nil
}

// caughtUp waits until a new version is about where the old one is.
func (t *together) caughtUp(ctx context.Context, m *member) error {
	switch {
	case t.filling(m) && !m.along:
		return t.filled(ctx, m)
	case m.other:
		ends, err := t.ledger.kafka.ends(ctx, t.inputsOf(m)...)
		if err != nil {
			return err
		}
		return t.reach(ctx, m.id, ends)
	case m.along && m.queryID != "":
		at, err := t.ledger.kafka.committed(ctx, t.groupOf(m.queryID))
		if err != nil {
			return err
		}
		return t.reach(ctx, m.id, at.only(t.outside(m)...))
	}
	return nil
}

// outside are the topics that both the old and the new query of a member read,
// and that aren't made anew: producers go on writing them.
func (t *together) outside(m *member) []string {
	var inner []string
	for _, up := range t.sources(m) {
		if t.written(up) {
			inner = append(inner, up.topic, up.item.topic)
		}
	}
	was := t.inputs(m.oldest())
	return slices.DeleteFunc(t.inputsOf(m), func(topic string) bool { return slices.Contains(inner, topic) || !slices.Contains(was, topic) })
}

// aliasIsSource: the name of a versioned table is a SOURCE TABLE, so that pull
// queries by it are answered; windowed ones can't be.
func aliasIsSource(src *catalog.Source) bool { return src.Table && src.Window == plan.NoWindow }

var errNoMeeting = errors.New("the old query and the new one never stood at the same record when both were paused: too much comes in. " +
	"Apply at a quieter time, or stop the writers for some seconds")
