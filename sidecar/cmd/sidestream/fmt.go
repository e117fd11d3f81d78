package main

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sidestream/sidestream/sidecar/cmd/sidestream/internal/layout"
	"github.com/sidestream/sidestream/sidecar/deploy"
	"github.com/sidestream/sidestream/sidecar/engine/diagnostic"
	"github.com/sidestream/sidestream/sidecar/engine/parser"
)

func fmtCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "fmt PATH…",
		Short: "Tidy .sql files, and show what can't be read in them",
		Long: `Tidies .sql files, or those below folders: reserved words in upper case, no tabs,
no blanks at line ends, no more than one empty line in a row. Comments, line
breaks and indents stay. Syntax errors are shown with file, line, column and a
caret, and such files stay as they are.`,
		Example: "  sidestream fmt ksql\n  sidestream fmt --check ksql",
		Args:    cobra.MinimumNArgs(1),
	}
	check := cmd.Flags().Bool("check", false, "only name the files that would change, and end with status 1 if there are any")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		files, err := sqlFiles(args)
		if err != nil {
			return err
		}
		bad := false
		for _, file := range files {
			raw, err := os.ReadFile(file)
			if err != nil {
				return err
			}
			if text := syntax(file, string(raw)); text != "" {
				fmt.Fprint(cmd.ErrOrStderr(), text)
				bad = true
				continue
			}
			tidy := []byte(layout.Tidy(string(raw)))
			if bytes.Equal(raw, tidy) {
				continue
			}
			fmt.Fprintln(cmd.OutOrStdout(), file)
			if *check {
				bad = true
				continue
			}
			if err := os.WriteFile(file, tidy, 0o644); err != nil {
				return err
			}
		}
		if bad {
			return exitStatus(1)
		}
		return nil
	}
	return cmd
}

// syntax shows the syntax errors of a file, "" for none. Tests may hold
// statements on purpose that can't be read, so theirs are left to the tests.
func syntax(file, text string) string {
	dir := filepath.Dir(file)
	if filepath.Base(dir) == "tests" {
		return ""
	}
	vars, err := deploy.Variables(dir, nil)
	if err != nil {
		return err.Error() + "\n"
	}
	filled, err := parser.Substitute(text, vars)
	if err != nil {
		return diagnostic.Render(file, text, err)
	}
	if _, err := parser.Parse(filled); err != nil {
		return diagnostic.Render(file, filled, err)
	}
	return ""
}

func sqlFiles(paths []string) ([]string, error) {
	var out []string
	for _, path := range paths {
		err := filepath.WalkDir(path, func(p string, d fs.DirEntry, err error) error {
			if err == nil && !d.IsDir() && (p == path || strings.HasSuffix(p, ".sql")) {
				out = append(out, p)
			}
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}
