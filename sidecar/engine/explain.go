package engine

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/sidestream/sidestream/sidecar/engine/analyze"
	"github.com/sidestream/sidestream/sidecar/engine/ast"
	"github.com/sidestream/sidestream/sidecar/engine/diagnostic"
	"github.com/sidestream/sidestream/sidecar/engine/function"
	"github.com/sidestream/sidestream/sidecar/engine/plan"
	"github.com/sidestream/sidestream/sidecar/engine/types"
)

// queryID names a query that isn't kept. One that ksqlDB would answer from the
// rows that a persistent query writes, by its scalable push queries, has their name.
func queryID(env *analyze.Env, q *ast.Query) string {
	name := q.From.Source.Name
	src, ok := env.Catalog.Source(name)
	if ok && src.CreatedBy != "" && env.Config["ksql.query.push.v2.enabled"] == "true" && !options(env.Config).FromEarliest && q.Emit == ast.EmitChanges &&
		len(q.From.Joins) == 0 && q.GroupBy == nil && q.PartitionBy == nil && q.Window == nil && q.Having == nil {
		return fmt.Sprintf("SCALABLE_PUSH_QUERY_%s_%d", name, rand.Int64())
	}
	return transientID(name)
}

// transientID names a query that isn't kept.
func transientID(source string) string {
	return fmt.Sprintf("transient_%s_%d", source, rand.Int64())
}

// explain answers EXPLAIN of a statement or of a query.
func (e *Engine) explain(ctx context.Context, s *session, st *ast.Explain) (Entity, error) {
	if st.Query != "" {
		q, ok := s.world.query(st.Query)
		if !ok {
			return nil, diagnostic.At(st.Pos, "Query with id:%s does not exist, use SHOW QUERIES to view the full set of queries.", st.Query)
		}
		if s.dryRun {
			return nil, nil
		}
		return ExplainEntity{"queryDescription", st.Text, e.describeQuery(ctx, q), []Warning{}}, nil
	}
	d := QueryDescription{StatementText: strings.TrimSuffix(st.Statement.Source(), ";") + ";", Sinks: []string{}, Overridden: map[string]any{}, HostStatus: map[string]string{},
		Errors: []QueryError{}, Tasks: []TaskMetadata{}, QueryType: "PERSISTENT"}
	var p *plan.Query
	switch inner := st.Statement.(type) {
	case *ast.Select:
		id := transientID(inner.Query.From.Source.Name)
		env := s.env()
		push, err := analyze.PushQuery(&env, inner, id)
		if err := s.topicFailure(err, st.Text); err != nil {
			return nil, err
		}
		p = push.Plan
		d.Sources, d.QueryType = push.Reads, "PUSH"
		// A query that isn't kept has its key columns twice: as the key of its rows,
		// and among the columns of the answer.
		out := p.Root.Out().Schema
		key := Fields(out.Key, func(int) bool { return true })
		d.Fields = append(key, Fields(push.Columns, func(int) bool { return false })...)
		group := fmt.Sprintf("_confluent-ksql-%stransient_%s_%d", e.cfg.ServiceID, id, time.Now().UnixMilli())
		d.GroupID = &group
	default:
		c, err := e.change(s, inner)
		if err != nil {
			return nil, err
		}
		if c == nil || c.query == nil {
			return nil, about(CodeBadStatement, st.Text, "The provided statement does not run a ksql query")
		}
		p = c.query.plan
		d.Sources, d.Sinks = c.query.reads, []string{c.query.sink}
		d.Fields = schemaFields(&p.Root.Out().Schema)
		group := e.rt.AppID(c.query.id)
		d.GroupID = &group
	}
	d.ID = p.ID
	d.WindowType = windowOf(p)
	d.Topology, d.ExecutionPlan = plan.Topology(p), plan.Explain(p)
	return ExplainEntity{"queryDescription", st.Text, d, []Warning{}}, nil
}

// describeQuery is EXPLAIN of a query that runs.
func (e *Engine) describeQuery(ctx context.Context, q *query) QueryDescription {
	state, problem := q.state()
	shown := state
	if state == "PAUSED" {
		shown = "RUNNING"
	}
	group := e.rt.AppID(q.id)
	d := QueryDescription{ID: q.id, StatementText: q.text, WindowType: windowOf(q.plan), Fields: schemaFields(&q.plan.Root.Out().Schema),
		Sources: slices.Sorted(slices.Values(q.reads)), Sinks: []string{}, Topology: plan.Topology(q.plan), ExecutionPlan: plan.Explain(q.plan),
		Overridden: map[string]any{}, HostStatus: map[string]string{e.cfg.Address: state}, QueryType: "PERSISTENT", Errors: []QueryError{},
		Tasks: e.tasks(ctx, q), GroupID: &group, State: &shown}
	if q.sink != "" {
		d.Sinks = []string{q.sink}
	}
	for name, v := range q.set {
		d.Overridden[name] = typedProperty(name, v)
	}
	if problem != nil {
		d.Errors = append(d.Errors, QueryError{time.Now().UnixMilli(), problem.Error(), "UNKNOWN"})
	}
	return d
}

// typedProperty is a setting as ksqlDB shows it: its numbers as numbers.
func typedProperty(name, v string) any {
	var n int64
	if strings.HasSuffix(name, ".ms") || strings.HasSuffix(name, ".buffering") || strings.HasSuffix(name, ".threads") {
		if _, err := fmt.Sscan(v, &n); err == nil {
			return n
		}
	}
	return v
}

// windowOf is the kind of window of a query's rows.
func windowOf(p *plan.Query) *string {
	var found *string
	var walk func(n plan.Node)
	walk = func(n plan.Node) {
		if a, ok := n.(*plan.Aggregate); ok && a.Window != nil && found == nil {
			kind := "TUMBLING"
			switch {
			case a.Window.Kind == plan.SessionWindow:
				kind = "SESSION"
			case a.Window.Hopping:
				kind = "HOPPING"
			}
			found = &kind
		}
		for _, in := range n.Inputs() {
			walk(in)
		}
	}
	walk(p.Root)
	return found
}

// describeFunction answers DESCRIBE FUNCTION.
func (e *Engine) describeFunction(st *ast.Describe) (Entity, error) {
	name := strings.ToUpper(st.Name.Name)
	out := FunctionEntity{Type: "describe_function", StatementText: st.Text, Name: name, Path: "internal", Functions: []FunctionInfo{}, Warnings: []Warning{}}
	if f, ok := e.functions.Scalar(name); ok {
		out.Kind, out.Description, out.Author = "SCALAR", f.Doc, f.Author
		for _, o := range f.Overloads {
			out.Functions = append(out.Functions, overload(o.Params, nil, o.Variadic, shapeText(o.Returns()), o.Doc))
		}
		return out, nil
	}
	if f, ok := e.functions.Aggregate(name); ok {
		out.Kind, out.Description, out.Author = "AGGREGATE", f.Doc, f.Author
		for _, o := range f.Overloads {
			out.Functions = append(out.Functions, overload(o.Params, o.Consts, o.Variadic, shapeText(o.Returns()), o.Doc))
		}
		return out, nil
	}
	if f, ok := e.functions.Table(name); ok {
		out.Kind, out.Description, out.Author = "TABLE", f.Doc, f.Author
		for _, o := range f.Overloads {
			out.Functions = append(out.Functions, overload(o.Params, nil, o.Variadic, shapeText(o.Returns()), o.Doc))
		}
		return out, nil
	}
	return nil, BadRequest("Can't find any functions with the name '%s'", st.Name.Name)
}

func overload(params, consts []function.Param, variadic bool, result, doc string) FunctionInfo {
	info := FunctionInfo{Arguments: []FunctionArgument{}, ReturnType: result, Description: doc, ArgumentTypes: []string{}}
	for i, p := range append(slices.Clone(params), consts...) {
		t := paramText(p)
		info.Arguments = append(info.Arguments, FunctionArgument{p.Name, t, p.Doc, variadic && i == len(params)-1})
		info.ArgumentTypes = append(info.ArgumentTypes, t)
	}
	return info
}

func paramText(p function.Param) string {
	if p.Shape != nil {
		return shapeText(p.Shape)
	}
	return functionType(p.Type)
}

func shapeText(s *function.Shape) string {
	if s.Var != "" {
		return s.Var
	}
	switch s.Kind {
	case types.Array:
		return "ARRAY<" + shapeText(s.Elem) + ">"
	case types.Map:
		return "MAP<" + shapeText(s.Key) + ", " + shapeText(s.Elem) + ">"
	case types.Lambda:
		parts := make([]string, len(s.Params))
		for i := range s.Params {
			parts[i] = shapeText(&s.Params[i])
		}
		return "LAMBDA (" + strings.Join(parts, ", ") + ") => " + shapeText(s.Result)
	}
	return functionType(types.Type{Kind: s.Kind})
}

// functionType is a type as DESCRIBE FUNCTION writes it.
func functionType(t types.Type) string {
	switch t.Kind {
	case types.Integer:
		return "INT"
	case types.String:
		return "VARCHAR"
	case types.Decimal:
		return "DECIMAL"
	case types.Array:
		return "ARRAY<" + functionType(*t.Elem) + ">"
	case types.Map:
		return "MAP<" + functionType(*t.Key) + ", " + functionType(*t.Elem) + ">"
	case types.Struct:
		if len(t.Fields) == 0 {
			return "STRUCT"
		}
		parts := make([]string, len(t.Fields))
		for i, f := range t.Fields {
			parts[i] = f.Name + " " + functionType(f.Type)
		}
		return "STRUCT<" + strings.Join(parts, ", ") + ">"
	}
	return t.String()
}

// names sorted, for messages.
func names[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
