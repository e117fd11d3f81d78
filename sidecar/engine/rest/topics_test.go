package rest_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/sidestream/sidestream/sidecar/engine"
)

// byHand uses a record's partition where the scenario gives one.
type byHand struct{ kgo.Partitioner }

func (b byHand) ForTopic(topic string) kgo.TopicPartitioner {
	return byHandTopic{b.Partitioner.ForTopic(topic)}
}

type byHandTopic struct{ kgo.TopicPartitioner }

func (b byHandTopic) Partition(r *kgo.Record, n int) int {
	if p, ok := r.Context.Value(partitionKey{}).(int32); ok {
		return int(p)
	}
	return b.TopicPartitioner.Partition(r, n)
}

type partitionKey struct{}

var hexKey = regexp.MustCompile(`^(?:[0-9a-f]{8}|[0-9a-f]{16})$`)

// produce writes recorded input, and waits until the queries have taken it.
func (r *replay) produce(records []produced) {
	r.settle()
	for _, p := range records {
		rec := &kgo.Record{Topic: p.Topic, Timestamp: time.UnixMilli(p.Timestamp), Context: context.Background()}
		if p.Key != nil {
			rec.Key = []byte(*p.Key)
			if b, err := hex.DecodeString(*p.Key); err == nil && r.binary[p.Topic] {
				rec.Key = b
			}
		}
		if p.Value != nil {
			rec.Value = []byte(*p.Value)
		}
		if p.Partition != nil {
			rec.Context = context.WithValue(rec.Context, partitionKey{}, *p.Partition)
		}
		for _, h := range p.Headers {
			rec.Headers = append(rec.Headers, kgo.RecordHeader{Key: h[0], Value: []byte(h[1])})
		}
		if p.Timestamp == 0 {
			rec.Timestamp = time.Now()
		}
		if p.Key == nil && r.compacted(p.Topic) {
			continue // Kafka refused it; the embedded broker wouldn't
		}
		if err := r.client.ProduceSync(context.Background(), rec).FirstErr(); err != nil {
			r.t.Logf("the recorded input of %s can't be written: %v", p.Topic, err)
		}
	}
	r.settle()
}

func (r *replay) compacted(topic string) bool {
	configs, err := r.admin.DescribeTopicConfigs(context.Background(), topic)
	if err != nil || len(configs) == 0 {
		return false
	}
	for _, c := range configs[0].Configs {
		if c.Key == "cleanup.policy" {
			return strings.Contains(c.MaybeValue(), "compact")
		}
	}
	return false
}

// settle waits until every query runs and has committed all that is on its topics.
func (r *replay) settle() {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	quiet := 0
	var last []engine.QueryMetrics
	for quiet < 3 {
		queries := r.server.engine.Metrics()
		running := !slices.ContainsFunc(queries, func(q engine.QueryMetrics) bool { return q.State == "REBALANCING" })
		if running && r.drained(ctx) && slices.Equal(queries, last) {
			quiet++
		} else {
			quiet = 0
		}
		last = queries
		select {
		case <-time.After(8 * time.Millisecond):
		case <-ctx.Done():
			r.t.Logf("the queries don't come to rest: %+v", queries)
			return
		}
	}
}

// drained tells whether no query has anything left to read. What follows the last
// record of a partition is the mark of its transaction.
func (r *replay) drained(ctx context.Context) bool {
	lags, err := r.admin.Lag(ctx)
	if err != nil {
		return false
	}
	for _, g := range lags {
		for _, topic := range g.Lag {
			for _, p := range topic {
				if p.Err == nil && p.Commit.At >= 0 && p.Lag > 1 {
					return false
				}
			}
		}
	}
	return true
}

// topic compares the records of a topic.
func (r *replay) topic(want *recordedTopic) {
	if strings.HasPrefix(want.Topic, "_confluent") || strings.HasSuffix(want.Topic, "ksql_processing_log") {
		return // the engine's own form
	}
	r.compared++
	r.settle()
	before := len(r.differences)
	var config topicConfig
	if json.Unmarshal(want.Config, &config) == nil && config.Partitions > 0 {
		r.checkConfig(want.Topic, config)
	}
	if len(r.differences) > before {
		return
	}
	got, err := r.read(want.Topic)
	if err != nil {
		r.differ("topic "+want.Topic, "%v", err)
		return
	}
	var records []recorded
	dec := json.NewDecoder(bytes.NewReader(want.Records))
	dec.UseNumber()
	if err := dec.Decode(&records); err != nil {
		r.t.Logf("topic %s: what was recorded isn't records: %.100s", want.Topic, want.Records)
		return
	}
	if d := compareRecords(got, records, r.coalesced[want.Topic]); d != "" {
		r.differ("topic "+want.Topic, "%s", d)
	}
}

func (r *replay) checkConfig(topic string, want topicConfig) {
	what := "topic " + topic
	d, err := r.describe(topic)
	if err != nil {
		r.differ(what, "it isn't there: %v", err)
		return
	}
	if n := len(d.Partitions); n != want.Partitions {
		r.differ(what, "%d partitions, recorded %d", n, want.Partitions)
	}
	configs, err := r.admin.DescribeTopicConfigs(context.Background(), topic)
	require.NoError(r.t, err)
	have := map[string]string{}
	for _, c := range configs[0].Configs {
		have[c.Key] = c.MaybeValue()
	}
	for _, key := range []string{"cleanup.policy", "retention.ms"} {
		// What a topic doesn't say is the broker's default.
		def := map[string]string{"cleanup.policy": "delete", "retention.ms": "604800000"}[key]
		wanted, ok := want.NonDefault[key]
		if !ok {
			wanted = def
		}
		if v := have[key]; v != wanted && (v != "" || wanted != def) {
			r.differ(what, "%s is %s, recorded %s", key, v, wanted)
		}
	}
}

// describe asks for a topic past the client's cache.
func (r *replay) describe(topic string) (*kmsg.MetadataResponseTopic, error) {
	req := kmsg.NewPtrMetadataRequest()
	req.Topics = []kmsg.MetadataRequestTopic{{Topic: &topic}}
	resp, err := req.RequestWith(context.Background(), r.client)
	if err != nil {
		return nil, err
	}
	return &resp.Topics[0], kerr.ErrorForCode(resp.Topics[0].ErrorCode)
}

// read reads what is committed on a topic.
func (r *replay) read(topic string) ([]*kgo.Record, error) {
	ends, err := r.admin.ListCommittedOffsets(context.Background(), topic)
	if err != nil {
		return nil, err
	}
	from := map[int32]kgo.Offset{}
	left := 0
	ends.Each(func(o kadm.ListedOffset) {
		if o.Offset > 0 {
			from[o.Partition] = kgo.NewOffset().AtStart()
			left++
		}
	})
	if left == 0 {
		return nil, nil
	}
	cl, err := kgo.NewClient(kgo.SeedBrokers(r.cluster.ListenAddrs()...), kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.KeepControlRecords(),
		kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: from}))
	if err != nil {
		return nil, err
	}
	defer cl.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	var out []*kgo.Record
	for left > 0 {
		fetches := cl.PollFetches(ctx)
		if ctx.Err() != nil {
			return nil, fmt.Errorf("topic %s can't be read to its end", topic)
		}
		fetches.EachRecord(func(rec *kgo.Record) {
			end, _ := ends.Lookup(topic, rec.Partition)
			if rec.Offset == end.Offset-1 {
				left--
			}
			if !rec.Attrs.IsControl() {
				out = append(out, rec)
			}
		})
	}
	slices.SortStableFunc(out, func(a, b *kgo.Record) int { return int(a.Partition - b.Partition) })
	return out, nil
}
