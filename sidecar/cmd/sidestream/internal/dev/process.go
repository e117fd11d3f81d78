package dev

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"
)

// process is a child process that is started again when it ends by itself.
type process struct {
	name string
	argv []string
	env  []string
	dir  string
	log  string // file
	// ready asks whether it answers.
	ready func(ctx context.Context) error
	// say tells people that it ended.
	say func(text string)

	stop context.CancelFunc
	done chan struct{}

	mu      sync.Mutex
	pid     int  // 0 when it doesn't run
	up      bool // was ready once
	ended   error
	restart int
}

// Pauses before a process is started again; a run of healthy seconds starts them
// anew.
const (
	firstPause = 200 * time.Millisecond
	lastPause  = 5 * time.Second
	healthy    = 30 * time.Second
	// grace is how long a process may take to end after SIGTERM.
	grace = 15 * time.Second
)

// start begins the process's goroutine. It ends when halt is called.
func (p *process) start() error {
	if err := os.MkdirAll(filepath.Dir(p.log), 0o755); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	p.stop, p.done = cancel, make(chan struct{})
	go func() {
		defer close(p.done)
		// The parent's death is told to children by the thread that made them, so
		// that thread must stay.
		runtime.LockOSThread()
		p.keep(ctx)
	}()
	return nil
}

// keep runs the process until ctx ends.
func (p *process) keep(ctx context.Context) {
	pause := firstPause
	for {
		begun := time.Now()
		err := p.once(ctx)
		if ctx.Err() != nil {
			return
		}
		if time.Since(begun) > healthy {
			pause = firstPause
		}
		p.mu.Lock()
		p.ended = err
		up := p.up
		p.restart++
		p.mu.Unlock()
		if !up {
			return // it never came up: the start as a whole fails, with this error
		}
		p.say(fmt.Sprintf("%s ended (%v) and is started again in %v; its log: %s", p.name, err, pause, p.log))
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
		pause = min(pause*2, lastPause)
	}
}

// once runs the process to its end, or ends it with ctx.
func (p *process) once(ctx context.Context) error {
	log, err := os.OpenFile(p.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := exec.Command(p.argv[0], p.argv[1:]...)
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = p.dir, append(os.Environ(), p.env...), log, log
	cmd.SysProcAttr = childAttr()
	if err := cmd.Start(); err != nil {
		return err
	}
	group := -cmd.Process.Pid // a group of its own, so that nothing of it is left
	p.mu.Lock()
	p.pid, p.ended = cmd.Process.Pid, nil
	p.mu.Unlock()
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	select {
	case err = <-ended:
	case <-ctx.Done():
		_ = syscall.Kill(group, syscall.SIGTERM)
		select {
		case err = <-ended:
		case <-time.After(grace):
			p.say(fmt.Sprintf("%s didn't end within %v and is killed", p.name, grace))
			_ = syscall.Kill(group, syscall.SIGKILL)
			err = <-ended
		}
	}
	_ = syscall.Kill(group, syscall.SIGKILL) // what it may have started itself
	p.mu.Lock()
	p.pid = 0
	p.mu.Unlock()
	if err == nil {
		return errors.New("exit status 0")
	}
	return err
}

// halt ends the process and waits for it.
func (p *process) halt() {
	if p.stop == nil {
		return
	}
	p.stop()
	<-p.done
}

// wait waits until the process answers. When it ends instead, the error has the
// end of its log.
func (p *process) wait(ctx context.Context) error {
	for {
		one, cancel := context.WithTimeout(ctx, 2*time.Second)
		err := p.ready(one)
		cancel()
		p.mu.Lock()
		ended := p.ended
		if err == nil && ended == nil {
			p.up = true
		}
		up := p.up
		p.mu.Unlock()
		if up {
			return nil
		}
		if ended != nil {
			return fmt.Errorf("%s ended while it started (%v):\n%s", p.name, ended, p.tail())
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s isn't ready (%v); the end of its log:\n%s", p.name, err, p.tail())
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// state is for the table.
func (p *process) state() (pid, restarts int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.pid, p.restart
}

// tail is the end of the log, indented.
func (p *process) tail() string {
	raw, err := os.ReadFile(p.log)
	if err != nil {
		return "  " + err.Error()
	}
	lines := strings.Split(strings.TrimRight(string(bytes.ToValidUTF8(raw, nil)), "\n"), "\n")
	if len(lines) > 10 {
		lines = lines[len(lines)-10:]
	}
	return "  " + strings.Join(lines, "\n  ")
}
