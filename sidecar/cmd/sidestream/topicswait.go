package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/sidestream/sidestream/sidecar/deploy"
)

func topicsWaitCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "wait",
		Short: "Wait until Kafka has the topics",
		Long: `Waits until Kafka answers and has the topics of the file. What they are like is
the question of "topics check". It is for a service's start: whoever makes the
topics may come later.`,
		Example: "  sidestream topics wait --file ksql/topics.yaml --timeout 5m",
		Args:    cobra.NoArgs,
	}
	f := cmd.Flags()
	file := f.String("file", "ksql/topics.yaml", "the topics")
	brokers := f.String("bootstrap", defaultBrokers(), "Kafka's addresses, divided by commas (KAFKA_BOOTSTRAP_SERVERS)")
	limit := f.Duration("timeout", 5*time.Minute, "how long to wait")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		topics, err := deploy.LoadTopics(*file)
		if err != nil {
			return err
		}
		ctx, cancel := context.WithTimeout(cmd.Context(), *limit)
		defer cancel()
		began := time.Now()
		if err := deploy.WaitTopics(ctx, list(*brokers), topics); err != nil {
			return fmt.Errorf("waited %v: %w", time.Since(began).Round(time.Second), err)
		}
		fmt.Fprintf(cmd.OutOrStdout(), "%d topics are there\n", len(topics))
		return nil
	}
	return cmd
}
