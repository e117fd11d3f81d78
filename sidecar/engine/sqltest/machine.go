package sqltest

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/sidestream/sidestream/sidecar/engine/analyze"
	"github.com/sidestream/sidestream/sidecar/engine/ast"
	"github.com/sidestream/sidestream/sidecar/engine/catalog"
	"github.com/sidestream/sidestream/sidecar/engine/diagnostic"
	"github.com/sidestream/sidestream/sidecar/engine/function"
)

// machine carries out a test's statements: it analyses them against a catalogue,
// lets the backend do what they say, and knows for each topic how far it has been
// asserted.
type machine struct {
	catalog *catalog.Catalog
	backend backend
	// asks: the backend has analysed a statement itself, and what it says counts.
	asks    bool
	config  map[string]string
	queries int
	running map[string]*analyze.Persistent // by query id
	read    map[string]int                 // by topic: records asserted
	counts  map[string]int                 // partitions of topics whose statements say so
	cover   *Cover
}

func newMachine(b backend, cover *Cover) *machine {
	return &machine{
		catalog: catalog.New(), backend: b, config: map[string]string{}, running: map[string]*analyze.Persistent{},
		read: map[string]int{}, counts: map[string]int{}, cover: cover,
	}
}

func (m *machine) env() *analyze.Env {
	return &analyze.Env{
		Catalog: m.catalog, Functions: function.Builtin(), Config: m.config,
		// One partition everywhere, so that records have one order.
		Topics:  func(string) (int, bool) { return 1, true },
		Schemas: m.backend.schemas(),
	}
}

func (m *machine) nextID(prefix, name string) string {
	id := fmt.Sprintf("%s%s%d", prefix, name, m.queries)
	m.queries++
	return id
}

// partitions notes and takes away what a WITH clause says of partitions: a test
// has one everywhere.
func (m *machine) partitions(with ast.Properties, topic func(ast.Properties) string) ast.Properties {
	lit, ok := with.Get("PARTITIONS").(*ast.IntLit)
	if !ok {
		return with
	}
	m.counts[topic(with)] = int(lit.Value)
	return slices.DeleteFunc(slices.Clone(with), func(p ast.Property) bool { return p.Name == "PARTITIONS" })
}

func topicIn(name string) func(ast.Properties) string {
	return func(with ast.Properties) string {
		if lit, ok := with.Get("KAFKA_TOPIC").(*ast.StringLit); ok {
			return lit.Value
		}
		return name
	}
}

func (m *machine) execute(s ast.Statement) error {
	switch s := s.(type) {
	case *ast.CreateSource:
		return m.createSource(s)
	case *ast.CreateAs:
		return m.createAs(s)
	case *ast.InsertInto:
		p, err := analyze.InsertInto(m.env(), s, m.nextID("INSERTQUERY_", ""))
		if err = m.before(err); err != nil {
			return err
		}
		return m.start(s, p)
	case *ast.InsertValues:
		row, err := analyze.InsertValues(m.env(), s)
		if err = m.before(err); err != nil {
			return err
		}
		return m.backend.insert(s, row)
	case *ast.SetProperty:
		m.config[s.Name] = s.Value
		return m.backend.setting(s)
	case *ast.UnsetProperty:
		delete(m.config, s.Name)
		return m.backend.setting(s)
	case *ast.CreateType:
		t, err := s.Type.Resolve(m.catalog.Type)
		if err != nil {
			return err
		}
		m.catalog.PutType(s.Name.Name, t)
		return m.backend.setting(s)
	case *ast.DropType:
		m.catalog.DropType(s.Name.Name)
		return m.backend.setting(s)
	case *ast.DropSource:
		return m.drop(s)
	case *ast.AssertValues:
		return m.assertValues(s)
	case *ast.AssertTombstone:
		return m.assertTombstone(s)
	case *ast.AssertSource:
		return m.assertSource(s)
	case *ast.AssertTopic:
		return m.assertTopic(s)
	}
	return fmt.Errorf("a SQL test can't run this statement; it can run CREATE, INSERT, SET, DROP and ASSERT")
}

// before is a mistake that analysis has found, before a server was asked: then the
// server is asked all the same, since its words are what counts.
func (m *machine) before(err error) error {
	if err != nil && m.asks {
		return errAsk{err}
	}
	return err
}

// errAsk is a mistake that the server hasn't confirmed yet.
type errAsk struct{ error }

func (m *machine) createSource(s *ast.CreateSource) error {
	plain := *s
	plain.With = m.partitions(s.With, topicIn(s.Name.Name))
	c, err := analyze.CreateSource(m.env(), &plain, m.nextID("CST_", s.Name.Name+"_"))
	if err = m.before(err); err != nil || c.Exists {
		return err
	}
	if err := m.backend.source(s, c.Source, c.Query); err != nil {
		return err
	}
	m.catalog.Put(c.Source)
	return nil
}

func (m *machine) createAs(s *ast.CreateAs) error {
	prefix := "CSAS_"
	if s.Table {
		prefix = "CTAS_"
	}
	plain := *s
	plain.With = m.partitions(s.With, topicIn(s.Name.Name))
	p, err := analyze.CreateAs(m.env(), &plain, m.nextID(prefix, s.Name.Name+"_"))
	if err = m.before(err); err != nil || p.Exists {
		return err
	}
	return m.start(s, p)
}

func (m *machine) start(s ast.Statement, p *analyze.Persistent) error {
	replaces := ""
	if p.Replaces {
		old, _ := m.catalog.Source(p.Source.Name)
		replaces = old.CreatedBy
		p.Source.CreatedBy, p.Plan.ID = replaces, replaces // it goes on under the old one's id
	}
	if err := m.backend.start(s, p, replaces); err != nil {
		return err
	}
	if p.Source != nil {
		m.catalog.Put(p.Source)
	}
	m.running[p.Plan.ID] = p
	return nil
}

func (m *machine) drop(s *ast.DropSource) error {
	src, ok := m.catalog.Source(s.Name.Name)
	if !ok {
		if s.IfExists {
			return nil
		}
		return m.before(fmt.Errorf("Source %s does not exist.", s.Name.Name))
	}
	for id, p := range m.running {
		if id != src.CreatedBy && (slices.Contains(p.Reads, src.Name) || p.Writes == src.Name) {
			return m.before(fmt.Errorf("Cannot drop %s: query %s uses it.", src.Name, id))
		}
	}
	if err := m.backend.drop(s, src); err != nil {
		return err
	}
	delete(m.running, src.CreatedBy)
	m.catalog.Drop(src.Name)
	return nil
}

// assertTopic checks that a topic is there, or isn't, and its partitions where a
// statement of the test says how many.
func (m *machine) assertTopic(s *ast.AssertTopic) error {
	there, err := m.backend.topic(s.Topic)
	switch {
	case err != nil:
		return err
	case there == s.NotExists && there:
		return errors.New("topic " + s.Topic + " is there")
	case there == s.NotExists:
		return errors.New("there is no topic " + s.Topic)
	}
	for _, p := range s.With {
		want, ok := p.Value.(*ast.IntLit)
		if p.Name != "PARTITIONS" || !ok {
			return diagnostic.At(p.Pos, "A test can assert PARTITIONS of a topic only, not %s.", strings.ToUpper(p.Name))
		}
		have, said := m.counts[s.Topic]
		if !said {
			return diagnostic.At(p.Pos, "No statement of this test says how many partitions topic %s has: in a test it has one.", s.Topic)
		}
		if int64(have) != want.Value {
			return diagnostic.At(p.Value.Position(), "PARTITIONS of topic %s: expected %d, got %d", s.Topic, want.Value, have)
		}
	}
	return nil
}
