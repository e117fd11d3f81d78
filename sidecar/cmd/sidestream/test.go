package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/fsnotify/fsnotify"
	"github.com/spf13/cobra"

	"github.com/sidestream/sidestream/sidecar/client"
	"github.com/sidestream/sidestream/sidecar/deploy"
	"github.com/sidestream/sidestream/sidecar/engine/parser"
	"github.com/sidestream/sidestream/sidecar/engine/sqltest"
)

func testCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "test PATH…",
		Short: "Run SQL tests",
		Long: `Runs SQL tests on the embedded engine, in memory: each "--@test:" of the files
given, or of the .sql files in folders called "tests" below the folders given.
Variables come from variables.yaml, as they do for apply. With --server they run
on a ksqlDB, under names of their own that are removed afterwards.

With --cover the statements of the folders are listed that no passing test
exercises, and that is a failure: see ksql/TESTING.md, which describes the
language.

With -s, -i and -o it runs the form of ksqlDB's ksql-test-runner: a file of
statements, one of input records and one of the records that must come out.

Ends with status 1 when a test fails.`,
		Example: `  sidestream test ksql --cover
  sidestream test ksql/fraud/tests/limit.sql --run late --define fraud_limit=500 --watch
  sidestream test ksql --junit build/sql.xml
  sidestream test ksql --server http://127.0.0.1:8088
  sidestream test -s statements.sql -i input.json -o output.json`,
	}
	t := &tester{}
	f := cmd.Flags()
	f.StringVar(&t.match, "run", "", "only tests whose name matches this regular expression")
	define := f.StringArray("define", nil, "name=value of a variable; may be repeated")
	f.BoolVarP(&t.verbose, "verbose", "v", false, "name the tests that pass, too")
	f.BoolVar(&t.cover, "cover", false, "list the statements that no passing test exercises, and fail if there are any")
	f.StringVar(&t.junit, "junit", "", "write the results to this file, as JUnit XML")
	watch := f.Bool("watch", false, "run again whenever a file changes")
	server := f.String("server", "", "run on the ksqlDB at this address")
	brokers := f.String("bootstrap", env("KAFKA_BOOTSTRAP_SERVERS", ""), "with --server: Kafka's addresses; none: those that the server uses (KAFKA_BOOTSTRAP_SERVERS)")
	var form sqltest.JSONForm
	f.StringVarP(&form.Statements, "sql-file", "s", "", "statements, for the form of ksql-test-runner")
	f.StringVarP(&form.Inputs, "input-file", "i", "", `its input records: {"inputs": [{"topic", "key", "value", "timestamp"}, …]}`)
	// -o is ksql-test-runner's name for the output records, and everybody else's for
	// the form of what is printed.
	outputs := f.StringP("output", "o", "text", `text or json; with -s the file of the expected records: {"outputs": […]}`)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if form.Statements != "" {
			if len(args) > 0 || *outputs == "text" {
				return errors.New("give -s STATEMENTS, -o OUTPUT and, where there are any, -i INPUT, and no paths")
			}
			form.Outputs = *outputs
			return runForm(cmd, form)
		}
		if len(args) == 0 {
			return errors.New("give the files or folders of the tests, as in sidestream test ksql")
		}
		t.paths, t.output, t.out = args, *outputs, cmd.OutOrStdout()
		var err error
		if t.defines, err = defines(*define); err != nil {
			return err
		}
		if *server != "" {
			closeServer, err := t.open(cmd.Context(), *server, list(*brokers))
			if err != nil {
				return err
			}
			defer closeServer()
		}
		if *watch {
			return t.watch(cmd.Context())
		}
		return t.once()
	}
	return cmd
}

// tester runs the tests of paths, once or whenever they change.
type tester struct {
	paths                []string
	match, junit, output string
	verbose, cover       bool
	defines              map[string]string
	server               *sqltest.Server
	out                  io.Writer
}

func (t *tester) open(ctx context.Context, url string, brokers []string) (func(), error) {
	c, err := client.New(url)
	if err != nil {
		return nil, err
	}
	ready, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	if _, err := deploy.WaitReady(ready, c); err != nil {
		return nil, err
	}
	if len(brokers) == 0 {
		if brokers, err = deploy.BrokersOf(ctx, c); err != nil {
			return nil, err
		}
	}
	if t.server, err = sqltest.OpenServer(ctx, c, brokers); err != nil {
		return nil, err
	}
	return func() { t.server.Close(); c.Close() }, nil
}

// outcome is a test's result as JSON.
type outcome struct {
	File    string  `json:"file"`
	Line    int     `json:"line"`
	Name    string  `json:"name"`
	Passed  bool    `json:"passed"`
	Asserts int     `json:"asserts"`
	Millis  float64 `json:"ms"`
	Failure string  `json:"failure,omitempty"`
}

func (t *tester) once() error {
	match, err := regexp.Compile(t.match)
	if err != nil {
		return fmt.Errorf("--run: %w", err)
	}
	files, err := sqltest.Find(t.paths...)
	if err != nil {
		return err
	}
	if len(files) == 0 {
		return fmt.Errorf("no SQL tests below %s: they are .sql files in folders called tests", strings.Join(t.paths, ", "))
	}
	variables, failed := testVariables(t.defines)
	o := sqltest.Options{Variables: variables, Server: t.server}
	if t.cover {
		if o.Cover, err = t.wanted(); err != nil {
			return err
		}
	}
	var results []sqltest.Result
	start := time.Now()
	for _, file := range files {
		tests, err := sqltest.Load(file)
		if err != nil {
			return err
		}
		for _, test := range tests {
			if !match.MatchString(test.Name) {
				continue
			}
			r := sqltest.Run(test, o)
			if *failed != nil {
				return *failed
			}
			results = append(results, r)
		}
	}
	if len(results) == 0 {
		return fmt.Errorf("no test's name matches %q", t.match)
	}
	return t.report(results, o.Cover, time.Since(start))
}

// wanted are the statements of the folders' files.
func (t *tester) wanted() (*sqltest.Cover, error) {
	cover := sqltest.NewCover()
	for _, path := range t.paths {
		files, err := sqlFiles([]string{path})
		if err != nil {
			return nil, err
		}
		for _, file := range files {
			dir := filepath.Dir(file)
			if filepath.Base(dir) == "tests" {
				continue
			}
			raw, err := os.ReadFile(file)
			if err != nil {
				return nil, err
			}
			vars, err := deploy.Variables(dir, t.defines)
			if err != nil {
				return nil, err
			}
			filled, err := parser.Substitute(string(raw), vars)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", file, err)
			}
			statements, err := parser.Parse(filled)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", file, err)
			}
			cover.Want(file, statements)
		}
	}
	return cover, nil
}

func (t *tester) report(results []sqltest.Result, cover *sqltest.Cover, took time.Duration) error {
	bad := 0
	outcomes := make([]outcome, 0, len(results))
	for _, r := range results {
		if !r.Passed() {
			bad++
		}
		outcomes = append(outcomes, outcome{r.Test.File, r.Test.Line, r.Test.Name, r.Passed(), r.Asserts, float64(r.Elapsed.Microseconds()) / 1000, r.Failure})
	}
	if t.junit != "" {
		if err := t.writeJUnit(results); err != nil {
			return err
		}
	}
	var data any = outcomes
	missed := 0
	var lines []*sqltest.Line
	if cover != nil {
		lines = cover.Lines()
		for _, l := range lines {
			if l.Exercised == 0 {
				missed++
			}
		}
		data = struct {
			Tests []outcome       `json:"tests"`
			Cover []*sqltest.Line `json:"cover"`
		}{outcomes, lines}
	}
	err := show(t.out, t.output, data, func() {
		for _, o := range outcomes {
			switch {
			case !o.Passed:
				fmt.Fprintf(t.out, "FAIL  %s:%d: %s\n%s\n", o.File, o.Line, o.Name, o.Failure)
			case t.verbose:
				fmt.Fprintf(t.out, "ok    %s:%d: %s (%.1f ms)\n", o.File, o.Line, o.Name, o.Millis)
			}
		}
		fmt.Fprintf(t.out, "%d SQL tests, %d failed, %v\n", len(outcomes), bad, took.Round(time.Millisecond))
		if cover != nil {
			printCover(t.out, lines, missed, t.verbose)
		}
	})
	if err == nil && bad+missed > 0 {
		err = exitStatus(1)
	}
	return err
}

func (t *tester) writeJUnit(results []sqltest.Result) error {
	if err := os.MkdirAll(filepath.Dir(t.junit), 0o755); err != nil {
		return err
	}
	f, err := os.Create(t.junit)
	if err != nil {
		return err
	}
	return errors.Join(sqltest.JUnit(f, results), f.Close())
}

func printCover(out io.Writer, lines []*sqltest.Line, missed int, all bool) {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, l := range lines {
		what := ""
		switch {
		case l.Ran == 0:
			what = "no test runs it"
		case l.Exercised == 0:
			what = fmt.Sprintf("run by %d tests, but no record goes through it to an ASSERT", l.Ran)
		case all:
			what = fmt.Sprintf("exercised by %d tests", l.Exercised)
		default:
			continue
		}
		fmt.Fprintf(w, "%s:%d:%d\t%s %s\t%s\n", l.File, l.Line, l.Col, strings.ToLower(l.Kind), l.Name, what)
	}
	w.Flush()
	fmt.Fprintf(out, "%d of %d statements exercised\n", len(lines)-missed, len(lines))
}

// watch runs the tests, and again whenever a .sql file or variables.yaml changes.
func (t *tester) watch(ctx context.Context) error {
	w, err := fsnotify.NewWatcher()
	if err != nil {
		return err
	}
	defer w.Close()
	for _, path := range t.paths {
		err := filepath.WalkDir(path, func(p string, d os.DirEntry, err error) error {
			switch {
			case err != nil:
				return err
			case d.IsDir() && p == path: // variables.yaml lies above
				return errors.Join(w.Add(p), w.Add(filepath.Dir(filepath.Clean(p))))
			case d.IsDir():
				return w.Add(p)
			case p == path: // a file: what it runs lies above it
				return errors.Join(w.Add(filepath.Dir(p)), w.Add(filepath.Dir(filepath.Dir(p))))
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	rest := time.NewTimer(0)
	for {
		select {
		case <-ctx.Done():
			return nil
		case err := <-w.Errors:
			fmt.Fprintf(t.out, "watching: %v\n", err)
		case e := <-w.Events:
			if e.Op != fsnotify.Chmod && (strings.HasSuffix(e.Name, ".sql") || filepath.Base(e.Name) == "variables.yaml") {
				rest.Reset(100 * time.Millisecond) // editors write in several steps
			}
		case <-rest.C:
			fmt.Fprintln(t.out, time.Now().Format("15:04:05"))
			var status exitStatus
			if err := t.once(); err != nil && !errors.As(err, &status) {
				fmt.Fprintln(t.out, err)
			}
		}
	}
}

// runForm runs a test in ksql-test-runner's form.
func runForm(cmd *cobra.Command, form sqltest.JSONForm) error {
	failure, err := form.Run()
	if err != nil {
		return err
	}
	if failure != "" {
		fmt.Fprintf(cmd.OutOrStdout(), "\t >>> Test failed: %s\n", failure)
		return exitStatus(1)
	}
	fmt.Fprintln(cmd.OutOrStdout(), "\t >>> Test passed!")
	return nil
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
