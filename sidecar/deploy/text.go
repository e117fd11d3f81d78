package deploy

import (
	"regexp"
	"strings"

	"github.com/sidestream/sidestream/sidecar/engine/ast"
)

var (
	orReplace   = regexp.MustCompile(`(?i)^\s*CREATE\s+OR\s+REPLACE\b`)
	createWord  = regexp.MustCompile(`(?i)^\s*CREATE\b`)
	decimalType = regexp.MustCompile(`DECIMAL\((\d+), (\d+)\)`)
	insertWord  = regexp.MustCompile(`(?i)^\s*INSERT\s+INTO\b`)
)

// plainText is a statement without OR REPLACE, which a server keeps in its text.
func plainText(sql string) string {
	return orReplace.ReplaceAllString(normal(sql), "CREATE")
}

// withReplace is a statement's own text with OR REPLACE.
func withReplace(sql string) string {
	if orReplace.MatchString(sql) {
		return sql
	}
	return createWord.ReplaceAllString(sql, "CREATE OR REPLACE")
}

// name takes from the tree what the statement makes, how, and what it reads; false
// for a statement that a folder can't hold.
func (s *Statement) name() bool {
	switch n := s.Node.(type) {
	case *ast.CreateSource:
		s.Name, s.Kind = n.Name.Name, sourceKind(n.Table)
	case *ast.CreateAs:
		s.Name, s.Kind, s.Reads = n.Name.Name, sourceKind(n.Table), reads(n.Query)
	case *ast.InsertInto:
		s.Name, s.Kind, s.Reads = n.Target.Name, Insert, reads(n.Query)
	case *ast.CreateType:
		s.Name, s.Kind = n.Name.Name, Type
	default:
		return false
	}
	return true
}

// query is the statement's SELECT; nil without one.
func (s *Statement) query() *ast.Query {
	switch n := s.Node.(type) {
	case *ast.CreateAs:
		return n.Query
	case *ast.InsertInto:
		return n.Query
	}
	return nil
}

// properties are the statement's WITH clause.
func (s *Statement) properties() ast.Properties {
	switch n := s.Node.(type) {
	case *ast.CreateSource:
		return n.With
	case *ast.CreateAs:
		return n.With
	case *ast.InsertInto:
		return n.With
	}
	return nil
}

// readOnly: CREATE SOURCE STREAM | TABLE.
func (s *Statement) readOnly() bool {
	n, ok := s.Node.(*ast.CreateSource)
	return ok && n.ReadOnly
}

// lines are a statement's canonical text, a clause or column each.
func lines(node ast.Statement) []string {
	text := canonical(node, nil)
	text = decimalType.ReplaceAllString(text, "DECIMAL($1,$2)")
	if _, ok := node.(*ast.CreateSource); ok {
		text = strings.NewReplacer(") WITH (", "\n) WITH (\n  ", " (", " (\n  ", ", ", ",\n  ").Replace(text)
	}
	out := strings.Split(text, "\n")
	for i, l := range out {
		out[i] = strings.TrimSuffix(strings.TrimSpace(l), ",")
	}
	return out
}

// diff are the lines that differ, in the order of the texts.
func diff(a, b []string) []string {
	// common[i][j] is the length of the longest common part of a[i:] and b[j:].
	common := make([][]int, len(a)+1)
	for i := range common {
		common[i] = make([]int, len(b)+1)
	}
	for i := len(a) - 1; i >= 0; i-- {
		for j := len(b) - 1; j >= 0; j-- {
			if a[i] == b[j] {
				common[i][j] = common[i+1][j+1] + 1
			} else {
				common[i][j] = max(common[i+1][j], common[i][j+1])
			}
		}
	}
	var out []string
	for i, j := 0, 0; i < len(a) || j < len(b); {
		switch {
		case i < len(a) && j < len(b) && a[i] == b[j]:
			i, j = i+1, j+1
		case j == len(b) || i < len(a) && common[i+1][j] >= common[i][j+1]:
			out = append(out, "- "+a[i])
			i++
		default:
			out = append(out, "+ "+b[j])
			j++
		}
	}
	return out
}
