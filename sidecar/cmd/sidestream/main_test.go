package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/stretchr/testify/require"
)

// run is the command in this process: what it printed, and its error.
func run(t *testing.T, args ...string) (string, string, error) {
	t.Helper()
	var out, errs bytes.Buffer
	cmd := root()
	cmd.SetArgs(args)
	cmd.SetOut(&out)
	cmd.SetErr(&errs)
	err := cmd.ExecuteContext(t.Context())
	return out.String(), errs.String(), err
}

func TestEveryCommandExplainsItself(t *testing.T) {
	var walk func(*cobra.Command)
	walk = func(c *cobra.Command) {
		if c.Runnable() && !c.HasSubCommands() {
			require.NotEmpty(t, c.Short, c.CommandPath())
			require.Contains(t, c.Example, "  sidestream ", c.CommandPath())
		}
		for _, sub := range c.Commands() {
			walk(sub)
		}
	}
	walk(root())
}

func TestSQLTests(t *testing.T) {
	out, _, err := run(t, "test", "../../../ksql", "--output", "json")
	require.NoError(t, err, out)
	var outcomes []struct {
		Name   string
		Passed bool
	}
	require.NoError(t, json.Unmarshal([]byte(out), &outcomes))
	require.NotEmpty(t, outcomes)

	out, _, err = run(t, "test", "../../../ksql/fraud", "--define", "fraud_limit=1")
	require.Equal(t, exitStatus(1), err)
	require.Contains(t, out, "FAIL  ../../../ksql/fraud/tests/limit.sql:1: ")

	_, _, err = run(t, "test", t.TempDir())
	require.ErrorContains(t, err, "no SQL tests below")
	_, _, err = run(t, "test", "../../../ksql", "--run", "no such test")
	require.EqualError(t, err, `no test's name matches "no such test"`)
}

func TestFmt(t *testing.T) {
	_, _, err := run(t, "fmt", "--check", "../../../ksql")
	require.NoError(t, err)
	dir := t.TempDir()
	good, bad := filepath.Join(dir, "01-a.sql"), filepath.Join(dir, "02-b.sql")
	require.NoError(t, os.WriteFile(good, []byte("select * from a emit changes;  \n\n"), 0o644))
	require.NoError(t, os.WriteFile(bad, []byte("create strem a;\n"), 0o644))
	out, errs, err := run(t, "fmt", dir)
	require.Equal(t, exitStatus(1), err)
	require.Equal(t, good+"\n", out)
	require.Contains(t, errs, bad+":1:8: ")
	require.Contains(t, errs, "    create strem a;\n           ^\n")
	tidy, err := os.ReadFile(good)
	require.NoError(t, err)
	require.Contains(t, string(tidy), "SELECT * FROM a ")
	require.True(t, strings.HasSuffix(string(tidy), ";\n"))
}

func TestClearRefusals(t *testing.T) {
	t.Setenv("KAFKA_BOOTSTRAP_SERVERS", "")
	for want, args := range map[string][]string{
		`there is nothing called "beers" to load`:      {"load", "beers", "x"},
		"open none.csv: no such file":                  {"load", "stock", "none.csv"},
		`--define "x": give name=value`:                {"apply", "../../../ksql/fraud", "--define", "x"},
		"SQL folder: open nowhere":                     {"apply", "nowhere"},
		"isn't ready":                                  {"apply", "../../../ksql/fraud", "--server", "http://127.0.0.1:1", "--wait", "1ms"},
		`address "0.0.0.0:9092"`:                       {"broker", "--listen", "0.0.0.0:9092", "--data-dir", t.TempDir()},
		"open nothing.yaml: no such file or directory": {"dev", "--services", "nothing.yaml"},
		`--output "xml": give text or json`:            {"version", "-o", "xml"},
		`--log-level "loud"`:                           {"broker", "--log-level", "loud"},
	} {
		_, _, err := run(t, args...)
		require.ErrorContains(t, err, want, "%v", args)
	}
}
