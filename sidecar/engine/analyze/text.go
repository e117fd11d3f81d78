package analyze

import (
	"strings"

	"github.com/sidestream/sidestream/sidecar/engine/analyze/expression"
	"github.com/sidestream/sidestream/sidecar/engine/ast"
)

// exprText is an expression as messages show it, columns as they are named in
// it. Two expressions are the same when their texts are.
func exprText(e ast.Expr) string { return expression.Text(e, nil) }

// plainName quotes a name where the parser would read it differently.
func plainName(name string) string {
	for i, r := range name {
		switch {
		case r >= 'A' && r <= 'Z', r == '_' && i > 0, r >= '0' && r <= '9' && i > 0:
		default:
			return "`" + strings.ReplaceAll(name, "`", "``") + "`"
		}
	}
	return name
}

// andList joins names for a sentence: "A", "A and B", "A, B and C".
func andList(names []string, word string) string {
	if len(names) < 2 {
		return strings.Join(names, "")
	}
	last := len(names) - 1
	return strings.Join(names[:last], ", ") + " " + word + " " + names[last]
}
