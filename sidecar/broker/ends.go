package broker

import (
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"sync"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// endFile holds the offset that a partition's next record had when records were
// last deleted from it.
const endFile = "end"

// ends remembers where partitions end. kfake takes that from the records that
// are there: once all of a partition's are deleted, by hand or by retention, a
// restart would begin at offset 0 again, before what its readers have committed.
type ends struct {
	dir string
	mu  sync.Mutex
}

// note writes down the ends of a topic's partitions.
func (e *ends) note(c *kfake.Cluster, topic string) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, info := range c.PartitionInfos(topic) {
		p := openPartition(e.dir, topic, info.Partition)
		path := filepath.Join(p.dir, endFile)
		end := strconv.FormatInt(info.HighWatermark, 10)
		if before, err := os.ReadFile(path); info.HighWatermark == 0 || err == nil && string(before) == end {
			continue
		}
		if err := replaceFile(path, []byte(end)); err != nil && !os.IsNotExist(err) { // the topic was deleted
			return err
		}
	}
	return nil
}

// noteAll does so for all topics.
func (e *ends) noteAll(c *kfake.Cluster) error {
	topics, err := readTopics(e.dir)
	for _, t := range topics {
		err = errors.Join(err, e.note(c, t.Name))
	}
	return err
}

// watch has the ends noted before kfake deletes records.
func (e *ends) watch(c *kfake.Cluster, fail func(error)) {
	c.ControlKey(int16(kmsg.DeleteRecords), func(kreq kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		req := kreq.(*kmsg.DeleteRecordsRequest)
		for _, t := range req.Topics {
			if err := e.note(c, t.Topic); err != nil {
				fail(fmt.Errorf("broker: the end of topic %s can't be noted; its records aren't deleted: %w", t.Topic, err))
				return refuseDeletion(req), nil, true
			}
		}
		return nil, nil, false
	})
}

func refuseDeletion(req *kmsg.DeleteRecordsRequest) kmsg.Response {
	resp := req.ResponseKind().(*kmsg.DeleteRecordsResponse)
	for _, t := range req.Topics {
		rt := kmsg.NewDeleteRecordsResponseTopic()
		rt.Topic = t.Topic
		for _, p := range t.Partitions {
			rp := kmsg.NewDeleteRecordsResponseTopicPartition()
			rp.Partition, rp.LowWatermark, rp.ErrorCode = p.Partition, -1, kerr.KafkaStorageError.Code
			rt.Partitions = append(rt.Partitions, rp)
		}
		resp.Topics = append(resp.Topics, rt)
	}
	return resp
}

// fillEmptied puts a batch that readers pass by at the end of every partition
// that has no records any more, for kfake to go on from.
func fillEmptied(dir string) error {
	topics, err := readTopics(dir)
	if err != nil {
		return err
	}
	for _, t := range topics {
		for i := range t.Partitions {
			if err := openPartition(dir, t.Name, i).fillEmptied(); err != nil {
				return err
			}
		}
	}
	return nil
}

func (p *partition) fillEmptied() error {
	raw, err := os.ReadFile(filepath.Join(p.dir, endFile))
	if os.IsNotExist(err) {
		return nil
	}
	if err != nil {
		return err
	}
	end, err := strconv.ParseInt(string(raw), 10, 64)
	if err != nil {
		return fmt.Errorf("%s: %w", filepath.Join(p.dir, endFile), err)
	}
	bases, err := p.segments()
	if err != nil {
		return err
	}
	for _, base := range bases {
		if info, err := os.Stat(p.file(base, ".dat")); err != nil || info.Size() > 0 {
			return err
		}
	}
	// A marker of nobody's transaction: every client knows such batches.
	b := marker(math.MaxInt64, 0, false)
	b.FirstOffset = end - 1
	if err := replaceFile(p.file(end-1, ".idx"), appendIndex(nil, 0, b.MaxTimestamp, false)); err != nil {
		return err
	}
	return replaceFile(p.file(end-1, ".dat"), encodeBatch(b))
}
