package charttest

import (
	"flag"
	"io"
	"log"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var rewrite = flag.Bool("rewrite", false, "write the goldens anew")

// chartDir is a copy of the chart that a test may change; the symbolic links to
// the repository's SQL become files.
func chartDir(t *testing.T) string {
	t.Helper()
	out := t.TempDir()
	var walk func(from, to string)
	walk = func(from, to string) {
		entries, err := os.ReadDir(from)
		require.NoError(t, err)
		require.NoError(t, os.MkdirAll(to, 0o755))
		for _, e := range entries {
			path := filepath.Join(from, e.Name())
			info, err := os.Stat(path) // follows the link
			require.NoError(t, err)
			switch {
			case from == ".." && e.Name() == "charttest":
			case info.IsDir():
				walk(path, filepath.Join(to, e.Name()))
			default:
				text, err := os.ReadFile(path)
				require.NoError(t, err)
				require.NoError(t, os.WriteFile(filepath.Join(to, e.Name()), text, 0o644))
			}
		}
	}
	walk("..", out)
	return out
}

// rendered is the chart with values, as objects.
func rendered(t *testing.T, dir, values string) Objects {
	t.Helper()
	objects, err := tryRender(dir, values)
	require.NoError(t, err)
	return objects
}

func tryRender(dir, values string) (Objects, error) {
	v, err := Values(values)
	if err != nil {
		return nil, err
	}
	out, err := Render3(dir, v)
	if err != nil {
		return nil, err
	}
	return Decode(Manifests(out))
}

// file is a values file of ci/.
func file(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "ci", name+"-values.yaml"))
	require.NoError(t, err)
	return string(text)
}

// files are the names of all values files.
func files(t *testing.T) []string {
	t.Helper()
	paths, err := filepath.Glob("../ci/*-values.yaml")
	require.NoError(t, err)
	require.NotEmpty(t, paths)
	for i, p := range paths {
		paths[i] = strings.TrimSuffix(filepath.Base(p), "-values.yaml")
	}
	return paths
}

// The goldens are rendered with SQL of their own, so that an edit of ksql/ is no
// edit of theirs.
func TestGoldens(t *testing.T) {
	dir := chartDir(t)
	for _, place := range []string{"ksql", "services.yaml"} {
		require.NoError(t, os.RemoveAll(filepath.Join(dir, place)))
	}
	require.NoError(t, os.CopyFS(dir, os.DirFS("testdata/repository")))
	for _, name := range files(t) {
		t.Run(name, func(t *testing.T) {
			values, err := Values(file(t, name))
			require.NoError(t, err)
			fourKinds(t, dir, values)
			three, err := Render3(dir, values)
			require.NoError(t, err)
			four, err := Render4(dir, values)
			require.NoError(t, err)
			got := Manifests(three)
			require.Equal(t, got, Manifests(four), "Helm 3 and Helm 4 render the same")
			_, err = Decode(got)
			require.NoError(t, err)
			golden := filepath.Join("testdata", name+".yaml")
			if *rewrite {
				require.NoError(t, os.WriteFile(golden, []byte(got), 0o644))
			}
			want, err := os.ReadFile(golden)
			require.NoError(t, err)
			require.Equal(t, string(want), got, "go test -run TestGoldens -rewrite, and review the difference")
		})
	}
}

// fourKinds switches off the services that come and go, so that goldens show the
// kinds there are: both halves, SQL alone, a program alone.
func fourKinds(t *testing.T, dir string, values map[string]any) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, "values.yaml"))
	require.NoError(t, err)
	all, err := Values(string(text))
	require.NoError(t, err)
	services, ok := values["services"].(map[string]any)
	if !ok {
		services = map[string]any{}
		values["services"] = services
	}
	for name := range all["services"].(map[string]any) {
		if _, given := services[name]; !given && !slices.Contains([]string{"orders", "fraud", "inventory", "details"}, name) {
			services[name] = map[string]any{"enabled": false}
		}
	}
}

// The repository's own SQL renders with every values file.
func TestEveryValuesFileWithTheRepositorysSQL(t *testing.T) {
	for _, name := range files(t) {
		t.Run(name, func(t *testing.T) {
			objects := rendered(t, "..", file(t, name))
			for name, o := range objects {
				meta, ok := o.(interface{ GetLabels() map[string]string })
				require.True(t, ok, name)
				require.Equal(t, Release, meta.GetLabels()["app.kubernetes.io/instance"], name)
			}
		})
	}
}

// Helm's loader logs each symbolic link that it follows.
func TestMain(m *testing.M) {
	log.SetOutput(io.Discard)
	os.Exit(m.Run())
}

func TestPackaged(t *testing.T) {
	// What a package of the chart holds: the SQL, but no tests and no links.
	names, err := packaged("..")
	require.NoError(t, err)
	require.Contains(t, names, "ksql/fraud/03-limit.sql")
	require.Contains(t, names, "ksql/variables.yaml")
	require.Contains(t, names, "ksql/topics.yaml")
	require.Contains(t, names, "services.yaml")
	for _, n := range names {
		for _, no := range []string{"/tests/", "charttest/", "k8stest/", "valuesdoc/", "ci/"} {
			require.NotContains(t, "/"+n, "/"+strings.TrimPrefix(no, "/"), "left out by .helmignore")
		}
	}
}
