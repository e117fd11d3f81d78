package engine

import (
	"maps"
	"sort"

	"github.com/sidestream/sidestream/sidecar/engine/analyze"
)

// session is the state of one request: its properties and variables, which SET
// and DEFINE change for the statements behind them, and the world they act on.
type session struct {
	world      *world
	topics     *topicView
	properties map[string]string // the request's own
	variables  map[string]string
	server     map[string]string
	functions  analyze.Env
	// dryRun: the world is a sandbox.
	dryRun bool
	// number of the next query.
	number func() int64
	// replayed is the id that a replayed statement's query has, "" when none.
	replayed string
	// schemas is the registry as the last statement saw it, nil without one;
	// recorded is what it said when a replayed statement was first carried out.
	schemas  *schemaAnswers
	recorded map[string]schemaAnswer
}

func (e *Engine) newSession(w *world, topics *topicView) *session {
	return &session{world: w, topics: topics, properties: map[string]string{}, variables: map[string]string{}, server: e.cfg.Properties,
		functions: analyze.Env{Functions: e.functions, Schemas: e.cfg.Schemas}, number: func() int64 { return e.statement.next }}
}

// config is the server's and the request's properties together.
func (s *session) config() map[string]string {
	out := make(map[string]string, len(s.server)+len(s.properties))
	maps.Copy(out, s.server)
	maps.Copy(out, s.properties)
	return out
}

// env is what statements are analysed against.
func (s *session) env() analyze.Env {
	env := s.functions
	env.Catalog, env.Config = s.world.catalog, s.config()
	env.Topics = s.topics.partitions
	if env.Schemas != nil {
		s.schemas = &schemaAnswers{SchemaRegistry: env.Schemas, recorded: s.recorded, noted: map[string]schemaAnswer{}}
		env.Schemas = s.schemas
	}
	return env
}

func (s *session) showVariables(text string) Entity {
	out := VariablesEntity{Type: "variables", StatementText: text, Variables: []VariableInfo{}, Warnings: []Warning{}}
	for name, v := range s.variables {
		out.Variables = append(out.Variables, VariableInfo{name, v})
	}
	sort.Slice(out.Variables, func(i, j int) bool { return out.Variables[i].Name < out.Variables[j].Name })
	return out
}
