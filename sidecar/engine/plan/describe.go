package plan

import (
	"fmt"
	"sort"
	"strings"
)

// text writes the topology: sub-topologies in the order of their first sources,
// and in each the processors with the longest ways behind them first.
func (b *streamsBuilder) text() string {
	groups := b.groups()
	var out strings.Builder
	out.WriteString("Topologies:\n ")
	for i, nodes := range groups {
		fmt.Fprintf(&out, "  Sub-topology: %d\n", i)
		for _, n := range nodes {
			out.WriteString("    " + n.text() + "\n")
		}
		out.WriteString("\n")
	}
	return out.String()
}

// Groups are the numbers of the sub-topologies of a query's topology, by the topics
// that they read: repartition topics by their names in the plan.
func Groups(q *Query) map[string]int {
	out := map[string]int{}
	if q.Steps == nil {
		return out
	}
	for i, nodes := range topology(q).groups() {
		for _, n := range nodes {
			if n.kind == "Source" {
				out[n.topic] = i
			}
		}
	}
	return out
}

func (p *processor) text() string {
	to, from := "\n      --> "+names(p.to), "\n      <-- "+names(p.from)
	switch p.kind {
	case "Source":
		return fmt.Sprintf("Source: %s (topics: [%s])%s", p.name, p.topic, to)
	case "Sink":
		return fmt.Sprintf("Sink: %s (topic: %s)%s", p.name, p.topic, from)
	}
	return fmt.Sprintf("Processor: %s (stores: [%s])%s%s", p.name, strings.Join(p.stores, ", "), to, from)
}

func names(list []*processor) string {
	if len(list) == 0 {
		return "none"
	}
	parts := make([]string, len(list))
	for i, p := range list {
		parts[i] = p.name
	}
	return strings.Join(parts, ", ")
}

// groups are the sub-topologies: processors that rows or stores connect.
func (b *streamsBuilder) groups() [][]*processor {
	for i, n := range b.nodes {
		n.group = i
	}
	join := func(from, into int) {
		for _, n := range b.nodes {
			if n.group == from {
				n.group = into
			}
		}
	}
	owner := map[string]*processor{}
	for _, n := range b.nodes {
		for _, t := range n.to {
			join(t.group, n.group)
		}
		for _, s := range n.stores {
			if o, ok := owner[s]; ok {
				join(n.group, o.group)
			} else {
				owner[s] = n
			}
		}
	}
	var order []int
	members := map[int][]*processor{}
	for _, n := range b.nodes {
		if n.kind == "Source" && members[n.group] == nil {
			order = append(order, n.group)
			members[n.group] = []*processor{}
		}
	}
	for _, n := range b.nodes {
		n.measure()
		members[n.group] = append(members[n.group], n)
	}
	out := make([][]*processor, 0, len(order))
	for _, g := range order {
		nodes := members[g]
		sort.SliceStable(nodes, func(i, j int) bool {
			if nodes[i].size != nodes[j].size {
				return nodes[i].size > nodes[j].size
			}
			return nodes[i].name < nodes[j].name
		})
		out = append(out, nodes)
	}
	return out
}

// measure counts the processors on all ways behind this one.
func (p *processor) measure() int {
	if p.size == 0 {
		p.size = 1
		for _, t := range p.to {
			p.size += t.measure()
		}
	}
	return p.size
}
