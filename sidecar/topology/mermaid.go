package topology

import (
	"fmt"
	"strings"
)

// Mermaid is the graph as a Mermaid flowchart: topics are drums, SQL are boxes,
// programs have round ends.
func (g *Graph) Mermaid() string {
	var b strings.Builder
	b.WriteString("flowchart LR\n")
	ids := map[string]string{}
	for i, n := range g.Nodes {
		id := fmt.Sprintf("n%d", i)
		ids[n.ID] = id
		shape := map[Kind][2]string{Topic: {"[(", ")]"}, SQL: {"[", "]"}, Program: {"([", "])"}, Outside: {"[/", "/]"}}[n.Kind]
		fmt.Fprintf(&b, "  %s%s\"%s\"%s:::%s\n", id, shape[0], strings.ReplaceAll(n.Name, `"`, "#quot;"), shape[1], n.Kind)
	}
	for _, e := range g.Edges {
		if len(e.Asks) > 0 {
			fmt.Fprintf(&b, "  %s -. \"%s\" .-> %s\n", ids[e.From], strings.Join(e.Asks, ", "), ids[e.To])
			continue
		}
		fmt.Fprintf(&b, "  %s --> %s\n", ids[e.From], ids[e.To])
	}
	b.WriteString("  classDef program font-weight:bold\n  classDef outside stroke-dasharray:4\n")
	return b.String()
}
