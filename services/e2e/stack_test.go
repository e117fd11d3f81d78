package e2e

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// root is the repository's folder, bin where TestMain put the programs.
var root, bin string

func TestMain(m *testing.M) {
	os.Exit(func() int {
		var err error
		if root, err = filepath.Abs(filepath.Join("..", "..")); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		dir, err := os.MkdirTemp("", "sidestream-e2e-")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(dir)
		bin = dir
		build := exec.Command("go", "build", "-o", bin+"/", "./sidecar/cmd/sidestream", "./services/...")
		build.Dir, build.Stdout, build.Stderr = root, os.Stderr, os.Stderr
		if err := build.Run(); err != nil {
			fmt.Fprintln(os.Stderr, "e2e: build:", err)
			return 1
		}
		return m.Run()
	}())
}

// process is a program that the stack runs, and can kill and start again.
type process struct {
	name string
	args []string
	env  []string
	url  string // answers 200 when it is ready; "" for a broker
	dir  string // where it runs; the repository's folder when ""

	mu  sync.Mutex
	cmd *exec.Cmd
	end chan struct{}
}

// stack is the flow, or a part of it, as processes of its own on a broker of
// its own (or on the Apache Kafka of TEST_KAFKA, emptied before).
type stack struct {
	t      testing.TB
	dir    string
	kafka  string
	admin  *kadm.Client
	client *kgo.Client
	procs  map[string]*process
	order  []string
	orders string            // base URL of the orders API
	second string            // and of its second replica, when asked for
	urls   map[string]string // base URLs of all programs
}

type options struct {
	only     []string            // services to run; those that validate orders when empty
	env      map[string]string   // for programs
	replicas int                 // of the orders program; 1 by default
	programs map[string][]string // a service's program, where it isn't the Go one
}

// start brings the stack up and waits until it is ready.
func start(t testing.TB, o options) *stack {
	t.Helper()
	s := &stack{t: t, dir: t.TempDir(), procs: map[string]*process{}, urls: map[string]string{}}
	t.Cleanup(s.stop)
	s.startKafka()
	if len(o.only) == 0 {
		o.only = []string{"orders", "fraud", "inventory", "details"}
	}
	s.cli("topics", "apply", "--file", filepath.Join(root, "ksql", "topics.yaml"), "--bootstrap", s.kafka)
	sidecars := map[string]string{}
	for _, name := range o.only {
		if !exists(filepath.Join(root, "ksql", name)) {
			continue
		}
		addr := freeAddr(t)
		sidecars[name] = "http://" + addr
		s.add(&process{
			name: name + "-sidecar",
			args: []string{filepath.Join(bin, "sidestream"), "serve", "--service-id", name + "_", "--bootstrap", s.kafka, "--listen", addr, "--state-dir", filepath.Join(s.dir, name+"-sidecar")},
			url:  sidecars[name] + "/healthcheck",
		})
	}
	for _, name := range o.only {
		if url := sidecars[name]; url != "" {
			s.ready(name + "-sidecar")
			s.cli("apply", filepath.Join(root, "ksql", name), "--server", url)
		}
	}
	for _, name := range o.only {
		if !exists(filepath.Join(root, "services", name)) {
			continue // a pod of SQL alone
		}
		replicas := 1
		if name == "orders" {
			replicas = max(1, o.replicas)
		}
		for i := range replicas {
			id := name
			if i > 0 {
				id = fmt.Sprintf("%s-%d", name, i+1)
			}
			addr := freeAddr(t)
			p := &process{name: id, args: []string{filepath.Join(bin, name)}, url: "http://" + addr + "/readyz", env: []string{
				"KAFKA_BOOTSTRAP_SERVERS=" + s.kafka, "SIDECAR_URL=" + sidecars[name], "HTTP_ADDR=" + addr,
				"INSTANCE_ID=" + id, "STATE_DIR=" + filepath.Join(s.dir, id),
			}}
			for k, v := range o.env {
				p.env = append(p.env, k+"="+v)
			}
			if other := o.programs[name]; other != nil {
				p.args = other
			}
			s.urls[id] = "http://" + addr
			if name == "orders" && i == 0 {
				s.orders = "http://" + addr
			} else if name == "orders" {
				s.second = "http://" + addr
			}
			s.add(p)
		}
	}
	for _, name := range s.order {
		s.ready(name)
	}
	return s
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func (s *stack) startKafka() {
	s.kafka = os.Getenv("TEST_KAFKA")
	if s.kafka == "" {
		s.kafka = freeAddr(s.t)
		s.add(&process{name: "broker", args: []string{filepath.Join(bin, "sidestream"), "broker", "--listen", s.kafka, "--data-dir", filepath.Join(s.dir, "broker")}})
	}
	s.connect()
	s.eventually(30*time.Second, "the broker answers", func() error {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		return s.client.Ping(ctx)
	})
	if os.Getenv("TEST_KAFKA") != "" {
		s.empty()
	}
}

func (s *stack) connect() {
	var err error
	s.client, err = kgo.NewClient(kgo.SeedBrokers(s.kafka))
	require.NoError(s.t, err)
	s.admin = kadm.NewClient(s.client)
}

// empty deletes every topic and group of a shared Kafka.
func (s *stack) empty() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	topics, err := s.admin.ListTopics(ctx)
	require.NoError(s.t, err)
	if names := topics.Names(); len(names) > 0 {
		_, err := s.admin.DeleteTopics(ctx, names...)
		require.NoError(s.t, err)
	}
	s.eventually(30*time.Second, "the topics are gone", func() error {
		topics, err := s.admin.ListTopics(ctx)
		if err == nil && len(topics.Names()) > 0 {
			err = fmt.Errorf("still there: %v", topics.Names())
		}
		return err
	})
	groups, err := s.admin.ListGroups(ctx)
	require.NoError(s.t, err)
	if names := groups.Groups(); len(names) > 0 {
		_, err := s.admin.DeleteGroups(ctx, names...)
		require.NoError(s.t, err)
	}
}

// cli runs the command and fails the test with what it said.
func (s *stack) cli(args ...string) string {
	s.t.Helper()
	out, err := s.tryCLI(args...)
	require.NoError(s.t, err, "sidestream %s:\n%s", strings.Join(args, " "), out)
	return out
}

func (s *stack) tryCLI(args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(bin, "sidestream"), args...)
	cmd.Dir = root
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func (s *stack) add(p *process) {
	s.procs[p.name] = p
	s.order = append(s.order, p.name)
	s.run(p.name)
}

// run starts a process that is not running.
func (s *stack) run(name string) {
	p := s.procs[name]
	p.mu.Lock()
	defer p.mu.Unlock()
	log, err := os.OpenFile(filepath.Join(s.dir, name+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	require.NoError(s.t, err)
	defer log.Close()
	cmd := exec.Command(p.args[0], p.args[1:]...)
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = root, append(os.Environ(), p.env...), log, log
	if p.dir != "" {
		cmd.Dir = p.dir
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	require.NoError(s.t, cmd.Start())
	end := make(chan struct{})
	go func() { _ = cmd.Wait(); close(end) }()
	p.cmd, p.end = cmd, end
}

// kill ends a process as a power cut does.
func (s *stack) kill(name string) { s.signal(name, syscall.SIGKILL) }

// terminate asks a process to end and waits until it has.
func (s *stack) terminate(name string) { s.signal(name, syscall.SIGTERM) }

func (s *stack) signal(name string, sig syscall.Signal) {
	p := s.procs[name]
	p.mu.Lock()
	defer p.mu.Unlock()
	_ = syscall.Kill(-p.cmd.Process.Pid, sig)
	select {
	case <-p.end:
	case <-time.After(20 * time.Second):
		_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
		<-p.end
		s.t.Errorf("%s did not end 20 s after %v", name, sig)
	}
}

// ready waits until a process answers.
func (s *stack) ready(name string) {
	s.t.Helper()
	p := s.procs[name]
	if p.url == "" {
		return
	}
	s.eventually(60*time.Second, name+" is ready", func() error {
		p.mu.Lock()
		end := p.end
		p.mu.Unlock()
		select {
		case <-end:
			s.t.Fatalf("%s ended:\n%s", name, s.log(name))
		default:
		}
		return get200(p.url)
	})
}

func get200(url string) error {
	c := http.Client{Timeout: 2 * time.Second}
	resp, err := c.Get(url)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers %d: %s", url, resp.StatusCode, body)
	}
	return nil
}

// log is the end of what a process printed.
func (s *stack) log(name string) string {
	b, _ := os.ReadFile(filepath.Join(s.dir, name+".log"))
	if len(b) > 4000 {
		b = b[len(b)-4000:]
	}
	return string(b)
}

// keepLogs copies what the processes printed to E2E_LOGS, if that is set.
func (s *stack) keepLogs() {
	dir := os.Getenv("E2E_LOGS")
	if dir == "" {
		return
	}
	require.NoError(s.t, os.MkdirAll(dir, 0o755))
	for _, name := range s.order {
		b, _ := os.ReadFile(filepath.Join(s.dir, name+".log"))
		require.NoError(s.t, os.WriteFile(filepath.Join(dir, name+".log"), b, 0o644))
	}
}

func (s *stack) stop() {
	if s.t.Failed() {
		for _, name := range s.order {
			if text := s.log(name); text != "" {
				s.t.Logf("--- %s:\n%s", name, text)
			}
		}
	}
	for i := len(s.order) - 1; i >= 0; i-- {
		s.terminate(s.order[i])
	}
	if s.client != nil {
		s.client.Close()
	}
}

// eventually tries until it works or the time is over.
func (s *stack) eventually(limit time.Duration, what string, try func() error) {
	s.t.Helper()
	deadline := time.Now().Add(limit)
	for {
		err := try()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			require.NoError(s.t, err, "not within %v: %s", limit, what)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func freeAddr(t testing.TB) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	return l.Addr().String()
}
