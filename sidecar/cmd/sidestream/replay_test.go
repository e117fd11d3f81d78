package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// A folder in git is edited, and records are replayed through both.
func TestReplayAgainstGit(t *testing.T) {
	dir := t.TempDir()
	put := func(name, text string) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, []byte(text), 0o644))
		return path
	}
	const sql = "CREATE STREAM a (id STRING KEY, n INT) WITH (KAFKA_TOPIC='a', VALUE_FORMAT='JSON');\nCREATE STREAM b AS SELECT id, n FROM a WHERE n > ${limit} EMIT CHANGES;\n"
	put("ksql/variables.yaml", "demo: {limit: 1}\n")
	put("ksql/demo/01-all.sql", sql)
	records := put("records.jsonl", `{"topic":"a","timestamp":1,"key":"x","value":"{\"N\":2}"}`+"\n"+`{"topic":"a","offset":1,"timestamp":2,"key":"y","value":"{\"N\":3}"}`+"\n")
	folder := filepath.Join(dir, "ksql", "demo")

	_, _, err := run(t, "replay", folder, "--from", records)
	require.ErrorContains(t, err, "give --base DIR")
	for _, args := range [][]string{{"init", "-q"}, {"add", "."}, {"-c", "user.name=x", "-c", "user.email=x@y", "commit", "-q", "-m", "first"}} {
		cmd := exec.Command("git", append([]string{"-C", dir}, args...)...)
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, string(out))
	}
	out, _, err := run(t, "replay", folder, "--from", records)
	require.NoError(t, err, out)
	require.Contains(t, out, "B: 2 records, before 2; 2 the same, -0 +0")

	put("ksql/variables.yaml", "demo: {limit: 2}\n")
	out, _, err = run(t, "replay", folder, "--from", records)
	require.Equal(t, exitStatus(2), err)
	require.Contains(t, out, "B: 1 records, before 2; 1 the same, -1 +0\n- ID='x', N=2, ROWTIME=1\n")

	out, _, err = run(t, "replay", folder, "--from", records, "--base", folder, "--base-define", "limit=9", "--output", "json")
	require.Equal(t, exitStatus(2), err)
	var result struct {
		Outputs []struct{ Before, After int }
	}
	require.NoError(t, json.Unmarshal([]byte(out), &result))
	require.Equal(t, 0, result.Outputs[0].Before)
	require.Equal(t, 1, result.Outputs[0].After)

	put("ksql/demo/01-all.sql", "CREATE STREAM a (id STRING KEY);\n")
	_, errs, err := run(t, "replay", folder, "--from", records)
	require.Equal(t, exitStatus(1), err)
	require.Contains(t, errs, "01-all.sql:1:")
}
