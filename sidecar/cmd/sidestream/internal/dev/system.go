package dev

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/gofrs/flock"
	"github.com/twmb/franz-go/pkg/kgo"
	"golang.org/x/sync/errgroup"

	"github.com/sidestream/sidestream/sidecar/client"
	"github.com/sidestream/sidestream/sidecar/deploy"
	"github.com/sidestream/sidestream/sidecar/manifest"
)

// Options of New.
type Options struct {
	// Dir holds data, state and logs.
	Dir string
	// Fresh forgets what Dir holds.
	Fresh bool
	// Bin is the folder of the services' Go programs; "": they are built first.
	Bin string
	// Self is this program, which is the broker and the sidecars too.
	Self string
	// Variables for the SQL, before variables.yaml.
	Variables map[string]string
	Screen    *Screen
}

// System is everything that runs.
type System struct {
	cfg    *manifest.Manifest
	opts   Options
	screen *Screen
	lock   *flock.Flock

	broker   *process
	sidecars []*process
	programs []*process
	applying sync.Mutex // the SQL, by one at a time
	read     time.Time  // when Start began to read the SQL
	observer *observer
}

// New prepares a system: the directory is locked, every address is free and the
// SQL can be read, or the error says why not. Nothing runs yet.
func New(ctx context.Context, cfg *manifest.Manifest, opts Options) (*System, error) {
	s := &System{cfg: cfg, opts: opts, screen: opts.Screen, observer: newObserver()}
	for _, svc := range cfg.Services {
		if svc.SQL == "" {
			continue
		}
		if _, err := s.folder(svc); err != nil {
			return nil, err
		}
	}
	if err := checkPorts(cfg); err != nil {
		return nil, err
	}
	if err := s.openDir(); err != nil {
		return nil, err
	}
	if err := s.build(ctx); err != nil {
		_ = s.lock.Unlock()
		return nil, err
	}
	s.plan()
	return s, nil
}

func (s *System) openDir() error {
	abs, err := filepath.Abs(s.opts.Dir)
	if err != nil {
		return err
	}
	s.opts.Dir = abs
	if err := os.MkdirAll(abs, 0o755); err != nil {
		return err
	}
	path := filepath.Join(abs, ".lock")
	s.lock = flock.New(path)
	ok, err := s.lock.TryLock()
	if err != nil {
		return fmt.Errorf("%s can't be locked: %w", abs, err)
	}
	if !ok {
		pid, _ := os.ReadFile(path)
		return fmt.Errorf("%s is in use by another `sidestream dev` (pid %s): stop it, or give another --dir", abs, strings.TrimSpace(string(pid)))
	}
	if err := os.WriteFile(path, []byte(strconv.Itoa(os.Getpid())+"\n"), 0o644); err != nil {
		return err
	}
	if s.opts.Fresh {
		for _, name := range []string{"broker", "state", "logs"} {
			if err := os.RemoveAll(filepath.Join(abs, name)); err != nil {
				return err
			}
		}
	}
	return nil
}

// plan describes the processes.
func (s *System) plan() {
	broker := []string{"broker", "--listen", s.cfg.Broker, "--data-dir", filepath.Join(s.opts.Dir, "broker")}
	var registry []string // for sidecars
	if s.cfg.Registry != "" {
		broker = append(broker, "--registry", s.cfg.Registry)
		registry = []string{"--schema-registry", "http://" + s.cfg.Registry}
	}
	s.broker = s.process("broker", s.opts.Self, broker, nil, s.pingBroker)
	for _, svc := range s.cfg.Services {
		if svc.SQL == "" {
			continue
		}
		s.sidecars = append(s.sidecars, s.process(svc.Name+"-sidecar", s.opts.Self, append([]string{
			"serve", "--service-id", svc.Name + "_", "--bootstrap", s.cfg.Broker, "--listen", svc.Sidecar,
			"--state-dir", filepath.Join(s.opts.Dir, "state", svc.Name+"-sidecar"),
		}, registry...), nil, answers("http://"+svc.Sidecar+"/healthcheck")))
	}
	for _, svc := range s.cfg.Services {
		if !svc.Program.Exists() {
			continue
		}
		env := []string{
			"KAFKA_BOOTSTRAP_SERVERS=" + s.cfg.Broker, "HTTP_ADDR=" + svc.HTTP, "INSTANCE_ID=" + svc.Name,
			"STATE_DIR=" + filepath.Join(s.opts.Dir, "state", svc.Name),
		}
		if svc.Sidecar != "" {
			env = append(env, "SIDECAR_URL=http://"+svc.Sidecar)
		}
		for k, v := range svc.Env {
			env = append(env, k+"="+v)
		}
		argv, dir := s.command(svc)
		p := s.process(svc.Name, argv[0], argv[1:], env, answers("http://"+svc.HTTP+"/readyz"))
		p.dir = dir
		s.programs = append(s.programs, p)
	}
}

func (s *System) process(name, program string, args, env []string, ready func(context.Context) error) *process {
	return &process{name: name, argv: append([]string{program}, args...), env: env, dir: s.cfg.Root, ready: ready,
		log: filepath.Join(s.opts.Dir, "logs", name+".log"), say: func(text string) { s.screen.Say("%s", text) }}
}

func (s *System) pingBroker(ctx context.Context) error {
	cl, err := kgo.NewClient(kgo.SeedBrokers(s.cfg.Broker))
	if err != nil {
		return err
	}
	defer cl.Close()
	if err := cl.Ping(ctx); err != nil || s.cfg.Registry == "" {
		return err
	}
	return answers("http://" + s.cfg.Registry + "/subjects")(ctx)
}

// answers asks a URL for a 200.
func answers(url string) func(context.Context) error {
	return func(ctx context.Context) error {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return err
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		body, _ := io.ReadAll(io.LimitReader(resp.Body, 2000))
		if resp.StatusCode != http.StatusOK {
			return fmt.Errorf("%s answers %d: %s", url, resp.StatusCode, strings.TrimSpace(string(body)))
		}
		return nil
	}
}

// Start brings everything up, in order, and says how far it is.
func (s *System) Start(ctx context.Context) error {
	begin := time.Now()
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	if err := s.bring(ctx, "broker", s.cfg.Broker, s.broker); err != nil {
		return err
	}
	topics, err := deploy.LoadTopics(s.cfg.Path(s.cfg.Topics))
	if err != nil {
		return err
	}
	states, err := deploy.ApplyTopics(ctx, []string{s.cfg.Broker}, topics, true)
	if err != nil {
		return err
	}
	made := 0
	for _, t := range states {
		if t.State == "created" {
			made++
		}
	}
	s.screen.Say("✓ %d topics, %d of them new", len(states), made)
	if err := s.bring(ctx, "sidecars", addresses(s.cfg, true), s.sidecars...); err != nil {
		return err
	}
	s.read = time.Now()
	if err := s.applyAll(ctx); err != nil {
		return err
	}
	if err := s.bring(ctx, "programs", addresses(s.cfg, false), s.programs...); err != nil {
		return err
	}
	s.screen.Say("ready after %v; logs are in %s", time.Since(begin).Round(time.Millisecond), filepath.Join(s.opts.Dir, "logs"))
	return nil
}

// bring starts processes at once and waits for all of them.
func (s *System) bring(ctx context.Context, what, where string, ps ...*process) error {
	begin := time.Now()
	for _, p := range ps {
		if err := p.start(); err != nil {
			return err
		}
	}
	g, ctx := errgroup.WithContext(ctx)
	for _, p := range ps {
		g.Go(func() error { return p.wait(ctx) })
	}
	if err := g.Wait(); err != nil {
		return err
	}
	s.screen.Say("✓ %s (%s) after %v", what, where, time.Since(begin).Round(time.Millisecond))
	return nil
}

func addresses(cfg *manifest.Manifest, sidecars bool) string {
	var out []string
	for _, svc := range cfg.Services {
		addr := svc.HTTP
		if sidecars {
			addr = svc.Sidecar
		}
		if addr != "" {
			out = append(out, svc.Name+" "+addr)
		}
	}
	return strings.Join(out, ", ")
}

func (s *System) applyAll(ctx context.Context) error {
	begin := time.Now()
	total, done := 0, 0
	for _, svc := range s.cfg.Services {
		if svc.SQL == "" {
			continue
		}
		result, err := s.apply(ctx, svc)
		if err != nil {
			return err
		}
		for _, c := range result.Changes {
			total++
			if c.Action != deploy.Same {
				done++
			}
		}
	}
	s.screen.Say("✓ SQL: %d statements, %d of them new or changed, after %v", total, done, time.Since(begin).Round(time.Millisecond))
	return nil
}

func (s *System) folder(svc manifest.Service) (*deploy.Folder, error) {
	dir := svc.SQL
	if wd, err := os.Getwd(); err != nil || wd != s.cfg.Root {
		dir = s.cfg.Path(svc.SQL) // else messages have the short path
	}
	vars, err := deploy.Variables(dir, s.opts.Variables)
	if err != nil {
		return nil, err
	}
	f, err := deploy.LoadFolder(dir, vars)
	if err == nil {
		err = deploy.Check(f)
	}
	return f, err
}

// apply brings a service's folder onto its sidecar.
func (s *System) apply(ctx context.Context, svc manifest.Service) (*deploy.Result, error) {
	s.applying.Lock()
	defer s.applying.Unlock()
	f, err := s.folder(svc)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	c, err := client.New("http://" + svc.Sidecar)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	info, err := deploy.WaitReady(ctx, c)
	if err != nil {
		return nil, err
	}
	ledger, err := deploy.OpenLedger(ctx, []string{s.cfg.Broker}, info.ServiceID)
	if err != nil {
		return nil, err
	}
	defer ledger.Close()
	return deploy.Apply(ctx, c, f, deploy.Options{Ledger: ledger, Rebuild: true})
}

// Run watches the SQL and shows the table until ctx ends.
func (s *System) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	o := s.observer
	g.Go(func() error { return s.watch(ctx) })
	g.Go(func() error { return o.run(ctx, s.cfg.Broker) })
	g.Go(func() error {
		tick := time.NewTicker(500 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				s.screen.Table(nil)
				return nil
			case now := <-tick.C:
				s.screen.Table([]string{o.line(now), s.line()})
			}
		}
	})
	return g.Wait()
}

// Figures are those of the orders, as one line of text.
func (s *System) Figures() string { return s.observer.line(time.Now()) }

// line is the processes as one line of text.
func (s *System) line() string {
	var parts []string
	for _, p := range s.all() {
		pid, restarts := p.state()
		switch {
		case pid == 0:
			parts = append(parts, p.name+" down")
		case restarts > 0:
			parts = append(parts, fmt.Sprintf("%s up (restarted %d×)", p.name, restarts))
		default:
			parts = append(parts, p.name+" up")
		}
	}
	return strings.Join(parts, "  ")
}

func (s *System) all() []*process {
	return append(append([]*process{s.broker}, s.sidecars...), s.programs...)
}

// Stop ends everything, programs first and the broker last, and waits for it.
func (s *System) Stop() {
	for _, ps := range [][]*process{s.programs, s.sidecars, {s.broker}} {
		var wg sync.WaitGroup
		for _, p := range ps {
			wg.Go(p.halt)
		}
		wg.Wait()
	}
	_ = s.lock.Unlock()
}
