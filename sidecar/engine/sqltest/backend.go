package sqltest

import (
	"fmt"
	"time"

	"github.com/sidestream/sidestream/sidecar/engine/analyze"
	"github.com/sidestream/sidestream/sidecar/engine/ast"
	"github.com/sidestream/sidestream/sidecar/engine/catalog"
	"github.com/sidestream/sidestream/sidecar/engine/driver"
	"github.com/sidestream/sidestream/sidecar/engine/exec"
	"github.com/sidestream/sidestream/sidecar/engine/function"
	"github.com/sidestream/sidestream/sidecar/engine/plan"
	"github.com/sidestream/sidestream/sidecar/engine/serde"
	"github.com/sidestream/sidestream/sidecar/registry"
)

// backend is what a test's statements run on: the engine in memory, or a server.
// The machine has analysed a statement before it comes here, or does so after.
type backend interface {
	// source makes a declared source; query is what keeps a SOURCE TABLE, or nil.
	source(s *ast.CreateSource, src *catalog.Source, query *plan.Query) error
	// start runs a query; replaces is the id of the one whose place it takes, "".
	start(s ast.Statement, p *analyze.Persistent, replaces string) error
	// insert writes a row.
	insert(s *ast.InsertValues, row *analyze.Insert) error
	// drop ends a source's query, "" for none, and forgets the source.
	drop(s *ast.DropSource, src *catalog.Source) error
	// setting takes over a SET, UNSET, CREATE TYPE or DROP TYPE.
	setting(s ast.Statement) error
	// record is the n-th record of a source's topic; false where there is none.
	record(src *catalog.Source, n int) (driver.Record, bool, error)
	// count is how many records a source's topic has.
	count(src *catalog.Source) (int, error)
	// advance moves the time of day on.
	advance(by time.Duration) error
	// problems are what the queries couldn't use, in a line each.
	problems() []string
	// topic tells whether a topic is there.
	topic(name string) (bool, error)
	// schemas is the Schema Registry of the records, nil for none.
	schemas() serde.SchemaRegistry
	close() error
}

// memory is the engine in memory: one partition, and no clock but the records'.
type memory struct {
	driver    *driver.Driver
	queries   []*driver.Query
	registry  *registry.Embedded
	now       time.Duration
	trouble   []string
	statement map[string]ast.Statement // by query id
	// For Cover: where statements come from, and the topics that were asserted.
	from   map[ast.Statement]*origin
	looked map[string]bool
}

func newMemory() *memory {
	m := &memory{statement: map[string]ast.Statement{}, registry: registry.New()}
	m.driver = driver.New(driver.Options{Functions: function.Builtin(), Schemas: m.registry, OnProblem: m.problem})
	return m
}

func (m *memory) problem(query string, p exec.Problem) {
	text := p.Message
	if p.Topic != "" {
		text = fmt.Sprintf("topic %s, %s: %s", p.Topic, p.Target, p.Message)
	}
	for _, c := range p.Cause {
		text += ": " + c
	}
	m.trouble = append(m.trouble, fmt.Sprintf("query %s: %s", query, text))
}

func (m *memory) problems() []string            { return m.trouble }
func (m *memory) schemas() serde.SchemaRegistry { return m.registry }
func (m *memory) close() error                  { return nil }

func (m *memory) source(s *ast.CreateSource, src *catalog.Source, query *plan.Query) error {
	m.driver.CreateTopic(src.Topic, 1)
	if query == nil {
		return nil
	}
	return m.add(s, query)
}

func (m *memory) start(s ast.Statement, p *analyze.Persistent, replaces string) error {
	if p.Topic != nil {
		m.driver.CreateTopic(p.Topic.Name, 1)
	}
	if replaces == "" {
		return m.add(s, p.Plan)
	}
	q, err := m.driver.Replace(p.Plan)
	if err != nil {
		return err
	}
	m.queries = append(m.queries, q)
	m.statement[replaces] = s
	return nil
}

// add starts a query, which takes what its topics hold already.
func (m *memory) add(s ast.Statement, p *plan.Query) error {
	q, err := m.driver.AddQuery(p)
	if err != nil {
		return err
	}
	m.queries = append(m.queries, q)
	m.statement[p.ID] = s
	for _, topic := range q.Topics() {
		if err := q.Feed(topic); err != nil {
			return err
		}
	}
	return nil
}

func (m *memory) stop(id string) { m.driver.Drop(id) }

func (m *memory) insert(_ *ast.InsertValues, row *analyze.Insert) error {
	src := row.Source
	keyColumns, valueColumns := src.Schema.Key, dataColumns(src.Schema.Value)
	rec := driver.Record{Time: max(row.Time, 0), Partition: -1}
	if row.Key != nil && len(keyColumns) > 0 {
		enc, err := serde.NewEncoder(src.KeyFormat, keyColumns, serde.Options{Subject: src.Topic + "-key", IsKey: true, Registry: m.registry})
		if err != nil {
			return err
		}
		if rec.Key, err = enc.Encode(nil, row.Key); err != nil {
			return err
		}
	}
	enc, err := serde.NewEncoder(src.ValueFormat, valueColumns, serde.Options{Subject: src.Topic + "-value", Registry: m.registry})
	if err != nil {
		return err
	}
	if rec.Value, err = enc.Encode(nil, row.Value); err != nil {
		return err
	}
	return m.driver.Pipe(src.Topic, rec)
}

func (m *memory) drop(s *ast.DropSource, src *catalog.Source) error {
	if src.CreatedBy != "" {
		m.stop(src.CreatedBy)
	}
	if s.DeleteTopic {
		m.driver.DeleteTopic(src.Topic)
	}
	return nil
}

func (m *memory) setting(ast.Statement) error { return nil }

func (m *memory) record(src *catalog.Source, n int) (driver.Record, bool, error) {
	all := m.driver.Read(src.Topic)
	if n >= len(all) {
		return driver.Record{}, false, nil
	}
	return all[n], true, nil
}

func (m *memory) count(src *catalog.Source) (int, error) { return len(m.driver.Read(src.Topic)), nil }

func (m *memory) advance(by time.Duration) error {
	m.now += by
	for _, q := range m.queries {
		q.AdvanceWallClock(m.now.Milliseconds())
	}
	return nil
}

func (m *memory) topic(name string) (bool, error) { return m.driver.Partitions(name) > 0, nil }
