package broker

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

const journalFile = "commit.json"

// journal makes the end of a transaction whole. kfake writes a COMMIT marker to
// each partition and then the offsets, one write after the other: a kill between
// two of them leaves a transaction that is committed in part. So what is about to
// be committed is written down before, and recovery finishes it.
//
// kfake carries requests out one by one, so at most the last commit can be
// unfinished, and it is finished once a producer has come to produce again. All
// of it is used from kfake's goroutine.
type journal struct {
	file    *os.File
	staged  map[string]map[string]kadm.Offsets // by transactional id and group
	written bool
	fail    func(error)
}

// commitIntent is a commit that was begun.
type commitIntent struct {
	Producer int64                   `json:"producer"`
	Epoch    int16                   `json:"epoch"`
	Groups   map[string][]groupEntry `json:"groups"`
}

type groupEntry struct {
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
	Offset    int64  `json:"offset"`
	Metadata  string `json:"metadata"`
}

func openJournal(dir string, fail func(error)) (*journal, error) {
	f, err := os.OpenFile(filepath.Join(dir, journalFile), os.O_CREATE|os.O_RDWR|os.O_TRUNC, 0o644)
	if err != nil {
		return nil, fmt.Errorf("broker: %w", err)
	}
	return &journal{file: f, staged: map[string]map[string]kadm.Offsets{}, fail: fail}, nil
}

// readIntent is the commit that the last process may not have finished, or nil.
func readIntent(dir string) *commitIntent {
	b, err := os.ReadFile(filepath.Join(dir, journalFile))
	if err != nil || len(b) == 0 {
		return nil
	}
	var in commitIntent
	if json.Unmarshal(b, &in) != nil {
		return nil // cut off while it was written, so the commit had not begun
	}
	return &in
}

// watch hooks the journal into a cluster.
func (j *journal) watch(c *kfake.Cluster) {
	c.ControlKey(int16(kmsg.TxnOffsetCommit), func(kreq kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		j.stage(c, kreq.(*kmsg.TxnOffsetCommitRequest))
		return nil, nil, false
	})
	c.ControlKey(int16(kmsg.EndTxn), func(kreq kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		j.end(kreq.(*kmsg.EndTxnRequest))
		return nil, nil, false
	})
	c.ControlKey(int16(kmsg.Produce), func(kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		j.clear()
		return nil, nil, false
	})
}

func (j *journal) stage(c *kfake.Cluster, req *kmsg.TxnOffsetCommitRequest) {
	groups := j.staged[req.TransactionalID]
	if groups == nil {
		groups = map[string]kadm.Offsets{}
		j.staged[req.TransactionalID] = groups
	}
	offsets := groups[req.Group]
	if offsets == nil {
		offsets = kadm.Offsets{}
		groups[req.Group] = offsets
	}
	for _, t := range req.Topics {
		name := t.Topic
		if name == "" {
			if info := c.TopicIDInfo(t.TopicID); info != nil {
				name = info.Topic
			}
		}
		for _, p := range t.Partitions {
			o := kadm.Offset{Topic: name, Partition: p.Partition, At: p.Offset, LeaderEpoch: -1}
			if p.Metadata != nil {
				o.Metadata = *p.Metadata
			}
			offsets.Add(o)
		}
	}
}

func (j *journal) end(req *kmsg.EndTxnRequest) {
	groups := j.staged[req.TransactionalID]
	delete(j.staged, req.TransactionalID)
	if !req.Commit {
		j.clear()
		return
	}
	in := commitIntent{Producer: req.ProducerID, Epoch: req.ProducerEpoch, Groups: map[string][]groupEntry{}}
	for group, offsets := range groups {
		for _, o := range offsets.Sorted() {
			in.Groups[group] = append(in.Groups[group], groupEntry{o.Topic, o.Partition, o.At, o.Metadata})
		}
	}
	b, err := json.Marshal(in)
	if err == nil {
		if err = j.file.Truncate(0); err == nil {
			_, err = j.file.WriteAt(b, 0)
		}
	}
	if err != nil {
		j.fail(fmt.Errorf("broker: %s can't be written: %w", j.file.Name(), err))
	}
	j.written = true
}

func (j *journal) clear() {
	if !j.written {
		return
	}
	if err := j.file.Truncate(0); err != nil {
		j.fail(fmt.Errorf("broker: %s can't be written: %w", j.file.Name(), err))
	}
	j.written = false
}

// finishOffsets commits the offsets of an intent.
func (in *commitIntent) finishOffsets(ctx context.Context, cl *kgo.Client) error {
	for group, entries := range in.Groups {
		req := kmsg.NewPtrOffsetCommitRequest()
		req.Group, req.Generation = group, -1
		at := map[string]int{}
		for _, e := range entries {
			i, ok := at[e.Topic]
			if !ok {
				i = len(req.Topics)
				at[e.Topic] = i
				t := kmsg.NewOffsetCommitRequestTopic()
				t.Topic = e.Topic
				req.Topics = append(req.Topics, t)
			}
			p := kmsg.NewOffsetCommitRequestTopicPartition()
			p.Partition, p.Offset, p.LeaderEpoch, p.Metadata = e.Partition, e.Offset, -1, &e.Metadata
			req.Topics[i].Partitions = append(req.Topics[i].Partitions, p)
		}
		resp, err := req.RequestWith(ctx, cl)
		if err != nil {
			return err
		}
		for _, t := range resp.Topics {
			for _, p := range t.Partitions {
				if err := kerr.ErrorForCode(p.ErrorCode); err != nil {
					return fmt.Errorf("offset of group %s on %s/%d: %w", group, t.Topic, p.Partition, err)
				}
			}
		}
	}
	return nil
}
