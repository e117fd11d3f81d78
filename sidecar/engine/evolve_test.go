package engine_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/sidestream/sidestream/sidecar/engine"
)

// numbers writes records {"n":1}, {"n":2}, … to a topic of two partitions until it
// is stopped: n in partition n%2, under the key k<n%8>, with a = n%10.
type numbers struct {
	cl   *kgo.Client
	last atomic.Int64
	stop chan struct{}
	done sync.WaitGroup
}

func (w *numbers) start(t *testing.T) {
	w.stop = make(chan struct{})
	w.done.Go(func() {
		for {
			select {
			case <-w.stop:
				return
			case <-time.After(time.Millisecond):
			}
			n := int(w.last.Load()) + 1
			state := []string{"CREATED", "VALIDATED", "FAILED"}[n%3]
			r := &kgo.Record{Topic: "numbers", Partition: int32(n % 2), Key: fmt.Appendf(nil, "k%d", n%8),
				Value: fmt.Appendf(nil, `{"n":%d,"a":%d,"price":1.25,"state":%q}`, n, n%10, state)}
			if err := w.cl.ProduceSync(context.Background(), r).FirstErr(); err != nil {
				t.Errorf("number %d: %v", n, err)
				return
			}
			w.last.Store(int64(n))
		}
	})
}

func (w *numbers) finish() int {
	close(w.stop)
	w.done.Wait()
	return int(w.last.Load())
}

// predicates are the conditions that queries of testdata/evolve put on a number.
var predicates = map[string]func(n int) bool{
	"all":  func(int) bool { return true },
	"a<5":  func(n int) bool { return n%10 < 5 },
	"a>=5": func(n int) bool { return n%10 >= 5 },
	"none": func(int) bool { return false },
}

// TestEvolve edits queries while records come in, as testdata/evolve says, and
// shows what the server answers, whether the query goes on, and what of its records
// was lost or doubled: each record must have been seen by the query as it was before
// the edit or as it is after it, and each partition changes over once.
//
//	edit passes=<what passes before> then=<what passes after, if it changes>
//	<statements up to that which makes the query>
//	<statements that edit it>        ($id is the query's id)
//
// COPY OFFSETS a TO b isn't a statement: it gives the query b, which there isn't yet,
// the place at which a stands.
func TestEvolve(t *testing.T) {
	datadriven.Walk(t, "testdata/evolve", func(t *testing.T, path string) {
		t.Parallel()
		brokers := cluster(t)
		e := start(t, config(brokers, t.TempDir()))
		for _, source := range []string{"numbers", "others"} {
			execute(t, e, "CREATE STREAM "+source+" (id STRING KEY, n INT, a INT, price DECIMAL(12,2), state STRING) WITH (KAFKA_TOPIC='"+source+"', VALUE_FORMAT='JSON', PARTITIONS=2);")
		}
		execute(t, e, "CREATE TABLE names (id STRING PRIMARY KEY, nm STRING) WITH (KAFKA_TOPIC='names', VALUE_FORMAT='JSON', PARTITIONS=2);")
		cl, err := kgo.NewClient(kgo.SeedBrokers(brokers...), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerLinger(0))
		require.NoError(t, err)
		t.Cleanup(cl.Close)
		for i := range 8 { // each of the numbers' keys has a name
			r := &kgo.Record{Topic: "names", Partition: int32(i % 2), Key: fmt.Appendf(nil, "k%d", i), Value: fmt.Appendf(nil, `{"nm":"name%d"}`, i)}
			require.NoError(t, cl.ProduceSync(t.Context(), r).FirstErr())
		}
		w := &numbers{cl: cl}
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			passes, then := "all", ""
			d.MaybeScanArgs(t, "passes", &passes)
			d.MaybeScanArgs(t, "then", &then)
			if then == "" {
				then = passes
			}
			v := &evolution{t: t, e: e, brokers: brokers, w: w, passes: predicates[passes], then: predicates[then]}
			require.NotNil(t, v.passes, passes)
			require.NotNil(t, v.then, then)
			return v.run(strings.Split(strings.TrimSpace(d.Input), ";\n"))
		})
	})
}

// evolution is a query that is edited.
type evolution struct {
	t            *testing.T
	e            *engine.Engine
	brokers      []string
	w            *numbers
	passes, then func(n int) bool

	id, topic string
}

func (v *evolution) run(statements []string) string {
	t := v.t
	v.w.start(t)
	v.topic = "C"
	for v.id == "" {
		made := v.statement(statements[0])
		require.Empty(t, made.failed, statements[0])
		v.id = made.id
		statements = statements[1:]
	}
	v.await(v.w.last.Load() + 30)
	var out strings.Builder
	for _, sql := range statements {
		a := v.statement(strings.ReplaceAll(strings.TrimSuffix(sql, ";"), "$id", v.id))
		fmt.Fprintln(&out, a)
		if a.id != "" && a.id != v.id {
			fmt.Fprintln(&out, "another query")
		}
	}
	time.Sleep(30 * time.Millisecond) // for records to meet the query as it is now
	last := v.w.finish()
	v.drain()
	got := v.read()
	lost, doubled := misfits(got, last, v.passes, v.then)
	fmt.Fprintf(&out, "lost %d, doubled %d\n", lost, doubled)
	if text := countsOf(got); text != "" {
		fmt.Fprintln(&out, text)
	}
	v.clean()
	return out.String()
}

// reply is what the engine says to a statement.
type reply struct{ text, id, failed string }

func (r reply) String() string { return r.failed + r.text }

func (v *evolution) statement(sql string) reply {
	var from, to string
	if n, _ := fmt.Sscanf(sql, "COPY OFFSETS %s TO %s", &from, &to); n == 2 {
		v.until(func(_ int64, queries []engine.QueryMetrics) bool {
			return slices.ContainsFunc(queries, func(q engine.QueryMetrics) bool { return q.ID == from && q.State == "PAUSED" })
		})
		const group = "_confluent-ksql-test_query_"
		adm := v.admin()
		at, err := adm.FetchOffsets(context.Background(), group+from)
		require.NoError(v.t, err)
		require.NoError(v.t, adm.CommitAllOffsets(context.Background(), group+strings.TrimSuffix(to, ";"), at.Offsets()))
		return reply{text: "copied"}
	}
	out, err := v.e.Execute(context.Background(), engine.Request{SQL: strings.TrimSuffix(sql, ";") + ";", Properties: map[string]any{"auto.offset.reset": "earliest"}})
	var failed *engine.Error
	if errors.As(err, &failed) {
		text := strings.ReplaceAll(failed.Message, "\n", `\n`)
		if v.id != "" {
			text = strings.ReplaceAll(text, v.id, "$id")
		}
		return reply{failed: fmt.Sprintf("%d %d: ", failed.Status, failed.Code), text: text}
	}
	require.NoError(v.t, err, sql)
	switch a := out[len(out)-1].(type) {
	case engine.StatusEntity:
		r := reply{text: a.Status.Status + ": " + a.Status.Message}
		if a.Status.QueryID != nil {
			r.id = *a.Status.QueryID
			r.text = strings.ReplaceAll(r.text, r.id, "$id")
		}
		if v.id != "" {
			r.text = strings.ReplaceAll(r.text, v.id, "$id")
		}
		return r
	case engine.WarningEntity:
		return reply{text: "WARNING: " + a.Message}
	case engine.QueriesEntity:
		for _, q := range a.Queries {
			if q.ID == v.id {
				return reply{text: fmt.Sprint("query is ", q.State, " ", q.StatusCount)}
			}
		}
		return reply{text: "no such query"}
	}
	v.t.Fatalf("%s: %T", sql, out[len(out)-1])
	return reply{}
}

// await waits until the query has read up to a number.
func (v *evolution) await(n int64) {
	v.until(func(lag int64, queries []engine.QueryMetrics) bool {
		for _, q := range queries {
			if q.ID == v.id && q.Processed >= n {
				return true
			}
		}
		return false
	})
}

// drain waits until every query that runs has committed all there is.
func (v *evolution) drain() {
	quiet := 0
	v.until(func(lag int64, queries []engine.QueryMetrics) bool {
		if lag == 0 && !slices.ContainsFunc(queries, func(q engine.QueryMetrics) bool { return q.State == "REBALANCING" }) {
			quiet++
		} else {
			quiet = 0
		}
		return quiet > 3
	})
}

func (v *evolution) until(done func(lag int64, queries []engine.QueryMetrics) bool) {
	adm := v.admin()
	require.Eventually(v.t, func() bool {
		queries := v.e.Metrics()
		lags, err := adm.Lag(context.Background())
		if err != nil {
			return false
		}
		behind := int64(0)
		for _, q := range queries {
			if q.State != "RUNNING" {
				continue
			}
			for topic, partitions := range lags["_confluent-ksql-test_query_"+q.ID].Lag {
				mark := int64(1) // the last of what queries write may be a transaction's mark
				if topic == "numbers" || topic == "names" {
					mark = 0
				}
				for _, p := range partitions {
					if p.Commit.At >= 0 && p.Lag > mark {
						behind += p.Lag
					}
				}
			}
		}
		return done(behind, queries)
	}, 20*time.Second, 5*time.Millisecond)
}

func (v *evolution) admin() *kadm.Client {
	cl, err := kgo.NewClient(kgo.SeedBrokers(v.brokers...))
	require.NoError(v.t, err)
	v.t.Cleanup(cl.Close)
	return kadm.NewClient(cl)
}

// row is a record of the query's topic.
type row struct {
	N, C int
	key  string
}

// read is the query's topic, partition by partition.
func (v *evolution) read() []row {
	adm := v.admin()
	ends, err := adm.ListCommittedOffsets(context.Background(), v.topic)
	require.NoError(v.t, err)
	require.NoError(v.t, ends.Error())
	from, left := map[int32]kgo.Offset{}, map[int32]int64{}
	ends.Each(func(o kadm.ListedOffset) {
		if o.Offset > 0 {
			from[o.Partition], left[o.Partition] = kgo.NewOffset().AtStart(), o.Offset
		}
	})
	var out []row
	if len(left) == 0 {
		return nil
	}
	cl, err := kgo.NewClient(kgo.SeedBrokers(v.brokers...), kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.KeepControlRecords(),
		kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{v.topic: from}))
	require.NoError(v.t, err)
	defer cl.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	for len(left) > 0 {
		cl.PollFetches(ctx).EachRecord(func(r *kgo.Record) {
			if r.Offset >= left[r.Partition]-1 {
				delete(left, r.Partition)
			}
			if r.Attrs.IsControl() || r.Value == nil {
				return
			}
			x := row{key: string(r.Key)}
			require.NoError(v.t, json.Unmarshal(r.Value, &x), "%s", r.Value)
			out = append(out, x)
		})
		require.NoError(v.t, ctx.Err())
	}
	return out
}

// misfits are the records of the input, up to last, that are missing in got, and
// those of got that are too many, when each partition of the input changes over
// from one condition to the other where it suits best.
func misfits(got []row, last int, passes, then func(int) bool) (lost, doubled int) {
	seen := map[int]int{}
	for _, r := range got {
		seen[r.N]++
	}
	for p := range 2 {
		bestLost, bestDoubled := last, last
		for change := p; change <= last+2; change += 2 {
			l, d := 0, 0
			for n := p; n <= last; n += 2 {
				want := 0
				if n > 0 && (n < change && passes(n) || n >= change && then(n)) {
					want = 1
				}
				l += max(0, want-seen[n])
				d += max(0, seen[n]-want)
			}
			if l+d < bestLost+bestDoubled {
				bestLost, bestDoubled = l, d
			}
		}
		lost, doubled = lost+bestLost, doubled+bestDoubled
	}
	return lost, doubled
}

// countsOf tells whether the counts of each key go up by one, from 1; "" for rows
// without counts.
func countsOf(got []row) string {
	next := map[string]int{}
	counted := false
	for _, r := range got {
		if r.C == 0 {
			continue
		}
		counted = true
		next[r.key]++
		if r.C != next[r.key] {
			return fmt.Sprintf("the count of %s is %d, want %d", r.key, r.C, next[r.key])
		}
	}
	if !counted {
		return ""
	}
	return "the counts go on"
}

// clean ends what the evolution has made.
func (v *evolution) clean() {
	execute(v.t, v.e, "TERMINATE ALL;")
	for _, drop := range []string{"DROP STREAM IF EXISTS c2 DELETE TOPIC;", "DROP STREAM IF EXISTS c DELETE TOPIC;", "DROP TABLE IF EXISTS c DELETE TOPIC;"} {
		_, err := v.e.Execute(context.Background(), engine.Request{SQL: drop})
		if err != nil && !strings.Contains(err.Error(), "Incompatible data source type") {
			v.t.Fatal(drop, err)
		}
	}
}
