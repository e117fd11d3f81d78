package engine

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
)

// carryOut writes a change to the log and does it. What is returned is the answer.
func (e *Engine) carryOut(ctx context.Context, s *session, c *change) (Entity, error) {
	if c.exists != "" {
		return WarningEntity{Type: "warning_entity", StatementText: c.text, Message: c.exists, Warnings: []Warning{}}, nil
	}
	for i := range c.topics {
		if err := e.ensureTopic(ctx, s.topics, &c.topics[i], c.logged, false); err != nil {
			return nil, err
		}
	}
	if err := e.registerSchemas(c); err != nil {
		return nil, err
	}
	en := &entry{CommandID: c.commandID, Statement: c.logged, Properties: c.properties, Topics: c.topics}
	if c.query != nil {
		en.QueryID = c.query.id
	}
	if s.schemas != nil {
		en.Schemas = s.schemas.noted
	}
	offset, err := e.statement.append(ctx, en)
	if errors.Is(err, errFenced) {
		// Kafka says the same of a transaction that it has given up: whoever took the
		// service id makes itself known.
		select {
		case <-e.owner.Lost:
			return nil, e.fenced(c)
		case <-time.After(time.Second):
			offset, err = e.statement.append(ctx, en)
		}
	}
	if errors.Is(err, errFenced) {
		return nil, e.fenced(c)
	}
	if err != nil {
		return nil, about(CodeServerError, c.logged, "Could not write the statement '%s' into the command topic.\nCaused by: %v", c.logged, err)
	}
	status := CommandStatus{Status: "SUCCESS", Message: c.message}
	// A client that leaves now doesn't leave the statement half done.
	if err := e.perform(context.WithoutCancel(ctx), s, c); err != nil {
		e.log.Error("a statement can't be carried out", "statement", c.text, "err", err)
		status.Status, status.Message = "ERROR", err.Error()
		undone := &entry{CommandID: c.commandID, Undone: &offset}
		if _, err := e.statement.append(context.WithoutCancel(ctx), undone); err != nil {
			e.log.Error("and it can't be taken back: it will be tried again at the next start", "err", err)
		}
	} else if c.query != nil {
		status.QueryID = &c.query.id
	}
	e.setStatus(c, status.Status, status.Message)
	e.advance(offset)
	return StatusEntity{Type: "currentStatus", StatementText: c.text, CommandID: c.commandID, Status: status, Sequence: offset, Warnings: warnings(c.warnings)}, nil
}

// perform does on Kafka and in the runtime what a change says, then makes it known.
func (e *Engine) perform(ctx context.Context, s *session, c *change) error {
	dropped, _ := e.world.catalog.Source(c.drop)
	for _, id := range c.stop {
		if err := e.rt.Stop(ctx, id, true); err != nil {
			e.log.Warn("what a query left on Kafka can't be removed", "query", id, "err", err)
		}
	}
	if c.query != nil && c.replaces {
		if err := e.rt.Stop(ctx, c.query.id, false); err != nil {
			return err
		}
	}
	if c.query != nil {
		if err := e.run(ctx, c.query); err != nil {
			if c.replaces { // the one before goes on
				if old, ok := e.world.query(c.query.id); ok {
					err = errors.Join(err, e.run(ctx, old))
				}
			}
			return err
		}
	}
	e.world.apply(c)
	for _, id := range c.pause {
		if q, ok := e.world.query(id); ok {
			if run := q.runner(); run != nil && c.paused {
				run.Pause()
			} else if run != nil {
				run.Resume()
			}
		}
	}
	if c.deleteTopic != "" {
		resp, err := e.adm.DeleteTopic(ctx, c.deleteTopic)
		if err == nil {
			err = resp.Err
		}
		if err != nil && !errors.Is(err, kerr.UnknownTopicOrPartition) {
			e.log.Warn("a dropped source's topic can't be deleted", "topic", c.deleteTopic, "err", err)
		}
		if err := e.forgetSchemas(dropped); err != nil {
			e.log.Warn("the schemas of a deleted topic can't be deleted", "topic", c.deleteTopic, "err", err)
		}
		delete(s.topics.known, c.deleteTopic)
	}
	return nil
}

// run starts a query.
func (e *Engine) run(ctx context.Context, q *query) error {
	o := options(q.config)
	if o.CommitInterval == 0 {
		o.CommitInterval = e.cfg.CommitInterval
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	o.Paused = q.paused
	run, err := e.rt.Start(ctx, q.plan, o)
	if err != nil {
		return err
	}
	q.run = run
	return nil
}

// fenced ends this engine: another one writes its log.
func (e *Engine) fenced(c *change) error {
	err := e.owner.err()
	if err == nil {
		err = fmt.Errorf("service id %q: %w; this one ends", e.cfg.ServiceID, errFenced)
	}
	e.owner.lose(err)
	return about(CodeServerError, c.logged, "Could not write the statement '%s' into the command topic.\nCaused by: %v", c.logged, err)
}

func (e *Engine) setStatus(c *change, status, message string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	s := CommandStatus{Status: status, Message: message}
	if c.query != nil && status == "SUCCESS" {
		s.QueryID = &c.query.id
	}
	e.statuses[c.commandID] = s
}

// advance notes that the command of that sequence number is done.
func (e *Engine) advance(sequence int64) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if sequence > e.done {
		e.done = sequence
		close(e.advanced)
		e.advanced = make(chan struct{})
	}
}

// awaitSequence waits until the command of that number is done, as a client asks
// that has been answered with it elsewhere.
func (e *Engine) awaitSequence(ctx context.Context, sequence int64) error {
	limit := time.NewTimer(5 * time.Second)
	defer limit.Stop()
	for {
		e.mu.Lock()
		done, advanced := e.done, e.advanced
		e.mu.Unlock()
		if done >= sequence {
			return nil
		}
		select {
		case <-advanced:
		case <-ctx.Done():
			return ctx.Err()
		case <-limit.C:
			return newError(CodeSequenceTimeout, "Timed out while waiting for a previous command to execute. command sequence number: %d", sequence)
		}
	}
}

// Statuses are the states of all commands, by id.
func (e *Engine) Statuses() map[string]CommandStatus {
	e.mu.Lock()
	defer e.mu.Unlock()
	out := make(map[string]CommandStatus, len(e.statuses))
	for id, s := range e.statuses {
		out[id] = s
	}
	return out
}
