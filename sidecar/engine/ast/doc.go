// Package ast is the syntax tree of the SQL dialect.
//
// In: nothing; package parser builds trees from text. Out: [Statement] and
// [Expr] nodes, each with the position it was read from. A tree says what was
// written: names are folded (unquoted ones upper-cased) but not resolved, types
// may refer to names that CREATE TYPE defines, and no default is filled in.
//
// Nodes are plain structs, used by pointer, and rewritten by copy: [Walk] visits
// an expression, [Rewrite] and [RewriteQuery] return a changed copy.
//
// Next: package parser reads trees, package format writes them, package analyze
// resolves them.
package ast

// Pos is a place in the text: a byte offset from 0, a line and a column from 1.
// The column counts characters, not bytes. The zero Pos means "nowhere", as in
// nodes that analysis added.
type Pos struct{ Offset, Line, Col int }

// Position is p itself; nodes embed Pos and so have a Position.
func (p Pos) Position() Pos { return p }

// Known tells whether the position is a place in a text.
func (p Pos) Known() bool { return p.Line > 0 }

// Node is any part of a tree.
type Node interface{ Position() Pos }

// Ident is a name as it is compared: upper-case unless it was quoted.
type Ident struct {
	Pos
	Name string
}
