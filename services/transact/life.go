package transact

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/confluentinc/confluent-kafka-go/v2/kafka"
)

const (
	// idlePoll bounds how late a stop is noticed.
	idlePoll = 100 * time.Millisecond
	// lazyCommit is how long offsets wait for their commit if the records had
	// no effect: passing by what one doesn't want must cost no transaction.
	lazyCommit = time.Second
)

// life is one pair of clients, from their making to the error that ends them.
type life struct {
	r         *Runner
	ctx, hard context.Context
	consumer  *kafka.Consumer
	producer  *kafka.Producer
	admin     *kafka.AdminClient
	logs      chan kafka.LogEvent
	topics    map[string]topic
	tasks     map[int32]*task
	batch     *batch         // processed, not committed; nil if there is nothing
	acked     []atomic.Int64 // by partition: the changelog offset behind the last report
	produced  int64          // records given to the producer
	reports   atomic.Int64   // delivery reports that came
	reported  chan struct{}  // wakes who waits for them
	settled   bool           // what Config.First held back for is processed and committed
	nextTick  time.Time
	aborts    int         // in a row
	fault     error       // of a rebalance; ends the life
	lost      bool        // the consumer told a fatal error
	worked    bool        // something was committed
	closing   atomic.Bool // what was not committed is processed again by the next life
	brokerOut atomic.Bool // reported
	waiting   sync.WaitGroup
}

// task is a partition of all inputs and of the state.
type task struct {
	partition int32
	store     *store
	next      map[string]int64  // by input: the first offset not committed
	overlay   map[string]change // the state's changes that are not committed
	first     map[string]int64  // by input of Config.First that isn't read up to there yet
	base      int64             // changelog offset up to which the store was restored
}

// batch is what the next transaction will hold.
type batch struct {
	began   time.Time
	records map[string]int // by topic
	oldest  time.Time      // timestamp of the first record
	count   int
	next    map[int32]map[string]int64 // by task and input: the offset to commit
	outputs []Record
}

// live makes the clients, works, and returns when ctx is done (nil), or with
// the error that ended it. It tells whether it was a good life: something was
// committed, and nobody took its name.
func (r *Runner) live(ctx, hard context.Context, first bool) (worked bool, err error) {
	l := &life{r: r, ctx: ctx, hard: hard, tasks: map[int32]*task{}, logs: make(chan kafka.LogEvent, 1000), reported: make(chan struct{}, 1)}
	defer func() { worked = l.worked && !l.lost }()
	logged := make(chan struct{})
	over := make(chan struct{})
	go func() { passLogs(l.logs, over, r.log); close(logged) }()
	defer func() { close(over); <-logged }()

	if l.producer, err = r.newProducer(l.logs); err != nil {
		return false, &stopError{fmt.Errorf("the Kafka client refuses its configuration: %w", err)}
	}
	defer l.closeProducer()
	l.waiting.Add(1)
	go func() { defer l.waiting.Done(); l.readReports() }()
	if l.admin, err = kafka.NewAdminClientFromProducer(l.producer); err != nil {
		return false, err
	}
	defer l.admin.Close()

	if err := l.findTopics(first); err != nil {
		return false, err
	}
	if err := retry(l.ctx, l.producer.InitTransactions); err != nil {
		return false, fmt.Errorf("begin as the producer %s-%s: %w", r.cfg.Name, r.instance, err)
	}
	if l.consumer, err = r.newConsumer(l.logs); err != nil {
		return false, &stopError{fmt.Errorf("the Kafka client refuses its configuration: %w", err)}
	}
	defer l.closeConsumer()
	if err := l.consumer.SubscribeTopics(r.cfg.Inputs, l.rebalance); err != nil {
		return false, fmt.Errorf("subscribe: %w", err)
	}
	err = l.loop()
	r.setReady(false)
	if err != nil && ctx.Err() == nil {
		r.log.Info("closing the Kafka clients", "because", err)
	}
	return false, err
}

// findTopics learns about the topics and checks them.
func (l *life) findTopics(first bool) error {
	ctx, cancel := l.ctx, context.CancelFunc(func() {})
	if first {
		ctx, cancel = context.WithTimeout(ctx, l.r.cfg.StartTimeout)
	}
	defer cancel()
	var err error
	if l.topics, err = l.r.describe(ctx, l.admin); err != nil {
		switch {
		case l.ctx.Err() != nil:
			return l.ctx.Err()
		case errors.Is(err, errMissing):
			return &stopError{err}
		case first:
			return &stopError{fmt.Errorf("no Kafka broker answers at %s (%w); is it running, and is KAFKA_BOOTSTRAP_SERVERS right?", l.r.cfg.Brokers, err)}
		}
		return err
	}
	if err := l.r.check(l.topics); err != nil {
		return &stopError{err}
	}
	l.acked = make([]atomic.Int64, l.topics[l.r.cfg.Inputs[0]].partitions)
	return nil
}

// readReports notes how far the changelog is written, until the producer closes.
func (l *life) readReports() {
	for e := range l.producer.Events() {
		switch e := e.(type) {
		case *kafka.Message:
			tp := e.TopicPartition // reports of a partition come in order
			if tp.Error == nil && tp.Topic != nil && *tp.Topic == l.r.cfg.Changelog {
				l.acked[tp.Partition].Store(int64(tp.Offset) + 1)
			}
			l.reports.Add(1)
			select {
			case l.reported <- struct{}{}:
			default:
			}
		case kafka.Error:
			if e.Code() == kafka.ErrAllBrokersDown {
				l.brokersDown()
			}
			l.r.log.Debug("kafka producer", "error", e)
		}
	}
}

// brokersDown says once that the broker is away. Both clients notice it.
func (l *life) brokersDown() {
	if l.brokerOut.CompareAndSwap(false, true) {
		l.r.log.Warn("no Kafka broker can be reached; trying on", "brokers", l.r.cfg.Brokers)
	}
}

// closePatience is how long a consumer may take to close.
const closePatience = 5 * time.Second

// closeConsumer closes the consumer, or leaves it behind when it can't be closed:
// after a fatal error (a broker that took it for another one of its name)
// librdkafka refuses to begin the end for which confluent-kafka-go's Close then
// waits for ever. What stays is some memory and a few threads that do nothing:
// the fatal error has taken it out of its group.
func (l *life) closeConsumer() {
	l.closing.Store(true)
	l.r.m.partitions.Set(0)
	closed := make(chan error, 1)
	go func() { closed <- l.consumer.Close() }()
	patience := closePatience
	if l.lost {
		patience = time.Second // for the good of what it may still do
	}
	select {
	case err := <-closed:
		if err != nil {
			l.r.log.Warn("closing the consumer", "error", err)
		}
	case <-time.After(patience):
		l.r.left++
		l.r.m.left.Inc()
		l.r.log.Error("a consumer that can't be closed is left behind; work goes on with a new one", "after", patience)
	}
}

func (l *life) closeProducer() {
	// Anything still queued belongs to a transaction that won't commit.
	_ = l.producer.Purge(kafka.PurgeQueue | kafka.PurgeInFlight | kafka.PurgeNonBlocking)
	l.producer.Close()
	l.waiting.Wait()
}

// loop polls, processes, ticks and commits.
func (l *life) loop() error {
	ticker, ticks := l.r.p.(Ticker)
	l.nextTick = time.Now().Add(l.r.cfg.TickEvery)
	for l.ctx.Err() == nil {
		if err := l.handle(l.consumer.Poll(l.pollTime(ticks))); err != nil {
			return err
		}
		// Take what has been fetched already into the same transaction.
		for l.batch != nil && l.batch.count < l.r.cfg.MaxBatch && time.Since(l.batch.began) < l.r.cfg.CommitInterval {
			ev := l.consumer.Poll(0)
			if ev == nil {
				break
			}
			if err := l.handle(ev); err != nil {
				return err
			}
		}
		if now := time.Now(); ticks && now.After(l.nextTick) {
			l.nextTick = now.Add(l.r.cfg.TickEvery)
			if err := l.tick(ticker, now); err != nil {
				return err
			}
		}
		if l.batch != nil && (l.effective() || time.Since(l.batch.began) > lazyCommit) {
			if err := l.commit(); err != nil {
				return err
			}
		}
	}
	return l.handOver()
}

// handOver ends what is under way for the partitions and commits it.
func (l *life) handOver() error {
	if h, ok := l.r.p.(Holder); ok && len(l.tasks) > 0 {
		h.Release()
		if ticker, ok := l.r.p.(Ticker); ok {
			if err := l.tick(ticker, time.Now()); err != nil {
				return err
			}
		}
	}
	if l.batch != nil {
		return l.commit()
	}
	return nil
}

func (l *life) pollTime(ticks bool) int {
	d := idlePoll
	if ticks {
		d = min(d, time.Until(l.nextTick))
	}
	return int(max(0, d.Milliseconds()))
}

// effective tells whether the batch has more than offsets.
func (l *life) effective() bool {
	if len(l.batch.outputs) > 0 {
		return true
	}
	for _, t := range l.tasks {
		if len(t.overlay) > 0 {
			return true
		}
	}
	return l.batch.count >= l.r.cfg.MaxBatch
}

func (l *life) handle(ev kafka.Event) error {
	if l.fault != nil {
		return l.fault
	}
	switch e := ev.(type) {
	case *kafka.Message:
		l.brokerOut.Store(false)
		if err := l.process(e); err != nil {
			return err
		}
		e.TopicPartition.Offset++
		return l.caughtUp(e.TopicPartition)
	case kafka.PartitionEOF:
		return l.caughtUp(kafka.TopicPartition(e))
	case kafka.Error:
		switch {
		case e.IsFatal():
			l.lost = true
			return fmt.Errorf("consumer: %w", e)
		case e.Code() == kafka.ErrAllBrokersDown:
			l.brokersDown()
		case e.Code() == kafka.ErrMaxPollExceeded:
			return fmt.Errorf("consumer: %w", e)
		case e.Code() == kafka.ErrUnknownTopicOrPart:
			l.r.log.Warn("an input topic is gone", "error", e)
		default:
			l.r.log.Debug("kafka consumer", "error", e)
		}
	}
	return nil
}

func (l *life) open(now time.Time) *batch {
	if l.batch == nil {
		l.batch = &batch{began: now, records: map[string]int{}, next: map[int32]map[string]int64{}}
	}
	return l.batch
}

func (l *life) process(m *kafka.Message) error {
	tp := m.TopicPartition
	t := l.tasks[tp.Partition]
	if t == nil || tp.Error != nil {
		return nil
	}
	now := time.Now()
	b := l.open(now)
	rec := Record{Topic: *tp.Topic, Partition: tp.Partition, Offset: int64(tp.Offset), Key: m.Key, Value: m.Value, Time: m.Timestamp}
	for _, h := range m.Headers {
		rec.Headers = append(rec.Headers, Header{Key: h.Key, Value: h.Value})
	}
	tx := &Tx{task: t, batch: b, now: now, time: m.Timestamp, outputs: len(b.outputs)}
	if err := l.r.p.Process(tx, rec); err != nil {
		if !IsPoison(err) {
			return &stopError{fmt.Errorf("%s[%d] offset %d: %w", rec.Topic, rec.Partition, rec.Offset, err)}
		}
		tx.rollback()
		tx.bad = err
	}
	if tx.bad != nil {
		l.r.m.poison.WithLabelValues(rec.Topic).Inc()
		l.r.log.Warn("bad record passed by", "topic", rec.Topic, "partition", rec.Partition, "offset", rec.Offset, "error", tx.bad)
	}
	if b.count == 0 {
		b.oldest = m.Timestamp
	}
	b.count++
	b.records[rec.Topic]++
	next := b.next[t.partition]
	if next == nil {
		next = map[string]int64{}
		b.next[t.partition] = next
	}
	next[rec.Topic] = rec.Offset + 1
	return nil
}

func (l *life) tick(ticker Ticker, now time.Time) error {
	for _, n := range slices.Sorted(maps.Keys(l.tasks)) {
		b := l.open(now)
		tx := &Tx{task: l.tasks[n], batch: b, now: now, time: now, outputs: len(b.outputs)}
		if err := ticker.Tick(tx); err != nil {
			if !IsPoison(err) {
				return &stopError{fmt.Errorf("tick of partition %d: %w", n, err)}
			}
			tx.rollback()
			l.r.log.Warn("a tick failed and is passed by", "partition", n, "error", err)
		}
		if len(tx.undo) > 0 || len(b.outputs) > tx.outputs {
			if b.next[n] == nil {
				// A tick's transaction carries offsets too: they fence zombies.
				b.next[n] = map[string]int64{}
			}
		}
	}
	if l.batch != nil && len(l.batch.next) == 0 {
		l.batch = nil
	}
	return nil
}
