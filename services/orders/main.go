// Command orders is the Go half of the orders service: the Orders API, and the
// one writer of the topic `orders`.
//
//	POST ─► requests.go ─► [order-requests] ─► lifecycle.go ─► [orders: CREATED] ─► tail.go ─► 201
//	                                               ▲   │
//	        [order-validations] [order-verdicts] ──┤   └─► [orders: VALIDATED | FAILED, SHIPPED] ─► tail.go ─► waiters, SSE
//	                                  [shipments] ──┘
//	GET  ─► api.go, wait.go ─► recent.go (newest records), view.go (SQL view on the sidecar)
//
// main.go only wires.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/sidestream/sidestream/services/internal/telemetry"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	s, err := readSettings()
	if err == nil {
		err = run(ctx, s, telemetry.Logger(os.Stderr, "orders", s.LogLevel, s.LogFormat))
	}
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "orders:", err)
		os.Exit(1)
	}
}
