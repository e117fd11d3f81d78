package topology

import (
	"encoding/xml"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// The picture brings its own background, so that it can be read on any page; the
// colours follow the viewer's light or dark scheme.
const style = `
  svg { --back: #ffffff; --text: #1f2328; --line: #6e7781; --topic: #ddf4ff; --topic-edge: #0969da; --sql: #fff8c5; --sql-edge: #9a6700; --program: #dafbe1; --program-edge: #1a7f37; --outside: #f6f8fa; --outside-edge: #6e7781; }
  @media (prefers-color-scheme: dark) {
    svg { --back: #0d1117; --text: #e6edf3; --line: #8b949e; --topic: #0c2d6b; --topic-edge: #58a6ff; --sql: #4b2900; --sql-edge: #d29922; --program: #033a16; --program-edge: #3fb950; --outside: #21262d; --outside-edge: #8b949e; }
  }
  .back { fill: var(--back); }
  text { fill: var(--text); font: 13px ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; text-anchor: middle; dominant-baseline: central; }
  .small { font-size: 11px; }
  .program text { font-weight: bold; }
  .topic rect { fill: var(--topic); stroke: var(--topic-edge); }
  .sql rect { fill: var(--sql); stroke: var(--sql-edge); }
  .program rect { fill: var(--program); stroke: var(--program-edge); stroke-width: 2; }
  .outside rect { fill: var(--outside); stroke: var(--outside-edge); stroke-dasharray: 4 3; }
  .edge { fill: none; stroke: var(--line); stroke-width: 1.3; }
  .asks { stroke-dasharray: 5 4; }
  .head { fill: var(--line); }
`

const (
	charWidth  = 7.9 // of the font above
	labelSpace = 22.0
	legend     = 34.0
)

func labelWidth(text string) float64 {
	return float64(utf8.RuneCountInString(text))*charWidth + labelSpace
}

// SVG is the graph as a picture.
func (g *Graph) SVG() string {
	d := lay(g, func(n Node) float64 { return labelWidth(n.Name) })
	keys := []struct {
		kind Kind
		text string
	}{{Topic, "topic"}, {SQL, "SQL"}, {Program, "program"}, {Outside, "outside"}}
	need := margin
	for _, k := range keys {
		need += labelWidth(k.text) + rowGap
	}
	width, height := max(d.width, need+160), d.height+legend
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %s %s" width="%s" height="%s" role="img" aria-label="Topics, and what reads and writes them">`+"\n",
		num(width), num(height), num(width), num(height))
	b.WriteString("<style>" + style + "</style>\n")
	b.WriteString(`<defs><marker id="head" viewBox="0 0 8 8" refX="7.5" refY="4" markerWidth="8" markerHeight="8" markerUnits="userSpaceOnUse" orient="auto"><path class="head" d="M0,0.5 L8,4 L0,7.5 Z"/></marker></defs>` + "\n")
	fmt.Fprintf(&b, `<rect class="back" width="%s" height="%s"/>`+"\n", num(width), num(height))
	for _, p := range d.paths {
		d.drawEdge(&b, g, p)
	}
	for _, it := range d.items {
		if it.node >= 0 {
			drawNode(&b, g.Nodes[it.node], it.x, it.y, it.width)
		}
	}
	x, y := margin, height-legend/2-margin/2
	for _, k := range keys {
		w := labelWidth(k.text)
		drawNode(&b, Node{Kind: k.kind, Name: k.text}, x+w/2, y, w)
		x += w + rowGap
	}
	fmt.Fprintf(&b, `<path class="edge asks" d="M%s,%s h32" marker-end="url(#head)"/><text class="small" x="%s" y="%s">asks a view</text>`+"\n",
		num(x), num(y), num(x+80), num(y))
	b.WriteString("</svg>\n")
	return b.String()
}

func drawNode(b *strings.Builder, n Node, x, y, width float64) {
	round := 4.0
	if n.Kind == Topic {
		round = rowHeight / 2
	}
	fmt.Fprintf(b, `<g class="%s">`, n.Kind)
	if title := n.title(); title != "" {
		fmt.Fprintf(b, "<title>%s</title>", escape(title))
	}
	fmt.Fprintf(b, `<rect x="%s" y="%s" width="%s" height="%s" rx="%s"/><text x="%s" y="%s">%s</text></g>`+"\n",
		num(x-width/2), num(y-rowHeight/2), num(width), num(rowHeight), num(round), num(x), num(y), escape(n.Name))
}

// title is what a viewer shows when it points at the node.
func (n Node) title() string {
	var lines []string
	if n.Owner != "" {
		lines = append(lines, "owner: "+n.Owner)
	}
	return strings.Join(append(lines, n.Notes...), "\n")
}

// drawEdge is a line through the path's points, that leaves and enters level.
func (d *drawing) drawEdge(b *strings.Builder, g *Graph, p path) {
	if p.items[0] == p.items[len(p.items)-1] {
		return
	}
	type point struct{ x, y float64 }
	var points []point
	for i, v := range p.items {
		it := d.items[v]
		switch i {
		case 0:
			points = append(points, point{it.x + it.width/2, it.y})
		case len(p.items) - 1:
			points = append(points, point{it.x - it.width/2, it.y})
		default:
			// A long edge passes its layer level, beside the nodes in it.
			half := d.layerWidth(it.layer) / 2
			points = append(points, point{it.x - half, it.y}, point{it.x + half, it.y})
		}
	}
	if p.turned {
		for i, j := 0, len(points)-1; i < j; i, j = i+1, j-1 {
			points[i], points[j] = points[j], points[i]
		}
	}
	e := g.Edges[p.edge]
	class := "edge"
	if len(e.Asks) > 0 {
		class = "edge asks"
	}
	fmt.Fprintf(b, `<path class="%s" marker-end="url(#head)" d="M%s,%s`, class, num(points[0].x), num(points[0].y))
	for i := 1; i < len(points); i++ {
		from, to := points[i-1], points[i]
		if from.y == to.y {
			fmt.Fprintf(b, " L%s,%s", num(to.x), num(to.y))
			continue
		}
		mid := (from.x + to.x) / 2
		fmt.Fprintf(b, " C%s,%s %s,%s %s,%s", num(mid), num(from.y), num(mid), num(to.y), num(to.x), num(to.y))
	}
	b.WriteString(`">`)
	if len(e.Asks) > 0 {
		fmt.Fprintf(b, "<title>asks %s</title>", escape(strings.Join(e.Asks, ", ")))
	}
	b.WriteString("</path>\n")
}

func (d *drawing) layerWidth(l int) float64 {
	widest := 0.0
	for _, v := range d.layers[l] {
		widest = max(widest, d.items[v].width)
	}
	return widest
}

// num is a coordinate with one decimal, so that pictures don't differ by what
// floating point leaves.
func num(f float64) string {
	text := strconv.FormatFloat(f, 'f', 1, 64)
	text = strings.TrimSuffix(text, ".0")
	if text == "-0" {
		return "0"
	}
	return text
}

func escape(text string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(text)) // a strings.Builder doesn't fail
	return b.String()
}
