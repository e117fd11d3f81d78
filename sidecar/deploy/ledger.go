package deploy

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/sidestream/sidestream/sidecar/client"
)

// LedgerTopic holds what was applied to which server.
const LedgerTopic = "sidestream-applied"

// Entry is what is remembered of an applied statement.
type Entry struct {
	// Hash of the statement as it was checked in, layout aside.
	Hash string `json:"hash"`
	// SQL is that statement.
	SQL string `json:"sql"`
	// Server is the text that the server had for it afterwards. When it has
	// another one now, somebody else has changed it.
	Server string    `json:"server"`
	At     time.Time `json:"at"`
}

func hash(sql string) string {
	sum := sha256.Sum256([]byte(normal(sql)))
	return hex.EncodeToString(sum[:12])
}

// Ledger remembers what was applied, by the name of the object.
type Ledger interface {
	Load(ctx context.Context) (map[string]Entry, error)
	Save(ctx context.Context, name string, e Entry) error
	Close()
}

type kafkaLedger struct {
	cl      *kgo.Client
	brokers []string
	service string
}

// OpenLedger opens the ledger of a ksqlDB service id in a compacted topic, which
// is made when missing.
func OpenLedger(ctx context.Context, brokers []string, serviceID string) (Ledger, error) {
	cl, err := connect(ctx, brokers, kgo.DefaultProduceTopic(LedgerTopic), kgo.ProducerLinger(0))
	if err != nil {
		return nil, err
	}
	cfg := map[string]*string{"cleanup.policy": kadm.StringPtr("compact"), "retention.ms": kadm.StringPtr("-1")}
	resp, err := kadm.NewClient(cl).CreateTopics(ctx, 1, -1, cfg, LedgerTopic)
	if err == nil {
		err = resp[LedgerTopic].Err
	}
	if err != nil && err != kerr.TopicAlreadyExists {
		cl.Close()
		return nil, fmt.Errorf("topic %s, which holds what was applied, can't be made: %w", LedgerTopic, err)
	}
	return &kafkaLedger{cl: cl, brokers: brokers, service: serviceID}, nil
}

func (l *kafkaLedger) Close() { l.cl.Close() }

// Load reads the topic to its end.
func (l *kafkaLedger) Load(ctx context.Context) (map[string]Entry, error) {
	ends, err := kadm.NewClient(l.cl).ListEndOffsets(ctx, LedgerTopic)
	if err != nil {
		return nil, fmt.Errorf("topic %s: %w", LedgerTopic, err)
	}
	end, _ := ends.Lookup(LedgerTopic, 0)
	out := map[string]Entry{}
	if end.Offset == 0 {
		return out, nil
	}
	cl, err := kgo.NewClient(kgo.SeedBrokers(l.brokers...), kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{
		LedgerTopic: {0: kgo.NewOffset().AtStart()},
	}))
	if err != nil {
		return nil, err
	}
	defer cl.Close()
	for next := int64(0); next < end.Offset; {
		fetches := cl.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			return nil, fmt.Errorf("topic %s: %w", LedgerTopic, err)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			next = r.Offset + 1
			name, ours := strings.CutPrefix(string(r.Key), l.service+"/")
			var e Entry
			if ours && json.Unmarshal(r.Value, &e) == nil { // what can't be read is as if it weren't there
				out[name] = e
			}
		})
	}
	return out, nil
}

// Save writes an entry and waits for the broker to have it.
func (l *kafkaLedger) Save(ctx context.Context, name string, e Entry) error {
	value, err := json.Marshal(e)
	if err != nil {
		return err
	}
	r := &kgo.Record{Key: []byte(l.service + "/" + name), Value: value}
	if err := l.cl.ProduceSync(ctx, r).FirstErr(); err != nil {
		return fmt.Errorf("topic %s: %w", LedgerTopic, err)
	}
	return nil
}

// BrokersOf asks a server which Kafka it uses.
func BrokersOf(ctx context.Context, c *client.Client) ([]string, error) {
	entities, err := c.Exec(ctx, "SHOW PROPERTIES;")
	if err != nil {
		return nil, err
	}
	for _, e := range entities {
		for _, p := range e.Properties {
			if name := strings.TrimPrefix(p.Name, "ksql.streams."); name != "bootstrap.servers" {
				continue
			}
			var out []string
			for _, b := range strings.Split(p.Value, ",") {
				if _, address, ok := strings.Cut(b, "://"); ok {
					b = address
				}
				out = append(out, strings.Trim(b, " []"))
			}
			return out, nil
		}
	}
	return nil, fmt.Errorf("%s doesn't say which Kafka it uses: give --bootstrap", c.URL())
}
