package engine

import (
	"context"
	"fmt"
	"regexp"

	"github.com/sidestream/sidestream/sidecar/engine/ast"
)

// QueryMetrics are a persistent query's numbers since the start.
type QueryMetrics struct {
	ID, State                                                            string
	Processed, Emitted, Problems, Commits, Restarts, Restored, ToRestore int64
}

// Metrics are the numbers of all persistent queries.
func (e *Engine) Metrics() []QueryMetrics {
	var out []QueryMetrics
	for _, q := range e.world.allQueries() {
		run := q.runner()
		if run == nil {
			continue
		}
		state, _ := run.State()
		m := QueryMetrics{ID: q.id, State: string(state), Processed: run.Processed.Load(), Emitted: run.Emitted.Load(),
			Problems: run.Problems.Load(), Commits: run.Commits.Load(), Restarts: run.Restarts.Load()}
		m.Restored, m.ToRestore = run.RestoreProgress()
		out = append(out, m)
	}
	return out
}

// Terminate ends all queries of the service id and drops its sources; topics of
// sinks whose names match one of the patterns are deleted.
func (e *Engine) Terminate(ctx context.Context, topics []string) ([]Entity, error) {
	var patterns []*regexp.Regexp
	for _, t := range topics {
		p, err := regexp.Compile("^(?:" + t + ")$")
		if err != nil {
			return nil, BadRequest("Invalid pattern: %s: %v", t, err)
		}
		patterns = append(patterns, p)
	}
	e.exec.Lock()
	defer e.exec.Unlock()
	s := e.newSession(e.world, newTopicView(ctx, e.kafka))
	end := &ast.Terminate{All: true}
	end.Text = "TERMINATE ALL;"
	if _, err := e.perStatement(ctx, s, end); err != nil {
		return nil, asError(err, end.Text)
	}
	// Readers before what they read.
	for progress := true; progress; {
		progress = false
		for _, src := range e.world.catalog.Sources() {
			if len(e.world.derivedFrom(src.Name)) > 0 {
				continue
			}
			drop := &ast.DropSource{Table: src.Table, Name: ast.Ident{Name: src.Name}}
			drop.Text = fmt.Sprintf("DROP %s %s;", src.Kind(), quoteName(src.Name))
			for _, p := range patterns {
				if src.CreatedBy != "" && p.MatchString(src.Topic) {
					drop.DeleteTopic = true
				}
			}
			if _, err := e.perStatement(ctx, s, drop); err != nil {
				return nil, asError(err, drop.Text)
			}
			progress = true
		}
	}
	e.mu.Lock()
	done := e.done
	e.mu.Unlock()
	return []Entity{StatusEntity{Type: "currentStatus", StatementText: "TERMINATE CLUSTER;", CommandID: "cluster/TerminateCluster/terminate",
		Status: CommandStatus{Status: "SUCCESS", Message: "The queries have ended, the sources are dropped."}, Sequence: done, Warnings: []Warning{}}}, nil
}
