package engine

import (
	"context"
	"maps"
	"strings"
	"time"

	"github.com/sidestream/sidestream/sidecar/engine/ast"
	"github.com/sidestream/sidestream/sidecar/engine/diagnostic"
	"github.com/sidestream/sidestream/sidecar/engine/parser"
)

// maxStatements bounds the statements of one request, and with them its answer;
// maxSQL its text.
const (
	maxStatements = 1000
	maxSQL        = 1 << 20
)

func tooLong(sql string) error {
	if len(sql) <= maxSQL {
		return nil
	}
	return BadRequest("The request's SQL has %d bytes, which are more than the %d that one may have: send it in several requests", len(sql), maxSQL)
}

// statementTimeout bounds the statements of one request together.
const statementTimeout = 30 * time.Second

// Request is SQL with what goes with it.
type Request struct {
	SQL        string
	Properties map[string]any
	// Variables replace ${name}.
	Variables map[string]string
	// After is the sequence number of a command that must be done first; 0 for
	// none.
	After int64
}

// Execute carries out the statements of a request, and gives an answer for each
// that has one. When one is refused none has been carried out; when one fails
// later, the answers of those before are in the Error. Errors are of type *Error.
func (e *Engine) Execute(ctx context.Context, r Request) ([]Entity, error) {
	props, err := overrides(r.Properties)
	if err != nil {
		return nil, err
	}
	if r.After > 0 {
		if err := e.awaitSequence(ctx, r.After); err != nil {
			return nil, asError(err, "")
		}
	}
	if err := tooLong(r.SQL); err != nil {
		return nil, err
	}
	stmts, err := parser.ParseScript(r.SQL, r.Variables)
	if err != nil {
		return nil, syntaxError(err, r.SQL)
	}
	if len(stmts) > maxStatements {
		return nil, BadRequest("The request has %d statements, which are more than the %d that one may have: send them in several requests", len(stmts), maxStatements)
	}
	for name := range props {
		if len(stmts) > 0 && !knownProperty(name) {
			return nil, about(CodeServerError, stmts[0].Source(), "Not recognizable as ksql, streams, consumer, or producer property: '%s'", name)
		}
	}
	// Without Kafka nothing can be carried out: say so rather than wait for it.
	ctx, cancel := context.WithTimeout(ctx, statementTimeout)
	defer cancel()
	e.exec.Lock()
	defer e.exec.Unlock()
	if e.isClosing() {
		return nil, newError(50303, "The server is shutting down.")
	}
	session := func(w *world, topics *topicView) *session {
		s := e.newSession(w, topics)
		for k, v := range props {
			s.properties[k] = v
		}
		for k, v := range r.Variables {
			s.variables[k] = v
		}
		return s
	}
	if err := e.try(ctx, session(e.world.sandbox(e.statement.next), newTopicView(ctx, e.kafka)), stmts); err != nil {
		return nil, err
	}
	s := session(e.world, newTopicView(ctx, e.kafka))
	entities := []Entity{}
	for _, stmt := range stmts {
		entity, err := e.perStatement(ctx, s, stmt)
		if err != nil {
			failed := asError(err, stmt.Source())
			failed.Entities = entities
			return nil, failed
		}
		if entity != nil {
			entities = append(entities, entity)
		}
	}
	return entities, nil
}

func (e *Engine) isClosing() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.closing
}

// syntaxError is about the first mistake of the text.
func syntaxError(err error, text string) *Error {
	statement := strings.TrimSpace(text)
	all := diagnostic.All(err)
	if len(all) > 0 && all[0].Statement != "" {
		statement = all[0].Statement
	}
	out := asError(err, statement)
	out.Statement, out.HasStatement = statement, true
	if out.Code == CodeBadRequest {
		out.Code = CodeBadStatement
	}
	if place, _, ok := strings.Cut(out.Message, ": "); ok && strings.HasPrefix(place, "line ") {
		out.Brief = place + ": Syntax error at " + place
	}
	return out
}

// try does in a sandbox what the statements would do.
func (e *Engine) try(ctx context.Context, s *session, stmts []ast.Statement) error {
	s.dryRun = true
	for _, stmt := range stmts {
		switch stmt.(type) {
		case *ast.Select, *ast.Print:
			return about(CodeQueryEndpoint, stmt.Source(), "The following statement types should be issued to the websocket endpoint '/query':\n\t* PRINT\n\t* SELECT")
		}
		if err := e.tryOne(ctx, s, stmt); err != nil {
			return asError(err, stmt.Source())
		}
	}
	return nil
}

func (e *Engine) tryOne(ctx context.Context, s *session, stmt ast.Statement) error {
	c, err := e.change(s, stmt)
	if err != nil {
		return err
	}
	if c == nil {
		_, err := e.answer(ctx, s, stmt)
		return err
	}
	for i := range c.topics {
		if err := e.ensureTopic(ctx, s.topics, &c.topics[i], c.logged, true); err != nil {
			return err
		}
	}
	if c.exists == "" {
		s.world.apply(c)
	}
	return nil
}

// perStatement carries out one statement.
func (e *Engine) perStatement(ctx context.Context, s *session, stmt ast.Statement) (Entity, error) {
	c, err := e.change(s, stmt)
	if err != nil {
		return nil, err
	}
	if c != nil {
		return e.carryOut(ctx, s, c)
	}
	return e.answer(ctx, s, stmt)
}

// answer carries out a statement that changes nothing but the session, or
// records of a topic. In a sandbox it only finds mistakes.
func (e *Engine) answer(ctx context.Context, s *session, stmt ast.Statement) (Entity, error) {
	switch st := stmt.(type) {
	case *ast.SetProperty:
		return nil, set(s, st)
	case *ast.UnsetProperty:
		s.properties = maps.Clone(s.properties) // a statement before it keeps the map
		delete(s.properties, st.Name)
		return nil, nil
	case *ast.Define:
		for name := range s.variables {
			if strings.EqualFold(name, st.Name) {
				delete(s.variables, name)
			}
		}
		s.variables[st.Name] = st.Value
		return nil, nil
	case *ast.Undefine:
		for name := range s.variables {
			if strings.EqualFold(name, st.Name) {
				delete(s.variables, name)
			}
		}
		return nil, nil
	case *ast.InsertValues:
		return nil, e.insertValues(ctx, s, st)
	case *ast.Show:
		if s.dryRun && st.Kind < ast.ShowConnectors {
			return nil, nil
		}
		return e.show(ctx, s, st)
	case *ast.Describe:
		return e.describe(ctx, s, st)
	case *ast.Explain:
		return e.explain(ctx, s, st)
	case *ast.AssertTopic:
		if s.dryRun {
			return nil, nil
		}
		return e.assertTopic(ctx, s, st)
	case *ast.AssertSchema:
		if e.cfg.Schemas == nil {
			return nil, newError(CodeNoSchemaRegistry, "KSQL is not configured to use a schema registry. To enable it, please set ksql.schema.registry.url")
		}
		if s.dryRun {
			return nil, nil
		}
		return e.assertSchema(ctx, st)
	case *ast.CreateConnector, *ast.DropConnector:
		return nil, noConnect(stmt)
	}
	return nil, about(CodeBadStatement, stmt.Source(), "This server can't carry out statements of this kind.")
}

// noConnect refuses statements on connectors: the engine has none.
func noConnect(stmt ast.Statement) error {
	return about(CodeServerError, stmt.Source(), "This server isn't connected to Kafka Connect: run connectors beside it.")
}

func set(s *session, st *ast.SetProperty) error {
	if prohibited[st.Name] {
		return prohibitedError([]string{st.Name})
	}
	if !knownProperty(st.Name) {
		return diagnostic.At(st.Pos, "Unknown property: %s", st.Name)
	}
	if err := checkValue(st.Name, st.Value); err != nil {
		return diagnostic.At(st.Pos, "%v", err)
	}
	s.properties = maps.Clone(s.properties)
	s.properties[st.Name] = st.Value
	return nil
}
