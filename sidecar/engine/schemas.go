package engine

import (
	"errors"
	"fmt"
	"strings"

	"github.com/sidestream/sidestream/sidecar/engine/catalog"
	"github.com/sidestream/sidestream/sidecar/engine/plan"
	"github.com/sidestream/sidestream/sidecar/engine/schema"
	"github.com/sidestream/sidestream/sidecar/engine/serde"
)

// schemaAnswer is a schema as the registry gave it; ID is 0 where it had none.
type schemaAnswer struct {
	ID         int               `json:"id,omitempty"`
	Type       string            `json:"type,omitempty"`
	Text       string            `json:"text,omitempty"`
	References map[string]string `json:"references,omitempty"`
}

// schemaAnswers is the registry as the analysis of one statement sees it. What it
// answers is written to the statement log, and answers again when the statement is
// replayed: the columns that a CREATE takes from a schema stay those that they
// were, whatever is registered since and whether the registry is there.
type schemaAnswers struct {
	serde.SchemaRegistry // the live one
	recorded, noted      map[string]schemaAnswer
}

func (a *schemaAnswers) ByID(id int) (schemaType, text string, references map[string]string, err error) {
	s, err := a.answer(fmt.Sprintf("id %d", id), func() (s schemaAnswer, err error) {
		s.Type, s.Text, s.References, err = a.SchemaRegistry.ByID(id)
		s.ID = id
		return s, err
	})
	return s.Type, s.Text, s.References, err
}

func (a *schemaAnswers) Latest(subject string) (id int, schemaType, text string, references map[string]string, err error) {
	s, err := a.answer("subject "+subject, func() (s schemaAnswer, err error) {
		s.ID, s.Type, s.Text, s.References, err = a.SchemaRegistry.Latest(subject)
		return s, err
	})
	return s.ID, s.Type, s.Text, s.References, err
}

func (a *schemaAnswers) answer(question string, ask func() (schemaAnswer, error)) (schemaAnswer, error) {
	if s, ok := a.recorded[question]; ok {
		return s, nil
	}
	s, err := ask()
	if err == nil {
		a.noted[question] = s
	}
	return s, err
}

// half is the key or the value of a topic.
type half struct {
	format plan.Format
	cols   []schema.Column
	o      serde.Options
}

// halves are those of a source's topic whose schema is its own in a registry.
func halves(src *catalog.Source) []half {
	value := half{src.ValueFormat, nil, serde.Options{Subject: src.Topic + "-value"}}
	for _, c := range src.Schema.Value {
		if !c.Headers {
			value.cols = append(value.cols, c)
		}
	}
	var out []half
	for _, h := range []half{{src.KeyFormat, src.Schema.Key, serde.Options{Subject: src.Topic + "-key", IsKey: true}}, value} {
		if serde.SchemaType(h.format.Name) != "" {
			out = append(out, h)
		}
	}
	return out
}

// registerSchemas registers the schemas of a topic when a statement declares it: so
// others find them before there is a record. A declared source leaves a schema
// that is there as it is; a query's sink makes a new version, if it is compatible.
func (e *Engine) registerSchemas(c *change) error {
	if e.cfg.Schemas == nil || c.put == nil || !strings.HasSuffix(c.commandID, "/create") {
		return nil
	}
	for _, h := range halves(c.put) {
		if len(h.cols) == 0 || h.format.Props["schemaId"] != "" {
			continue
		}
		if err := e.registerSchema(h, c.derives != nil); err != nil {
			return about(CodeBadStatement, c.logged, "Could not register schema for topic: %s\nCaused by: %v", c.put.Topic, err)
		}
	}
	return nil
}

func (e *Engine) registerSchema(h half, always bool) error {
	if !always {
		if id, _, _, _, err := e.cfg.Schemas.Latest(h.o.Subject); err != nil || id != 0 {
			return err
		}
	}
	text, err := serde.Schema(h.format, h.cols, h.o)
	if err == nil {
		_, err = e.cfg.Schemas.Register(h.o.Subject, serde.SchemaType(h.format.Name), text)
	}
	return err
}

// forgetSchemas deletes the subjects of a topic that was deleted with its source.
func (e *Engine) forgetSchemas(src *catalog.Source) error {
	schemas, ok := e.cfg.Schemas.(interface {
		Delete(subject string) ([]int, error)
	})
	if !ok || src == nil {
		return nil
	}
	var errs []error
	for _, h := range halves(src) {
		_, err := schemas.Delete(h.o.Subject)
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}
