package main

import (
	"errors"
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
SIGINT or SIGTERM, and can be killed at any time.

It is open to everybody who reaches it, until --users closes it with SASL. The
file lists users: a name, a password or passwordFile, and admin: true for
administrators, who alone need no rule under --acls:

  users:
    - {name: admin, passwordFile: admin.password, admin: true}
    - {name: orders, passwordFile: orders.password}`,
		Example: `  sidestream broker --listen 127.0.0.1:9092 --data-dir .sidestream/broker
  sidestream broker --users users.yaml --acls --tls-cert broker.crt --tls-key broker.key`,
		Args: cobra.NoArgs,
	}
	f := cmd.Flags()
	listen := f.String("listen", "127.0.0.1:9092", "host:port to listen on, and that clients are told")
	advertise := f.String("advertise", "", "host:port that clients are told instead, when a name leads here")
	dir := f.String("data-dir", ".sidestream/broker", "where the data is kept")
	partitions := f.Int("partitions", broker.DefaultPartitions, "partitions of a topic that is made without a number")
	clean := f.Duration("clean-every", 5*time.Minute, "how often compaction and retention run")
	sync := f.Bool("sync-writes", false, "put each batch on the disk before it is acknowledged")
	schemas := f.String("registry", "", "host:port to serve a Schema Registry on, whose schemas are kept in the data directory; without it, none")
	users := f.String("users", "", "file of the users who may connect (SASL: PLAIN, SCRAM-SHA-256, SCRAM-SHA-512); without it, everybody")
	acls := f.Bool("acls", false, "allow only what a rule allows; \"sidestream topics acls --apply\" makes the rules")
	cert := f.String("tls-cert", "", "the listener's certificate (PEM); without it, no TLS")
	key := f.String("tls-key", "", "its key (PEM)")
	clientCA := f.String("tls-client-ca", "", "authority (PEM) of the certificates that clients must have")
	logger := logFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		log, err := logger()
		if err != nil {
			return err
		}
		security := broker.Security{ACLs: *acls}
		if *users != "" {
			if security.Users, err = broker.LoadUsers(*users); err != nil {
				return err
			}
		}
		if (*cert == "") != (*key == "") || *clientCA != "" && *cert == "" {
			return errors.New("--tls-cert and --tls-key belong together, and --tls-client-ca to them")
		}
		if *cert != "" {
			if security.TLS, err = broker.LoadTLS(*cert, *key, *clientCA); err != nil {
				return err
			}
		}
		b, err := broker.Open(cmd.Context(), broker.Config{
			Dir: *dir, Addr: *listen, Advertise: *advertise, Partitions: *partitions, Clean: *clean, SyncWrites: *sync, Security: security, Log: log,
		})
		if err != nil {
			return err
		}
		stopRegistry := func() error { return nil }
		if *schemas != "" {
			if stopRegistry, err = serveRegistry(*schemas, *dir, log); err != nil {
				return errors.Join(err, b.Close())
			}
		}
		log.Info("broker: ready", "addr", b.Addr(), "dir", *dir)
		<-cmd.Context().Done()
		log.Info("broker: stopping")
		return errors.Join(stopRegistry(), b.Close())
	}
	return cmd
}
