package engine

import (
	"fmt"
	"slices"
	"strings"

	"github.com/sidestream/sidestream/sidecar/engine/analyze"
	"github.com/sidestream/sidestream/sidecar/engine/ast"
	"github.com/sidestream/sidestream/sidecar/engine/catalog"
	"github.com/sidestream/sidestream/sidecar/engine/diagnostic"
	"github.com/sidestream/sidestream/sidecar/engine/types"
)

// change is what a statement does to the world. Making one changes nothing;
// world.apply and Engine.carryOut do.
type change struct {
	commandID string
	text      string // of the statement, as the answer shows it
	logged    string // as it is replayed
	message   string // of success
	warnings  []string
	// exists: IF NOT EXISTS, and it does: there is nothing to do but to say so.
	exists string

	topics      []analyze.TopicSpec // to make or to check first
	put         *catalog.Source
	derives     []string // sources that put's query reads, where they then can't be dropped
	drop        string
	deleteTopic string
	stop        []string // queries that end for good
	query       *query   // to start
	replaces    bool     // query goes on where the one of its id is
	putType     *namedType
	dropType    string
	pause       []string // queries to pause, or to resume
	paused      bool
	properties  map[string]string

	dryRun bool
}

type namedType struct {
	name string
	typ  types.Type
}

// change makes the change of a statement that has one; nil for those that only
// answer.
func (e *Engine) change(s *session, stmt ast.Statement) (*change, error) {
	c := &change{text: stmt.Source(), logged: stmt.Source(), properties: s.properties, dryRun: s.dryRun}
	var err error
	switch st := stmt.(type) {
	case *ast.CreateSource:
		err = e.createSource(s, c, st)
	case *ast.CreateAs:
		err = e.createAs(s, c, st)
	case *ast.InsertInto:
		err = e.insertInto(s, c, st)
	case *ast.DropSource:
		err = dropSource(s, c, st)
	case *ast.AlterSource:
		err = alterSource(s, c, st)
	case *ast.CreateType:
		err = createType(s, c, st)
	case *ast.DropType:
		err = dropType(s, c, st)
	case *ast.Terminate:
		err = c.onQueries(s, st, "terminate", st.Query, st.All)
		c.message, c.stop, c.pause = "Query terminated.", c.pause, nil
	case *ast.Pause:
		err = c.onQueries(s, st, "pause", st.Query, st.All)
		c.message, c.paused = "Query paused.", true
	case *ast.Resume:
		err = c.onQueries(s, st, "resume", st.Query, st.All)
		c.message = "Query resumed."
	case *ast.AlterSystem:
		return nil, about(CodeServerError, st.Text, "Could not write the statement '%s' into the command topic.\nCaused by: Cannot alter system configs when KSQL_SHARED_RUNTIME_ENABLED is\n\tturned off.", st.Text)
	default:
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return c, nil
}

// queryID numbers a new query, or gives the id that it had when it was written to
// the log.
func (s *session) queryID(prefix, name string) string {
	if s.replayed != "" {
		return s.replayed
	}
	if name != "" {
		name = strings.ToUpper(name) + "_"
	}
	n := s.number()
	if s.dryRun {
		n = s.world.next
	}
	return fmt.Sprintf("%s_%s%d", prefix, name, n)
}

func kindOf(table bool) string {
	if table {
		return "table"
	}
	return "stream"
}

func createID(table bool, name string) string {
	return kindOf(table) + "/`" + name + "`/create"
}

// existsText answers CREATE … IF NOT EXISTS.
func existsText(table bool, name string) string {
	return fmt.Sprintf("Cannot add %s `%s`: A %s with the same name already exists.", kindOf(table), name, kindOf(table))
}

func (e *Engine) createSource(s *session, c *change, st *ast.CreateSource) error {
	var id string
	if st.ReadOnly && st.Table {
		id = s.queryID("CST", st.Name.Name)
	}
	env := s.env()
	made, err := analyze.CreateSource(&env, st, id)
	if err := s.topicFailure(err, st.Text); err != nil {
		return err
	}
	if made.Exists {
		c.exists = existsText(st.Table, st.Name.Name)
		return nil
	}
	c.commandID = createID(st.Table, st.Name.Name)
	c.put, c.warnings = made.Source, made.Warnings
	c.text = made.Source.SQL
	c.message = title(kindOf(st.Table)) + " created"
	if made.Topic != nil {
		c.topics = append(c.topics, *made.Topic)
	}
	if made.Query != nil {
		c.query = &query{id: id, text: c.text, plan: made.Query, reads: []string{st.Name.Name}, config: s.config(), set: s.properties}
		// The query keeps what the topic holds already.
		c.query.config["auto.offset.reset"] = "earliest"
		c.message = "Created query with ID " + id
	}
	return nil
}

// topicFailure puts what Kafka said of a topic before what analysis made of it.
func (s *session) topicFailure(err error, statement string) error {
	if failed := s.topics.failed; failed != nil {
		s.topics.failed = nil
		return about(CodeServerError, statement, "%v", failed)
	}
	return err
}

func (e *Engine) createAs(s *session, c *change, st *ast.CreateAs) error {
	prefix := "CSAS"
	if st.Table {
		prefix = "CTAS"
	}
	id, replaced := "", (*query)(nil)
	if old, ok := s.world.catalog.Source(st.Name.Name); ok && st.OrReplace && old.CreatedBy != "" {
		if replaced, ok = s.world.query(old.CreatedBy); ok {
			id = old.CreatedBy
		}
	}
	if id == "" {
		id = s.queryID(prefix, st.Name.Name)
	}
	env := s.env()
	made, err := analyze.CreateAs(&env, st, id)
	if err := s.topicFailure(err, st.Text); err != nil {
		return err
	}
	if made.Exists {
		c.exists = existsText(st.Table, st.Name.Name)
		return nil
	}
	c.commandID = createID(st.Table, st.Name.Name)
	c.put, c.warnings, c.derives = made.Source, made.Warnings, made.Reads
	c.text = made.Source.SQL
	c.message = "Created query with ID " + id
	if made.Topic != nil {
		c.topics = append(c.topics, *made.Topic)
	}
	if replaced != nil {
		if err := analyze.Upgradeable(replaced.plan, made.Plan); err != nil {
			return err
		}
		c.replaces = true
	}
	c.query = &query{id: id, text: c.text, plan: made.Plan, reads: made.Reads, sink: made.Source.Name, topic: made.Source.Topic, config: s.config(), set: s.properties}
	return nil
}

func (e *Engine) insertInto(s *session, c *change, st *ast.InsertInto) error {
	id := ""
	if lit, ok := st.With.Get("QUERY_ID").(*ast.StringLit); ok {
		id = strings.ToUpper(lit.Value)
		if _, dup := s.world.query(id); dup {
			return diagnostic.At(st.Pos, "Query ID '%s' already exists.", id)
		}
	} else {
		id = s.queryID("INSERTQUERY", "")
	}
	env := s.env()
	made, err := analyze.InsertInto(&env, st, id)
	if err := s.topicFailure(err, st.Text); err != nil {
		return err
	}
	target, ok := s.world.catalog.Source(made.Writes)
	if !ok {
		return diagnostic.At(st.Target.Pos, "Source `%s` does not exist.", made.Writes)
	}
	c.commandID = createID(target.Table, target.Name)
	c.warnings = made.Warnings
	c.message = "Created query with ID " + id
	if made.Topic != nil {
		c.topics = append(c.topics, *made.Topic)
	}
	c.query = &query{id: id, text: c.text, plan: made.Plan, reads: made.Reads, sink: made.Writes, topic: target.Topic, insert: true, config: s.config(), set: s.properties}
	return nil
}

func dropSource(s *session, c *change, st *ast.DropSource) error {
	name := st.Name.Name
	c.commandID = kindOf(st.Table) + "/" + name + "/drop"
	env := s.env()
	if st.DeleteTopic {
		// ksqlDB takes the clause off before it looks at the statement.
		exists := ""
		if st.IfExists {
			exists = "IF EXISTS "
		}
		c.text = fmt.Sprintf("DROP %s %s%s;", strings.ToUpper(kindOf(st.Table)), exists, quoteName(name))
		if _, ok := s.world.catalog.Source(name); !ok && !st.IfExists {
			return BadRequest("Could not find source to delete topic for: %s", st.Text)
		}
	}
	src, err := analyze.DropSource(&env, st)
	if err == nil && src != nil {
		err = s.world.droppable(name, st.Name.Pos)
	}
	if err != nil {
		return asError(err, c.text)
	}
	if src == nil {
		c.message = fmt.Sprintf("Source `%s` does not exist.", name)
		return nil
	}
	c.drop = name
	for _, q := range append(s.world.writers(name), s.world.readers(name)...) {
		if !slices.Contains(c.stop, q.id) {
			c.stop = append(c.stop, q.id)
		}
	}
	if st.DeleteTopic {
		c.deleteTopic = src.Topic
	}
	c.message = fmt.Sprintf("Source `%s` (topic: %s) was dropped.", name, src.Topic)
	return nil
}

// droppable says what a source can't be dropped before.
func (w *world) droppable(name string, at ast.Pos) error {
	if by := w.derivedFrom(name); len(by) > 0 {
		return diagnostic.At(at, "Cannot drop %[1]s.\nThe following streams and/or tables read from this source: [%[2]s].\nYou need to drop them before dropping %[1]s.", name, strings.Join(by, ", "))
	}
	inserts := func(queries []*query) (ids []string) {
		for _, q := range queries {
			if q.insert {
				ids = append(ids, q.id)
			}
		}
		return ids
	}
	reading, writing := inserts(w.readers(name)), inserts(w.writers(name))
	if len(reading)+len(writing) == 0 {
		return nil
	}
	return diagnostic.At(at, "Cannot drop %[1]s.\nThe following queries read from this source: [%[2]s].\nThe following queries write into this source: [%[3]s].\nYou need to terminate them before dropping %[1]s.",
		name, strings.Join(reading, ", "), strings.Join(writing, ", "))
}

// quoteName writes a name so that it reads as itself.
func quoteName(name string) string {
	if name != "" && strings.Trim(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") == "" && (name[0] < '0' || name[0] > '9') {
		return name
	}
	return "`" + strings.ReplaceAll(name, "`", "``") + "`"
}

func alterSource(s *session, c *change, st *ast.AlterSource) error {
	name := st.Name.Name
	env := s.env()
	altered, err := analyze.AlterSource(&env, st)
	if err != nil {
		return err
	}
	altered.SQL += "\n" + st.Text
	c.commandID = kindOf(st.Table) + "/" + name + "/alter"
	c.put = altered
	c.message = fmt.Sprintf("%s %s altered.", title(kindOf(st.Table)), name)
	return nil
}

func createType(s *session, c *change, st *ast.CreateType) error {
	name := st.Name.Name
	c.commandID = "type/" + name + "/create"
	env := s.env()
	t, exists, err := analyze.CreateType(&env, st)
	if err != nil {
		return err
	}
	if exists {
		c.message = name + " is already registered with type " + t.String()
		return nil
	}
	c.putType = &namedType{name, t}
	c.message = fmt.Sprintf("Registered custom type with name '%s' and SQL type %s", name, t.String())
	return nil
}

func dropType(s *session, c *change, st *ast.DropType) error {
	name := st.Name.Name
	c.commandID = "type/" + name + "/drop"
	env := s.env()
	found, err := analyze.DropType(&env, st)
	if err != nil {
		return err
	}
	if !found {
		c.message = fmt.Sprintf("Type '%s' does not exist", name)
		return nil
	}
	c.dropType = name
	c.message = fmt.Sprintf("Dropped type '%s'", name)
	return nil
}

// onQueries finds the queries of TERMINATE, PAUSE and RESUME.
func (c *change) onQueries(s *session, st ast.Statement, verb, id string, all bool) error {
	if all {
		c.commandID = verb + "/ALL/execute"
		for _, q := range s.world.allQueries() {
			c.pause = append(c.pause, q.id)
		}
		return nil
	}
	q, ok := s.world.query(id)
	if !ok {
		return diagnostic.At(st.Position(), "Unknown queryId: %s", id)
	}
	if verb == "terminate" && q.sink == "" {
		return diagnostic.At(st.Position(), "Cannot terminate query '%s' because it is linked to a source table.", id)
	}
	c.commandID = verb + "/" + q.id + "/execute"
	c.pause = []string{q.id}
	return nil
}
