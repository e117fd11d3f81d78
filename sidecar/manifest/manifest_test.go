package manifest

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTheRepositorysOwn(t *testing.T) {
	m, err := Load("../../services/services.yaml")
	require.NoError(t, err)
	require.Equal(t, "http://127.0.0.1:8080", m.URL("orders"))
	require.Equal(t, "", m.URL("fraud"))
	names := map[string]bool{}
	for _, s := range m.Services {
		require.False(t, names[s.Name], s.Name)
		names[s.Name] = true
		if s.SQL != "" {
			require.DirExists(t, m.Path(s.SQL))
		}
		if s.Program.Exists() {
			require.DirExists(t, m.Path(s.Program.Folder()))
		}
	}
	require.Subset(t, names, map[string]bool{"orders": true, "fraud": true, "inventory": true, "details": true})
}

func load(t *testing.T, text string) (*Manifest, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "services.yaml")
	require.NoError(t, os.WriteFile(path, []byte(text), 0o644))
	return Load(path)
}

func TestMistakes(t *testing.T) {
	const head = "broker: a\ntopics: b\nservices:\n  x:\n"
	for text, want := range map[string]string{
		head + "    sql: y\n":                                            ":4: service x: sql and sidecar belong together",
		head + "    http: y\n":                                           ":4: service x: program and http belong together",
		head + "    sqls: y\n":                                           "field sqls not found",
		head + "    program: {commando: [a]}\n    http: y\n":             "field commando not found",
		head + "    program: {dir: a}\n    http: y\n":                    "with `command: [node, main.js]`",
		head + "    program: {command: [a], setup: [[]]}\n    http: y\n": "a command is empty",
		head + "    program: {command: [a], setup: npm}\n    http: y\n":  "setup: give a command as a list",
		head + "    sql: y\n    sidecar: z\n    reads: [t]\n":            "reads are the topics of a program",
		head + "    program: ./x\n    http: y\n    views: [T]\n":         "it needs both",
		"broker: a\ntopics: b\n":                                         "no services",
		"topics: b\nservices:\n  x: {program: a, http: 'b:1'}\n":         "broker and topics are needed",
	} {
		_, err := load(t, text)
		require.ErrorContains(t, err, want, text)
	}
}

func TestPrograms(t *testing.T) {
	m, err := load(t, `
broker: a
topics: b
services:
  go: {program: ./services/go, http: "h:1"}
  node:
    program: {dir: services/node, setup: [npm, ci], command: [node, main.js]}
    http: h:2
  python:
    program:
      dir: services/python
      setup: [[python3, -m, venv, .venv], [.venv/bin/pip, install, -r, requirements.txt]]
      command: [.venv/bin/python, main.py]
    http: h:3
`)
	require.NoError(t, err)
	require.Equal(t, Program{Go: "./services/go"}, m.Services[0].Program)
	require.Equal(t, "services/go", m.Services[0].Program.Folder())
	require.Equal(t, Program{Dir: "services/node", Setup: [][]string{{"npm", "ci"}}, Command: []string{"node", "main.js"}}, m.Services[1].Program)
	require.Equal(t, "services/node", m.Services[1].Program.Folder())
	require.Equal(t, [][]string{{"python3", "-m", "venv", ".venv"}, {".venv/bin/pip", "install", "-r", "requirements.txt"}}, m.Services[2].Program.Setup)
}

func TestOverlay(t *testing.T) {
	dir := t.TempDir()
	base, over := filepath.Join(dir, "services.yaml"), filepath.Join(dir, "over.yaml")
	require.NoError(t, os.WriteFile(base, []byte("broker: a\ntopics: b\nservices:\n  x:\n    program: ./x\n    http: h:1\n    env: {A: '1'}\n  y: {program: ./y, http: 'h:2'}\n"), 0o644))
	require.NoError(t, os.WriteFile(over, []byte("services:\n  x:\n    program: {dir: z, command: [node, main.js]}\n  w: {program: ./w, http: 'h:3'}\n"), 0o644))
	m, err := Load(base, over)
	require.NoError(t, err)
	require.Len(t, m.Services, 3)
	require.Equal(t, []string{"node", "main.js"}, m.Services[0].Program.Command)
	require.Empty(t, m.Services[0].Program.Go)
	require.Equal(t, map[string]string{"A": "1"}, m.Services[0].Env)
	require.Equal(t, "./y", m.Services[1].Program.Go)
	require.Equal(t, "w", m.Services[2].Name)

	require.NoError(t, os.WriteFile(over, []byte("broker: c\n"), 0o644))
	_, err = Load(base, over)
	require.ErrorContains(t, err, "over.yaml")
	require.ErrorContains(t, err, "field broker not found")
}
