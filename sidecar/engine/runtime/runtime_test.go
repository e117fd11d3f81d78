package runtime

import (
	"context"
	"fmt"
	"os"
	gort "runtime"
	"sort"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kadm"

	"github.com/sidestream/sidestream/sidecar/engine/driver"
	"github.com/sidestream/sidestream/sidecar/engine/exec"
	"github.com/sidestream/sidestream/sidecar/engine/plan"
	"github.com/sidestream/sidestream/sidecar/engine/types"
)

func partitionOf(key string, n int32) int32 {
	if key == "null" {
		return 0
	}
	return exec.Partition([]byte(key), n)
}

// orders makes records o<from>… of a few customers.
func orders(from, n int) []rec {
	out := make([]rec, n)
	for i := range out {
		k := from + i
		out[i] = rec{key: fmt.Sprintf("o%d", k), value: fmt.Sprintf(`{"customer":"c%d","amount":%d,"state":"CREATED"}`, k%17, k*37%100), time: int64(1_000_000 + k)}
	}
	return out
}

// drive runs a plan in memory on the records of topics.
func drive(t *testing.T, p *plan.Query, partitions int, topics map[string][]rec, order ...string) *driver.Driver {
	d := driver.New(driver.Options{Functions: functions{}, AppID: func(id string) string { return "app-" + id }})
	for name := range topics {
		d.CreateTopic(name, partitions)
	}
	if s, ok := p.Root.(*plan.Sink); ok {
		d.CreateTopic(s.Topic, partitions)
	}
	_, err := d.AddQuery(p)
	require.NoError(t, err)
	for _, name := range order {
		for _, r := range topics[name] {
			require.NoError(t, d.Pipe(name, driver.Record{Key: raw(r.key), Value: raw(r.value), Time: r.time, Partition: -1}))
		}
	}
	return d
}

// last keeps the last record of each key: what a table's topic means.
func last(rs []rec) map[string]string {
	out := map[string]string{}
	for _, r := range rs {
		out[r.key] = r.value
	}
	return out
}

func settings() Options { return Options{FromEarliest: true} }

func TestFilterIsTheDriversToTheByte(t *testing.T) {
	b := newBroker(t)
	b.topics(4, "orders", "big")
	in := append(orders(0, 500), rec{"null", `{"customer":"x","amount":99}`, 5, 0}, rec{"o9", "null", 6, 0}, rec{"bad", "{", 7, 0}, rec{"o8", `{"amount":77}`, 8, 0})
	b.write("orders", 4, in...)
	r := b.runtime("")
	defer r.Close()
	q, err := r.Start(context.Background(), filterPlan("CSAS_BIG_1", "orders", "big"), settings())
	require.NoError(t, err)
	want := expected(drive(t, filterPlan("CSAS_BIG_1", "orders", "big"), 4, map[string][]rec{"orders": in}, "orders"), "big")
	got := byPartition(b.read("big", len(want)))
	require.Equal(t, want, got)
	require.EqualValues(t, 1, q.Problems.Load())
	require.EqualValues(t, len(in), q.Processed.Load())
	log := b.read(ProcessingLogTopic(b.service()), 1)[0].value
	require.Contains(t, log, `"level":"ERROR","logger":"processing.CSAS_BIG_1.ORDERS.deserializer"`)
	require.Contains(t, log, `"message":{"type":0,"deserializationError":{"target":"value","errorMessage":"`)
	require.Contains(t, log, `"recordB64":null`)
	require.Contains(t, log, `"recordProcessingError":null,"productionError":null,"serializationError":null,"kafkaStreamsThreadError":null}`)
}

func TestRepartitionAndAggregate(t *testing.T) {
	b := newBroker(t)
	b.topics(4, "orders", "counts")
	in := orders(0, 1000)
	b.write("orders", 4, in...)
	r := b.runtime(t.TempDir())
	defer r.Close()
	p := countPlan("CTAS_C_1", "orders", "counts")
	_, err := r.Start(context.Background(), p, settings())
	require.NoError(t, err)
	want := drive(t, countPlan("CTAS_C_1", "orders", "counts"), 4, map[string][]rec{"orders": in}, "orders")
	got := b.read("counts", len(want.Read("counts")))
	require.Equal(t, last(expected(want, "counts")), last(got))

	// Pull queries see what is committed.
	rows := pull(t, r, "CTAS_C_1", exec.Everything())
	require.Len(t, rows, 17)
	sel := exec.Everything()
	sel.Keys = [][]types.Value{{types.NewString("c3")}, {types.NewString("nobody")}}
	one := pull(t, r, "CTAS_C_1", sel)
	require.Len(t, one, 1)
	require.Equal(t, rows["c3"], one["c3"])

	// Internal topics are as ksqlDB's.
	topics, err := b.admin.ListTopics(context.Background())
	require.NoError(t, err)
	for _, name := range []string{"-Aggregate-GroupBy-repartition", "-Aggregate-Aggregate-Materialize-changelog"} {
		require.Len(t, topics["_confluent-ksql-"+b.service()+"query_CTAS_C_1"+name].Partitions, 4, name)
	}
	require.NoError(t, r.Stop(context.Background(), "CTAS_C_1", true))
	for _, suffix := range []string{"Aggregate-GroupBy-repartition", "Aggregate-Aggregate-Materialize-changelog"} {
		name := r.AppID("CTAS_C_1") + "-" + suffix
		found, err := describe(context.Background(), b.client, []string{name})
		require.NoError(t, err)
		require.Empty(t, found)
	}
	// Begun again, it knows nothing of its earlier self.
	_, err = r.Start(context.Background(), countPlan("CTAS_C_1", "orders", "counts"), settings())
	require.NoError(t, err)
	b.read("counts", 2*len(want.Read("counts")))
}

func pull(t *testing.T, r *Runtime, id string, sel exec.Selection) map[string]string {
	out := map[string]string{}
	require.NoError(t, r.Pull(context.Background(), id, sel, func(row *exec.Row) bool {
		vals := ""
		for _, v := range row.Value {
			vals += " " + types.Text(v, types.Type{})
		}
		out[strings.Clone(types.Text(row.Key[0], types.Type{}))] = vals
		return true
	}))
	return out
}

func waitFor(t testing.TB, ok func() bool) {
	t.Helper()
	for range 4000 {
		if ok() {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	require.FailNow(t, "waited too long")
}

// At catch-up the records of a table that are older come before the stream's,
// whatever is fetched first.
func TestTableIsReadBeforeTheStream(t *testing.T) {
	for _, p := range []*plan.Query{directJoinPlan("J1"), joinPlan("J2")} {
		t.Run(p.ID, func(t *testing.T) { tableBeforeStream(t, p) })
	}
}

func tableBeforeStream(t *testing.T, p *plan.Query) {
	b := newBroker(t)
	b.topics(4, "orders", "customers", "joined")
	var table, stream []rec
	for i := range 17 {
		table = append(table, rec{key: fmt.Sprintf("c%d", i), value: `{"level":"gold"}`, time: 10})
	}
	for i := range 2000 {
		table = append(table, rec{key: fmt.Sprintf("o%d", i), value: `{"level":"gold"}`, time: int64(i)})
	}
	stream = orders(0, 3000)
	b.write("orders", 4, stream...) // the stream first: it is there when the table is read
	b.write("customers", 4, table...)
	dir := t.TempDir()
	r := b.runtime(dir)
	_, err := r.Start(context.Background(), p, settings())
	require.NoError(t, err)
	matched := 0
	for _, rec := range b.read("joined", 3000) {
		if strings.Contains(rec.value, `"LEVEL":"gold"`) {
			matched++
		}
	}
	want := 3000
	if p.ID == "J1" {
		want = 2000
	}
	require.Equal(t, want, matched, p.ID)

	// The table is restored from its own topic, with and without what is on disk.
	for _, lose := range []bool{false, true} {
		require.NoError(t, r.Close())
		if lose {
			require.NoError(t, os.RemoveAll(dir))
		}
		r = b.runtime(dir)
		q, err := r.Start(context.Background(), p, settings())
		require.NoError(t, err)
		waitFor(t, func() bool { s, _ := q.State(); return s == Running })
		_, total := q.RestoreProgress()
		require.Equal(t, lose, total > 0)
		n := len(b.read("joined", want3000(lose)))
		b.write("orders", 4, rec{"o7", `{"customer":"c7","amount":1}`, 2_000_000, 0})
		all := b.read("joined", n+1)
		gold := 0
		for _, rec := range all {
			if strings.Contains(rec.value, `"LEVEL":"gold"`) {
				gold++
			}
		}
		matched++
		require.Equal(t, matched, gold)
	}
	require.NoError(t, r.Close())
}

func want3000(second bool) int {
	if second {
		return 3001
	}
	return 3000
}

func TestSourceTableIsLookedUp(t *testing.T) {
	b := newBroker(t)
	b.topics(4, "customers")
	b.write("customers", 4, rec{"c1", `{"level":"gold"}`, 1, 0}, rec{"c2", `{"level":"silver"}`, 2, 0}, rec{"c1", `{"level":"none"}`, 3, 0}, rec{"c3", `{"level":"x"}`, 3, 0}, rec{"c3", "null", 4, 0})
	dir := t.TempDir()
	for range 2 {
		r := b.runtime(dir)
		_, err := r.Start(context.Background(), sourceTablePlan("CST_1"), settings())
		require.NoError(t, err)
		waitFor(t, func() bool {
			var n int
			err := r.Pull(context.Background(), "CST_1", exec.Everything(), func(*exec.Row) bool { n++; return true })
			return err == nil && n == 2
		})
		require.Equal(t, map[string]string{"c1": " none", "c2": " silver"}, pull(t, r, "CST_1", exec.Everything()))
		require.NoError(t, r.Close())
		require.NoError(t, os.RemoveAll(dir))
	}
}

func TestPauseResumeReplace(t *testing.T) {
	b := newBroker(t)
	b.topics(2, "orders", "big")
	r := b.runtime("")
	defer r.Close()
	ctx := context.Background()
	o := settings()
	o.Paused = true
	q, err := r.Start(ctx, filterPlan("CSAS_B_1", "orders", "big"), o)
	require.NoError(t, err)
	b.write("orders", 2, orders(0, 100)...)
	waitFor(t, func() bool { s, _ := q.State(); return s == Paused })
	require.Zero(t, q.Processed.Load())
	q.Resume()
	waitFor(t, func() bool { return q.Processed.Load() == 100 })
	q.Pause()
	waitFor(t, func() bool { s, _ := q.State(); return s == Paused })
	p := &plan.Query{ID: "CSAS_B_1", Root: sinkOf(filterSteps("orders", 89), "big")}
	b.write("orders", 2, orders(100, 100)...)
	_, err = r.Replace(ctx, "CSAS_B_1", p, settings())
	require.NoError(t, err)
	// The first hundred by the old plan, the others by the new.
	want := 0
	for i, rec := range orders(0, 200) {
		var amount int
		fmt.Sscanf(rec.value[strings.LastIndex(rec.value, `"amount":`):], `"amount":%d`, &amount)
		if amount > 50 && i < 100 || amount > 89 {
			want++
		}
	}
	b.read("big", want)
	_, err = r.Replace(ctx, "CSAS_B_1", filterPlan("OTHER", "orders", "big"), settings())
	require.ErrorContains(t, err, "can't be replaced")
	_, err = r.Start(ctx, filterPlan("CSAS_B_1", "orders", "big"), settings())
	require.ErrorContains(t, err, "runs already")
	_, err = r.Start(ctx, filterPlan("CSAS_X", "nowhere", "big"), settings())
	require.ErrorContains(t, err, "topic nowhere does not exist")
}

// Latest means the moment at which the query began, not the one at which it
// first saw a record.
func TestLatestIsWhereTheQueryBegan(t *testing.T) {
	b := newBroker(t)
	b.topics(2, "orders", "big")
	b.write("orders", 2, orders(0, 100)...)
	r := b.runtime("")
	q, err := r.Start(context.Background(), filterPlan("CSAS_B_1", "orders", "big"), Options{})
	require.NoError(t, err)
	waitFor(t, func() bool { s, _ := q.State(); return s == Running })
	require.NoError(t, r.Close())
	b.write("orders", 2, orders(100, 1)...)
	b.write("orders", 2, rec{"o1", `{"amount":99}`, 9, 0})
	r = b.runtime("")
	defer r.Close()
	_, err = r.Start(context.Background(), filterPlan("CSAS_B_1", "orders", "big"), Options{})
	require.NoError(t, err)
	require.Equal(t, "o1", b.read("big", 1)[0].key)
}

func TestPush(t *testing.T) {
	b := newBroker(t)
	b.topics(4, "orders")
	in := orders(0, 300)
	b.write("orders", 4, in...)
	r := b.runtime("")
	defer r.Close()
	emit := func(n plan.Node) plan.Node { return &plan.Emit{Output: *n.Out(), Input: n} }

	// A pull query on a stream: what is there, then the end.
	n := 0
	o := settings()
	o.UntilEnd = true
	p := &plan.Query{ID: "transient_1", Root: emit(filterSteps("orders", -1))}
	require.NoError(t, r.Push(context.Background(), p, o, func(*exec.Row) error { n++; return nil }))
	require.Equal(t, 300, n)

	// Two sub-topologies, with the repartition in memory.
	counts := map[string]int64{}
	p = &plan.Query{ID: "transient_2", Root: emit(countSteps("orders", 0))}
	require.NoError(t, r.Push(context.Background(), p, o, func(row *exec.Row) error {
		counts[row.Key[0].Str()] = row.Value[0].Int()
		return nil
	}))
	require.Len(t, counts, 17)

	// A push query sees what is written from now on, and its caller's error ends it.
	limit := fmt.Errorf("limit reached")
	var keys []string
	done := make(chan error, 1)
	p = &plan.Query{ID: "transient_3", Root: emit(filterSteps("orders", -1))}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		done <- r.Push(ctx, p, Options{}, func(row *exec.Row) error {
			keys = append(keys, row.Key[0].Str())
			if len(keys) == 3 {
				return limit
			}
			return nil
		})
	}()
	for i := 0; ; i++ {
		b.write("orders", 4, rec{"n", `{"amount":1}`, 5, 0})
		select {
		case err := <-done:
			require.ErrorIs(t, err, limit)
			require.Equal(t, []string{"n", "n", "n"}, keys)
		case <-time.After(20 * time.Millisecond):
			require.Less(t, i, 500)
			continue
		}
		break
	}
	go func() { done <- r.Push(ctx, p, Options{}, func(*exec.Row) error { return nil }) }()
	cancel()
	require.NoError(t, <-done)
}

func TestAtLeastOnce(t *testing.T) {
	b := newBroker(t)
	b.topics(2, "orders", "big")
	b.write("orders", 2, orders(0, 100)...)
	r := b.runtime("")
	o := settings()
	o.AtLeastOnce = true
	q, err := r.Start(context.Background(), filterPlan("CSAS_B_1", "orders", "big"), o)
	require.NoError(t, err)
	want := expected(drive(t, filterPlan("F", "orders", "big"), 2, map[string][]rec{"orders": orders(0, 100)}, "orders"), "big")
	require.Equal(t, want, byPartition(b.read("big", len(want))))
	waitFor(t, func() bool { return q.Commits.Load() > 0 })
	require.NoError(t, r.Close())
	offsets, err := b.admin.FetchOffsets(context.Background(), q.app)
	require.NoError(t, err)
	total := int64(0)
	offsets.Each(func(o kadm.OffsetResponse) { total += o.At })
	require.EqualValues(t, 100, total)
}

// What is gone leaves no goroutine behind.
func TestNothingIsLeftRunning(t *testing.T) {
	b := newBroker(t)
	b.topics(4, "orders", "counts", "big")
	b.write("orders", 4, orders(0, 100)...)
	before := gort.NumGoroutine()
	for range 3 {
		r := b.runtime(t.TempDir())
		_, err := r.Start(context.Background(), countPlan("CTAS_C_1", "orders", "counts"), settings())
		require.NoError(t, err)
		q, err := r.Start(context.Background(), filterPlan("CSAS_B_1", "orders", "big"), settings())
		require.NoError(t, err)
		waitFor(t, func() bool { return q.Processed.Load() == 100 || q.Commits.Load() > 0 || q.RestoreDone() })
		require.NoError(t, r.Close())
	}
	waitFor(t, func() bool { return gort.NumGoroutine() <= before+8 }) // the broker's own connections come and go
}

// Queries that read one topic twice (a self-join, one side of it repartitioned)
// keep both sides' places.
func TestNotes(t *testing.T) {
	require.Equal(t, map[int]int64{0: 17, 2: 23}, parseNote("0:17,2:23"))
	require.Nil(t, parseNote(""))
	s := &source{topicPartition: topicPartition{"t", 1}}
	l := &life{}
	for i, pos := range []int64{17, 23} {
		q := newQueue(s)
		q.pos = pos
		l.tasks = append(l.tasks, &task{sub: &plan.SubTopology{ID: i}, queues: []*queue{q}})
	}
	p := l.position(s)
	require.Equal(t, int64(17), p.offset)
	notes := parseNote(p.note)
	ids := []int{}
	for id := range notes {
		ids = append(ids, id)
	}
	sort.Ints(ids)
	require.Equal(t, []int{0, 1}, ids)
	require.Equal(t, int64(23), notes[1])
}

// Repartition topics are emptied behind what was read, and nothing is lost by it.
func TestRepartitionTopicsAreEmptied(t *testing.T) {
	b := newBroker(t)
	b.topics(2, "orders", "counts")
	cfg := b.config(t.TempDir())
	cfg.PurgeInterval = time.Millisecond
	r, err := New(context.Background(), cfg)
	require.NoError(t, err)
	defer r.Close()
	_, err = r.Start(context.Background(), countPlan("CTAS_C_1", "orders", "counts"), settings())
	require.NoError(t, err)
	n := 0
	waitFor(t, func() bool {
		b.write("orders", 2, orders(n, 10)...)
		n += 10
		starts, err := b.admin.ListStartOffsets(context.Background(), r.AppID("CTAS_C_1")+"-Aggregate-GroupBy-repartition")
		require.NoError(t, err)
		first := int64(0)
		starts.Each(func(o kadm.ListedOffset) { first += o.Offset })
		return first > 20
	})
	b.read("counts", n)
}
