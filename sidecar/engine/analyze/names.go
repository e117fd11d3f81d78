package analyze

import (
	"strconv"

	"github.com/sidestream/sidestream/sidecar/engine/ast"
	"github.com/sidestream/sidestream/sidecar/engine/catalog"
	"github.com/sidestream/sidestream/sidecar/engine/schema"
)

// isPseudo tells whether a name is one of the columns that every record has.
func isPseudo(name string) bool {
	return name == schema.RowTime || name == schema.RowPartition || name == schema.RowOffset
}

// isBound tells whether a name is a window's start or end.
func isBound(name string) bool { return name == schema.WindowStart || name == schema.WindowEnd }

func isSystem(name string) bool { return isPseudo(name) || isBound(name) }

// namer makes names for columns that have none: KSQL_COL_0 and so on, and the
// names of struct fields, never one that a source uses already.
type namer struct {
	taken map[string]bool
	next  int
}

func newNamer(sources []*source) *namer {
	n := &namer{taken: map[string]bool{}}
	for _, s := range sources {
		for _, c := range columnNames(s.def) {
			n.taken[c] = true
		}
	}
	return n
}

// column is the next KSQL_COL_n that is free.
func (n *namer) column() string {
	for {
		name := "KSQL_COL_" + strconv.Itoa(n.next)
		n.next++
		if !n.taken[name] {
			return name
		}
	}
}

// of is the name of an expression without an alias.
func (n *namer) of(e ast.Expr) string {
	if f, ok := e.(*ast.FieldOf); ok {
		return n.field(f.Name)
	}
	return n.column()
}

// field is the name of a struct's field as a column: NAME, NAME_1, …
func (n *namer) field(name string) string {
	out := name
	for i := 1; n.taken[out]; i++ {
		out = name + "_" + strconv.Itoa(i)
	}
	n.taken[out] = true
	return out
}

func columnNames(s *catalog.Source) []string {
	var out []string
	for _, c := range s.Schema.Key {
		out = append(out, c.Name)
	}
	for _, c := range s.Schema.Value {
		out = append(out, c.Name)
	}
	return out
}

// syntheticKey is the name of the key of a join that has no column to name it
// by: ROWKEY, or ROWKEY_1 and so on where a source has such a column.
func syntheticKey(sources []*source) string {
	name := "ROWKEY"
	for i := 1; ; i++ {
		free := true
		for _, s := range sources {
			for _, c := range columnNames(s.def) {
				if c == name {
					free = false
				}
			}
		}
		if free {
			return name
		}
		name = "ROWKEY_" + strconv.Itoa(i)
	}
}
