package engine

import (
	"context"
	"errors"
	"fmt"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/sidestream/sidestream/sidecar/engine/analyze"
)

// makeTopic makes a topic unless it is there.
func makeTopic(ctx context.Context, adm *kadm.Client, kafka *kgo.Client, name string, partitions int32, config map[string]*string) error {
	resp, err := adm.CreateTopic(ctx, partitions, -1, config, name)
	if err == nil {
		err = resp.Err
	}
	if err != nil && !errors.Is(err, kerr.TopicAlreadyExists) {
		return fmt.Errorf("make topic %s: %w", name, err)
	}
	// A broker makes a topic known only some time after it has answered.
	for {
		offsets, err := adm.ListEndOffsets(ctx, name)
		if err == nil {
			err = offsets.Error()
		}
		if !errors.Is(err, kerr.UnknownTopicOrPartition) && !errors.Is(err, kerr.LeaderNotAvailable) {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("topic %s was made, but can't be used yet: %w", name, err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// topicView answers what topics there are during one request: each is asked for
// once, and those that statements before made are known too. In a sandbox nothing
// is made in truth.
type topicView struct {
	ctx   context.Context
	kafka *kgo.Client
	known map[string]int // partitions; 0 for none
	// retention of the topics that the request makes.
	retention map[string]string
	failed    error
}

func newTopicView(ctx context.Context, kafka *kgo.Client) *topicView {
	return &topicView{ctx: ctx, kafka: kafka, known: map[string]int{}, retention: map[string]string{}}
}

// describeTopic asks Kafka for a topic; nil when there is none. kadm would answer
// from a cache, which doesn't know what was made a moment ago.
func describeTopic(ctx context.Context, kafka *kgo.Client, topic string) (*kmsg.MetadataResponseTopic, error) {
	topics, err := describeTopics(ctx, kafka, []string{topic})
	if err != nil || len(topics) == 0 {
		return nil, err
	}
	return &topics[0], nil
}

// describeTopics asks Kafka for topics, or for all when names is nil.
func describeTopics(ctx context.Context, kafka *kgo.Client, names []string) ([]kmsg.MetadataResponseTopic, error) {
	req := kmsg.NewPtrMetadataRequest()
	for _, name := range names {
		t := kmsg.NewMetadataRequestTopic()
		t.Topic = kmsg.StringPtr(name)
		req.Topics = append(req.Topics, t)
	}
	resp, err := req.RequestWith(ctx, kafka)
	if err != nil {
		return nil, err
	}
	var out []kmsg.MetadataResponseTopic
	for _, t := range resp.Topics {
		if t.ErrorCode == 0 && t.Topic != nil {
			out = append(out, t)
		}
	}
	return out, nil
}

func (v *topicView) partitions(topic string) (int, bool) {
	n, ok := v.known[topic]
	if !ok {
		if !validTopic(topic) {
			v.failed = fmt.Errorf("Failed to check if exists for topic: %s\nCaused by: The request attempted to perform an operation on an invalid topic.", topic)
			return 0, false
		}
		t, err := describeTopic(v.ctx, v.kafka, topic)
		if err != nil {
			v.failed = fmt.Errorf("Failed to check if exists for topic: %s\nCaused by: %w", topic, err)
			return 0, false
		}
		if t != nil {
			n = len(t.Partitions)
		}
		v.known[topic] = n
	}
	return n, n > 0
}

// validTopic tells whether Kafka takes the name; the embedded broker takes more.
func validTopic(name string) bool {
	if name == "" || name == "." || name == ".." || len(name) > 249 {
		return false
	}
	return strings.Trim(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") == ""
}

// ensureTopic makes the topic that a statement needs, or checks that the one that
// is there will do.
func (e *Engine) ensureTopic(ctx context.Context, v *topicView, spec *analyze.TopicSpec, statement string, dryRun bool) error {
	if spec == nil {
		return nil
	}
	have, there := v.partitions(spec.Name)
	if v.failed != nil {
		return about(CodeServerError, statement, "%v", v.failed)
	}
	if there {
		kept := spec.Config["retention.ms"]
		if spec.Partitions > 0 && have != spec.Partitions || spec.Strict && kept != e.retentionOf(ctx, v, spec.Name) {
			return about(CodeServerError, statement, "A Kafka topic with the name '%s' already exists, with different partition/replica/retention configuration than required. KSQL expects %d partitions (topic has %d), %d replication factor (topic has %d), and %s retention (topic has %s).",
				spec.Name, spec.Partitions, have, max(spec.Replicas, 1), e.replicas(ctx, spec.Name), retention(kept), e.retentionOf(ctx, v, spec.Name))
		}
		return nil
	}
	if spec.Partitions <= 0 {
		return about(CodeServerError, statement, "Topic '%s' does not exist.", spec.Name)
	}
	v.known[spec.Name], v.retention[spec.Name] = spec.Partitions, retention(spec.Config["retention.ms"])
	if dryRun {
		return nil
	}
	config := map[string]*string{}
	for k, val := range spec.Config {
		config[k] = kadm.StringPtr(val)
	}
	replicas := int16(-1)
	if spec.Replicas > 0 {
		replicas = int16(spec.Replicas)
	}
	resp, err := e.adm.CreateTopic(ctx, int32(spec.Partitions), replicas, config, spec.Name)
	if err == nil {
		err = resp.Err
	}
	if err != nil && !errors.Is(err, kerr.TopicAlreadyExists) {
		delete(v.known, spec.Name)
		return about(CodeServerError, statement, "Failed to guarantee existence of topic %s\nCaused by: %v", spec.Name, err)
	}
	if err := awaitTopic(ctx, e.kafka, spec.Name, spec.Partitions); err != nil {
		return about(CodeServerError, statement, "Failed to guarantee existence of topic %s\nCaused by: %v", spec.Name, err)
	}
	return nil
}

// awaitTopic waits until the broker knows a topic that was made: Kafka answers
// before its own metadata have it.
func awaitTopic(ctx context.Context, kafka *kgo.Client, topic string, partitions int) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	for wait := time.Millisecond; ; wait = min(2*wait, 100*time.Millisecond) {
		t, err := describeTopic(ctx, kafka, topic)
		if err == nil && t != nil && len(t.Partitions) >= partitions {
			led := true
			for _, p := range t.Partitions {
				led = led && p.ErrorCode == 0
			}
			if led {
				return nil
			}
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return errors.Join(fmt.Errorf("topic %s was made, but doesn't show after 10 s", topic), err)
		}
	}
}

// retention is a retention.ms as the message shows it.
func retention(ms string) string {
	if ms == "" {
		return "604800000"
	}
	return ms
}

func (e *Engine) retentionOf(ctx context.Context, v *topicView, topic string) string {
	if ms, ok := v.retention[topic]; ok {
		return ms
	}
	return retention(e.topicConfig(ctx, topic, "retention.ms"))
}

// replicas is the replication factor of a topic, 1 where it can't be told.
func (e *Engine) replicas(ctx context.Context, topic string) int {
	t, err := describeTopic(ctx, e.kafka, topic)
	if err != nil || t == nil || len(t.Partitions) == 0 {
		return 1
	}
	return max(len(t.Partitions[0].Replicas), 1)
}

func (e *Engine) topicConfig(ctx context.Context, topic, name string) string {
	rs, err := e.adm.DescribeTopicConfigs(ctx, topic)
	if err != nil {
		return ""
	}
	for _, r := range rs {
		for _, c := range r.Configs {
			if c.Key == name {
				return c.MaybeValue()
			}
		}
	}
	return ""
}

// internalTopic tells whether SHOW TOPICS leaves the topic out.
func internalTopic(name string) bool {
	return strings.HasPrefix(name, "_")
}

// showTopics lists the topics of the cluster.
func (e *Engine) showTopics(ctx context.Context, all, extended bool) ([]TopicInfo, error) {
	topics, err := describeTopics(ctx, e.kafka, nil)
	if err != nil {
		return nil, err
	}
	var consumers map[string][2]int
	if extended {
		if consumers, err = e.consumerCounts(ctx); err != nil {
			return nil, err
		}
	}
	out := []TopicInfo{}
	for i := range topics {
		name := *topics[i].Topic
		if !all && internalTopic(name) || strings.HasPrefix(name, "__") {
			continue
		}
		info := TopicInfo{Name: name, Replicas: make([]int, len(topics[i].Partitions))}
		for _, p := range topics[i].Partitions {
			if int(p.Partition) < len(info.Replicas) {
				info.Replicas[p.Partition] = len(p.Replicas)
			}
		}
		if extended {
			c := consumers[name]
			info.Consumers, info.GroupCount = &c[0], &c[1]
		}
		out = append(out, info)
	}
	sort.Slice(out, func(i, j int) bool { return out[i].Name < out[j].Name })
	return out, nil
}

// consumerCounts counts consumers and groups by topic. A query's group has no
// members on Kafka here, since one process runs all partitions: it counts as one
// consumer a partition that it reads.
func (e *Engine) consumerCounts(ctx context.Context) (map[string][2]int, error) {
	out := map[string][2]int{}
	lags, err := e.adm.Lag(ctx)
	if err != nil {
		return nil, err
	}
	for _, g := range lags {
		for topic, parts := range g.Lag {
			members := map[string]bool{}
			for p, l := range parts {
				if l.Member != nil {
					members[l.Member.MemberID] = true
				} else if l.Commit.At >= 0 {
					members[strconv.Itoa(int(p))] = true
				}
			}
			if len(members) > 0 {
				c := out[topic]
				out[topic] = [2]int{c[0] + len(members), c[1] + 1}
			}
		}
	}
	return out, nil
}
