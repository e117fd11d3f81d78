package engine

import (
	"context"
	"errors"

	"github.com/sidestream/sidestream/sidecar/engine/analyze"
	"github.com/sidestream/sidestream/sidecar/engine/exec"
	"github.com/sidestream/sidestream/sidecar/engine/runtime"
	"github.com/sidestream/sidestream/sidecar/engine/schema"
	"github.com/sidestream/sidestream/sidecar/engine/types"
)

// ahead is how many rows a query may be ahead of its client: then it waits, and
// reads no more.
const ahead = 256

var errEnough = errors.New("no more rows are wanted")

// pushRows starts a push query.
func (e *Engine) pushRows(ctx context.Context, s *session, text string, p *analyze.Push) (*Rows, error) {
	r := e.transient(ctx, options(s.config()), p)
	r.text, r.Push = text, true
	if err := e.opened(r); err != nil {
		r.cancel()
		return nil, err
	}
	return r, nil
}

// pullStream reads a stream's topic to the end that it has now.
func (e *Engine) pullStream(ctx context.Context, s *session, text string, p *analyze.Pull) (*Rows, error) {
	o := options(s.config())
	o.FromEarliest, o.UntilEnd = true, true
	r := e.transient(ctx, o, p.Stream)
	r.text = text
	return r, nil
}

// transient makes the rows of a query that isn't kept. It starts with Each.
func (e *Engine) transient(ctx context.Context, o runtime.Options, p *analyze.Push) *Rows {
	// Of a query that isn't kept ksqlDB shows no column as a key.
	r := &Rows{ID: p.Plan.ID, Columns: p.Columns, Key: make([]bool, len(p.Columns))}
	r.ctx, r.cancel = context.WithCancel(ctx)
	r.each = func(r *Rows, fn func([]types.Value, bool) error, idle func() error) (End, error) {
		rows := make(chan *exec.Row, ahead)
		ended := make(chan error, 1)
		ready := make(chan struct{})
		o.Ready = func() { close(ready) }
		go func() {
			ended <- e.rt.Push(r.ctx, p.Plan, o, func(row *exec.Row) error {
				select {
				case rows <- row:
					return nil
				case <-r.ctx.Done():
					return errEnough
				}
			})
			close(rows)
		}()
		defer func() { // the query must be gone when its client is told so
			r.cancel()
			for range rows {
			}
		}()
		// A client that has its header sees what is written from then on.
		select {
		case <-ready:
		case <-r.ctx.Done():
		case err := <-ended:
			if r.ctx.Err() == nil && err != nil {
				return AtEnd, err
			}
			ended <- err
		}
		left := p.Limit
		for left != 0 {
			var row *exec.Row
			var more bool
			select {
			case row, more = <-rows:
			default:
				if err := idle(); err != nil {
					return AtEnd, err
				}
				row, more = <-rows
			}
			if !more {
				err := <-ended
				if r.ctx.Err() != nil || err == nil && r.Push {
					return Closed, nil
				}
				return Completed, err
			}
			sent, err := emit(p, row, fn)
			if err != nil {
				return AtEnd, err
			}
			if sent && left > 0 {
				left--
			}
		}
		return LimitReached, idle()
	}
	return r
}

// emit hands a row on, when it is one. A deletion shows its key and its window
// only.
func emit(p *analyze.Push, row *exec.Row, fn func([]types.Value, bool) error) (sent bool, err error) {
	if row.Value != nil {
		return true, fn(row.Value, false)
	}
	if !p.Table {
		return false, nil
	}
	values := make([]types.Value, len(p.Columns))
	next := 0
	for i, key := range p.Key {
		if key && next < len(row.Key) {
			values[i] = row.Key[next]
			next++
		}
		switch p.Bounds[i] {
		case schema.WindowStart:
			values[i] = types.NewBigint(row.Window.Start)
		case schema.WindowEnd:
			values[i] = types.NewBigint(row.Window.End)
		}
	}
	return true, fn(values, true)
}
