package topology

import (
	"encoding/xml"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
	"github.com/stretchr/testify/require"

	"github.com/sidestream/sidestream/sidecar/project"
)

// TestGraphs runs testdata: topics, services and sql make a project, graph
// draws it as text (or mermaid).
func TestGraphs(t *testing.T) {
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		root := t.TempDir()
		write := func(text string, parts ...string) {
			file := filepath.Join(append([]string{root}, parts...)...)
			require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o755))
			require.NoError(t, os.WriteFile(file, []byte(text+"\n"), 0o644))
		}
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			switch d.Cmd {
			case "topics":
				write(d.Input, "ksql", "topics.yaml")
			case "services":
				write(d.Input, "services", "services.yaml")
			case "sql":
				var at string
				d.ScanArgs(t, "at", &at)
				write(d.Input, "ksql", at)
			case "graph":
				of, detail, output := "", string(ByFile), "text"
				d.MaybeScanArgs(t, "of", &of)
				d.MaybeScanArgs(t, "detail", &detail)
				d.MaybeScanArgs(t, "output", &output)
				p, err := project.Load(filepath.Join(root, "ksql", of), nil)
				require.NoError(t, err)
				g := New(p, Options{Detail: Detail(detail), All: d.HasArg("all")})
				if output == "mermaid" {
					return g.Mermaid()
				}
				return g.Text()
			default:
				d.Fatalf(t, "unknown command %q", d.Cmd)
			}
			return ""
		})
	})
}

// pictures are what the tests below look at: the repository's own graphs.
func pictures(t *testing.T) map[string]*Graph {
	t.Helper()
	out := map[string]*Graph{}
	p, err := project.Load("../../ksql", nil)
	require.NoError(t, err)
	for _, d := range []Detail{ByService, ByFile, ByQuery} {
		for _, all := range []bool{false, true} {
			out[fmt.Sprintf("%s %v", d, all)] = New(p, Options{Detail: d, All: all})
		}
	}
	p, err = project.Load("../../ksql/fraud", nil)
	require.NoError(t, err)
	out["fraud"] = New(p, Options{Detail: ByFile})
	out["nothing"] = &Graph{}
	return out
}

func TestLayout(t *testing.T) {
	for name, g := range pictures(t) {
		d := lay(g, func(n Node) float64 { return labelWidth(n.Name) })
		for i, a := range d.items {
			require.GreaterOrEqual(t, a.x-a.width/2, 0.0, name)
			require.LessOrEqual(t, a.x+a.width/2, d.width, name)
			require.GreaterOrEqual(t, a.y-a.height/2, 0.0, name)
			require.LessOrEqual(t, a.y+a.height/2, d.height, name)
			for _, b := range d.items[i+1:] {
				if a.node < 0 || b.node < 0 {
					continue
				}
				apart := math.Abs(a.x-b.x) >= (a.width+b.width)/2 || math.Abs(a.y-b.y) >= (a.height+b.height)/2
				require.True(t, apart, "%s: %s lies on %s", name, g.Nodes[a.node].Name, g.Nodes[b.node].Name)
			}
		}
		require.Len(t, d.paths, len(g.Edges), name)
		for _, p := range d.paths {
			for i := 1; i < len(p.items); i++ {
				require.Equal(t, d.items[p.items[i-1]].layer+1, d.items[p.items[i]].layer, "%s: edges lead from a layer to the next", name)
			}
			e := g.Edges[p.edge]
			from, to := d.items[p.items[0]].node, d.items[p.items[len(p.items)-1]].node
			if p.turned {
				from, to = to, from
			}
			require.Equal(t, [2]string{e.From, e.To}, [2]string{g.Nodes[from].ID, g.Nodes[to].ID}, name)
		}
	}
}

func TestTheSameEachTime(t *testing.T) {
	first := pictures(t)
	for range 5 {
		for name, g := range pictures(t) {
			require.Equal(t, first[name].SVG(), g.SVG(), name)
			require.Equal(t, first[name].Mermaid(), g.Mermaid(), name)
			require.Equal(t, first[name].Text(), g.Text(), name)
		}
	}
}

func TestPictureIsWhole(t *testing.T) {
	for name, g := range pictures(t) {
		svg := g.SVG()
		d := xml.NewDecoder(strings.NewReader(svg))
		arrows := 0
		for {
			token, err := d.Token()
			if err == io.EOF {
				break
			}
			require.NoError(t, err, name)
			if e, ok := token.(xml.StartElement); ok && e.Name.Local == "path" {
				for _, a := range e.Attr {
					if a.Name.Local == "marker-end" {
						arrows++
					}
				}
			}
		}
		require.Equal(t, len(g.Edges)+1, arrows, "%s: each edge and the legend's", name)
		for _, n := range g.Nodes {
			require.Contains(t, svg, ">"+escape(n.Name)+"</text>", name)
		}
	}
}

// TestColours holds the text on every box, in light and dark, to the contrast
// that WCAG AA asks for (4.5), and edges to that of graphics (3).
func TestColours(t *testing.T) {
	schemes := regexp.MustCompile(`svg \{([^}]*)\}`).FindAllStringSubmatch(style, -1)
	require.Len(t, schemes, 2)
	for _, s := range schemes {
		colour := map[string]string{}
		for _, m := range regexp.MustCompile(`--([a-z-]+): #([0-9a-f]{6})`).FindAllStringSubmatch(s[1], -1) {
			colour[m[1]] = m[2]
		}
		for _, under := range []string{"back", "topic", "sql", "program", "outside"} {
			require.GreaterOrEqual(t, contrast(t, colour["text"], colour[under]), 4.5, "text on %s", under)
		}
		for _, line := range []string{"line", "topic-edge", "sql-edge", "program-edge", "outside-edge"} {
			require.GreaterOrEqual(t, contrast(t, colour[line], colour["back"]), 3.0, line)
		}
	}
}

func contrast(t *testing.T, a, b string) float64 {
	la, lb := luminance(t, a), luminance(t, b)
	return (max(la, lb) + 0.05) / (min(la, lb) + 0.05)
}

func luminance(t *testing.T, hex string) float64 {
	rgb, err := strconv.ParseUint(hex, 16, 32)
	require.NoError(t, err, "a colour is missing")
	out := 0.0
	for i, weight := range []float64{0.2126, 0.7152, 0.0722} {
		c := float64(rgb>>(16-8*i)&255) / 255
		if c <= 0.03928 {
			c /= 12.92
		} else {
			c = math.Pow((c+0.055)/1.055, 2.4)
		}
		out += weight * c
	}
	return out
}

func TestCheckedInPicture(t *testing.T) {
	p, err := project.Load("../../ksql", nil)
	require.NoError(t, err)
	have, err := os.ReadFile("../../ksql/topology.svg")
	require.NoError(t, err)
	require.True(t, string(have) == New(p, Options{Detail: ByService}).SVG(), "ksql/topology.svg is old: go generate ./sidecar/topology")
}
