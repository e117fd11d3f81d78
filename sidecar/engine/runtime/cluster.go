package runtime

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// cluster is what a life knows of its topics.
type cluster struct {
	leaders map[string][]int32 // by partition
	ids     map[string]kadm.TopicID
}

// described is a topic as the brokers know it.
type described struct {
	id      kadm.TopicID
	leaders []int32
}

// describe asks the brokers about topics, now: the client's own knowledge may be
// of a moment ago, when a topic was still there. Topics that don't exist are left
// out.
func describe(ctx context.Context, client *kgo.Client, names []string) (map[string]described, error) {
	out := map[string]described{}
	if len(names) == 0 {
		return out, nil
	}
	req := kmsg.NewPtrMetadataRequest()
	for _, name := range names {
		t := kmsg.NewMetadataRequestTopic()
		t.Topic = &name
		req.Topics = append(req.Topics, t)
	}
	resp, err := req.RequestWith(ctx, client)
	if err != nil {
		return nil, fmt.Errorf("topics: %w", err)
	}
	for i := range resp.Topics {
		t := &resp.Topics[i]
		if t.Topic == nil {
			continue
		}
		if err := kerr.ErrorForCode(t.ErrorCode); err != nil {
			if errors.Is(err, kerr.UnknownTopicOrPartition) {
				continue
			}
			return nil, fmt.Errorf("Kafka topic %s: %w", *t.Topic, err)
		}
		d := described{id: t.TopicID, leaders: make([]int32, len(t.Partitions))}
		for _, p := range t.Partitions {
			if int(p.Partition) < len(d.leaders) {
				d.leaders[p.Partition] = p.Leader
			}
		}
		out[*t.Topic] = d
	}
	return out, nil
}

// look finds the topics' leaders. Topics that were made a moment ago may not be
// known everywhere: they are waited for, a little.
func look(ctx context.Context, client *kgo.Client, topics map[string]int32) (*cluster, error) {
	names := make([]string, 0, len(topics))
	for t := range topics {
		names = append(names, t)
	}
	for try := 0; ; try++ {
		c, err := lookOnce(ctx, client, names, topics)
		if err == nil || try == 20 || !errors.Is(err, errNotYet) {
			return c, err
		}
		select {
		case <-time.After(25 * time.Millisecond):
		case <-ctx.Done():
			return nil, err
		}
	}
}

var errNotYet = errors.New("not there")

func lookOnce(ctx context.Context, client *kgo.Client, names []string, topics map[string]int32) (*cluster, error) {
	found, err := describe(ctx, client, names)
	if err != nil {
		return nil, err
	}
	c := &cluster{leaders: map[string][]int32{}, ids: map[string]kadm.TopicID{}}
	for _, name := range names {
		t, ok := found[name]
		if !ok {
			return nil, fmt.Errorf("Kafka topic %s does not exist: %w", name, errNotYet)
		}
		if n := int32(len(t.leaders)); n < topics[name] {
			return nil, fmt.Errorf("Kafka topic %s has %d partitions, it had %d when the query started", name, n, topics[name])
		}
		for i, leader := range t.leaders {
			if leader < 0 {
				return nil, fmt.Errorf("Kafka topic %s: the leader of partition %d is %w", name, i, errNotYet)
			}
		}
		c.leaders[name], c.ids[name] = t.leaders[:topics[name]], t.id
	}
	return c, nil
}
