package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/sidestream/sidestream/sidecar/client"
	"github.com/sidestream/sidestream/sidecar/deploy"
)

func planCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "plan DIR --server URL",
		Short: "What apply would do, with the reason, and changing nothing",
		Long: `Compares a folder's SQL with what a ksqlDB server or the embedded engine runs, and
says for each object what apply would do and why:

  same       nothing is sent
  new        it is created
  in place   CREATE OR REPLACE takes it, or the query goes on under another id
             at the same offsets: nothing is lost, nothing read twice
  moved      declared anew since what it reads is; goes on exactly where it stood
  rebuild    a new version beside the old one, filled from the beginning
  removed    the folder doesn't have it any more: dropped, its topic is kept
  forbidden  no procedure leads there without loss or doubles

A server has no dry run: a CREATE OR REPLACE that it takes has been done. So the
classes are worked out here, from the statements' trees and plans. The whole
folder is checked first, without the server.

Ends with status 0 when there is nothing to do, 2 when there are changes, 3 when
a rebuild is needed that nothing allows (--@rebuild: allow before the statement,
--allow-rebuild), 4 when something is forbidden, and 1 when the SQL has mistakes
or the server can't be asked.`,
		Example: `  sidestream plan ksql/fraud --server http://127.0.0.1:8089
  sidestream plan ksql/fraud --server http://127.0.0.1:8089 --output json --define fraud_limit=500`,
		Args: cobra.ExactArgs(1),
	}
	t := targetFlags(cmd, 5*time.Minute)
	allow := cmd.Flags().Bool("allow-rebuild", false, "rebuilds are allowed, as for apply")
	output := outputFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		ctx, done, err := t.open(cmd, args[0])
		if err != nil {
			return err
		}
		defer done()
		t.opts.AllowRebuild = *allow
		plan, err := deploy.MakePlan(ctx, t.client, t.folder, t.opts)
		if err != nil {
			return shown(cmd, err)
		}
		if err := show(cmd.OutOrStdout(), *output, plan, func() { printPlan(cmd.OutOrStdout(), args[0], plan) }); err != nil {
			return err
		}
		if code := plan.ExitCode(); code != 0 {
			return exitStatus(code)
		}
		return nil
	}
	return cmd
}

// target is what plan and apply have in common: a folder, a server, its Kafka.
type target struct {
	server, brokers    *string
	define, property   *[]string
	check              *bool
	wait, limit, lease *time.Duration

	folder *deploy.Folder
	client *client.Client
	opts   deploy.Options
}

func targetFlags(cmd *cobra.Command, limit time.Duration) *target {
	f := cmd.Flags()
	return &target{
		server:   f.String("server", env("SIDECAR_URL", "http://127.0.0.1:8088"), "the server's REST address (SIDECAR_URL)"),
		brokers:  f.String("bootstrap", env("KAFKA_BOOTSTRAP_SERVERS", ""), "Kafka's addresses, for the memory of what was applied; none: those that the server uses (KAFKA_BOOTSTRAP_SERVERS)"),
		define:   f.StringArray("define", nil, "name=value of a variable; may be repeated"),
		property: f.StringArray("property", nil, "name=value of a ksqlDB property for all statements; may be repeated"),
		check:    f.Bool("check", true, "check the folder with the embedded engine's analysis first; false for SQL that only the server knows"),
		wait:     f.Duration("wait", 30*time.Second, "how long the server may take to become ready"),
		limit:    f.Duration("timeout", limit, "how long all of it may take"),
		lease:    f.Duration("lease", deploy.LeaseTTL, "how long the lease of an applier that died is waited for"),
	}
}

// open reads and checks the folder, waits for the server and opens the ledger.
func (t *target) open(cmd *cobra.Command, dir string) (context.Context, func(), error) {
	vars, err := defines(*t.define)
	if err != nil {
		return nil, nil, err
	}
	if t.opts.Properties, err = defines(*t.property); err != nil {
		return nil, nil, fmt.Errorf("%s", strings.Replace(err.Error(), "--define", "--property", 1))
	}
	if vars, err = deploy.Variables(dir, vars); err != nil {
		return nil, nil, err
	}
	if t.folder, err = deploy.LoadFolder(dir, vars); err != nil {
		return nil, nil, shown(cmd, err)
	}
	t.opts.Unchecked = !*t.check
	if *t.check {
		if err := deploy.Check(t.folder); err != nil {
			return nil, nil, shown(cmd, err)
		}
	}
	if t.client, err = client.New(*t.server); err != nil {
		return nil, nil, err
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), *t.limit)
	done := func() {
		if t.opts.Ledger != nil {
			t.opts.Ledger.Close()
		}
		cancel()
		t.client.Close()
	}
	if err := t.connect(ctx); err != nil {
		done()
		return nil, nil, err
	}
	t.opts.By = version().Version
	return ctx, done, nil
}

func (t *target) connect(ctx context.Context) error {
	ready, cancel := context.WithTimeout(ctx, *t.wait)
	defer cancel()
	info, err := deploy.WaitReady(ready, t.client)
	if err != nil {
		return err
	}
	at := list(*t.brokers)
	if len(at) == 0 {
		if at, err = deploy.BrokersOf(ctx, t.client); err != nil {
			return err
		}
	}
	if t.opts.Ledger, err = deploy.OpenLedger(ctx, at, info.ServiceID); err != nil {
		return err
	}
	t.opts.Ledger.TTL = *t.lease
	return nil
}

func printPlan(out io.Writer, dir string, p *deploy.Plan) {
	fmt.Fprintf(out, "%s → %s (service id %s)\n\n", dir, p.Server, p.ServiceID)
	if p.Unfinished != "" {
		fmt.Fprintf(out, "An earlier apply was cut off during %s: the next one ends that first.\n\n", p.Unfinished)
	}
	var table strings.Builder
	w := tabwriter.NewWriter(&table, 0, 0, 2, ' ', 0)
	for _, s := range p.Steps {
		place := s.Place
		if place == "" {
			place = "(removed)"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", s.Class, strings.ToLower(string(s.Kind)), s.Name, place)
	}
	w.Flush()
	lines := strings.Split(table.String(), "\n")
	for i, s := range p.Steps {
		fmt.Fprintln(out, lines[i])
		for _, l := range stepLines(s) {
			fmt.Fprintln(out, "           "+l)
		}
	}
	for _, e := range p.Extras {
		fmt.Fprintf(out, "not in the folder, left running: %s\n", e.QueryID)
	}
	fmt.Fprintln(out, "\n"+planSummary(p))
}

func stepLines(s *deploy.Step) []string {
	var out []string
	add := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }
	if s.Class == deploy.Unchanged {
		for _, n := range s.Notes {
			add("note: %s", n)
		}
		return out
	}
	if s.Reason != "" {
		add("%s", s.Reason)
	}
	for _, l := range s.Diff {
		add("  %s", l)
	}
	if s.Do != "" {
		add("→ %s", s.Do)
	}
	for _, a := range s.Replays {
		add("reads again: %s, up to %d records", a.Topic, a.Records)
	}
	for _, a := range s.State {
		add("builds anew: %s, %d records", a.Topic, a.Records)
	}
	for _, r := range s.Readers {
		add("read by group %s (%s, %d records to go)", r.Group, r.State, r.Behind)
	}
	for _, who := range s.Tell {
		add("must be told of %s: %s", s.NewTopic, who)
	}
	for _, n := range s.Notes {
		add("note: %s", n)
	}
	return out
}

func planSummary(p *deploy.Plan) string {
	var parts []string
	for _, c := range []deploy.Class{deploy.New, deploy.InPlace, deploy.Moved, deploy.RebuildNeeded, deploy.Gone, deploy.Forbidden, deploy.Unchanged} {
		if n := p.Count(c); n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, c))
		}
	}
	text := strings.Join(parts, ", ") + "."
	switch p.ExitCode() {
	case deploy.ExitNothing:
		return text + " Nothing to do."
	case deploy.ExitRebuild:
		return text + " A rebuild is needed: allow it by a line --@rebuild: allow before the statement, or by --allow-rebuild."
	case deploy.ExitForbidden:
		return text + " Apply would refuse this."
	}
	return text
}
