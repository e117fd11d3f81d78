package deploy

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/sidestream/sidestream/sidecar/kafkaenv"
)

// TopicState is what a topic of topics.yaml is on the broker.
type TopicState struct {
	Name string `json:"name"`
	// State is created, missing, same or different.
	State string `json:"state"`
	// Differences, a sentence each.
	Differences []string `json:"differences,omitempty"`
}

// DifferentTopics is the error of ApplyTopics and CheckTopics when what is there
// isn't what topics.yaml says.
type DifferentTopics []TopicState

// Error lists every difference.
func (d DifferentTopics) Error() string {
	var b strings.Builder
	b.WriteString("topics aren't as topics.yaml says:")
	for _, t := range d {
		for _, text := range t.Differences {
			fmt.Fprintf(&b, "\n  %s: %s", t.Name, text)
		}
		if t.State == "missing" {
			fmt.Fprintf(&b, "\n  %s: is missing", t.Name)
		}
	}
	return b.String()
}

// ApplyTopics makes the topics that are missing and compares the others. With
// alter, configs that differ are changed; partitions and replicas never are,
// since keys would move. What still differs is the error, a DifferentTopics.
func ApplyTopics(ctx context.Context, brokers []string, topics []Topic, alter bool) ([]TopicState, error) {
	return topicsDo(ctx, brokers, topics, true, alter)
}

// CheckTopics compares and changes nothing.
func CheckTopics(ctx context.Context, brokers []string, topics []Topic) ([]TopicState, error) {
	return topicsDo(ctx, brokers, topics, false, false)
}

func topicsDo(ctx context.Context, brokers []string, topics []Topic, create, alter bool) ([]TopicState, error) {
	cl, err := connect(ctx, brokers)
	if err != nil {
		return nil, err
	}
	defer cl.Close()
	adm := kadm.NewClient(cl)
	there, err := adm.ListTopics(ctx)
	if err != nil {
		return nil, fmt.Errorf("listing the topics of %s: %w", strings.Join(brokers, ","), err)
	}
	var out []TopicState
	var different DifferentTopics
	var existing []string
	for _, t := range topics {
		if there.Has(t.Name) {
			existing = append(existing, t.Name)
		}
	}
	configs, err := topicConfigs(ctx, adm, existing)
	if err != nil {
		return nil, err
	}
	for _, t := range topics {
		s := TopicState{Name: t.Name, State: "same"}
		switch {
		case !there.Has(t.Name) && create:
			if err := createTopic(ctx, adm, t); err != nil {
				return out, err
			}
			s.State = "created"
		case !there.Has(t.Name):
			s.State = "missing"
			different = append(different, s)
		default:
			if s.Differences, err = compareTopic(ctx, adm, t, there[t.Name], configs[t.Name], alter); err != nil {
				return out, err
			}
			if len(s.Differences) > 0 {
				s.State = "different"
				different = append(different, s)
			}
		}
		out = append(out, s)
	}
	if err := awaitTopics(ctx, cl, out); err != nil {
		return out, err
	}
	if len(different) > 0 {
		return out, different
	}
	return out, nil
}

// awaitTopics waits until the topics that were made can be used: a broker makes a
// topic known only some time after it has answered.
func awaitTopics(ctx context.Context, cl *kgo.Client, states []TopicState) error {
	req := kmsg.NewPtrMetadataRequest()
	for _, s := range states {
		if s.State == "created" {
			t := kmsg.NewMetadataRequestTopic()
			t.Topic = kmsg.StringPtr(s.Name)
			req.Topics = append(req.Topics, t)
		}
	}
	if len(req.Topics) == 0 {
		return nil
	}
	for {
		resp, err := req.RequestWith(ctx, cl)
		if err != nil {
			return fmt.Errorf("looking at the new topics: %w", err)
		}
		missing := ""
		for _, t := range resp.Topics {
			led := !slices.ContainsFunc(t.Partitions, func(p kmsg.MetadataResponseTopicPartition) bool { return p.Leader < 0 || p.ErrorCode != 0 })
			if t.ErrorCode != 0 || len(t.Partitions) == 0 || !led {
				missing = *t.Topic
			}
		}
		if missing == "" {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("topic %s was made, but has no leader yet: %w", missing, ctx.Err())
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func createTopic(ctx context.Context, adm *kadm.Client, t Topic) error {
	cfg := map[string]*string{}
	for k, v := range t.Config() {
		cfg[k] = kadm.StringPtr(v)
	}
	replicas := int16(-1)
	if t.Replicas > 0 {
		replicas = int16(t.Replicas)
	}
	resp, err := adm.CreateTopics(ctx, int32(t.Partitions), replicas, cfg, t.Name)
	if err != nil {
		return fmt.Errorf("topic %s can't be made: %w", t.Name, err)
	}
	r := resp[t.Name]
	if r.Err == nil {
		return nil
	}
	if r.ErrMessage != "" {
		return fmt.Errorf("topic %s can't be made: %s", t.Name, r.ErrMessage)
	}
	return fmt.Errorf("topic %s can't be made: %w", t.Name, r.Err)
}

func compareTopic(ctx context.Context, adm *kadm.Client, t Topic, detail kadm.TopicDetail, have map[string]string, alter bool) ([]string, error) {
	var out []string
	if n := len(detail.Partitions); n != t.Partitions {
		out = append(out, fmt.Sprintf("has %d partitions instead of %d (keys would move: make a new topic)", n, t.Partitions))
	}
	if n := detail.Partitions.NumReplicas(); t.Replicas > 0 && n != t.Replicas {
		out = append(out, fmt.Sprintf("has %d replicas instead of %d", n, t.Replicas))
	}
	want := t.Config()
	var changes []kadm.AlterConfig
	for _, name := range slices.Sorted(maps.Keys(want)) {
		if sameConfig(name, want[name], have[name]) {
			continue
		}
		if alter {
			changes = append(changes, kadm.AlterConfig{Op: kadm.SetConfig, Name: name, Value: kadm.StringPtr(want[name])})
			continue
		}
		out = append(out, fmt.Sprintf("%s is %q instead of %q (--alter changes it)", name, have[name], want[name]))
	}
	if len(changes) == 0 {
		return out, nil
	}
	resp, err := adm.AlterTopicConfigs(ctx, changes, t.Name)
	if err != nil {
		return out, fmt.Errorf("topic %s can't be altered: %w", t.Name, err)
	}
	for _, r := range resp {
		if r.Err != nil {
			return out, fmt.Errorf("topic %s can't be altered: %w", t.Name, r.Err)
		}
	}
	return out, nil
}

// sameConfig compares values; lists in any order.
func sameConfig(name, want, have string) bool {
	if name != "cleanup.policy" {
		return want == have
	}
	a, b := strings.Split(want, ","), strings.Split(have, ",")
	for i := range a {
		a[i] = strings.TrimSpace(a[i])
	}
	for i := range b {
		b[i] = strings.TrimSpace(b[i])
	}
	slices.Sort(a)
	slices.Sort(b)
	return slices.Equal(a, b)
}

// topicConfigs is the effective configuration of topics.
func topicConfigs(ctx context.Context, adm *kadm.Client, topics []string) (map[string]map[string]string, error) {
	out := map[string]map[string]string{}
	if len(topics) == 0 {
		return out, nil
	}
	described, err := adm.DescribeTopicConfigs(ctx, topics...)
	if err != nil {
		return nil, fmt.Errorf("describing topics: %w", err)
	}
	for _, d := range described {
		if d.Err != nil {
			return nil, fmt.Errorf("describing topic %s: %w", d.Name, d.Err)
		}
		out[d.Name] = map[string]string{}
		for _, c := range d.Configs {
			if old, ok := out[d.Name][c.Key]; !ok || old == "" || c.Source.String() == "DYNAMIC_TOPIC_CONFIG" {
				out[d.Name][c.Key] = c.MaybeValue()
			}
		}
	}
	return out, nil
}

// connect opens a client and finds out within seconds whether there is a broker.
func connect(ctx context.Context, brokers []string, opts ...kgo.Opt) (*kgo.Client, error) {
	if len(brokers) == 0 {
		return nil, errors.New("no broker's address is given (KAFKA_BOOTSTRAP_SERVERS, --brokers)")
	}
	closed, err := kafkaenv.Options()
	if err != nil {
		return nil, err
	}
	cl, err := kgo.NewClient(append(append(opts, closed...), kgo.SeedBrokers(brokers...))...)
	if err != nil {
		return nil, fmt.Errorf("brokers %s: %w", strings.Join(brokers, ","), err)
	}
	ping, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	if err := cl.Ping(ping); err != nil {
		cl.Close()
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, fmt.Errorf("no Kafka broker answers at %s (is it up? `sidestream broker` starts an embedded one): %w", strings.Join(brokers, ","), err)
	}
	return cl, nil
}
