package plan

// SubTopology is a part of a query that needs no topic inside it: one task a
// partition runs it. Roots are its last steps: the query's root, or a
// Repartition, which is the first step of the sub-topology that reads it back.
type SubTopology struct {
	ID    int
	Roots []Node
	// Reads are the sub-topology's inputs: Sources, and Repartitions of other
	// sub-topologies.
	Reads []Node
}

// Split cuts a query at its Repartition steps. The sub-topology of the query's
// root comes last; each Repartition is a root where it is written and among
// Reads where it is read.
//
// Steps joined by a path that crosses no Repartition are in one sub-topology,
// and so share their task's stores.
func Split(q *Query) []*SubTopology {
	s := splitter{group: map[Node]*SubTopology{}}
	var subs []*SubTopology
	var cut func(root Node) // adds root's sub-topology behind those it reads
	done := map[Node]bool{}
	cut = func(root Node) {
		if done[root] {
			return
		}
		done[root] = true
		sub := &SubTopology{Roots: []Node{root}}
		var walk func(n Node)
		walk = func(n Node) {
			if s.group[n] == sub {
				return
			}
			s.group[n] = sub
			for _, in := range n.Inputs() {
				if r, ok := in.(*Repartition); ok {
					cut(r)
					sub.addRead(r)
					continue
				}
				walk(in)
			}
			if src, ok := n.(*Source); ok {
				sub.addRead(src)
			}
		}
		walk(root)
		subs = append(subs, sub)
	}
	cut(q.Root)
	subs = mergeShared(subs)
	for i, sub := range subs {
		sub.ID = i
	}
	return subs
}

type splitter struct{ group map[Node]*SubTopology }

func (s *SubTopology) addRead(n Node) {
	for _, r := range s.Reads {
		if r == n {
			return
		}
	}
	s.Reads = append(s.Reads, n)
}

// mergeShared joins sub-topologies that read the same Source step (a self-join
// with one side repartitioned), since a step runs in one place only.
func mergeShared(subs []*SubTopology) []*SubTopology {
	var out []*SubTopology
	owner := map[Node]*SubTopology{}
	for _, sub := range subs {
		var into *SubTopology
		for _, r := range sub.Reads {
			if _, isSource := r.(*Source); isSource && owner[r] != nil {
				into = owner[r]
			}
		}
		if into == nil {
			out = append(out, sub)
			into = sub
		} else {
			into.Roots = append(into.Roots, sub.Roots...)
			for _, r := range sub.Reads {
				into.addRead(r)
			}
		}
		for _, r := range sub.Reads {
			owner[r] = into
		}
	}
	return out
}
