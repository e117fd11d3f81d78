package topics

import (
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// Forever is the retention of a topic whose records don't expire.
const Forever time.Duration = -1

// Topic is a topic as topics.yaml describes it.
type Topic struct {
	Name string
	// Owner is the one writer: a service's program (orders) or its sidecar
	// (orders-sql).
	Owner string
	// Readers are those who may read it besides its owner; nil: every principal
	// of the file.
	Readers []string
	// Key and Value say for people what records hold.
	Key, Value string
	// Cleanup is delete, compact or compact,delete.
	Cleanup    string
	Retention  time.Duration // or Forever
	Partitions int
	// Replicas is 0 for the broker's default.
	Replicas int
	// Extra are further configs by Kafka's names.
	Extra map[string]string
	Line  int // in topics.yaml
}

// Config is the topic's configuration by Kafka's names.
func (t Topic) Config() map[string]string {
	out := map[string]string{"cleanup.policy": t.Cleanup, "retention.ms": "-1"}
	if t.Retention != Forever {
		out["retention.ms"] = strconv.FormatInt(t.Retention.Milliseconds(), 10)
	}
	for k, v := range t.Extra {
		out[k] = v
	}
	return out
}

type topicNode struct {
	Owner      string            `yaml:"owner"`
	Readers    []string          `yaml:"readers"`
	Key        string            `yaml:"key"`
	Value      string            `yaml:"value"`
	Cleanup    string            `yaml:"cleanup"`
	Retention  string            `yaml:"retention"`
	Partitions int               `yaml:"partitions"`
	Replicas   int               `yaml:"replicas"`
	Config     map[string]string `yaml:"config"`
}

// Load reads topics.yaml, in its order. The error names every mistake,
// with file and line.
func Load(path string) ([]Topic, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var root struct {
		Defaults yaml.Node `yaml:"defaults"`
		Topics   yaml.Node `yaml:"topics"`
	}
	if err := strict(text, &root); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	defaults := topicNode{Partitions: 1, Cleanup: "delete", Retention: "7d"}
	if err := strictNode(&root.Defaults, &defaults); err != nil {
		return nil, fmt.Errorf("%s: defaults: %w", path, err)
	}
	if root.Topics.Kind != yaml.MappingNode || len(root.Topics.Content) == 0 {
		return nil, fmt.Errorf("%s: no topics: give a mapping `topics:` of names to their settings", path)
	}
	var out []Topic
	var faults []string
	seen := map[string]bool{}
	for i := 0; i+1 < len(root.Topics.Content); i += 2 {
		name := root.Topics.Content[i]
		fault := func(format string, args ...any) {
			faults = append(faults, fmt.Sprintf("%s:%d: topic %s: %s", path, name.Line, name.Value, fmt.Sprintf(format, args...)))
		}
		node := defaults
		node.Owner, node.Key, node.Value, node.Readers = "", "", "", nil
		if err := strictNode(root.Topics.Content[i+1], &node); err != nil {
			fault("%v", err)
			continue
		}
		t := Topic{Name: name.Value, Owner: node.Owner, Readers: node.Readers, Key: node.Key, Value: node.Value, Cleanup: node.Cleanup,
			Partitions: node.Partitions, Replicas: node.Replicas, Extra: node.Config, Line: name.Line}
		if !topicName.MatchString(t.Name) {
			fault("a name has letters, digits, '.', '_' and '-', at most 249")
		}
		if seen[t.Name] {
			fault("is written twice")
		}
		seen[t.Name] = true
		if t.Owner == "" {
			fault("has no owner: name the one service that may write it")
		}
		for _, who := range append([]string{t.Owner}, t.Readers...) {
			if who != "" && !principalName.MatchString(who) {
				fault("%q is no service: a name has small letters, digits and '-'; a sidecar's ends in "+SQLSuffix, who)
			}
		}
		switch t.Cleanup {
		case "delete", "compact", "compact,delete":
		default:
			fault("cleanup %q: give delete, compact or compact,delete", t.Cleanup)
		}
		if t.Partitions < 1 {
			fault("%d partitions: give 1 or more", t.Partitions)
		}
		if t.Retention, err = retention(node.Retention); err != nil {
			fault("%v", err)
		}
		if t.Cleanup == "compact" {
			t.Retention = Forever // compaction alone removes records
		}
		out = append(out, t)
	}
	if len(faults) > 0 {
		return nil, fmt.Errorf("%s", strings.Join(faults, "\n"))
	}
	return out, nil
}

var (
	principalName = regexp.MustCompile(`^[a-z][a-z0-9-]*$`)
	topicName     = regexp.MustCompile(`^[A-Za-z0-9._-]{1,249}$`)
)

// retention reads 7d, 12h, 30m, or forever.
func retention(text string) (time.Duration, error) {
	if text == "forever" {
		return Forever, nil
	}
	bad := fmt.Errorf("retention %q: give days (7d), hours (12h) or forever", text)
	if days, ok := strings.CutSuffix(text, "d"); ok {
		n, err := strconv.Atoi(days)
		if err != nil || n < 1 {
			return 0, bad
		}
		return time.Duration(n) * 24 * time.Hour, nil
	}
	d, err := time.ParseDuration(text)
	if err != nil || d <= 0 {
		return 0, bad
	}
	return d, nil
}

// strict decodes YAML and refuses keys that nobody reads.
func strict(text []byte, out any) error {
	d := yaml.NewDecoder(strings.NewReader(string(text)))
	d.KnownFields(true)
	return d.Decode(out)
}

// strictNode is strict for a part of a document. An absent part changes nothing.
func strictNode(n *yaml.Node, out any) error {
	if n.Kind == 0 {
		return nil
	}
	text, err := yaml.Marshal(n)
	if err != nil {
		return err
	}
	return strict(text, out)
}
