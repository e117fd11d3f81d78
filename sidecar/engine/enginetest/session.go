package enginetest

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/sidestream/sidestream/sidecar/engine/analyze"
	"github.com/sidestream/sidestream/sidecar/engine/ast"
	"github.com/sidestream/sidestream/sidecar/engine/catalog"
	"github.com/sidestream/sidestream/sidecar/engine/diagnostic"
	"github.com/sidestream/sidestream/sidecar/engine/driver"
	"github.com/sidestream/sidestream/sidecar/engine/exec"
	"github.com/sidestream/sidestream/sidecar/engine/function"
	"github.com/sidestream/sidestream/sidecar/engine/parser"
	"github.com/sidestream/sidestream/sidecar/engine/plan"
	"github.com/sidestream/sidestream/sidecar/engine/schema"
	"github.com/sidestream/sidestream/sidecar/engine/serde"
)

// Session is a server without Kafka: statements change its catalogue and start
// queries on its driver.
type Session struct {
	Env     *analyze.Env
	Driver  *driver.Driver
	Queries []*driver.Query
	// Warnings of all statements so far.
	Warnings []string
	// Problems are the processing log: logger and message.
	Problems []string
	// SinglePartition gives every topic one partition, whatever statements say, as
	// the query cases have it; sources that say nothing then count as having four.
	SinglePartition bool
	// FromEarliest: queries start with what their topics hold already.
	FromEarliest bool
	// partitions of topics that are there before the first statement.
	partitions map[string]int
	next       int
}

// NewSession starts with nothing. config are properties of the server (ksqlDB's
// names); functions nil stands for the built-in ones with these settings.
func NewSession(config map[string]string, functions function.Registry) *Session {
	if functions == nil {
		functions = function.Configured(config)
	}
	s := &Session{Env: &analyze.Env{Catalog: catalog.New(), Functions: functions, Config: config}}
	s.newDriver()
	return s
}

// newDriver makes the driver.
func (s *Session) newDriver() {
	s.Driver = driver.New(driver.Options{Functions: s.Env.Functions, Config: s.Env.Config, Schemas: s.Env.Schemas, OnProblem: func(_ string, p exec.Problem) {
		s.Problems = append(s.Problems, p.Logger+": "+p.Message)
	}})
}

// UseRegistry gives a new session a Schema Registry.
func (s *Session) UseRegistry(r serde.SchemaRegistry) {
	s.Env.Schemas = r
	s.newDriver()
}

// Apply carries out statements in their order and stops at the first mistake.
func (s *Session) Apply(sql string) error {
	statements, err := parser.Parse(sql)
	if err != nil {
		return err
	}
	for _, st := range statements {
		if err := s.apply(st); err != nil {
			return err
		}
	}
	return nil
}

func (s *Session) apply(st ast.Statement) error {
	switch st := st.(type) {
	case *ast.CreateSource:
		return s.createSource(st)
	case *ast.CreateAs:
		return s.createAs(st)
	case *ast.InsertInto:
		id := "INSERTQUERY_" + strconv.Itoa(s.next)
		p, err := analyze.InsertInto(s.Env, st, id)
		if err != nil {
			return err
		}
		return s.start(p.Plan, p.Warnings)
	case *ast.InsertValues:
		return s.insert(st)
	case *ast.CreateType:
		t, exists, err := analyze.CreateType(s.Env, st)
		if err == nil && !exists {
			s.Env.Catalog.PutType(st.Name.Name, t)
		}
		return err
	case *ast.DropType:
		found, err := analyze.DropType(s.Env, st)
		if err == nil && found {
			s.Env.Catalog.DropType(st.Name.Name)
		}
		return err
	case *ast.DropSource:
		return s.drop(st)
	case *ast.AlterSource:
		src, err := analyze.AlterSource(s.Env, st)
		if err == nil {
			s.Env.Catalog.Put(src)
		}
		return err
	case *ast.SetProperty:
		if s.Env.Config == nil {
			s.Env.Config = map[string]string{}
		}
		s.Env.Config[st.Name] = st.Value
		return nil
	case *ast.UnsetProperty:
		delete(s.Env.Config, st.Name)
		return nil
	}
	return fmt.Errorf("a session does not carry out %T", st)
}

func (s *Session) createSource(st *ast.CreateSource) error {
	c, err := analyze.CreateSource(s.Env, st, "CST_"+st.Name.Name+"_"+strconv.Itoa(s.next))
	if err != nil || c.Exists {
		return err
	}
	switch {
	case !s.SinglePartition:
		s.Driver.CreateTopic(c.Source.Topic, c.Source.Partitions)
		c.Source.Partitions = s.Driver.Partitions(c.Source.Topic) // of a topic that is there
	case s.partitions[c.Source.Topic] != 0:
		c.Source.Partitions = s.partitions[c.Source.Topic]
	case st.With.Get("PARTITIONS") == nil:
		c.Source.Partitions = 4
	}
	s.Env.Catalog.Put(c.Source)
	if c.Query != nil {
		return s.start(c.Query, c.Warnings)
	}
	return nil
}

func (s *Session) createAs(st *ast.CreateAs) error {
	kind := "CSAS_"
	if st.Table {
		kind = "CTAS_"
	}
	id := kind + st.Name.Name + "_" + strconv.Itoa(s.next)
	if old, ok := s.Env.Catalog.Source(st.Name.Name); ok && st.OrReplace && old.CreatedBy != "" {
		id = old.CreatedBy
	}
	p, err := analyze.CreateAs(s.Env, st, id)
	if err != nil || p.Exists {
		return err
	}
	if p.Replaces {
		if old := s.Driver.Query(id); old != nil {
			if err := analyze.Upgradeable(old.Plan(), p.Plan); err != nil {
				return err
			}
			s.stop(id)
		}
	}
	if !s.SinglePartition {
		s.Driver.CreateTopic(p.Source.Topic, p.Source.Partitions)
	}
	s.Env.Catalog.Put(p.Source)
	return s.start(p.Plan, p.Warnings)
}

func (s *Session) start(p *plan.Query, warnings []string) error {
	s.Warnings = append(s.Warnings, warnings...)
	q, err := s.Driver.AddQuery(p)
	if err != nil {
		return err
	}
	s.Queries = append(s.Queries, q)
	s.next++
	if s.FromEarliest {
		return s.feed(q)
	}
	return nil
}

// feed gives a query the records that its topics hold, tables first, and what it
// writes to the queries behind it.
func (s *Session) feed(q *driver.Query) error {
	tables := map[string]bool{}
	for _, src := range s.Env.Catalog.Sources() {
		tables[src.Topic] = tables[src.Topic] || src.Table
	}
	for _, wantTable := range []bool{true, false} {
		for _, topic := range q.Topics() {
			if tables[topic] != wantTable {
				continue
			}
			if err := s.Driver.CatchUp(q, topic); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *Session) stop(id string) {
	s.Driver.Drop(id)
	for i, q := range s.Queries {
		if q.Plan().ID == id {
			s.Queries = append(s.Queries[:i:i], s.Queries[i+1:]...)
			return
		}
	}
}

func (s *Session) drop(st *ast.DropSource) error {
	src, err := analyze.DropSource(s.Env, st)
	if err != nil || src == nil {
		return err
	}
	for _, q := range s.Queries {
		for _, topic := range q.Topics() {
			if topic == src.Topic && q.Plan().ID != src.CreatedBy {
				return diagnostic.At(st.Pos, "Cannot drop %s.\nThe following queries read from this source: [%s].\nYou need to terminate them before dropping %s.", src.Name, q.Plan().ID, src.Name)
			}
		}
	}
	if src.CreatedBy != "" {
		s.stop(src.CreatedBy)
	}
	s.Env.Catalog.Drop(src.Name)
	if st.DeleteTopic {
		s.Driver.DeleteTopic(src.Topic)
	}
	return nil
}

// insert writes the row of INSERT INTO … VALUES to its topic.
func (s *Session) insert(st *ast.InsertValues) error {
	row, err := analyze.InsertValues(s.Env, st)
	if err != nil {
		return err
	}
	src := row.Source
	key, value := halves(src.Topic, src, s.Env.Schemas)
	r := driver.Record{Time: max(row.Time, 0)}
	if row.Key != nil && len(src.Schema.Key) > 0 {
		enc, err := serde.NewEncoder(src.KeyFormat, src.Schema.Key, key.options())
		if err != nil {
			return err
		}
		if r.Key, err = enc.Encode([]byte{}, row.Key); err != nil {
			return err
		}
	}
	if row.Value != nil {
		enc, err := serde.NewEncoder(src.ValueFormat, valueColumns(src), value.options())
		if err != nil {
			return err
		}
		if r.Value, err = enc.Encode([]byte{}, row.Value); err != nil {
			return err
		}
	}
	_, err = s.Driver.Write(src.Topic, r)
	return err
}

// valueColumns are the columns that are in a record's value.
func valueColumns(src *catalog.Source) []schema.Column {
	var out []schema.Column
	for _, c := range src.Schema.Value {
		if !c.Headers {
			out = append(out, c)
		}
	}
	return out
}

// sourceOf finds a stream or table over a topic, derived ones last.
func (s *Session) sourceOf(topic string) *catalog.Source {
	var found *catalog.Source
	for _, src := range s.Env.Catalog.Sources() {
		if strings.EqualFold(src.Topic, topic) && src.Topic == topic && (found == nil || src.CreatedBy == "") {
			found = src
		}
	}
	return found
}
