// Command email sends one mail for each order that is validated and paid.
//
//	[order-emails] ───► emailer.Process ──► QUEUED ┐
//	[email-commands] ─► (emailer.go)               │  [emails-sent] is the state, and
//	                      ▲ emailer.Tick ◄─────────┘  what SQL makes the figures of
//	                      │ SENDING, committed; SENT, HELD, …
//	                    desk (desk.go)
//	                      ▼
//	                    workers (sender.go) ─► render.go ─► smtp.go ─► SMTP server
//	admin.go ◄─ pull queries (stats.go) ─ sidecar: ksql/email
//
// That a mail is being sent is on record and committed before the server gets
// it; the result follows. A program that dies in between leaves a mail of which
// nobody knows whether it went out: EMAIL_CRASH_POLICY says what becomes of it.
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
	err := run(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "email:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	s, err := readSettings()
	if err != nil {
		return err
	}
	svc, err := start(s, telemetry.Logger(os.Stderr, "email", s.LogLevel, s.LogFormat))
	if err != nil {
		return err
	}
	return svc.run(ctx)
}
