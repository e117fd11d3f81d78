package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sidestream/sidestream/sidecar/scaffold"
)

func newCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "new",
		Short: "Make a new service",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newServiceCommand())
	return cmd
}

func newServiceCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "service NAME",
		Short: "A thin program with its SQL, tests, topics and entries in the lists",
		Long: `Makes a service that builds, passes its tests and runs in "sidestream dev" at
once: SQL that picks the validated orders, and a program that writes a note for
each, exactly once. Make of it what you need.

Files are made in ksql/NAME and services/NAME, and an entry is added at the end of
ksql/topics.yaml, services/services.yaml and helm/sidestream/values.yaml. Nothing
else is touched, and nothing at all when something is in the way.`,
		Example: `  sidestream new service returns --lang go
  sidestream new service returns --lang node
  sidestream new service returns --lang python`,
		Args: cobra.ExactArgs(1),
	}
	f := cmd.Flags()
	lang := f.String("lang", "go", "the program's language: "+strings.Join(scaffold.Languages, ", "))
	root := f.String("root", ".", "the repository")
	output := outputFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		s, err := scaffold.Make(*root, args[0], *lang)
		if err != nil {
			return err
		}
		return show(cmd.OutOrStdout(), *output, s, func() {
			w := cmd.OutOrStdout()
			for _, f := range s.Files {
				fmt.Fprintln(w, "new  "+f)
			}
			for _, l := range s.Lists {
				fmt.Fprintln(w, "edit "+l)
			}
			fmt.Fprintf(w, "\nTry it:\n  sidestream test ksql/%s\n", s.Name)
			for _, t := range s.Tests {
				fmt.Fprintln(w, "  "+t)
			}
			fmt.Fprintf(w, "  sidestream dev\n\nThen, for what is drawn and listed from it:  go generate ./...\n")
		})
	}
	return cmd
}
