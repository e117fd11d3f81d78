package scaffold

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
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
	"github.com/twmb/franz-go/pkg/kgo"
)

// TestNewServicesInADemo makes a service in each language in a copy of the
// repository, builds it, runs its tests, and runs all of them in `sidestream
// dev --demo`: each must write a note for each validated order.
func TestNewServicesInADemo(t *testing.T) {
	if os.Getenv("TEST_NEW") == "" {
		t.Skip("it takes a minute or two, and npm's and pip's registries: make test-new")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 25*time.Minute)
	defer cancel()
	root := t.TempDir()
	files, err := exec.CommandContext(ctx, "git", "-C", "../..", "ls-files", "-z", "--cached", "--others", "--exclude-standard").Output()
	require.NoError(t, err)
	for f := range strings.SplitSeq(strings.Trim(string(files), "\x00"), "\x00") {
		from := filepath.Join("../..", f)
		info, err := os.Lstat(from)
		switch {
		case err != nil: // deleted, but not committed
		case info.Mode()&os.ModeSymlink != 0:
			to, err := os.Readlink(from)
			require.NoError(t, err)
			require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(root, f)), 0o755))
			require.NoError(t, os.Symlink(to, filepath.Join(root, f)))
		default:
			copyFile(t, from, filepath.Join(root, f))
		}
	}
	if _, err := os.Stat("../../bin/mailpit"); err == nil { // it is built anew else
		copyFile(t, "../../bin/mailpit", filepath.Join(root, "bin", "mailpit"))
	}
	run := func(name string, args ...string) string {
		t.Helper()
		cmd := exec.CommandContext(ctx, name, args...)
		cmd.Dir = root
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, "%s %s:\n%s", name, strings.Join(args, " "), out)
		return string(out)
	}
	run("go", "build", "-o", "bin/", "./sidecar/cmd/sidestream")
	sidestream := filepath.Join(root, "bin", "sidestream")

	var names []string
	for lang, needs := range map[string]string{"go": "go", "node": "npm", "python": "python3"} {
		if _, err := exec.LookPath(needs); err != nil {
			t.Logf("no %s service: %s isn't installed", lang, needs)
			continue
		}
		name := "new-" + lang
		names = append(names, name)
		var made Service
		require.NoError(t, json.Unmarshal([]byte(run(sidestream, "new", "service", name, "--lang", lang, "--output", "json")), &made))
		for _, test := range made.Tests {
			t.Log(test)
			run("sh", "-c", test)
		}
		t.Log(strings.TrimSpace(run(sidestream, "test", "ksql/"+name)))
		run(sidestream, "fmt", "--check", "ksql/"+name)
	}
	run(sidestream, "lint", "ksql")
	run("go", "vet", "./services/new-go")

	broker := freeAddresses(t, filepath.Join(root, servicesList))
	demo := exec.CommandContext(ctx, sidestream, "dev", "--demo", "--orders", "30")
	demo.Dir = root
	demo.Cancel = func() error { return demo.Process.Signal(syscall.SIGINT) }
	demo.WaitDelay = 30 * time.Second
	out, err := demo.StdoutPipe()
	require.NoError(t, err)
	demo.Stderr = demo.Stdout
	require.NoError(t, demo.Start())
	defer func() {
		_ = demo.Process.Signal(syscall.SIGINT)
		_ = demo.Wait()
	}()
	var said bytes.Buffer
	up := false
	for lines := bufio.NewScanner(out); !up && lines.Scan(); {
		t.Log(lines.Text())
		said.WriteString(lines.Text() + "\n")
		up = strings.Contains(lines.Text(), "everything stays up")
	}
	require.True(t, up, said.String())
	m := regexp.MustCompile(`VALIDATED (\d+)`).FindStringSubmatch(said.String())
	require.NotNil(t, m, said.String())
	require.Contains(t, said.String(), "the books add up")

	// As many orders as there are must come; a record more would be another id's.
	validated := keys(t, ctx, broker, "orders", func(v []byte) bool { return bytes.Contains(v, []byte(`"VALIDATED"`)) }, 0)
	require.NotEmpty(t, validated)
	for _, name := range names {
		notes := keys(t, ctx, broker, name+"-notes", func(v []byte) bool { return bytes.Contains(v, []byte(" for customer ")) }, len(validated))
		require.Equal(t, validated, notes, name)
		t.Logf("%s: %d notes", name, len(notes))
	}
}

// keys reads a topic's committed records whose values pass, by key, with how often
// each came: until there are so many keys, or to the end of what is there now.
func keys(t *testing.T, ctx context.Context, broker, topic string, pass func([]byte) bool, want int) map[string]int {
	t.Helper()
	cl, err := kgo.NewClient(kgo.SeedBrokers(broker), kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()))
	require.NoError(t, err)
	defer cl.Close()
	out := map[string]int{}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for want == 0 || len(out) < want {
		poll := ctx
		if want == 0 { // the demo waits until every order is final
			var stop context.CancelFunc
			poll, stop = context.WithTimeout(ctx, 3*time.Second)
			defer stop()
		}
		fetches := cl.PollFetches(poll)
		if want == 0 && fetches.NumRecords() == 0 {
			return out
		}
		require.NoError(t, ctx.Err(), "%s has %d of %d", topic, len(out), want)
		fetches.EachRecord(func(r *kgo.Record) {
			if pass(r.Value) {
				out[string(r.Key)]++
			}
		})
	}
	return out
}

// freeAddresses gives everything in services.yaml an address of its own, and
// returns the broker's.
func freeAddresses(t *testing.T, file string) string {
	t.Helper()
	raw, err := os.ReadFile(file)
	require.NoError(t, err)
	var held []net.Listener
	given := map[string]string{} // one who listens there, others may connect to
	text := regexp.MustCompile(`127\.0\.0\.1:\d+`).ReplaceAllStringFunc(string(raw), func(was string) string {
		if addr := given[was]; addr != "" {
			return addr
		}
		l, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		held = append(held, l)
		given[was] = l.Addr().String()
		return given[was]
	})
	for _, l := range held {
		require.NoError(t, l.Close())
	}
	require.NoError(t, os.WriteFile(file, []byte(text), 0o644))
	m := regexp.MustCompile(`(?m)^broker: (\S+)`).FindStringSubmatch(text)
	require.NotNil(t, m)
	return fmt.Sprint(m[1])
}
