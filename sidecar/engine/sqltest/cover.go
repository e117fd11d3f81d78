package sqltest

import (
	"path/filepath"
	"slices"
	"sort"
	"strconv"

	"github.com/sidestream/sidestream/sidecar/engine/analyze"
	"github.com/sidestream/sidestream/sidecar/engine/ast"
	"github.com/sidestream/sidestream/sidecar/engine/catalog"
	"github.com/sidestream/sidestream/sidecar/engine/driver"
)

// Cover notes which statements of the files that tests run are exercised.
//
// A query is exercised by a test that passes when it has written a record, and
// something of what it wrote, itself or through the queries behind it, was
// asserted. A declared source is, when a record of its topic was read by a query
// that is exercised, or asserted; a SOURCE TABLE when it has read a record.
type Cover struct {
	lines map[string]*Line
}

// Line is a statement and what tests did with it.
type Line struct {
	File string `json:"file"`
	Line int    `json:"line"`
	Col  int    `json:"column"`
	Kind string `json:"kind"` // STREAM, TABLE, INSERT
	Name string `json:"name"`
	// Tests that ran it, and those of them that exercised it.
	Ran       int `json:"ran"`
	Exercised int `json:"exercised"`
}

// NewCover notes nothing yet.
func NewCover() *Cover { return &Cover{lines: map[string]*Line{}} }

// origin is where a statement of a test comes from.
type origin struct{ line *Line }

// Want adds a file's statements, so that those which no test runs are seen.
func (c *Cover) Want(file string, statements []ast.Statement) {
	for _, s := range statements {
		c.line(file, s)
	}
}

func (c *Cover) line(file string, s ast.Statement) *Line {
	kind, name := describe(s)
	if kind == "" {
		return nil
	}
	pos := s.Position()
	abs, err := filepath.Abs(file)
	if err != nil {
		abs = file
	}
	key := abs + ":" + strconv.Itoa(pos.Line) + ":" + strconv.Itoa(pos.Col)
	l := c.lines[key]
	if l == nil {
		l = &Line{File: filepath.Clean(file), Line: pos.Line, Col: pos.Col, Kind: kind, Name: name}
		c.lines[key] = l
	}
	return l
}

// describe names a statement that a test can exercise; "" for others.
func describe(s ast.Statement) (kind, name string) {
	of := func(table bool) string {
		if table {
			return "TABLE"
		}
		return "STREAM"
	}
	switch s := s.(type) {
	case *ast.CreateSource:
		return of(s.Table), s.Name.Name
	case *ast.CreateAs:
		return of(s.Table), s.Name.Name
	case *ast.InsertInto:
		return "INSERT", s.Target.Name
	}
	return "", ""
}

// Lines are all statements, in the order of files and places.
func (c *Cover) Lines() []*Line {
	out := make([]*Line, 0, len(c.lines))
	for _, l := range c.lines {
		out = append(out, l)
	}
	sort.Slice(out, func(i, j int) bool {
		a, b := out[i], out[j]
		if a.File != b.File {
			return a.File < b.File
		}
		return a.Line < b.Line || a.Line == b.Line && a.Col < b.Col
	})
	return out
}

// ran: a test begins to run a statement of a file.
func (c *Cover) ran(m *machine, file string, s ast.Statement) {
	if c == nil {
		return
	}
	l := c.line(file, s)
	mem, ok := m.backend.(*memory)
	if l == nil || !ok {
		return
	}
	if mem.from == nil {
		mem.from = map[ast.Statement]*origin{}
	}
	mem.from[s] = &origin{l}
}

// asserted: a record of a source's topic was looked at.
func (c *Cover) asserted(m *machine, src *catalog.Source) {
	if mem, ok := m.backend.(*memory); ok && c != nil {
		if mem.looked == nil {
			mem.looked = map[string]bool{}
		}
		mem.looked[src.Topic] = true
	}
}

// finish counts, at the end of a test.
func (c *Cover) finish(m *machine, passed bool) {
	mem, ok := m.backend.(*memory)
	if c == nil || !ok {
		return
	}
	// Which topics matter: those asserted, and what exercised queries read.
	matters := map[string]bool{}
	for t := range mem.looked {
		matters[t] = true
	}
	exercised := map[*driver.Query]bool{}
	for again := true; again; {
		again = false
		for _, q := range mem.queries {
			if exercised[q] || q.Wrote == 0 || !matters[sinkOf(m, q)] {
				continue
			}
			exercised[q], again = true, true
			for _, t := range q.Topics() {
				matters[t] = true
			}
		}
	}
	for s, from := range mem.from {
		from.line.Ran++
		if !passed {
			continue
		}
		if slices.ContainsFunc(mem.queries, func(q *driver.Query) bool {
			return mem.statement[q.Plan().ID] == s && (exercised[q] || sinkOf(m, q) == "" && q.Taken > 0)
		}) {
			from.line.Exercised++
			continue
		}
		if d, ok := s.(*ast.CreateSource); ok {
			if src, there := m.catalog.Source(d.Name.Name); there && matters[src.Topic] && len(mem.driver.Read(src.Topic)) > 0 {
				from.line.Exercised++
			}
		}
	}
}

// sinkOf is the topic that a query writes; "" for a SOURCE TABLE's.
func sinkOf(m *machine, q *driver.Query) string {
	p := m.running[q.Plan().ID]
	if p == nil {
		return ""
	}
	return sinkTopic(m, p)
}

func sinkTopic(m *machine, p *analyze.Persistent) string {
	if src, ok := m.catalog.Source(p.Writes); ok {
		return src.Topic
	}
	return ""
}
