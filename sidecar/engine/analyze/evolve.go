package analyze

import (
	"strings"

	"github.com/sidestream/sidestream/sidecar/engine/ast"
	"github.com/sidestream/sidestream/sidecar/engine/diagnostic"
	"github.com/sidestream/sidestream/sidecar/engine/plan"
	"github.com/sidestream/sidestream/sidecar/engine/schema"
)

// Upgradeable says why a running query can't be replaced in place by another
// one of the same id, in ksqlDB's words; nil where it can. What is computed and
// which rows of streams pass may change; sources, keys, groups, aggregates and
// filters of tables must stay, and with a join or a window nothing can change.
func Upgradeable(old, next *plan.Query) error {
	if hasJoin(old.Steps) != hasJoin(next.Steps) {
		return notUpgradeable("Query is not upgradeable. Cannot change a non-join source into a join source.")
	}
	return upgradeable(old.Steps, next.Steps)
}

func notUpgradeable(message string) error {
	return &diagnostic.Error{Kind: diagnostic.General, Pos: ast.Pos{}, Message: message}
}

func hasJoin(s *plan.Step) bool {
	if s.Kind == plan.JoinStep {
		return true
	}
	for _, in := range s.Inputs {
		if hasJoin(in) {
			return true
		}
	}
	return false
}

// passive steps may come, go and change.
func passive(s *plan.Step) bool {
	switch s.Kind {
	case plan.SinkStep, plan.ProjectStep:
		return true
	case plan.FilterStep:
		return !s.Table
	}
	return false
}

func upgradeable(old, next *plan.Step) error {
	for passive(old) {
		old = old.Inputs[0]
	}
	for passive(next) {
		next = next.Inputs[0]
	}
	class := stepClass(old)
	if old.Kind == plan.JoinStep || old.Windowed {
		return notUpgradeable("Upgrades not yet supported for " + class)
	}
	must := func(what, was, is string) error {
		if was == is {
			return nil
		}
		return notUpgradeable("Query is not upgradeable. Plan step of type " + class + " must have matching " + what + ". Values differ: " + was + " vs. " + is)
	}
	const java = "class io.confluent.ksql.execution.plan."
	if err := must("class", java+class, java+stepClass(next)); err != nil {
		return err
	}
	for _, part := range [...]struct{ what, was, is string }{
		{"topicName", old.Topic, next.Topic},
		{"keyExpressions", keysOf(old, plan.RekeyStep), keysOf(next, plan.RekeyStep)},
		{"group by clause", keysOf(old, plan.GroupByStep), keysOf(next, plan.GroupByStep)},
		{"columns not part of aggregate", restOf(old), restOf(next)},
		{"aggregate functions", bracketed(old.Functions), bracketed(next.Functions)},
	} {
		if err := must(part.what, part.was, part.is); err != nil {
			return err
		}
	}
	if len(old.Inputs) == 0 {
		return nil
	}
	return upgradeable(old.Inputs[0], next.Inputs[0])
}

// keysOf are the key expressions of a step, where it is of that kind.
func keysOf(s *plan.Step, kind plan.StepKind) string {
	if s.Kind != kind {
		return ""
	}
	return bracketed(s.Keys)
}

// restOf are the columns of an aggregation that are no results.
func restOf(s *plan.Step) string {
	if s.Kind != plan.AggregateStep {
		return ""
	}
	var names []string
	for _, c := range s.Schema.Value {
		if !strings.HasPrefix(c.Name, variablePrefix) {
			names = append(names, schema.Quote(c.Name))
		}
	}
	return bracketed(names)
}

func bracketed(list []string) string { return "[" + strings.Join(list, ", ") + "]" }

// stepClass is what ksqlDB calls a step.
func stepClass(s *plan.Step) string {
	kind := "Stream"
	if s.Table {
		kind = "Table"
	}
	switch s.Kind {
	case plan.SourceStep:
		return kind + "Source"
	case plan.FilterStep:
		return kind + "Filter"
	case plan.RekeyStep:
		return kind + "SelectKey"
	case plan.GroupByStep:
		if !s.Table && s.Repartition == nil {
			return "StreamGroupByKey"
		}
		return kind + "GroupBy"
	case plan.AggregateStep:
		switch {
		case s.Windowed:
			return "StreamWindowedAggregate"
		case s.Inputs[0].Table:
			return "TableAggregate"
		}
		return "StreamAggregate"
	case plan.FlatMapStep:
		return "StreamFlatMap"
	}
	switch {
	case s.Foreign:
		return "ForeignKeyTableTableJoin"
	case s.Table:
		return "TableTableJoin"
	case s.Inputs[1].Table:
		return "StreamTableJoin"
	}
	return "StreamStreamJoin"
}
