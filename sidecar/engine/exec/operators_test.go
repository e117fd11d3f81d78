package exec_test

import (
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
	"github.com/stretchr/testify/require"

	"github.com/sidestream/sidestream/sidecar/engine/driver"
	"github.com/sidestream/sidestream/sidecar/engine/exec"
	"github.com/sidestream/sidestream/sidecar/engine/plan"
	"github.com/sidestream/sidestream/sidecar/engine/types"
)

// TestOperators runs the files in testdata/operators:
//
//	plan [name=value…]     a plan (plantext_test.go), with settings
//	in                     records: topic key value time [header=value]; what comes
//	                       out of it and what is logged is the result. "null" is null.
//	lookup [store]         the rows that a pull query finds (of the aggregate or
//	                       materialize step called so)
//	restart                flushes the tasks and builds new ones on their stores
//
// Keys are STRING, or BIGINT where they are numbers; a window follows its key
// as key@start or key@start-end.
func TestOperators(t *testing.T) {
	datadriven.Walk(t, "testdata/operators", func(t *testing.T, path string) {
		b := &bench{}
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			switch d.Cmd {
			case "plan":
				return b.plan(t, d)
			case "in":
				for _, l := range strings.Split(d.Input, "\n") {
					if err := b.pipe(t, l); err != nil {
						fmt.Fprintf(&b.out, "error: %v\n", err)
					}
				}
				return b.take()
			case "clock":
				ms, err := strconv.ParseInt(d.CmdArgs[0].Key, 10, 64)
				require.NoError(t, err)
				b.query.AdvanceWallClock(ms)
				return ""
			case "lookup":
				return b.lookup(t, d)
			case "restart":
				require.NoError(t, b.query.Restart())
				return ""
			}
			t.Fatalf("unknown command %s", d.Cmd)
			return ""
		})
	})
}

type bench struct {
	root   plan.Node
	driver *driver.Driver
	query  *driver.Query
	read   int
	out    strings.Builder
}

func (b *bench) plan(t *testing.T, d *datadriven.TestData) string {
	config := map[string]string{}
	for _, a := range d.CmdArgs {
		config[a.Key] = strings.Join(a.Vals, ",")
	}
	root, err := parsePlan(d.Input)
	require.NoError(t, err)
	b.root, b.read = root, 0
	b.out.Reset()
	b.driver = driver.New(driver.Options{Functions: testFunctions{}, Config: config, OnProblem: func(_ string, p exec.Problem) {
		fmt.Fprintf(&b.out, "log %s %s: %s\n", p.Type, p.Logger, p.Message)
	}})
	b.query, err = b.driver.AddQuery(&plan.Query{ID: "Q", Root: root})
	if err != nil {
		return "error: " + err.Error()
	}
	b.query.OnRow = func(r *exec.Row) error {
		fmt.Fprintf(&b.out, "row %s\n", rowText(b.root.Out(), r))
		return nil
	}
	return ""
}

func (b *bench) pipe(t *testing.T, l string) error {
	w := splitWords(l)
	require.GreaterOrEqual(t, len(w), 4, l)
	ms, err := strconv.ParseInt(w[3], 10, 64)
	require.NoError(t, err, l)
	r := driver.Record{Time: ms, Key: keyBytes(w[1])}
	if w[2] != "null" {
		r.Value = []byte(w[2])
	}
	for _, h := range w[4:] {
		k, v, _ := strings.Cut(h, "=")
		r.Headers = append(r.Headers, exec.Header{Key: k, Value: []byte(v)})
	}
	return b.driver.Pipe(w[0], r)
}

// take is what came out since it was last called.
func (b *bench) take() string {
	if sink, ok := b.root.(*plan.Sink); ok {
		all := b.driver.Read(sink.Topic)
		for _, r := range all[b.read:] {
			fmt.Fprintf(&b.out, "%s %s %d%s\n", keyText(sink, r.Key), valueText(r.Value), r.Time, headerText(r.Headers))
		}
		b.read = len(all)
	}
	s := b.out.String()
	b.out.Reset()
	return s
}

func headerText(hs []exec.Header) (s string) {
	for _, h := range hs {
		s += " " + h.Key + "=" + string(h.Value)
	}
	return s
}

func keyBytes(s string) []byte {
	key, window, windowed := strings.Cut(s, "@")
	var b []byte
	switch n, err := strconv.ParseInt(key, 10, 64); {
	case key == "null":
		return nil
	case err == nil:
		b = binary.BigEndian.AppendUint64(nil, uint64(n))
	default:
		b = []byte(key)
	}
	if windowed {
		first, second, session := strings.Cut(window, "-")
		if session {
			end, _ := strconv.ParseInt(second, 10, 64)
			b = binary.BigEndian.AppendUint64(b, uint64(end))
		}
		start, _ := strconv.ParseInt(first, 10, 64)
		b = binary.BigEndian.AppendUint64(b, uint64(start))
	}
	return b
}

func keyText(n *plan.Sink, key []byte) string {
	if key == nil {
		return "null"
	}
	window := ""
	word := func(b []byte) int64 { return int64(binary.BigEndian.Uint64(b)) }
	switch n.Window {
	case plan.TimeWindow:
		window = fmt.Sprintf("@%d", word(key[len(key)-8:]))
		key = key[:len(key)-8]
	case plan.SessionWindow:
		window = fmt.Sprintf("@%d-%d", word(key[len(key)-8:]), word(key[len(key)-16:]))
		key = key[:len(key)-16]
	}
	if len(n.Schema.Key) > 0 && n.Schema.Key[0].Type.Kind == types.Bigint {
		return fmt.Sprint(word(key)) + window
	}
	return string(key) + window
}

func valueText(v []byte) string {
	if v == nil {
		return "null"
	}
	return string(v)
}

func rowText(o *plan.Output, r *exec.Row) string {
	text := func(vs []types.Value) string {
		parts := make([]string, len(vs))
		for i, v := range vs {
			parts[i] = types.Text(v, types.Type{})
		}
		return strings.Join(parts, ",")
	}
	s := text(r.Key)
	if r.Window != (exec.Window{}) {
		s += fmt.Sprintf("@%d-%d", r.Window.Start, r.Window.End)
	}
	if r.Value == nil {
		return fmt.Sprintf("%s null %d", s, r.Time)
	}
	return fmt.Sprintf("%s (%s) %d", s, text(r.Value), r.Time)
}

func (b *bench) lookup(t *testing.T, d *datadriven.TestData) string {
	sel := exec.Everything()
	m := &plan.Materialized{}
	number := func(s string) int64 {
		n, err := strconv.ParseInt(s, 10, 64)
		require.NoError(t, err)
		return n
	}
	key := func(s string) types.Value {
		if n, err := strconv.ParseInt(s, 10, 64); err == nil {
			return types.NewBigint(n)
		}
		return types.NewString(s)
	}
	for _, a := range d.CmdArgs {
		switch a.Key {
		case "key":
			for _, v := range a.Vals {
				sel.Keys = append(sel.Keys, []types.Value{key(v)})
			}
		case "low":
			sel.Low = &exec.KeyBound{Value: key(a.Vals[0]), Inclusive: true}
		case "above":
			sel.Low = &exec.KeyBound{Value: key(a.Vals[0])}
		case "high":
			sel.High = &exec.KeyBound{Value: key(a.Vals[0]), Inclusive: true}
		case "below":
			sel.High = &exec.KeyBound{Value: key(a.Vals[0])}
		case "start":
			sel.StartFrom, sel.StartTo = number(a.Vals[0]), number(a.Vals[1])
		default:
			b.find(b.root, a.Key, m)
		}
	}
	require.NotNil(t, m.Store, "which step?")
	b.query.Plan().Materialized = m
	var s strings.Builder
	require.NoError(t, b.query.Lookup(sel, func(r *exec.Row) bool {
		fmt.Fprintln(&s, rowText(b.root.Out(), r))
		return true
	}))
	return s.String()
}

// find makes m the lookup of the step of that name, with the steps behind it.
func (b *bench) find(n plan.Node, name string, m *plan.Materialized) bool {
	if n.Out().Name == name {
		switch n := n.(type) {
		case *plan.Aggregate:
			m.Store = n.Store
		case *plan.Materialize:
			m.Store = n.Store
		case *plan.Source:
			m.Store = n.Store
		}
		m.Stored = n.Out()
		return true
	}
	for _, in := range n.Inputs() {
		if b.find(in, name, m) {
			switch n.(type) {
			case *plan.Filter, *plan.Project:
				m.Steps = append(m.Steps, n)
			}
			return true
		}
	}
	return false
}
