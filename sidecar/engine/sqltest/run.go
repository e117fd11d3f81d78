package sqltest

import (
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/sidestream/sidestream/sidecar/engine/ast"
	"github.com/sidestream/sidestream/sidecar/engine/diagnostic"
	"github.com/sidestream/sidestream/sidecar/engine/parser"
)

// Result is how a test went.
type Result struct {
	Test    Test
	Elapsed time.Duration
	// Failure is "" when the test passed, else what was wrong, with file, line,
	// column and caret.
	Failure string
	// Asserts counts the ASSERT statements that were checked.
	Asserts int
}

// Passed tells whether the test passed.
func (r *Result) Passed() bool { return r.Failure == "" }

// Options of a run.
type Options struct {
	// Variables gives the values of ${name} for the files of a folder; nil for none.
	Variables func(dir string) map[string]string
}

// Run runs one test on an engine of its own.
func Run(t Test, o Options) Result {
	start := time.Now()
	r := &runner{test: t, opts: o, machine: newMachine()}
	failure := r.run()
	return Result{Test: t, Elapsed: time.Since(start), Failure: failure, Asserts: r.asserts}
}

type runner struct {
	test    Test
	opts    Options
	machine *machine
	asserts int
}

func (r *runner) run() string {
	expects := r.test.ExpectedError != "" || r.test.ExpectedMessage != ""
	for _, in := range r.test.Runs {
		text, err := os.ReadFile(in.File)
		if err != nil {
			return fmt.Sprintf("%s:%d: %v\n", r.test.File, in.Line, err)
		}
		if failure := r.script(in.File, string(text), dirOf(in.File), false); failure != "" {
			return failure
		}
	}
	failure := r.script(r.test.File, r.test.Text, dirOf(r.test.File), expects)
	if failure == "" && r.asserts == 0 && !expects {
		return fmt.Sprintf("%s:%d: the test asserts nothing: add ASSERT VALUES, or --@expected.message:\n", r.test.File, r.test.Line)
	}
	return failure
}

// script runs the statements of a file. With refused, the last one must fail.
func (r *runner) script(file, text, dir string, refused bool) string {
	vars := map[string]string{}
	if r.opts.Variables != nil {
		for k, v := range r.opts.Variables(dir) {
			vars[k] = v
		}
	}
	filled, err := parser.Substitute(text, vars)
	if err != nil {
		return diagnostic.Render(file, text, err)
	}
	statements, err := parser.ParseTest(filled)
	if err != nil {
		if refused {
			return r.judge(file, filled, err)
		}
		return diagnostic.Render(file, filled, err)
	}
	for i, s := range statements {
		err := r.statement(s)
		if refused && i == len(statements)-1 {
			return r.judge(file, filled, err)
		}
		if err != nil {
			return diagnostic.Render(file, filled, placed(err, s))
		}
	}
	return ""
}

func (r *runner) statement(s ast.Statement) error {
	switch s.(type) {
	case *ast.AssertValues, *ast.AssertTombstone, *ast.AssertSource:
		r.asserts++
	}
	return r.machine.execute(s)
}

// judge compares the error of the last statement with the expected one.
func (r *runner) judge(file, text string, err error) string {
	if err == nil {
		return fmt.Sprintf("%s:%d: the last statement was to be refused, but was accepted\n", file, r.test.Line)
	}
	if want := r.test.ExpectedMessage; want != "" && !strings.Contains(err.Error(), want) {
		return diagnostic.Render(file, text, err) + "  expected a message with: " + want + "\n"
	}
	return ""
}

// placed gives an error without a position that of its statement.
func placed(err error, s ast.Statement) error {
	all := diagnostic.All(err)
	for _, e := range all {
		if !e.Pos.Known() {
			e.Pos = s.Position()
		}
	}
	return all
}

func dirOf(file string) string {
	dir := "."
	if i := strings.LastIndexByte(file, '/'); i >= 0 {
		dir = file[:i]
	}
	return strings.TrimSuffix(strings.TrimSuffix(dir, "/tests"), "/")
}
