package web

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"syscall"
	"time"
)

// Server is an HTTP server that drains. Listen tells at once of a port in use;
// Serve runs until its context ends.
type Server struct {
	Handler http.Handler
	Health  *Health // made not ready when draining starts; may be nil
	Log     *slog.Logger
	// DrainDelay is how long requests are still taken after /readyz went to
	// 503, so that load balancers notice. Zero for none.
	DrainDelay time.Duration
	// DrainTimeout bounds the wait for requests under way (default 20 s).
	DrainTimeout time.Duration

	listener net.Listener
}

// Listen opens the address. The error says who is in the way.
func (s *Server) Listen(addr string) error {
	l, err := net.Listen("tcp", addr)
	if errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("address %s is in use by another program: stop that, or set HTTP_ADDR to a free one", addr)
	}
	if err != nil {
		return fmt.Errorf("can't listen on %s (HTTP_ADDR): %w", addr, err)
	}
	s.listener = l
	return nil
}

// Addr is where the server listens, after Listen.
func (s *Server) Addr() string { return s.listener.Addr().String() }

// Serve answers requests until ctx is done, then drains: readiness goes off,
// Draining tells the requests that wait or stream, and those under way are
// awaited for DrainTimeout. Call Listen first.
func (s *Server) Serve(ctx context.Context) error {
	draining := make(chan struct{})
	base := context.WithValue(context.WithoutCancel(ctx), drainingKey{}, (<-chan struct{})(draining))
	srv := &http.Server{
		Handler:           s.Handler,
		BaseContext:       func(net.Listener) context.Context { return base },
		ReadHeaderTimeout: 5 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    32 << 10,
		ErrorLog:          slog.NewLogLogger(s.Log.Handler(), slog.LevelWarn),
	}
	failed := make(chan error, 1)
	go func() { failed <- srv.Serve(s.listener) }() // ends with Shutdown or Close below
	select {
	case err := <-failed:
		return fmt.Errorf("http server: %w", err)
	case <-ctx.Done():
	}
	if s.Health != nil {
		s.Health.Drain()
	}
	if s.DrainDelay > 0 {
		time.Sleep(s.DrainDelay)
	}
	timeout := s.DrainTimeout
	if timeout <= 0 {
		timeout = 20 * time.Second
	}
	bound, cancel := context.WithTimeout(context.WithoutCancel(ctx), timeout)
	defer cancel()
	close(draining)
	if err := srv.Shutdown(bound); err != nil {
		s.Log.Warn("requests under way were cut off", "after", timeout)
		srv.Close()
	}
	if err := <-failed; !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("http server: %w", err)
	}
	return nil
}

type drainingKey struct{}

// Draining is closed when the server of the request's context drains: a
// request that waits or streams ends then. Outside of a Server it never is.
func Draining(ctx context.Context) <-chan struct{} {
	ch, _ := ctx.Value(drainingKey{}).(<-chan struct{})
	return ch
}
