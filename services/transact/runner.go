package transact

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
)

// drainTimeout is how long a stop waits for the open transaction.
const drainTimeout = 10 * time.Second

// mostLeft is how many consumers may be left behind, before they cost too much.
const mostLeft = 20

// Runner runs a Processor. Make it with New and call Run once.
type Runner struct {
	cfg      Config
	p        Processor
	instance string // last part of the transactional id
	log      *slog.Logger
	m        *metrics
	store    *store // nil without a changelog
	ready    atomic.Bool
	left     int // consumers left behind
}

// New checks cfg; it starts nothing.
func New(cfg Config, p Processor) (*Runner, error) {
	if err := cfg.complete(); err != nil {
		return nil, err
	}
	instance := cfg.InstanceID
	if instance == "" {
		instance = uuid.NewString()
	}
	return &Runner{
		cfg: cfg, p: p, instance: instance,
		log: cfg.Logger.With("group", cfg.Name),
		m:   newMetrics(cfg.Registerer, cfg.Name),
	}, nil
}

// Ready tells whether the group has given this instance its partitions (maybe
// none) and their state is restored.
func (r *Runner) Ready() bool { return r.ready.Load() }

func (r *Runner) setReady(ready bool) {
	r.ready.Store(ready)
	if ready {
		r.m.ready.Set(1)
	} else {
		r.m.ready.Set(0)
	}
}

// stopError ends Run; all other errors of a life begin another one.
type stopError struct{ err error }

func (s *stopError) Error() string { return s.err.Error() }
func (s *stopError) Unwrap() error { return s.err }

// Run processes until ctx is done, then finishes the records in hand, commits
// and returns nil. It returns an error if the broker can't be reached at start
// (within Config.StartTimeout), a topic is missing or has the wrong number of
// partitions, the state directory can't be used, an output can't ever be sent,
// the processor fails, or its name is taken again and again.
func (r *Runner) Run(ctx context.Context) (err error) {
	defer r.setReady(false)
	if r.cfg.Changelog != "" {
		if r.store, err = openStore(storeDir(r.cfg.StateDir, r.cfg.Name)); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, r.store.close()) }()
	}

	// hard ends what is still under way some time after ctx is done.
	hard, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	defer context.AfterFunc(ctx, func() { time.AfterFunc(drainTimeout, cancel) })()

	pause := 100 * time.Millisecond
	for first := true; ; first = false {
		worked, err := r.live(ctx, hard, first)
		r.setReady(false)
		var stop *stopError
		if errors.As(err, &stop) {
			return stop.err
		}
		if ctx.Err() != nil {
			if err != nil && !errors.Is(err, context.Canceled) {
				r.log.Warn("stopped without a clean end; what was not committed will be processed at the next start", "error", err)
			}
			return nil
		}
		if r.left >= mostLeft {
			return fmt.Errorf("%d Kafka consumers could not be closed after fatal errors, the last one: %w; does another process run as %q?", r.left, err, r.instance)
		}
		r.m.lives.Inc()
		if worked {
			pause = 100 * time.Millisecond
		}
		if fatal(err) {
			err = fmt.Errorf("%w (the broker gave a transaction up, or another process runs as %q)", err, r.instance)
		}
		r.log.Warn("starting anew from what is committed", "error", err, "after", pause)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(pause):
		}
		pause = min(2*pause, 5*time.Second)
	}
}
