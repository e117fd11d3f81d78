package deploy

import (
	"encoding/json"
	"errors"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// The commands' exit codes and JSON, by the program itself.
func TestExitCodes(t *testing.T) {
	e := lab(t, "codes")
	sql := func(selected string) string {
		return "CREATE STREAM s (id STRING KEY, n INT, a INT) WITH (KAFKA_TOPIC='in', VALUE_FORMAT='JSON');\n" +
			"CREATE STREAM c WITH (KAFKA_TOPIC='codes-c') AS SELECT " + selected + " FROM s EMIT CHANGES;\n"
	}
	command := func(verb, text string, flags ...string) (int, string, string) {
		f, err := e.folder(text)
		if f == nil {
			require.NoError(t, err)
		}
		cmd := exec.Command(e.bin, append([]string{verb, f.Dir, "--server", e.client.URL(), "--bootstrap", e.broker}, flags...)...)
		var out, errs strings.Builder
		cmd.Stdout, cmd.Stderr = &out, &errs
		var exit *exec.ExitError
		if err := cmd.Run(); err != nil && !errors.As(err, &exit) {
			require.NoError(t, err)
		}
		return cmd.ProcessState.ExitCode(), out.String(), errs.String()
	}
	code, out, _ := command("plan", sql("id, n"))
	require.Equal(t, ExitChanges, code)
	require.Contains(t, out, "2 new.")
	code, _, _ = command("plan", sql("id, nn"))
	require.Equal(t, ExitError, code)
	code, out, errs := command("apply", sql("id, n"))
	require.Equal(t, 0, code, errs)
	require.Contains(t, out, "created  stream  C")

	code, out, _ = command("plan", sql("id, n"))
	require.Equal(t, ExitNothing, code)
	require.Contains(t, out, "Nothing to do.")
	code, out, _ = command("plan", sql("id, n, a"), "--output", "json")
	require.Equal(t, ExitChanges, code)
	var plan struct {
		ServiceID string
		Steps     []Step
	}
	require.NoError(t, json.Unmarshal([]byte(out), &plan))
	require.Equal(t, "codes_", plan.ServiceID)
	require.Equal(t, []Class{Unchanged, InPlace}, []Class{plan.Steps[0].Class, plan.Steps[1].Class})
	require.Equal(t, []string{"+ A"}, plan.Steps[1].Diff)

	code, out, _ = command("plan", sql("id, a, n"), "--output", "json")
	require.Equal(t, ExitRebuild, code)
	require.NoError(t, json.Unmarshal([]byte(out), &plan))
	require.Equal(t, RebuildNeeded, plan.Steps[1].Class)
	require.Equal(t, "codes-c_v2", plan.Steps[1].NewTopic)
	require.Equal(t, "in", plan.Steps[1].Replays[0].Topic)
	require.Positive(t, plan.Steps[1].Replays[0].Records)
	code, _, _ = command("plan", sql("id, a, n"), "--allow-rebuild")
	require.Equal(t, ExitChanges, code)
	code, out, errs = command("apply", sql("id, a, n"))
	require.Equal(t, ExitRebuild, code)
	require.Empty(t, out)
	require.Contains(t, errs, "The running query is untouched. This needs a rebuild: ")
	code, out, _ = command("apply", sql("id, a, n"), "--allow-rebuild", "--dry-run")
	require.Equal(t, 0, code)
	require.Contains(t, out, "rebuilt  stream  C")

	code, out, _ = command("plan", strings.Replace(sql("id, n"), "'codes-c'", "'codes-c', PARTITIONS=8", 1))
	require.Equal(t, ExitForbidden, code)
	require.Contains(t, out, "Apply would refuse this.")
}
