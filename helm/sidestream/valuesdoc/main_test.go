package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTable(t *testing.T) {
	table, err := tableOf([]byte(`# About the file.

# A group.
group:
  # -- What a | b
  # means
  name: x
  # -- A list
  list: [{a: 1}]
# -- Empty
nothing: null
`))
	require.NoError(t, err)
	require.Equal(t, "| value | default | |\n|---|---|---|\n"+
		"| `group.name` | `\"x\"` | What a \\| b means |\n"+
		"| `group.list` | `[{\"a\":1}]` | A list |\n"+
		"| `nothing` | `null` | Empty |\n", table)
	_, err = tableOf([]byte("a:\n  # no mark\n  b: 1\n"))
	require.EqualError(t, err, `line 3: a.b has no comment that begins with "# -- "`)
}

func TestReadme(t *testing.T) {
	dir := t.TempDir()
	readme := filepath.Join(dir, "README.md")
	require.NoError(t, os.WriteFile(readme, []byte("# Chart\n"), 0o644))
	require.ErrorContains(t, run("../values.yaml", readme), "marks")
	require.NoError(t, os.WriteFile(readme, []byte("# Chart\n"+begin+"begin old"+end+"\nafter\n"), 0o644))
	require.NoError(t, run("../values.yaml", readme))
	text, err := os.ReadFile(readme)
	require.NoError(t, err)
	require.Contains(t, string(text), "| `sidecar.engine` | `\"\"` |")
	require.NotContains(t, string(text), "begin old")
	require.Contains(t, string(text), end+"\nafter\n")
}
