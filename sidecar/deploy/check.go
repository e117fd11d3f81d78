package deploy

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"github.com/sidestream/sidestream/sidecar/topics"
)

// Check analyses a folder from nothing, without a server: names, types, keys,
// joins, and the numbers of partitions that topics.yaml beside the folder tells.
// The error is a *Fault with every mistake.
func Check(f *Folder) error {
	known, err := declaredTopics(f.Dir)
	if err != nil {
		return err
	}
	_, err = f.learn(newWorld(nil, known, false))
	return err
}

// declaredTopics are the partitions of the topics in the topics.yaml beside a
// folder; nil where there is none.
func declaredTopics(dir string) (func(string) (int, bool), error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	list, err := topics.Load(filepath.Join(filepath.Dir(abs), "topics.yaml"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	n := map[string]int{}
	for _, t := range list {
		n[t.Name] = t.Partitions
	}
	return func(topic string) (int, bool) { p, ok := n[topic]; return p, ok }, nil
}

// learn analyses all statements in order. The error is a *Fault with every
// mistake; one that only repeats an earlier one is left out.
func (f *Folder) learn(w *world) (map[*Statement]*meaning, error) {
	out := map[*Statement]*meaning{}
	failed := map[string]bool{} // sources whose statement was refused
	var text strings.Builder
	for i, s := range f.Statements {
		if slices.ContainsFunc(s.Reads, func(r string) bool { return failed[r] }) || s.Kind == Insert && failed[s.Name] {
			failed[s.Name] = s.Kind != Insert || failed[s.Name]
			continue
		}
		m, err := w.learn(s, fmt.Sprintf("CHECK_%d", i))
		if err == nil {
			out[s] = m
			continue
		}
		if s.Kind != Insert {
			failed[s.Name] = true
		}
		text.WriteString(s.show(err))
	}
	if text.Len() > 0 {
		return nil, &Fault{Text: text.String()}
	}
	return out, nil
}
