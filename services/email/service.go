package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/sidestream/sidestream/services/internal/telemetry"
	"github.com/sidestream/sidestream/services/internal/web"
	"github.com/sidestream/sidestream/services/transact"
	"github.com/sidestream/sidestream/sidecar/client"
)

// service is the running program.
type service struct {
	server *web.Server
	runner *transact.Runner
	sender *sender
	desk   *desk
	drain  time.Duration
	log    *slog.Logger
	close  func()
}

// start opens the address and makes the parts; nothing runs yet.
func start(s settings, log *slog.Logger) (*service, error) {
	reg := telemetry.Registry()
	render, err := newRenderer(s.smtp.from)
	if err != nil {
		return nil, err
	}
	sidecar, err := client.New(s.sidecar, client.WithTimeout(0))
	if err != nil {
		return nil, fmt.Errorf("SIDECAR_URL: %w", err)
	}
	d := newDesk()
	send := &sender{desk: d, smtp: s.smtp, render: render, workers: s.workers, log: log, m: newMetrics(reg, d)}
	e := newEmailer(d, s.policy, s.smtp.domain(), s.drain, log)
	e.done = send.ended
	runner, err := transact.New(transact.Config{
		Name: "email", Brokers: s.Brokers, Inputs: []string{rowsTopic, commandsTopic}, Changelog: sentTopic,
		StateDir: s.StateDir, InstanceID: s.InstanceID, TickEvery: 10 * time.Millisecond,
		StartTimeout: s.StartTimeout, Logger: log, Registerer: reg, Kafka: s.Kafka,
	}, e)
	if err != nil {
		return nil, err
	}
	health := &web.Health{}
	router := web.NewRouter()
	svc := &service{
		server: &web.Server{Handler: router, Health: health, Log: log},
		runner: runner, sender: send, desk: d, drain: s.drain, log: log,
	}
	if err := svc.server.Listen(s.HTTPAddr); err != nil {
		return nil, err
	}
	commands, err := newCommands(s.Brokers, s.Kafka, log)
	if err != nil {
		return nil, err
	}
	svc.close = commands.close

	health.Check("partitions", func(context.Context) error {
		if !runner.Ready() {
			return errors.New("the group has not given this replica its partitions yet, or their state is being restored")
		}
		return nil
	})
	router.Use(web.Metrics(reg), web.Recover(log))
	health.Route(router)
	router.Handle("/metrics", web.MetricsHandler(reg)).Methods(http.MethodGet, http.MethodHead)
	a := &admin{view: &sqlView{sidecar}, commands: commands, log: log}
	a.routes(router)
	log.Info("started", "brokers", s.Brokers, "instance", s.InstanceID, "http", svc.server.Addr(), "smtp", fmt.Sprintf("%s:%d", s.smtp.host, s.smtp.port))
	return svc, nil
}

// run serves until ctx is done or a part fails. Then mails under way get their
// end and it goes on record, before the partitions are given up.
func (svc *service) run(ctx context.Context) error {
	defer svc.close()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	later := context.WithoutCancel(ctx)
	recording, stopRecording := context.WithCancel(later)
	defer stopRecording()
	sending, stopSending := context.WithCancel(later)
	defer stopSending()

	var g errgroup.Group
	part := func(run func() error) {
		g.Go(func() error {
			err := run()
			if err != nil {
				cancel(err)
			}
			return err
		})
	}
	part(func() error { return svc.runner.Run(recording) })
	part(func() error { return svc.sender.run(sending) })
	part(func() error { return svc.server.Serve(ctx) })
	part(func() error {
		<-ctx.Done()
		bounded, done := context.WithTimeout(later, svc.drain)
		svc.desk.stop(bounded)
		done()
		stopSending() // what isn't through by now is cut off
		bounded, done = context.WithTimeout(later, 5*time.Second)
		defer done()
		svc.desk.drained(bounded)
		stopRecording()
		return nil
	})
	if err := g.Wait(); err != nil {
		return err
	}
	svc.log.Info("stopped")
	return nil
}
