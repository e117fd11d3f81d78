package parser

import (
	"strings"

	"github.com/sidestream/sidestream/sidecar/engine/ast"
	"github.com/sidestream/sidestream/sidecar/engine/diagnostic"
)

// Piece is a statement of a script and the comments before it.
type Piece struct {
	Comments []Comment
	// Pos is where Text begins.
	Pos ast.Pos
	// Text is the statement from its first word to its semicolon; without one
	// where the script ends before it, and "" for comments behind the last
	// statement.
	Text string
}

// Comment is a comment without its marks and the blanks around it. A directive,
// `--@test: name`, has Text "@test: name".
type Comment struct {
	Pos  ast.Pos
	Text string
	// Inside: the comment stands within the statement's text.
	Inside bool
}

// Split cuts a script at the semicolons that are outside quotes and comments.
// The error is diagnostic.Errors: an unclosed quote.
func Split(text string) ([]Piece, error) {
	var out []Piece
	var piece Piece
	var errs diagnostic.Errors
	begun, end, from := false, 0, 0
	p := newParser(text, 0)
	for ; ; p.at++ {
		t := p.cur()
		piece.Comments = appendComments(piece.Comments, text, end, t.off, begun)
		if t.kind == tEOF {
			break
		}
		if t.kind == tBad && t.word == "quote" {
			if err := p.try(p.lexical); err != nil {
				errs = append(errs, err)
			}
		}
		if !begun {
			begun, from, piece.Pos = true, t.off, t.pos()
		}
		end = t.end
		if p.is(";") {
			piece.Text = text[from:end]
			out = append(out, piece)
			piece, begun = Piece{}, false
		}
	}
	if begun {
		piece.Text = text[from:end]
	}
	if begun || len(piece.Comments) > 0 {
		if !begun {
			piece.Pos = p.cur().pos()
		}
		out = append(out, piece)
	}
	if errs != nil {
		return nil, errs
	}
	return out, nil
}

// appendComments adds the comments of text[from:to], which holds nothing else
// but blanks.
func appendComments(list []Comment, text string, from, to int, inside bool) []Comment {
	for i := from; i < to; {
		if text[i] != '-' && text[i] != '/' {
			i++
			continue
		}
		end := min(commentEnd(text, i), to)
		body := strings.TrimSuffix(text[i+2:end], "*/")
		if text[i] == '-' {
			body = text[i+2 : end]
		}
		list = append(list, Comment{Pos: positionOf(text, i), Text: strings.TrimSpace(body), Inside: inside})
		i = end
	}
	return list
}
