package scaffold

import (
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sidestream/sidestream/sidecar/engine/sqltest"
	"github.com/sidestream/sidestream/sidecar/lint"
	"github.com/sidestream/sidestream/sidecar/manifest"
	"github.com/sidestream/sidestream/sidecar/project"
	"github.com/sidestream/sidestream/sidecar/topics"
)

// copyOf copies what Make reads of the repository: the SQL and the lists.
func copyOf(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	copyTree(t, "../../ksql", filepath.Join(root, "ksql"))
	for _, f := range []string{servicesList, valuesList} {
		copyFile(t, filepath.Join("../..", f), filepath.Join(root, f))
	}
	return root
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	raw, err := os.ReadFile(from)
	require.NoError(t, err)
	info, err := os.Stat(from)
	require.NoError(t, err)
	require.NoError(t, os.MkdirAll(filepath.Dir(to), 0o755))
	require.NoError(t, os.WriteFile(to, raw, info.Mode()))
}

func copyTree(t *testing.T, from, to string) {
	t.Helper()
	require.NoError(t, filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err == nil {
			copyFile(t, path, filepath.Join(to, rel))
		}
		return err
	}))
}

// all reads every file below root.
func all(t *testing.T, root string) map[string]string {
	t.Helper()
	out := map[string]string{}
	require.NoError(t, filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		raw, err := os.ReadFile(path)
		out[strings.TrimPrefix(path, root+"/")] = string(raw)
		return err
	}))
	return out
}

// A service in each language, one after another: only new files and the three
// lists change, the lists by lines at their ends; the SQL is clean and passes
// its tests; nobody shares an address or a name.
func TestServices(t *testing.T) {
	root := copyOf(t)
	for _, lang := range Languages {
		before := all(t, root)
		s, err := Make(root, "my-"+lang, lang)
		require.NoError(t, err)
		require.ElementsMatch(t, []string{topicsList, servicesList, valuesList}, s.Lists)
		require.NotEmpty(t, s.Tests)
		after := all(t, root)
		require.Len(t, after, len(before)+len(s.Files))
		for path, text := range after {
			old, was := before[path]
			switch {
			case !was:
				require.Contains(t, s.Files, path)
				require.NotContains(t, text, "@{", path)
				require.True(t, strings.HasSuffix(text, "\n"), path)
			case text != old:
				require.Contains(t, s.Lists, path)
				require.Empty(t, removed(old, text), "%s: lines are only added", path)
			}
		}
		for _, f := range []string{"README.md", "Dockerfile"} {
			require.Contains(t, s.Files, "services/my-"+lang+"/"+f)
		}
	}
	p, err := project.Load(filepath.Join(root, "ksql"), nil)
	require.NoError(t, err)
	for _, s := range p.Services {
		s.Asked = strings.HasPrefix(s.Name, "my-")
	}
	r := lint.Run(p)
	require.Empty(t, r.Findings, lint.Render(r.Findings))
	m, err := manifest.Load(filepath.Join(root, servicesList))
	require.NoError(t, err)
	seen := map[string]string{m.Broker: "the broker", m.Registry: "the registry"}
	for _, s := range m.Services {
		for _, a := range []string{s.Sidecar, s.HTTP} {
			require.Empty(t, seen[a], "%s of %s", a, s.Name)
			if a != "" {
				seen[a] = s.Name
			}
		}
	}
	list, err := topics.Load(filepath.Join(root, topicsList))
	require.NoError(t, err)
	_, err = topics.Rules(list)
	require.NoError(t, err)
	for _, lang := range Languages {
		dir := filepath.Join(root, "ksql", "my-"+lang)
		files, err := sqltest.Find(dir)
		require.NoError(t, err)
		require.NotEmpty(t, files)
		for _, f := range files {
			tests, err := sqltest.Load(f)
			require.NoError(t, err)
			require.NotEmpty(t, tests)
			for _, test := range tests {
				require.Empty(t, sqltest.Run(test, sqltest.Options{}).Failure, test.Name)
			}
		}
	}
}

// removed are the lines of old that aren't in text any more.
func removed(old, text string) []string {
	have := map[string]int{}
	for line := range strings.Lines(text) {
		have[line]++
	}
	var out []string
	for line := range strings.Lines(old) {
		if have[line]--; have[line] < 0 {
			out = append(out, line)
		}
	}
	return out
}

func TestWhatIsInTheWay(t *testing.T) {
	root := copyOf(t)
	_, err := Make(root, "mine", "go")
	require.NoError(t, err)
	before := all(t, root)
	for name, want := range map[string]string{
		"Mine": "small letters", "1x": "small letters", "a_b": "small letters", "x-": "small letters", "../x": "small letters",
		"mine": "is there already", "fraud": "is there already", "details": "is there already",
		"x-sql": "is taken", "kafka": "is taken", "transact": "is taken",
		"orders-archive": "begins with the name of service orders", "order": "choose another name",
	} {
		_, err := Make(root, name, "go")
		require.ErrorContains(t, err, want, name)
	}
	_, err = Make(root, "x", "rust")
	require.EqualError(t, err, `language "rust": give go, node, python`)
	require.Equal(t, before, all(t, root), "nothing was written")

	// A list that nobody can read: everything is taken back.
	broken := strings.Replace(before[topicsList], "topics:\n", "topicz:\n", 1)
	require.NoError(t, os.WriteFile(filepath.Join(root, topicsList), []byte(broken), 0o644))
	_, err = Make(root, "x", "go")
	require.Error(t, err)
	require.NoDirExists(t, filepath.Join(root, "services", "x"))
	require.NoDirExists(t, filepath.Join(root, "ksql", "x"))
}

func TestUnder(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"a:\n  b: 1\n", "a:\n  b: 1\n  NEW\n"},
		{"a:\n  b: 1", "a:\n  b: 1\n  NEW\n"},
		{"a: # why\n  b:\n    c: 1\n\n# of d\nd: 2\n", "a: # why\n  b:\n    c: 1\n  NEW\n\n# of d\nd: 2\n"},
		{"x:\n  a:\n    b: 1\na:\n  c: 1\n  # the end\ny: 1\n", "x:\n  a:\n    b: 1\na:\n  c: 1\n  # the end\n  NEW\ny: 1\n"},
		{"a:\n  b: 1\n# between\n  c: 1\n", "a:\n  b: 1\n# between\n  c: 1\n  NEW\n"},
	} {
		got, err := under(c.text, "a", "  NEW\n")
		require.NoError(t, err)
		require.Equal(t, c.want, got)
	}
	_, err := under("a: {b: 1}\n", "a", "  NEW\n")
	require.ErrorContains(t, err, "no mapping `a:`")
}

func TestJSON(t *testing.T) {
	s, err := Make(copyOf(t), "mine", "node")
	require.NoError(t, err)
	raw, err := json.Marshal(s)
	require.NoError(t, err)
	require.Contains(t, string(raw), `"name":"mine","lang":"node","sidecar":"127.0.0.1:`)
}
