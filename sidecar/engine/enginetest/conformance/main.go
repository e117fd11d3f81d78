// Command conformance runs ksqlDB's query cases on the engine and says which
// pass. It is a tool of this repository: `make conformance` and `make
// compatibility` run it.
//
// In: a file of cases, one JSON object a line, gzipped or not; the list of cases
// that passed before; the list of cases that are left out, with reasons. Out:
// passed and failed by file, what differs for each that failed, a JSON report on
// request, COMPATIBILITY.md on request. The last line is "passed N, failed N,
// skipped N". The exit status is 1 when a case fails that passed before, and 2
// when the cases can't be run.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"

	"github.com/sidestream/sidestream/sidecar/engine/enginetest"
)

type options struct {
	cases, only, out           string
	passing, skips             string
	update                     bool
	compatibility, check       string
	recordings, differingThere string
}

func main() {
	var o options
	flag.StringVar(&o.cases, "cases", "../shared/cases/cases-dev.jsonl.gz", "the cases, one JSON object a line; may be gzipped")
	flag.StringVar(&o.only, "only", "", "a regular expression: run the cases whose file or name matches")
	flag.StringVar(&o.out, "out", "", "write a report as JSON to this file")
	flag.StringVar(&o.passing, "passing", "sidecar/engine/enginetest/testdata/passing.txt", "the ids of the cases that passed before")
	flag.StringVar(&o.skips, "skips", "sidecar/engine/enginetest/testdata/skips.yaml", "the cases that are left out, with reasons")
	flag.BoolVar(&o.update, "update", false, "write the ids of the cases that pass to the file of -passing")
	flag.StringVar(&o.compatibility, "compatibility", "", "write COMPATIBILITY.md to this file")
	flag.StringVar(&o.check, "check", "", "fail when this file isn't the COMPATIBILITY.md of the run")
	flag.StringVar(&o.recordings, "recordings", "../shared/golden", "folder of the exchanges recorded from a real server")
	flag.StringVar(&o.differingThere, "exceptions", "sidecar/engine/rest/testdata/golden-exceptions.yaml", "the recorded exchanges whose answers differ, with reasons")
	flag.Parse()
	if flag.NArg() > 0 {
		fmt.Fprintf(os.Stderr, "conformance takes no arguments, only flags; got %q. See -h.\n", flag.Args())
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	ok, err := run(ctx, &o, os.Stdout)
	stop()
	switch {
	case err != nil:
		fmt.Fprintln(os.Stderr, "conformance:", err)
		os.Exit(2)
	case !ok:
		os.Exit(1)
	}
}

// run runs the cases and tells of them on w; ok is false when a case fails that
// passed before, or the page of -check isn't current.
func run(ctx context.Context, o *options, w io.Writer) (ok bool, err error) {
	cases, err := enginetest.LoadCases(o.cases)
	if errors.Is(err, fs.ErrNotExist) {
		return false, fmt.Errorf("there are no cases at %s: give another file by CASES=", o.cases)
	}
	if err != nil {
		return false, err
	}
	if cases, err = filter(cases, o.only); err != nil {
		return false, err
	}
	suite := &enginetest.Suite{}
	if suite.Skips, err = enginetest.LoadSkips(o.skips); err != nil {
		return false, err
	}
	before, err := enginetest.LoadPassing(o.passing)
	if err != nil {
		return false, err
	}
	bar := newBar(os.Stderr, len(cases))
	suite.Done = func(*enginetest.Result) { _ = bar.Add(1) }
	began := time.Now()
	report := suite.Run(ctx, cases)
	_ = bar.Finish()
	if err := ctx.Err(); err != nil {
		return false, err
	}
	lost := tell(w, report, before)
	fmt.Fprintf(w, "%d cases in %s\n", len(cases), time.Since(began).Round(100*time.Millisecond))
	ok = lost == 0
	if err := write(o, report); err != nil {
		return false, err
	}
	current, err := page(o, report, w)
	if err != nil {
		return false, err
	}
	fmt.Fprintf(w, "passed %d, failed %d, skipped %d\n", report.Passed, report.Failed, report.Skipped)
	return ok && current, nil
}

// filter keeps the cases whose file, name or id matches.
func filter(cases []*enginetest.Case, only string) ([]*enginetest.Case, error) {
	if only == "" {
		return cases, nil
	}
	match, err := regexp.Compile("(?i)" + only)
	if err != nil {
		return nil, fmt.Errorf("-only: %w", err)
	}
	var out []*enginetest.Case
	for _, c := range cases {
		if match.MatchString(c.File) || match.MatchString(c.Name) || match.MatchString(c.ID) {
			out = append(out, c)
		}
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("-only %q matches none of %d cases", only, len(cases))
	}
	return out, nil
}

// newBar shows how far the run is, where somebody looks at it.
func newBar(file *os.File, n int) *progressbar.ProgressBar {
	return progressbar.NewOptions(n, progressbar.OptionSetWriter(file), progressbar.OptionSetDescription("cases"),
		progressbar.OptionShowCount(), progressbar.OptionSetWidth(30), progressbar.OptionClearOnFinish(),
		progressbar.OptionThrottle(100*time.Millisecond), progressbar.OptionSetVisibility(term.IsTerminal(int(file.Fd()))))
}

// tell prints files, failures and what changed since the list of passing cases
// was written; lost is how many cases failed that passed then.
func tell(w io.Writer, r *enginetest.Report, before map[string]bool) (lost int) {
	for _, f := range r.Files {
		fmt.Fprintf(w, "%5d of %-5d %s", f.Passed, f.Passed+f.Failed+f.Skipped, f.File)
		if f.Failed > 0 {
			fmt.Fprintf(w, "   %d failed", f.Failed)
		}
		if f.Skipped > 0 {
			fmt.Fprintf(w, "   %d skipped", f.Skipped)
		}
		fmt.Fprintln(w)
	}
	gained := 0
	var regressions []string
	for i := range r.Results {
		c := &r.Results[i]
		switch {
		case c.State == enginetest.Failed:
			fmt.Fprintf(w, "\nFAIL %s\n", c.Text())
			if before[c.ID] {
				regressions = append(regressions, c.ID)
			}
		case c.State == enginetest.Skipped:
			fmt.Fprintf(w, "\nSKIP %s\n    %s\n", c.ID, c.Reason)
		case !before[c.ID]:
			gained++
		}
	}
	fmt.Fprintln(w)
	if gained > 0 {
		fmt.Fprintf(w, "%d cases pass that are not on the list of those that must; UPDATE=1 puts them there\n", gained)
	}
	if len(regressions) > 0 {
		fmt.Fprintf(w, "%d cases fail that passed before:\n    %s\n", len(regressions), strings.Join(regressions, "\n    "))
	}
	return len(regressions)
}

func write(o *options, r *enginetest.Report) error {
	if o.out != "" {
		data, err := json.MarshalIndent(r, "", "  ")
		if err != nil {
			return err
		}
		if err := os.WriteFile(o.out, append(data, '\n'), 0o644); err != nil {
			return err
		}
	}
	if !o.update {
		return nil
	}
	if o.only != "" {
		return errors.New("-update needs a run of all cases: leave -only out")
	}
	if err := os.MkdirAll(filepath.Dir(o.passing), 0o755); err != nil {
		return err
	}
	return os.WriteFile(o.passing, r.Passing(), 0o644)
}

// page writes COMPATIBILITY.md, or tells whether it is current.
func page(o *options, r *enginetest.Report, w io.Writer) (current bool, err error) {
	if o.compatibility == "" && o.check == "" {
		return true, nil
	}
	if o.only != "" {
		return false, errors.New("the page of compatibility is made of all cases: leave -only out")
	}
	rec, err := enginetest.LoadRecordings(o.recordings, o.differingThere)
	if err != nil {
		return false, err
	}
	text := enginetest.Compatibility(r, rec)
	if o.compatibility != "" {
		return true, os.WriteFile(o.compatibility, text, 0o644)
	}
	have, err := os.ReadFile(o.check)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false, err
	}
	if !bytes.Equal(have, text) {
		fmt.Fprintf(w, "%s is not what this run shows: run `make compatibility`\n", o.check)
		return false, nil
	}
	return true, nil
}
