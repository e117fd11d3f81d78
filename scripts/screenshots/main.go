// Screenshots takes the README's pictures from a running `make demo`, with
// Chromium, into .github/pictures.
//
//	make demo                      # in another terminal, until its orders are placed
//	go run ./scripts/screenshots
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

// picture is a page at a moment.
type picture struct {
	file, url, scheme string
	ready             string // JavaScript that is true when all is there
	before            string // JavaScript statements to do then
}

const rows = `document.querySelectorAll('#grid .ag-row [col-id="id"] a').length > 10 && document.getElementById('status').textContent.endsWith('live')`

func main() {
	to := flag.String("to", ".github/pictures", "folder for the pictures")
	grid := flag.String("grid", "http://127.0.0.1:8070", "the grid")
	email := flag.String("email", "http://127.0.0.1:8083", "the email service")
	inbox := flag.String("inbox", "http://127.0.0.1:8025", "the inbox")
	flag.Parse()
	story := `document.querySelector('#grid .ag-row[row-index="3"] [col-id="state"]').click()`
	told := `document.querySelectorAll('#story tbody tr').length > 2`
	err := take(*to, []picture{
		{"grid-light.png", *grid + "/?", "light", rows, ""},
		{"grid-dark.png", *grid + "/?", "dark", rows, ""},
		{"story.png", *grid + "/?", "light", rows, story + "; await new Promise((done) => { const t = setInterval(() => { if (" + told + ") { clearInterval(t); done() } }, 50) })"},
		{"stats.png", *email + "/admin/stats", "light", `document.querySelector('svg')`, ""},
		{"mail.png", *inbox + "/view/latest.html", "light", `document.body.innerText.length > 40`, ""},
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, "screenshots:", err)
		os.Exit(1)
	}
}

func take(to string, pictures []picture) error {
	path := os.Getenv("CHROMIUM")
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path == "" {
			path, _ = exec.LookPath(name)
		}
	}
	if path == "" {
		return fmt.Errorf("no Chromium is installed (Debian: apt-get install chromium), and CHROMIUM names none")
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.WindowSize(1200, 720), chromedp.WSURLReadTimeout(time.Minute))
	if os.Getuid() == 0 {
		options = append(options, chromedp.NoSandbox) // Chromium has none for root
	}
	ctx, end := chromedp.NewExecAllocator(context.Background(), options...)
	defer end()
	ctx, end = chromedp.NewContext(ctx)
	defer end()
	if err := os.MkdirAll(to, 0o755); err != nil {
		return err
	}
	for _, p := range pictures {
		b, err := p.take(ctx)
		if err != nil {
			return fmt.Errorf("%s of %s: %w", p.file, p.url, err)
		}
		if err := os.WriteFile(filepath.Join(to, p.file), b, 0o644); err != nil {
			return err
		}
		fmt.Printf("%s  %d KB\n", p.file, len(b)/1024)
	}
	return nil
}

func (p picture) take(ctx context.Context) ([]byte, error) {
	ctx, end := chromedp.NewContext(ctx)
	defer end()
	// The tab exists before the deadline, so that the deadline ends only the tab.
	if err := chromedp.Do(ctx); err != nil {
		return nil, err
	}
	ctx, end = context.WithTimeout(ctx, time.Minute)
	defer end()
	scheme := chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: p.scheme}}})
		return err
	})
	if err := chromedp.Do(ctx, chromedp.EmulateViewport(1200, 720), scheme, chromedp.Navigate(p.url)); err != nil {
		return nil, err
	}
	for {
		is, err := chromedp.Run(ctx, chromedp.Evaluate[bool]("Boolean("+p.ready+")"))
		if err != nil {
			return nil, err
		}
		if is {
			break
		}
		time.Sleep(100 * time.Millisecond)
	}
	if p.before != "" {
		if _, err := chromedp.Run(ctx, chromedp.Evaluate[bool]("(async () => { "+p.before+"; return true })()", chromedp.EvalAwaitPromise)); err != nil {
			return nil, err
		}
	}
	return chromedp.Run(ctx, chromedp.CaptureScreenshot())
}
