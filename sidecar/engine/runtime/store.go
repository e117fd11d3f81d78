package runtime

import (
	"context"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"

	"github.com/sidestream/sidestream/sidecar/engine/plan"
	"github.com/sidestream/sidestream/sidecar/engine/state/disk"
)

// Keys on disk. A query's id and a store's name hold no zero byte.
//
//	d id 0 store 0 partition ‖ key → value
//	m id 0 store 0 partition ‖ topic 0 partition → topic id ‖ offset: how far of its changelog a store holds
func storePrefix(kind byte, id, name string, partition int32) []byte {
	b := append([]byte{kind}, id...)
	b = append(append(append(b, 0), name...), 0)
	return binary.BigEndian.AppendUint32(b, uint32(partition))
}

// wipe removes all that a query keeps on disk.
func (r *Runtime) wipe(id string) error {
	for _, kind := range []byte{'d', 'm'} {
		if err := r.disk.Wipe(append(append([]byte{kind}, id...), 0)); err != nil {
			return err
		}
	}
	return nil
}

// store is the store of a task.
type store struct {
	plan  *plan.Store
	table *disk.Table
	data  []byte // its prefix on disk
	meta  []byte
	logs  []*storeLog
	log   *outPartition // its changelog; nil when its source is one
}

// storeLog is a partition that a store can be restored from: of its changelog,
// or of the topics it is a copy of.
type storeLog struct {
	topicPartition
	id    kadm.TopicID
	queue *queue // that the task reads it by, of a store without a changelog
	held  int64  // the store holds what is below; -1 for nothing
	key   []byte
}

func (s *store) addLog(tp topicPartition, id kadm.TopicID, in *queue) {
	key := append(append([]byte(nil), s.meta...), tp.topic...)
	key = binary.BigEndian.AppendUint32(append(key, 0), uint32(tp.partition))
	s.logs = append(s.logs, &storeLog{topicPartition: tp, id: id, queue: in, held: -1, key: key})
}

// load reads how far the store on disk got.
func (l *storeLog) load(d *disk.Disk) error {
	v, ok, err := d.Get(nil, l.key)
	if err != nil {
		return err
	}
	l.held = -1
	if ok && len(v) == 24 && kadm.TopicID(v[:16]) == l.id {
		l.held = int64(binary.BigEndian.Uint64(v[16:]))
	}
	return nil
}

// hold writes into a batch how far the store gets with it.
func (l *storeLog) hold(b *disk.Batch, offset int64) error {
	if offset <= l.held {
		return nil
	}
	l.held = offset
	return b.Set(l.key, binary.BigEndian.AppendUint64(append(make([]byte, 0, 24), l.id[:]...), uint64(offset)))
}

// record writes the changes to the changelog. Its records carry the wall clock:
// retention then counts from when a window was last changed, however old it is.
func (s *store) record(ctx context.Context, p *producer) error {
	if s.log == nil {
		return nil
	}
	now := time.Now().UnixMilli()
	return s.table.Changes(func(key, value []byte, deleted bool) error {
		if deleted {
			value = nil
		} else if value == nil {
			value = []byte{}
		}
		if key == nil { // a compacted topic takes an empty key, but no null
			key = []byte{}
		}
		return p.add(ctx, s.log, key, value, now, nil)
	})
}

// settle puts what was committed into a batch.
func (s *store) settle(b *disk.Batch) error {
	if err := s.table.Apply(b); err != nil {
		return err
	}
	if s.log != nil {
		if s.log.end >= 0 {
			return s.logs[0].hold(b, s.log.end)
		}
		return nil
	}
	for _, l := range s.logs {
		if err := l.hold(b, l.queue.pos); err != nil {
			return fmt.Errorf("store %s: %w", s.plan.Name, err)
		}
	}
	return nil
}

// done is the offset below which all of a partition has been processed.
func (s *source) done() int64 {
	low := s.queues[0].pos
	for _, q := range s.queues[1:] {
		low = min(low, q.pos)
	}
	return low
}
