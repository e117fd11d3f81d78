package dev

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sidestream/sidestream/sidecar/manifest"
)

func TestSetUpOnceAndAgainWhenItMust(t *testing.T) {
	root := t.TempDir()
	dir := filepath.Join(root, "services", "it")
	require.NoError(t, os.MkdirAll(dir, 0o755))
	write := func(name, text string) {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644))
	}
	write("package.json", "{}")
	svc := manifest.Service{Name: "it", Program: manifest.Program{Dir: "services/it", Command: []string{"sh"},
		Setup: [][]string{{"sh", "-c", "mkdir -p made"}, {"sh", "-c", "echo x >> ran"}}}}
	sys := &System{cfg: &manifest.Manifest{Root: root, Services: []manifest.Service{svc}},
		opts: Options{Dir: t.TempDir(), Bin: t.TempDir()}, screen: NewScreen(&bytes.Buffer{})}
	ran := func() int {
		require.NoError(t, sys.build(context.Background()))
		raw, err := os.ReadFile(filepath.Join(dir, "ran"))
		require.NoError(t, err)
		return len(raw) / 2
	}
	require.Equal(t, 1, ran())
	require.Equal(t, 1, ran(), "nothing has changed")
	write("package.json", `{"name": "it"}`)
	require.Equal(t, 2, ran(), "other dependencies")
	require.NoError(t, os.RemoveAll(filepath.Join(dir, "made")))
	require.Equal(t, 3, ran(), "what it made is gone")
	require.Equal(t, 3, ran())

	sys.cfg.Services[0].Program.Setup = [][]string{{"sh", "-c", "echo no network; exit 7"}}
	require.EqualError(t, sys.build(context.Background()), "service it: sh -c echo no network; exit 7: exit status 7\nno network\n")
	sys.cfg.Services[0].Program.Command = []string{"no-such-language"}
	require.ErrorContains(t, sys.build(context.Background()), "service it needs no-such-language, which isn't installed")
}
