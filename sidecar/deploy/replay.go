package deploy

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/sidestream/sidestream/sidecar/engine/catalog"
	"github.com/sidestream/sidestream/sidecar/engine/driver"
	"github.com/sidestream/sidestream/sidecar/engine/exec"
	"github.com/sidestream/sidestream/sidecar/engine/function"
	"github.com/sidestream/sidestream/sidecar/engine/sqltest"
)

// Replayed is what changed SQL makes of recorded records, compared with what the
// SQL before makes of them.
type Replayed struct {
	// Records that went in.
	Records int            `json:"records"`
	Outputs []ReplayOutput `json:"outputs"`
	// Problems that only the new SQL has with the records, and how often.
	Problems map[string]int `json:"problems,omitempty"`
}

// ReplayOutput is one stream or table.
type ReplayOutput struct {
	Name string `json:"name"`
	// Only is "before" or "after" where the other SQL doesn't have it.
	Only string `json:"only,omitempty"`
	// Before and After are records that came out, Same those that came out of both.
	Before int `json:"before"`
	After  int `json:"after"`
	Same   int `json:"same"`
	// Added and Removed columns; records are compared without them.
	Added   []string `json:"addedColumns,omitempty"`
	Removed []string `json:"removedColumns,omitempty"`
	// Changed counts, by column, the records of one key and time that both give, with
	// another value in it.
	Changed map[string]int `json:"changedColumns,omitempty"`
	// Diff are the records that differ: those of one key and time side by side.
	Diff []ReplayDiff `json:"diff,omitempty"`
}

// ReplayDiff is a record that only one SQL gives: Sign is "-" for the SQL before,
// "+" for the new one.
type ReplayDiff struct {
	Sign   string `json:"sign"`
	Record string `json:"record"`
}

// Differs tells whether anything came out otherwise.
func (r *Replayed) Differs() bool {
	return slices.ContainsFunc(r.Outputs, func(o ReplayOutput) bool {
		return len(o.Diff) > 0 || o.Only != "" || len(o.Added)+len(o.Removed) > 0
	})
}

// InputTopics are the topics that a folder reads and doesn't write itself.
func InputTopics(f *Folder) ([]string, error) {
	w := newWorld(nil, nil, false)
	meant, err := f.learn(w)
	if err != nil {
		return nil, err
	}
	written := map[string]bool{}
	for _, s := range f.Statements {
		if m := meant[s]; m != nil && s.query() != nil {
			if target, ok := w.catalog.Source(s.Name); ok {
				written[target.Topic] = true
			}
		}
	}
	read := map[string]bool{}
	for _, m := range meant {
		for _, t := range topicsRead(m.plan) {
			if !written[t] {
				read[t] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(read)), nil
}

// Replay runs recorded records through two folders' SQL, in memory, and compares
// what comes out. The records go in by their times, each partition in its order.
func Replay(ctx context.Context, before, after *Folder, rec *Recording) (*Replayed, error) {
	inputs, err := InputTopics(after)
	if err != nil {
		return nil, err
	}
	partitions, err := inputPartitions(after.Dir, inputs, rec)
	if err != nil {
		return nil, err
	}
	records := byTime(rec.Records)
	was, err := play(ctx, before, partitions, records)
	if err != nil {
		return nil, fmt.Errorf("the SQL before: %w", err)
	}
	is, err := play(ctx, after, partitions, records)
	if err != nil {
		return nil, err
	}
	out := &Replayed{Records: is.taken, Problems: map[string]int{}}
	for text, n := range is.problems {
		if n > was.problems[text] {
			out.Problems[text] = n - was.problems[text]
		}
	}
	for _, name := range slices.Compact(slices.Sorted(slices.Values(slices.Concat(was.names, is.names)))) {
		o, err := compare(name, was, is)
		if err != nil {
			return nil, err
		}
		out.Outputs = append(out.Outputs, *o)
	}
	return out, nil
}

// inputPartitions are the partitions of the topics that go in. A recording shows
// only those that have a record; topics.yaml knows better, and what neither tells
// is as wide as the widest.
func inputPartitions(dir string, inputs []string, rec *Recording) (map[string]int, error) {
	declared, err := declaredTopics(dir)
	if err != nil {
		return nil, err
	}
	out, widest := map[string]int{}, 1
	for _, t := range inputs {
		out[t] = rec.Partitions[t]
		if declared != nil {
			if n, ok := declared(t); ok {
				out[t] = max(out[t], n)
			}
		}
		widest = max(widest, out[t])
	}
	for t, n := range out {
		if declared != nil {
			if _, ok := declared(t); ok {
				continue
			}
		}
		out[t] = max(n, widest)
	}
	return out, nil
}

// byTime orders records by time, but never against the order of their partition.
func byTime(records []Recorded) []Recorded {
	type place struct {
		topic     string
		partition int32
	}
	queues := map[place][]Recorded{}
	var order []place
	for _, r := range records {
		p := place{r.Topic, r.Partition}
		if queues[p] == nil {
			order = append(order, p)
		}
		queues[p] = append(queues[p], r)
	}
	out := make([]Recorded, 0, len(records))
	for len(out) < len(records) {
		best := -1
		for i, p := range order {
			if q := queues[p]; len(q) > 0 && (best < 0 || q[0].Time < queues[order[best]][0].Time) {
				best = i
			}
		}
		p := order[best]
		out = append(out, queues[p][0])
		queues[p] = queues[p][1:]
	}
	return out
}

// played is what a folder's SQL made of the records.
type played struct {
	driver   *driver.Driver
	sources  map[string]*catalog.Source // what queries write, by name
	names    []string
	taken    int
	problems map[string]int
}

func play(ctx context.Context, f *Folder, partitions map[string]int, records []Recorded) (*played, error) {
	out := &played{sources: map[string]*catalog.Source{}, problems: map[string]int{}}
	out.driver = driver.New(driver.Options{Functions: function.Builtin(), OnProblem: func(query string, p exec.Problem) {
		out.problems[strings.TrimRight(query, "0123456789_")+": "+p.Message]++
	}})
	w := newWorld(nil, func(topic string) (int, bool) { n, ok := partitions[topic]; return n, ok }, false)
	meant, err := f.learn(w)
	if err != nil {
		return nil, err
	}
	for topic, n := range partitions {
		out.driver.CreateTopic(topic, n)
	}
	reads := map[string]bool{}
	for _, s := range f.Statements {
		m := meant[s]
		if m == nil || m.plan == nil {
			continue
		}
		if s.query() != nil {
			target, ok := w.catalog.Source(s.Name)
			if !ok {
				return nil, s.fault("what it writes isn't known")
			}
			out.driver.CreateTopic(target.Topic, max(target.Partitions, 1))
			if out.sources[s.Name] == nil {
				out.names = append(out.names, s.Name)
			}
			out.sources[s.Name] = target
		}
		q, err := out.driver.AddQuery(m.plan)
		if err != nil {
			return nil, s.fault(err.Error())
		}
		for _, t := range q.Topics() {
			reads[t] = true
		}
	}
	for i, r := range records {
		if i%4096 == 0 && ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		if _, goesIn := partitions[r.Topic]; !goesIn || !reads[r.Topic] || out.writes(r.Topic) {
			continue // what the SQL writes itself it makes anew
		}
		rec := driver.Record{Key: r.Key, Value: r.Value, Time: r.Time, Partition: r.Partition}
		for _, h := range r.Headers {
			rec.Headers = append(rec.Headers, exec.Header{Key: h.Key, Value: h.Value})
		}
		if err := out.driver.Pipe(r.Topic, rec); err != nil {
			return nil, err
		}
		out.taken++
	}
	if out.taken == 0 {
		return nil, errors.New("the recording has no record of the topics that the SQL reads")
	}
	return out, nil
}

func (p *played) writes(topic string) bool {
	for _, s := range p.sources {
		if s.Topic == topic {
			return true
		}
	}
	return false
}

// line is a record of an output, by the columns that both sides have.
type line struct {
	text, group string
	columns     []sqltest.ColumnText
}

func compare(name string, was, is *played) (*ReplayOutput, error) {
	old, next := was.sources[name], is.sources[name]
	out := &ReplayOutput{Name: name}
	switch {
	case old == nil:
		out.Only, out.After = "after", len(is.driver.Read(next.Topic))
		return out, nil
	case next == nil:
		out.Only, out.Before = "before", len(was.driver.Read(old.Topic))
		return out, nil
	}
	have := map[string]bool{}
	for _, c := range slices.Concat(next.Schema.Key, next.Schema.Value) {
		have[c.Name] = true
	}
	both := map[string]bool{}
	for _, c := range slices.Concat(old.Schema.Key, old.Schema.Value) {
		if both[c.Name] = have[c.Name]; !have[c.Name] {
			out.Removed = append(out.Removed, c.Name)
		}
	}
	for _, c := range slices.Concat(next.Schema.Key, next.Schema.Value) {
		if !both[c.Name] {
			out.Added = append(out.Added, c.Name)
		}
	}
	for _, c := range []string{"ROWTIME", "WINDOWSTART", "WINDOWEND"} {
		both[c] = true
	}
	a, err := linesOf(was, old, both)
	if err != nil {
		return nil, err
	}
	b, err := linesOf(is, next, both)
	if err != nil {
		return nil, err
	}
	out.Before, out.After = len(a), len(b)
	out.Diff, out.Changed = diffLines(a, b)
	gone := 0
	for _, d := range out.Diff {
		if d.Sign == "-" {
			gone++
		}
	}
	out.Same = len(a) - gone
	return out, nil
}

func linesOf(p *played, src *catalog.Source, only map[string]bool) ([]line, error) {
	keys := map[string]bool{"ROWTIME": true, "WINDOWSTART": true}
	for _, c := range src.Schema.Key {
		keys[c.Name] = true
	}
	var out []line
	for _, r := range p.driver.Read(src.Topic) {
		columns, err := sqltest.Columns(src, r)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", src.Name, err)
		}
		var all, group []string
		var compared []sqltest.ColumnText
		for _, c := range columns {
			text := c.Name + "=" + c.Text
			if only[c.Name] {
				all = append(all, text)
				compared = append(compared, c)
			}
			if keys[c.Name] {
				group = append(group, text)
			}
		}
		text := strings.Join(all, ", ")
		if r.Value == nil {
			text += " (deleted)"
		}
		out = append(out, line{text, strings.Join(group, ", "), compared})
	}
	return out, nil
}

// diffLines gives the lines of which one side has more, in the order of the new
// side, with those of one key and time together; and in which columns these
// differ.
func diffLines(a, b []line) ([]ReplayDiff, map[string]int) {
	left := map[string]int{}
	for _, l := range a {
		left[l.text]++
	}
	var added []line
	for _, l := range b {
		if left[l.text] > 0 {
			left[l.text]--
		} else {
			added = append(added, l)
		}
	}
	removed := map[string][]line{} // by group, the last one first
	var groups []string
	for _, l := range slices.Backward(a) { // the last ones are those too many
		if left[l.text] > 0 {
			left[l.text]--
			if removed[l.group] == nil {
				groups = append(groups, l.group)
			}
			removed[l.group] = append(removed[l.group], l)
		}
	}
	var out []ReplayDiff
	changed := map[string]int{}
	for _, l := range added {
		if r := removed[l.group]; len(r) > 0 {
			old := r[len(r)-1]
			removed[l.group] = r[:len(r)-1]
			out = append(out, ReplayDiff{"-", old.text})
			for i, c := range l.columns {
				if i < len(old.columns) && old.columns[i].Name == c.Name && old.columns[i] != c {
					changed[c.Name]++
				}
			}
		}
		out = append(out, ReplayDiff{"+", l.text})
	}
	for _, group := range slices.Backward(groups) {
		for _, l := range slices.Backward(removed[group]) {
			out = append(out, ReplayDiff{"-", l.text})
		}
	}
	return out, changed
}
