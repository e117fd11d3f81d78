package deploy

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/sidestream/sidestream/sidecar/client"
	"github.com/sidestream/sidestream/sidecar/engine/ast"
	"github.com/sidestream/sidestream/sidecar/engine/format"
)

// meetFor bounds the search for a moment at which an old query and its successor
// stand at the same records.
const meetFor = 3 * time.Minute

// meet stops the old queries, what writes before what reads, and brings the new
// versions to where they stand.
func (t *together) meet(ctx context.Context) error {
	for _, m := range t.members {
		if err := t.meetOne(ctx, m); err != nil {
			return fmt.Errorf("%s: %w", m.stmt.Place(), err)
		}
	}
	for _, m := range t.members {
		if m.stmt.Kind == Insert || m.topic == "" {
			continue
		}
		ends, err := t.ledger.kafka.ends(ctx, m.topic)
		if err != nil {
			return err
		}
		if m.other {
			if ends, err = t.ledger.kafka.starts(ctx, m.topic); err != nil {
				return err
			}
		}
		m.ends = ends
	}
	return nil
}

// stopped are the topics of the old versions that a member's old query reads.
func (t *together) stopped(m *member) []string {
	var out []string
	for _, up := range t.sources(m) {
		topic := up.item.topic
		if up.stmt.query() == nil && !t.written(up) {
			continue // over a topic that others write
		}
		if topic != "" {
			out = append(out, topic)
		}
	}
	return out
}

// written: members write its topic, so that it is complete once they are stopped.
func (t *together) written(m *member) bool {
	if m.stmt.query() != nil {
		return true
	}
	return slices.ContainsFunc(t.writers(m), func(w *member) bool { return w.stmt.Kind != Insert })
}

func (t *together) meetOne(ctx context.Context, m *member) error {
	if m.stmt.query() == nil {
		return nil
	}
	id := m.oldest().queryID
	if id == "" {
		return nil // only what is other has no old query
	}
	k := t.ledger.kafka
	// The old query reads what its sources wrote last.
	if old := t.stopped(m); len(old) > 0 {
		ends, err := k.ends(ctx, old...)
		if err != nil {
			return err
		}
		if err := t.reach(ctx, id, ends); err != nil {
			return err
		}
	}
	if m.other {
		t.op.Paused = append(t.op.Paused, id)
		if err := t.saved(ctx); err != nil {
			return err
		}
		_, err := t.standStill(ctx, id, nil)
		return err
	}
	if m.along {
		var fresh []string
		for _, up := range t.sources(m) {
			if t.written(up) {
				fresh = append(fresh, up.topic)
			}
		}
		if len(fresh) > 0 {
			ends, err := k.ends(ctx, fresh...)
			if err != nil {
				return err
			}
			if err := t.reach(ctx, m.id, ends); err != nil {
				return err
			}
		}
		return t.equal(ctx, m)
	}
	return t.stopOld(ctx, m, id)
}

// stopOld pauses a stateless member's old query, and fills its new version up to
// there.
func (t *together) stopOld(ctx context.Context, m *member, id string) error {
	t.op.Paused = append(t.op.Paused, id)
	if err := t.saved(ctx); err != nil {
		return err
	}
	at, err := t.standStill(ctx, id, t.inputs(m.oldest()))
	if err != nil {
		return err
	}
	if !t.filling(m) {
		m.at = at
		return nil
	}
	from := m.at
	m.at = at
	if err := t.bounded(ctx, m, reading(m.stmt.query(), t.instead(false)), from); err != nil {
		return err
	}
	if err := t.filled(ctx, m); err != nil {
		return err
	}
	for _, f := range m.fills {
		if err := t.server.terminate(ctx, f); err != nil {
			return err
		}
	}
	return nil
}

// oldest is the item that the old query is of.
func (m *member) oldest() *item {
	if m.renames != nil {
		return m.renames
	}
	return m.item
}

// equal pauses the old query and the new one until both stand at the same
// records, with nothing left in the topics between their steps.
func (t *together) equal(ctx context.Context, m *member) error {
	bounded, cancel := context.WithTimeoutCause(ctx, meetFor, errNoMeeting)
	defer cancel()
	t.op.Paused = append(t.op.Paused, m.queryID)
	if err := t.saved(ctx); err != nil {
		return err
	}
	outside := t.outside(m)
	said := time.Now()
	for try := 1; ; try++ {
		pause := t.both
		if try > 3 {
			pause = t.atOnce
		}
		if err := pause(bounded, "PAUSE", m.queryID, m.id); err != nil {
			return err
		}
		old, err := t.still(bounded, m.queryID, outside)
		if err != nil {
			return err
		}
		next, err := t.still(bounded, m.id, outside)
		if err != nil {
			return err
		}
		same, err := t.sameRecords(bounded, old, next)
		for _, id := range []string{m.queryID, m.id} {
			if same && err == nil {
				same, err = t.drained(bounded, id)
			}
		}
		if err != nil || same {
			return err
		}
		if time.Since(said) > 2*time.Second {
			said = time.Now()
			t.say("%s: the old query and the new one aren't at the same record yet (try %d)", m.stmt.Name, try)
		}
		if err := t.both(bounded, "RESUME", m.queryID, m.id); err != nil {
			return err
		}
		for _, behind := range []struct {
			id string
			at offsets
		}{{m.id, old}, {m.queryID, next}} {
			if err := t.reach(bounded, behind.id, behind.at); err != nil {
				return err
			}
		}
	}
}

// both sends a statement for two queries in one request, so that as little time
// as can be lies between.
func (t *together) both(ctx context.Context, verb string, ids ...string) error {
	var sql strings.Builder
	for _, id := range ids {
		sql.WriteString(verb + " " + id + ";")
	}
	return t.statements(ctx, sql.String())
}

// atOnce pauses two queries at the same moment: PAUSE ALL does, and the others are
// let go on in the same request.
func (t *together) atOnce(ctx context.Context, _ string, ids ...string) error {
	if err := t.server.lookShort(ctx); err != nil {
		return err
	}
	sql := "PAUSE ALL;"
	for _, q := range t.server.queries {
		if slices.Contains(ids, q.ID) || paused(q) {
			continue
		}
		sql += "RESUME " + q.ID + ";"
		if !slices.Contains(t.op.Paused, q.ID) {
			t.op.Paused = append(t.op.Paused, q.ID)
		}
	}
	if err := t.saved(ctx); err != nil {
		return err
	}
	return t.statements(ctx, sql)
}

func (t *together) statements(ctx context.Context, sql string) error {
	for {
		_, err := t.server.client.Execute(ctx, client.Statements{SQL: sql, AfterCommand: t.server.last})
		if !busy(err) {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(300 * time.Millisecond):
		}
	}
}

// sameRecords tells whether two readers have read the same: markers aside.
func (t *together) sameRecords(ctx context.Context, a, b offsets) (bool, error) {
	low, high := offsets{}, offsets{}
	for topic, ps := range a {
		for p, at := range ps {
			low.set(topic, p, min(at, b[topic][p]))
			high.set(topic, p, max(at, b[topic][p]))
		}
	}
	n, err := t.ledger.kafka.pending(ctx, low, high)
	return n == 0, err
}

// drained tells whether a query has read all that lies in its internal topics.
func (t *together) drained(ctx context.Context, id string) (bool, error) {
	all, err := t.ledger.kafka.partitions(ctx)
	if err != nil {
		return false, err
	}
	prefix := t.groupOf(id) + "-"
	var inner []string
	for name := range all {
		if strings.HasPrefix(name, prefix) && !strings.HasSuffix(name, "-changelog") {
			inner = append(inner, name)
		}
	}
	if len(inner) == 0 {
		return true, nil
	}
	ends, err := t.ledger.kafka.ends(ctx, inner...)
	if err != nil {
		return false, err
	}
	at, err := t.ledger.kafka.committed(ctx, t.groupOf(id))
	if err != nil {
		return false, err
	}
	if at, err = t.complete(ctx, at, inner); err != nil {
		return false, err
	}
	n, err := t.ledger.kafka.pending(ctx, at, ends)
	return n == 0, err
}

// actions are the cut: the old queries end, names are declared over the topics
// that they are to have, and the new queries go on where the old ones stood.
func (t *together) actions() {
	do := func(a action) { t.op.Actions = append(t.op.Actions, a) }
	for _, m := range slices.Backward(t.members) {
		if id := m.oldest().queryID; id != "" {
			do(action{Do: doTerminate, Query: id})
		}
	}
	for _, m := range slices.Backward(t.members) {
		if m.stmt.Kind == Insert {
			continue
		}
		for _, name := range m.oldest().names() {
			do(action{Do: doDrop, Name: name})
		}
		if m.next != "" && !m.stays {
			do(action{Do: doDrop, Name: m.next})
		}
	}
	after := t.instead(true)
	for _, m := range t.members {
		if m.stmt.Kind != Insert {
			do(action{Do: doCreate, Name: m.stmt.Name, SQL: t.declared(m), Properties: m.stmt.Properties})
		}
	}
	for _, m := range t.members {
		switch {
		case m.id == "":
		case m.along:
			do(action{Do: doResume, Query: m.id})
		default:
			do(action{Do: doSeed, Query: m.id, Group: t.groupOf(m.id), At: t.begin(m)})
			do(action{Do: doInsert, Query: m.id, SQL: t.liveText(m, after), Properties: m.stmt.Properties})
		}
	}
	for _, m := range t.members {
		t.rememberMember(m, after, do)
	}
	for _, m := range t.members {
		for _, r := range m.step.Readers {
			if m.ends != nil && r.State != "Stable" && r.State != "PreparingRebalance" && r.State != "CompletingRebalance" {
				do(action{Do: doReader, Group: r.Group, At: m.ends})
			}
		}
	}
}

// declared is the statement that gives a member its own name.
func (t *together) declared(m *member) string {
	if n, ok := m.stmt.Node.(*ast.CreateSource); ok {
		if m.topic == sinkTopic(m.stmt) {
			return m.stmt.SQL()
		}
		c := *n
		c.With = with(n.With, "KAFKA_TOPIC", text(m.topic))
		return format.Statement(&c)
	}
	return declaration(m.src, m.stmt.Name, m.topic, 0, false, m.keeps && aliasIsSource(m.src))
}

// begin is where the query that goes on begins: where the old one stood, and in
// topics of new versions where their live part begins.
func (t *together) begin(m *member) offsets {
	out := offsets{}
	fresh := map[string]*member{}
	for _, up := range t.sources(m) {
		if up.topic != up.item.topic && t.written(up) {
			for _, w := range t.members {
				if w.topic == up.topic && w.ends != nil && w.rebuilt {
					fresh[up.topic] = w
				}
			}
		}
		if fresh[up.topic] == nil && m.at[up.topic] == nil && up.ends != nil {
			fresh[up.topic] = up // the name of a topic that others moved
		}
	}
	for topic, w := range fresh {
		out[topic] = maps.Clone(w.ends[topic])
	}
	for topic, ps := range m.at {
		if slices.ContainsFunc(t.sources(m), func(up *member) bool { return up.item.topic == topic && up.topic != topic }) {
			continue // the old version's, read to its end
		}
		if out[topic] == nil {
			out[topic] = maps.Clone(ps)
		}
	}
	return out
}

// liveText is the INSERT INTO that goes on.
func (t *together) liveText(m *member, after map[string]string) string {
	object := m.object()
	if m.stmt.Kind == Insert {
		object = m.stmt.Name
		if to := after[object]; to != "" {
			object = to
		}
	}
	return inserting(object, m.id, reading(m.stmt.query(), after))
}

func (t *together) rememberMember(m *member, after map[string]string, do func(action)) {
	old := m.oldest()
	if m.stmt.Kind == Insert {
		do(action{Do: doRemember, Key: old.key})
		m.key = "insert " + m.id
		m.queryID = m.id
		e := t.entry(m.item)
		e.Version++
		if e.Sent = t.liveText(m, after); m.along {
			e.Sent = ""
		}
		do(action{Do: doRemember, Key: m.key, Entry: &e})
		return
	}
	if m.renames != nil {
		do(action{Do: doRemember, Key: m.renames.key})
	}
	if m.stmt.query() != nil {
		m.item.queryID = m.id
	}
	e := t.entry(m.item)
	e.Version++
	e.Object, e.Topic, e.Split, e.Sent = "", "", false, ""
	if m.stays {
		e.Object = m.next
	}
	if m.topic != sinkTopic(m.stmt) {
		e.Topic = m.topic
	}
	if m.stmt.query() != nil && !m.keeps {
		e.Split, e.Sent = true, t.liveText(m, after)
	}
	do(action{Do: doRemember, Key: m.key, Name: m.object(), Entry: &e})
}

// finish tells what was done, and what is left to do by hand.
func (t *together) finish(ctx context.Context) {
	for _, m := range t.members {
		if m.stmt.Kind != Insert {
			delete(t.objects, m.stmt.Name)
			if m.stays {
				t.objects[m.stmt.Name] = m.next
			}
			delete(t.topics, sinkTopic(m.stmt))
			if m.topic != sinkTopic(m.stmt) {
				t.topics[sinkTopic(m.stmt)] = m.topic
			}
		}
		action := MovedOn
		if m.step.Class == RebuildNeeded {
			action = Rebuilt
		}
		old := m.item.topic
		t.done(m.item, action, m.id)
		if !m.rebuilt || old == "" || old == m.topic {
			continue
		}
		if m.stays {
			t.result.Notes = append(t.result.Notes, fmt.Sprintf("%s is %s on the server now; its own name stands for the same topic", m.stmt.Name, m.next))
		}
		for _, who := range m.step.Tell {
			t.result.Notes = append(t.result.Notes, fmt.Sprintf("%s: it must be told of topic %s, whose live part begins at %s", who, m.topic, positionText(m.ends[m.topic])))
		}
		for _, r := range m.step.Readers {
			t.result.Notes = append(t.result.Notes, fmt.Sprintf("group %s reads topic %s (%d to go): it goes on in %s at %s", r.Group, old, r.Behind, m.topic, positionText(m.ends[m.topic])))
		}
		if err := t.deleteTopic(ctx, m.item, old); err != nil {
			t.result.Notes = append(t.result.Notes, err.Error())
		}
	}
}

func positionText(ps map[int32]int64) string {
	var parts []string
	for _, p := range slices.Sorted(maps.Keys(ps)) {
		parts = append(parts, fmt.Sprintf("%d:%d", p, ps[p]))
	}
	return strings.Join(parts, " ")
}
