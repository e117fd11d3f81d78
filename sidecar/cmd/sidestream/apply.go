package main

import (
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/sidestream/sidestream/sidecar/deploy"
)

func applyCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "apply DIR --server URL",
		Short: "Bring a folder of SQL onto a server",
		Long: `Brings a folder's NN-name.sql files onto a ksqlDB server or the embedded engine: it
does what plan says.

The whole folder is read and checked first; a mistake in it changes nothing, nor
does anything that is forbidden or a rebuild that isn't allowed. What is the same
isn't sent. What was applied is remembered in the topic ` + deploy.LedgerTopic + `,
and one applier at a time works on a service: others wait.

A rebuild makes a new version beside the old one, with a topic of its own; when
both stand at the same records, readers go over and the old one is dropped. It is
allowed by a line "--@rebuild: allow" before the statement, or by --allow-rebuild.
An apply that was cut off is finished by the next one. To roll back, apply the
old folder.

Variables ${name} come from variables.yaml beside the folder (under the
folder's name) and from --define.

Ends with status 0 when all is done, 3 and 4 when it refused a rebuild or what
is forbidden, 1 after any other error.`,
		Example: `  sidestream apply ksql/fraud --server http://127.0.0.1:8089
  sidestream apply ksql/fraud --server http://127.0.0.1:8089 --define fraud_limit=500 --dry-run`,
		Args: cobra.ExactArgs(1),
	}
	t := targetFlags(cmd, time.Hour) // a rebuild reads everything again
	f := cmd.Flags()
	allow := f.Bool("allow-rebuild", false, "allow new versions of what can't be changed in place")
	rebuild := f.Bool("rebuild", false, "drop and make again what can't be replaced, and what reads it (development only: results are written again)")
	topics := f.Bool("delete-topics", false, "delete topics of what is removed and of old versions, where no group reads them")
	dryRun := f.Bool("dry-run", false, "say what would be done")
	output := outputFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		ctx, done, err := t.open(cmd, args[0])
		if err != nil {
			return err
		}
		defer done()
		o := t.opts
		o.AllowRebuild, o.Rebuild, o.DeleteTopics, o.DryRun = *allow, *rebuild, *topics, *dryRun
		o.Say = func(line string) { fmt.Fprintln(cmd.ErrOrStderr(), "… "+line) }
		result, failed := deploy.Apply(ctx, t.client, t.folder, o)
		if result != nil {
			err = show(cmd.OutOrStdout(), *output, result, func() { printResult(cmd, result) })
		}
		if failed == nil {
			return err
		}
		if fault, ok := failed.(*deploy.Fault); ok && result == nil && fault.Code != 0 {
			_ = shown(cmd, failed)
			return exitStatus(fault.Code)
		}
		return shown(cmd, failed)
	}
	return cmd
}

func printResult(cmd *cobra.Command, r *deploy.Result) {
	out := cmd.OutOrStdout()
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, c := range r.Changes {
		place := c.Place
		if c.Topic != "" {
			place += "  topic " + c.Topic
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", c.Action, strings.ToLower(string(c.Kind)), c.Name, place)
	}
	w.Flush()
	for _, e := range r.Extras {
		fmt.Fprintf(out, "not in the folder, left running: %s\n", e.QueryID)
	}
	for _, n := range r.Notes {
		fmt.Fprintf(out, "note: %s\n", n)
	}
	for _, place := range r.Left {
		fmt.Fprintf(out, "not done: %s\n", place)
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
