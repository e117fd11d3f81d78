package exec_test

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/sidestream/sidestream/sidecar/engine/plan"
	"github.com/sidestream/sidestream/sidecar/engine/schema"
	"github.com/sidestream/sidestream/sidecar/engine/types"
)

// Plans as text, for the test files. A line is a step:
//
//	name = kind inputs… option=value…
//
// Expressions are lists: (= STATE 'OPEN'), (+ N 1), (cast N STRING), (fn UCASE S).

type planText struct {
	steps  map[string]plan.Node
	stores int
}

type line struct {
	name, kind string
	in         []plan.Node
	opts       map[string]string
}

func parsePlan(text string) (root plan.Node, err error) {
	defer func() {
		if e := recover(); e != nil {
			err = fmt.Errorf("%v", e)
		}
	}()
	p := &planText{steps: map[string]plan.Node{}}
	for _, s := range strings.Split(strings.TrimSpace(text), "\n") {
		l := p.parseLine(s)
		root = p.node(l)
		p.steps[l.name] = root
	}
	return root, nil
}

func (p *planText) parseLine(s string) line {
	name, rest, ok := strings.Cut(s, " = ")
	if !ok {
		panic("no name: " + s)
	}
	words := splitWords(rest)
	l := line{name: strings.TrimSpace(name), kind: words[0], opts: map[string]string{}}
	for _, w := range words[1:] {
		if k, v, ok := strings.Cut(w, "="); ok && !strings.HasPrefix(w, "(") {
			l.opts[k] = v
		} else if n := p.steps[w]; n != nil {
			l.in = append(l.in, n)
		} else {
			l.opts[w] = "yes"
		}
	}
	return l
}

// splitWords cuts at blanks outside of parentheses and quotes.
func splitWords(s string) (words []string) {
	depth, quoted, start := 0, false, -1
	for i, c := range s + " " {
		if c == ' ' && depth == 0 && !quoted {
			if start >= 0 {
				words = append(words, s[start:i])
			}
			start = -1
			continue
		}
		if start < 0 {
			start = i
		}
		switch {
		case c == '\'':
			quoted = !quoted
		case c == '(' && !quoted:
			depth++
		case c == ')' && !quoted:
			depth--
		}
	}
	return words
}

func (p *planText) store(kind plan.StoreKind, retention int64) *plan.Store {
	p.stores++
	return &plan.Store{Name: "store" + strconv.Itoa(p.stores), Kind: kind, Retention: retention}
}

func (l line) ms(name string, missing int64) int64 {
	if v, ok := l.opts[name]; ok {
		n, err := strconv.ParseInt(v, 10, 64)
		if err != nil {
			panic(err)
		}
		return n
	}
	return missing
}

func (l line) has(name string) bool { return l.opts[name] != "" }

var (
	kafkaFormat = plan.Format{Name: "KAFKA", Unwrapped: true}
	jsonFormat  = plan.Format{Name: "JSON"}
)

func (p *planText) node(l line) plan.Node {
	out := plan.Output{Name: l.name}
	if len(l.in) > 0 {
		o := l.in[0].Out()
		out.Schema, out.Table, out.Window, out.WindowSize = o.Schema, o.Table, o.Window, o.WindowSize
	}
	switch l.kind {
	case "stream", "table":
		out.Schema = schema.Schema{Key: columnsOf(l.opts["key"]), Value: columnsOf(l.opts["value"])}
		out.Table = l.kind == "table"
		switch l.opts["window"] {
		case "time":
			out.Window, out.WindowSize = plan.TimeWindow, l.ms("size", 0)
		case "session":
			out.Window = plan.SessionWindow
		}
		n := &plan.Source{Output: out, Topic: l.opts["topic"], SourceName: l.name, KeyFormat: kafkaFormat, ValueFormat: jsonFormat,
			KeyColumns: out.Schema.Key, ValueColumns: out.Schema.Value}
		if l.has("store") {
			n.Store = p.store(plan.KeyValueStore, 0)
		}
		if t := l.opts["timestamp"]; t != "" {
			n.Timestamp = &plan.Timestamp{Column: *expr(t, &out).(*plan.Column)}
		}
		return n
	case "filter":
		return &plan.Filter{Output: out, Input: l.in[0], Pred: expr(l.opts["pred"], l.in[0].Out())}
	case "project":
		n := &plan.Project{Output: out, Input: l.in[0]}
		n.Schema.Value = nil
		n.Values = p.named(l.opts["values"], l.in[0].Out(), &n.Schema.Value)
		return n
	case "rekey":
		n := &plan.Rekey{Output: out, Input: l.in[0]}
		n.Schema.Key = nil
		n.Keys = p.named(l.opts["keys"], l.in[0].Out(), &n.Schema.Key)
		return n
	case "groupby":
		n := &plan.GroupBy{Output: out, Input: l.in[0]}
		n.Schema.Key = nil
		n.Keys = p.named(l.opts["keys"], l.in[0].Out(), &n.Schema.Key)
		return n
	case "repartition":
		return &plan.Repartition{Output: out, Input: l.in[0], Topic: l.opts["topic"], KeyFormat: kafkaFormat, ValueFormat: jsonFormat, Changes: l.has("changes")}
	case "flatmap":
		n := &plan.FlatMap{Output: out, Input: l.in[0]}
		n.Schema.Value = append([]schema.Column(nil), out.Schema.Value...)
		for i, e := range list(l.opts["calls"]) {
			words := list(e)
			n.Functions = append(n.Functions, plan.TableCall{Name: words[0], Args: exprs(words[1:], l.in[0].Out()), Type: types.TString})
			n.Schema.Value = append(n.Schema.Value, schema.Column{Name: "F" + strconv.Itoa(i), Type: types.TString})
		}
		return n
	case "aggregate":
		return p.aggregate(l, out)
	case "ssjoin":
		n := &plan.StreamStreamJoin{Output: out, Left: l.in[0], Right: l.in[1], Type: joinType(l), Before: l.ms("before", 0), After: l.ms("after", 0),
			Grace: l.ms("grace", -1), LeftStore: p.store(plan.WindowStore, 0), RightStore: p.store(plan.WindowStore, 0)}
		if n.Grace >= 0 && n.Type != plan.Inner {
			n.OuterStore = p.store(plan.KeyValueStore, 0)
		}
		n.Schema.Value = both(l)
		return n
	case "stjoin":
		n := &plan.StreamTableJoin{Output: out, Left: l.in[0], Right: l.in[1], Type: joinType(l)}
		n.Schema.Value = both(l)
		return n
	case "ttjoin":
		n := &plan.TableTableJoin{Output: out, Left: l.in[0], Right: l.in[1], Type: joinType(l)}
		n.Schema.Value = both(l)
		return n
	case "fkjoin":
		n := &plan.ForeignKeyJoin{Output: out, Left: l.in[0], Right: l.in[1], Type: joinType(l), Subscriptions: p.store(plan.KeyValueStore, 0),
			ForeignKey: expr(l.opts["on"], l.in[0].Out())}
		n.Schema.Value = both(l)
		return n
	case "materialize":
		return &plan.Materialize{Output: out, Input: l.in[0], Store: p.store(plan.KeyValueStore, 0)}
	case "sink":
		n := &plan.Sink{Output: out, Input: l.in[0], SinkName: l.opts["topic"], Topic: l.opts["topic"], KeyFormat: kafkaFormat, ValueFormat: jsonFormat}
		if t := l.opts["timestamp"]; t != "" {
			n.Timestamp = &plan.Timestamp{Column: *expr(t, &out).(*plan.Column)}
		}
		return n
	case "emit":
		return &plan.Emit{Output: out, Input: l.in[0]}
	}
	panic("unknown step " + l.kind)
}

func (p *planText) aggregate(l line, out plan.Output) plan.Node {
	in := l.in[0].Out()
	n := &plan.Aggregate{Output: out, Input: l.in[0], FromTable: in.Table, Final: l.has("final")}
	n.Table = true
	n.Schema.Value = nil
	n.Carried = p.named(l.opts["carried"], in, &n.Schema.Value)
	for i, e := range list(l.opts["calls"]) {
		words := list(e)
		t := types.TBigint
		if words[0] == "LATEST" {
			t = types.TString
		}
		n.Calls = append(n.Calls, plan.AggregateCall{Name: words[0], Args: exprs(words[1:], in), Type: t})
		n.Schema.Value = append(n.Schema.Value, schema.Column{Name: words[0] + strconv.Itoa(i), Type: t})
	}
	kind := plan.KeyValueStore
	if size := l.ms("size", 0); size > 0 {
		n.Output.Window, n.WindowSize = plan.TimeWindow, size
		n.Window = &plan.Window{Kind: plan.TimeWindow, Size: size, Advance: l.ms("advance", size), Hopping: l.has("advance"),
			Grace: l.ms("grace", 0), Retention: l.ms("retention", 0)}
		kind = plan.WindowStore
	}
	if gap := l.ms("gap", 0); gap > 0 {
		n.Output.Window = plan.SessionWindow
		n.Window = &plan.Window{Kind: plan.SessionWindow, Size: gap, Grace: l.ms("grace", 0), Retention: l.ms("retention", 0)}
		kind = plan.SessionStore
	}
	n.Store = p.store(kind, 0)
	return n
}

func joinType(l line) plan.JoinType {
	return map[string]plan.JoinType{"": plan.Inner, "inner": plan.Inner, "left": plan.Left, "right": plan.Right, "full": plan.Full}[l.opts["type"]]
}

func both(l line) []schema.Column {
	out := append([]schema.Column(nil), l.in[0].Out().Schema.Value...)
	return append(out, l.in[1].Out().Schema.Value...)
}

// columnsOf reads A:STRING,B:BIGINT.
func columnsOf(s string) (cols []schema.Column) {
	for _, c := range strings.Split(s, ",") {
		if name, t, ok := strings.Cut(c, ":"); ok {
			cols = append(cols, schema.Column{Name: name, Type: typeOf(t)})
		}
	}
	return cols
}

func typeOf(s string) types.Type {
	return map[string]types.Type{"STRING": types.TString, "BIGINT": types.TBigint, "INTEGER": types.TInteger, "DOUBLE": types.TDouble,
		"BOOLEAN": types.TBoolean, "DECIMAL": types.TDecimal(10, 2), "TIMESTAMP": types.TTimestamp, "BIGINTS": types.TArray(types.TBigint)}[s]
}

// named reads a list of (NAME expression) and appends its columns.
func (p *planText) named(s string, in *plan.Output, cols *[]schema.Column) (out []plan.Expr) {
	for _, item := range list(s) {
		words := list(item)
		e := expr(words[1], in)
		out = append(out, e)
		*cols = append(*cols, schema.Column{Name: words[0], Type: e.ResultType()})
	}
	return out
}

func list(s string) []string {
	s = strings.TrimSpace(s)
	if s == "" {
		return nil
	}
	return splitWords(strings.TrimSuffix(strings.TrimPrefix(s, "("), ")"))
}

func exprs(words []string, in *plan.Output) (out []plan.Expr) {
	for _, w := range words {
		out = append(out, expr(w, in))
	}
	return out
}

func expr(s string, in *plan.Output) plan.Expr {
	if strings.HasPrefix(s, "(") {
		return compound(list(s), in)
	}
	switch {
	case strings.HasPrefix(s, "'"):
		return &plan.Literal{Value: types.NewString(strings.Trim(s, "'")), Type: types.TString}
	case s == "NULL":
		return &plan.Literal{Type: types.TNull}
	case s == "ROWTIME":
		return &plan.Pseudo{Kind: plan.RowTime}
	case s == "ROWOFFSET":
		return &plan.Pseudo{Kind: plan.RowOffset}
	case s == "WINDOWSTART":
		return &plan.Pseudo{Kind: plan.WindowStart}
	}
	if n, err := strconv.ParseInt(s, 10, 64); err == nil {
		return &plan.Literal{Value: types.NewBigint(n), Type: types.TBigint}
	}
	if i := in.Schema.FindKey(s); i >= 0 {
		return &plan.Column{Name: s, InKey: true, Index: i, Type: in.Schema.Key[i].Type}
	}
	if i := in.Schema.FindValue(s); i >= 0 {
		return &plan.Column{Name: s, Index: i, Type: in.Schema.Value[i].Type}
	}
	panic("no column " + s)
}

func compound(w []string, in *plan.Output) plan.Expr {
	compare := map[string]plan.CompareOp{"=": plan.Equal, "<>": plan.NotEqual, "<": plan.Less, "<=": plan.LessEqual, ">": plan.Greater,
		">=": plan.GreaterEqual, "distinct": plan.IsDistinctFrom, "same": plan.IsNotDistinctFrom}
	arith := map[string]plan.ArithOp{"+": plan.Add, "-": plan.Subtract, "*": plan.Multiply, "/": plan.Divide, "%": plan.Modulus}
	switch w[0] {
	case "fn":
		t := types.TString
		if w[1] == "FAIL" {
			t = types.TBigint
		}
		return &plan.Call{Name: w[1], Args: exprs(w[2:], in), Type: t}
	case "cast":
		return &plan.Cast{X: expr(w[1], in), Type: typeOf(w[2])}
	}
	a := exprs(w[1:], in)
	if op, ok := compare[w[0]]; ok {
		return &plan.Compare{Op: op, L: a[0], R: a[1]}
	}
	if op, ok := arith[w[0]]; ok {
		t := a[0].ResultType()
		if a[1].ResultType().Kind > t.Kind {
			t = a[1].ResultType()
		}
		return &plan.Arith{Op: op, L: a[0], R: a[1], Type: t}
	}
	switch w[0] {
	case "and":
		return &plan.And{L: a[0], R: a[1]}
	case "or":
		return &plan.Or{L: a[0], R: a[1]}
	case "not":
		return &plan.Not{X: a[0]}
	case "null":
		return &plan.IsNull{X: a[0]}
	case "in":
		return &plan.In{X: a[0], List: a[1:]}
	case "between":
		return &plan.Between{X: a[0], Low: a[1], High: a[2]}
	case "like":
		return &plan.Like{X: a[0], Pattern: a[1]}
	case "neg":
		return &plan.Negate{X: a[0]}
	case "array":
		return &plan.MakeArray{Items: a, Type: types.TArray(a[0].ResultType())}
	case "at":
		return &plan.Subscript{X: a[0], Index: a[1], Type: *a[0].ResultType().Elem}
	case "case":
		return &plan.Case{Whens: []plan.When{{Cond: a[0], Result: a[1]}}, Else: a[2], Type: a[1].ResultType()}
	}
	panic("unknown expression " + w[0])
}
