package main

import (
	"errors"
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/sidestream/sidestream/sidecar/lint"
	"github.com/sidestream/sidestream/sidecar/project"
)

func lintCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "lint [DIR]",
		Short: "Find traps in SQL that a server would take",
		Long: `Finds traps in SQL that a server would take: windows that drop late records,
joins whose rows are never completed, topics with two writers. DIR is the folder
of the services' folders (ksql), or one service's.

Each kind has a permanent code; --explain tells what happens and what to write
instead. Where it is right as it is, say so before the statement or in it:

  --@lint: allow SL002 an order without its customer is mailed without a name

Ends with status 1 when something was found, 2 when the SQL can't be understood
at all.`,
		Example: `  sidestream lint ksql
  sidestream lint --explain SL003
  sidestream lint ksql/fraud --output json`,
		Args: cobra.MaximumNArgs(1),
	}
	f := cmd.Flags()
	explain := f.String("explain", "", "tell about a code and end; \"all\" lists them")
	f.Lookup("explain").NoOptDefVal = "all"
	allowed := f.Bool("allowed", false, "show what comments allow, too")
	fail := f.String("fail-on", "warning", "what makes the status 1: warning (anything) or error")
	define := f.StringArray("define", nil, "name=value of a variable; may be repeated")
	output := outputFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if *fail != "warning" && *fail != "error" {
			return fmt.Errorf("--fail-on %q: give warning or error", *fail)
		}
		if f.Changed("explain") {
			if *explain == "all" && len(args) == 1 { // --explain SL003, without the =
				*explain = args[0]
			}
			return explainRules(cmd, *explain, *output)
		}
		dir := "ksql"
		if len(args) == 1 {
			dir = args[0]
		}
		vars, err := defines(*define)
		if err != nil {
			return err
		}
		p, err := project.Load(dir, vars)
		var fault *project.Fault
		if errors.As(err, &fault) {
			fmt.Fprint(cmd.ErrOrStderr(), fault.Text)
			return exitStatus(2)
		}
		if err != nil {
			return err
		}
		r := lint.Run(p)
		err = show(cmd.OutOrStdout(), *output, r, func() {
			w := cmd.OutOrStdout()
			fmt.Fprint(w, lint.Render(r.Findings))
			if *allowed {
				for _, a := range r.Allowed {
					fmt.Fprintf(w, "%s:%d:%d: allowed %s: %s\n", a.File, a.Line, a.Column, a.Code, a.Allowed)
				}
			}
			fmt.Fprintf(w, "%d statements, %d found, %d allowed\n", r.Statements, len(r.Findings), len(r.Allowed))
		})
		if err != nil {
			return err
		}
		for _, found := range r.Findings {
			if *fail == "warning" || found.Severity == lint.Error {
				return exitStatus(1)
			}
		}
		return nil
	}
	return cmd
}

func explainRules(cmd *cobra.Command, name, output string) error {
	w := cmd.OutOrStdout()
	if name == "all" {
		return show(w, output, lint.Rules, func() {
			t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
			for _, r := range lint.Rules {
				fmt.Fprintf(t, "%s\t%s\t%s\t%s\n", r.Code, r.Severity, r.Name, r.Title)
			}
			t.Flush()
		})
	}
	r, ok := lint.Find(name)
	if !ok {
		return fmt.Errorf("there is no rule %s; sidestream lint --explain lists all", strings.ToUpper(name))
	}
	return show(w, output, r, func() { fmt.Fprint(w, r.Explain()) })
}
