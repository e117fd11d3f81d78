package engine

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/sidestream/sidestream/sidecar/engine/analyze"
	"github.com/sidestream/sidestream/sidecar/engine/ast"
	"github.com/sidestream/sidestream/sidecar/engine/parser"
	"github.com/sidestream/sidestream/sidecar/engine/schema"
	"github.com/sidestream/sidestream/sidecar/engine/types"
)

// End says why the rows of a query end.
type End uint8

// The ends. AtEnd is a pull query's last row, Closed a push query that was closed
// from elsewhere.
const (
	AtEnd End = iota
	LimitReached
	Completed
	Closed
)

// Rows are the answer to a SELECT. They are read once, by Each, and closed.
type Rows struct {
	ID      string
	Columns []schema.Column
	// Key says which of Columns are key columns, by place.
	Key []bool
	// Push: the query goes on until it is closed or its LIMIT is reached.
	Push bool

	text   string
	ctx    context.Context
	cancel context.CancelFunc
	each   func(r *Rows, fn func(row []types.Value, tombstone bool) error, idle func() error) (End, error)
	closed atomic.Bool
	done   func() // forgets the query
}

// Each hands every row to fn, and calls idle when no other row is there at the
// moment. Values are valid during the call. It returns when the rows end, when fn
// or idle fails, or after Close.
func (r *Rows) Each(fn func(row []types.Value, tombstone bool) error, idle func() error) (End, error) {
	defer r.Close()
	end, err := r.each(r, fn, idle)
	if err != nil && r.closed.Load() {
		return Closed, nil
	}
	return end, err
}

// Close ends the query. It may be called from anywhere, more than once.
func (r *Rows) Close() {
	if r.closed.CompareAndSwap(false, true) {
		r.cancel()
		if r.done != nil {
			r.done()
		}
	}
}

// Schema is the answer's columns as ksqlDB's older endpoint shows them.
func (r *Rows) Schema() string {
	var first, parts []string // columns from headers go before values
	for i, c := range r.Columns {
		text := schema.Quote(c.Name) + " " + c.Type.String()
		switch {
		case r.Key[i]:
			text += " KEY"
		case c.Headers:
			first = append(first, (&schema.Schema{Value: r.Columns[i : i+1]}).String())
			continue
		}
		parts = append(parts, text)
	}
	if first == nil {
		return strings.Join(parts, ", ")
	}
	keys := 0
	for keys < len(parts) && r.Key[keys] {
		keys++
	}
	return strings.Join(slices.Concat(parts[:keys], first, parts[keys:]), ", ")
}

// Printing is a PRINT that was asked of Query.
type Printing struct {
	e    *Engine
	stmt *ast.Print
}

var lastPull atomic.Int64

// pullID numbers pull queries by the clock, each number once.
func pullID() int64 {
	for {
		last := lastPull.Load()
		next := max(time.Now().UnixMilli(), last+1)
		if lastPull.CompareAndSwap(last, next) {
			return next
		}
	}
}

// Query starts a SELECT, or a PRINT: one of the two results is set. Errors are of
// type *Error. The rows end with ctx.
func (e *Engine) Query(ctx context.Context, r Request) (*Rows, *Printing, error) {
	text := strings.TrimSpace(r.SQL)
	props, err := overrides(r.Properties)
	if err != nil {
		return nil, nil, err
	}
	if r.After > 0 {
		if err := e.awaitSequence(ctx, r.After); err != nil {
			return nil, nil, asError(err, text)
		}
	}
	if err := tooLong(r.SQL); err != nil {
		return nil, nil, err
	}
	stmts, err := parser.ParseScript(r.SQL, r.Variables)
	if err != nil {
		failed := syntaxError(err, text)
		failed.Message += "\nStatement: " + failed.Statement
		return nil, nil, failed
	}
	if len(stmts) != 1 {
		return nil, nil, about(CodeBadStatement, text, "Expected exactly one KSQL statement; found %d instead", len(stmts))
	}
	s := e.newSession(e.world, newTopicView(ctx, e.kafka))
	s.properties = props
	switch st := stmts[0].(type) {
	case *ast.Print:
		if n, _ := s.topics.partitions(st.Topic); n == 0 {
			return nil, nil, BadRequest("Could not find topic '%s', or the KSQL user does not have permissions to list the topic. Topic names are case-sensitive.", st.Topic)
		}
		return nil, &Printing{e, st}, nil
	case *ast.Select:
		rows, err := e.selectRows(ctx, s, st)
		if err != nil {
			return nil, nil, queryError(asError(s.topicFailure(err, st.Text), st.Text), st.Text)
		}
		return rows, nil, nil
	}
	failed := about(CodeBadStatement, stmts[0].Source(), "Neither a query nor a print statement\nStatement: %s", stmts[0].Source())
	failed.Brief, failed.NotAQuery = "Unexpected statement type "+statementKind(stmts[0]), true
	return nil, nil, failed
}

// queryError is what is wrong with a query: where the message names a part of the
// statement, the whole follows.
func queryError(err *Error, text string) *Error {
	if err.HasStatement && strings.Contains(err.Message, "\nStatement: ") {
		err.Brief = err.Message
		err.Message += "\nStatement: " + text
	}
	return err
}

// statementKind is a statement's kind in a word: Show for SHOW STREAMS.
func statementKind(st ast.Statement) string {
	return strings.TrimPrefix(fmt.Sprintf("%T", st), "*ast.")
}

func (e *Engine) selectRows(ctx context.Context, s *session, st *ast.Select) (*Rows, error) {
	env := s.env()
	if st.Query.Emit != ast.EmitNone {
		push, err := analyze.PushQuery(&env, st, queryID(&env, st.Query))
		if err != nil {
			return nil, err
		}
		return e.pushRows(ctx, s, st.Text, push)
	}
	pull, err := analyze.PullQuery(&env, st, transientID(st.Query.From.Source.Name))
	if err != nil {
		return nil, err
	}
	if pull.Stream != nil {
		return e.pullStream(ctx, s, st.Text, pull)
	}
	return e.pullTable(ctx, st, pull)
}

// openQueries lists the push queries that are open.
func (e *Engine) openQueries() []QueryInfo {
	e.mu.Lock()
	defer e.mu.Unlock()
	var out []QueryInfo
	for _, id := range names(e.push) {
		out = append(out, QueryInfo{QueryString: e.push[id].text, Sinks: []string{}, SinkTopics: []string{}, ID: id,
			StatusCount: map[string]int{"RUNNING": 1}, QueryType: "PUSH", State: "RUNNING"})
	}
	return out
}

// CloseQuery ends the open query of that id; false when there is none.
func (e *Engine) CloseQuery(id string) bool {
	e.mu.Lock()
	r, ok := e.push[id]
	e.mu.Unlock()
	if ok {
		r.Close()
	}
	return ok
}

// OpenQueries counts the push queries that are open.
func (e *Engine) OpenQueries() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.push)
}

// opened keeps an open query until it is closed.
func (e *Engine) opened(r *Rows) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closing {
		return newError(50303, "The server is shutting down.")
	}
	if err := e.crowded(); err != nil {
		return err
	}
	e.push[r.ID] = r
	r.done = func() {
		e.mu.Lock()
		defer e.mu.Unlock()
		delete(e.push, r.ID)
	}
	return nil
}

// crowded refuses one more open query. e.mu is held.
func (e *Engine) crowded() error {
	if n := len(e.push) + e.printing; n >= e.cfg.MaxPushQueries {
		return newError(CodeTooManyPush, "%d push queries are open, which is as many as there may be (ksql.max.push.queries)", n)
	}
	return nil
}
