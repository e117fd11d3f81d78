package project

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/sidestream/sidestream/sidecar/deploy"
	"github.com/sidestream/sidestream/sidecar/engine/analyze"
	"github.com/sidestream/sidestream/sidecar/engine/ast"
	"github.com/sidestream/sidestream/sidecar/engine/catalog"
	"github.com/sidestream/sidestream/sidecar/engine/diagnostic"
	"github.com/sidestream/sidestream/sidecar/engine/function"
	"github.com/sidestream/sidestream/sidecar/engine/parser"
	"github.com/sidestream/sidestream/sidecar/engine/plan"
	"github.com/sidestream/sidestream/sidecar/manifest"
	"github.com/sidestream/sidestream/sidecar/topics"
)

// Project is all that is checked in.
type Project struct {
	// Root is the folder of topics.yaml and the services' folders.
	Root     string
	Services []*Service // by name
	// Topics of topics.yaml; nil without the file.
	Topics []topics.Topic
	// Manifest is services.yaml; nil without the file.
	Manifest *manifest.Manifest
}

// Service is a folder of SQL.
type Service struct {
	Name string
	Dir  string
	// Asked: it is among what Load was asked for.
	Asked      bool
	Files      []*File
	Statements []*Statement
}

// File is a .sql file.
type File struct {
	Path string
	Text string // as it is, variables unfilled
}

// Statement is a statement of a service.
type Statement struct {
	Service *Service
	File    *File
	Node    ast.Statement // positions are in File.Text
	// Name is the stream or table that it makes, or that INSERT INTO writes to.
	Name string
	// Reads are the streams and tables that its query reads.
	Reads []string
	// Properties that SET statements before it gave.
	Properties map[string]string
	// Source is what it makes, as the catalogue knows it: of a CREATE; nil for
	// INSERT INTO.
	Source *catalog.Source
	// Target is the source whose topic its query writes: Source of a CREATE … AS,
	// the target of INSERT INTO; else nil.
	Target *catalog.Source
	// Plan of its query; nil without one.
	Plan *plan.Query
	// Partitions of the topic that it writes or declares.
	Partitions int
	// Mistake is why it can't be planned though it is correct by itself: its topics
	// have other partitions than it needs.
	Mistake *diagnostic.Error
}

// Query is the statement's SELECT, nil without one.
func (s *Statement) Query() *ast.Query {
	switch n := s.Node.(type) {
	case *ast.CreateAs:
		return n.Query
	case *ast.InsertInto:
		return n.Query
	}
	return nil
}

// Owner is the principal that writes what the service's SQL writes.
func (s *Service) Owner() string { return s.Name + topics.SQLSuffix }

// Topic is a topic of topics.yaml.
func (p *Project) Topic(name string) (topics.Topic, bool) {
	for _, t := range p.Topics {
		if t.Name == name {
			return t, true
		}
	}
	return topics.Topic{}, false
}

// Source finds a statement of a service by the source that it makes.
func (s *Service) Source(name string) *Statement {
	for _, st := range s.Statements {
		if st.Source != nil && st.Name == name {
			return st
		}
	}
	return nil
}

// Fault is every mistake that keeps the SQL from being understood, shown with
// file, line, column and caret.
type Fault struct{ Text string }

// Error is the shown text without its last newline.
func (f *Fault) Error() string { return strings.TrimRight(f.Text, "\n") }

var sqlFile = regexp.MustCompile(`^[0-9]+-[A-Za-z0-9._-]+\.sql$`)

// Load reads the folder with the services' folders (ksql), or one of them; all of
// the project is read in either case. The error is a *Fault where SQL is wrong.
// Paths in the result begin with dir.
func Load(dir string, defines map[string]string) (*Project, error) {
	names, err := sqlFiles(dir)
	if err != nil {
		return nil, err
	}
	p := &Project{Root: dir}
	asked := ""
	if len(names) > 0 {
		abs, err := filepath.Abs(dir)
		if err != nil {
			return nil, err
		}
		asked = filepath.Base(abs)
		if p.Root = filepath.Dir(filepath.Clean(dir)); p.Root == "." && dir == "." {
			p.Root = ".."
		}
	}
	if err := p.lists(); err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(p.Root)
	if err != nil {
		return nil, err
	}
	var fault strings.Builder
	for _, e := range entries {
		sub := filepath.Join(p.Root, e.Name())
		if info, err := os.Stat(sub); err != nil || !info.IsDir() { // a link to a folder is one
			continue
		}
		files, err := sqlFiles(sub)
		if err != nil {
			return nil, err
		}
		if len(files) == 0 {
			continue
		}
		s := &Service{Name: e.Name(), Dir: sub, Asked: asked == "" || asked == e.Name()}
		p.Services = append(p.Services, s)
		vars, err := deploy.Variables(sub, defines)
		if err != nil {
			return nil, err
		}
		text, err := s.read(files, vars)
		if err != nil {
			return nil, err
		}
		fault.WriteString(text)
	}
	if len(p.Services) == 0 {
		return nil, fmt.Errorf("%s: no SQL: give the folder of the services' folders, or a folder with NN-name.sql files", dir)
	}
	if fault.Len() > 0 {
		return nil, &Fault{fault.String()}
	}
	for _, s := range p.Services {
		fault.WriteString(p.analyze(s))
	}
	if fault.Len() > 0 {
		return nil, &Fault{fault.String()}
	}
	return p, nil
}

func sqlFiles(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("SQL folder: %w", err)
	}
	var out []string
	for _, e := range entries { // sorted by name
		if sqlFile.MatchString(e.Name()) {
			out = append(out, e.Name())
		}
	}
	return out, nil
}

// lists reads topics.yaml and services.yaml, where they are.
func (p *Project) lists() error {
	var err error
	p.Topics, err = topics.Load(filepath.Join(p.Root, "topics.yaml"))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	abs, err := filepath.Abs(p.Root)
	if err != nil {
		return err
	}
	services := filepath.Join(filepath.Dir(abs), "services", "services.yaml")
	if _, err := os.Stat(services); err != nil {
		return nil
	}
	p.Manifest, err = manifest.Load(services)
	return err
}

// read parses a service's files; what is wrong is the text.
func (s *Service) read(names []string, vars map[string]string) (string, error) {
	var fault strings.Builder
	props := map[string]string{}
	for _, name := range names {
		path := filepath.Join(s.Dir, name)
		raw, err := os.ReadFile(path)
		if err != nil {
			return "", err
		}
		f := &File{Path: path, Text: string(raw)}
		s.Files = append(s.Files, f)
		nodes, err := parser.ParseScript(f.Text, vars)
		if err != nil {
			fault.WriteString(diagnostic.Render(path, f.Text, err))
			continue
		}
		for _, node := range nodes {
			st := &Statement{Service: s, File: f, Node: node}
			switch n := node.(type) {
			case *ast.SetProperty:
				props[n.Name] = n.Value
				continue
			case *ast.UnsetProperty:
				delete(props, n.Name)
				continue
			case *ast.CreateSource:
				st.Name = n.Name.Name
			case *ast.CreateAs:
				st.Name = n.Name.Name
			case *ast.InsertInto:
				st.Name = n.Target.Name
			case *ast.CreateType:
				st.Name = n.Name.Name
			default:
				e := diagnostic.At(node.Position(), "A service's folder can't hold this statement.")
				e.Hint = "there are CREATE STREAM, CREATE TABLE, CREATE TYPE, INSERT INTO … SELECT, SET and UNSET"
				fault.WriteString(diagnostic.Render(path, f.Text, e))
				continue
			}
			if q := st.Query(); q != nil {
				for _, src := range q.From.Sources() {
					if !slices.Contains(st.Reads, src.Name) {
						st.Reads = append(st.Reads, src.Name)
					}
				}
			}
			st.Properties = maps.Clone(props)
			s.Statements = append(s.Statements, st)
		}
	}
	return fault.String(), nil
}

// analyze gives the service's statements their sources and plans; what is wrong
// is the text.
func (p *Project) analyze(s *Service) string {
	known := catalog.New()
	made := map[string]int{} // partitions of topics that are in no topics.yaml
	functions := function.Builtin()
	partitions := func(topic string) (int, bool) {
		if t, ok := p.Topic(topic); ok {
			return t.Partitions, true
		}
		n, ok := made[topic]
		return n, ok
	}
	failed := map[string]bool{} // sources whose statement can't be planned
	var fault strings.Builder
	for i, st := range s.Statements {
		if slices.ContainsFunc(st.Reads, func(r string) bool { return failed[r] }) || failed[st.Name] {
			failed[st.Name] = true
			continue // it would only repeat what was found there
		}
		config := map[string]string{"auto.offset.reset": "earliest"}
		maps.Copy(config, st.Properties)
		env := &analyze.Env{Catalog: known, Functions: functions, Config: config, Topics: partitions}
		err := st.analyze(env, made, fmt.Sprintf("Q%d", i))
		if err == nil {
			continue
		}
		failed[st.Name] = true
		errs := diagnostic.All(err)
		for _, e := range errs {
			if !e.Pos.Known() {
				e.Pos = st.Node.Position()
			}
		}
		if len(errs) == 1 && (OtherPartitions(errs[0]) || DifferentSides(errs[0])) {
			st.Mistake = errs[0]
			continue
		}
		fault.WriteString(diagnostic.Render(st.File.Path, st.File.Text, errs))
	}
	return fault.String()
}

func (st *Statement) analyze(env *analyze.Env, made map[string]int, id string) error {
	switch n := st.Node.(type) {
	case *ast.CreateType:
		t, _, err := analyze.CreateType(env, n)
		if err != nil {
			return err
		}
		env.Catalog.PutType(n.Name.Name, t)
	case *ast.CreateSource:
		// A topic that no list has is taken to be there: lint says what it thinks of it.
		topic := literal(n.With.Get("KAFKA_TOPIC"))
		if topic == "" {
			topic = n.Name.Name
		}
		if _, ok := env.Topics(topic); !ok {
			made[topic] = 1
			if p, ok := n.With.Get("PARTITIONS").(*ast.IntLit); ok {
				made[topic] = int(p.Value)
			}
		}
		out, err := analyze.CreateSource(env, n, id)
		if err != nil {
			return err
		}
		st.Source, st.Plan = out.Source, out.Query
		st.Partitions, _ = env.Topics(topic)
		env.Catalog.Put(out.Source)
	case *ast.CreateAs:
		out, err := analyze.CreateAs(env, n, id)
		if err != nil {
			return err
		}
		st.Source, st.Target, st.Plan = out.Source, out.Source, out.Plan
		if out.Topic != nil {
			st.Partitions = out.Topic.Partitions
			if _, ok := env.Topics(out.Topic.Name); !ok {
				made[out.Topic.Name] = max(1, out.Topic.Partitions)
			}
		}
		env.Catalog.Put(out.Source)
	case *ast.InsertInto:
		out, err := analyze.InsertInto(env, n, id)
		if err != nil {
			return err
		}
		st.Target, _ = env.Catalog.Source(n.Target.Name)
		st.Plan = out.Plan
	}
	return nil
}

// DifferentSides tells whether the sides of a join are partitioned differently.
func DifferentSides(e *diagnostic.Error) bool {
	return strings.Contains(e.Message, "number of partitions don't match")
}

// OtherPartitions tells whether a topic has other partitions than the statement
// wants.
func OtherPartitions(e *diagnostic.Error) bool {
	return strings.Contains(e.Message, "already exists, with different partition")
}

func literal(e ast.Expr) string {
	if s, ok := e.(*ast.StringLit); ok {
		return s.Value
	}
	return ""
}
