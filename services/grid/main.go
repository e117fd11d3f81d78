// Command grid shows every order live, as a page: a grid of all rows that scrolls,
// sorts, filters and searches, each order's story, and a form to place one.
//
//	[order-rows] (its SQL)    ──┐                  ┌─► api.go: rows, story ─► page
//	                            ├─► tail.go ─► store.go (SQLite, with offsets)
//	[orders] [payments] …       ┘                  └─► feed.go ─► changes as server-sent events
//	                                   form ─► place.go ─► the orders API
//
// A replica reads all partitions and has the whole view, so any number of them can
// stand beside each other. main.go only wires.
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
		err = run(ctx, s, telemetry.Logger(os.Stderr, "grid", s.LogLevel, s.LogFormat))
	}
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "grid:", err)
		os.Exit(1)
	}
}
