// Package broker is the embedded Kafka broker: franz-go's kfake with what it
// needs to be relied on while developing, testing and demonstrating.
//
// In: a data directory and an address. Out: a Kafka protocol listener that any
// client can use, and a directory that a later process opens again.
//
// # What this package adds
//
//   - The data directory is locked: a second process gets a clear error.
//   - It may be killed at any moment (SIGKILL, crash). The end of a transaction is
//     written to a journal before kfake carries it out; the next start finishes what
//     was begun, aborts every other open transaction, tells their producers so, and
//     finds the sequence numbers of producers again, before clients are let in. With
//     kfake alone a commit could be cut in two, uncommitted records would show as
//     committed after a later restart, and a batch could be there twice.
//   - The offsets of a partition go on when all of its records were deleted.
//   - A static group member whose membership a kill took away is unknown, and not
//     fenced by its own name.
//   - Compaction and retention run by a ticker of ours: kfake's own one doesn't
//     run after a restart.
//   - Topic names and topic configs that Apache Kafka refuses are refused.
//   - The committed offsets of a group that doesn't exist yet are "none", as on
//     Apache Kafka, and no error.
//
// # Limits
//
// This is a broker for development, tests and demonstrations, not for
// production data:
//
//   - One node, no replication. Nothing survives the loss of the directory. Unless
//     Config.SyncWrites is set, a power loss (not a killed process) can lose the
//     last records.
//   - After a kill, the members of consumer groups have to join again, records that
//     were deleted by hand may show again, and share groups begin anew.
//   - It advertises one address: the one that it listens on (127.0.0.1 as a rule), or
//     the name that it is given (Config.Advertise).
//   - It keeps an index entry of about 170 bytes a batch in memory, and reads all
//     its data when it starts: set a retention on what grows.
//   - Retention cuts a partition at its newest expired batch: a record that comes
//     with an event time older than the topic's retention takes those before it
//     along when the ticker runs. Topics that are only compacted are made with
//     retention.ms=-1, or they would lose their oldest keys.
//   - The last batch of a partition is never compacted; min.cleanable.dirty.ratio
//     and the compaction lags are accepted without effect; quotas are stored and
//     not enforced; there are no delegation tokens.
//   - A CreateTopics request with one topic that is refused is refused as a whole.
//
// # Files
//
//	broker.go     opening, closing, the ticker
//	fence.go      what Apache Kafka refuses, or answers otherwise
//	journal.go    the intents to end transactions
//	tap.go        shows the journal what kfake has answered
//	recovery.go   what follows a kill; producers.go, windows.go: parts of it
//	compact.go    compaction that a kill, or an abort, does no harm
//	ends.go       where emptied partitions go on
//	disk.go       kfake's files
//
// Next: sidestream broker and sidestream dev open it, tests open it in-process,
// package deploy makes topics on it.
package broker

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/gofrs/flock"
	"github.com/twmb/franz-go/pkg/kfake"
)

// DefaultPartitions is the number of partitions of a topic that is made without
// saying how many.
const DefaultPartitions = 4

const (
	lockFile  = ".lock"
	cleanFile = ".clean"
)

// Config says where the broker keeps its data and listens.
type Config struct {
	// Dir is the data directory; it is made when missing. Required.
	Dir string
	// Addr is "host:port"; port 0 takes a free one. Empty: 127.0.0.1:0.
	Addr string
	// Advertise is the "host:port" that clients are told to connect to, when that is
	// a name that leads here; empty: the address that is listened on. With it Addr
	// may be all interfaces.
	Advertise string
	// Partitions of topics made without a number; 0: DefaultPartitions.
	Partitions int
	// Clean is how often compaction and retention run; 0: every 5 minutes, negative:
	// never.
	Clean time.Duration
	// SyncWrites puts every batch on the disk before it is acknowledged.
	SyncWrites bool
	// Security closes the broker; the zero value leaves it open.
	Security Security
	// Log gets warnings and what recovery did; nil: slog.Default().
	Log *slog.Logger
}

// Broker is a running broker.
type Broker struct {
	cfg     Config
	cluster *kfake.Cluster
	journal *journal
	ends    *ends
	lock    *flock.Flock
	log     *clusterLog
	addr    string // that clients are told
	listens string

	stop       chan struct{}
	cleaner    sync.WaitGroup
	compacting sync.Mutex
	close      sync.Once
	err        error
}

// Open locks the directory, recovers it if the last process didn't close it,
// and listens. The context bounds the start only.
func Open(ctx context.Context, cfg Config) (*Broker, error) {
	if err := cfg.fill(); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(cfg.Dir, 0o755); err != nil {
		return nil, fmt.Errorf("broker: data directory %s can't be made: %w", cfg.Dir, err)
	}
	lock, err := lockDir(cfg.Dir)
	if err != nil {
		return nil, err
	}
	b := &Broker{cfg: cfg, lock: lock, log: &clusterLog{log: cfg.Log}, stop: make(chan struct{})}
	if err := b.open(ctx); err != nil {
		return nil, errors.Join(err, lock.Unlock())
	}
	if cfg.Clean > 0 {
		b.cleaner.Go(b.clean)
	}
	return b, nil
}

func (c *Config) fill() error {
	if c.Dir == "" {
		return errors.New("broker: a data directory is needed (Config.Dir)")
	}
	if c.Addr == "" {
		c.Addr = "127.0.0.1:0"
	}
	if c.Partitions == 0 {
		c.Partitions = DefaultPartitions
	}
	if c.Partitions < 1 {
		return fmt.Errorf("broker: %d default partitions: give 1 or more", c.Partitions)
	}
	if c.Clean == 0 {
		c.Clean = 5 * time.Minute
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}
	if err := c.Security.check(); err != nil {
		return err
	}
	host, _, err := net.SplitHostPort(c.Addr)
	if err != nil {
		return fmt.Errorf("broker: address %q: %w; give host:port, as in 127.0.0.1:9092", c.Addr, err)
	}
	if c.Advertise != "" {
		if host, port, err := net.SplitHostPort(c.Advertise); err != nil || host == "" || port == "" {
			return fmt.Errorf("broker: advertised address %q: give host:port, as in kafka:9092", c.Advertise)
		}
		return nil
	}
	if ip := net.ParseIP(host); host == "" || (ip != nil && ip.IsUnspecified()) {
		return fmt.Errorf("broker: address %q: clients are told to connect to the address that is listened on, so it must be a concrete one, as in 127.0.0.1:9092; or give Advertise", c.Addr)
	}
	return nil
}

// lockDir takes the directory for this process.
func lockDir(dir string) (*flock.Flock, error) {
	path := filepath.Join(dir, lockFile)
	lock := flock.New(path)
	ok, err := lock.TryLock()
	if err != nil {
		return nil, fmt.Errorf("broker: data directory %s can't be locked: %w", dir, err)
	}
	if !ok {
		who := "pid unknown"
		if pid, err := os.ReadFile(path); err == nil && len(pid) > 0 {
			who = "pid " + strings.TrimSpace(string(pid))
		}
		return nil, fmt.Errorf("broker: data directory %s is in use by another sidestream process (%s); stop it or choose another directory", dir, who)
	}
	// The pid is only for the message above.
	if err := os.WriteFile(path, []byte(strconv.Itoa(os.Getpid())+"\n"), 0o644); err != nil {
		return nil, errors.Join(fmt.Errorf("broker: %s can't be written: %w", path, err), lock.Unlock())
	}
	return lock, nil
}

func (b *Broker) open(ctx context.Context) error {
	// The port is taken before anything else is done, so that a port in use is
	// told at once; clients that connect meanwhile wait in its queue.
	ln, err := net.Listen("tcp", b.cfg.Addr)
	if err != nil {
		if errors.Is(err, syscall.EADDRINUSE) {
			return fmt.Errorf("broker: %s is in use by another process; stop it or choose another port", b.cfg.Addr)
		}
		return fmt.Errorf("broker: can't listen on %s: %w", b.cfg.Addr, err)
	}
	b.listens = ln.Addr().String()
	if b.cfg.Advertise != "" {
		ln = &advertised{ln, b.cfg.Advertise}
	}
	b.addr = ln.Addr().String()

	if err := b.serve(ctx, ln); err != nil {
		return errors.Join(err, ln.Close())
	}
	return nil
}

// serve recovers the directory if that is needed, and serves it.
func (b *Broker) serve(ctx context.Context, ln net.Listener) error {
	clean := filepath.Join(b.cfg.Dir, cleanFile)
	recovered := exists(filepath.Join(b.cfg.Dir, metaFile)) && !exists(clean)
	if recovered {
		if err := b.recover(ctx); err != nil {
			return err
		}
	} else if topics, err := readTopics(b.cfg.Dir); err != nil {
		return fmt.Errorf("broker: %w", err)
	} else if err := b.unkeep(topics); err != nil {
		return fmt.Errorf("broker: %w", err)
	}
	if err := fillEmptied(b.cfg.Dir); err != nil {
		return fmt.Errorf("broker: %w", err)
	}
	b.ends = &ends{dir: b.cfg.Dir}
	var err error
	if b.journal, err = openJournal(b.cfg.Dir, b.cfg.SyncWrites); err != nil {
		return err
	}
	if err := removeFile(clean); err != nil {
		return errors.Join(fmt.Errorf("broker: %w", err), b.journal.close())
	}
	if err := syncDir(b.cfg.Dir); err != nil {
		return errors.Join(err, b.journal.close())
	}
	if err := forgetUsers(b.cfg.Dir); err != nil {
		return errors.Join(err, b.journal.close())
	}
	if b.cfg.Security.TLS != nil {
		ln = tls.NewListener(ln, b.cfg.Security.TLS) // by us, for the tap to see what is in it
	}
	t := &tap{Listener: ln, keys: journaled, answered: b.journal.answered, sasl: len(b.cfg.Security.Users) > 0, hold: make(chan struct{})}
	defer close(t.hold) // clients come in when all is in place
	closed := append(b.cfg.Security.options(), kfake.ListenFn(func(_, _ string) (net.Listener, error) { return t, nil }))
	cluster, err := b.newCluster(closed...)
	if err != nil {
		return errors.Join(fmt.Errorf("broker: data directory %s: %w", b.cfg.Dir, err), b.journal.close())
	}
	if recovered {
		if err := nothingHidden(b.cfg.Dir, cluster); err != nil {
			return errors.Join(err, b.closeCluster(cluster, false), b.journal.close())
		}
	}
	fence(cluster)
	fail := func(err error) { b.cfg.Log.Error(err.Error()) }
	b.journal.watch(cluster, fail)
	b.ends.watch(cluster, fail)
	b.cluster = cluster
	return nil
}

// nothingHidden checks what recovery is for: no reader waits for the end of a
// transaction that nobody will end.
func nothingHidden(dir string, c *kfake.Cluster) error {
	topics, err := readTopics(dir)
	if err != nil {
		return fmt.Errorf("broker: %w", err)
	}
	for _, t := range topics {
		for _, p := range c.PartitionInfos(t.Name) {
			if p.LastStableOffset != p.HighWatermark {
				return fmt.Errorf("broker: data directory %s: after the recovery, the records of %s-%d from offset %d to %d would stay hidden; please report this, with the directory", dir, t.Name, p.Partition, p.LastStableOffset, p.HighWatermark)
			}
		}
	}
	return nil
}

func (b *Broker) newCluster(opts ...kfake.Opt) (*kfake.Cluster, error) {
	opts = append(opts,
		kfake.NumBrokers(1),
		kfake.ClusterID("sidestream"),
		kfake.DefaultNumPartitions(b.cfg.Partitions),
		kfake.BrokerConfigs(map[string]string{
			"default.replication.factor": "1",
			"log.cleaner.backoff.ms":     "315360000000", // never: our ticker does it
		}),
		kfake.DataDir(b.cfg.Dir),
		kfake.WithLogger(b.log),
	)
	if b.cfg.SyncWrites {
		opts = append(opts, kfake.SyncWrites())
	}
	return kfake.NewCluster(opts...)
}

// Addr is what clients connect to, "127.0.0.1:9092".
func (b *Broker) Addr() string { return b.addr }

// ListensOn is the address that is listened on.
func (b *Broker) ListensOn() string { return b.listens }

// clean is the ticker's goroutine; Close ends it and waits for it.
func (b *Broker) clean() {
	t := time.NewTicker(b.cfg.Clean)
	defer t.Stop()
	for {
		select {
		case <-t.C:
			b.Compact()
		case <-b.stop:
			return
		}
	}
}

// Close writes everything to the directory and unlocks it. Open transactions
// stay open over it: their producers may go on after the next Open.
func (b *Broker) Close() error {
	b.close.Do(func() {
		close(b.stop)
		b.cleaner.Wait()
		b.err = errors.Join(b.closeCluster(b.cluster, true), b.journal.close(), b.lock.Unlock())
	})
	return b.err
}

// closeCluster closes a cluster, and with clean marks the directory as closed
// in order if it was.
func (b *Broker) closeCluster(c *kfake.Cluster, clean bool) error {
	_ = b.log.failed()
	c.Close()
	if err := b.log.failed(); err != nil { // kfake only logs what it couldn't write
		return fmt.Errorf("broker: data directory %s wasn't closed in order (the next start recovers it): %w", b.cfg.Dir, err)
	}
	if !clean {
		return nil
	}
	if err := os.WriteFile(filepath.Join(b.cfg.Dir, cleanFile), nil, 0o644); err != nil {
		return fmt.Errorf("broker: %w", err)
	}
	return syncDir(b.cfg.Dir)
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// syncDir makes the making and removing of files durable.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("broker: %w", err)
	}
	defer d.Close()
	if err := d.Sync(); err != nil {
		return fmt.Errorf("broker: %s can't be synced: %w", dir, err)
	}
	return nil
}

// clusterLog hands kfake's warnings to slog and remembers errors.
type clusterLog struct {
	log *slog.Logger
	mu  sync.Mutex
	err error
}

// Logf is kfake's logger.
func (l *clusterLog) Logf(level kfake.LogLevel, format string, args ...any) {
	if level == kfake.LogLevelNone || level > kfake.LogLevelWarn {
		return
	}
	text := fmt.Sprintf(format, args...)
	if level == kfake.LogLevelError {
		l.mu.Lock()
		l.err = errors.Join(l.err, errors.New(text))
		l.mu.Unlock()
		l.log.Error("broker: " + text)
		return
	}
	l.log.Warn("broker: " + text)
}

// failed is the errors since the last call.
func (l *clusterLog) failed() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	err := l.err
	l.err = nil
	return err
}
