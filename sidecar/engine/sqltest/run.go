package sqltest

import (
	"errors"
	"fmt"
	"os"
	"slices"
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
	// Cover, when set, notes what the tests exercise.
	Cover *Cover
	// Server runs the tests on a ksqlDB; nil on the engine in memory.
	Server *Server
}

// Run runs one test on an engine of its own, or on a server under names of its
// own.
func Run(t Test, o Options) Result {
	start := time.Now()
	var b backend = newMemory()
	if o.Server != nil {
		b = o.Server.backend()
	}
	r := &runner{test: t, opts: o, machine: newMachine(b, o.Cover)}
	r.machine.asks = o.Server != nil
	failure := r.run()
	o.Cover.finish(r.machine, failure == "")
	if err := b.close(); err != nil && failure == "" {
		failure = fmt.Sprintf("%s:%d: cleaning up: %v\n", t.File, t.Line, err)
	}
	return Result{Test: t, Elapsed: time.Since(start), Failure: failure, Asserts: r.asserts}
}

type runner struct {
	test     Test
	opts     Options
	machine  *machine
	asserts  int
	advanced int // --@advance: lines that are done
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
		if file == r.test.File {
			if err := r.advance(s.Position().Line); err != nil {
				return diagnostic.Render(file, filled, placed(err, s))
			}
		} else {
			r.opts.Cover.ran(r.machine, file, s)
		}
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

// advance does the --@advance: lines before a line of the test.
func (r *runner) advance(line int) error {
	for r.advanced < len(r.test.Advances) && r.test.Advances[r.advanced].Line < line {
		if err := r.machine.backend.advance(r.test.Advances[r.advanced].By); err != nil {
			return err
		}
		r.advanced++
	}
	return nil
}

func (r *runner) statement(s ast.Statement) error {
	switch s.(type) {
	case *ast.AssertValues, *ast.AssertTombstone, *ast.AssertSource, *ast.AssertTopic:
		r.asserts++
	}
	err := r.machine.execute(s)
	var ask errAsk
	if errors.As(err, &ask) {
		if said := r.opts.Server.ask(r.machine.backend, s); said != nil {
			return said
		}
		return fmt.Errorf("the server takes this statement, but it can't be understood here: %w", ask.error)
	}
	return err
}

// judge compares the error of the last statement with the expected one.
func (r *runner) judge(file, text string, err error) string {
	if err == nil {
		return fmt.Sprintf("%s:%d: the last statement was to be refused, but was accepted\n", file, r.test.Line)
	}
	if want := r.test.ExpectedMessage; want != "" && !strings.Contains(err.Error(), want) {
		return diagnostic.Render(file, text, err) + "  expected a message with: " + want + "\n"
	}
	if want := r.test.ExpectedError; want != "" && r.opts.Server == nil { // a server doesn't tell the class
		if problem := checkClass(want, err); problem != "" {
			return diagnostic.Render(file, text, err) + "  " + problem + "\n"
		}
	}
	return ""
}

// checkClass tells what is wrong with an expected class of exception. In ksqlDB a
// KsqlException is what both others are.
func checkClass(want string, err error) string {
	kinds := map[string][]diagnostic.Kind{
		"ParseFailedException":   {diagnostic.Syntax},
		"KsqlStatementException": {diagnostic.Statement},
		"KsqlException":          {diagnostic.Syntax, diagnostic.Statement, diagnostic.General},
		"RuntimeException":       {diagnostic.Syntax, diagnostic.Statement, diagnostic.General},
		"Exception":              {diagnostic.Syntax, diagnostic.Statement, diagnostic.General},
	}
	class := want[strings.LastIndex(want, ".")+1:]
	allowed, known := kinds[class]
	if !known {
		return "the class " + class + " is unknown: there are KsqlException, and of its kind ParseFailedException and KsqlStatementException"
	}
	all := diagnostic.All(err)
	if len(all) > 0 && !slices.Contains(allowed, all[0].Kind) {
		names := map[diagnostic.Kind]string{diagnostic.Syntax: "ParseFailedException", diagnostic.Statement: "KsqlStatementException", diagnostic.General: "KsqlException"}
		return "expected a " + class + ", got a " + names[all[0].Kind]
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
