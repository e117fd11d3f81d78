package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/sidestream/sidestream/services/internal/config"
	"github.com/sidestream/sidestream/services/internal/lookup"
	"github.com/sidestream/sidestream/services/internal/telemetry"
	"github.com/sidestream/sidestream/services/internal/web"
)

// run serves until ctx is done. An error at start says what is in the way.
func run(ctx context.Context, s config.Common, log *slog.Logger) error {
	reg := telemetry.Registry()
	health := &web.Health{}
	router := web.NewRouter()
	server := &web.Server{Handler: router, Health: health, Log: log}
	if err := server.Listen(s.HTTPAddr); err != nil {
		return err
	}
	w, err := newWriter(s.Brokers, s.Kafka, log)
	if err != nil {
		return err
	}
	defer w.close()
	a := &api{write: w, wait: 5 * time.Second}
	for _, k := range kinds {
		t := lookup.New(k.topic)
		if err := startTable(ctx, t, s, log); err != nil {
			return err
		}
		defer t.Close()
		a.things = append(a.things, thing{kind: k, table: t})
	}
	health.Check("kafka", func(context.Context) error { return w.ping(1500 * time.Millisecond) })
	router.Use(web.Headers, web.Metrics(reg), web.Recover(log))
	health.Route(router)
	router.Handle("/metrics", web.MetricsHandler(reg)).Methods(http.MethodGet, http.MethodHead)
	a.routes(router)
	log.Info("started", "brokers", s.Brokers, "http", server.Addr())
	return server.Serve(ctx)
}

func startTable(ctx context.Context, t *lookup.Table, s config.Common, log *slog.Logger) error {
	within, cancel := context.WithTimeout(ctx, s.StartTimeout)
	defer cancel()
	err := t.Start(within, lookup.Config{Brokers: s.Brokers, Kafka: s.Kafka, Log: log})
	if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
		return fmt.Errorf("no Kafka broker answers at %s (%w); is it running, and is KAFKA_BOOTSTRAP_SERVERS right?", s.Brokers, err)
	}
	return err
}
