package transact

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/confluentinc/confluent-kafka-go/v2/kafka"
)

const (
	sessionTimeout     = 6 * time.Second
	transactionTimeout = 10 * time.Second
)

// clientConfig is what all clients share. Reconnecting is quick, since the
// default lets a client sleep ten seconds after its broker is back.
func (r *Runner) clientConfig(logs chan kafka.LogEvent) kafka.ConfigMap {
	m := kafka.ConfigMap{
		"bootstrap.servers":        r.cfg.Brokers,
		"client.id":                r.cfg.Name,
		"enable.metrics.push":      false,
		"reconnect.backoff.ms":     50,
		"reconnect.backoff.max.ms": 500,
		"retry.backoff.ms":         50,
		"socket.nagle.disable":     true,
		"log.connection.close":     false,
	}
	if logs != nil {
		m["go.logs.channel.enable"] = true
		m["go.logs.channel"] = logs
	}
	for k, v := range r.cfg.Kafka {
		m[k] = v
	}
	return m
}

func (r *Runner) newConsumer(logs chan kafka.LogEvent) (*kafka.Consumer, error) {
	m := r.clientConfig(logs)
	m["group.id"] = r.cfg.Name
	if r.cfg.InstanceID != "" {
		m["group.instance.id"] = r.cfg.InstanceID
	}
	// Range gives partition n of all topics to one member, if they have the
	// same number of partitions.
	m["partition.assignment.strategy"] = "range"
	m["session.timeout.ms"] = int(sessionTimeout.Milliseconds())
	m["heartbeat.interval.ms"] = 1000
	m["isolation.level"] = "read_committed"
	m["enable.auto.commit"] = false
	m["enable.auto.offset.store"] = false
	m["auto.offset.reset"] = "earliest"
	m["fetch.wait.max.ms"] = 250
	m["fetch.queue.backoff.ms"] = 1
	// A topic that was only just made may be unknown to the broker that this
	// member asks; then it gets no partitions until it asks again.
	m["topic.metadata.refresh.interval.ms"] = 3000
	m["enable.partition.eof"] = len(r.cfg.First) > 0
	m["queued.min.messages"] = 10_000
	m["queued.max.messages.kbytes"] = 8 * 1024
	m["go.events.channel.size"] = 1
	return kafka.NewConsumer(&m)
}

func (r *Runner) newProducer(logs chan kafka.LogEvent) (*kafka.Producer, error) {
	m := r.clientConfig(logs)
	m["transactional.id"] = r.cfg.Name + "-" + r.instance
	m["transaction.timeout.ms"] = int(transactionTimeout.Milliseconds())
	m["partitioner"] = "murmur2_random" // as Kafka's own and ksqlDB's clients
	m["linger.ms"] = 0
	m["queue.buffering.max.kbytes"] = 64 * 1024
	m["go.events.channel.size"] = 1000
	m["go.produce.channel.size"] = 1
	m["go.delivery.report.fields"] = "none"
	return kafka.NewProducer(&m)
}

// missingPatience is how long topics may be missing.
const missingPatience = time.Second

// errMissing: topics that are not there don't come by waiting for long.
var errMissing = errors.New("create what is missing (ksql/topics.yaml lists all topics) and start again")

// topic is what the broker says about one.
type topic struct {
	id         string
	partitions int
}

// describe asks for the Runner's topics until the broker answers or ctx ends.
func (r *Runner) describe(ctx context.Context, admin *kafka.AdminClient) (map[string]topic, error) {
	names := slices.Concat(r.cfg.Inputs, r.cfg.Outputs)
	if r.cfg.Changelog != "" {
		names = append(names, r.cfg.Changelog)
	}
	var missing time.Time // since when
	for {
		out, err := describeOnce(ctx, admin, names)
		if err == nil || ctx.Err() != nil {
			return out, err
		}
		if errors.Is(err, errMissing) {
			// What was only just made may not have got to the broker that is asked.
			if missing.IsZero() {
				missing = time.Now()
			} else if time.Since(missing) > missingPatience {
				return nil, err
			}
		}
		select {
		case <-ctx.Done():
			return nil, err
		case <-time.After(100 * time.Millisecond):
		}
	}
}

func describeOnce(ctx context.Context, admin *kafka.AdminClient, names []string) (map[string]topic, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	res, err := admin.DescribeTopics(ctx, kafka.NewTopicCollectionOfTopicNames(names), kafka.SetAdminRequestTimeout(2*time.Second))
	if err != nil {
		return nil, err
	}
	out := map[string]topic{}
	var missing []error
	for _, t := range res.TopicDescriptions {
		switch t.Error.Code() {
		case kafka.ErrNoError:
			out[t.Name] = topic{id: t.TopicID.String(), partitions: len(t.Partitions)}
		case kafka.ErrUnknownTopicOrPart, kafka.ErrUnknownTopic:
			missing = append(missing, fmt.Errorf("topic %s does not exist", t.Name))
		default:
			return nil, t.Error
		}
	}
	if missing != nil {
		return nil, fmt.Errorf("%w; %w", errors.Join(missing...), errMissing)
	}
	return out, nil
}

// check finds what is wrong with the topics.
func (r *Runner) check(topics map[string]topic) error {
	first := r.cfg.Inputs[0]
	for name, t := range topics {
		if name != r.cfg.Changelog && !slices.Contains(r.cfg.Inputs, name) {
			continue
		}
		if t.partitions != topics[first].partitions {
			return fmt.Errorf("topic %s has %d partitions and %s has %d; all inputs of %s and its changelog need the same number",
				first, topics[first].partitions, name, t.partitions, r.cfg.Name)
		}
	}
	return nil
}

// passLogs gives the clients' log to the Runner's until over is closed. The
// channel stays open: a client that is left behind may still write to it.
func passLogs(logs <-chan kafka.LogEvent, over <-chan struct{}, to *slog.Logger) {
	pass := func(e kafka.LogEvent) {
		level := slog.LevelDebug // what matters comes back as an error, too
		if e.Level <= 2 {
			level = slog.LevelError
		}
		to.Log(context.Background(), level, "kafka client: "+e.Message, "client", e.Name, "tag", e.Tag)
	}
	for {
		select {
		case e := <-logs:
			pass(e)
		case <-over:
			for {
				select {
				case e := <-logs:
					pass(e)
				default:
					return
				}
			}
		}
	}
}
