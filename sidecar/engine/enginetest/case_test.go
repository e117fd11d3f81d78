package enginetest_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sidestream/sidestream/sidecar/engine/enginetest"
)

// sharedPath finds what lies beside the repository.
func sharedPath(t *testing.T, name string) string {
	dir, err := os.Getwd()
	require.NoError(t, err)
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return filepath.Join(dir, "..", "shared", name)
		}
		up := filepath.Dir(dir)
		require.NotEqual(t, dir, up, "no go.mod above the test")
		dir = up
	}
}

// passing is how many cases pass; raise it when more do.
const passing = 1246

// passingRegistry is the same of the cases that need a Schema Registry.
const passingRegistry = 409

// TestQueryCases runs ksqlDB's query cases whose formats the engine has. CASES
// chooses by a part of the id; VERBOSE=1 shows every failure.
func TestQueryCases(t *testing.T) { runCases(t, false, passing) }

// TestRegistryCases runs those that need a Schema Registry, on one in memory.
func TestRegistryCases(t *testing.T) { runCases(t, true, passingRegistry) }

func runCases(t *testing.T, registry bool, floor int) {
	cases, err := enginetest.LoadCases(sharedPath(t, "cases/cases-dev.jsonl.gz"))
	if errors.Is(err, fs.ErrNotExist) {
		t.Skip("the query cases are not here: see CONTRIBUTING.md for where they come from")
	}
	require.NoError(t, err)
	only, verbose := os.Getenv("CASES"), os.Getenv("VERBOSE") != ""
	passed, total := map[string]int{}, map[string]int{}
	all, good := 0, 0
	var failures []string
	for _, c := range cases {
		if c.Suite != "qtt" || c.NeedsSchemaRegistry != registry || !strings.Contains(c.ID, only) {
			continue
		}
		file := strings.TrimSuffix(filepath.Base(c.File), ".json")
		total[file]++
		all++
		if err := c.Run(); err != nil {
			failures = append(failures, fmt.Sprintf("%s\n    %s", c.ID, strings.ReplaceAll(err.Error(), "\n", "\n    ")))
			continue
		}
		passed[file]++
		good++
	}
	var files []string
	for f := range total {
		files = append(files, f)
	}
	sort.Strings(files)
	for _, f := range files {
		if passed[f] < total[f] {
			t.Logf("%3d of %3d  %s", passed[f], total[f], f)
		}
	}
	if verbose {
		for _, f := range failures {
			t.Log(f)
		}
	}
	t.Logf("%d of %d cases pass", good, all)
	if only == "" {
		require.GreaterOrEqual(t, good, floor, "fewer cases pass than did; VERBOSE=1 shows which fail")
	}
}
