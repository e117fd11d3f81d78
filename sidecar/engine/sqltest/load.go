package sqltest

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"time"
)

// Test is one `--@test:` of a file.
type Test struct {
	Name string
	File string
	Line int // of its --@test: line, from 1
	// Text is the file with everything that is not this test blanked, so that
	// positions in it are those of the file.
	Text string
	// Runs are the files of --@run: lines, relative to the working directory.
	Runs []Include
	// Advances are the --@advance: lines: the time of day moves on before what
	// stands behind them.
	Advances []Advance
	// ExpectedError and ExpectedMessage: the last statement must be refused.
	ExpectedError, ExpectedMessage string
}

// Include is a --@run: line.
type Include struct {
	File string
	Line int
}

// Advance is a --@advance: line.
type Advance struct {
	Line int
	By   time.Duration
}

const (
	advanceLine  = "--@advance:"
	testLine     = "--@test:"
	runLine      = "--@run:"
	errorLine    = "--@expected.error:"
	messageLine  = "--@expected.message:"
	anyDirective = "--@"
)

// Load reads the tests of a file.
func Load(file string) ([]Test, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	return parseFile(file, string(b))
}

func parseFile(file, text string) ([]Test, error) {
	lines := strings.Split(text, "\n")
	var tests []Test
	var starts []int
	for i, line := range lines {
		rest, ok := directive(line, testLine)
		if !ok {
			continue
		}
		if rest == "" {
			return nil, fmt.Errorf("%s:%d: a test needs a name: %s NAME", file, i+1, testLine)
		}
		tests = append(tests, Test{Name: rest, File: file, Line: i + 1})
		starts = append(starts, i)
	}
	for n := range tests {
		end := len(lines)
		if n+1 < len(starts) {
			end = starts[n+1]
		}
		if err := tests[n].read(lines, starts[n]+1, end); err != nil {
			return nil, err
		}
	}
	return tests, nil
}

// read takes the lines of the test, without its first.
func (t *Test) read(lines []string, from, to int) error {
	text := make([]string, to)
	for i := from; i < to; i++ {
		line := lines[i]
		trimmed := strings.TrimSpace(line)
		if !strings.HasPrefix(trimmed, anyDirective) {
			text[i] = line
			continue
		}
		switch {
		case strings.HasPrefix(trimmed, runLine):
			rest, _ := directive(line, runLine)
			t.Runs = append(t.Runs, Include{File: filepath.Join(filepath.Dir(t.File), rest), Line: i + 1})
		case strings.HasPrefix(trimmed, errorLine):
			t.ExpectedError, _ = directive(line, errorLine)
		case strings.HasPrefix(trimmed, messageLine):
			t.ExpectedMessage, _ = directive(line, messageLine)
		case strings.HasPrefix(trimmed, advanceLine):
			rest, _ := directive(line, advanceLine)
			by, err := parseDuration(rest)
			if err != nil {
				return fmt.Errorf("%s:%d: %s %s: %w", t.File, i+1, advanceLine, rest, err)
			}
			t.Advances = append(t.Advances, Advance{i + 1, by})
		case strings.HasPrefix(trimmed, "--@rebuild:"), strings.HasPrefix(trimmed, "--@lint:"): // for apply and lint
		default:
			return fmt.Errorf("%s:%d: %q is no line of the test language; there are %s, %s, %s, %s and %s",
				t.File, i+1, trimmed, testLine, runLine, advanceLine, errorLine, messageLine)
		}
	}
	t.Text = strings.Join(text, "\n")
	return nil
}

// parseDuration reads a duration as SQL writes it: 90 SECONDS.
func parseDuration(text string) (time.Duration, error) {
	number, unit, _ := strings.Cut(text, " ")
	n, err := strconv.ParseInt(number, 10, 64)
	length, known := map[string]time.Duration{"MILLISECOND": time.Millisecond, "SECOND": time.Second, "MINUTE": time.Minute, "HOUR": time.Hour, "DAY": 24 * time.Hour}[strings.TrimSuffix(strings.ToUpper(strings.TrimSpace(unit)), "S")]
	if err != nil || !known || n < 0 {
		return 0, errors.New("give a number and a unit, as in 90 SECONDS (MILLISECONDS, SECONDS, MINUTES, HOURS, DAYS)")
	}
	return time.Duration(n) * length, nil
}

func directive(line, prefix string) (string, bool) {
	rest, ok := strings.CutPrefix(strings.TrimSpace(line), prefix)
	return strings.TrimSpace(rest), ok
}

// Find lists the test files below each path: the path itself if it is a file,
// else every .sql file in a folder called "tests".
func Find(paths ...string) ([]string, error) {
	var files []string
	for _, p := range paths {
		info, err := os.Stat(p)
		if err != nil {
			return nil, err
		}
		if !info.IsDir() {
			files = append(files, p)
			continue
		}
		err = filepath.WalkDir(p, func(path string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			if !d.IsDir() && strings.HasSuffix(path, ".sql") && filepath.Base(filepath.Dir(path)) == "tests" {
				files = append(files, path)
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	sort.Strings(files)
	return files, nil
}
