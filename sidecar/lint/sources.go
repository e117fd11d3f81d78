package lint

import (
	"slices"
	"strings"

	"github.com/sidestream/sidestream/sidecar/engine/ast"
	"github.com/sidestream/sidestream/sidecar/engine/catalog"
	"github.com/sidestream/sidestream/sidecar/engine/schema"
	"github.com/sidestream/sidestream/sidecar/project"
)

func names(columns []schema.Column) []string {
	out := make([]string, len(columns))
	for i, c := range columns {
		out[i] = c.Name
	}
	return out
}

func unusedSource(c *check, st *project.Statement) {
	n, ok := st.Node.(*ast.CreateSource)
	if !ok {
		return
	}
	for _, other := range st.Service.Statements {
		if other == st {
			continue
		}
		for _, r := range other.Reads {
			if r == st.Name {
				return
			}
		}
		if _, insert := other.Node.(*ast.InsertInto); insert && other.Name == st.Name {
			return
		}
	}
	listed := false
	if c.project.Manifest != nil {
		for _, s := range c.project.Manifest.Services {
			if s.Name != st.Service.Name {
				continue
			}
			listed = true
			if slices.ContainsFunc(s.Views, func(v string) bool { return strings.EqualFold(v, st.Name) }) {
				return
			}
		}
	}
	if n.ReadOnly && !listed {
		return // nobody says what is asked of it
	}
	c.add(st, n.Name.Pos, "No query of %s uses %s, and it is none of the views that the program queries.", st.Service.Name, st.Name)
}

// writers are the statements that write a topic, in all services.
func writers(p *project.Project, topic string) []*project.Statement {
	var out []*project.Statement
	for _, s := range p.Services {
		for _, st := range s.Statements {
			if st.Target != nil && st.Target.Topic == topic {
				out = append(out, st)
			}
		}
	}
	return out
}

func windowedTopic(c *check, st *project.Statement) {
	n, ok := st.Node.(*ast.CreateSource)
	if !ok || st.Source == nil {
		return
	}
	for _, w := range writers(c.project, st.Source.Topic) {
		if _, made := w.Node.(*ast.CreateAs); !made {
			continue
		}
		key := len(st.Source.Schema.Key) > 0
		switch by := w.Name + " (" + w.Service.Name + ")"; {
		case windowed(w.Target.Window) && !windowed(st.Source.Window) && key:
			c.add(st, n.Name.Pos, "The records' key has a window behind it (%s writes it, %s), but %s declares a plain key.", by, windowText(w.Target), st.Name)
		case windowed(w.Target.Window) && windowed(st.Source.Window) && windowText(w.Target) != windowText(st.Source):
			c.add(st, n.Name.Pos, "The records' windows are %s (%s writes them), but %s declares %s.", windowText(w.Target), by, st.Name, windowText(st.Source))
		case !windowed(w.Target.Window) && windowed(st.Source.Window):
			c.addDo(st, n.Name.Pos, "Take WINDOW_TYPE out.", "The records' key has no window behind it (%s writes it), but %s declares %s.", by, st.Name, windowText(st.Source))
		default:
			continue
		}
		return
	}
}

func windowText(s *catalog.Source) string {
	switch {
	case s.WindowText == "":
		return "none"
	case s.WindowSize <= 0:
		return s.WindowText
	}
	return s.WindowText + " of " + duration(s.WindowSize)
}

func columnCase(c *check, st *project.Statement) {
	n, ok := st.Node.(*ast.CreateSource)
	if !ok {
		return
	}
	seen := map[string]ast.Element{}
	for _, e := range n.Elements {
		upper := strings.ToUpper(e.Name)
		if old, ok := seen[upper]; ok && old.Name != e.Name {
			c.addDo(st, e.Pos, "Give one of them another name.", "The columns %s and %s differ only in the case of their letters.", old.Name, e.Name)
			continue
		}
		seen[upper] = e
		if e.Name != upper {
			c.add(st, e.Pos, "The column %s keeps the case of its letters: it is another than %s, and every query must quote it.", e.Name, upper)
		}
	}
}

func noFormat(c *check, st *project.Statement) {
	n, ok := st.Node.(*ast.CreateSource)
	if !ok || n.With.Get("VALUE_FORMAT") != nil || n.With.Get("FORMAT") != nil {
		return
	}
	c.add(st, n.Name.Pos, "%s doesn't say how its records are written.", st.Name)
}
