package main

import (
	"time"

	"github.com/spf13/cobra"

	"github.com/sidestream/sidestream/sidecar/broker"
)

func brokerCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "broker",
		Short: "The embedded Kafka broker, for development and tests",
		Long: `The embedded Kafka broker: one node, with its data in a directory. Any Kafka
client can use it. It is for development, tests and demonstrations: there is no
replication, and it listens on one address of this machine. It runs until
SIGINT or SIGTERM, and can be killed at any time.`,
		Example: "  sidestream broker --listen 127.0.0.1:9092 --data-dir .sidestream/broker",
		Args:    cobra.NoArgs,
	}
	f := cmd.Flags()
	listen := f.String("listen", "127.0.0.1:9092", "host:port to listen on, and that clients are told")
	dir := f.String("data-dir", ".sidestream/broker", "where the data is kept")
	partitions := f.Int("partitions", broker.DefaultPartitions, "partitions of a topic that is made without a number")
	clean := f.Duration("clean-every", 5*time.Minute, "how often compaction and retention run")
	sync := f.Bool("sync-writes", false, "put each batch on the disk before it is acknowledged")
	logger := logFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		log, err := logger()
		if err != nil {
			return err
		}
		b, err := broker.Open(cmd.Context(), broker.Config{
			Dir: *dir, Addr: *listen, Partitions: *partitions, Clean: *clean, SyncWrites: *sync, Log: log,
		})
		if err != nil {
			return err
		}
		log.Info("broker: ready", "addr", b.Addr(), "dir", *dir)
		<-cmd.Context().Done()
		log.Info("broker: stopping")
		return b.Close()
	}
	return cmd
}
