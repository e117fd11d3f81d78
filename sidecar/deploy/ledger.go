package deploy

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/sidestream/sidestream/sidecar/client"
	"github.com/sidestream/sidestream/sidecar/topics"
)

// LedgerTopic holds what was applied to which server.
const LedgerTopic = topics.Ledger

// Entry is what is remembered of an applied statement.
type Entry struct {
	// Hash of the statement as it was checked in, layout aside.
	Hash string `json:"hash"`
	// SQL is that statement.
	SQL string `json:"sql"`
	// Server is the text that the server had for it afterwards. When it has
	// another one now, somebody else has changed it.
	Server string    `json:"server,omitempty"`
	At     time.Time `json:"at"`

	Kind   Kind   `json:"kind,omitempty"`
	Folder string `json:"folder,omitempty"` // the service's folder that it was in
	Place  int    `json:"place,omitempty"`  // in the folder, from 1
	// Properties with which it was sent.
	Properties map[string]string `json:"properties,omitempty"`
	// QueryID is the query that it started.
	QueryID string `json:"queryId,omitempty"`
	// Version counts the objects and topics that this statement has had: 2 after
	// its first rebuild.
	Version int `json:"version,omitempty"`
	// Object is the name that it has on the server, where that isn't its own: its
	// own name then stands for the same topic.
	Object string `json:"object,omitempty"`
	// Topic that it has, where that isn't the one in its SQL.
	Topic string `json:"topic,omitempty"`
	// Split: the object is declared over its topic, and written by an INSERT INTO,
	// whose text Sent is: a stateless query that was moved.
	Split bool   `json:"split,omitempty"`
	Sent  string `json:"sent,omitempty"`
	// By and ServerVersion are who applied it and to what.
	By            string `json:"by,omitempty"`
	ServerVersion string `json:"serverVersion,omitempty"`
}

func hash(sql string) string {
	sum := sha256.Sum256([]byte(normal(sql)))
	return hex.EncodeToString(sum[:12])
}

// Ledger remembers what was applied to a server, by the name of the object, in a
// compacted topic that all services share. Who writes holds its [Ledger.Lock].
type Ledger struct {
	// TTL of the lease, by default LeaseTTL.
	TTL time.Duration

	kafka   *Kafka
	service string
	holder  string

	mu     sync.Mutex  // held while a record is written
	writer *kgo.Client // transactional, while the lock is held
}

// OpenLedger opens the ledger of a ksqlDB service id, whose topic is made when
// missing.
func OpenLedger(ctx context.Context, brokers []string, serviceID string) (*Ledger, error) {
	k, err := ConnectKafka(ctx, brokers)
	if err != nil {
		return nil, err
	}
	l := &Ledger{TTL: LeaseTTL, kafka: k, service: serviceID}
	if err := l.makeTopic(ctx); err != nil {
		k.Close()
		return nil, err
	}
	return l, nil
}

func (l *Ledger) makeTopic(ctx context.Context) error {
	there, err := l.kafka.partitions(ctx)
	if err != nil || there[LedgerTopic] > 0 {
		return err
	}
	cfg := map[string]*string{"cleanup.policy": kadm.StringPtr("compact"), "retention.ms": kadm.StringPtr("-1")}
	resp, err := l.kafka.adm.CreateTopics(ctx, 1, -1, cfg, LedgerTopic)
	if err == nil {
		err = resp[LedgerTopic].Err
	}
	if err != nil && err != kerr.TopicAlreadyExists {
		return fmt.Errorf("topic %s, which holds what was applied, can't be made: %w", LedgerTopic, err)
	}
	return await(ctx, 20*time.Millisecond, func() (bool, error) {
		there, err := l.kafka.partitions(ctx)
		return there[LedgerTopic] > 0, err
	})
}

// Close gives up the connections.
func (l *Ledger) Close() {
	if l.writer != nil {
		l.writer.Close()
	}
	l.kafka.Close()
}

// book is what the ledger says of a service.
type book struct {
	entries   map[string]Entry
	lease     *leaseRecord
	operation *operation
}

// The keys: service/name for entries, service!lease and service!operation.
func (l *Ledger) entryKey(name string) string { return l.service + "/" + name }
func (l *Ledger) leaseKey() string            { return l.service + "!lease" }
func (l *Ledger) operationKey() string        { return l.service + "!operation" }

// Load gives the entries by name.
func (l *Ledger) Load(ctx context.Context) (map[string]Entry, error) {
	b, err := l.load(ctx)
	if err != nil {
		return nil, err
	}
	return b.entries, nil
}

// load reads the topic to its end.
func (l *Ledger) load(ctx context.Context) (*book, error) {
	out := &book{entries: map[string]Entry{}}
	ends, err := l.kafka.ends(ctx, LedgerTopic)
	if err != nil {
		return nil, err
	}
	end := ends[LedgerTopic][0]
	if end == 0 {
		return out, nil
	}
	cl, err := connect(ctx, l.kafka.brokers, kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{
		LedgerTopic: {0: kgo.NewOffset().AtStart()},
	}), kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.KeepControlRecords())
	if err != nil {
		return nil, err
	}
	defer cl.Close()
	for next := int64(0); next < end; {
		fetches := cl.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			return nil, fmt.Errorf("topic %s: %w", LedgerTopic, err)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			next = r.Offset + 1
			if !r.Attrs.IsControl() {
				l.take(out, r)
			}
		})
	}
	return out, nil
}

// take notes a record. What can't be read is as if it weren't there.
func (l *Ledger) take(b *book, r *kgo.Record) {
	switch key := string(r.Key); key {
	case l.leaseKey():
		var lease leaseRecord
		if b.lease = nil; json.Unmarshal(r.Value, &lease) == nil {
			lease.offset = r.Offset
			b.lease = &lease
		}
	case l.operationKey():
		var op operation
		if b.operation = nil; len(r.Value) > 0 && json.Unmarshal(r.Value, &op) == nil {
			b.operation = &op
		}
	default:
		name, ours := strings.CutPrefix(key, l.service+"/")
		if !ours {
			return
		}
		var e Entry
		if len(r.Value) == 0 {
			delete(b.entries, name)
		} else if json.Unmarshal(r.Value, &e) == nil {
			b.entries[name] = e
		}
	}
}

// Save writes an entry, or removes it where it is nil, and waits for the broker
// to have it. The lock must be held.
func (l *Ledger) Save(ctx context.Context, name string, e *Entry) error {
	if e == nil { // an interface that holds a nil pointer isn't nil
		return l.write(ctx, l.entryKey(name), nil)
	}
	return l.write(ctx, l.entryKey(name), e)
}

// saveOperation notes what is under way; nil when it is done.
func (l *Ledger) saveOperation(ctx context.Context, op *operation) error {
	if op == nil {
		return l.write(ctx, l.operationKey(), nil)
	}
	return l.write(ctx, l.operationKey(), op)
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

// Applied is what was last applied of a service's folder, by the ledger.
func Applied(ctx context.Context, l *Ledger, service string) (*Folder, error) {
	entries, err := l.Load(ctx)
	if err != nil {
		return nil, err
	}
	f := &Folder{Dir: "ledger", Service: service}
	places := map[*Statement]int{}
	for key, e := range entries {
		s := parseOne(e.SQL)
		if e.Folder != service || s == nil {
			continue
		}
		s.File, s.Properties = "applied "+key, e.Properties
		f.Statements = append(f.Statements, s)
		places[s] = e.Place
	}
	if len(f.Statements) == 0 {
		return nil, fmt.Errorf("nothing was applied of a folder %s to service id %s", service, l.service)
	}
	slices.SortFunc(f.Statements, func(a, b *Statement) int { return places[a] - places[b] })
	return f, nil
}
