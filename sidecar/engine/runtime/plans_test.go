package runtime

import (
	"fmt"

	"github.com/sidestream/sidestream/sidecar/engine/function"
	"github.com/sidestream/sidestream/sidecar/engine/plan"
	"github.com/sidestream/sidestream/sidecar/engine/schema"
	"github.com/sidestream/sidestream/sidecar/engine/types"
)

// Plans as the analyser makes them, put together by hand.

var (
	kafkaFormat = plan.Format{Name: "KAFKA", Unwrapped: true}
	jsonFormat  = plan.Format{Name: "JSON"}

	orderValue = []schema.Column{{Name: "CUSTOMER", Type: types.TString}, {Name: "AMOUNT", Type: types.TBigint}, {Name: "STATE", Type: types.TString}}
	idKey      = []schema.Column{{Name: "ID", Type: types.TString}}
)

func column(o *plan.Output, name string) plan.Expr {
	if i := o.Schema.FindKey(name); i >= 0 {
		return &plan.Column{Name: name, InKey: true, Index: i, Type: o.Schema.Key[i].Type}
	}
	i := o.Schema.FindValue(name)
	return &plan.Column{Name: name, Index: i, Type: o.Schema.Value[i].Type}
}

func number(n int64) plan.Expr {
	return &plan.Literal{Value: types.NewBigint(n), Type: types.TBigint}
}

func streamOf(name, topic string) *plan.Source {
	return &plan.Source{Output: plan.Output{Name: name, Schema: schema.Schema{Key: idKey, Value: orderValue}},
		Topic: topic, SourceName: name, KeyFormat: kafkaFormat, ValueFormat: jsonFormat, KeyColumns: idKey, ValueColumns: orderValue}
}

func sinkOf(in plan.Node, topic string) *plan.Sink {
	out := *in.Out()
	out.Name = "Sink"
	return &plan.Sink{Output: out, Input: in, SinkName: topic, Topic: topic, KeyFormat: kafkaFormat, ValueFormat: jsonFormat}
}

// filterSteps: SELECT * FROM orders WHERE AMOUNT > 50.
func filterSteps(topic string, above int64) plan.Node {
	src := streamOf("ORDERS", topic)
	out := src.Output
	out.Name = "Filter"
	return &plan.Filter{Output: out, Input: src, Pred: &plan.Compare{Op: plan.Greater, L: column(&src.Output, "AMOUNT"), R: number(above)}}
}

func filterPlan(id, topic, sink string) *plan.Query {
	return &plan.Query{ID: id, Root: sinkOf(filterSteps(topic, 50), sink)}
}

// countSteps: SELECT CUSTOMER, COUNT(*), SUM(AMOUNT) FROM orders GROUP BY CUSTOMER,
// windowed when size is given.
func countSteps(topic string, size int64) *plan.Aggregate {
	src := streamOf("ORDERS", topic)
	key := []schema.Column{{Name: "CUSTOMER", Type: types.TString}}
	group := &plan.GroupBy{Output: plan.Output{Name: "Aggregate-GroupBy", Schema: schema.Schema{Key: key, Value: orderValue}}, Input: src, Keys: []plan.Expr{column(&src.Output, "CUSTOMER")}}
	rep := &plan.Repartition{Output: group.Output, Input: group, Topic: "Aggregate-GroupBy-repartition", KeyFormat: kafkaFormat, ValueFormat: jsonFormat}
	agg := &plan.Aggregate{Output: plan.Output{Name: "Aggregate", Table: true, Schema: schema.Schema{Key: key, Value: []schema.Column{{Name: "N", Type: types.TBigint}, {Name: "TOTAL", Type: types.TBigint}}}},
		Input: rep, Calls: []plan.AggregateCall{
			{Name: "COUNT", Type: types.TBigint, State: types.TBigint},
			{Name: "SUM", Args: []plan.Expr{column(&rep.Output, "AMOUNT")}, Type: types.TBigint, State: types.TBigint},
		}, Store: &plan.Store{Name: "Aggregate-Aggregate-Materialize"}}
	if size > 0 {
		agg.Output.Window, agg.WindowSize = plan.TimeWindow, size
		agg.Window = &plan.Window{Kind: plan.TimeWindow, Size: size, Advance: size, Grace: 1000, Retention: 10 * size}
		agg.Store.Kind, agg.Store.Retention = plan.WindowStore, 10*size
	}
	return agg
}

func countPlan(id, topic, sink string) *plan.Query {
	agg := countSteps(topic, 0)
	return &plan.Query{ID: id, Root: sinkOf(agg, sink), Materialized: &plan.Materialized{Store: agg.Store, Stored: &agg.Output}}
}

// customers is a table kept without a changelog.
func customers() *plan.Source {
	vals := []schema.Column{{Name: "LEVEL", Type: types.TString}}
	return &plan.Source{Output: plan.Output{Name: "CUSTOMERS", Table: true, Schema: schema.Schema{Key: []schema.Column{{Name: "CID", Type: types.TString}}, Value: vals}},
		Topic: "customers", SourceName: "CUSTOMERS", KeyFormat: kafkaFormat, ValueFormat: jsonFormat,
		KeyColumns: []schema.Column{{Name: "CID", Type: types.TString}}, ValueColumns: vals,
		Store: &plan.Store{Name: "KsqlTopic-Reduce", NoChangelog: true}}
}

// joinPlan: SELECT * FROM orders JOIN customers ON CUSTOMER = CID.
func joinPlan(id string) *plan.Query {
	src, table := streamOf("ORDERS", "orders"), customers()
	rekey := &plan.Rekey{Output: plan.Output{Name: "Rekey", Schema: schema.Schema{Key: []schema.Column{{Name: "CUSTOMER", Type: types.TString}}, Value: orderValue}},
		Input: src, Keys: []plan.Expr{column(&src.Output, "CUSTOMER")}}
	rep := &plan.Repartition{Output: rekey.Output, Input: rekey, Topic: "Join-left-repartition", KeyFormat: kafkaFormat, ValueFormat: jsonFormat}
	join := &plan.StreamTableJoin{Output: plan.Output{Name: "Join", Schema: schema.Schema{Key: rekey.Schema.Key, Value: append(append([]schema.Column{}, orderValue...), table.Schema.Value...)}}, Left: rep, Right: table, Type: plan.Left}
	return &plan.Query{ID: id, Root: sinkOf(join, "joined")}
}

// directJoinPlan joins without a repartition topic: orders by customer's key.
func directJoinPlan(id string) *plan.Query {
	src, table := streamOf("ORDERS", "orders"), customers()
	join := &plan.StreamTableJoin{Output: plan.Output{Name: "Join", Schema: schema.Schema{Key: idKey, Value: append(append([]schema.Column{}, orderValue...), table.Schema.Value...)}}, Left: src, Right: table, Type: plan.Left}
	return &plan.Query{ID: id, Root: sinkOf(join, "joined")}
}

// selfJoinPlan joins orders with orders of the same customer, both sides
// repartitioned: two sub-topologies read one topic.
func selfJoinPlan(id string) *plan.Query {
	side := func(n int) plan.Node {
		src := streamOf(fmt.Sprintf("ORDERS%d", n), "orders")
		rekey := &plan.Rekey{Output: plan.Output{Name: fmt.Sprintf("Rekey%d", n), Schema: schema.Schema{Key: []schema.Column{{Name: "CUSTOMER", Type: types.TString}}, Value: orderValue}},
			Input: src, Keys: []plan.Expr{column(&src.Output, "CUSTOMER")}}
		return &plan.Repartition{Output: rekey.Output, Input: rekey, Topic: fmt.Sprintf("Join-%d-repartition", n), KeyFormat: kafkaFormat, ValueFormat: jsonFormat}
	}
	left, right := side(1), side(2)
	join := &plan.StreamStreamJoin{Output: plan.Output{Name: "Join", Schema: schema.Schema{Key: left.Out().Schema.Key, Value: append(append([]schema.Column{}, orderValue...), orderValue...)}},
		Left: left, Right: right, Type: plan.Inner, Before: 20, After: 20, Grace: 1_000_000,
		LeftStore: &plan.Store{Name: "left", Kind: plan.WindowStore}, RightStore: &plan.Store{Name: "right", Kind: plan.WindowStore}}
	return &plan.Query{ID: id, Root: sinkOf(join, "pairs")}
}

// sourceTablePlan keeps a topic so that it can be looked up: CREATE SOURCE TABLE.
func sourceTablePlan(id string) *plan.Query {
	t := customers()
	return &plan.Query{ID: id, Root: t, Materialized: &plan.Materialized{Store: t.Store, Stored: &t.Output}}
}

// functions are COUNT and SUM.
type functions struct{ function.Registry }

func (functions) ResolveAggregate(name string, _ []types.Type, _ []types.Value) (function.Aggregator, error) {
	switch name {
	case "COUNT":
		return adder{one: true}, nil
	case "SUM":
		return adder{}, nil
	}
	return nil, fmt.Errorf("no aggregate function %s", name)
}

type adder struct{ one bool }

func (adder) State() types.Type  { return types.TBigint }
func (adder) Result() types.Type { return types.TBigint }
func (adder) Init() types.Value  { return types.NewBigint(0) }
func (a adder) Add(s types.Value, args []types.Value) (types.Value, error) {
	if a.one {
		return types.NewBigint(s.Int() + 1), nil
	}
	return types.NewBigint(s.Int() + args[0].Int()), nil
}
func (adder) Merge(a, b types.Value) (types.Value, error) {
	return types.NewBigint(a.Int() + b.Int()), nil
}
func (adder) Final(s types.Value) (types.Value, error) { return s, nil }
