// Package format writes syntax trees as canonical text: keywords in upper case,
// every operator in parentheses, names quoted only where they must be, one
// column of a SELECT list a line, as ksqlDB writes statements back.
//
// In: trees of package ast. Out: text that package parser reads into the same
// tree. EXPLAIN, DESCRIBE and the statement log show it.
package format

import (
	"strings"

	"github.com/sidestream/sidestream/sidecar/engine/ast"
	"github.com/sidestream/sidestream/sidecar/engine/parser"
	"github.com/sidestream/sidestream/sidecar/engine/types"
)

// Name is an identifier, in backticks where the parser would read it
// differently without them.
func Name(name string) string {
	plain := name != "" && !parser.Reserved(name)
	for i := 0; plain && i < len(name); i++ {
		c := name[i]
		plain = c >= 'A' && c <= 'Z' || c == '_' || i > 0 && (c >= '0' && c <= '9' || c == '@')
	}
	if plain {
		return name
	}
	return "`" + strings.ReplaceAll(name, "`", "``") + "`"
}

// String is text in single quotes.
func String(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }

// Type is a type as it is written in SQL: `STRUCT<A INTEGER, B DECIMAL(6, 2)>`.
func Type(t *ast.Type) string {
	if t.Name != "" {
		return Name(t.Name)
	}
	switch t.Kind {
	case types.Array:
		return "ARRAY<" + Type(t.Elem) + ">"
	case types.Map:
		return "MAP<" + Type(t.Key) + ", " + Type(t.Elem) + ">"
	case types.Struct:
		parts := make([]string, len(t.Fields))
		for i, f := range t.Fields {
			parts[i] = Name(f.Name) + " " + Type(f.Type)
		}
		return "STRUCT<" + strings.Join(parts, ", ") + ">"
	}
	return types.Type{Kind: t.Kind, Precision: t.Precision, Scale: t.Scale}.String()
}
