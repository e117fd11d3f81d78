package main

import (
	"context"
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/sidestream/sidestream/sidecar/deploy"
)

func topicsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "topics",
		Short: "Topics as topics.yaml describes them",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(topicsVerb("apply"), topicsVerb("check"), topicsWaitCommand(), aclsCommand())
	return cmd
}

func topicsVerb(verb string) *cobra.Command {
	cmd := &cobra.Command{Use: verb, Args: cobra.NoArgs}
	f := cmd.Flags()
	file := f.String("file", "ksql/topics.yaml", "the topics")
	brokers := f.String("bootstrap", defaultBrokers(), "Kafka's addresses, divided by commas (KAFKA_BOOTSTRAP_SERVERS)")
	limit := f.Duration("timeout", time.Minute, "how long it may take")
	start := f.Duration("start-timeout", 0, "how long Kafka may be away at the start")
	alter := new(bool)
	if verb == "apply" {
		alter = f.Bool("alter", false, "change configs that differ")
		cmd.Short = "Make the topics that are missing, and compare the others"
		cmd.Long = cmd.Short + `.

Ends with status 1 when a topic differs from the file. Partitions are never
changed: keys would move.`
	} else {
		cmd.Short = "Compare topics with the file, and change nothing"
	}
	cmd.Example = "  sidestream topics " + verb + " --file ksql/topics.yaml --bootstrap 127.0.0.1:9092"
	output := outputFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		topics, err := deploy.LoadTopics(*file)
		if err != nil {
			return err
		}
		if *start > 0 {
			waiting, done := context.WithTimeout(cmd.Context(), *start)
			defer done()
			if err := deploy.WaitKafka(waiting, list(*brokers)); err != nil {
				return err
			}
		}
		ctx, cancel := context.WithTimeout(cmd.Context(), *limit)
		defer cancel()
		var states []deploy.TopicState
		var failed error
		if verb == "apply" {
			states, failed = deploy.ApplyTopics(ctx, list(*brokers), topics, *alter)
		} else {
			states, failed = deploy.CheckTopics(ctx, list(*brokers), topics)
		}
		if states == nil {
			return failed
		}
		err = show(cmd.OutOrStdout(), *output, states, func() {
			w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
			for _, s := range states {
				fmt.Fprintf(w, "%s\t%s\n", s.Name, s.State)
			}
			w.Flush()
		})
		if failed != nil {
			return failed
		}
		return err
	}
	return cmd
}
