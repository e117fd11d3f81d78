package k8stest

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// cluster is a namespace of the cluster that kubectl points to.
type cluster struct {
	t         *testing.T
	namespace string
}

// try runs kubectl or helm and gives what it printed.
func (c *cluster) try(ctx context.Context, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, name, append(args, "--namespace", c.namespace)...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		return out.String(), fmt.Errorf("%s %s: %w\n%s%s", name, strings.Join(args, " "), err, out.String(), errs.String())
	}
	return out.String(), nil
}

// run is try, and the test's end when it fails.
func (c *cluster) run(name string, args ...string) string {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	out, err := c.try(ctx, name, args...)
	require.NoError(c.t, err)
	return out
}

// pod is what the test looks at.
type pod struct {
	Metadata struct {
		Name, UID string
		Labels    map[string]string
	}
	Status struct {
		Phase             string
		Conditions        []struct{ Type, Status string }
		ContainerStatuses []struct {
			Name         string
			RestartCount int
		}
	}
}

func (p pod) ready() bool {
	for _, c := range p.Status.Conditions {
		if c.Type == "Ready" {
			return c.Status == "True"
		}
	}
	return false
}

// pods are those of StatefulSets, by name.
func (c *cluster) pods() map[string]pod {
	c.t.Helper()
	var list struct{ Items []pod }
	require.NoError(c.t, json.Unmarshal([]byte(c.run("kubectl", "get", "pods", "--output", "json")), &list))
	out := map[string]pod{}
	for _, p := range list.Items {
		if _, ok := p.Metadata.Labels["apps.kubernetes.io/pod-index"]; ok {
			out[p.Metadata.Name] = p
		}
	}
	return out
}

// await asks until the condition holds.
func (c *cluster) await(what string, limit time.Duration, holds func() bool) {
	c.t.Helper()
	deadline := time.Now().Add(limit)
	for !holds() {
		if time.Now().After(deadline) {
			c.t.Fatalf("%s: not within %v", what, limit)
		}
		time.Sleep(500 * time.Millisecond)
	}
}

// tell prints what may explain a failure.
func (c *cluster) tell() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for _, args := range [][]string{
		{"get", "pods,pvc,jobs", "--output", "wide"},
		{"get", "events", "--sort-by", ".lastTimestamp"},
		{"logs", "--selector", "app.kubernetes.io/name=sidestream", "--all-containers", "--prefix", "--tail", "15", "--max-log-requests", "60"},
	} {
		out, err := c.try(ctx, "kubectl", args...)
		c.t.Logf("kubectl %s\n%s%v", strings.Join(args, " "), out, err)
	}
	for name, p := range c.pods() {
		for _, s := range p.Status.ContainerStatuses {
			if s.RestartCount > 0 {
				out, err := c.try(ctx, "kubectl", "logs", name, "--container", s.Name, "--previous", "--tail", "30")
				c.t.Logf("the last end of %s in %s\n%s%v", s.Name, name, out, err)
			}
		}
	}
}

// forward is a port-forward to a Service, begun again when its pod goes.
type forward struct {
	c       *cluster
	service string
	client  http.Client

	mu   sync.Mutex
	addr string
	cmd  *exec.Cmd
	done chan struct{} // closed when the process has ended
}

func (c *cluster) forward(service string) *forward {
	f := &forward{c: c, service: service, client: http.Client{Timeout: 30 * time.Second}}
	c.t.Cleanup(f.stop)
	return f
}

var forwarding = regexp.MustCompile(`^Forwarding from (127\.0\.0\.1:[0-9]+)`)

// address is where the Service answers now.
func (f *forward) address() (string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.cmd != nil {
		select {
		case <-f.done:
			f.cmd = nil
		default:
			return f.addr, nil
		}
	}
	cmd := exec.Command("kubectl", "port-forward", "service/"+f.service, ":8080", "--namespace", f.c.namespace)
	out, err := cmd.StdoutPipe()
	if err != nil {
		return "", err
	}
	var errs bytes.Buffer
	cmd.Stderr = &errs
	if err := cmd.Start(); err != nil {
		return "", err
	}
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if m := forwarding.FindStringSubmatch(lines.Text()); m != nil {
			f.cmd, f.addr, f.done = cmd, m[1], make(chan struct{})
			done := f.done
			go func() { // ends with the process
				_, _ = io.Copy(io.Discard, out)
				_ = cmd.Wait()
				close(done)
			}()
			return f.addr, nil
		}
	}
	_ = cmd.Wait()
	return "", fmt.Errorf("port-forward to %s: %s", f.service, errs.String())
}

// stop ends the process; the next request begins another.
func (f *forward) stop() {
	f.mu.Lock()
	cmd, done := f.cmd, f.done
	f.cmd = nil
	f.mu.Unlock()
	if cmd != nil {
		_ = cmd.Process.Kill() // it may have ended by itself
		<-done
	}
}

// do sends a request until it has an answer that isn't 503, for at most the
// limit.
func (f *forward) do(limit time.Duration, method, path, body string) (int, []byte, error) {
	deadline := time.Now().Add(limit)
	for {
		status, answer, err := f.once(method, path, body)
		if err == nil && status != http.StatusServiceUnavailable {
			return status, answer, nil
		}
		if time.Now().After(deadline) {
			return status, answer, fmt.Errorf("%s %s: no answer within %v: status %d %s: %w", method, path, limit, status, answer, err)
		}
		if err != nil {
			f.stop() // the pod behind it may be gone
		}
		time.Sleep(300 * time.Millisecond)
	}
}

func (f *forward) once(method, path, body string) (int, []byte, error) {
	addr, err := f.address()
	if err != nil {
		return 0, nil, err
	}
	req, err := http.NewRequest(method, "http://"+addr+path, strings.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := f.client.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	return resp.StatusCode, answer, err
}
