package format

import (
	"github.com/sidestream/sidestream/sidecar/engine/ast"
)

// Query is a SELECT's canonical text, without a semicolon.
func Query(q *ast.Query) string {
	var b writer
	b.query(q)
	return b.String()
}

func (b *writer) query(q *ast.Query) {
	b.add("SELECT")
	for i := range q.Select {
		switch {
		case len(q.Select) == 1:
			b.add(" ")
		case i == 0:
			b.add("\n  ")
		default:
			b.add(",\n  ")
		}
		b.item(&q.Select[i])
	}
	b.add("\nFROM ")
	b.source(&q.From.Source)
	for i := range q.From.Joins {
		b.join(&q.From.Joins[i])
	}
	if q.Window != nil {
		b.window(q.Window)
	}
	if q.Where != nil {
		b.add("\nWHERE ")
		b.expr(q.Where)
	}
	b.group("\nGROUP BY ", q.GroupBy)
	b.group("\nPARTITION BY ", q.PartitionBy)
	if q.Having != nil {
		b.add("\nHAVING ")
		b.expr(q.Having)
	}
	if q.Emit != ast.EmitNone {
		b.add("\n", q.Emit.String())
	}
	if q.Limit != nil {
		b.addInt("\nLIMIT ", int64(*q.Limit))
	}
}

// group writes GROUP BY or PARTITION BY; an empty list is written, nil is not.
func (b *writer) group(clause string, list []ast.Expr) {
	if list == nil {
		return
	}
	b.add(clause)
	if len(list) == 0 {
		b.add("()")
	}
	b.exprs(list)
}

func (b *writer) item(item *ast.SelectItem) {
	if item.Star {
		if item.Source != "" {
			b.add(Name(item.Source), ".")
		}
		b.add("*")
		return
	}
	b.expr(item.Expr)
	if item.Alias != "" {
		b.add(" ", Name(item.Alias))
	}
}

func (b *writer) source(s *ast.Source) { b.add(Name(s.Name), " ", Name(s.Alias)) }

func (b *writer) join(j *ast.Join) {
	b.add("\n", j.Kind.String(), " ")
	b.source(&j.Source)
	if w := j.Within; w != nil {
		if w.Before.Millis() == w.After.Millis() {
			b.add(" WITHIN ", w.Before.String())
		} else {
			b.add(" WITHIN (", w.Before.String(), ", ", w.After.String(), ")")
		}
		if w.Grace != nil {
			b.add(" GRACE PERIOD ", w.Grace.String())
		}
	}
	b.add(" ON (")
	b.expr(j.On)
	b.add(")")
}

// window ends its line with a blank, as ksqlDB does.
func (b *writer) window(w *ast.Window) {
	b.add("\nWINDOW ")
	if w.Name != "" {
		b.add(Name(w.Name), " ")
	}
	b.add(w.Kind.String(), " ( ")
	if w.Kind != ast.Session {
		b.add("SIZE ")
	}
	b.add(w.Size.String())
	if w.Advance != nil {
		b.add(" , ADVANCE BY ", w.Advance.String())
	}
	if w.Retention != nil {
		b.add(" , RETENTION ", w.Retention.String())
	}
	if w.Grace != nil {
		b.add(" , GRACE PERIOD ", w.Grace.String())
	}
	b.add(" ) ")
}
