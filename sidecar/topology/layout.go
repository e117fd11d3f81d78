package topology

import (
	"cmp"
	"slices"
)

// The layout is that of layered drawings: edges lead from left to right as far
// as they can (some are turned for that), a long one passes through a point in
// each layer between, the order in a layer is that of few crossings, and heights
// are such that edges are as straight as they can be.

// item is a node, or a point of a long edge.
type item struct {
	node   int // in Graph.Nodes; -1 for a point
	layer  int
	width  float64
	height float64
	x, y   float64 // middle
	in     []int   // items of the layer to the left
	out    []int   // and to the right
}

// path is an edge through its items, from left to right; turned ones lead from
// right to left.
type path struct {
	edge   int
	items  []int
	turned bool
}

type drawing struct {
	items  []item
	layers [][]int
	paths  []path
	width  float64
	height float64
}

// Sizes in pixels.
const (
	rowGap    = 14.0
	pointGap  = 6.0
	layerGap  = 46.0
	rowHeight = 30.0
	margin    = 24.0
)

// lay places the graph. width gives a node's width.
func lay(g *Graph, width func(Node) float64) *drawing {
	d := &drawing{}
	index := map[string]int{}
	for i, n := range g.Nodes {
		index[n.ID] = i
		d.items = append(d.items, item{node: i, width: width(n), height: rowHeight})
	}
	var edges [][2]int
	for _, e := range g.Edges {
		edges = append(edges, [2]int{index[e.From], index[e.To]})
	}
	turned := acyclic(len(g.Nodes), edges)
	right := make([][2]int, len(edges))
	for i, e := range edges {
		right[i] = e
		if turned[i] {
			right[i] = [2]int{e[1], e[0]}
		}
	}
	layer := layers(len(g.Nodes), right)
	for i := range g.Nodes {
		d.items[i].layer = layer[i]
	}
	for i, e := range right {
		d.connect(i, e, turned[i])
	}
	d.order()
	d.place()
	return d
}

// connect makes an edge's path, with a point in each layer that it passes.
func (d *drawing) connect(edge int, e [2]int, turned bool) {
	p := path{edge: edge, items: []int{e[0]}, turned: turned}
	for l := d.items[e[0]].layer + 1; l < d.items[e[1]].layer; l++ {
		d.items = append(d.items, item{node: -1, layer: l})
		p.items = append(p.items, len(d.items)-1)
	}
	p.items = append(p.items, e[1])
	for i := 1; i < len(p.items); i++ {
		a, b := p.items[i-1], p.items[i]
		d.items[a].out = append(d.items[a].out, b)
		d.items[b].in = append(d.items[b].in, a)
	}
	d.paths = append(d.paths, p)
}

// acyclic says which edges must be turned so that none leads back: those that
// lead back in an order in which, again and again, a node without incoming
// edges comes first, one without outgoing ones last, and else the one that gives
// the most and takes the least (Eades, Lin and Smyth).
func acyclic(n int, edges [][2]int) []bool {
	gone := make([]bool, n)
	degrees := func(v int) (in, out int) {
		for _, e := range edges {
			if e[0] == e[1] || gone[e[0]] || gone[e[1]] {
				continue
			}
			if e[1] == v {
				in++
			}
			if e[0] == v {
				out++
			}
		}
		return in, out
	}
	var first, last []int
	for left := n; left > 0; left-- {
		pick, sink, best := -1, false, 0
		for v := range n {
			if gone[v] {
				continue
			}
			in, out := degrees(v)
			switch {
			case in == 0:
				pick, sink, best = v, false, 1<<30
			case out == 0 && best < 1<<30:
				pick, sink, best = v, true, 1<<30-1
			case best < 1<<29 && (pick < 0 || out-in > best):
				pick, sink, best = v, false, out-in
			}
			if best == 1<<30 {
				break
			}
		}
		gone[pick] = true
		if sink {
			last = append(last, pick)
		} else {
			first = append(first, pick)
		}
	}
	slices.Reverse(last)
	place := make([]int, n)
	for i, v := range append(first, last...) {
		place[v] = i
	}
	out := make([]bool, len(edges))
	for i, e := range edges {
		out[i] = place[e[0]] > place[e[1]]
	}
	return out
}

// layers puts each node as far left as its edges let it, then those without
// incoming edges as far right as they can be, beside whom they give to.
func layers(n int, edges [][2]int) []int {
	out := make([]int, n)
	for changed := true; changed; {
		changed = false
		for _, e := range edges {
			if e[0] != e[1] && out[e[1]] < out[e[0]]+1 {
				out[e[1]], changed = out[e[0]]+1, true
			}
		}
	}
	for v := range n {
		nearest := -1
		takes := false
		for _, e := range edges {
			if e[1] == v && e[0] != v {
				takes = true
			}
			if e[0] == v && e[1] != v && (nearest < 0 || out[e[1]]-1 < nearest) {
				nearest = out[e[1]] - 1
			}
		}
		if !takes && nearest > out[v] {
			out[v] = nearest
		}
	}
	return out
}

// order sorts each layer for few crossings: sweeps in both directions put an item
// at the mean of its neighbours, and the best order of all is kept.
func (d *drawing) order() {
	n := 0
	for _, it := range d.items {
		n = max(n, it.layer+1)
	}
	d.layers = make([][]int, n)
	for i, it := range d.items {
		d.layers[it.layer] = append(d.layers[it.layer], i)
	}
	best, fewest := d.copyLayers(), d.crossings()
	for sweep := range 24 {
		if sweep%2 == 0 {
			for l := 1; l < n; l++ {
				d.sortLayer(l, true)
			}
		} else {
			for l := n - 2; l >= 0; l-- {
				d.sortLayer(l, false)
			}
		}
		d.exchange()
		if c := d.crossings(); c < fewest {
			best, fewest = d.copyLayers(), c
		}
	}
	d.layers = best
}

func (d *drawing) copyLayers() [][]int {
	out := make([][]int, len(d.layers))
	for i, l := range d.layers {
		out[i] = slices.Clone(l)
	}
	return out
}

func (d *drawing) ranks() []int {
	out := make([]int, len(d.items))
	for _, l := range d.layers {
		for i, v := range l {
			out[v] = i
		}
	}
	return out
}

func (d *drawing) sortLayer(l int, fromLeft bool) {
	rank := d.ranks()
	mean := map[int]float64{}
	for _, v := range d.layers[l] {
		near := d.items[v].out
		if fromLeft {
			near = d.items[v].in
		}
		if len(near) == 0 {
			mean[v] = float64(rank[v])
			continue
		}
		sum := 0.0
		for _, u := range near {
			sum += float64(rank[u])
		}
		mean[v] = sum / float64(len(near))
	}
	slices.SortStableFunc(d.layers[l], func(a, b int) int { return cmp.Compare(mean[a], mean[b]) })
}

// exchange swaps neighbours in a layer while that takes crossings away.
func (d *drawing) exchange() {
	rank := d.ranks()
	for _, l := range d.layers {
		for better := true; better; {
			better = false
			for i := 0; i+1 < len(l); i++ {
				a, b := l[i], l[i+1]
				if d.pairCrossings(a, b, rank) > d.pairCrossings(b, a, rank) {
					l[i], l[i+1] = b, a
					rank[a], rank[b] = i+1, i
					better = true
				}
			}
		}
	}
}

// pairCrossings counts the crossings of the edges of two items of a layer with a
// above b.
func (d *drawing) pairCrossings(a, b int, rank []int) int {
	n := 0
	for _, sides := range [][2][]int{{d.items[a].in, d.items[b].in}, {d.items[a].out, d.items[b].out}} {
		for _, u := range sides[0] {
			for _, v := range sides[1] {
				if rank[u] > rank[v] {
					n++
				}
			}
		}
	}
	return n
}

func (d *drawing) crossings() int {
	rank := d.ranks()
	n := 0
	for _, l := range d.layers {
		for i, a := range l {
			for _, b := range l[i+1:] {
				for _, u := range d.items[a].out {
					for _, v := range d.items[b].out {
						if rank[u] > rank[v] {
							n++
						}
					}
				}
			}
		}
	}
	return n
}

// place gives items their coordinates: layers beside each other, and in a layer
// heights as near to the neighbours' as the order and the gaps allow.
func (d *drawing) place() {
	x := margin
	for _, l := range d.layers {
		widest := 0.0
		for _, v := range l {
			widest = max(widest, d.items[v].width)
		}
		for _, v := range l {
			d.items[v].x = x + widest/2
		}
		x += widest + layerGap
		y := 0.0
		for i, v := range l {
			if i > 0 {
				y += d.gap(l[i-1], v)
			}
			d.items[v].y = y
		}
	}
	d.width = x - layerGap + margin
	for round := range 120 {
		for i := range d.layers {
			l := i
			if round%2 == 1 {
				l = len(d.layers) - 1 - i
			}
			d.settle(d.layers[l])
		}
	}
	low, high := 0.0, 0.0
	for i, it := range d.items {
		if i == 0 || it.y < low {
			low = it.y
		}
		high = max(high, it.y)
	}
	for i := range d.items {
		d.items[i].y += margin + rowHeight/2 - low
	}
	d.height = high - low + rowHeight + 2*margin
}

// gap is how far apart the middles of two neighbours of a layer must be.
func (d *drawing) gap(a, b int) float64 {
	gap := rowGap
	if d.items[a].node < 0 && d.items[b].node < 0 {
		gap = pointGap
	}
	return d.items[a].height/2 + d.items[b].height/2 + gap
}

// settle moves a layer's items as near as can be to the mean of their neighbours,
// in the least-squares sense, without changing the order or the gaps: neighbours
// that would overlap move together as a block.
func (d *drawing) settle(l []int) {
	type block struct {
		want, weight float64
		n            int
	}
	var blocks []block
	offset := make([]float64, len(l)) // of an item from the layer's first
	for i, v := range l {
		if i > 0 {
			offset[i] = offset[i-1] + d.gap(l[i-1], v)
		}
		want, weight := d.items[v].y, 0.2
		near := append(slices.Clone(d.items[v].in), d.items[v].out...)
		if len(near) > 0 {
			want, weight = 0, 0
			for _, u := range near {
				w := 1.0
				if d.items[v].node < 0 && d.items[u].node < 0 {
					w = 8 // a long edge is straight first
				}
				want += w * d.items[u].y
				weight += w
			}
			want /= weight
		}
		blocks = append(blocks, block{want - offset[i], weight, 1})
		for k := len(blocks); k > 1 && blocks[k-2].want > blocks[k-1].want; k-- {
			a, b := blocks[k-2], blocks[k-1]
			blocks = append(blocks[:k-2], block{(a.want*a.weight + b.want*b.weight) / (a.weight + b.weight), a.weight + b.weight, a.n + b.n})
		}
	}
	i := 0
	for _, b := range blocks {
		for range b.n {
			d.items[l[i]].y = b.want + offset[i]
			i++
		}
	}
}
