package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/gorilla/mux"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/sidestream/sidestream/services/internal/telemetry"
	"github.com/sidestream/sidestream/services/internal/web"
	"github.com/sidestream/sidestream/services/transact"
	"github.com/sidestream/sidestream/sidecar/client"
)

// service is the running program. It starts in the order below and stops in
// the reverse: no more requests, then no more decisions, then the clients.
type service struct {
	server   *web.Server
	requests *requests
	tail     *tail
	runner   *transact.Runner
}

// run serves until ctx is done. An error at start says what is in the way.
func run(ctx context.Context, s settings, log *slog.Logger) error {
	svc, err := start(s, log)
	if err != nil {
		return err
	}
	return svc.run(ctx)
}

// start opens the address and the Kafka clients.
func start(s settings, log *slog.Logger) (*service, error) {
	reg := telemetry.Registry()
	posted := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "orders_posted_total",
		Help: "Orders posted here, by outcome: created, same, conflict, key-conflict, unknown."}, []string{"outcome"})
	decided := prometheus.NewHistogram(prometheus.HistogramOpts{Name: "orders_decision_seconds",
		Help:    "Time from an order's CREATED to its final state, of the orders of all replicas as seen by this one.",
		Buckets: prometheus.ExponentialBuckets(0.002, 2, 16)})
	rec := newRecent(s.recent)
	waiting := prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "orders_waiting",
		Help: "Requests that wait for an order now."}, func() float64 { return float64(rec.waiting()) })
	streams := prometheus.NewGauge(prometheus.GaugeOpts{Name: "orders_streams_open", Help: "Event streams that are open now."})
	reg.MustRegister(posted, decided, waiting, streams)
	if s.streams != nil {
		s.streams.Gauge = func(open int) { streams.Set(float64(open)) }
	}
	if s.auth != nil {
		s.auth.Log = log
	}

	sidecar, err := client.New(s.sidecar, client.WithTimeout(0))
	if err != nil {
		return nil, fmt.Errorf("SIDECAR_URL: %w", err)
	}
	health := &web.Health{}
	router := web.NewRouter()
	svc := &service{server: &web.Server{Handler: web.Headers(router), Health: health, Log: log, DrainDelay: s.drainDelay}}
	if err := svc.server.Listen(s.HTTPAddr); err != nil {
		return nil, err
	}
	at := kafkaAt{s.Brokers, s.Kafka}
	if err := at.checkTopics(s.StartTimeout); err != nil {
		return nil, err
	}
	svc.runner, err = transact.New(transact.Config{
		Name: "orders", Brokers: s.Brokers, Inputs: inputs, Changelog: stateTopic,
		StateDir: s.StateDir, InstanceID: s.InstanceID, TickEvery: min(time.Second, s.deadline/4+time.Millisecond),
		StartTimeout: s.StartTimeout, Logger: log, Registerer: reg, Kafka: s.Kafka,
	}, newLifecycle(s.checks, s.deadline))
	if err != nil {
		return nil, err
	}
	if svc.requests, err = newRequests(at, requestsTopic, s.postTime, log); err != nil {
		return nil, err
	}
	svc.tail, err = startTail(at, rec, svc.requests,
		func(d time.Duration) { decided.Observe(d.Seconds()) }, s.StartTimeout, log)
	if err != nil {
		svc.requests.close()
		return nil, err
	}

	a := &api{
		requests: svc.requests, recent: rec, view: &view{sidecar}, kafka: at, away: svc.tail.away.Load,
		postTime: s.postTime, readTime: s.readTime, heartbeat: s.heartbeat, log: log, posted: posted,
		maxBody: s.maxBody, streams: s.streams,
	}
	guard := &web.Guard{Auth: s.auth, Rate: s.rate, Proxies: s.proxies, Open: []string{"/healthz", "/readyz", "/metrics", "/openapi.yaml"}}
	svc.route(router, a, health, sidecar, reg, guard, log)
	return svc, nil
}

func (svc *service) route(router *mux.Router, a *api, health *web.Health, sidecar *client.Client, reg *prometheus.Registry, guard *web.Guard, log *slog.Logger) {
	health.Check("kafka", func(context.Context) error { return svc.requests.ping(1500 * time.Millisecond) })
	health.Check("lifecycle", func(context.Context) error {
		if !svc.runner.Ready() {
			return errors.New("the partitions are not assigned, or their state is not restored yet")
		}
		return nil
	})
	health.Check("view", func(ctx context.Context) error {
		_, err := sidecar.Pull(ctx, `SELECT id FROM orders_view WHERE id = ?;`, "~readyz")
		return err
	})
	router.Use(web.Metrics(reg), web.Recover(log), guard.Middleware())
	health.Route(router)
	router.Handle("/metrics", web.MetricsHandler(reg)).Methods(http.MethodGet, http.MethodHead)
	a.routes(router)
}

// run serves until ctx is done or a part fails.
func (svc *service) run(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	// The lifecycle works on until the last request has its answer.
	lifecycle, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	done := make(chan error, 1)
	go func() {
		err := svc.runner.Run(lifecycle)
		if err != nil {
			cancel(err)
		}
		done <- err
	}()
	err := svc.server.Serve(ctx)
	stop()
	err = errors.Join(err, <-done)
	err = errors.Join(err, svc.tail.close())
	svc.requests.close()
	return err
}
