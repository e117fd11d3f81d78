package transact

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Header is one header of a record. A nil Value is a null.
type Header struct {
	Key   string
	Value []byte
}

// Record is one record of a topic. Nil Key or Value is Kafka's null; a null
// Value is a tombstone on a compacted topic.
//
// Of an input all fields are set. Of an output Partition and Offset are
// ignored, and a zero Time means the time of the record being processed.
type Record struct {
	Topic      string
	Partition  int32
	Offset     int64
	Key, Value []byte
	Time       time.Time
	Headers    []Header
}

// State is the key-value map of one partition. Keys and values that it returns
// are valid until the call of Process or Tick ends, and must not be changed.
// It keeps what it is given: the caller must not change that either.
type State interface {
	Get(key []byte) ([]byte, bool)
	Put(key, value []byte)
	Delete(key []byte)
	// Range calls fn for every key in [from, to) in order until fn returns
	// false; nil bounds are open. fn must not change the state.
	Range(from, to []byte, fn func(k, v []byte) bool)
}

// Processor handles one record. What it changes and emits through tx commits
// together with the record's offset. An error stops the Runner, except for a
// Poison error: then nothing that this call did is kept, and the record is
// logged, counted and passed by.
type Processor interface {
	Process(tx *Tx, r Record) error
}

// ProcessorFunc is a function that is a Processor.
type ProcessorFunc func(tx *Tx, r Record) error

// Process calls f.
func (f ProcessorFunc) Process(tx *Tx, r Record) error { return f(tx, r) }

// Ticker may be implemented by a Processor: Tick is called for each owned
// partition every Config.TickEvery. Its changes and outputs commit in a
// transaction; without any there is none. Errors are those of Process.
type Ticker interface {
	Tick(tx *Tx) error
}

// Holder may be implemented by a Processor that has work under way outside of
// its calls, for partitions that it holds. Both run on the Runner's goroutine.
type Holder interface {
	// Take tells which partitions this instance holds now, with their state
	// restored, before anything of them is processed. Those that it held before
	// and that are not among them are another's.
	Take(partitions []int32)
	// Release is called before partitions are given up, at a rebalance or a stop:
	// it waits for the work to end. A last Tick follows, whose effects are
	// committed. It may be called more than once, and isn't when the partitions
	// are lost already.
	Release()
}

// Config says what a Runner reads and how. Name, Brokers and Inputs are needed.
type Config struct {
	// Name is the consumer group, and the first part of the transactional id.
	Name string
	// Brokers is a list of host:port, divided by commas.
	Brokers string
	// Inputs are the topics to read. All have the same number of partitions.
	Inputs []string
	// First are those of the Inputs that are read first: when a partition is
	// taken over, its other inputs wait until these have been processed up to
	// the end that they had then. It is for tables that the rest is looked up
	// in. Afterwards all inputs are read as they come.
	First []string
	// Changelog is the compacted topic that holds the state, with as many
	// partitions as the inputs. Without it the processor has no state.
	Changelog string
	// Outputs are the topics that the processor emits to; they only have to
	// exist. A start fails if one doesn't.
	Outputs []string
	// StateDir is where the local store lies. Without it the store is in
	// memory, and a start reads the whole changelog.
	StateDir string
	// InstanceID is the stable name of this replica. A replica that is killed
	// and comes back under the same name takes its partitions up at once;
	// without a name the others wait for the session (6 s) and for its open
	// transaction (10 s) to time out.
	InstanceID string
	// TickEvery is how often Tick is called (default 1 s; see Ticker).
	TickEvery time.Duration
	// CommitInterval is the longest time that a transaction stays open while
	// there is more input (default 50 ms).
	CommitInterval time.Duration
	// MaxBatch is the most records in one transaction (default 1000).
	MaxBatch int
	// StartTimeout is how long the broker may be away at start (default 15 s).
	StartTimeout time.Duration
	Logger       *slog.Logger          // default slog.Default()
	Registerer   prometheus.Registerer // where the metrics go; nil: nowhere
	// OnCommit is told the outputs of each committed transaction, in order.
	// It runs between two transactions and must not block. After a crash
	// between commit and call it isn't called: it is for waking waiters, not
	// for work that must not be lost.
	OnCommit func([]Record)
	// Kafka is further configuration for every client (TLS, SASL), by
	// librdkafka's names.
	Kafka map[string]string
}

func (c *Config) complete() error {
	switch {
	case c.Name == "":
		return errors.New("transact: Config.Name (the consumer group) is empty")
	case c.Brokers == "":
		return errors.New("transact: Config.Brokers is empty; give host:port of a Kafka broker")
	case len(c.Inputs) == 0:
		return errors.New("transact: Config.Inputs is empty; name at least one topic")
	}
	for _, f := range c.First {
		if !slices.Contains(c.Inputs, f) {
			return fmt.Errorf("transact: %s is in Config.First but not in Config.Inputs", f)
		}
	}
	if c.TickEvery <= 0 {
		c.TickEvery = time.Second
	}
	if c.CommitInterval <= 0 {
		c.CommitInterval = 50 * time.Millisecond
	}
	if c.MaxBatch <= 0 {
		c.MaxBatch = 1000
	}
	if c.StartTimeout <= 0 {
		c.StartTimeout = 15 * time.Second
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	return nil
}

// Run processes until ctx is done, then finishes the records in hand, commits
// and returns nil. See Runner.Run for the errors.
func Run(ctx context.Context, cfg Config, p Processor) error {
	r, err := New(cfg, p)
	if err != nil {
		return err
	}
	return r.Run(ctx)
}

type poisonError struct{ err error }

func (p *poisonError) Error() string { return p.err.Error() }
func (p *poisonError) Unwrap() error { return p.err }

// Poison marks err as one of the record itself, that no retry can cure.
func Poison(err error) error { return &poisonError{err} }

// Poisonf is Poison of a formatted error.
func Poisonf(format string, args ...any) error { return &poisonError{fmt.Errorf(format, args...)} }

// IsPoison tells whether err was made by Poison.
func IsPoison(err error) bool {
	var p *poisonError
	return errors.As(err, &p)
}
