package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/stretchr/testify/require"

	"github.com/sidestream/sidestream/services/transact/transacttest"
)

// startBrowser starts a headless Chromium for the test and its subtests, or skips
// the test where there is none.
func startBrowser(t testing.TB) context.Context {
	path := os.Getenv("CHROMIUM")
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path == "" {
			path, _ = exec.LookPath(name)
		}
	}
	if path == "" {
		t.Skip("no Chromium is installed (Debian: apt-get install chromium), and CHROMIUM names none")
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.WindowSize(1280, 900),
		chromedp.Flag("disable-dev-shm-usage", true), chromedp.WSURLReadTimeout(2*transacttest.Patience))
	if os.Getuid() == 0 {
		options = append(options, chromedp.NoSandbox) // Chromium has none for root
	}
	ctx, end := chromedp.NewExecAllocator(context.Background(), options...)
	t.Cleanup(end)
	ctx, end = chromedp.NewContext(ctx)
	t.Cleanup(end)
	require.NoError(t, chromedp.Do(ctx))
	return ctx
}

// tab is a page of its own, with its own storage. A warning or an error in its
// console that isn't expected fails the test.
type tab struct {
	t        testing.TB
	ctx      context.Context
	expected *regexp.Regexp
	close    func()
}

type action = chromedp.Action[chromedp.Void]

// open opens a page; before are done first.
func open(t testing.TB, browser context.Context, url string, before ...action) *tab {
	ctx, end := chromedp.NewContext(browser, chromedp.WithNewBrowserContext())
	p := &tab{t: t, ctx: ctx}
	var said []string
	var listening sync.WaitGroup
	console := chromedp.Console(ctx)
	listening.Go(func() {
		for m, err := range console {
			if err != nil {
				return
			}
			if m.Type == chromedp.ConsoleWarning || m.Type == chromedp.ConsoleError || m.Type == chromedp.ConsoleException {
				said = append(said, fmt.Sprintf("%s: %s (%s)", m.Type, m.Text, m.URL))
			}
		}
	})
	p.close = sync.OnceFunc(func() {
		end()
		listening.Wait()
		for _, line := range said {
			if p.expected == nil || !p.expected.MatchString(line) {
				t.Errorf("the browser's console says: %s", line)
			}
		}
	})
	t.Cleanup(p.close)
	p.do(append(before, chromedp.Navigate(url))...)
	return p
}

func (p *tab) do(actions ...action) {
	p.t.Helper()
	ctx, end := context.WithTimeout(p.ctx, 2*transacttest.Patience)
	defer end()
	require.NoError(p.t, chromedp.Do(ctx, actions...))
}

// js evaluates an expression, or waits for it if it is a promise, and decodes what
// it gives as JSON into out, unless that is nil.
func (p *tab) js(expression string, out any) {
	p.t.Helper()
	ctx, end := context.WithTimeout(p.ctx, 2*transacttest.Patience)
	defer end()
	text, err := chromedp.Run(ctx, chromedp.Evaluate[string]("(async () => JSON.stringify(await ("+expression+")) ?? 'null')()", chromedp.EvalAwaitPromise))
	require.NoError(p.t, err, expression)
	if out != nil {
		require.NoError(p.t, json.Unmarshal([]byte(text), out), expression)
	}
}

// click clicks with the mouse at the middle of an element.
func (p *tab) click(element string) {
	p.t.Helper()
	var at struct{ X, Y float64 }
	p.js(`(() => { const e = `+element+`; e.scrollIntoView({block: 'nearest'}); const r = e.getBoundingClientRect(); return {x: r.x + r.width / 2, y: r.y + r.height / 2} })()`, &at)
	p.do(chromedp.MouseClickXY(at.X, at.Y))
}

// one is the expression of the first element of a CSS selector.
func one(selector string) string { return fmt.Sprintf("document.querySelector(%q)", selector) }

// until waits for an expression to be true.
func (p *tab) until(expression string) {
	p.t.Helper()
	for end := time.Now().Add(transacttest.Patience); ; time.Sleep(20 * time.Millisecond) {
		var is bool
		p.js("Boolean("+expression+")", &is)
		if is {
			return
		}
		if time.Now().After(end) {
			var text string
			p.js("document.body.innerText.slice(0, 600)", &text)
			require.Failf(p.t, "it never came to be", "%s\nThe page has:\n%s", expression, text)
		}
	}
}

func (p *tab) text(expression string) string {
	p.t.Helper()
	var out string
	p.js(expression, &out)
	return out
}

// write writes into the field of a form in place of what it had.
func (p *tab) write(selector, text string) {
	p.t.Helper()
	p.js(fmt.Sprintf("(() => { const f = document.querySelector(%q); f.focus(); f.select(); return 0 })()", selector), nil)
	if text == "" {
		p.do(chromedp.KeyEvent(kb.Delete))
		return
	}
	p.do(chromedp.KeyEvent(text))
}

// cell is the expression of a cell's element in the grid.
func cell(id, column string) string {
	return fmt.Sprintf(`document.querySelector('#grid [row-id="%s"] [col-id="%s"]')`, id, column)
}

// rows are the ids of the rows that are drawn, from the top.
func (p *tab) rows() []string {
	p.t.Helper()
	var out []string
	p.js(`[...document.querySelectorAll('#grid .ag-row')].filter((r) => r.querySelector('[col-id="id"] a'))
		.sort((a, b) => a.getAttribute('row-index') - b.getAttribute('row-index')).map((r) => r.querySelector('[col-id="id"] a').textContent)`, &out)
	return out
}

// scheme is the light or the dark one.
func scheme(name string) action {
	return command(emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: name}}})
}

// scripts lets pages run theirs or not.
func scripts(run bool) action {
	return command(emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: !run})
}

func command[P, R any](c cdp.Command[P, R], params P) action {
	return chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, c, params)
		return err
	})
}

// violations are what axe finds wrong on the page, a line each.
func (p *tab) violations(axe string) []string {
	p.t.Helper()
	p.do(command(runtime.Evaluate, runtime.EvaluateParams{Expression: axe}))
	var found struct {
		Passes     int
		Violations []string
	}
	p.js(`axe.run(document).then((r) => ({passes: r.passes.length,
		violations: r.violations.flatMap((v) => v.nodes.map((n) => v.id + ' (' + v.impact + '): ' + n.target.join(' ') + ': ' + n.failureSummary))}))`, &found)
	require.Greater(p.t, found.Passes, 10, "axe has looked at the page")
	out := found.Violations
	for i := range out {
		out[i] = strings.Join(strings.Fields(out[i]), " ")
	}
	return out
}
