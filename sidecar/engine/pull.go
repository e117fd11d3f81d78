package engine

import (
	"context"
	"fmt"
	"time"

	"github.com/sidestream/sidestream/sidecar/engine/analyze"
	"github.com/sidestream/sidestream/sidecar/engine/ast"
	"github.com/sidestream/sidestream/sidecar/engine/exec"
	"github.com/sidestream/sidestream/sidecar/engine/runtime"
	"github.com/sidestream/sidestream/sidecar/engine/types"
)

// restoreWait is how long a pull query waits for the table's query to be ready.
const restoreWait = 3 * time.Second

// pullTable answers a pull query from the stores of the query that keeps the
// table.
func (e *Engine) pullTable(ctx context.Context, st *ast.Select, p *analyze.Pull) (*Rows, error) {
	q, ok := e.world.query(p.QueryID)
	if !ok || q.runner() == nil {
		return nil, about(CodeBadStatement, st.Text, "The `%s` table isn't queryable. To derive a queryable table, you can do 'CREATE TABLE QUERYABLE_%s AS SELECT * FROM %s'. See https://cnfl.io/queries for more info.\nAdd EMIT CHANGES if you intended to issue a push query.", p.Source.Name, p.Source.Name, p.Source.Name)
	}
	run := q.runner()
	if err := e.awaitRestore(ctx, run); err != nil {
		return nil, about(CodeBadStatement, st.Text, "Error starting pull query: %v", err)
	}
	where, cols, err := e.compile(p)
	if err != nil {
		return nil, about(CodeServerError, st.Text, "%v", err)
	}
	r := &Rows{ID: fmt.Sprintf("query_%d", pullID()), Columns: p.Columns, Key: p.Key, text: st.Text}
	r.ctx, r.cancel = context.WithCancel(ctx)
	r.each = func(r *Rows, fn func([]types.Value, bool) error, idle func() error) (End, error) {
		values := make([]types.Value, len(cols))
		left := p.Limit
		var failed error
		if left == 0 {
			return AtEnd, idle()
		}
		err := e.rt.Pull(r.ctx, p.QueryID, p.Selection, func(row *exec.Row) bool {
			if where != nil {
				ok, err := where(row)
				if err != nil {
					e.log.Debug("a row of a pull query can't be tested", "err", err)
				}
				if !ok {
					return true
				}
			}
			for i, col := range cols {
				v, err := col(row)
				if err != nil { // NULL, as in a query that is kept
					e.log.Debug("a column of a pull query can't be computed", "column", p.Columns[i].Name, "err", err)
					v = types.Value{}
				}
				values[i] = v
			}
			if failed = fn(values, false); failed != nil {
				return false
			}
			if left > 0 {
				left--
			}
			return left != 0
		})
		if failed == nil {
			failed = err
		}
		if failed != nil {
			return AtEnd, failed
		}
		return AtEnd, idle()
	}
	return r, nil
}

// compile makes the code of a pull query's condition and columns.
func (e *Engine) compile(p *analyze.Pull) (where func(*exec.Row) (bool, error), cols []exec.Expr, err error) {
	if p.Where != nil {
		if where, err = exec.CompilePredicate(p.Where, e.functions); err != nil {
			return nil, nil, err
		}
	}
	cols = make([]exec.Expr, len(p.Select))
	for i, x := range p.Select {
		if cols[i], err = exec.CompileExpr(x, e.functions); err != nil {
			return nil, nil, err
		}
	}
	return where, cols, nil
}

// awaitRestore waits a moment for a query that is about to be ready.
func (e *Engine) awaitRestore(ctx context.Context, run *runtime.Query) error {
	deadline := time.Now().Add(restoreWait)
	for {
		if run.RestoreDone() {
			return nil
		}
		if time.Now().After(deadline) {
			state, err := run.State()
			done, total := run.RestoreProgress()
			e.log.Info("a pull query found its table not ready", "query", run.ID(), "state", state, "err", err, "restored", done, "of", total)
			return fmt.Errorf("Cannot determine which host contains the required partitions to serve the pull query. \nThe underlying persistent query may be restarting (e.g. as a result of ALTER SYSTEM) view the status of your by issuing <DESCRIBE %s>.", run.ID())
		}
		select {
		case <-time.After(5 * time.Millisecond):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
