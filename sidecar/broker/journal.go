package broker

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
)

const (
	journalFile = "transactions.log"
	// journalMax is the size in bytes from which on the journal is written anew.
	journalMax = 1 << 20
)

// journal makes the end of a transaction whole. kfake writes a marker to each
// partition, then the offsets, then that the producer is done, one write after
// the other: a kill between two of them would leave a transaction that is
// committed in part. So the intent is written down before, with the offsets,
// and recovery finishes what the kill cut off.
//
// kfake carries out one request after the other. So only the last intent can be
// unfinished, and it is finished when another one is written or its answer is
// sent. Offsets are written down when kfake has accepted them.
type journal struct {
	mu    sync.Mutex
	file  *os.File
	sync  bool
	size  int
	least int // size after it was written anew
	state intents
}

// note is one line of the journal.
type note struct {
	Kind     string         `json:"kind"` // one of those below
	TxnID    string         `json:"txnId,omitempty"`
	Producer int64          `json:"producer,omitempty"`
	Epoch    int16          `json:"epoch,omitempty"`
	Commit   bool           `json:"commit,omitempty"`
	Bumps    bool           `json:"bumps,omitempty"` // the end gives the producer a new epoch
	Group    string         `json:"group,omitempty"`
	Offsets  []stagedOffset `json:"offsets,omitempty"`
}

const (
	noteOffsets = "offsets" // a producer's offsets, to be committed with its transaction
	noteEnd     = "end"     // its transaction is about to be ended
	noteInit    = "init"    // a producer id is about to be given out, which ends what is open
	noteDone    = "done"    // an end or an init is finished
)

type stagedOffset struct {
	Topic     string  `json:"topic,omitempty"`
	TopicID   []byte  `json:"topicId,omitempty"` // when there is no name
	Partition int32   `json:"partition"`
	At        int64   `json:"at"`
	Leader    int32   `json:"leaderEpoch"`
	Metadata  *string `json:"metadata,omitempty"`
}

// life is a producer between two of its epochs.
type life struct {
	producer int64
	epoch    int16
}

// intents are what the notes add up to.
type intents struct {
	staged map[life][]note // offsets of transactions that are not ended, in order
	last   *note           // an end or an init that may be unfinished
}

// take takes the next note in.
func (s *intents) take(n note) {
	who := life{n.Producer, n.Epoch}
	switch n.Kind {
	case noteOffsets:
		for other := range s.staged {
			if other.producer == who.producer && other.epoch != who.epoch {
				delete(s.staged, other) // given up: the producer has a new epoch
			}
		}
		s.staged[who] = append(s.staged[who], n)
	case noteEnd, noteInit:
		s.finish()
		s.last = &n
	case noteDone:
		if l := s.last; l != nil && l.Producer == n.Producer && l.Epoch == n.Epoch && l.TxnID == n.TxnID {
			s.finish()
		}
	}
}

func (s *intents) finish() {
	if s.last != nil && s.last.Kind == noteEnd {
		delete(s.staged, life{s.last.Producer, s.last.Epoch})
	}
	s.last = nil
}

// notes are what must be written to have the same state again.
func (s *intents) notes() []note {
	var out []note
	for _, staged := range s.staged {
		out = append(out, staged...)
	}
	if s.last != nil {
		out = append(out, *s.last)
	}
	return out
}

// readIntents reads a directory's journal, up to a line that a kill cut off.
func readIntents(dir string) (intents, error) {
	s := intents{staged: map[life][]note{}}
	raw, err := os.ReadFile(filepath.Join(dir, journalFile))
	if err != nil && !os.IsNotExist(err) {
		return s, fmt.Errorf("broker: %w", err)
	}
	r := bufio.NewReader(bytes.NewReader(raw))
	for {
		line, err := r.ReadBytes('\n')
		if err != nil {
			return s, nil
		}
		var n note
		if err := json.Unmarshal(line, &n); err != nil {
			return s, fmt.Errorf("broker: %s: %w", filepath.Join(dir, journalFile), err)
		}
		s.take(n)
	}
}

// openJournal goes on with the journal of a directory that was closed in order,
// or recovered.
func openJournal(dir string, sync bool) (*journal, error) {
	state, err := readIntents(dir)
	if err != nil {
		return nil, err
	}
	state.finish()
	j := &journal{sync: sync, state: state}
	return j, j.rewrite(dir)
}

// rewrite begins the file anew with what still matters.
func (j *journal) rewrite(dir string) error {
	var out []byte
	for _, n := range j.state.notes() {
		line, err := json.Marshal(n)
		if err != nil {
			return fmt.Errorf("broker: %w", err)
		}
		out = append(append(out, line...), '\n')
	}
	path := filepath.Join(dir, journalFile)
	if err := replaceFile(path, out); err != nil {
		return fmt.Errorf("broker: %w", err)
	}
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return fmt.Errorf("broker: %w", err)
	}
	old := j.file
	j.file, j.size, j.least = file, len(out), len(out)
	if old != nil {
		return old.Close()
	}
	return nil
}

// write adds a note. It is in the file when write returns.
func (j *journal) write(n note) error {
	line, err := json.Marshal(n)
	if err != nil {
		return err
	}
	line = append(line, '\n')
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.size > max(journalMax, 2*j.least) {
		if err := j.rewrite(filepath.Dir(j.file.Name())); err != nil {
			return err
		}
	}
	if _, err := j.file.Write(line); err != nil {
		return err
	}
	if j.sync {
		if err := j.file.Sync(); err != nil {
			return err
		}
	}
	j.size += len(line)
	j.state.take(n)
	return nil
}

func (j *journal) close() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.file.Close()
}

// watch has the intents written before kfake acts on them. A request whose
// intent can't be written is refused.
func (j *journal) watch(c *kfake.Cluster, fail func(error)) {
	c.ControlKey(int16(kmsg.EndTxn), func(kreq kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		req := kreq.(*kmsg.EndTxnRequest)
		err := j.write(note{Kind: noteEnd, Producer: req.ProducerID, Epoch: req.ProducerEpoch, Commit: req.Commit, Bumps: req.Version >= 5})
		if err == nil {
			return nil, nil, false
		}
		fail(fmt.Errorf("broker: the journal can't be written; a transaction isn't ended: %w", err))
		resp := req.ResponseKind().(*kmsg.EndTxnResponse)
		resp.ErrorCode = kerr.CoordinatorNotAvailable.Code
		return resp, nil, true
	})
	c.ControlKey(int16(kmsg.InitProducerID), func(kreq kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		req := kreq.(*kmsg.InitProducerIDRequest)
		if req.TransactionalID == nil {
			return nil, nil, false
		}
		err := j.write(note{Kind: noteInit, TxnID: *req.TransactionalID})
		if err == nil {
			return nil, nil, false
		}
		fail(fmt.Errorf("broker: the journal can't be written; a producer id isn't given out: %w", err))
		resp := req.ResponseKind().(*kmsg.InitProducerIDResponse)
		resp.ErrorCode = kerr.CoordinatorNotAvailable.Code
		return resp, nil, true
	})
}

// journaled are the requests whose answers the journal wants to see.
var journaled = []int16{int16(kmsg.EndTxn), int16(kmsg.InitProducerID), int16(kmsg.TxnOffsetCommit)}

// answered notes what kfake has accepted or finished, before the client knows.
func (j *journal) answered(kreq kmsg.Request, kresp kmsg.Response) error {
	switch req := kreq.(type) {
	case *kmsg.EndTxnRequest:
		err := j.write(note{Kind: noteDone, Producer: req.ProducerID, Epoch: req.ProducerEpoch})
		if resp, ok := kresp.(*kmsg.EndTxnResponse); ok && resp.ErrorCode != 0 {
			return nil // a refusal promises nothing
		}
		return err
	case *kmsg.InitProducerIDRequest:
		if req.TransactionalID == nil {
			return nil
		}
		err := j.write(note{Kind: noteDone, TxnID: *req.TransactionalID})
		if resp, ok := kresp.(*kmsg.InitProducerIDResponse); ok && resp.ErrorCode != 0 {
			return nil
		}
		return err
	case *kmsg.TxnOffsetCommitRequest:
		resp, ok := kresp.(*kmsg.TxnOffsetCommitResponse)
		if !ok {
			return errors.New("an answer of another kind")
		}
		n := note{Kind: noteOffsets, Producer: req.ProducerID, Epoch: req.ProducerEpoch, Group: req.Group, Offsets: accepted(req, resp)}
		if len(n.Offsets) > 0 {
			return j.write(n)
		}
	}
	return nil
}

// accepted are the offsets of a request that were answered without an error.
func accepted(req *kmsg.TxnOffsetCommitRequest, resp *kmsg.TxnOffsetCommitResponse) []stagedOffset {
	type key struct {
		topic     string
		id        [16]byte
		partition int32
	}
	ok := map[key]bool{}
	for _, t := range resp.Topics {
		for _, p := range t.Partitions {
			ok[key{t.Topic, t.TopicID, p.Partition}] = p.ErrorCode == 0
		}
	}
	var out []stagedOffset
	for _, t := range req.Topics {
		for _, p := range t.Partitions {
			if ok[key{t.Topic, t.TopicID, p.Partition}] {
				o := stagedOffset{Topic: t.Topic, Partition: p.Partition, At: p.Offset, Leader: p.LeaderEpoch, Metadata: p.Metadata}
				if o.Topic == "" {
					o.TopicID = t.TopicID[:]
				}
				out = append(out, o)
			}
		}
	}
	return out
}
