package analyze

import (
	"strings"

	"github.com/sidestream/sidestream/sidecar/engine/ast"
	"github.com/sidestream/sidestream/sidecar/engine/diagnostic"
	"github.com/sidestream/sidestream/sidecar/engine/plan"
)

// Upgradeable says why a running query can't be replaced in place by another
// one of the same id, in ksqlDB's words; nil where it can. Only the conditions,
// the expressions of the SELECT list and columns at its end may change, and no
// join or window may be there at all.
func Upgradeable(old, next *plan.Query) error {
	return upgradeableStep(old.Root, next.Root)
}

func upgradeableStep(old, next plan.Node) error {
	old, next = behindStateless(old), behindStateless(next)
	refuse := func(format string, args ...any) error {
		e := diagnostic.At(ast.Pos{}, "Query is not upgradeable. "+format, args...)
		e.Kind = diagnostic.General
		return e
	}
	differ := func(step, what, was, is string) error {
		if was == is {
			return nil
		}
		return refuse("Plan step of type %s must have matching %s. Values differ: %s vs. %s", step, what, was, is)
	}
	if kind := stateful(old, next); kind != "" {
		e := diagnostic.At(ast.Pos{}, "Upgrades not yet supported for %s", kind)
		e.Kind = diagnostic.General
		return e
	}
	if a, b := stepClass(old), stepClass(next); a != b {
		if joins(old) != joins(next) {
			return refuse("Cannot change a non-join source into a join source.")
		}
		return differ(a, "class", a, b)
	}
	switch a := old.(type) {
	case *plan.Source:
		b := next.(*plan.Source)
		if err := differ("StreamSource", "topicName", a.Topic, b.Topic); err != nil {
			return err
		}
		return nil
	case *plan.Rekey:
		b := next.(*plan.Rekey)
		if err := differ("StreamSelectKey", "keyExpressions", keyTexts(a.Keys), keyTexts(b.Keys)); err != nil {
			return err
		}
		return upgradeableStep(a.Input, b.Input)
	case *plan.GroupBy:
		b := next.(*plan.GroupBy)
		if err := differ("StreamGroupBy", "group by clause", keyTexts(resolved(a.Keys, a.Input)), keyTexts(resolved(b.Keys, b.Input))); err != nil {
			return err
		}
		return upgradeableStep(a.Input, b.Input)
	case *plan.Aggregate:
		b := next.(*plan.Aggregate)
		if err := differ("StreamAggregate", "aggregate functions", callTexts(a), callTexts(b)); err != nil {
			return err
		}
		return upgradeableStep(a.Input, b.Input)
	}
	if in, other := old.Inputs(), next.Inputs(); len(in) == 1 && len(other) == 1 {
		return upgradeableStep(in[0], other[0])
	}
	return nil
}

// behindStateless is the first step before n that keeps or moves rows: what
// filters and projects may change.
func behindStateless(n plan.Node) plan.Node {
	for {
		switch x := n.(type) {
		case *plan.Sink:
			n = x.Input
		case *plan.Filter:
			n = x.Input
		case *plan.Project:
			n = x.Input
		case *plan.Repartition:
			n = x.Input
		default:
			return n
		}
	}
}

// stateful names the kind of step whose queries are never replaced.
func stateful(nodes ...plan.Node) string {
	for _, n := range nodes {
		switch n := n.(type) {
		case *plan.StreamStreamJoin:
			return "StreamStreamJoin"
		case *plan.StreamTableJoin:
			return "StreamTableJoin"
		case *plan.TableTableJoin:
			return "TableTableJoin"
		case *plan.ForeignKeyJoin:
			return "ForeignKeyTableTableJoin"
		case *plan.Aggregate:
			if n.Window != nil {
				return "StreamWindowedAggregate"
			}
		}
	}
	return ""
}

func joins(n plan.Node) bool { return len(n.Inputs()) > 1 }

func stepClass(n plan.Node) string {
	switch n := n.(type) {
	case *plan.Source:
		if n.Table {
			return "TableSource"
		}
		return "StreamSource"
	case *plan.Rekey:
		return "StreamSelectKey"
	case *plan.GroupBy:
		return "StreamGroupBy"
	case *plan.Aggregate:
		return "StreamAggregate"
	case *plan.FlatMap:
		return "StreamFlatMap"
	case *plan.Materialize:
		return "TableSelect"
	}
	return "Join"
}

func keyTexts(list []plan.Expr) string {
	parts := make([]string, len(list))
	for i, e := range list {
		parts[i] = plan.Text(e)
	}
	return "[" + strings.Join(parts, ", ") + "]"
}

// resolved are expressions over a projection as they were written.
func resolved(list []plan.Expr, in plan.Node) []plan.Expr {
	p, ok := in.(*plan.Project)
	if !ok {
		return list
	}
	out := make([]plan.Expr, len(list))
	for i, e := range list {
		out[i] = through(e, p)
	}
	return out
}

func callTexts(n *plan.Aggregate) string {
	in := n.Input
	for {
		switch x := in.(type) {
		case *plan.Repartition:
			in = x.Input
			continue
		case *plan.GroupBy:
			in = x.Input
			continue
		}
		break
	}
	parts := make([]string, len(n.Calls))
	for i, c := range n.Calls {
		args := resolved(c.Args, in)
		texts := make([]string, 0, len(args)+len(c.Consts))
		for _, a := range args {
			texts = append(texts, plan.Text(a))
		}
		for _, v := range c.Consts {
			texts = append(texts, plan.Text(&plan.Literal{Value: v}))
		}
		parts[i] = c.Name + "(" + strings.Join(texts, ", ") + ")"
	}
	return "[" + strings.Join(parts, ", ") + "]"
}
