package main

import (
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sidestream/sidestream/sidecar/deploy"
	"github.com/sidestream/sidestream/sidecar/engine/sqltest"
)

func testCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "test PATH…",
		Short: "Run SQL tests",
		Long: `Runs SQL tests on the embedded engine, in memory: each "--@test:" of the files
given, or of the .sql files in folders called "tests" below the folders given.
Variables come from variables.yaml, as they do for apply. Ends with status 1
when a test fails.`,
		Example: "  sidestream test ksql\n  sidestream test ksql/fraud/tests/limit.sql --run late --define fraud_limit=500",
		Args:    cobra.MinimumNArgs(1),
	}
	f := cmd.Flags()
	run := f.String("run", "", "only tests whose name matches this regular expression")
	define := f.StringArray("define", nil, "name=value of a variable; may be repeated")
	verbose := f.BoolP("verbose", "v", false, "name the tests that pass, too")
	output := outputFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		match, err := regexp.Compile(*run)
		if err != nil {
			return fmt.Errorf("--run: %w", err)
		}
		given, err := defines(*define)
		if err != nil {
			return err
		}
		files, err := sqltest.Find(args...)
		if err != nil {
			return err
		}
		if len(files) == 0 {
			return fmt.Errorf("no SQL tests below %s: they are .sql files in folders called tests", strings.Join(args, ", "))
		}
		variables, failed := testVariables(given)
		type outcome struct {
			File    string  `json:"file"`
			Line    int     `json:"line"`
			Name    string  `json:"name"`
			Passed  bool    `json:"passed"`
			Millis  float64 `json:"ms"`
			Failure string  `json:"failure,omitempty"`
		}
		var outcomes []outcome
		bad := 0
		start := time.Now()
		for _, file := range files {
			tests, err := sqltest.Load(file)
			if err != nil {
				return err
			}
			for _, t := range tests {
				if !match.MatchString(t.Name) {
					continue
				}
				r := sqltest.Run(t, sqltest.Options{Variables: variables})
				if *failed != nil {
					return *failed
				}
				outcomes = append(outcomes, outcome{t.File, t.Line, t.Name, r.Passed(), float64(r.Elapsed.Microseconds()) / 1000, r.Failure})
				if !r.Passed() {
					bad++
				}
			}
		}
		out := cmd.OutOrStdout()
		err = show(out, *output, outcomes, func() {
			for _, o := range outcomes {
				switch {
				case !o.Passed:
					fmt.Fprintf(out, "FAIL  %s:%d: %s\n%s\n", o.File, o.Line, o.Name, o.Failure)
				case *verbose:
					fmt.Fprintf(out, "ok    %s:%d: %s (%.1f ms)\n", o.File, o.Line, o.Name, o.Millis)
				}
			}
			fmt.Fprintf(out, "%d SQL tests, %d failed, %v\n", len(outcomes), bad, time.Since(start).Round(time.Millisecond))
		})
		if err != nil {
			return err
		}
		if len(outcomes) == 0 {
			return fmt.Errorf("no test's name matches %q", *run)
		}
		if bad > 0 {
			return exitStatus(1)
		}
		return nil
	}
	return cmd
}

// testVariables gives the variables of a folder to the tests. What it couldn't
// read is left in the error.
func testVariables(given map[string]string) (func(dir string) map[string]string, *error) {
	failed := new(error)
	return func(dir string) map[string]string {
		vars, err := deploy.Variables(filepath.Clean(dir), given)
		if err != nil && *failed == nil {
			*failed = err
		}
		return vars
	}, failed
}
