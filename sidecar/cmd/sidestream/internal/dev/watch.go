package dev

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/fsnotify/fsnotify"

	"github.com/sidestream/sidestream/sidecar/deploy"
	"github.com/sidestream/sidestream/sidecar/manifest"
)

// quiet is how long a folder must rest before it is applied: editors write a file
// in several steps.
const quiet = 150 * time.Millisecond

// watch applies SQL folders whose files change, until ctx ends. Folders are
// watched rather than files, since editors put a new file in an old one's place.
func (s *System) watch(ctx context.Context) error {
	w, err := fsnotify.NewWatcher()
	if err != nil {
		return err
	}
	defer w.Close()
	byDir := map[string]manifest.Service{}
	for _, svc := range s.cfg.Services {
		if svc.SQL == "" {
			continue
		}
		dir := s.cfg.Path(svc.SQL)
		byDir[dir] = svc
		for _, d := range []string{dir, filepath.Dir(dir)} { // variables.yaml lies above
			if err := w.Add(d); err != nil {
				return err
			}
		}
	}
	changed := map[string]bool{} // folders
	rest := time.NewTimer(quiet)
	rest.Stop()
	// What was edited while the system came up is not lost.
	for dir := range byDir {
		if editedSince(dir, s.read) {
			changed[dir] = true
			rest.Reset(quiet)
		}
	}
	for {
		select {
		case <-ctx.Done():
			return nil
		case err := <-w.Errors:
			s.screen.Say("watching the SQL: %v", err)
		case e := <-w.Events:
			dir := filepath.Dir(e.Name)
			switch {
			case e.Op == fsnotify.Chmod:
				continue
			case filepath.Base(e.Name) == "variables.yaml":
				for d := range byDir {
					if filepath.Dir(d) == dir {
						changed[d] = true
					}
				}
			case strings.HasSuffix(e.Name, ".sql"):
				if _, ok := byDir[dir]; ok {
					changed[dir] = true
				}
			default:
				continue
			}
			rest.Reset(quiet)
		case <-rest.C:
			for dir := range changed {
				s.reapply(ctx, byDir[dir])
			}
			clear(changed)
		}
	}
}

// editedSince tells whether a folder's SQL or the variables above it are newer
// than a time.
func editedSince(dir string, at time.Time) bool {
	files, _ := filepath.Glob(filepath.Join(dir, "*.sql")) // the pattern is a good one
	for _, f := range append(files, filepath.Join(filepath.Dir(dir), "variables.yaml")) {
		if info, err := os.Stat(f); err == nil && info.ModTime().After(at) {
			return true
		}
	}
	return false
}

// reapply applies an edited folder and says what came of it. What runs stays
// when the edit can't be applied.
func (s *System) reapply(ctx context.Context, svc manifest.Service) {
	begin := time.Now()
	result, err := s.apply(ctx, svc)
	did := false
	if result != nil {
		for _, c := range result.Changes {
			if c.Action != deploy.Same {
				did = true
				s.screen.Say("%s: %s %s (%s)", svc.Name, c.Action, c.Name, c.Place)
			}
		}
	}
	var fault *deploy.Fault
	switch {
	case ctx.Err() != nil:
	case errors.As(err, &fault):
		s.screen.Say("%s\n%s: not applied, the old queries go on", fault.Error(), svc.Name)
	case err != nil:
		s.screen.Say("%s: not applied: %v", svc.Name, err)
	case did:
		s.screen.Say("%s: applied in %v", svc.Name, time.Since(begin).Round(time.Millisecond))
	}
}
