package runtime

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"sort"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/sidestream/sidestream/sidecar/engine/exec"
	"github.com/sidestream/sidestream/sidecar/engine/function"
	"github.com/sidestream/sidestream/sidecar/engine/plan"
)

// metaRun is a trial while it runs.
type metaRun struct {
	t      *testing.T
	m      metaTrial
	b      *broker
	prefix string
	dir    string
	plans  []*plan.Query
	inputs map[string][]string // topics of the steps' records, by the query that reads them
	sinks  map[string]comparison
	rnd    *rand.Rand

	rt       *Runtime
	restarts int64 // lives that failed
	reader   *kgo.Client
	got      map[string][]rec
}

var metaRuns atomic.Int64

// run gives the difference between what the queries write and what is expected,
// or nothing.
func (m metaTrial) run(t *testing.T) string {
	steps := m.steps()
	want, tables, err := metaExpect(m.queries, steps)
	require.NoError(t, err)
	x := &metaRun{t: t, m: m, b: newBroker(t), prefix: fmt.Sprintf("m%d_", metaRuns.Add(1)), rnd: rand.New(rand.NewPCG(m.seed, 3)), got: map[string][]rec{}}
	var topics []string
	x.plans, topics, x.sinks, err = metaPlans(x.prefix, m.queries)
	require.NoError(t, err)
	made, err := x.b.admin.CreateTopics(context.Background(), m.partitions, 1, nil, topics...)
	require.NoError(t, err)
	require.NoError(t, made.Error())
	x.limitFetches()
	if !m.memory {
		x.dir = t.TempDir()
	}
	x.reader, err = kgo.NewClient(append(x.b.opts(), kgo.ConsumeTopics(slices.Collect(maps.Keys(x.sinks))...), kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.FetchMaxWait(20*time.Millisecond), kgo.MetadataMinAge(10*time.Millisecond))...)
	require.NoError(t, err)
	defer x.reader.Close()
	defer func() {
		if x.rt != nil {
			x.stop(false)
		}
		if x.b.cluster == nil { // of a broker outside
			_, _ = x.b.admin.DeleteTopics(context.Background(), topics...)
		}
		x.b.client.Close() // a failure is followed by many trials
		if x.b.cluster != nil {
			x.b.cluster.Close()
		}
	}()
	x.findInputs()
	for i, s := range steps {
		if s.stormy {
			x.storm(s.records)
		} else {
			x.write(s.records)
		}
		if x.rt == nil {
			x.start()
		}
		if d := x.await(want[i]); d != "" {
			return fmt.Sprintf("after the %s: %s", s.name, d)
		}
	}
	if d := x.lookUp(tables); d != "" {
		return d
	}
	x.stop(false)
	x.poll()
	if d := x.compare(want[len(want)-1]); d != "" {
		return "after the end: " + d
	}
	if x.restarts > 0 {
		return fmt.Sprintf("lives failed: %d", x.restarts)
	}
	return ""
}

// limitFetches has the broker give little at once.
func (x *metaRun) limitFetches() {
	if x.m.fetch == 0 || x.b.cluster == nil {
		return
	}
	x.b.cluster.ControlKey(int16(kmsg.Fetch), func(req kmsg.Request) (kmsg.Response, error, bool) {
		x.b.cluster.KeepControl()
		r := req.(*kmsg.FetchRequest)
		for i := range r.Topics {
			for j := range r.Topics[i].Partitions {
				r.Topics[i].Partitions[j].PartitionMaxBytes = x.m.fetch
			}
		}
		return nil, nil, false
	})
}

// findInputs finds out which of the topics that are written here a query reads.
func (x *metaRun) findInputs() {
	x.inputs = map[string][]string{}
	made := map[string]bool{}
	for _, p := range x.plans {
		if s, ok := p.Root.(*plan.Sink); ok {
			made[s.Topic] = true
		}
	}
	for _, p := range x.plans {
		for _, sub := range plan.Split(p) {
			for _, r := range sub.Reads {
				if s, ok := r.(*plan.Source); ok && !made[s.Topic] {
					x.inputs[p.ID] = append(x.inputs[p.ID], s.Topic)
				}
			}
		}
	}
}

func (x *metaRun) start() {
	cfg := x.b.config(x.dir)
	cfg.Functions, cfg.ProcessingLog = function.Configured(nil), ""
	cfg.CommitInterval, cfg.OffsetInterval, cfg.PurgeInterval, cfg.Compression = x.m.commit, x.m.offsets, x.m.purge, x.m.compression()
	r, err := New(context.Background(), cfg)
	require.NoError(x.t, err)
	x.rt = r
	for _, p := range x.plans {
		_, err := r.Start(context.Background(), p, Options{FromEarliest: true, AtLeastOnce: x.m.atLeastOnce, Config: metaConfig})
		require.NoError(x.t, err)
	}
}

func (x *metaRun) stop(kill bool) {
	for _, q := range x.rt.Queries() {
		if _, err := q.State(); err != nil {
			x.t.Logf("query %s: %v", q.ID(), err)
		}
		x.restarts += q.Restarts.Load()
	}
	if kill {
		crash(x.t, x.rt)
	} else {
		require.NoError(x.t, x.rt.Close())
	}
	x.rt = nil
}

// storm writes records bit by bit, with restarts in between.
func (x *metaRun) storm(records []metaRecord) {
	for len(records) > 0 {
		if x.rt == nil && x.rnd.IntN(3) > 0 {
			x.start()
		}
		if x.rt != nil && x.rnd.IntN(100) < x.m.restarts {
			time.Sleep(time.Duration(x.rnd.IntN(30_000)) * time.Microsecond) // any moment will do
			x.stop(x.m.kill && x.rnd.IntN(3) > 0)
			if x.m.lose && x.dir != "" && x.rnd.IntN(2) == 0 {
				require.NoError(x.t, os.RemoveAll(x.dir))
			}
		}
		n := min(x.m.chunk, len(records))
		x.write(records[:n])
		records = records[n:]
	}
}

func (x *metaRun) write(records []metaRecord) {
	out := make([]*kgo.Record, len(records))
	for i, r := range records {
		out[i] = &kgo.Record{Topic: x.prefix + r.topic, Key: raw(r.key), Value: raw(r.value), Timestamp: time.UnixMilli(r.time), Partition: partitionOf(r.key, x.m.partitions)}
	}
	require.NoError(x.t, x.b.client.ProduceSync(context.Background(), out...).FirstErr())
}

// await waits until the sinks hold what is expected and the queries have
// committed all their inputs.
func (x *metaRun) await(want map[string][]rec) string {
	until := time.Now().Add(x.m.patience)
	for {
		x.poll()
		d := x.compare(want)
		if d == "" {
			if d = x.behind(); d == "" {
				return ""
			}
		}
		if time.Now().After(until) {
			for _, q := range x.rt.Queries() {
				if s, err := q.State(); s != Running || err != nil {
					d += fmt.Sprintf("\nquery %s is %s: %v", q.ID(), s, err)
				}
			}
			return d
		}
	}
}

// poll takes what the sinks have got since.
func (x *metaRun) poll() {
	for {
		ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
		fs := x.reader.PollFetches(ctx)
		cancel()
		n := 0
		fs.EachRecord(func(r *kgo.Record) {
			n++
			sink := strings.TrimPrefix(r.Topic, x.prefix)
			x.got[sink] = append(x.got[sink], rec{text(r.Key), text(r.Value), r.Timestamp.UnixMilli(), r.Partition})
		})
		if n == 0 {
			return
		}
	}
}

// behind tells of an input that a query has not committed to its end.
func (x *metaRun) behind() string {
	for id, topics := range x.inputs {
		committed, err := x.b.admin.FetchOffsets(context.Background(), x.rt.AppID(id))
		if errors.Is(err, kerr.GroupIDNotFound) {
			return fmt.Sprintf("query %s has not committed anything", id)
		}
		require.NoError(x.t, err)
		ends, err := x.b.admin.ListEndOffsets(context.Background(), topics...)
		require.NoError(x.t, err)
		late := ""
		ends.Each(func(o kadm.ListedOffset) {
			if at, ok := committed.Lookup(o.Topic, o.Partition); o.Offset > 0 && (!ok || at.At < o.Offset) {
				late = fmt.Sprintf("query %s has not committed %s-%d to its end, %d: %d", id, o.Topic, o.Partition, o.Offset, at.At)
			}
		})
		if late != "" {
			return late
		}
	}
	return ""
}

// lookUp compares what pull queries find.
func (x *metaRun) lookUp(want map[string][]string) string {
	for _, id := range slices.Sorted(maps.Keys(want)) {
		got := []string{}
		require.NoError(x.t, x.rt.Pull(context.Background(), id, exec.Everything(), func(r *exec.Row) bool { got = append(got, metaRow(r)); return true }))
		slices.Sort(got)
		if !slices.Equal(want[id], got) {
			return fmt.Sprintf("looked up in %s: want\n    %s\n  got\n    %s", id, strings.Join(want[id], "\n    "), strings.Join(got, "\n    "))
		}
	}
	return ""
}

// compare gives the first difference, of the sinks in the order of their names.
func (x *metaRun) compare(want map[string][]rec) string {
	for _, sink := range slices.Sorted(maps.Keys(want)) {
		how := x.sinks[x.prefix+sink]
		if d := metaDifference(how, want[sink], x.got[sink]); d != "" {
			return sink + ": " + d
		}
	}
	return ""
}

// metaDifference compares two runs' records of a topic by key.
func metaDifference(how comparison, want, got []rec) string {
	partition := map[string]int32{}
	for _, r := range got {
		if p, ok := partition[r.key]; ok && p != r.partition && r.key != "null" {
			return fmt.Sprintf("key %q is in partitions %d and %d", r.key, p, r.partition)
		}
		partition[r.key] = r.partition
	}
	a, b := metaByKey(how, want), metaByKey(how, got)
	keys := maps.Clone(a)
	maps.Copy(keys, b)
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		if !slices.Equal(a[key], b[key]) {
			return fmt.Sprintf("key %q: want\n    %s\n  got\n    %s", key, strings.Join(a[key], "\n    "), strings.Join(b[key], "\n    "))
		}
	}
	return ""
}

func metaByKey(how comparison, recs []rec) map[string][]string {
	out := map[string][]string{}
	for _, r := range recs {
		switch how {
		case final:
			if out[r.key] = []string{metaSorted(r.value)}; r.value == "null" {
				delete(out, r.key)
			}
		default:
			out[r.key] = append(out[r.key], fmt.Sprintf("%s @%d", r.value, r.time))
		}
	}
	for key, list := range out {
		if how == unordered || key == "null" { // which has no partition of its own
			sort.Strings(list)
		}
	}
	return out
}

// metaSorted sorts the lists in a row: collected records have come in any order.
func metaSorted(value string) string {
	var row map[string]any
	if json.Unmarshal([]byte(value), &row) != nil {
		return value
	}
	for _, v := range row {
		if list, ok := v.([]any); ok {
			slices.SortFunc(list, func(a, b any) int { return strings.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
		}
	}
	sorted, err := json.Marshal(row)
	if err != nil {
		return value
	}
	return string(sorted)
}
