package main

import (
	"context"
	"errors"
	"log/slog"
	"net/http"

	"golang.org/x/sync/errgroup"

	"github.com/sidestream/sidestream/services/internal/telemetry"
	"github.com/sidestream/sidestream/services/internal/web"
)

// run serves until ctx is done or a part fails. An error at start says what is in
// the way.
func run(ctx context.Context, s settings, log *slog.Logger) (err error) {
	health := &web.Health{}
	router := web.NewRouter()
	server := &web.Server{Handler: router, Health: health, Log: log}
	if err := server.Listen(s.HTTPAddr); err != nil {
		return err
	}
	st, err := openStore(s.StateDir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, st.close()) }()
	f := newFeed()
	t, err := startTail(s.Common, s.story, st, f, log)
	if err != nil {
		return err
	}
	health.Check("view", func(context.Context) error {
		if !t.ready.Load() {
			return errors.New("the topics are being read to their ends")
		}
		return nil
	})
	reg := telemetry.Registry()
	router.Use(web.Headers, web.Metrics(reg), web.Recover(log))
	health.Route(router)
	router.Handle("/metrics", web.MetricsHandler(reg)).Methods(http.MethodGet, http.MethodHead)
	a := &api{store: st, feed: f, place: newPlacer(s.orders), heartbeat: s.heartbeat, streams: make(chan struct{}, s.streams), log: log}
	a.routes(router)
	p, err := newPages(a)
	if err != nil {
		return err
	}
	p.routes(router)
	log.Info("started", "brokers", s.Brokers, "http", server.Addr(), "orders", s.orders.String())

	both, ctx := errgroup.WithContext(ctx)
	both.Go(func() error { return t.run(ctx) })
	both.Go(func() error { return server.Serve(ctx) })
	return both.Wait()
}
