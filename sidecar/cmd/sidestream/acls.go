package main

import (
	"context"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/sidestream/sidestream/sidecar/kafkaenv"
	"github.com/sidestream/sidestream/sidecar/topics"
)

func aclsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "acls",
		Short: "Kafka's access rules as topics.yaml asks for them: only its owner writes a topic",
		Long: `Kafka's access rules as topics.yaml asks for them: only its owner writes a topic,
and where readers are named, only they read it. Each half of a pod is a
principal of its own, named as the file names owners.

Prints the rules. --apply makes them on the cluster, and removes from these
principals what the file doesn't give them (any more); others' rules stay.
--check only compares, and ends with status 1 where they differ.`,
		Example: `  sidestream topics acls
  sidestream topics acls --output json
  KAFKA_SECURITY_PROTOCOL=SASL_SSL … sidestream topics acls --apply`,
		Args: cobra.NoArgs,
	}
	f := cmd.Flags()
	file := f.String("file", "ksql/topics.yaml", "the topics")
	brokers := f.String("bootstrap", defaultBrokers(), "Kafka's addresses, divided by commas (KAFKA_BOOTSTRAP_SERVERS)")
	limit := f.Duration("timeout", time.Minute, "how long it may take")
	apply := f.Bool("apply", false, "make the cluster's rules these")
	check := f.Bool("check", false, "compare the cluster's rules with these")
	cmd.MarkFlagsMutuallyExclusive("apply", "check")
	output := outputFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		list0, err := topics.Load(*file)
		if err != nil {
			return err
		}
		rules, err := topics.Rules(list0)
		if err != nil {
			return err
		}
		if !*apply && !*check {
			return show(cmd.OutOrStdout(), *output, rules, func() { printRules(cmd, rules) })
		}
		closed, err := kafkaenv.Options()
		if err != nil {
			return err
		}
		cl, err := kgo.NewClient(append(closed, kgo.SeedBrokers(list(*brokers)...))...)
		if err != nil {
			return err
		}
		defer cl.Close()
		ctx, cancel := context.WithTimeout(cmd.Context(), *limit)
		defer cancel()
		diff, err := topics.Apply(ctx, cl, rules, *check)
		if err != nil {
			return err
		}
		err = show(cmd.OutOrStdout(), *output, diff, func() {
			w := cmd.OutOrStdout()
			for _, t := range diff.Missing {
				fmt.Fprintln(w, "+ "+t)
			}
			for _, t := range diff.Extra {
				fmt.Fprintln(w, "- "+t)
			}
			fmt.Fprintf(w, "%d rules, %d new, %d removed\n", diff.Total, len(diff.Missing), len(diff.Extra))
		})
		if err == nil && *check && len(diff.Missing)+len(diff.Extra) > 0 {
			return fmt.Errorf("the cluster's rules differ from %s (+ is missing, - is too much): sidestream topics acls --apply", *file)
		}
		return err
	}
	return cmd
}

func printRules(cmd *cobra.Command, rules []topics.Rule) {
	w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
	last := ""
	for _, r := range rules {
		who := ""
		if r.Principal != last {
			last, who = r.Principal, r.Principal
		}
		name := r.Name
		if r.Prefix {
			name += "*"
		}
		ops := make([]string, len(r.Operations))
		for i, op := range r.Operations {
			ops[i] = string(op)
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", who, r.Resource, name, strings.Join(ops, ", "))
	}
	w.Flush()
}
