package deploy

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// operation is work on a server that must not be left half done: it is written
// to the ledger before it begins, and whoever applies next ends it first.
//
// While it is prepared the old queries run, or are paused; then it is undone.
// From the cut on, its actions are carried out to the end, one by one.
type operation struct {
	About string `json:"about"`
	// Cut: the preparation is over.
	Cut bool `json:"cut,omitempty"`
	// What undoing takes: queries to let go on, queries, objects and topics that
	// were made.
	Paused  []string `json:"paused,omitempty"`
	Queries []string `json:"queries,omitempty"`
	Objects []string `json:"objects,omitempty"`
	Topics  []string `json:"topics,omitempty"`

	Actions []action `json:"actions,omitempty"`
	Done    int      `json:"done,omitempty"` // so many of them
}

// action is one thing to do. Done twice, it is as if it had been done once.
type action struct {
	Do         string            `json:"do"`
	Query      string            `json:"query,omitempty"`
	Name       string            `json:"name,omitempty"`
	SQL        string            `json:"sql,omitempty"`
	Properties map[string]string `json:"properties,omitempty"`
	Group      string            `json:"group,omitempty"`
	At         offsets           `json:"at,omitempty"`
	Key        string            `json:"key,omitempty"`
	Entry      *Entry            `json:"entry,omitempty"`
}

// What actions do.
const (
	doTerminate = "terminate" // Query
	doDrop      = "drop"      // Name
	doCreate    = "create"    // Name by SQL
	doSeed      = "seed"      // Group of Query with At, before it is there
	doInsert    = "insert"    // Query by SQL
	doResume    = "resume"    // Query
	doReader    = "reader"    // Group of somebody else gets At
	doRemember  = "remember"  // Key: Entry, with the text of Name; none removes it
)

// finishOld ends what an applier before has left half done.
func (a *applier) finishOld(ctx context.Context) error {
	b, err := a.ledger.load(ctx)
	if err != nil || b.operation == nil {
		return err
	}
	op := b.operation
	info, err := a.server.client.Info(ctx)
	if err != nil {
		return err
	}
	a.server.info = info
	if !op.Cut {
		a.say("an earlier apply was cut off while it prepared %s: that is undone first", op.About)
		return a.undo(ctx, op)
	}
	a.say("an earlier apply was cut off while it carried out %s: that is finished first", op.About)
	return a.perform(ctx, op)
}

// undo takes back what a preparation has made.
func (a *applier) undo(ctx context.Context, op *operation) error {
	if err := a.server.lookShort(ctx); err != nil {
		return err
	}
	var errs []error
	for i := len(op.Queries) - 1; i >= 0; i-- {
		errs = append(errs, a.server.terminate(ctx, op.Queries[i]))
	}
	for i := len(op.Objects) - 1; i >= 0; i-- {
		errs = append(errs, a.server.drop(ctx, op.Objects[i]))
	}
	for _, t := range op.Topics {
		errs = append(errs, a.ledger.kafka.deleteTopic(ctx, t))
	}
	for _, id := range op.Paused {
		if _, there := a.server.query(id); there {
			errs = append(errs, a.server.resume(ctx, id))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("%s can't be undone: %w", op.About, err)
	}
	return a.ledger.saveOperation(ctx, nil)
}

// giveUp undoes a preparation after an error, whose context may have ended.
func (a *applier) giveUp(ctx context.Context, op *operation, err error) error {
	again, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
	defer cancel()
	if undone := a.undo(again, op); undone != nil {
		return fmt.Errorf("%w\nand then: %w\nThe next apply undoes it.", err, undone)
	}
	return fmt.Errorf("%w\nEverything is as it was before: the old queries run.", err)
}

// perform carries out the actions that are left.
func (a *applier) perform(ctx context.Context, op *operation) error {
	for op.Done < len(op.Actions) {
		act := &op.Actions[op.Done]
		if err := a.do(ctx, act); err != nil {
			return fmt.Errorf("%s stopped at step %d of %d (%s): %w\nNothing is lost: apply again, and it goes on from there.",
				op.About, op.Done+1, len(op.Actions), act, err)
		}
		op.Done++
		if err := a.ledger.saveOperation(ctx, op); err != nil {
			return err
		}
	}
	return a.ledger.saveOperation(ctx, nil)
}

// String names the action.
func (act *action) String() string {
	for _, s := range []string{act.Query, act.Name, act.Group, act.Key} {
		if s != "" {
			return act.Do + " " + s
		}
	}
	return act.Do
}

func (a *applier) do(ctx context.Context, act *action) error {
	switch act.Do {
	case doTerminate:
		return a.server.terminate(ctx, act.Query)
	case doDrop:
		return a.server.drop(ctx, act.Name)
	case doCreate:
		_, err := a.server.ensure(ctx, act.SQL, act.Properties, func() (string, bool, error) {
			if err := a.server.lookShort(ctx); err != nil {
				return "", false, err
			}
			_, there := a.server.sources[act.Name]
			return "", there, nil
		})
		return err
	case doSeed:
		if err := a.server.lookShort(ctx); err != nil {
			return err
		}
		if _, there := a.server.query(act.Query); there {
			return nil
		}
		return a.ledger.kafka.seed(ctx, act.Group, act.At)
	case doInsert:
		return a.server.start(ctx, act.SQL, act.Query, act.Properties)
	case doResume:
		return a.server.resume(ctx, act.Query)
	case doReader:
		if err := a.ledger.kafka.seed(ctx, act.Group, act.At); err != nil {
			a.result.Notes = append(a.result.Notes, fmt.Sprintf("group %s isn't moved: %v", act.Group, err))
		}
		return nil
	case doRemember:
		if act.Entry != nil && act.Name != "" {
			d, err := a.server.describe(ctx, act.Name)
			if err != nil {
				return err
			}
			act.Entry.Server = d.Statement
		}
		return a.ledger.Save(ctx, act.Key, act.Entry)
	}
	return fmt.Errorf("an applier of a newer version began this: it knows what %q is", act.Do)
}

// cut begins the part of an operation that is carried out to its end.
func (a *applier) cut(ctx context.Context, op *operation) error {
	op.Cut = true
	if err := a.ledger.saveOperation(ctx, op); err != nil {
		return err
	}
	return a.perform(ctx, op)
}
