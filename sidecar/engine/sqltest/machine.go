package sqltest

import (
	"fmt"
	"slices"

	"github.com/sidestream/sidestream/sidecar/engine/analyze"
	"github.com/sidestream/sidestream/sidecar/engine/ast"
	"github.com/sidestream/sidestream/sidecar/engine/catalog"
	"github.com/sidestream/sidestream/sidecar/engine/driver"
	"github.com/sidestream/sidestream/sidecar/engine/function"
	"github.com/sidestream/sidestream/sidecar/engine/plan"
	"github.com/sidestream/sidestream/sidecar/engine/serde"
)

// machine is an engine in memory: a catalogue, queries on the driver, and for
// each topic how far it has been asserted.
type machine struct {
	catalog *catalog.Catalog
	driver  *driver.Driver
	config  map[string]string
	queries int
	running map[string]*analyze.Persistent // by query id
	read    map[string]int                 // by topic
}

func newMachine() *machine {
	functions := function.Builtin()
	return &machine{
		catalog: catalog.New(),
		driver:  driver.New(driver.Options{Functions: functions}),
		config:  map[string]string{},
		running: map[string]*analyze.Persistent{},
		read:    map[string]int{},
	}
}

func (m *machine) env() *analyze.Env {
	return &analyze.Env{
		Catalog: m.catalog, Functions: function.Builtin(), Config: m.config,
		// One partition everywhere, so that records have one order.
		Topics: func(topic string) (int, bool) {
			n := m.driver.Partitions(topic)
			return max(n, 1), true
		},
	}
}

func (m *machine) nextID(prefix, name string) string {
	id := fmt.Sprintf("%s%s%d", prefix, name, m.queries)
	m.queries++
	return id
}

func (m *machine) execute(s ast.Statement) error {
	switch s := s.(type) {
	case *ast.CreateSource:
		return m.createSource(s)
	case *ast.CreateAs:
		prefix := "CSAS_"
		if s.Table {
			prefix = "CTAS_"
		}
		p, err := analyze.CreateAs(m.env(), s, m.nextID(prefix, s.Name.Name+"_"))
		if err != nil {
			return err
		}
		return m.start(p)
	case *ast.InsertInto:
		p, err := analyze.InsertInto(m.env(), s, m.nextID("INSERTQUERY_", ""))
		if err != nil {
			return err
		}
		return m.start(p)
	case *ast.InsertValues:
		return m.insert(s)
	case *ast.SetProperty:
		m.config[s.Name] = s.Value
	case *ast.UnsetProperty:
		delete(m.config, s.Name)
	case *ast.CreateType:
		t, err := s.Type.Resolve(m.catalog.Type)
		if err != nil {
			return err
		}
		m.catalog.PutType(s.Name.Name, t)
	case *ast.DropType:
		m.catalog.DropType(s.Name.Name)
	case *ast.DropSource:
		return m.drop(s)
	case *ast.AssertValues:
		return m.assertValues(s)
	case *ast.AssertTombstone:
		return m.assertTombstone(s)
	case *ast.AssertSource:
		return m.assertSource(s)
	default:
		return fmt.Errorf("a SQL test can't run this statement; it can run CREATE, INSERT, SET, DROP and ASSERT")
	}
	return nil
}

func (m *machine) createSource(s *ast.CreateSource) error {
	c, err := analyze.CreateSource(m.env(), s, m.nextID("CST_", s.Name.Name+"_"))
	if err != nil || c.Exists {
		return err
	}
	m.driver.CreateTopic(c.Source.Topic, 1)
	if c.Query != nil {
		if err := m.add(c.Query); err != nil {
			return err
		}
	}
	m.catalog.Put(c.Source)
	return nil
}

func (m *machine) start(p *analyze.Persistent) error {
	if p.Exists {
		return nil
	}
	if p.Topic != nil {
		m.driver.CreateTopic(p.Topic.Name, 1)
	}
	if p.Replaces {
		old, _ := m.catalog.Source(p.Source.Name)
		m.driver.Drop(old.CreatedBy)
		delete(m.running, old.CreatedBy)
	}
	if err := m.add(p.Plan); err != nil {
		return err
	}
	if p.Source != nil {
		m.catalog.Put(p.Source)
	}
	m.running[p.Plan.ID] = p
	return nil
}

// add starts a query, which takes what its topics hold already.
func (m *machine) add(p *plan.Query) error {
	q, err := m.driver.AddQuery(p)
	if err != nil {
		return err
	}
	for _, topic := range q.Topics() {
		if err := q.Feed(topic); err != nil {
			return err
		}
	}
	return nil
}

func (m *machine) drop(s *ast.DropSource) error {
	src, ok := m.catalog.Source(s.Name.Name)
	if !ok {
		if s.IfExists {
			return nil
		}
		return fmt.Errorf("Source %s does not exist.", s.Name.Name)
	}
	for id, p := range m.running {
		if id != src.CreatedBy && (slices.Contains(p.Reads, src.Name) || p.Writes == src.Name) {
			return fmt.Errorf("Cannot drop %s: query %s uses it.", src.Name, id)
		}
	}
	if src.CreatedBy != "" {
		m.driver.Drop(src.CreatedBy)
		delete(m.running, src.CreatedBy)
	}
	if s.DeleteTopic {
		m.driver.DeleteTopic(src.Topic)
	}
	m.catalog.Drop(src.Name)
	return nil
}

func (m *machine) insert(s *ast.InsertValues) error {
	row, err := analyze.InsertValues(m.env(), s)
	if err != nil {
		return err
	}
	src := row.Source
	keyColumns, valueColumns := src.Schema.Key, dataColumns(src.Schema.Value)
	rec := driver.Record{Time: max(row.Time, 0), Partition: -1}
	if row.Key != nil && len(keyColumns) > 0 {
		enc, err := serde.NewEncoder(src.KeyFormat, keyColumns, serde.Options{Subject: src.Topic + "-key", IsKey: true})
		if err != nil {
			return err
		}
		if rec.Key, err = enc.Encode(nil, row.Key); err != nil {
			return err
		}
	}
	enc, err := serde.NewEncoder(src.ValueFormat, valueColumns, serde.Options{Subject: src.Topic + "-value"})
	if err != nil {
		return err
	}
	if rec.Value, err = enc.Encode(nil, row.Value); err != nil {
		return err
	}
	return m.driver.Pipe(src.Topic, rec)
}
