package plan

import (
	"fmt"
	"sort"
	"strings"
	"time"

	"github.com/sidestream/sidestream/sidecar/engine/schema"
	"github.com/sidestream/sidestream/sidecar/engine/types"
)

// Dump is the query as text that changes only when the plan does: a line a
// node, the last first, inputs indented. Golden tests compare it.
func Dump(q *Query) string {
	d := dumper{seen: map[Node]bool{}}
	d.node(q.Root, 0)
	if m := q.Materialized; m != nil {
		fmt.Fprintf(&d.b, "materialized: %s [%s]%s\n", m.Store.Name, rowText(&m.Stored.Schema), windowText(m.Stored))
		for _, s := range m.Steps {
			d.line(s, 1)
		}
	}
	return d.b.String()
}

type dumper struct {
	b    strings.Builder
	seen map[Node]bool
}

func (d *dumper) node(n Node, depth int) {
	if d.seen[n] {
		fmt.Fprintf(&d.b, "%s%s (as above)\n", strings.Repeat("  ", depth), n.Out().Name)
		return
	}
	d.seen[n] = true
	d.line(n, depth)
	for _, in := range n.Inputs() {
		d.node(in, depth+1)
	}
}

func (d *dumper) line(n Node, depth int) {
	out := n.Out()
	d.b.WriteString(strings.Repeat("  ", depth))
	d.b.WriteString(strings.TrimPrefix(fmt.Sprintf("%T", n), "*plan."))
	d.b.WriteString(" " + out.Name)
	if out.Table {
		d.b.WriteString(" table")
	}
	d.b.WriteString(windowText(out))
	if detail := detail(n); detail != "" {
		d.b.WriteString(" " + detail)
	}
	d.b.WriteString(" [" + rowText(&out.Schema) + "]\n")
}

func windowText(o *Output) string {
	switch o.Window {
	case TimeWindow:
		return " time-window=" + millis(o.WindowSize)
	case SessionWindow:
		return " session-window"
	}
	return ""
}

// detail is what a node has beside its output.
func detail(n Node) string {
	switch n := n.(type) {
	case *Source:
		text := fmt.Sprintf("topic=%s key=%s value=%s", n.Topic, formatText(n.KeyFormat), formatText(n.ValueFormat))
		if n.Used != nil {
			text += fmt.Sprintf(" columns=%d/%d", count(n.Used), len(n.Used))
		}
		return text + timestampText(n.Timestamp) + storeText("store", n.Store)
	case *Filter:
		return "where=" + Text(n.Pred)
	case *Project:
		return "values=(" + texts(n.Values) + ")"
	case *FlatMap:
		parts := make([]string, len(n.Functions))
		for i, f := range n.Functions {
			parts[i] = f.Name + "(" + texts(f.Args) + ")"
		}
		return "functions=(" + strings.Join(parts, ", ") + ")"
	case *Rekey:
		return "keys=(" + texts(n.Keys) + ")"
	case *GroupBy:
		return "keys=(" + texts(n.Keys) + ")"
	case *Repartition:
		text := fmt.Sprintf("topic=%s key=%s value=%s", n.Topic, formatText(n.KeyFormat), formatText(n.ValueFormat))
		if n.Changes {
			text += " changes"
		}
		return text
	case *Aggregate:
		return aggregateText(n)
	case *StreamStreamJoin:
		text := fmt.Sprintf("%s before=%s after=%s", n.Type, millis(n.Before), millis(n.After))
		if n.Grace >= 0 {
			text += " grace=" + millis(n.Grace)
		}
		return text + storeText("left", n.LeftStore) + storeText("right", n.RightStore) + storeText("outer", n.OuterStore)
	case *StreamTableJoin:
		return n.Type.String()
	case *TableTableJoin:
		return n.Type.String() + storeText("left", n.LeftStore) + storeText("right", n.RightStore)
	case *ForeignKeyJoin:
		return n.Type.String() + " on=" + Text(n.ForeignKey) + storeText("left", n.LeftStore) +
			storeText("right", n.RightStore) + storeText("subscriptions", n.Subscriptions)
	case *Materialize:
		return strings.TrimPrefix(storeText("store", n.Store), " ")
	case *Sink:
		return fmt.Sprintf("topic=%s key=%s value=%s", n.Topic, formatText(n.KeyFormat), formatText(n.ValueFormat)) + timestampText(n.Timestamp)
	}
	return ""
}

func aggregateText(n *Aggregate) string {
	calls := make([]string, len(n.Calls))
	for i, c := range n.Calls {
		args := texts(c.Args)
		for _, v := range c.Consts {
			args += "; " + types.Text(v, types.Type{Kind: v.Kind()})
		}
		calls[i] = c.Name + "(" + args + ")"
	}
	text := "calls=(" + strings.Join(calls, ", ") + ")"
	if len(n.Carried) > 0 {
		text += " carried=(" + texts(n.Carried) + ")"
	}
	if w := n.Window; w != nil {
		switch {
		case w.Kind == SessionWindow:
			text += " gap=" + millis(w.Size)
		case w.Hopping:
			text += " size=" + millis(w.Size) + " advance=" + millis(w.Advance)
		default:
			text += " size=" + millis(w.Size)
		}
		text += " grace=" + millis(w.Grace) + " retention=" + millis(w.Retention)
	}
	if n.FromTable {
		text += " from-table"
	}
	if n.Final {
		text += " final"
	}
	return text + storeText("store", n.Store)
}

func storeText(label string, s *Store) string {
	if s == nil {
		return ""
	}
	text := " " + label + "=" + s.Name
	if s.Kind != KeyValueStore {
		text += [...]string{"", "(window, ", "(session, "}[s.Kind] + millis(s.Retention) + ")"
	}
	return text
}

func timestampText(t *Timestamp) string {
	switch {
	case t == nil:
		return ""
	case t.Layout != "":
		return " timestamp=" + t.Column.Name + "(" + t.Layout + ")"
	default:
		return " timestamp=" + t.Column.Name
	}
}

func formatText(f Format) string {
	text := f.Name
	names := make([]string, 0, len(f.Props))
	for k := range f.Props {
		names = append(names, k)
	}
	sort.Strings(names)
	for _, k := range names {
		text += "," + k + "=" + f.Props[k]
	}
	if f.Unwrapped {
		text += ",unwrapped"
	}
	return text
}

// rowText is a schema in short: key columns, a bar, value columns.
func rowText(s *schema.Schema) string {
	side := func(cols []schema.Column) string {
		parts := make([]string, len(cols))
		for i, c := range cols {
			parts[i] = c.Name + " " + c.Type.String()
		}
		return strings.Join(parts, ", ")
	}
	return side(s.Key) + " | " + side(s.Value)
}

func millis(ms int64) string { return (time.Duration(ms) * time.Millisecond).String() }

func count(flags []bool) int {
	n := 0
	for _, f := range flags {
		if f {
			n++
		}
	}
	return n
}
