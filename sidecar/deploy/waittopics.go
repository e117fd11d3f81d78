package deploy

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
)

// WaitTopics waits until Kafka answers and has the topics. A topic that the
// principal may not see counts as there. After the context's end the error says
// what was missing.
func WaitTopics(ctx context.Context, brokers []string, topics []Topic) error {
	names := make([]string, len(topics))
	for i, t := range topics {
		names[i] = t.Name
	}
	for {
		err := topicsThere(ctx, brokers, names)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(500 * time.Millisecond):
		}
	}
}

// WaitKafka waits until a broker answers. After the context's end the error says
// what came instead.
func WaitKafka(ctx context.Context, brokers []string) error {
	for {
		cl, err := connect(ctx, brokers)
		if err == nil {
			cl.Close()
			return nil
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(500 * time.Millisecond):
		}
	}
}

func topicsThere(ctx context.Context, brokers, names []string) error {
	cl, err := connect(ctx, brokers)
	if err != nil {
		return err
	}
	defer cl.Close()
	there, err := kadm.NewClient(cl).ListTopics(ctx, names...)
	if err != nil {
		return fmt.Errorf("listing the topics of %s: %w", strings.Join(brokers, ","), err)
	}
	var missing []string
	for _, name := range names {
		t, ok := there[name]
		if !ok || t.Err != nil && !errors.Is(t.Err, kerr.TopicAuthorizationFailed) {
			missing = append(missing, name)
		}
	}
	if len(missing) > 0 {
		return fmt.Errorf("the broker at %s has no topic %s: `sidestream topics apply` makes those of topics.yaml", strings.Join(brokers, ","), strings.Join(missing, ", "))
	}
	return nil
}
