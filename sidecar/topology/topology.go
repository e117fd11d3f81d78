package topology

import (
	"cmp"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/sidestream/sidestream/sidecar/project"
	"github.com/sidestream/sidestream/sidecar/topics"
)

// Kind is what a node is.
type Kind string

// The kinds of nodes.
const (
	Topic   Kind = "topic"
	SQL     Kind = "sql"     // queries: a service's, a file's, or one
	Program Kind = "program" // a service's program
	Outside Kind = "outside" // who owns a topic and is no service here
)

// Node is a box of the graph.
type Node struct {
	// ID is unique: the kind, a colon and the name.
	ID      string `json:"id"`
	Kind    Kind   `json:"kind"`
	Name    string `json:"name"`
	Service string `json:"service,omitempty"`
	// Owner of a topic.
	Owner string `json:"owner,omitempty"`
	// Notes are what more there is to know: the queries of a file, what a topic holds.
	Notes []string `json:"notes,omitempty"`
}

// Edge leads from who gives to who takes: topic → reader, writer → topic.
type Edge struct {
	From string `json:"from"`
	To   string `json:"to"`
	// Asks names the views that a program queries, where that is what the edge is:
	// SQL → program.
	Asks []string `json:"asks,omitempty"`
}

// Graph is sorted: nodes by kind and name, edges by their ends.
type Graph struct {
	Nodes []Node `json:"nodes"`
	Edges []Edge `json:"edges"`
}

// Detail is what a SQL node stands for.
type Detail string

// The details.
const (
	ByService Detail = "service"
	ByFile    Detail = "file"
	ByQuery   Detail = "query"
)

// Options of New.
type Options struct {
	Detail Detail
	// All shows also what stays inside: topics that only one SQL node writes and
	// reads, and the changelogs of programs.
	All bool
}

// New is the graph of the services that the project was asked for, with those
// who write what they read and read what they write.
func New(p *project.Project, opts Options) *Graph {
	b := &builder{project: p, opts: opts, nodes: map[string]*Node{}, edges: map[[2]string]*Edge{}}
	for _, s := range p.Services {
		for _, st := range s.Statements {
			b.statement(s, st)
		}
	}
	b.programs()
	for _, t := range p.Topics { // after the others: those that nobody reads or writes stay out
		b.topic(t)
	}
	b.leaveOut()
	return b.graph()
}

type builder struct {
	project *project.Project
	opts    Options
	nodes   map[string]*Node
	edges   map[[2]string]*Edge
}

func (b *builder) node(kind Kind, name, service string) *Node {
	id := string(kind) + ":" + name
	n := b.nodes[id]
	if n == nil {
		n = &Node{ID: id, Kind: kind, Name: name, Service: service}
		b.nodes[id] = n
	}
	return n
}

func (b *builder) edge(from, to *Node) *Edge {
	at := [2]string{from.ID, to.ID}
	e := b.edges[at]
	if e == nil {
		e = &Edge{From: from.ID, To: to.ID}
		b.edges[at] = e
	}
	return e
}

// statement adds a query and its topics.
func (b *builder) statement(s *project.Service, st *project.Statement) {
	if st.Query() == nil && st.Plan == nil {
		return // a declaration
	}
	n := b.sql(s, st)
	what := st.Name
	if st.Target != nil && st.Source == nil {
		what = "into " + what
	}
	n.Notes = append(n.Notes, what)
	reads := st.Reads
	if st.Query() == nil {
		reads = []string{st.Name} // CREATE SOURCE TABLE reads the topic that it declares
	}
	for _, name := range reads {
		if from := s.Source(name); from != nil && from.Source != nil {
			b.edge(b.node(Topic, from.Source.Topic, ""), n)
		}
	}
	if st.Target != nil {
		b.edge(n, b.node(Topic, st.Target.Topic, ""))
	}
}

// sql is the node of a statement, by the wanted detail.
func (b *builder) sql(s *project.Service, st *project.Statement) *Node {
	file := strings.TrimSuffix(filepath.Base(st.File.Path), ".sql")
	switch b.opts.Detail {
	case ByService:
		return b.node(SQL, s.Owner(), s.Name)
	case ByQuery:
		name := fmt.Sprintf("%s/%s %s", s.Name, file, strings.ToLower(st.Name))
		if st.Source == nil {
			name = fmt.Sprintf("%s ← %s", name, strings.ToLower(strings.Join(st.Reads, ", ")))
		}
		return b.node(SQL, name, s.Name)
	}
	return b.node(SQL, s.Name+"/"+file, s.Name)
}

// programs adds the programs of services.yaml with what they read and ask.
func (b *builder) programs() {
	if b.project.Manifest == nil {
		return
	}
	for _, m := range b.project.Manifest.Services {
		if !m.Program.Exists() {
			continue
		}
		n := b.node(Program, m.Name, m.Name)
		for _, t := range m.Reads {
			b.edge(b.node(Topic, t, ""), n)
		}
		for _, s := range b.project.Services {
			for _, v := range m.Views {
				if st := s.Source(strings.ToUpper(v)); s.Name == m.Name && st != nil && (st.Query() != nil || st.Plan != nil) {
					e := b.edge(b.sql(s, st), n)
					e.Asks = append(e.Asks, st.Name)
				}
			}
		}
	}
}

// topic adds an owner that isn't seen in SQL, and what is known of the topic.
func (b *builder) topic(t topics.Topic) {
	owner := b.nodes[string(Program)+":"+t.Owner]
	n := b.nodes[string(Topic)+":"+t.Name]
	if n == nil {
		if owner == nil {
			return // nobody here has to do with it
		}
		n = b.node(Topic, t.Name, "")
	}
	n.Owner = t.Owner
	n.Notes = append(n.Notes, fmt.Sprintf("key: %s", t.Key), fmt.Sprintf("value: %s", t.Value))
	if strings.HasSuffix(t.Owner, topics.SQLSuffix) {
		return // its queries say so
	}
	if owner == nil {
		owner = b.node(Outside, t.Owner, "")
	}
	b.edge(owner, n)
}

// leaveOut removes what isn't asked for.
func (b *builder) leaveOut() {
	if !b.opts.All {
		for id, n := range b.nodes {
			if n.Kind == Topic && b.inside(n) {
				delete(b.nodes, id)
			}
		}
	}
	keep := map[string]bool{}
	all := true
	for _, s := range b.project.Services {
		all = all && s.Asked
		for id, n := range b.nodes {
			if s.Asked && n.Service == s.Name {
				keep[id] = true
			}
		}
	}
	if !all {
		// The topics at them; who writes what they read, and reads what they write.
		asked := maps.Clone(keep)
		for at := range b.edges {
			from, to := at[0], at[1]
			if asked[to] { // from is read
				keep[from] = true
				for far := range b.edges {
					if far[1] == from {
						keep[far[0]] = true
					}
				}
			}
			if asked[from] { // to is written
				keep[to] = true
				for far := range b.edges {
					if far[0] == to {
						keep[far[1]] = true
					}
				}
			}
		}
		for id, n := range b.nodes {
			if !keep[id] || n.Kind == Topic && !b.touches(id) {
				delete(b.nodes, id)
			}
		}
	}
	for at := range b.edges {
		if b.nodes[at[0]] == nil || b.nodes[at[1]] == nil {
			delete(b.edges, at)
		}
	}
	for id, n := range b.nodes { // who has nothing left
		if (n.Kind == Outside || n.Kind == Program) && !b.joined(id) {
			delete(b.nodes, id)
		}
	}
}

// inside tells whether a topic stays inside one node: its only writer is its only
// reader, or it is a program's changelog.
func (b *builder) inside(n *Node) bool {
	var writers, readers []string
	for at := range b.edges {
		if at[1] == n.ID {
			writers = append(writers, at[0])
		}
		if at[0] == n.ID {
			readers = append(readers, at[1])
		}
	}
	if len(writers) == 1 && len(readers) == 1 && writers[0] == readers[0] {
		return b.nodes[writers[0]].Kind == SQL
	}
	return len(readers) == 0 && n.Name == n.Owner+"-state"
}

// touches tells whether a topic is at a service that was asked for.
func (b *builder) touches(id string) bool {
	for at := range b.edges {
		for i, end := range at {
			if end != id {
				continue
			}
			other := b.nodes[at[1-i]]
			for _, s := range b.project.Services {
				if other != nil && s.Asked && other.Service == s.Name {
					return true
				}
			}
		}
	}
	return false
}

func (b *builder) joined(id string) bool {
	for at := range b.edges {
		if at[0] == id || at[1] == id {
			return true
		}
	}
	return false
}

func (b *builder) graph() *Graph {
	g := &Graph{Nodes: []Node{}, Edges: []Edge{}}
	for _, n := range b.nodes {
		g.Nodes = append(g.Nodes, *n)
	}
	slices.SortFunc(g.Nodes, func(x, y Node) int { return cmp.Or(cmp.Compare(x.Kind, y.Kind), cmp.Compare(x.Name, y.Name)) })
	for _, e := range b.edges {
		slices.Sort(e.Asks)
		g.Edges = append(g.Edges, *e)
	}
	slices.SortFunc(g.Edges, func(x, y Edge) int { return cmp.Or(cmp.Compare(x.From, y.From), cmp.Compare(x.To, y.To)) })
	return g
}

// Node finds a node by its id.
func (g *Graph) Node(id string) *Node {
	for i := range g.Nodes {
		if g.Nodes[i].ID == id {
			return &g.Nodes[i]
		}
	}
	return nil
}
