package dev

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// shell is a process that runs a shell script; it is ready when its file exists.
func shell(t *testing.T, script string) (*process, string, chan string) {
	t.Helper()
	dir := t.TempDir()
	file := filepath.Join(dir, "ready")
	said := make(chan string, 100)
	p := &process{name: "it", argv: []string{"/bin/sh", "-c", script}, env: []string{"READY=" + file}, dir: dir,
		log: filepath.Join(dir, "logs", "it.log"), say: func(text string) { said <- text },
		ready: func(context.Context) error {
			if _, err := os.Stat(file); err != nil {
				return errors.New("not yet")
			}
			return nil
		}}
	require.NoError(t, p.start())
	t.Cleanup(p.halt)
	return p, file, said
}

func bounded(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func pidIn(t *testing.T, file string) int {
	t.Helper()
	raw, err := os.ReadFile(file)
	require.NoError(t, err)
	pid, err := strconv.Atoi(strings.TrimSpace(string(raw)))
	require.NoError(t, err)
	return pid
}

// gone waits until a process has ended.
func gone(t *testing.T, pid int) {
	t.Helper()
	require.Eventually(t, func() bool {
		if errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
			return true
		}
		stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
		return err == nil && strings.Contains(string(stat), ") Z ") // ended, but not collected
	}, 10*time.Second, 10*time.Millisecond)
}

func TestStartedAgainAfterAKill(t *testing.T) {
	p, file, said := shell(t, `echo $$ > $READY.tmp; mv $READY.tmp $READY; exec sleep 1000`)
	require.NoError(t, p.wait(bounded(t)))
	first := pidIn(t, file)
	require.NoError(t, os.Remove(file))
	require.NoError(t, syscall.Kill(first, syscall.SIGKILL))
	require.Contains(t, <-said, "it ended (signal: killed) and is started again")
	require.Eventually(t, func() bool { _, err := os.Stat(file); return err == nil }, 10*time.Second, 10*time.Millisecond)
	second := pidIn(t, file)
	require.NotEqual(t, first, second)
	p.halt()
	gone(t, second)
	_, restarts := p.state()
	require.Equal(t, 1, restarts)
}

func TestNothingIsLeft(t *testing.T) {
	// The shell's own child ignores SIGTERM, and the shell doesn't wait for it.
	p, file, _ := shell(t, `(trap '' TERM; sh -c 'echo $$ > $READY.tmp; mv $READY.tmp $READY; trap "" TERM; while :; do sleep 1; done') & wait`)
	require.NoError(t, p.wait(bounded(t)))
	child := pidIn(t, file)
	p.halt()
	gone(t, child)
}

func TestAProcessThatDoesNotComeUp(t *testing.T) {
	p, _, _ := shell(t, `echo "the topic orders is missing" >&2; exit 3`)
	err := p.wait(bounded(t))
	require.EqualError(t, err, "it ended while it started (exit status 3):\n  the topic orders is missing")
}

func TestConfig(t *testing.T) {
	c, err := Load("../../../../../services/services.yaml")
	require.NoError(t, err)
	require.Equal(t, "http://127.0.0.1:8080", c.URL("orders"))
	require.Equal(t, "", c.URL("fraud"))
	var names []string
	for _, s := range c.Services {
		names = append(names, s.Name)
		if s.SQL != "" {
			require.DirExists(t, c.path(s.SQL))
		}
	}
	require.Equal(t, []string{"orders", "fraud", "inventory", "details"}, names)

	for text, want := range map[string]string{
		"broker: a\ntopics: b\nservices:\n  x:\n    sql: y\n":    ":4: service x: sql and sidecar belong together",
		"broker: a\ntopics: b\nservices:\n  x:\n    http: y\n":   ":4: service x: program and http belong together",
		"broker: a\ntopics: b\nservices:\n  x:\n    sqls: y\n":   "field sqls not found",
		"broker: a\ntopics: b\n":                                 "no services",
		"topics: b\nservices:\n  x: {program: a, http: 'b:1'}\n": "broker and topics are needed",
	} {
		path := filepath.Join(t.TempDir(), "services.yaml")
		require.NoError(t, os.WriteFile(path, []byte(text), 0o644))
		_, err := Load(path)
		require.ErrorContains(t, err, want)
	}
}

func TestPortsInUseAreNamedTogether(t *testing.T) {
	a, b := hold(t), hold(t)
	c := &Config{Broker: a, Services: []Service{{Name: "orders", Program: "x", HTTP: b}}}
	require.EqualError(t, c.checkPorts(), "can't listen on "+a+" (broker), "+b+" (orders): stop what runs there (another `sidestream dev`?) or change services.yaml")
}
