package main

import (
	"context"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/sidestream/sidestream/sidecar/client"
	"github.com/sidestream/sidestream/sidecar/deploy"
)

func applyCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "apply DIR --server URL",
		Short: "Bring a folder of SQL onto a server",
		Long: `Brings a folder's NN-name.sql files onto a ksqlDB server or the embedded engine.

The whole folder is read and checked first; a mistake in it changes nothing.
Then statement by statement: what is new is created, what has changed is
replaced in place, what is the same isn't sent. What was applied is remembered
in the topic ` + deploy.LedgerTopic + `.

Variables ${name} come from variables.yaml beside the folder (under the
folder's name) and from --define.`,
		Example: `  sidestream apply ksql/fraud --server http://127.0.0.1:8089
  sidestream apply ksql/fraud --server http://127.0.0.1:8089 --define fraud_limit=500 --dry-run`,
		Args: cobra.ExactArgs(1),
	}
	f := cmd.Flags()
	server := f.String("server", env("SIDECAR_URL", "http://127.0.0.1:8088"), "the server's REST address (SIDECAR_URL)")
	brokers := f.String("bootstrap", env("KAFKA_BOOTSTRAP_SERVERS", ""), "Kafka's addresses, for the memory of what was applied; none: those that the server uses (KAFKA_BOOTSTRAP_SERVERS)")
	define := f.StringArray("define", nil, "name=value of a variable; may be repeated")
	property := f.StringArray("property", nil, "name=value of a ksqlDB property for all statements; may be repeated")
	rebuild := f.Bool("rebuild", false, "drop and make again what can't be replaced, and what reads it (development only: results are written again)")
	check := f.Bool("check", true, "check the folder with the embedded engine's analysis first; false for SQL that only the server knows")
	dryRun := f.Bool("dry-run", false, "say what would be done")
	wait := f.Duration("wait", 30*time.Second, "how long the server may take to become ready")
	limit := f.Duration("timeout", 5*time.Minute, "how long all of it may take")
	output := outputFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		vars, err := defines(*define)
		if err != nil {
			return err
		}
		props, err := defines(*property)
		if err != nil {
			return fmt.Errorf("%s", strings.Replace(err.Error(), "--define", "--property", 1))
		}
		if vars, err = deploy.Variables(args[0], vars); err != nil {
			return err
		}
		folder, err := deploy.LoadFolder(args[0], vars)
		if err != nil {
			return shown(cmd, err)
		}
		if *check {
			if err := deploy.Check(folder); err != nil {
				return shown(cmd, err)
			}
		}
		c, err := client.New(*server)
		if err != nil {
			return err
		}
		defer c.Close()
		ctx, cancel := context.WithTimeout(cmd.Context(), *limit)
		defer cancel()
		ready, done := context.WithTimeout(ctx, *wait)
		defer done()
		info, err := deploy.WaitReady(ready, c)
		if err != nil {
			return err
		}
		at := list(*brokers)
		if len(at) == 0 {
			if at, err = deploy.BrokersOf(ctx, c); err != nil {
				return err
			}
		}
		ledger, err := deploy.OpenLedger(ctx, at, info.ServiceID)
		if err != nil {
			return err
		}
		defer ledger.Close()
		result, failed := deploy.Apply(ctx, c, folder, deploy.Options{Ledger: ledger, Rebuild: *rebuild, DryRun: *dryRun, Properties: props})
		if result != nil {
			err = show(cmd.OutOrStdout(), *output, result, func() { printResult(cmd, result) })
		}
		if failed != nil {
			return shown(cmd, failed)
		}
		return err
	}
	return cmd
}

func printResult(cmd *cobra.Command, r *deploy.Result) {
	w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
	for _, c := range r.Changes {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", c.Action, strings.ToLower(string(c.Kind)), c.Name, c.Place)
	}
	w.Flush()
	for _, e := range r.Extras {
		fmt.Fprintf(cmd.OutOrStdout(), "not in the folder, left running: %s\n", e.QueryID)
	}
}

// shown prints an error that has a place of its own, as it stands.
func shown(cmd *cobra.Command, err error) error {
	if fault, ok := err.(*deploy.Fault); ok {
		fmt.Fprint(cmd.ErrOrStderr(), fault.Text)
		return exitStatus(1)
	}
	return err
}
