package deploy

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/sidestream/sidestream/sidecar/engine/ast"
)

// resume ends a stateless query and goes on with its successor at the same
// offsets: PAUSE, wait until the offsets of its group stand still, write them for
// the successor's group, TERMINATE, INSERT INTO under another id. The same id
// would be a race with the server, which removes the group of a query some time
// after it has ended.
func (a *applier) resume(ctx context.Context, it *item) error {
	s := it.stmt
	if a.ledger == nil {
		return s.faultWith(fmt.Sprintf("This INSERT INTO has changed, and %s can't be replaced.", it.queryID),
			"Its successor can go on at its offsets, but that needs Kafka: give --bootstrap.")
	}
	id := a.nextID(it)
	op := &operation{About: fmt.Sprintf("the replacement of query %s by %s", it.queryID, id), Paused: []string{it.queryID}}
	if err := a.ledger.saveOperation(ctx, op); err != nil {
		return err
	}
	at, err := a.standStill(ctx, it.queryID, a.inputs(it))
	if err != nil {
		return a.giveUp(ctx, op, err)
	}
	object := it.stmt.Name
	if to := a.objects[object]; to != "" {
		object = to
	}
	sql := inserting(object, id, reading(s.query(), a.objects))
	if s.Kind == Insert {
		sql = a.insertText(s, id)
	}
	op.Actions = append(op.Actions, action{Do: doSeed, Query: id, Group: a.groupOf(id), At: at}, action{Do: doTerminate, Query: it.queryID})
	if s.Kind != Insert && it.before != nil && it.before.source.Schema.String() != it.now.source.Schema.String() {
		// More columns at the end: declared in place.
		op.Actions = append(op.Actions, action{Do: doCreate, Name: "", SQL: declaration(it.now.source, object, it.topic, 0, true, false)})
		if object != s.Name {
			op.Actions = append(op.Actions, action{Do: doCreate, Name: "", SQL: declaration(it.now.source, s.Name, it.topic, 0, true, false)})
		}
	}
	op.Actions = append(op.Actions, action{Do: doInsert, Query: id, SQL: sql, Properties: s.Properties})
	oldKey, oldID := it.key, it.queryID
	it.queryID = id
	e := a.entry(it)
	e.Sent = sql
	name := object
	if s.Kind == Insert {
		it.key, name = "insert "+id, ""
		op.Actions = append(op.Actions, action{Do: doRemember, Key: oldKey})
	}
	op.Actions = append(op.Actions, action{Do: doRemember, Key: it.key, Name: name, Entry: &e})
	if err := a.cut(ctx, op); err != nil {
		it.queryID = oldID
		return err
	}
	a.done(it, Resumed, id)
	return nil
}

// insertText is an INSERT INTO of the folder with a query id and the names that
// things have on the server.
func (a *applier) insertText(s *Statement, id string) string {
	node, _ := a.placed(s.Node)
	n := node.(*ast.InsertInto)
	return inserting(n.Target.Name, id, n.Query)
}

func (a *applier) groupOf(id string) string { return groupOf(a.server.info.ServiceID, id) }

// inputs are the topics that a query reads, by the names that they have.
func (a *applier) inputs(it *item) []string {
	m := it.before
	if m == nil {
		m = it.now
	}
	var out []string
	for _, t := range topicsRead(m.plan) {
		out = append(out, a.physical(t))
	}
	return out
}

func (a *applier) physical(topic string) string {
	if to := a.topics[topic]; to != "" {
		return to
	}
	return topic
}

// standStill pauses a query and gives the offsets up to which it has read its
// inputs, once they don't change any more.
func (a *applier) standStill(ctx context.Context, id string, inputs []string) (offsets, error) {
	if err := a.server.pause(ctx, id); err != nil {
		return nil, fmt.Errorf("query %s can't be paused: %w", id, err)
	}
	return a.still(ctx, id, inputs)
}

// still gives the offsets of a paused query once they stand: where it has read
// nothing of a partition, its beginning.
func (a *applier) still(ctx context.Context, id string, inputs []string) (offsets, error) {
	k := a.ledger.kafka
	var last offsets
	since := time.Now()
	bounded, cancel := context.WithTimeoutCause(ctx, 2*time.Minute, errors.New("its offsets go on changing though it is paused"))
	defer cancel()
	err := await(bounded, 100*time.Millisecond, func() (bool, error) {
		now, err := k.committed(bounded, a.groupOf(id))
		if err != nil {
			return false, err
		}
		if last == nil || !now.equal(last) {
			last, since = now, time.Now()
		}
		return time.Since(since) >= a.server.still, nil
	})
	if err != nil {
		return nil, fmt.Errorf("query %s: %w", id, err)
	}
	return a.complete(ctx, last, inputs)
}

// complete adds the partitions of the inputs of which nothing was committed.
func (a *applier) complete(ctx context.Context, at offsets, inputs []string) (offsets, error) {
	starts, err := a.ledger.kafka.starts(ctx, inputs...)
	if err != nil {
		return nil, err
	}
	out := offsets{}
	for _, topic := range inputs {
		for p, start := range starts[topic] {
			out.set(topic, p, start)
			if o, ok := at[topic][p]; ok {
				out.set(topic, p, max(o, start))
			}
		}
	}
	return out, nil
}

var versionEnd = regexp.MustCompile(`^(.*)_V(\d+)$`)

// nextID is the id of a query's successor.
func (a *applier) nextID(it *item) string {
	base, n := it.queryID, 1
	if it.stmt.Kind != Insert {
		base, n = plainID(it.stmt.Name), it.version()
	}
	if m := versionEnd.FindStringSubmatch(strings.ToUpper(base)); m != nil {
		base = m[1]
		if v, err := strconv.Atoi(m[2]); err == nil {
			n = max(n, v)
		}
	}
	for {
		n++
		id := fmt.Sprintf("%s_V%d", strings.ToUpper(base), n)
		if _, taken := a.server.query(id); !taken && id != it.queryID {
			return id
		}
	}
}

var notInIDs = regexp.MustCompile(`[^A-Za-z0-9_]`)

func plainID(name string) string { return notInIDs.ReplaceAllString(name, "_") }
