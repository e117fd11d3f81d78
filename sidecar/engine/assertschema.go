package engine

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sidestream/sidestream/sidecar/engine/ast"
	"github.com/sidestream/sidestream/sidecar/registry"
)

// AssertSchemaEntity answers ASSERT SCHEMA.
type AssertSchemaEntity struct {
	Type          string    `json:"@type"` // assert_schema
	StatementText string    `json:"statementText"`
	Subject       *string   `json:"subject"`
	ID            *int      `json:"id"`
	Exists        bool      `json:"exists"`
	Warnings      []Warning `json:"warnings"`
}

// assertSchema waits until the Schema Registry is as the statement says.
func (e *Engine) assertSchema(ctx context.Context, st *ast.AssertSchema) (Entity, error) {
	wait := time.Second
	if st.Timeout != nil {
		wait = time.Duration(st.Timeout.Millis()) * time.Millisecond
	}
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	what := "Schema"
	if st.Subject != "" {
		what += " with subject name " + st.Subject
	}
	if st.ID != nil {
		what += fmt.Sprintf(" id %d", *st.ID)
	}
	for {
		there, why := e.hasSchema(st)
		if why == nil && there != st.NotExists {
			out := AssertSchemaEntity{Type: "assert_schema", StatementText: st.Text, ID: st.ID, Exists: there, Warnings: []Warning{}}
			if st.Subject != "" {
				out.Subject = &st.Subject
			}
			return out, nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			if there && why == nil {
				return nil, about(CodeAssertFailed, st.Text, "%s exists", what)
			}
			if why != nil {
				what = fmt.Sprintf("%s can't be looked up: %v", what, why)
			} else {
				what += " does not exist"
			}
			return nil, about(CodeAssertFailed, st.Text, "%s", what)
		}
	}
}

// hasSchema tells whether the registry has the schema; the error is that of a
// registry that doesn't answer. With a subject and an id, the id must be the subject's newest.
func (e *Engine) hasSchema(st *ast.AssertSchema) (bool, error) {
	if st.Subject == "" && st.ID != nil {
		_, _, _, err := e.cfg.Schemas.ByID(*st.ID)
		if refused := (*registry.Error)(nil); errors.As(err, &refused) {
			return false, nil
		}
		return err == nil, err
	}
	id, _, _, _, err := e.cfg.Schemas.Latest(st.Subject)
	return err == nil && id != 0 && (st.ID == nil || *st.ID == id), err
}
