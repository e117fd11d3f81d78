package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/sidestream/sidestream/sidecar/engine/analyze"
)

// entryVersion is the newest form of entry that this engine reads and writes.
const entryVersion = 1

// entry is a statement that was accepted, as the statement log keeps it. A
// statement's place in the log numbers its query.
type entry struct {
	Version   int    `json:"version"`
	CommandID string `json:"commandId"`
	// Statement is its text after variables were replaced.
	Statement  string            `json:"statement"`
	Properties map[string]string `json:"properties,omitempty"`
	QueryID    string            `json:"queryId,omitempty"`
	// Topics the statement needed, as they were: a replay must not depend on what
	// was deleted since.
	Topics []analyze.TopicSpec `json:"topics,omitempty"`
	// Schemas are what the Schema Registry told of it, by question.
	Schemas map[string]schemaAnswer `json:"schemas,omitempty"`
	// Undone marks an earlier entry, by its offset, whose statement could not be
	// carried out after it was written.
	Undone *int64 `json:"undone,omitempty"`

	offset int64
}

// statementLog is the topic of accepted statements. Its one producer is
// transactional, so that another instance of the service id fences this one.
type statementLog struct {
	topic string
	cfg   *Config
	adm   *kadm.Client
	cl    *kgo.Client
	next  int64 // the offset behind the last entry, which numbers the next query
	// unsure: the last append failed, and nobody knows whether its entry is there.
	unsure bool
}

// openLog fences earlier writers and reads what they wrote.
func openLog(ctx context.Context, cfg *Config, adm *kadm.Client, kafka *kgo.Client) (*statementLog, []entry, error) {
	l := &statementLog{topic: "_sidestream-" + cfg.ServiceID + "-statements", cfg: cfg, adm: adm}
	if err := makeTopic(ctx, adm, kafka, l.topic, 1, map[string]*string{"cleanup.policy": kadm.StringPtr("delete"), "retention.ms": kadm.StringPtr("-1")}); err != nil {
		return nil, nil, err
	}
	if err := l.connect(ctx); err != nil {
		return nil, nil, err
	}
	entries, err := readLog(ctx, cfg, adm, l.topic)
	if err != nil {
		l.cl.Close()
		return nil, nil, err
	}
	if n := len(entries); n > 0 {
		l.next = entries[n-1].offset + 1
	}
	return l, entries, nil
}

// connect makes the log's producer, and thereby ends earlier ones and what they
// left open.
func (l *statementLog) connect(ctx context.Context) error {
	cl, err := kgo.NewClient(append(append([]kgo.Opt{}, l.cfg.Client...),
		kgo.TransactionalID(l.topic), kgo.TransactionTimeout(10*time.Second),
		kgo.DefaultProduceTopic(l.topic), kgo.ProducerLinger(0))...)
	if err != nil {
		return err
	}
	if _, _, err := cl.ProducerID(ctx); err != nil {
		cl.Close()
		return fmt.Errorf("statement log %s: %w", l.topic, err)
	}
	l.cl = cl
	return nil
}

// reconnect takes the log up again after a failure. An entry whose statement was
// answered as failed but stands in the log all the same is taken back.
func (l *statementLog) reconnect(ctx context.Context) error {
	l.cl.Close()
	if err := l.connect(ctx); err != nil {
		return err
	}
	entries, err := readLog(ctx, l.cfg, l.adm, l.topic)
	if err != nil {
		return err
	}
	from := l.next
	for _, e := range entries {
		l.next = max(l.next, e.offset+1)
	}
	for _, e := range entries {
		if e.offset < from || e.Statement == "" || e.Undone != nil {
			continue
		}
		offset := e.offset
		if _, err := l.write(ctx, &entry{CommandID: e.CommandID, Undone: &offset}); err != nil {
			return err
		}
	}
	l.unsure = false
	return nil
}

// readLog reads the entries that stand, to the end that the log has now.
func readLog(ctx context.Context, cfg *Config, adm *kadm.Client, topic string) ([]entry, error) {
	ends, err := adm.ListCommittedOffsets(ctx, topic)
	if err == nil {
		err = ends.Error()
	}
	if err != nil {
		return nil, fmt.Errorf("statement log %s: %w", topic, err)
	}
	end, _ := ends.Lookup(topic, 0)
	if end.Offset == 0 {
		return nil, nil
	}
	cl, err := kgo.NewClient(append(append([]kgo.Opt{}, cfg.Client...),
		kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: {0: kgo.NewOffset().AtStart()}}),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.KeepControlRecords())...)
	if err != nil {
		return nil, err
	}
	defer cl.Close()
	var entries []entry
	var bad error
	undone := map[int64]bool{}
	for at := int64(0); at < end.Offset && bad == nil; {
		fetches := cl.PollFetches(ctx)
		if err := fetches.Err0(); err != nil {
			return nil, fmt.Errorf("statement log %s: %w", topic, err)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			at = r.Offset + 1
			if r.Attrs.IsControl() || bad != nil {
				return
			}
			var e entry
			if err := json.Unmarshal(r.Value, &e); err != nil {
				bad = fmt.Errorf("statement log %s, offset %d: not an entry: %w", topic, r.Offset, err)
				return
			}
			if e.Version > entryVersion {
				bad = fmt.Errorf("statement log %s, offset %d: written by a newer version (%d, this one reads up to %d): start that one", topic, r.Offset, e.Version, entryVersion)
				return
			}
			e.offset = r.Offset
			if e.Undone != nil {
				undone[*e.Undone] = true
			}
			entries = append(entries, e)
		})
	}
	if bad != nil {
		return nil, bad
	}
	for i := range entries {
		if undone[entries[i].offset] {
			entries[i].Statement = ""
		}
	}
	return entries, nil
}

// errFenced tells that another instance writes the log.
var errFenced = errors.New("another instance of the service id writes the statement log now")

// append writes an entry and returns its offset. On an error its statement isn't
// accepted.
func (l *statementLog) append(ctx context.Context, e *entry) (int64, error) {
	if l.unsure {
		if err := l.reconnect(ctx); err != nil {
			return 0, err
		}
	}
	return l.write(ctx, e)
}

func (l *statementLog) write(ctx context.Context, e *entry) (int64, error) {
	e.Version = entryVersion
	b, err := json.Marshal(e)
	if err != nil {
		return 0, err
	}
	offset, err := l.produce(ctx, &kgo.Record{Key: []byte(e.CommandID), Value: b})
	if err != nil {
		l.unsure = true
	}
	switch {
	case errors.Is(err, kerr.ProducerFenced), errors.Is(err, kerr.InvalidProducerEpoch), errors.Is(err, kerr.InvalidProducerIDMapping):
		return 0, errFenced
	case err != nil:
		return 0, fmt.Errorf("statement log %s: %w", l.topic, err)
	}
	e.offset, l.next = offset, offset+1
	return offset, nil
}

func (l *statementLog) produce(ctx context.Context, r *kgo.Record) (int64, error) {
	if err := l.cl.BeginTransaction(); err != nil {
		return 0, err
	}
	err := l.cl.ProduceSync(ctx, r).FirstErr()
	if err != nil {
		abort, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		return 0, errors.Join(err, l.cl.EndTransaction(abort, kgo.TryAbort))
	}
	// Once it is asked for, the end must be known: a client that leaves must not
	// leave the statement half-accepted.
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	if err := l.cl.EndTransaction(end, kgo.TryCommit); err != nil {
		return 0, err
	}
	return r.Offset, nil
}

func (l *statementLog) close() { l.cl.Close() }
