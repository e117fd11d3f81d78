package dev

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/sidestream/sidestream/sidecar/manifest"
)

// build makes the services' Go programs where no folder has them, and sets up
// the others.
func (s *System) build(ctx context.Context) error {
	for _, svc := range s.cfg.Services {
		if len(svc.Program.Command) > 0 {
			if err := s.setUp(ctx, svc); err != nil {
				return err
			}
		}
	}
	if s.opts.Bin != "" {
		abs, err := filepath.Abs(s.opts.Bin)
		if err != nil {
			return err
		}
		s.opts.Bin = abs
		for _, svc := range s.cfg.Services {
			if svc.Program.Go == "" {
				continue
			}
			if _, err := os.Stat(filepath.Join(abs, filepath.Base(svc.Program.Go))); err != nil {
				return fmt.Errorf("%w; `make build` makes it, and so does sidestream dev without --bin", err)
			}
		}
		return nil
	}
	s.opts.Bin = filepath.Join(s.opts.Dir, "bin")
	args := []string{"build", "-o", s.opts.Bin + string(filepath.Separator)}
	for _, svc := range s.cfg.Services {
		if svc.Program.Go != "" {
			args = append(args, svc.Program.Go)
		}
	}
	if len(args) == 3 {
		return nil
	}
	s.screen.Say("building the services' programs")
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = s.cfg.Root
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go %s: %w\n%s", strings.Join(args, " "), err, out)
	}
	return nil
}

// command is what a service's program is started with, and where.
func (s *System) command(svc manifest.Service) (argv []string, dir string) {
	if svc.Program.Go != "" {
		return []string{filepath.Join(s.opts.Bin, filepath.Base(svc.Program.Go))}, s.cfg.Root
	}
	return svc.Program.Command, s.cfg.Path(svc.Program.Dir)
}

// done is what is remembered of a service that was set up.
type done struct {
	// Made from: the commands, and the files that name dependencies.
	From string `json:"from"`
	// Folders that were there afterwards (node_modules, .venv).
	Folders []string `json:"folders"`
}

// setUp runs a program's setup, unless it was done already: the commands and the
// files that name dependencies are the same, and what it made is still there.
func (s *System) setUp(ctx context.Context, svc manifest.Service) error {
	dir := s.cfg.Path(svc.Program.Dir)
	folders, err := foldersIn(dir)
	if err != nil {
		return fmt.Errorf("service %s: %w", svc.Name, err)
	}
	if program := svc.Program.Command[0]; !strings.Contains(program, "/") {
		if _, err := exec.LookPath(program); err != nil {
			return fmt.Errorf("service %s needs %s, which isn't installed (%w)", svc.Name, program, err)
		}
	}
	if len(svc.Program.Setup) == 0 {
		return nil
	}
	from, err := madeFrom(svc.Program, dir)
	if err != nil {
		return fmt.Errorf("service %s: %w", svc.Name, err)
	}
	// It belongs to the checkout rather than to --dir: what setup makes lies there.
	stamp := filepath.Join(s.cfg.Root, ".sidestream", "setup", svc.Name+".json")
	if raw, err := os.ReadFile(stamp); err == nil {
		var last done
		if json.Unmarshal(raw, &last) == nil && last.From == from && !slices.ContainsFunc(last.Folders, func(f string) bool { return !slices.Contains(folders, f) }) {
			return nil
		}
	}
	for _, argv := range svc.Program.Setup {
		s.screen.Say("%s: %s", svc.Name, strings.Join(argv, " "))
		cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
		cmd.Dir = dir
		cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
		cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
		if out, err := cmd.CombinedOutput(); err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if errors.Is(err, exec.ErrNotFound) {
				return fmt.Errorf("service %s needs %s, which isn't installed (%w)", svc.Name, argv[0], err)
			}
			return fmt.Errorf("service %s: %s: %w\n%s", svc.Name, strings.Join(argv, " "), err, out)
		}
	}
	if folders, err = foldersIn(dir); err != nil {
		return err
	}
	raw, err := json.Marshal(done{From: from, Folders: folders})
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(stamp), 0o755); err != nil {
		return err
	}
	return os.WriteFile(stamp, raw, 0o644)
}

// madeFrom is a sum over the setup's commands and the files in dir that name
// dependencies in some language.
func madeFrom(p manifest.Program, dir string) (string, error) {
	h := sha256.New()
	fmt.Fprintf(h, "%q\n%s\n", p.Setup, dir)
	for _, name := range []string{
		"package.json", "package-lock.json", "pnpm-lock.yaml", "yarn.lock",
		"requirements.txt", "pyproject.toml", "poetry.lock", "uv.lock",
		"Gemfile.lock", "Cargo.lock", "pom.xml", "build.gradle", "go.sum",
	} {
		raw, err := os.ReadFile(filepath.Join(dir, name))
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return "", err
		}
		fmt.Fprintf(h, "%s %d\n%s\n", name, len(raw), raw)
	}
	return fmt.Sprintf("%x", h.Sum(nil)), nil
}

func foldersIn(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	out := []string{}
	for _, e := range entries {
		if e.IsDir() {
			out = append(out, e.Name())
		}
	}
	return out, nil
}
