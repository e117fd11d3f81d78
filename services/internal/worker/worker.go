// Package worker is the frame of a thin half that only reads and writes topics:
// a transact.Runner, and an HTTP server for /healthz, /readyz and /metrics.
//
//	main.go ──► worker.Main(name, service) ──► settings, log, metrics
//	                     ├─► transact.Runner ◄─ the service's processor
//	                     └─► web.Server
package worker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/sync/errgroup"

	"github.com/sidestream/sidestream/services/internal/config"
	"github.com/sidestream/sidestream/services/internal/lookup"
	"github.com/sidestream/sidestream/services/internal/telemetry"
	"github.com/sidestream/sidestream/services/internal/web"
	"github.com/sidestream/sidestream/services/transact"
)

// Service is what a service adds to the frame: its topics and its processor.
// Name, brokers, directories, log and metrics come from the settings.
type Service struct {
	Config    transact.Config
	Processor transact.Processor
	Tables    []*lookup.Table // read to their ends before the first record is processed
}

// Main runs the service until SIGTERM or SIGINT, drains, and ends the process:
// with 0, or after one message on stderr with 1.
func Main(name string, service Service) {
	MainWith(name, func(*config.Source) Service { return service })
}

// MainWith is Main for a service with settings of its own.
func MainWith(name string, make func(*config.Source) Service) {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	err := run(ctx, name, make)
	stop()
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
		os.Exit(1)
	}
}

// Run is Main without the process around it.
func Run(ctx context.Context, name string, service Service) error {
	return run(ctx, name, func(*config.Source) Service { return service })
}

func run(ctx context.Context, name string, make func(*config.Source) Service) error {
	settings := config.New()
	s := settings.Common()
	service := make(settings)
	if err := settings.Err(); err != nil {
		return err
	}
	log := telemetry.Logger(os.Stderr, name, s.LogLevel, s.LogFormat)
	metrics := telemetry.Registry()

	cfg := service.Config
	cfg.Name, cfg.Brokers, cfg.InstanceID, cfg.StateDir = name, s.Brokers, s.InstanceID, s.StateDir
	cfg.Kafka, cfg.StartTimeout, cfg.Logger, cfg.Registerer = s.Kafka, s.StartTimeout, log, metrics
	runner, err := transact.New(cfg, service.Processor)
	if err != nil {
		return err
	}

	health := &web.Health{}
	health.Check("partitions", func(context.Context) error {
		if !runner.Ready() {
			return errors.New("the group has not given this replica its partitions yet, or their state is being restored")
		}
		return nil
	})
	router := web.NewRouter()
	health.Route(router)
	router.Handle("/metrics", web.MetricsHandler(metrics))
	server := &web.Server{Handler: router, Health: health, Log: log}
	if err := server.Listen(s.HTTPAddr); err != nil {
		return err
	}
	log.Info("started", "brokers", s.Brokers, "instance", s.InstanceID, "http", server.Addr())

	both, ctx := errgroup.WithContext(ctx)
	both.Go(func() error {
		for _, t := range service.Tables {
			if err := start(ctx, t, s, log); err != nil {
				return err
			}
			defer t.Close()
		}
		return runner.Run(ctx)
	})
	both.Go(func() error { return server.Serve(ctx) })
	if err := both.Wait(); err != nil {
		return err
	}
	log.Info("stopped")
	return nil
}

// start reads a table. The broker may be away for as long as at any start.
func start(ctx context.Context, t *lookup.Table, s config.Common, log *slog.Logger) error {
	within, cancel := context.WithTimeout(ctx, s.StartTimeout)
	defer cancel()
	err := t.Start(within, lookup.Config{Brokers: s.Brokers, Kafka: s.Kafka, Log: log})
	if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
		return fmt.Errorf("table %s could not be read from %s within %v: %w", t.Topic(), s.Brokers, s.StartTimeout, err)
	}
	return err
}
