package broker

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// afterStep is called after each change that recovery makes on the disk. Tests
// have it end there.
var afterStep = func(string) error { return nil }

// recovery puts a directory that wasn't closed in order into the state in which
// Apache Kafka would find itself.
//
// kfake's own start takes open transactions for aborted, but writes no marker: a
// reader, and the next start, would take their records for a part of the
// producer's next transaction. It knows nothing of a commit that was cut in two,
// of producers' sequence numbers, and of the members of its groups. So before
// kfake reads the directory, recovery
//
//  1. gives the producers of transactions that will be aborted a new epoch: who
//     goes on with the old one is told so, and never that the lost transaction
//     was committed;
//  2. writes a marker wherever a transaction is open: COMMIT if the journal has
//     the intent and the producer's epoch was in force, else ABORT;
//  3. commits the offsets of the transaction that was being committed;
//  4. finds the sequence numbers in the logs again, so that a batch sent anew is
//     known;
//  5. forgets what kfake would restore of members and open transactions, and the
//     names of static members whose membership is lost: kfake would take them for
//     impostors of themselves.
//
// Each step leaves a directory with which a recovery that begins anew comes to
// the same end, so it may be killed at any moment.
type recovery struct {
	dir        string
	intents    intents
	topics     []topicEntry
	partitions []*partition
	producers  *producers

	open    map[int64]*openTxn // by producer: a transaction without an end
	ended   map[int64]ending   // by producer: its newest marker
	windows []sequenceWindow

	committed, aborted int // markers written
}

// openTxn is a transaction that the stopped process left open.
type openTxn struct {
	epoch int16
	on    []*partition
}

// ending is the newest marker of a producer.
type ending struct {
	at     int64 // ms
	epoch  int16
	commit bool
}

func (b *Broker) recover(ctx context.Context) error {
	begin := time.Now()
	r, err := recoverDir(ctx, b.cfg.Dir)
	if err != nil {
		return fmt.Errorf("broker: data directory %s wasn't closed in order and can't be recovered: %w", b.cfg.Dir, err)
	}
	for _, p := range r.partitions {
		if p.cut > 0 {
			b.cfg.Log.Warn("broker: a batch that was not written to its end is cut off", "partition", p.String(), "bytes", p.cut)
		}
	}
	b.cfg.Log.Info("broker: recovered after an unclean stop", "dir", b.cfg.Dir, "aborted", r.aborted, "committed", r.committed,
		"took", time.Since(begin).Round(time.Millisecond).String())
	return nil
}

func recoverDir(ctx context.Context, dir string) (*recovery, error) {
	r := &recovery{dir: dir, open: map[int64]*openTxn{}, ended: map[int64]ending{}}
	if err := r.read(ctx); err != nil {
		return nil, err
	}
	last, valid := r.lastEnd()
	r.fence(last, valid)
	for _, step := range []struct {
		name string
		run  func() error
	}{
		{"producers", r.producers.write},
		{"markers", func() error { return r.mark(last, valid) }},
		{"groups", func() error { return r.groups(last, valid) }},
		{"outcome", func() error { return r.outcome(last, valid) }},
		{"windows", func() error { return writeWindows(dir, r.windows) }},
		{"session", func() error { return removeFile(filepath.Join(dir, sessionFile)) }},
		// From here on there is nothing to recover.
		{"journal", func() error { return removeFile(filepath.Join(dir, journalFile)) }},
	} {
		if err := step.run(); err != nil {
			return nil, err
		}
		if err := afterStep(step.name); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// read reads everything that is to be known.
func (r *recovery) read(ctx context.Context) error {
	if err := checkVersion(r.dir); err != nil {
		return err
	}
	var err error
	if r.intents, err = readIntents(r.dir); err != nil {
		return err
	}
	if r.topics, err = readTopics(r.dir); err != nil {
		return err
	}
	if r.producers, err = readProducers(r.dir); err != nil {
		return err
	}
	for _, t := range r.topics {
		for i := range t.Partitions {
			if err := ctx.Err(); err != nil {
				return err
			}
			if err := openPartition(r.dir, t.Name, i).restore(); err != nil {
				return err
			}
			if err := r.readPartition(openPartition(r.dir, t.Name, i)); err != nil {
				return err
			}
		}
	}
	return nil
}

// readPartition finds open transactions, epochs and sequence numbers in a log.
func (r *recovery) readPartition(p *partition) error {
	open := map[int64]int16{} // by producer: the epoch
	windows := windowsOf{p: p, by: map[int64]*sequenceWindow{}}
	err := p.scan(func(b batch) {
		windows.take(b)
		if b.producer < 0 {
			return
		}
		switch {
		case b.control:
			delete(open, b.producer)
			if e, ok := r.ended[b.producer]; !ok || b.maxTime > e.at || b.maxTime == e.at && !b.commit {
				r.ended[b.producer] = ending{b.maxTime, b.pepoch, b.commit}
			}
		case b.txn:
			open[b.producer] = b.pepoch
		default:
			r.producers.seen(b.producer, b.pepoch)
		}
	})
	if err != nil {
		return err
	}
	for producer, epoch := range open {
		txn := r.open[producer]
		if txn == nil {
			txn = &openTxn{}
			r.open[producer] = txn
		}
		txn.epoch, txn.on = max(txn.epoch, epoch), append(txn.on, p)
	}
	r.partitions = append(r.partitions, p)
	r.windows = append(r.windows, windows.found()...)
	return nil
}

// lastEnd is the end of a transaction that may be unfinished, and whether kfake
// accepted it: only the producer's epoch in force can end its transaction.
func (r *recovery) lastEnd() (note, bool) {
	last := r.intents.last
	if last == nil || last.Kind != noteEnd {
		return note{}, false
	}
	p := r.producers.byID[last.Producer]
	return *last, p != nil && p.Epoch == last.Epoch && !r.givenUp(p)
}

// givenUp tells whether kfake was about to abort a producer's transaction that
// took too long: it does so with the next epoch, and notes that afterwards.
func (r *recovery) givenUp(p *producerEntry) bool {
	e, ok := r.ended[p.Producer]
	return ok && !e.commit && e.epoch == p.Epoch+1
}

// fence gives new epochs to the producers whose transactions are aborted, or
// were being aborted by anyone but themselves.
func (r *recovery) fence(last note, valid bool) {
	lost := map[int64]bool{}
	for producer := range r.open {
		lost[producer] = true
	}
	for who := range r.intents.staged { // a transaction may have nothing but offsets
		if p := r.producers.byID[who.producer]; p != nil && p.Epoch == who.epoch {
			lost[who.producer] = true
		}
	}
	for producer := range r.ended {
		if p := r.producers.byID[producer]; p != nil && r.givenUp(p) {
			lost[producer] = true
		}
	}
	if l := r.intents.last; l != nil && l.Kind == noteInit {
		if p := r.producers.byTxnID(l.TxnID); p != nil {
			lost[p.Producer] = true
		}
	}
	if valid {
		delete(lost, last.Producer)
	}
	for _, producer := range slices.Sorted(maps.Keys(lost)) {
		p := r.producers.byID[producer]
		if p == nil {
			continue
		}
		if txn := r.open[producer]; txn != nil {
			p.Epoch = max(p.Epoch, txn.epoch)
		}
		if r.givenUp(p) {
			p.Epoch++
		}
		r.producers.fence(p)
	}
}

// mark writes a marker wherever a transaction is open.
func (r *recovery) mark(last note, valid bool) error {
	for _, producer := range slices.Sorted(maps.Keys(r.open)) {
		commit := valid && last.Commit && producer == last.Producer
		for _, p := range r.open[producer].on {
			if err := p.append(marker(producer, r.open[producer].epoch, commit)); err != nil {
				return err
			}
			if commit {
				r.committed++
			} else {
				r.aborted++
			}
			if err := afterStep("marker"); err != nil {
				return err
			}
		}
	}
	return nil
}

// marker is the control batch that ends a producer's transaction on a partition.
func marker(producer int64, epoch int16, commit bool) kmsg.RecordBatch {
	key := kmsg.ControlRecordKey{Type: kmsg.ControlRecordKeyTypeAbort}
	if commit {
		key.Type = kmsg.ControlRecordKeyTypeCommit
	}
	rec := kmsg.Record{Key: key.AppendTo(nil), Value: (&kmsg.EndTxnMarker{}).AppendTo(nil)}
	rec.Length = int32(len(rec.AppendTo(nil)) - 1) // the length itself is one byte
	now := time.Now().UnixMilli()
	return kmsg.RecordBatch{
		Magic: 2, Attributes: 0x30, FirstTimestamp: now, MaxTimestamp: now,
		ProducerID: producer, ProducerEpoch: epoch, FirstSequence: -1,
		NumRecords: 1, Records: rec.AppendTo(nil),
	}
}

// groupEntry is an entry of the groups' log that recovery writes.
type groupEntry struct {
	Type      string  `json:"type"`
	Group     string  `json:"g"`
	Topic     string  `json:"t,omitempty"`
	Partition int32   `json:"p,omitempty"`
	Offset    int64   `json:"o,omitempty"`
	Leader    int32   `json:"e,omitempty"`
	Metadata  *string `json:"m,omitempty"`
	At        int64   `json:"lc,omitempty"` // ms
}

// groups commits the offsets of the transaction that is committed, and drops
// static members.
func (r *recovery) groups(last note, valid bool) error {
	path := filepath.Join(r.dir, groupsFile)
	entries, err := readFrames[json.RawMessage](path)
	if err != nil {
		return err
	}
	var out []any
	for _, raw := range entries {
		var e groupEntry
		if err := json.Unmarshal(raw, &e); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		if e.Type != "static" {
			out = append(out, raw)
		}
	}
	if valid && last.Commit {
		for _, n := range r.intents.staged[life{last.Producer, last.Epoch}] {
			for _, o := range n.Offsets {
				if topic := r.topicOf(o); topic != "" {
					out = append(out, groupEntry{"commit", n.Group, topic, o.Partition, o.At, o.Leader, o.Metadata, time.Now().UnixMilli()})
				}
			}
		}
	}
	return writeFrames(path, out)
}

// topicOf is the name of an offset's topic; "" if it was deleted.
func (r *recovery) topicOf(o stagedOffset) string {
	for _, t := range r.topics {
		if t.Name == o.Topic || o.Topic == "" && slices.Equal(t.ID, o.TopicID) {
			return t.Name
		}
	}
	return ""
}

// outcome notes how the last transaction ended, so that its producer is told so
// when it asks again.
func (r *recovery) outcome(last note, valid bool) error {
	p := r.producers.byID[last.Producer]
	if p != nil && p.bumped != nil && last.Bumps && p.Epoch == last.Epoch+1 {
		p.Commit = p.bumped // it was finished, but for the answer
		return r.producers.write()
	}
	if !valid {
		return nil
	}
	marked, ok := r.ended[last.Producer]
	began := r.open[last.Producer] != nil || len(r.intents.staged[life{last.Producer, last.Epoch}]) > 0
	if !began && !(ok && marked.commit == last.Commit) {
		return nil // kfake refused it: there was no transaction
	}
	p.Commit = &last.Commit
	if last.Bumps {
		r.producers.bump(p)
	}
	return r.producers.write()
}
