package lint

import (
	"fmt"
	"slices"
	"strings"

	"github.com/sidestream/sidestream/sidecar/engine/ast"
	"github.com/sidestream/sidestream/sidecar/project"
)

// duration is a length of time as SQL has it.
func duration(ms int64) string {
	for _, u := range []struct {
		name string
		ms   int64
	}{{"DAYS", 86_400_000}, {"HOURS", 3_600_000}, {"MINUTES", 60_000}, {"SECONDS", 1000}} {
		if ms%u.ms == 0 {
			return fmt.Sprintf("%d %s", ms/u.ms, u.name)
		}
	}
	return fmt.Sprintf("%d MILLISECONDS", ms)
}

// with is the statement's WITH clause.
func with(st *project.Statement) ast.Properties {
	switch n := st.Node.(type) {
	case *ast.CreateSource:
		return n.With
	case *ast.CreateAs:
		return n.With
	}
	return nil
}

// at is the place of a property of the WITH clause, or of the source's name.
func at(st *project.Statement, property string) ast.Pos {
	for _, p := range with(st) {
		if p.Name == property {
			return p.Value.Position()
		}
	}
	switch n := st.Node.(type) {
	case *ast.CreateSource:
		return n.Name.Pos
	case *ast.CreateAs:
		return n.Name.Pos
	case *ast.InsertInto:
		return n.Target.Pos
	}
	return st.Node.Position()
}

func topicNotListed(c *check, st *project.Statement) {
	if c.project.Topics == nil || st.Source == nil {
		return
	}
	if _, ok := c.project.Topic(st.Source.Topic); ok {
		return
	}
	unnamed := ""
	if with(st).Get("KAFKA_TOPIC") == nil {
		unnamed = " (called so because no KAFKA_TOPIC is given)"
	}
	c.add(st, at(st, "KAFKA_TOPIC"), "The topic %s%s is not in topics.yaml.", st.Source.Topic, unnamed)
}

func notTheOwner(c *check, st *project.Statement) {
	if st.Target == nil {
		return
	}
	t, ok := c.project.Topic(st.Target.Topic)
	if !ok || t.Owner == st.Service.Owner() {
		return
	}
	c.add(st, at(st, "KAFKA_TOPIC"), "The topic %s belongs to %s (topics.yaml:%d); %s may not write it.", t.Name, t.Owner, t.Line, st.Service.Owner())
}

func partitionsDiffer(c *check, st *project.Statement) {
	if st.Mistake == nil || !project.OtherPartitions(st.Mistake) {
		return
	}
	text := st.Mistake.Message
	if i := strings.Index(text, "A Kafka topic"); i > 0 {
		text = text[i:]
	}
	c.add(st, at(st, "PARTITIONS"), "%s", text)
}

func notAReader(c *check, st *project.Statement) {
	n, ok := st.Node.(*ast.CreateSource)
	if !ok || st.Source == nil {
		return
	}
	t, ok := c.project.Topic(st.Source.Topic)
	who := st.Service.Owner()
	if !ok || t.Readers == nil || t.Owner == who || slices.Contains(t.Readers, who) || onlyWritten(st, n) {
		return
	}
	c.add(st, at(st, "KAFKA_TOPIC"), "The topic %s doesn't name %s among its readers (topics.yaml:%d).", t.Name, who, t.Line)
}

// onlyWritten tells whether a declared source is but the target of INSERT INTO.
func onlyWritten(st *project.Statement, n *ast.CreateSource) bool {
	written := false
	for _, other := range st.Service.Statements {
		if slices.Contains(other.Reads, n.Name.Name) {
			return false
		}
		if _, ok := other.Node.(*ast.InsertInto); ok && other.Name == n.Name.Name {
			written = true
		}
	}
	return written
}

func noPartitions(c *check, st *project.Statement) {
	n, ok := st.Node.(*ast.CreateSource)
	if !ok || c.project.Topics != nil || n.With.Get("PARTITIONS") != nil {
		return
	}
	c.add(st, at(st, "KAFKA_TOPIC"), "Nothing makes the topic: there is no topics.yaml, and the statement has no PARTITIONS.")
}
