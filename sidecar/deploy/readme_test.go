package deploy

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// The table of edits in README.md is made of the files that are run.
func TestReadmeTable(t *testing.T) {
	const begin, end = "<!-- edits: written by go test ./sidecar/deploy -run TestReadmeTable -rewrite -->\n", "<!-- end of edits -->"
	raw, err := os.ReadFile("README.md")
	require.NoError(t, err)
	head, rest, ok := strings.Cut(string(raw), begin)
	require.True(t, ok)
	have, tail, ok := strings.Cut(rest, end)
	require.True(t, ok)
	want := editTable(t)
	if f := flag.Lookup("rewrite"); f != nil && f.Value.String() == "true" {
		require.NoError(t, os.WriteFile("README.md", []byte(head+begin+want+end+tail), 0o644))
		return
	}
	require.Equal(t, want, have, "go test ./sidecar/deploy -run TestReadmeTable -rewrite")
}

var (
	classLine = regexp.MustCompile(`^(same|new|in place|moved|rebuild|removed|forbidden): (\w+) (\S+)$`)
	countLine = regexp.MustCompile(`^count topic=(\S+)`)
)

type editRow struct{ edit, class, why, counted string }

func editTable(t *testing.T) string {
	files, err := filepath.Glob("testdata/edits/*.txt")
	require.NoError(t, err)
	var rows []editRow
	for _, file := range files {
		rows = append(rows, readEdit(t, file))
	}
	order := []string{"same", "in place", "moved", "removed", "rebuild", "forbidden"}
	slices.SortStableFunc(rows, func(a, b editRow) int {
		rank := func(r editRow) int {
			return slices.IndexFunc(order, func(c string) bool { return strings.HasPrefix(r.class, c) })
		}
		return rank(a) - rank(b)
	})
	var b strings.Builder
	b.WriteString("| edit | class | because | counted |\n|---|---|---|---|\n")
	for _, r := range rows {
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", r.edit, r.class, r.why, r.counted)
	}
	return b.String()
}

// readEdit takes a row from a file: its first comment, the plan, the counts.
func readEdit(t *testing.T, file string) editRow {
	raw, err := os.ReadFile(file)
	require.NoError(t, err)
	var about, classes, counted []string
	why, section, output := "", "", false
	for _, line := range strings.Split(string(raw), "\n") {
		switch {
		case strings.HasPrefix(line, "# ") && section == "":
			about = append(about, strings.TrimPrefix(line, "# "))
		case line == "":
			section, output = "-", false
		case section == "-" || section == "":
			section = line
		case line == "----":
			output = true
		case output && section == "plan":
			if m := classLine.FindStringSubmatch(line); m != nil {
				classes = append(classes, m[1]+" `"+strings.ToLower(m[3])+"`")
			} else if why == "" && strings.HasPrefix(line, "  ") {
				why = strings.TrimSpace(line)
			}
		case output && countLine.MatchString(section):
			text, over, moved := strings.Cut(line, "; the reader has gone over to ")
			if moved {
				text += ", over to `" + strings.TrimPrefix(over, "${t}") + "`"
			}
			counted = append(counted, "`"+countLine.FindStringSubmatch(section)[1]+"`: "+text)
		}
	}
	if classes == nil {
		classes = []string{"same"}
	}
	cell := func(text string) string { return strings.NewReplacer("|", "\\|", "${t}", "").Replace(text) }
	return editRow{cell(strings.Join(about, " ")), cell(strings.Join(classes, ", ")), cell(why), cell(strings.Join(counted, "; "))}
}
