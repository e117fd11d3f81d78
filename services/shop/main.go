// Command shop is the admin API for what the shop has: its customers, its list
// prices and its stock. It is the one writer of their topics.
//
//	PUT, DELETE ─► api.go ─► kinds.go (what a thing's body is) ─► write.go ─► [customers] [products] [warehouse-inventory]
//	GET         ─► api.go ◄─ lookup: the same topics, in memory ◄────────────┘
//
// main.go only wires.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/sidestream/sidestream/services/internal/config"
	"github.com/sidestream/sidestream/services/internal/telemetry"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	settings := config.New()
	s := settings.Common()
	err := settings.Err()
	if err == nil {
		err = run(ctx, s, telemetry.Logger(os.Stderr, "shop", s.LogLevel, s.LogFormat))
	}
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "shop:", err)
		os.Exit(1)
	}
}
