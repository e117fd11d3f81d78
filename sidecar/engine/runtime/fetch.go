package runtime

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Limits of what is fetched ahead. A partition is fetched again once less than
// bufferLimit of it waits, so a busy partition holds about two fetches.
const (
	fetchMax     = 2 << 20   // bytes of a response
	partitionMax = 512 << 10 // bytes of one partition in it
	bufferLimit  = 256 << 10
	longPoll     = 5 * time.Second
	shortPoll    = 5 * time.Millisecond // while a partition is full and will be wanted soon
	// Small fetches beyond a burst keep a distance, so that records that come one by
	// one, but often, are fetched together.
	fetchDistance = 2 * time.Millisecond
	fetchBurst    = 8
	fetchSmall    = 32 << 10 // bytes
)

type topicPartition struct {
	topic     string
	partition int32
}

func (t topicPartition) String() string { return fmt.Sprintf("%s-%d", t.topic, t.partition) }

// source is a partition that is read.
type source struct {
	topicPartition
	leader   int32
	next     int64        // the fetcher's: the offset to fetch
	buffered atomic.Int64 // bytes that are fetched and not yet processed
	wake     chan<- struct{}

	// The loop's:
	fetched int64 // the offset behind what has arrived
	stable  int64 // how far the partition went when it was last fetched
	known   bool  // it was fetched at least once
	queues  []*queue
}

// caughtUp tells that all that the partition held at the last fetch has arrived.
func (s *source) caughtUp() bool { return s.known && s.fetched >= s.stable }

// chunk is what one fetch brought of a partition.
type chunk struct {
	source *source
	data   []byte // whole batches
	aborts aborted
	next   int64 // the offset behind
	stable int64
	start  int64
	refs   int // queues that still read it
}

// release tells that one of the chunk's readers is done.
func (c *chunk) release() {
	if c.refs--; c.refs > 0 {
		return
	}
	if left := c.source.buffered.Add(-int64(len(c.data))); left < bufferLimit && c.source.wake != nil {
		select {
		case c.source.wake <- struct{}{}:
		default:
		}
	}
}

// fetcher reads partitions with long polls, one goroutine a broker. It asks for
// plain fetches rather than using the client's consumer, for it must know of
// each partition whether it is caught up: that is what time order waits for.
type fetcher struct {
	client *kgo.Client
	out    chan []*chunk
	errs   chan error
	cancel context.CancelFunc
	wg     sync.WaitGroup
}

// fetch starts reading the partitions at their next offsets. Close the fetcher.
func fetch(ctx context.Context, client *kgo.Client, sources []*source) *fetcher {
	f := &fetcher{client: client, out: make(chan []*chunk), errs: make(chan error, 1)}
	ctx, f.cancel = context.WithCancel(ctx)
	brokers := map[int32][]*source{}
	for _, s := range sources {
		brokers[s.leader] = append(brokers[s.leader], s)
	}
	for id, list := range brokers {
		wake := make(chan struct{}, 1)
		for _, s := range list {
			s.wake = wake
			s.fetched = s.next
		}
		f.wg.Add(1)
		go func() {
			defer f.wg.Done()
			if err := f.run(ctx, client.Broker(int(id)), list, wake); err != nil && ctx.Err() == nil {
				select {
				case f.errs <- err:
				default:
				}
			}
		}()
	}
	return f
}

// fetchRequest asks for the partitions that have room. A response is filled in
// the order of the request, so each turn begins with another partition.
func fetchRequest(list []*source, turn int) (req *kmsg.FetchRequest, full bool) {
	req = kmsg.NewPtrFetchRequest()
	req.MinBytes, req.MaxBytes, req.IsolationLevel = 1, fetchMax, 1
	for i := range list {
		s := list[(i+turn)%len(list)]
		if s.buffered.Load() >= bufferLimit {
			full = true
			continue
		}
		p := kmsg.NewFetchRequestTopicPartition()
		p.Partition, p.FetchOffset, p.PartitionMaxBytes = s.partition, s.next, partitionMax
		at := slices.IndexFunc(req.Topics, func(t kmsg.FetchRequestTopic) bool { return t.Topic == s.topic })
		if at < 0 { // a topic must not come up twice
			t := kmsg.NewFetchRequestTopic()
			t.Topic = s.topic
			at = len(req.Topics)
			req.Topics = append(req.Topics, t)
		}
		req.Topics[at].Partitions = append(req.Topics[at].Partitions, p)
	}
	return req, full
}

// sortSources brings a topic's partitions together, as requests need them.
func sortSources(list []*source) {
	slices.SortFunc(list, func(a, b *source) int {
		return cmp.Or(cmp.Compare(a.topic, b.topic), cmp.Compare(a.partition, b.partition))
	})
}

func (f *fetcher) close() {
	f.cancel()
	f.wg.Wait()
}

func (f *fetcher) run(ctx context.Context, broker *kgo.Broker, list []*source, wake <-chan struct{}) error {
	byName := map[topicPartition]*source{}
	for _, s := range list {
		byName[s.topicPartition] = s
	}
	pace := newPace(fetchDistance, fetchBurst)
	for turn := 0; ctx.Err() == nil; turn++ {
		req, full := fetchRequest(list, turn)
		if len(req.Topics) == 0 {
			select {
			case <-wake:
			case <-ctx.Done():
			}
			continue
		}
		req.MaxWaitMillis = int32(longPoll.Milliseconds())
		if full {
			req.MaxWaitMillis = int32(shortPoll.Milliseconds())
		}
		raw, err := broker.RetriableRequest(ctx, req)
		if err != nil {
			return fmt.Errorf("fetch: %w", err)
		}
		resp := raw.(*kmsg.FetchResponse)
		if err := kerr.ErrorForCode(resp.ErrorCode); err != nil {
			return fmt.Errorf("fetch: %w", err)
		}
		chunks := make([]*chunk, 0, len(list))
		size := 0
		for i := range resp.Topics {
			for j := range resp.Topics[i].Partitions {
				p := &resp.Topics[i].Partitions[j]
				s := byName[topicPartition{resp.Topics[i].Topic, p.Partition}]
				if s == nil {
					continue
				}
				if err := kerr.ErrorForCode(p.ErrorCode); err != nil {
					return fmt.Errorf("fetch %s@%d: %w", s, s.next, err)
				}
				c := &chunk{source: s, aborts: p.AbortedTransactions, stable: p.LastStableOffset, start: s.next}
				if c.stable < 0 {
					c.stable = p.HighWatermark
				}
				if c.next, c.data, err = batchesEnd(p.RecordBatches, s.next); err != nil {
					return fmt.Errorf("fetch %s@%d: %w", s, s.next, err)
				}
				s.next = c.next
				s.buffered.Add(int64(len(c.data)))
				size += len(c.data)
				chunks = append(chunks, c)
			}
		}
		select {
		case f.out <- chunks:
		case <-ctx.Done():
			return nil
		}
		if size > fetchSmall {
			continue
		}
		if d := pace.wait(time.Now()); d > 0 {
			select {
			case <-time.After(d):
			case <-ctx.Done():
			}
		}
		pace.take()
	}
	return nil
}
