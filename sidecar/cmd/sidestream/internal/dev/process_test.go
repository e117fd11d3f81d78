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

	"github.com/sidestream/sidestream/sidecar/manifest"
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

func TestPortsInUseAreNamedTogether(t *testing.T) {
	a, b := hold(t), hold(t)
	m := &manifest.Manifest{Broker: a, Services: []manifest.Service{{Name: "orders", Program: manifest.Program{Go: "x"}, HTTP: b}}}
	require.EqualError(t, checkPorts(m), "can't listen on "+a+" (broker), "+b+" (orders): stop what runs there (another `sidestream dev`?) or change services.yaml")
}
