package deploy

import (
	"maps"
	"strings"

	"github.com/sidestream/sidestream/sidecar/engine/analyze"
	"github.com/sidestream/sidestream/sidecar/engine/ast"
	"github.com/sidestream/sidestream/sidecar/engine/catalog"
	"github.com/sidestream/sidestream/sidecar/engine/diagnostic"
	"github.com/sidestream/sidestream/sidecar/engine/function"
	"github.com/sidestream/sidestream/sidecar/engine/plan"
)

// world is what statements mean one after the other: the embedded engine's
// analysis, without an engine.
type world struct {
	catalog   *catalog.Catalog
	functions function.Registry
	config    map[string]string
	// known tells the partitions of a topic where somebody knows: topics.yaml or
	// the broker.
	known func(topic string) (int, bool)
	// complete: known knows all topics; a source over another one is a mistake.
	complete bool
	made     map[string]int // topics that the statements make
}

func newWorld(config map[string]string, known func(string) (int, bool), complete bool) *world {
	return &world{catalog: catalog.New(), functions: function.Builtin(), config: config, known: known, complete: complete, made: map[string]int{}}
}

// meaning is what analysis made of a statement.
type meaning struct {
	source   *catalog.Source // what it makes; nil for INSERT INTO and CREATE TYPE
	plan     *plan.Query     // nil without a query
	warnings []string
}

func (w *world) topics(topic string) (int, bool) {
	if n, ok := w.made[topic]; ok {
		return n, true
	}
	if w.known == nil {
		return 0, false
	}
	return w.known(topic)
}

func (w *world) env(s *Statement) *analyze.Env {
	config := maps.Clone(defaults)
	maps.Copy(config, w.config)
	maps.Copy(config, s.Properties)
	env := &analyze.Env{Catalog: w.catalog, Functions: w.functions, Config: config}
	if w.complete {
		env.Topics = w.topics
	}
	return env
}

// learn analyses a statement and makes its result known to those after it.
func (w *world) learn(s *Statement, queryID string) (*meaning, error) {
	env := w.env(s)
	switch n := s.Node.(type) {
	case *ast.CreateSource:
		c := *n
		c.IfNotExists = false
		made, err := analyze.CreateSource(env, &c, queryID)
		if err != nil {
			return nil, err
		}
		if err := w.count(n, made.Source, n.With.Get("PARTITIONS") != nil); err != nil {
			return nil, err
		}
		w.catalog.Put(made.Source)
		return &meaning{source: made.Source, plan: made.Query, warnings: made.Warnings}, nil
	case *ast.CreateAs:
		c := *n
		c.IfNotExists = false
		made, err := analyze.CreateAs(env, &c, queryID)
		if err != nil {
			return nil, err
		}
		if err := w.count(n, made.Source, true); err != nil {
			return nil, err
		}
		w.catalog.Put(made.Source)
		return &meaning{source: made.Source, plan: made.Plan, warnings: made.Warnings}, nil
	case *ast.InsertInto:
		made, err := analyze.InsertInto(env, n, queryID)
		if err != nil {
			return nil, err
		}
		return &meaning{plan: made.Plan, warnings: made.Warnings}, nil
	case *ast.CreateType:
		t, _, err := analyze.CreateType(env, n)
		if err != nil {
			return nil, err
		}
		w.catalog.PutType(n.Name.Name, t)
	}
	return &meaning{}, nil
}

// count settles how many partitions a source has: 0 where nobody knows, which
// joins don't complain about. said: the statement or its query says a number.
func (w *world) count(at ast.Statement, src *catalog.Source, said bool) error {
	n, ok := w.topics(src.Topic)
	switch {
	case w.complete:
	case ok && said && src.Partitions != 0 && src.Partitions != n:
		e := diagnostic.At(at.Position(), "Topic %s has %d partitions, and this statement makes it with %d.", src.Topic, n, src.Partitions)
		e.Hint = "topics.yaml says so: give the topic as many partitions as what is read, or the statement WITH (PARTITIONS = …)."
		return e
	case ok:
		src.Partitions = n
	case !said:
		src.Partitions = 0
	}
	if said || ok {
		w.made[src.Topic] = src.Partitions
	}
	return nil
}

// stateless tells whether a query keeps nothing between two records, neither in
// a store nor in a topic of its own, so that it can go on at an offset as another
// query.
func stateless(q *plan.Query) bool {
	if q == nil {
		return true
	}
	var walk func(plan.Node) bool
	walk = func(n plan.Node) bool {
		switch n := n.(type) {
		case *plan.Source:
			if n.Store != nil || n.Out().Table {
				return false
			}
		case *plan.Filter, *plan.Project, *plan.FlatMap, *plan.Rekey, *plan.Sink:
		default:
			return false
		}
		for _, in := range n.Inputs() {
			if !walk(in) {
				return false
			}
		}
		return true
	}
	return walk(q.Root)
}

// topicsRead are the outside topics of a query.
func topicsRead(q *plan.Query) []string {
	var out []string
	if q == nil {
		return nil
	}
	var walk func(plan.Node)
	walk = func(n plan.Node) {
		if s, ok := n.(*plan.Source); ok {
			for _, t := range out {
				if t == s.Topic {
					return
				}
			}
			out = append(out, s.Topic)
		}
		for _, in := range n.Inputs() {
			walk(in)
		}
	}
	walk(q.Root)
	return out
}

// place gives a mistake without a position that of the statement, and shows it.
func (s *Statement) show(err error) string {
	errs := diagnostic.All(err)
	for _, e := range errs {
		if !e.Pos.Known() {
			e.Pos = s.Node.Position()
		}
	}
	return diagnostic.Render(s.File, s.text, errs)
}

// oneLine is the first line of a message, for tables.
func oneLine(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	return line
}
