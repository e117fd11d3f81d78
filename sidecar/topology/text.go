package topology

import (
	"fmt"
	"strings"
)

// Text is the graph as lists: who reads, asks and writes what, then the topics
// with both ends.
//
//	fraud/03-limit
//	  reads   fraud-window
//	  writes  fraud-validations
func (g *Graph) Text() string {
	var b strings.Builder
	for _, kind := range []Kind{SQL, Program, Outside} {
		for _, n := range g.Nodes {
			if n.Kind != kind {
				continue
			}
			fmt.Fprintf(&b, "%s%s\n", n.Name, map[Kind]string{Program: " (program)", Outside: " (outside)"}[kind])
			line(&b, "reads", g.ends(n.ID, false, Topic))
			line(&b, "asks", g.asks(n.ID))
			line(&b, "writes", g.ends(n.ID, true, Topic))
		}
	}
	b.WriteString("\ntopics\n")
	for _, n := range g.Nodes {
		if n.Kind != Topic {
			continue
		}
		by, to := strings.Join(g.ends(n.ID, false, ""), ", "), strings.Join(g.ends(n.ID, true, ""), ", ")
		if by == "" {
			by = "nobody"
		}
		if to == "" {
			to = "nobody"
		}
		fmt.Fprintf(&b, "  %s: %s → %s\n", n.Name, by, to)
	}
	return b.String()
}

func line(b *strings.Builder, what string, names []string) {
	if len(names) > 0 {
		fmt.Fprintf(b, "  %-7s %s\n", what, strings.Join(names, ", "))
	}
}

// ends are the names at the other end of a node's edges, of that kind ("": any).
func (g *Graph) ends(id string, out bool, kind Kind) []string {
	var names []string
	for _, e := range g.Edges {
		this, other := e.To, e.From
		if out {
			this, other = e.From, e.To
		}
		n := g.Node(other)
		if this != id || kind != "" && n.Kind != kind {
			continue
		}
		name := n.Name
		if kind == "" && n.Kind == Program {
			name += " (program)"
		}
		names = append(names, name)
	}
	return names
}

func (g *Graph) asks(id string) []string {
	var names []string
	for _, e := range g.Edges {
		if e.To == id {
			names = append(names, e.Asks...)
		}
	}
	return names
}
