package deploy

import (
	"strings"

	"github.com/sidestream/sidestream/sidecar/engine/ast"
	"github.com/sidestream/sidestream/sidecar/engine/parser"
)

// sameText compares a statement with a server's text where no ledger tells.
func sameText(s *Statement, server string) bool {
	return strings.EqualFold(plainText(s.SQL()), plainText(server))
}

// readsOf are the sources that a persistent query's text reads; none if it can't
// be read.
func readsOf(sql string) []string {
	if !strings.HasSuffix(strings.TrimSpace(sql), ";") {
		sql += ";"
	}
	nodes, err := parser.Parse(sql)
	if err != nil || len(nodes) != 1 {
		return nil
	}
	switch n := nodes[0].(type) {
	case *ast.InsertInto:
		return reads(n.Query)
	case *ast.CreateAs:
		return reads(n.Query)
	}
	return nil
}
