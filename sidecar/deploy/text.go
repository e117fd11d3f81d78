package deploy

import (
	"regexp"

	"github.com/sidestream/sidestream/sidecar/engine/ast"
)

var (
	orReplace  = regexp.MustCompile(`(?i)^\s*CREATE\s+OR\s+REPLACE\b`)
	createWord = regexp.MustCompile(`(?i)^\s*CREATE\b`)
	insertWord = regexp.MustCompile(`(?i)^\s*INSERT\s+INTO\b`)
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
