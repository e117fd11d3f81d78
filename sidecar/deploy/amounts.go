package deploy

import (
	"context"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/sidestream/sidestream/sidecar/engine/ast"
	"github.com/sidestream/sidestream/sidecar/manifest"
)

// topicAdmin forbids what is the topic's and not the statement's: partitions,
// replicas, retention. A server answers such a statement with an error of its
// own (500), after having begun.
func (p *planner) topicAdmin(ctx context.Context, it *item) error {
	switch it.step.Class {
	case InPlace, Moved, RebuildNeeded:
	default:
		return nil
	}
	if it.stmt.Kind == Insert || p.topics == nil || it.topic == "" || it.before != nil && it.before.source != nil && sinkTopic(it.stmt) != it.before.source.Topic {
		return nil
	}
	for _, name := range []string{"PARTITIONS", "RETENTION_MS"} {
		want, ok := it.stmt.properties().Get(name).(*ast.IntLit)
		if !ok {
			continue
		}
		have := ""
		switch name {
		case "PARTITIONS":
			have = strconv.Itoa(p.topics[it.topic])
		case "RETENTION_MS":
			cfg, err := p.ledger.kafka.configs(ctx, it.topic)
			if err != nil {
				return err
			}
			have = cfg["retention.ms"]
		}
		if have != strconv.FormatInt(want.Value, 10) {
			it.impact = none
			it.step.Class, it.step.Reason = Forbidden, fmt.Sprintf("%s is %d, and topic %s has %s", name, want.Value, it.topic, have)
			it.step.Do = "that is the topic's: change topics.yaml, or give the new version a topic of its own (KAFKA_TOPIC)"
			it.step.Allowed = false
			return nil
		}
	}
	return nil
}

// amounts counts what rebuilds read again, and finds who reads old topics.
func (p *planner) amounts(ctx context.Context) error {
	if p.ledger == nil {
		return nil
	}
	k := p.ledger.kafka
	for _, it := range p.items {
		if it.step.Class != RebuildNeeded {
			continue
		}
		if it.now != nil && it.now.plan != nil {
			var read []string
			for _, t := range topicsRead(it.now.plan) {
				read = append(read, p.physical(t))
			}
			amounts, err := k.records(ctx, p.present(read)...)
			if err != nil {
				return err
			}
			it.step.Replays = sortedAmounts(amounts)
		}
		if it.queryID != "" {
			prefix := groupOf(p.server.info.ServiceID, it.queryID) + "-"
			var state []string
			for name := range p.topics {
				if strings.HasPrefix(name, prefix) && strings.HasSuffix(name, "-changelog") {
					state = append(state, name)
				}
			}
			amounts, err := k.records(ctx, state...)
			if err != nil {
				return err
			}
			it.step.State = sortedAmounts(amounts)
		}
		if it.step.NewTopic != "" && p.topics[it.topic] > 0 {
			var err error
			if it.step.Readers, err = k.readers(ctx, it.topic, p.server.info.ServiceID); err != nil {
				it.step.Notes = append(it.step.Notes, "who reads the old topic isn't known: "+err.Error())
			}
			it.step.Tell = p.folder.tell(sinkTopic(it.old), it.old.Name)
		}
	}
	return nil
}

// physical is the topic that a statement's topic has become.
func (p *planner) physical(topic string) string {
	for _, it := range p.items {
		if it.entry != nil && it.entry.Topic != "" && it.before != nil && it.before.source != nil && it.before.source.Topic == topic {
			return it.entry.Topic
		}
	}
	return topic
}

func (p *planner) present(names []string) []string {
	return slices.DeleteFunc(slices.Clone(names), func(t string) bool { return p.topics[t] == 0 })
}

func sortedAmounts(m map[string]int64) []Amount {
	var out []Amount
	for _, t := range slices.Sorted(maps.Keys(m)) {
		out = append(out, Amount{t, m[t]})
	}
	return out
}

// tell names who else, by what is checked in, reads a topic or queries a table of
// a folder: programs by services.yaml, and the SQL of other services. They know
// nothing of a new version until somebody tells them.
func (f *Folder) tell(topic, object string) []string {
	abs, err := filepath.Abs(f.Dir)
	if err != nil {
		return nil
	}
	var out []string
	root := filepath.Dir(filepath.Dir(abs))
	if m, err := manifest.Load(filepath.Join(root, "services", "services.yaml")); err == nil {
		for _, s := range m.Services {
			if slices.Contains(s.Reads, topic) {
				out = append(out, fmt.Sprintf("program %s reads topic %s", s.Name, topic))
			}
			if filepath.Base(s.SQL) == f.Service && slices.ContainsFunc(s.Views, func(v string) bool { return strings.EqualFold(v, object) }) {
				out = append(out, fmt.Sprintf("program %s queries %s", s.Name, object))
			}
		}
	}
	others, err := filepath.Glob(filepath.Join(filepath.Dir(abs), "*"))
	if err != nil {
		return out
	}
	for _, dir := range others {
		if dir == abs {
			continue
		}
		vars, err := Variables(dir, nil)
		if err != nil {
			continue
		}
		other, err := LoadFolder(dir, vars)
		if err != nil {
			continue // not a folder of SQL, or not in order: that is for its own plan
		}
		for _, s := range other.Statements {
			if s.query() == nil && s.Kind != Type && sinkTopic(s) == topic {
				out = append(out, fmt.Sprintf("%s of service %s reads topic %s", s.Name, other.Service, topic))
			}
		}
	}
	return out
}
