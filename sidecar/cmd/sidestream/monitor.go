package main

import (
	"time"

	"github.com/spf13/cobra"

	"github.com/sidestream/sidestream/sidecar/client"
	"github.com/sidestream/sidestream/sidecar/monitor"
)

func monitorCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "monitor",
		Short: "Tell whether a sidecar runs and its tables answer",
		Long: `Watches a ksqlDB server or the embedded engine: whether it says RUNNING, whether
its tables answer with rows, what state its queries are in and how far its state
is behind. It answers /healthz, /readyz and /metrics, and runs until SIGINT or
SIGTERM.

A table is asked for a key that it has given before, since a server that starts
answers with success and no rows for a moment.`,
		Example: "  sidestream monitor --server http://127.0.0.1:8088 --view ORDERS_VIEW --listen :8089",
		Args:    cobra.NoArgs,
	}
	f := cmd.Flags()
	server := f.String("server", env("SIDECAR_URL", "http://127.0.0.1:8088"), "the server's REST address (SIDECAR_URL)")
	listen := f.String("listen", ":8089", "host:port to answer on")
	views := f.StringArray("view", nil, "table that must answer; may be repeated")
	host := f.String("host", "", "the server's own name in /clusterStatus, host:port; with it, readiness waits until its state has caught up")
	lag := f.Int64("max-lag", 100, "records that its state may be behind at its first readiness")
	state := f.String("state-dir", "", "where the tables' keys are remembered over restarts")
	every := f.Duration("every", 2*time.Second, "pause between two looks")
	logger := logFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		log, err := logger()
		if err != nil {
			return err
		}
		c, err := client.New(*server)
		if err != nil {
			return err
		}
		defer c.Close()
		m, err := monitor.New(monitor.Config{
			Server: c, Tables: *views, Host: *host, MaxLag: *lag, StateDir: *state, Every: *every, Logger: log,
		})
		if err != nil {
			return err
		}
		log.Info("monitor: started", "server", c.URL(), "listen", *listen)
		return m.Serve(cmd.Context(), *listen)
	}
	return cmd
}
