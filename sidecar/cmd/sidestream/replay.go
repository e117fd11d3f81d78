package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sidestream/sidestream/sidecar/client"
	"github.com/sidestream/sidestream/sidecar/deploy"
)

func replayCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "replay DIR",
		Short: "Recorded records through changed SQL, and what comes out otherwise",
		Long: `Runs records through a folder's SQL as it is now and as it was before, in memory,
and shows the difference of what comes out: "-" a record that only the SQL before
gives, "+" one that only the new SQL gives. Nothing is sent anywhere.

The records come from a file that "replay record" has made (--from), or from a
live Kafka. The SQL before is that of a git revision (--base git:HEAD, which is
what it is unless you say otherwise), of another folder (--base DIR), or what was
applied to a server (--base server, with --server). With --base-define the same
folder can be compared with itself under other variables.

Columns that only one side has are named, and left out of the comparison.

Ends with status 0 when nothing differs, 2 when something does, 1 after an error.`,
		Example: `  sidestream replay record ksql/fraud --out orders.jsonl --since 24h
  sidestream replay ksql/fraud --from orders.jsonl --define fraud_limit=500
  sidestream replay ksql/fraud --from orders.jsonl --base server --server http://127.0.0.1:8089 --output json`,
		Args: cobra.ExactArgs(1),
	}
	f := cmd.Flags()
	base := f.String("base", "git:HEAD", "the SQL before: git:REVISION, a folder, or server")
	from := f.String("from", "", "the recording; none: read the topics from Kafka")
	brokers := f.String("bootstrap", defaultBrokers(), "Kafka's addresses (KAFKA_BOOTSTRAP_SERVERS)")
	server := f.String("server", env("SIDECAR_URL", "http://127.0.0.1:8088"), "with --base server: its REST address (SIDECAR_URL)")
	define := f.StringArray("define", nil, "name=value of a variable; may be repeated")
	baseDefine := f.StringArray("base-define", nil, "name=value of a variable of the SQL before; may be repeated")
	most := f.Int("limit", 20, "differences shown of each output; 0 for all")
	since, records := recordFlags(cmd)
	output := outputFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		ctx := cmd.Context()
		vars, err := defines(*define)
		if err != nil {
			return err
		}
		baseVars, err := defines(*baseDefine)
		if err != nil {
			return fmt.Errorf("%s", strings.Replace(err.Error(), "--define", "--base-define", 1))
		}
		after, err := loadChecked(args[0], vars)
		if err != nil {
			return shown(cmd, err)
		}
		before, err := baseFolder(ctx, *base, args[0], baseVars, *server, list(*brokers))
		if err != nil {
			return shown(cmd, err)
		}
		recording, err := recordingOf(ctx, cmd, *from, list(*brokers), after, *since, *records)
		if err != nil {
			return err
		}
		result, err := deploy.Replay(ctx, before, after, recording)
		if err != nil {
			return shown(cmd, err)
		}
		if err := show(cmd.OutOrStdout(), *output, result, func() { printReplay(cmd.OutOrStdout(), result, *most) }); err != nil {
			return err
		}
		if result.Differs() {
			return exitStatus(2)
		}
		return nil
	}
	cmd.AddCommand(replayRecordCommand())
	return cmd
}

func recordFlags(cmd *cobra.Command) (since *time.Duration, records *int64) {
	return cmd.Flags().Duration("since", 0, "only records that are not older; 0 for all there are"),
		cmd.Flags().Int64("records", 0, "at most so many records of a topic, the latest; 0 for all")
}

func replayRecordCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "record DIR",
		Short: "Write what the topics of a folder's SQL hold to a file of JSON lines",
		Long: `Writes the records of the topics that a folder's SQL reads, and doesn't write
itself, to a file: a line of JSON each, with topic, partition, offset, timestamp,
key, value and headers. Keys and values that aren't text are in base64.`,
		Example: "  sidestream replay record ksql/orders --out orders.jsonl --since 24h --topic order-outcomes",
		Args:    cobra.ExactArgs(1),
	}
	f := cmd.Flags()
	out := f.String("out", "", "the file; none: standard output")
	brokers := f.String("bootstrap", defaultBrokers(), "Kafka's addresses (KAFKA_BOOTSTRAP_SERVERS)")
	define := f.StringArray("define", nil, "name=value of a variable; may be repeated")
	topics := f.StringArray("topic", nil, "a topic to record besides; may be repeated")
	since, records := recordFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		vars, err := defines(*define)
		if err != nil {
			return err
		}
		folder, err := loadChecked(args[0], vars)
		if err != nil {
			return shown(cmd, err)
		}
		inputs, err := deploy.InputTopics(folder)
		if err != nil {
			return err
		}
		inputs = append(inputs, *topics...)
		to := cmd.OutOrStdout()
		if *out != "" {
			file, err := os.Create(*out)
			if err != nil {
				return err
			}
			defer file.Close()
			to = file
		}
		w := bufio.NewWriter(to)
		counts := map[string]int{}
		err = record(cmd.Context(), cmd, list(*brokers), inputs, *since, *records, func(_ map[string]int, r deploy.Recorded) error {
			line, err := json.Marshal(r)
			if err != nil {
				return err
			}
			counts[r.Topic]++
			_, err = w.Write(append(line, '\n'))
			return err
		})
		if err = errors.Join(err, w.Flush()); err != nil {
			return err
		}
		for _, t := range inputs {
			fmt.Fprintf(cmd.ErrOrStderr(), "%s: %d records\n", t, counts[t])
		}
		return nil
	}
	return cmd
}

func loadChecked(dir string, given map[string]string) (*deploy.Folder, error) {
	vars, err := deploy.Variables(dir, given)
	if err != nil {
		return nil, err
	}
	folder, err := deploy.LoadFolder(dir, vars)
	if err != nil {
		return nil, err
	}
	return folder, deploy.Check(folder)
}

// record reads topics from Kafka.
func record(ctx context.Context, cmd *cobra.Command, brokers, topics []string, since time.Duration, most int64, take func(partitions map[string]int, r deploy.Recorded) error) error {
	k, err := deploy.ConnectKafka(ctx, brokers)
	if err != nil {
		return err
	}
	defer k.Close()
	o := deploy.RecordOptions{Max: most, Say: func(line string) { fmt.Fprintln(cmd.ErrOrStderr(), "… "+line) }}
	if since > 0 {
		o.Since = time.Now().Add(-since)
	}
	partitions, err := k.Record(ctx, topics, o, func(r deploy.Recorded) error { return take(nil, r) })
	if err != nil {
		return err
	}
	return take(partitions, deploy.Recorded{})
}

// recordingOf reads a file, or the topics that the SQL reads.
func recordingOf(ctx context.Context, cmd *cobra.Command, file string, brokers []string, f *deploy.Folder, since time.Duration, most int64) (*deploy.Recording, error) {
	if file != "" {
		r, err := os.Open(file)
		if err != nil {
			return nil, err
		}
		defer r.Close()
		return deploy.ReadRecording(file, r)
	}
	topics, err := deploy.InputTopics(f)
	if err != nil {
		return nil, err
	}
	out := &deploy.Recording{Partitions: map[string]int{}}
	err = record(ctx, cmd, brokers, topics, since, most, func(partitions map[string]int, r deploy.Recorded) error {
		maps.Copy(out.Partitions, partitions)
		if r.Topic != "" {
			out.Records = append(out.Records, r)
		}
		return nil
	})
	return out, err
}

// baseFolder is the SQL before.
func baseFolder(ctx context.Context, base, dir string, given map[string]string, server string, brokers []string) (*deploy.Folder, error) {
	revision, isGit := strings.CutPrefix(base, "git:")
	switch {
	case isGit:
		return gitFolder(ctx, revision, dir, given)
	case base == "server":
		c, err := client.New(server)
		if err != nil {
			return nil, err
		}
		defer c.Close()
		info, err := c.Info(ctx)
		if err != nil {
			return nil, err
		}
		if len(brokers) == 0 {
			if brokers, err = deploy.BrokersOf(ctx, c); err != nil {
				return nil, err
			}
		}
		ledger, err := deploy.OpenLedger(ctx, brokers, info.ServiceID)
		if err != nil {
			return nil, err
		}
		defer ledger.Close()
		abs, err := filepath.Abs(dir)
		if err != nil {
			return nil, err
		}
		return deploy.Applied(ctx, ledger, filepath.Base(abs))
	}
	return loadChecked(base, given)
}

// gitFolder is a folder as it was in a revision, with the variables and topics
// beside it.
func gitFolder(ctx context.Context, revision, dir string, given map[string]string) (*deploy.Folder, error) {
	git := func(args ...string) (string, error) {
		var problem strings.Builder
		cmd := exec.CommandContext(ctx, "git", append([]string{"-C", dir}, args...)...)
		cmd.Stderr = &problem
		out, err := cmd.Output()
		if err != nil {
			return "", fmt.Errorf("the SQL before can't be had of git (%s); give --base DIR: git %s: %w", strings.TrimSpace(problem.String()), strings.Join(args, " "), err)
		}
		return string(out), nil
	}
	names, err := git("ls-tree", "--name-only", revision, "./", "../variables.yaml", "../topics.yaml")
	if err != nil {
		return nil, err
	}
	tmp, err := os.MkdirTemp("", "sidestream-replay-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(tmp)
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	old := filepath.Join(tmp, filepath.Base(abs))
	if err := os.MkdirAll(old, 0o755); err != nil {
		return nil, err
	}
	for _, name := range strings.Fields(names) {
		if !slices.Contains([]string{".sql", ".yaml"}, filepath.Ext(name)) {
			continue
		}
		text, err := git("show", revision+":./"+name)
		if err != nil {
			return nil, err
		}
		if err := os.WriteFile(filepath.Join(old, name), []byte(text), 0o644); err != nil {
			return nil, err
		}
	}
	folder, err := loadChecked(old, given)
	if err != nil {
		return nil, fmt.Errorf("as of %s: %w", revision, err)
	}
	return folder, nil
}

func printReplay(out io.Writer, r *deploy.Replayed, most int) {
	fmt.Fprintf(out, "%d records replayed\n", r.Records)
	for _, o := range r.Outputs {
		fmt.Fprintln(out)
		switch {
		case o.Only == "after":
			fmt.Fprintf(out, "%s is new: %d records\n", o.Name, o.After)
			continue
		case o.Only == "before":
			fmt.Fprintf(out, "%s is no more: it had %d records\n", o.Name, o.Before)
			continue
		}
		plus := 0
		for _, d := range o.Diff {
			if d.Sign == "+" {
				plus++
			}
		}
		fmt.Fprintf(out, "%s: %d records, before %d; %d the same, -%d +%d\n", o.Name, o.After, o.Before, o.Same, len(o.Diff)-plus, plus)
		if len(o.Added) > 0 {
			fmt.Fprintf(out, "  new columns: %s\n", strings.Join(o.Added, ", "))
		}
		if len(o.Removed) > 0 {
			fmt.Fprintf(out, "  columns that are no more: %s\n", strings.Join(o.Removed, ", "))
		}
		for _, c := range slices.Sorted(maps.Keys(o.Changed)) {
			fmt.Fprintf(out, "  %s differs in %d\n", c, o.Changed[c])
		}
		for i, d := range o.Diff {
			if most > 0 && i == most {
				fmt.Fprintf(out, "  … %d more (--limit 0 shows all)\n", len(o.Diff)-most)
				break
			}
			fmt.Fprintf(out, "%s %s\n", d.Sign, d.Record)
		}
	}
	for _, text := range slices.Sorted(maps.Keys(r.Problems)) {
		fmt.Fprintf(out, "\nonly now, %d times: %s\n", r.Problems[text], text)
	}
}
