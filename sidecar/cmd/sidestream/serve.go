package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/sidestream/sidestream/sidecar/engine"
	"github.com/sidestream/sidestream/sidecar/engine/rest"
	"github.com/sidestream/sidestream/sidecar/kafkaenv"
)

func serveCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "The embedded engine: a service's SQL, behind ksqlDB's REST API",
		Long: `The embedded engine: runs a service's streaming SQL over Kafka and answers
ksqlDB's REST API. It needs no SQL at the start: "sidestream apply" brings it, and a
restarted engine goes on with its queries, their offsets and their state. One
process at a time runs a service id. It runs until SIGINT or SIGTERM, and can
be killed at any time.

TLS and SASL to Kafka are set in the environment: KAFKA_SECURITY_PROTOCOL,
KAFKA_SASL_MECHANISM, KAFKA_SASL_USERNAME, KAFKA_SASL_PASSWORD_FILE (or
KAFKA_SASL_PASSWORD), KAFKA_SSL_CA_LOCATION, KAFKA_SSL_CERTIFICATE_LOCATION,
KAFKA_SSL_KEY_LOCATION. So they are for every command that talks to Kafka.`,
		Example: "  sidestream serve --service-id orders_ --bootstrap 127.0.0.1:9092 --listen 127.0.0.1:8088 --state-dir .sidestream/state/orders-sidecar",
		Args:    cobra.NoArgs,
	}
	f := cmd.Flags()
	service := f.String("service-id", env("KSQL_SERVICE_ID", "default_"), "name of the set of statements, ksqlDB's ksql.service.id (KSQL_SERVICE_ID)")
	brokers := f.String("bootstrap", defaultBrokers(), "Kafka's addresses, divided by commas (KAFKA_BOOTSTRAP_SERVERS)")
	listen := f.String("listen", env("KSQL_LISTEN", "127.0.0.1:8088"), "host:port of the REST API (KSQL_LISTEN)")
	state := f.String("state-dir", env("STATE_DIR", ""), "where state is kept over restarts; without it, it is restored from Kafka (STATE_DIR)")
	commit := f.Duration("commit-interval", 100*time.Millisecond, "the longest that a query's transaction stays open under load")
	pushes := f.Int("max-push-queries", 100, "push queries that may be open at a time")
	limit := f.Duration("start-timeout", 30*time.Second, "how long Kafka may be away at the start")
	schemaURL := f.String("schema-registry", env(registryURLEnv, ""), "URLs of the Schema Registry for AVRO, PROTOBUF and JSON_SR, divided by commas ("+registryURLEnv+"; the user:password that it wants: "+registryUserEnv+")")
	property := f.StringArray("property", nil, "name=value of a ksqlDB property for all statements; may be repeated")
	logger := logFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		log, err := logger()
		if err != nil {
			return err
		}
		props, err := defines(*property)
		if err != nil {
			return fmt.Errorf("--property: give name=value: %w", err)
		}
		at := list(*brokers)
		if len(at) == 0 {
			return errors.New("--bootstrap: give the address of a Kafka broker")
		}
		closed, err := kafkaenv.Options()
		if err != nil {
			return err
		}
		schemas, err := schemaRegistry(*schemaURL, props)
		if err != nil {
			return err
		}
		began := time.Now()
		ln, err := listenOn(*listen)
		if err != nil {
			return err
		}
		ctx, cancel := context.WithTimeout(cmd.Context(), *limit)
		defer cancel()
		e, err := engine.New(ctx, engine.Config{
			Brokers: at, Client: closed, ServiceID: *service, StateDir: *state, Address: ln.Addr().String(),
			CommitInterval: *commit, MaxPushQueries: *pushes, Properties: props, Schemas: schemas, Logger: log,
		})
		if err != nil {
			ln.Close()
			return fmt.Errorf("serve: %w", err)
		}
		log.Info("serve: ready", "addr", ln.Addr().String(), "service", *service, "took", time.Since(began).Round(time.Millisecond).String())
		err = rest.New(e, log).Serve(cmd.Context(), ln)
		log.Info("serve: stopping")
		return errors.Join(err, e.Close(), e.Err())
	}
	return cmd
}

// listenOn listens, or says that somebody else does.
func listenOn(addr string) (net.Listener, error) {
	ln, err := net.Listen("tcp", addr)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("%s is in use by another process; stop it or choose another port", addr)
	}
	if err != nil {
		return nil, fmt.Errorf("can't listen on %s: %w", addr, err)
	}
	return ln, nil
}
