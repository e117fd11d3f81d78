package enginetest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"sort"
	"strings"
	"sync"
	"time"

	"go.yaml.in/yaml/v3"
)

// The states of a case after a run.
const (
	Passed  = "passed"
	Failed  = "failed"
	Skipped = "skipped"
)

// Result is what became of a case.
type Result struct {
	ID    string `json:"id"`
	File  string `json:"file"`
	State string `json:"state"`
	// Reason says why the case failed or was skipped, where that is no Differences.
	Reason      string        `json:"reason,omitempty"`
	Differences Differences   `json:"differences,omitempty"`
	Took        time.Duration `json:"tookNs"`

	covers features
}

// Report is what became of all cases.
type Report struct {
	Passed  int         `json:"passed"`
	Failed  int         `json:"failed"`
	Skipped int         `json:"skipped"`
	Files   []FileCount `json:"files"`
	Results []Result    `json:"results"`
}

// FileCount counts the cases of a file.
type FileCount struct {
	File    string `json:"file"`
	Passed  int    `json:"passed"`
	Failed  int    `json:"failed"`
	Skipped int    `json:"skipped"`
}

// Skip is a named reason to leave cases out.
type Skip struct {
	// Cases is a regular expression on ids.
	Cases  string
	Reason string

	match *regexp.Regexp
}

// LoadSkips reads a list of skips, YAML with the members "cases" and "reason".
func LoadSkips(path string) ([]Skip, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var out []Skip
	if err := yaml.Unmarshal(data, &out); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	for i := range out {
		if out[i].Reason == "" {
			return nil, fmt.Errorf("%s: the skip of %q has no reason", path, out[i].Cases)
		}
		if out[i].match, err = regexp.Compile(out[i].Cases); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
	}
	return out, nil
}

// Suite runs cases.
type Suite struct {
	Skips []Skip
	// Done is called after each case, one call at a time.
	Done func(r *Result)
}

// Cases over the REST API wait for Kafka more than they work: more of them than
// there are cores run at a time.
const restAtATime = 6

// Run runs the cases, several at a time, and reports on them in their order.
func (s *Suite) Run(ctx context.Context, cases []*Case) *Report {
	results := make([]Result, len(cases))
	var onDriver, overREST []int
	for i, c := range cases {
		if c.Suite == "rqtt" {
			overREST = append(overREST, i)
		} else {
			onDriver = append(onDriver, i)
		}
	}
	var mu sync.Mutex
	run := func(i int) {
		r := s.one(ctx, cases[i])
		mu.Lock()
		defer mu.Unlock()
		results[i] = r
		if s.Done != nil {
			s.Done(&results[i])
		}
	}
	// What works runs first: what waits would find the time of its patience spent.
	atATime(runtime.GOMAXPROCS(0), onDriver, run)
	atATime(restAtATime, overREST, run)
	return count(results)
}

// atATime calls run for every index, n of them at a time.
func atATime(n int, indices []int, run func(i int)) {
	var wg sync.WaitGroup
	todo := make(chan int)
	for range n {
		wg.Go(func() {
			for i := range todo {
				run(i)
			}
		})
	}
	for _, i := range indices {
		todo <- i
	}
	close(todo)
	wg.Wait()
}

func (s *Suite) one(ctx context.Context, c *Case) Result {
	r := Result{ID: c.ID, File: fileName(c), State: Passed, covers: c.features()}
	for _, skip := range s.Skips {
		if skip.match.MatchString(c.ID) {
			r.State, r.Reason = Skipped, skip.Reason
			return r
		}
	}
	began := time.Now()
	err := ctx.Err()
	switch {
	case err != nil:
	case c.Suite == "rqtt":
		err = c.RunREST(ctx)
	default:
		err = c.Run()
	}
	r.Took = time.Since(began)
	if err != nil {
		r.State = Failed
		if !errors.As(err, &r.Differences) {
			r.Reason = err.Error()
		}
	}
	return r
}

// fileName is a case's file without its folder, marked where its cases run over
// the REST API.
func fileName(c *Case) string {
	name := strings.TrimSuffix(filepath.Base(c.File), ".json")
	if c.Suite == "rqtt" {
		name = "rest/" + name
	}
	return name
}

func count(results []Result) *Report {
	out := &Report{Results: results}
	files := map[string]*FileCount{}
	for i := range results {
		r := &results[i]
		f := files[r.File]
		if f == nil {
			f = &FileCount{File: r.File}
			files[r.File] = f
		}
		switch r.State {
		case Passed:
			out.Passed++
			f.Passed++
		case Failed:
			out.Failed++
			f.Failed++
		default:
			out.Skipped++
			f.Skipped++
		}
	}
	for _, f := range files {
		out.Files = append(out.Files, *f)
	}
	sort.Slice(out.Files, func(i, j int) bool { return out.Files[i].File < out.Files[j].File })
	return out
}

// Text tells of a failed case: what was expected and what came out.
func (r *Result) Text() string {
	text := r.Reason
	if len(r.Differences) > 0 {
		text = r.Differences.Error()
	}
	return r.ID + "\n    " + strings.ReplaceAll(text, "\n", "\n    ")
}

// LoadPassing reads the ids of the cases that passed before, one a line; none
// where there is no such file.
func LoadPassing(path string) (map[string]bool, error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return map[string]bool{}, nil
	}
	if err != nil {
		return nil, err
	}
	out := map[string]bool{}
	for line := range strings.Lines(string(data)) {
		if line = strings.TrimRight(line, "\r\n"); line != "" {
			out[line] = true
		}
	}
	return out, nil
}

// Passing are the ids of the cases that passed, sorted, one a line: what
// LoadPassing reads.
func (r *Report) Passing() []byte {
	var ids []string
	for i := range r.Results {
		if r.Results[i].State == Passed {
			ids = append(ids, strings.ReplaceAll(r.Results[i].ID, "\n", " "))
		}
	}
	slices.Sort(ids)
	return []byte(strings.Join(slices.Compact(ids), "\n") + "\n")
}
