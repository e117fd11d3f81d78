package e2e

import (
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// lesson is a piece of the tutorial: commands, and what they show.
type lesson struct {
	commands string
	shows    []string
}

// lessons are the ```sh blocks of a text, each divided behind what is shown.
func lessons(text string) []lesson {
	var out []lesson
	now, inside := lesson{}, false
	for line := range strings.SplitSeq(text, "\n") {
		shown, isShown := strings.CutPrefix(line, "# → ")
		switch {
		case !inside:
			inside = line == "```sh"
		case isShown:
			now.shows = append(now.shows, shown)
		default:
			if line == "```" || now.shows != nil {
				if strings.TrimSpace(now.commands) != "" {
					out = append(out, now)
				}
				now = lesson{}
			}
			if inside = line != "```"; inside {
				now.commands += line + "\n"
			}
		}
	}
	return out
}

// TestTutorial does what TUTORIAL.md says, in a copy of what it changes, at the
// addresses that it names. Programs come from TestMain instead of `make build`.
func TestTutorial(t *testing.T) {
	for _, name := range []string{"bash", "make", "curl", "sed"} {
		if _, err := exec.LookPath(name); err != nil {
			t.Skipf("the tutorial needs %s: %v", name, err)
		}
	}
	services, err := os.ReadFile(filepath.Join(root, "services", "services.yaml"))
	require.NoError(t, err)
	for _, addr := range regexp.MustCompile(`127\.0\.0\.1:[0-9]+`).FindAllString(string(services), -1) {
		l, err := net.Listen("tcp", addr)
		if err != nil {
			t.Skipf("the tutorial's addresses are taken: %v", err)
		}
		require.NoError(t, l.Close())
	}
	dir := t.TempDir()
	for _, name := range []string{"ksql", "services", "scripts"} {
		require.NoError(t, os.CopyFS(filepath.Join(dir, name), os.DirFS(filepath.Join(root, name))))
	}
	for _, name := range []string{"Makefile", "go.mod"} {
		require.NoError(t, os.Symlink(filepath.Join(root, name), filepath.Join(dir, name)))
	}
	require.NoError(t, os.CopyFS(filepath.Join(dir, "bin"), os.DirFS(bin)))
	if b, err := os.ReadFile(filepath.Join(root, "bin", "mailpit")); err == nil {
		require.NoError(t, os.WriteFile(filepath.Join(dir, "bin", "mailpit"), b, 0o755))
	}
	text, err := os.ReadFile(filepath.Join(root, "TUTORIAL.md"))
	require.NoError(t, err)
	all := lessons(string(text))
	require.Greater(t, len(all), 8)
	require.Equal(t, "make demo\n", all[0].commands)
	startDemo(t, dir)
	for _, l := range all[1:] {
		program, _, _ := strings.Cut(l.commands, " ")
		if program == "node" || program == "python3" {
			if _, err := exec.LookPath(program); err != nil {
				t.Logf("left out, %v:\n%s", err, l.commands)
				continue
			}
		}
		teach(t, dir, l)
	}
}

// startDemo runs `make demo`, and returns when it stays up.
func startDemo(t *testing.T, dir string) {
	said := filepath.Join(dir, "demo.log")
	f, err := os.Create(said)
	require.NoError(t, err)
	defer f.Close()
	demo := exec.Command("make", "GO=true", "demo")
	demo.Dir, demo.Stdout, demo.Stderr = dir, f, f
	demo.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	require.NoError(t, demo.Start())
	ended := make(chan error, 1)
	go func() { ended <- demo.Wait() }()
	t.Cleanup(func() {
		_ = syscall.Kill(-demo.Process.Pid, syscall.SIGINT) // as Ctrl-C does
		select {
		case <-ended:
		case <-time.After(time.Minute):
			_ = syscall.Kill(-demo.Process.Pid, syscall.SIGKILL)
			<-ended
			t.Error("the demo didn't end at Ctrl-C")
		}
	})
	for over := time.After(4 * time.Minute); ; {
		b, err := os.ReadFile(said)
		require.NoError(t, err)
		if strings.Contains(string(b), "everything stays up until Ctrl-C") {
			require.Contains(t, string(b), "the books add up")
			return
		}
		select {
		case err := <-ended:
			ended <- err
			require.Failf(t, "the demo ended", "%v\n%s", err, b)
		case <-over:
			require.Failf(t, "the demo wasn't ready in time", "%s", b)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// teach does a lesson. What it shows may take a moment to be so; without anything to
// show, the commands must succeed.
func teach(t *testing.T, dir string, l lesson) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for {
		script := exec.CommandContext(ctx, "bash", "-uc", l.commands)
		script.Dir = dir
		b, err := script.CombinedOutput()
		if len(l.shows) == 0 {
			require.NoErrorf(t, err, "%s\n%s", l.commands, b)
			return
		}
		missing := ""
		for _, part := range l.shows {
			if !strings.Contains(string(b), part) {
				missing = part
			}
		}
		if missing == "" {
			return
		}
		select {
		case <-ctx.Done():
			require.Failf(t, "a line of the tutorial doesn't show what it should", "%s\nshould show %s\nbut shows %s (%v)", l.commands, missing, b, err)
		case <-time.After(100 * time.Millisecond):
		}
	}
}
