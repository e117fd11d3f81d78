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
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Kafka is the cluster behind a server: what its REST API can't tell or do is
// asked and done here. Offsets of consumer groups, above all.
type Kafka struct {
	cl      *kgo.Client
	adm     *kadm.Client
	brokers []string
}

// ConnectKafka connects, or says within seconds that no broker answers.
func ConnectKafka(ctx context.Context, brokers []string) (*Kafka, error) {
	cl, err := connect(ctx, brokers, kgo.MetadataMinAge(50*time.Millisecond)) // topics come and go here
	if err != nil {
		return nil, err
	}
	return &Kafka{cl: cl, adm: kadm.NewClient(cl), brokers: brokers}, nil
}

// Close closes the connections.
func (k *Kafka) Close() { k.cl.Close() }

// offsets are positions by topic and partition. As JSON they are part of the
// ledger's record of what is under way.
type offsets map[string]map[int32]int64

func (o offsets) set(topic string, partition int32, at int64) {
	if o[topic] == nil {
		o[topic] = map[int32]int64{}
	}
	o[topic][partition] = at
}

func (o offsets) equal(other offsets) bool {
	return maps.EqualFunc(o, other, func(a, b map[int32]int64) bool { return maps.Equal(a, b) })
}

// only keeps these topics.
func (o offsets) only(topics ...string) offsets {
	out := offsets{}
	for _, t := range topics {
		if p, ok := o[t]; ok {
			out[t] = maps.Clone(p)
		}
	}
	return out
}

// partitions are the numbers of partitions of all topics there are.
func (k *Kafka) partitions(ctx context.Context) (map[string]int, error) {
	req := kmsg.NewPtrMetadataRequest() // asked directly: the client would answer from what it knew a moment ago
	req.Topics = nil
	resp, err := req.RequestWith(ctx, k.cl)
	if err != nil {
		return nil, fmt.Errorf("listing the topics of %s: %w", strings.Join(k.brokers, ","), err)
	}
	out := map[string]int{}
	for _, t := range resp.Topics {
		if t.ErrorCode == 0 && t.Topic != nil {
			out[*t.Topic] = len(t.Partitions)
		}
	}
	return out, nil
}

// committed are the offsets that a group has committed; none for a group that
// doesn't exist.
func (k *Kafka) committed(ctx context.Context, group string) (offsets, error) {
	out := offsets{}
	resp, err := k.adm.FetchOffsets(ctx, group)
	if errors.Is(err, kerr.GroupIDNotFound) {
		return out, nil
	}
	if err != nil {
		return nil, fmt.Errorf("committed offsets of %s: %w", group, err)
	}
	for topic, ps := range resp {
		for p, o := range ps {
			if o.Err != nil && !errors.Is(o.Err, kerr.GroupIDNotFound) {
				return nil, fmt.Errorf("committed offset of %s in %s-%d: %w", group, topic, p, o.Err)
			}
			if o.Err == nil && o.At >= 0 {
				out.set(topic, p, o.At)
			}
		}
	}
	return out, nil
}

type lister func(context.Context, ...string) (kadm.ListedOffsets, error)

func (k *Kafka) list(ctx context.Context, what lister, topics []string) (offsets, error) {
	out := offsets{}
	if len(topics) == 0 {
		return out, nil
	}
	o, err := what(ctx, topics...)
	if err != nil {
		return nil, fmt.Errorf("offsets of %s: %w", strings.Join(topics, ", "), err)
	}
	var failed error
	o.Each(func(l kadm.ListedOffset) {
		switch {
		case errors.Is(l.Err, kerr.UnknownTopicOrPartition):
		case l.Err != nil:
			failed = fmt.Errorf("offsets of %s-%d: %w", l.Topic, l.Partition, l.Err)
		default:
			out.set(l.Topic, l.Partition, l.Offset)
		}
	})
	return out, failed
}

// starts are the first offsets of topics; ends those behind the last record that
// is decided (committed or aborted).
func (k *Kafka) starts(ctx context.Context, topics ...string) (offsets, error) {
	return k.list(ctx, k.adm.ListStartOffsets, topics)
}

func (k *Kafka) ends(ctx context.Context, topics ...string) (offsets, error) {
	return k.list(ctx, k.adm.ListCommittedOffsets, topics)
}

// records is how many offsets a topic holds: a bound of its records.
func (k *Kafka) records(ctx context.Context, topics ...string) (map[string]int64, error) {
	starts, err := k.starts(ctx, topics...)
	if err != nil {
		return nil, err
	}
	ends, err := k.ends(ctx, topics...)
	if err != nil {
		return nil, err
	}
	out := map[string]int64{}
	for topic, ps := range ends {
		for p, end := range ps {
			out[topic] += end - starts[topic][p]
		}
	}
	return out, nil
}

// pending counts the records from a position up to another one, as a reader of
// committed records sees them: markers and aborted records don't count.
func (k *Kafka) pending(ctx context.Context, from, to offsets) (int64, error) {
	at, left := map[string]map[int32]kgo.Offset{}, 0
	target := offsets{}
	for topic, ps := range to {
		for p, end := range ps {
			start := from[topic][p]
			if start >= end {
				continue
			}
			if at[topic] == nil {
				at[topic] = map[int32]kgo.Offset{}
			}
			at[topic][p] = kgo.NewOffset().At(start)
			target.set(topic, p, end)
			left++
		}
	}
	if left == 0 {
		return 0, nil
	}
	cl, err := connect(ctx, k.brokers, kgo.ConsumePartitions(at), kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.KeepControlRecords())
	if err != nil {
		return 0, err
	}
	defer cl.Close()
	n := int64(0)
	for left > 0 {
		poll, cancel := context.WithTimeout(ctx, quietEnd)
		fetches := cl.PollFetches(poll)
		quiet := poll.Err() != nil && ctx.Err() == nil
		cancel()
		if quiet {
			return n, nil // what is missing up to the end was compacted away
		}
		if err := fetches.Err0(); err != nil {
			return 0, err
		}
		var failed error
		fetches.EachError(func(t string, p int32, err error) { failed = fmt.Errorf("reading %s-%d: %w", t, p, err) })
		if failed != nil {
			return 0, failed
		}
		fetches.EachRecord(func(r *kgo.Record) {
			end, open := target[r.Topic][r.Partition]
			if !open {
				return
			}
			if r.Offset < end && !r.Attrs.IsControl() {
				n++
			}
			if r.Offset+1 >= end {
				delete(target[r.Topic], r.Partition)
				left--
			}
		})
	}
	return n, nil
}

// quietEnd is how long a topic's end may say nothing before it is taken to hold
// nothing more.
const quietEnd = 3 * time.Second

// seed commits offsets for a group that isn't running.
func (k *Kafka) seed(ctx context.Context, group string, at offsets) error {
	var out kadm.Offsets
	for topic, ps := range at {
		for p, o := range ps {
			out.Add(kadm.Offset{Topic: topic, Partition: p, At: o, LeaderEpoch: -1})
		}
	}
	resp, err := k.adm.CommitOffsets(ctx, group, out)
	if err == nil {
		err = resp.Error()
	}
	if err != nil {
		return fmt.Errorf("offsets of group %s can't be set: %w", group, err)
	}
	return nil
}

func (k *Kafka) deleteTopic(ctx context.Context, topic string) error {
	resp, err := k.adm.DeleteTopic(ctx, topic)
	if err == nil {
		err = resp.Err
	}
	if err != nil && !errors.Is(err, kerr.UnknownTopicOrPartition) {
		return fmt.Errorf("topic %s can't be deleted: %w", topic, err)
	}
	return nil
}

// configs of a topic that were set on it.
func (k *Kafka) configs(ctx context.Context, topic string) (map[string]string, error) {
	all, err := topicConfigs(ctx, k.adm, []string{topic})
	if err != nil {
		return nil, err
	}
	return all[topic], nil
}

// copied are the settings that a new version's topic takes from the old one's.
var copied = []string{"cleanup.policy", "retention.ms", "retention.bytes", "min.insync.replicas", "max.message.bytes", "compression.type"}

// likeTopic gives a topic the settings of another one.
func (k *Kafka) likeTopic(ctx context.Context, topic, model string) error {
	have, err := k.configs(ctx, topic)
	if err != nil {
		return err
	}
	want, err := k.configs(ctx, model)
	if err != nil {
		return err
	}
	var changes []kadm.AlterConfig
	for _, name := range copied {
		if v, ok := want[name]; ok && v != "" && !sameConfig(name, v, have[name]) {
			changes = append(changes, kadm.AlterConfig{Op: kadm.SetConfig, Name: name, Value: kadm.StringPtr(v)})
		}
	}
	if len(changes) == 0 {
		return nil
	}
	resp, err := k.adm.AlterTopicConfigs(ctx, changes, topic)
	if err != nil {
		return fmt.Errorf("topic %s can't be altered: %w", topic, err)
	}
	for _, r := range resp {
		if r.Err != nil {
			return fmt.Errorf("topic %s can't be altered: %w", topic, r.Err)
		}
	}
	return nil
}

// Reader is a consumer group that has read a topic.
type Reader struct {
	Group string `json:"group"`
	Topic string `json:"topic"`
	State string `json:"state"` // Empty, Stable, …
	// Behind is how many offsets of the topic it hasn't read.
	Behind int64 `json:"behind"`
}

// readers are the groups with offsets on a topic, those of this server's queries
// left out.
func (k *Kafka) readers(ctx context.Context, topic, serviceID string) ([]Reader, error) {
	groups, err := k.adm.ListGroups(ctx)
	if err != nil {
		return nil, fmt.Errorf("listing consumer groups: %w", err)
	}
	ends, err := k.ends(ctx, topic)
	if err != nil {
		return nil, err
	}
	var out []Reader
	for _, name := range slices.Sorted(maps.Keys(groups)) {
		if strings.HasPrefix(name, groupOf(serviceID, "")) || groups[name].ProtocolType != "consumer" && groups[name].ProtocolType != "" {
			continue
		}
		at, err := k.committed(ctx, name)
		if err != nil {
			continue // not ours to see
		}
		ps, reads := at[topic]
		if !reads {
			continue
		}
		r := Reader{Group: name, Topic: topic, State: groups[name].State}
		for p, end := range ends[topic] {
			r.Behind += max(0, end-ps[p])
		}
		out = append(out, r)
	}
	return out, nil
}

// groupOf is the consumer group of a query.
func groupOf(serviceID, queryID string) string {
	return "_confluent-ksql-" + serviceID + "query_" + queryID
}

// await calls try until it is done, fails or the context ends.
func await(ctx context.Context, every time.Duration, try func() (done bool, err error)) error {
	for {
		done, err := try()
		if done || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(every):
		}
	}
}
