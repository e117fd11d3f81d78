package lint

import (
	"strconv"
	"strings"

	"github.com/sidestream/sidestream/sidecar/engine/ast"
	"github.com/sidestream/sidestream/sidecar/engine/plan"
	"github.com/sidestream/sidestream/sidecar/project"
)

func noGrace(c *check, st *project.Statement) {
	q := st.Query()
	if q == nil {
		return
	}
	if w := q.Window; w != nil && w.Grace == nil {
		c.addDo(st, w.Pos, "Say how late a record may be: WINDOW "+w.Kind.String()+" (…, GRACE PERIOD 1 DAY).",
			"The window has no GRACE PERIOD: records more than 24 hours less its size late are dropped without a word.")
	}
	for i := range q.From.Joins {
		j := &q.From.Joins[i]
		if j.Within == nil || j.Within.Grace != nil {
			continue
		}
		early := ""
		if j.Kind != ast.InnerJoin {
			early = ", and a row without its partner comes at once, before the partner could"
		}
		c.addDo(st, j.Within.Pos, "Say how late a record may be: WITHIN … GRACE PERIOD 1 DAY ON …",
			"The join has no GRACE PERIOD: records more than 24 hours less WITHIN late are dropped without a word%s.", early)
	}
}

// tableJoins calls f for each join of a stream to a table.
func tableJoins(st *project.Statement, f func(j *ast.Join)) {
	q := st.Query()
	if q == nil || st.Target == nil || st.Target.Table {
		return
	}
	for i := range q.From.Joins {
		if j := &q.From.Joins[i]; j.Within == nil { // what a stream's row is joined with without a time is a table
			f(j)
		}
	}
}

func leftJoinToTable(c *check, st *project.Statement) {
	tableJoins(st, func(j *ast.Join) {
		if j.Kind == ast.LeftJoin {
			c.add(st, j.Pos, "A row of %s that comes after its partner in the stream doesn't complete that row: its columns stay NULL.", j.Source.Name)
		}
	})
}

func innerJoinToTable(c *check, st *project.Statement) {
	tableJoins(st, func(j *ast.Join) {
		if j.Kind == ast.InnerJoin {
			c.add(st, j.Pos, "A record of the stream that comes before its row in %s is dropped, and doesn't come back.", j.Source.Name)
		}
	})
}

func notCoPartitioned(c *check, st *project.Statement) {
	if st.Mistake == nil || !project.DifferentSides(st.Mistake) {
		return
	}
	at := st.Node.Position()
	if q := st.Query(); q != nil && len(q.From.Joins) > 0 {
		at = q.From.Joins[0].Pos
	}
	text := st.Mistake.Message
	if i := strings.Index(text, "Can't join"); i > 0 {
		text = text[i:]
	}
	text, _, _ = strings.Cut(text, " Please repartition")
	c.add(st, at, "%s", text)
}

func unkeyedOutput(c *check, st *project.Statement) {
	if st.Target == nil || st.Plan == nil || len(st.Plan.Root.Out().Schema.Key) > 0 {
		return
	}
	at := st.Node.Position()
	if q := st.Query(); q != nil && len(q.Select) > 0 {
		at = q.Pos
	}
	c.add(st, at, "The records have no key: they are spread over the partitions, without order between two of the same thing.")
}

// cacheProperties turn the streams cache on, under both of their names.
var cacheProperties = []string{
	"cache.max.bytes.buffering", "ksql.streams.cache.max.bytes.buffering",
	"statestore.cache.max.bytes", "ksql.streams.statestore.cache.max.bytes",
}

func caching(c *check, st *project.Statement) {
	if st.Target == nil || !st.Target.Table || st.Query() == nil {
		return
	}
	for _, name := range cacheProperties {
		bytes, err := strconv.ParseInt(st.Properties[name], 10, 64)
		if err != nil || bytes <= 0 {
			continue
		}
		reader := eventReader(c.project, st.Target.Topic)
		if reader == "" {
			return
		}
		c.add(st, st.Node.Position(), "%s is on (%d bytes), but %s reads the changes of %s as events: those between two commits are merged into one.",
			name, bytes, reader, st.Name)
		return
	}
}

// eventReader names who reads a topic record by record, "" for nobody.
func eventReader(p *project.Project, topic string) string {
	for _, s := range p.Services {
		for _, st := range s.Statements {
			if n, ok := st.Node.(*ast.CreateSource); ok && !n.Table && st.Source != nil && st.Source.Topic == topic {
				return "the stream " + st.Name + " of " + s.Name
			}
		}
	}
	if p.Manifest != nil {
		for _, s := range p.Manifest.Services {
			for _, t := range s.Reads {
				if t == topic {
					return "the program of " + s.Name
				}
			}
		}
	}
	return ""
}

func insertWithoutID(c *check, st *project.Statement) {
	if n, ok := st.Node.(*ast.InsertInto); ok && n.With.Get("QUERY_ID") == nil {
		c.addDo(st, n.Pos, "Give it a name of its own: INSERT INTO "+n.Target.Name+" WITH (QUERY_ID = '…') SELECT …",
			"The query has no name of its own: the server numbers it, and sent again it reads all once more.")
	}
}

func selectStar(c *check, st *project.Statement) {
	q := st.Query()
	if q == nil {
		return
	}
	for _, item := range q.Select {
		if item.Star {
			c.add(st, item.Pos, "The columns are those that the source has when this is sent: they change with the source, while the text stays the same.")
		}
	}
}

func unnamedColumn(c *check, st *project.Statement) {
	q := st.Query()
	if q == nil {
		return
	}
	for _, item := range q.Select {
		if item.Star || item.Alias != "" {
			continue
		}
		switch item.Expr.(type) {
		case *ast.ColumnRef, *ast.FieldOf, *ast.AllFields:
			continue
		}
		if !named(st, item.Expr) {
			c.add(st, item.Pos, "The expression has no name: its column is called by its place, as KSQL_COL_0.")
		}
	}
}

// named tells whether an expression is the query's key, whose name is its own.
func named(st *project.Statement, e ast.Expr) bool {
	if st.Plan == nil {
		return true
	}
	out := st.Plan.Root.Out().Schema
	for _, columns := range [][]string{names(out.Key), names(out.Value)} {
		for _, n := range columns {
			if strings.HasPrefix(n, "KSQL_COL_") {
				return false
			}
		}
	}
	return true
}

// fixedLimit looks into queries that can't be replaced: joins and windows.
func fixedLimit(c *check, st *project.Statement) {
	q := st.Query()
	if q == nil || q.Window == nil && len(q.From.Joins) == 0 {
		return
	}
	what := "A windowed aggregate"
	if q.Window == nil {
		what = "A join"
	}
	seen := map[string]bool{}
	visit := func(e ast.Expr) bool {
		if name, at := variableAt(st.File.Text, e); name != "" {
			if !seen[name] {
				seen[name] = true
				c.add(st, at, "%s can't be edited in place: a new value of %s means building it anew.", what, name)
			}
			return false
		}
		n, ok := e.(*ast.Compare)
		if !ok {
			return true
		}
		switch n.Op {
		case ast.Less, ast.LessEqual, ast.Greater, ast.GreaterEqual:
			for _, side := range []ast.Expr{n.L, n.R} {
				if text := limit(side); text != "" && !seen[text] {
					if name, _ := variableAt(st.File.Text, side); name == "" {
						seen[text] = true
						c.add(st, side.Position(), "%s can't be edited in place: another limit than %s means building it anew.", what, text)
					}
				}
			}
		}
		return true
	}
	for _, item := range q.Select {
		ast.Walk(item.Expr, visit)
	}
	ast.Walk(q.Where, visit)
	for _, e := range q.GroupBy {
		ast.Walk(e, visit)
	}
	ast.Walk(q.Having, visit)
}

// limit is a number that is a limit rather than a sign (0, 1), as text.
func limit(e ast.Expr) string {
	switch n := e.(type) {
	case *ast.IntLit:
		if n.Value < -1 || n.Value > 1 {
			return strconv.FormatInt(n.Value, 10)
		}
	case *ast.DecimalLit:
		if strings.Trim(n.Text, "-0.") != "" {
			return n.Text
		}
	case *ast.DoubleLit:
		return strconv.FormatFloat(n.Value, 'g', -1, 64)
	case *ast.Cast:
		return limit(n.X)
	}
	return ""
}

// variableAt is the ${variable} that a literal comes from, as written, and where
// it stands; "" for none.
func variableAt(text string, e ast.Expr) (string, ast.Pos) {
	at := e.Position()
	if !at.Known() || at.Offset >= len(text) {
		return "", at
	}
	rest := text[at.Offset:]
	switch n := e.(type) {
	case *ast.IntLit, *ast.DecimalLit, *ast.DoubleLit, *ast.BoolLit, *ast.ColumnRef:
	case *ast.StringLit:
		if strings.HasPrefix(rest, "'") {
			end := strings.IndexByte(rest[1:], '\'')
			i := strings.Index(rest, "${")
			if i < 0 || end < 0 || i > end {
				return "", at
			}
			at.Offset, at.Col = at.Offset+i, at.Col+len([]rune(rest[:i]))
			rest = rest[i:]
		}
	case *ast.In:
		// The list itself may be one variable: each member stands where it does.
		for _, member := range n.List {
			if name, pos := variableAt(text, member); name != "" {
				return name, pos
			}
		}
		return "", at
	default:
		return "", at
	}
	if !strings.HasPrefix(rest, "${") {
		return "", at
	}
	end := strings.IndexByte(rest, '}')
	if end < 0 {
		return "", at
	}
	return rest[:end+1], at
}

// windowed tells whether the records of a source have a window in their key.
func windowed(kind plan.WindowKind) bool { return kind != plan.NoWindow }
