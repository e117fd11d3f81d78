package deploy

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/sidestream/sidestream/sidecar/broker"
	"github.com/sidestream/sidestream/sidecar/client"
)

// The edits: each file of testdata/edits is an edit of running SQL. A producer
// writes numbered records all the while, an embedded server, a process of its
// own, runs the SQL, and a reader with a consumer group follows what comes out,
// over to the topic of a new version where there is one. Then the numbers are
// counted: each must have come out once, by the old SQL or by the new.
//
//	before            SQL, applied first; the reader then reads some of it
//	plan [allow]      SQL; its plan, and the exit code
//	apply [allow]     does it
//	count topic=c old=COND new=COND [counts]
//	                  COND is all, none, or a<5, a>=5: which numbers the old and the new SQL let through;
//	                  counts: column C counts its key's records without a gap;
//	                  plus=COND: these come once, from the beginning
//	server            what runs
//
// ${t} stands for the file's own prefix of topics. The topics in (records), in2
// (the same) and names (a table) are there.
func TestEdits(t *testing.T) {
	if err := flag.Set("test.parallel", "8"); err != nil { // they mostly wait
		t.Fatal(err)
	}
	lab := sharedLab(t)
	datadriven.Walk(t, "testdata/edits", func(t *testing.T, path string) {
		t.Parallel()
		e := lab.edit(t, strings.TrimSuffix(filepath.Base(path), ".txt"))
		datadriven.RunTest(t, path, e.run)
	})
}

// laboratory is a broker with a producer, and the program.
type laboratory struct {
	bin, broker string
	producer    *producer
}

// program builds the program, once for all tests.
var program = sync.OnceValues(func() (string, error) {
	bin := filepath.Join(programDir, "sidestream")
	out, err := exec.Command("go", "build", "-o", bin, "../cmd/sidestream").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	return bin, nil
})

var programDir string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "deploy-test-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	programDir = dir
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}

func sharedLab(t *testing.T) *laboratory {
	bin, err := program()
	require.NoError(t, err)
	b, err := broker.Open(bounded(t), broker.Config{Dir: t.TempDir(), Clean: -1, Log: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	t.Cleanup(func() { b.Close() })
	_, err = ApplyTopics(bounded(t), []string{b.Addr()}, []Topic{
		{Name: "in", Cleanup: "delete", Retention: Forever, Partitions: 2},
		{Name: "in2", Cleanup: "delete", Retention: Forever, Partitions: 2},
		{Name: "names", Cleanup: "compact", Retention: Forever, Partitions: 2},
	}, false)
	require.NoError(t, err)
	// Cleanups run after the parallel files; the producer ends before the broker.
	return &laboratory{bin, b.Addr(), produce(t, b.Addr())}
}

// edit starts a server for a name.
func (l *laboratory) edit(t *testing.T, name string) *edit {
	e := &edit{t: t, name: name, bin: l.bin, broker: l.broker, producer: l.producer}
	e.serve()
	return e
}

// lab is a laboratory of one's own, with a server.
func lab(t *testing.T, name string) *edit { return sharedLab(t).edit(t, name) }

// producer writes the numbers 1, 2, … to in and in2, as long as the test lasts.
type producer struct {
	mu   sync.Mutex
	last int   // the last number that is acknowledged
	part []int // partition of each number, from place 1
}

func (p *producer) state() (int, []int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.last, p.part[:p.last+1]
}

func produce(t *testing.T, addr string) *producer {
	cl, err := kgo.NewClient(kgo.SeedBrokers(addr), kgo.ProducerLinger(0))
	require.NoError(t, err)
	for i := range 8 {
		r := &kgo.Record{Topic: "names", Key: fmt.Appendf(nil, "k%d", i), Value: fmt.Appendf(nil, `{"NM":"name%d"}`, i), Timestamp: time.UnixMilli(1)}
		require.NoError(t, cl.ProduceSync(bounded(t), r).FirstErr())
	}
	p := &producer{part: []int{0}}
	ctx, stop := context.WithCancel(context.Background())
	var done sync.WaitGroup
	base := time.Now().Truncate(time.Hour)
	done.Go(func() {
		tick := time.NewTicker(15 * time.Millisecond)
		defer tick.Stop()
		for n := 1; ; n++ {
			value := fmt.Appendf(nil, `{"N":%d,"A":%d,"STATE":"s%d","PRICE":%d.50}`, n, n%10, n%3, n%7)
			var part int
			for _, topic := range []string{"in2", "in"} {
				r := &kgo.Record{Topic: topic, Key: fmt.Appendf(nil, "k%d", n%8), Value: value, Timestamp: base.Add(time.Duration(n) * time.Millisecond)}
				if err := cl.ProduceSync(ctx, r).FirstErr(); err != nil {
					return
				}
				part = int(r.Partition)
			}
			p.mu.Lock()
			p.last, p.part = n, append(p.part, part)
			p.mu.Unlock()
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
		}
	})
	t.Cleanup(func() { stop(); done.Wait(); cl.Close() })
	return p
}

// edit is one file's run.
type edit struct {
	t        *testing.T
	name     string
	bin      string
	broker   string
	producer *producer
	client   *client.Client
	ledger   *Ledger
	kafka    *Kafka
	read     map[string]bool // topics that the reader has begun
	sql      string
}

func (e *edit) ctx() context.Context {
	ctx, cancel := context.WithTimeout(e.t.Context(), 3*time.Minute)
	e.t.Cleanup(cancel)
	return ctx
}

func (e *edit) serve() {
	t := e.t
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	addr := ln.Addr().String()
	ln.Close()
	var log strings.Builder
	cmd := exec.Command(e.bin, "serve", "--bootstrap", e.broker, "--service-id", e.name+"_", "--listen", addr, "--log-level", "warn")
	cmd.Stderr = &log
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		cmd.Process.Signal(os.Interrupt)
		cmd.Wait()
		if t.Failed() {
			t.Log(log.String())
		}
	})
	e.client, err = client.New("http://" + addr)
	require.NoError(t, err)
	t.Cleanup(e.client.Close)
	info, err := WaitReady(e.ctx(), e.client)
	require.NoError(t, err)
	e.ledger, err = OpenLedger(e.ctx(), []string{e.broker}, info.ServiceID)
	require.NoError(t, err)
	t.Cleanup(e.ledger.Close)
	e.kafka = e.ledger.kafka
	e.read = map[string]bool{}
}

func (e *edit) folder(sql string) (*Folder, error) {
	dir := filepath.Join(e.t.TempDir(), e.name)
	write(e.t, dir, "01-edit.sql", sql)
	f, err := LoadFolder(dir, map[string]string{"t": e.name + "-"})
	if err != nil {
		return nil, err
	}
	return f, Check(f)
}

func (e *edit) run(t *testing.T, d *datadriven.TestData) string {
	opts := Options{Ledger: e.ledger, AllowRebuild: d.HasArg("allow"), DeleteTopics: d.HasArg("delete-topics")}
	if strings.TrimSpace(d.Input) != "" {
		e.sql = d.Input
	}
	switch d.Cmd {
	case "before":
		f, err := e.folder(e.sql)
		require.NoError(t, err)
		_, err = Apply(e.ctx(), e.client, f, opts)
		require.NoError(t, err)
		return e.plain(e.running(), "")
	case "plan":
		f, err := e.folder(e.sql)
		if err != nil {
			return e.plain(err.Error(), "")
		}
		p, err := MakePlan(e.ctx(), e.client, f, opts)
		if err != nil {
			return e.plain(err.Error(), f.Dir)
		}
		var b strings.Builder
		for _, s := range p.Steps {
			if s.Class == Unchanged && len(s.Notes) == 0 {
				continue
			}
			fmt.Fprintf(&b, "%s: %s %s\n", s.Class, s.Kind, s.Name)
			for _, line := range slices.Concat([]string{s.Reason}, s.Diff, []string{s.Do}, s.Notes) {
				if line != "" {
					b.WriteString("  " + line + "\n")
				}
			}
			for _, a := range s.Replays {
				b.WriteString("  reads again: " + a.Topic + "\n")
			}
			for _, a := range s.State {
				b.WriteString("  builds anew: " + a.Topic + "\n")
			}
		}
		fmt.Fprintf(&b, "exit code %d\n", p.ExitCode())
		return e.plain(b.String(), f.Dir)
	case "apply":
		e.begin(d)
		f, err := e.folder(e.sql)
		require.NoError(t, err)
		r, err := Apply(e.ctx(), e.client, f, opts)
		if err != nil {
			return e.plain(err.Error(), f.Dir)
		}
		var b strings.Builder
		for _, c := range r.Changes {
			if c.Action != Same {
				fmt.Fprintf(&b, "%s %s %s\n", c.Action, c.Kind, c.Name)
			}
		}
		for _, n := range r.Notes {
			if !strings.HasPrefix(n, "group ") {
				b.WriteString("note: " + n + "\n")
			}
		}
		// Applied again there is nothing to do.
		again, err := Apply(e.ctx(), e.client, f, opts)
		require.NoError(t, err)
		for _, c := range again.Changes {
			require.Equal(t, Same, c.Action, "%v applied again", c)
		}
		return e.plain(b.String(), f.Dir)
	case "count":
		return e.plain(e.count(d), "")
	case "server":
		return e.plain(e.running(), "")
	}
	return "unknown command"
}

// plain takes out what differs from run to run.
func (e *edit) plain(text, dir string) string {
	if dir != "" {
		text = strings.ReplaceAll(text, dir+string(filepath.Separator), "")
	}
	text = numbered.ReplaceAllString(text, "${1}_#")
	return strings.ReplaceAll(text, e.name+"-", "${t}")
}

// numbered are query ids that the server numbers.
var numbered = regexp.MustCompile(`\b((?:CSAS|CTAS|CST)_\w+?|INSERTQUERY)_\d+\b`)

// running are the persistent queries, and the objects with their topics.
func (e *edit) running() string {
	v := &server{client: e.client}
	require.NoError(e.t, v.lookShort(e.ctx()))
	var b strings.Builder
	for _, q := range v.queries {
		state := ""
		if paused(q) {
			state = " PAUSED"
		}
		fmt.Fprintf(&b, "%s → %s%s\n", q.ID, strings.Join(q.SinkKafkaTopics, " "), state)
	}
	return b.String()
}

// begin lets the reader read what there is of the topics that the file counts.
func (e *edit) begin(d *datadriven.TestData) {
	var topics []string
	if d.HasArg("read") {
		d.ScanArgs(e.t, "read", &topics)
	}
	for i, topic := range topics {
		topics[i] = e.name + "-" + topic
	}
	e.readTopics(topics...)
}

func (e *edit) readTopics(topics ...string) {
	for _, topic := range topics {
		var at offsets
		err := await(e.ctx(), 20*time.Millisecond, func() (bool, error) {
			rows, end := e.records(topic, nil)
			at = end
			return len(rows) > 30, nil
		})
		require.NoError(e.t, err, "topic %s", topic)
		require.NoError(e.t, e.kafka.seed(e.ctx(), e.group(topic), at.only(topic)))
		e.read[topic] = true
	}
}

func (e *edit) group(topic string) string { return "reader-of-" + topic }

type row struct {
	key   string
	value map[string]json.Number
}

// records are a topic's from offsets on, to its end, which is returned too.
func (e *edit) records(topic string, from offsets) ([]row, offsets) {
	ctx := e.ctx()
	ends, err := e.kafka.ends(ctx, topic)
	require.NoError(e.t, err)
	at, left := map[int32]kgo.Offset{}, 0
	for p, end := range ends[topic] {
		if from[topic][p] < end {
			at[p] = kgo.NewOffset().At(from[topic][p])
			left++
		}
	}
	if left == 0 {
		return nil, ends
	}
	cl, err := kgo.NewClient(kgo.SeedBrokers(e.broker), kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: at}),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.KeepControlRecords())
	require.NoError(e.t, err)
	defer cl.Close()
	var out []row
	for left > 0 {
		fetches := cl.PollFetches(ctx)
		require.NoError(e.t, fetches.Err())
		fetches.EachRecord(func(r *kgo.Record) {
			end := ends[topic][r.Partition]
			if r.Offset >= end {
				return
			}
			if r.Offset == end-1 {
				left--
			}
			if r.Attrs.IsControl() || r.Value == nil {
				return
			}
			got := row{key: string(r.Key), value: map[string]json.Number{}}
			var fields map[string]any
			dec := json.NewDecoder(strings.NewReader(string(r.Value)))
			dec.UseNumber()
			require.NoError(e.t, dec.Decode(&fields))
			for k, v := range fields {
				if n, ok := v.(json.Number); ok {
					got.value[k] = n
				}
			}
			out = append(out, got)
		})
	}
	return out, ends
}

// follow is everything that the reader gets: the old topic to its end, then the
// new version's from where its group was moved to.
func (e *edit) follow(topic string) (rows []row, over string) {
	rows, _ = e.records(topic, nil)
	at, err := e.kafka.committed(e.ctx(), e.group(topic))
	require.NoError(e.t, err)
	for next := range at {
		if next == topic {
			continue
		}
		more, _ := e.records(next, at)
		rows, over = append(rows, more...), next
	}
	return rows, over
}

// count checks that each number came out once.
func (e *edit) count(d *datadriven.TestData) string {
	topic, old, next, plus := "", "", "", "none"
	d.ScanArgs(e.t, "topic", &topic)
	d.ScanArgs(e.t, "old", &old)
	d.ScanArgs(e.t, "new", &next)
	if d.HasArg("plus") {
		d.ScanArgs(e.t, "plus", &plus)
	}
	return e.counted(e.name+"-"+topic, old, next, plus, d.HasArg("counts"))
}

func (e *edit) counted(topic, old, next, plus string, counts bool) string {
	last, part := e.producer.state()
	was, is, more := condition(e.t, old), condition(e.t, next), condition(e.t, plus)
	result, over := "", ""
	err := await(e.ctx(), 100*time.Millisecond, func() (bool, error) {
		var rows []row
		rows, over = e.follow(topic)
		seen := make([]int, last+1)
		for _, r := range rows {
			n, err := strconv.Atoi(string(r.value["N"]))
			if err != nil {
				return false, fmt.Errorf("a record without N: %v", r)
			}
			if n <= last {
				seen[n]++
			}
		}
		for n := 1; n <= last; n++ {
			seen[n] -= more(n)
		}
		lost, doubled := cutOf(seen, part, was, is)
		result = fmt.Sprintf("lost %d, doubled %d", lost, doubled)
		if counts {
			result += ", gaps in the counts " + strconv.Itoa(gaps(rows))
		}
		return lost == 0, nil
	})
	if err != nil && !errors.Is(err, context.DeadlineExceeded) {
		return err.Error()
	}
	if over != "" {
		result += "; the reader has gone over to " + over
	}
	return result
}

// condition of a number: a is its last digit.
func condition(t *testing.T, text string) func(n int) int {
	yes := func(b bool) int {
		if b {
			return 1
		}
		return 0
	}
	switch text {
	case "all":
		return func(int) int { return 1 }
	case "none":
		return func(int) int { return 0 }
	}
	if limit, ok := strings.CutPrefix(text, "a>="); ok {
		l, err := strconv.Atoi(limit)
		require.NoError(t, err)
		return func(n int) int { return yes(n%10 >= l) }
	}
	limit, ok := strings.CutPrefix(text, "a<")
	require.True(t, ok, text)
	l, err := strconv.Atoi(limit)
	require.NoError(t, err)
	return func(n int) int { return yes(n%10 < l) }
}

// cutOf finds, for each partition, the place where the new SQL took over from the
// old, and counts what then is missing and what is too much.
func cutOf(seen, part []int, old, next func(int) int) (lost, doubled int) {
	for p := range 2 {
		var numbers []int
		for n := 1; n < len(seen); n++ {
			if part[n] == p {
				numbers = append(numbers, n)
			}
		}
		// wrong(c): numbers before place c by the old condition, from there by the new.
		type wrong struct{ lost, doubled int }
		before, after := wrong{}, wrong{}
		note := func(w *wrong, n, want, sign int) {
			if d := want - seen[n]; d > 0 {
				w.lost += sign * d
			} else {
				w.doubled -= sign * d
			}
		}
		for _, n := range numbers {
			note(&after, n, next(n), 1)
		}
		best := wrong{after.lost, after.doubled}
		for _, n := range numbers {
			note(&after, n, next(n), -1)
			note(&before, n, old(n), 1)
			if w := (wrong{before.lost + after.lost, before.doubled + after.doubled}); w.lost+w.doubled < best.lost+best.doubled {
				best = w
			}
		}
		lost, doubled = lost+best.lost, doubled+best.doubled
	}
	return lost, doubled
}

// gaps counts the rows whose C isn't one more than their key's before.
func gaps(rows []row) int {
	last, n := map[string]int{}, 0
	for _, r := range rows {
		c, err := strconv.Atoi(string(r.value["C"]))
		if err != nil || c != last[r.key]+1 {
			n++
		}
		last[r.key] = c
	}
	return n
}
