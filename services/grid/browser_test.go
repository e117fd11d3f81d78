package main

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"regexp"
	"slices"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/stretchr/testify/require"

	"github.com/sidestream/sidestream/services/internal/order"
	"github.com/sidestream/sidestream/services/transact/transacttest"
)

const many = 100_000

// fill makes a view of many rows in dir.
func fill(t testing.TB, dir string) *store {
	s, err := openStore(dir)
	require.NoError(t, err)
	for from := 0; from < many; from += 5000 {
		var rows []row
		for i := from; i < from+5000; i++ {
			rows = append(rows, row{ID: fmt.Sprintf("order-%06d", i), State: []string{"VALIDATED", "FAILED", "SHIPPED"}[i%3], Level: []string{"gold", "silver"}[i%2],
				Product: fmt.Sprint("P", i%97), Customer: fmt.Sprint("Customer ", i%5000), CustomerID: int64(i % 5000), Quantity: int64(i%9 + 1), Version: 1,
				Price: order.Money(i * 7919 % many), Total: order.Money(i * 104729 % 1_000_000), Reasons: []string{}, Created: int64(i), Updated: int64(i)})
		}
		_, err := s.apply(&batch{rows: rows})
		require.NoError(t, err)
	}
	return s
}

// startMany is a grid of many rows.
func startMany(t testing.TB, b *transacttest.Broker) *grid {
	dir := t.TempDir()
	require.NoError(t, fill(t, dir).close())
	return startGrid(t, b, dir)
}

const (
	ready  = `document.querySelectorAll('#grid .ag-row [col-id="id"] a').length > 0`
	isLive = `document.getElementById('status').textContent.endsWith('live')`
)

func TestBrowser(t *testing.T) {
	browser := startBrowser(t)
	t.Run("a hundred thousand rows", func(t *testing.T) {
		g := startMany(t, newBroker(t))
		for name, test := range map[string]func(*testing.T, context.Context, *grid){
			"scroll": testScroll, "sort, filter, search": testChoose, "columns": testColumns, "keyboard": testKeyboard,
		} {
			t.Run(name, func(t *testing.T) { test(t, browser, g) })
		}
	})
	t.Run("orders", func(t *testing.T) {
		b := newBroker(t)
		put(b, "1", "CREATED")
		b.Put("orders", "1", `{"id":"1","note":"</code><img src=x onerror=window.hacked=1>"}`)
		b.Put(rowsTopic, "<b>2", `{"CUSTOMERID":15,"STATE":"FAILED","PRODUCT":"<img src=x onerror=window.hacked=1>","QUANTITY":3,"PRICE":5.25,`+
			`"REASONS":["<script>window.hacked=1</script>"],"VERSION":1,"FIRSTNAME":"<i>Franz</i>","LASTNAME":"Kafka","LEVEL":"gold","PAID":15.75}`)
		g := startGrid(t, b, "")
		for _, one := range []struct {
			name string
			test func(*testing.T, context.Context, *grid, *transacttest.Broker)
		}{{"markup", testMarkup}, {"live", testLive}, {"story", testStory}, {"place", testPlace}, {"without JavaScript", testWithoutScript}, {"accessible", testAccessible}} {
			t.Run(one.name, func(t *testing.T) { one.test(t, browser, g, b) })
		}
	})
	t.Run("comes back", func(t *testing.T) { testComesBack(t, browser) })
}

// scroll goes to a place as a hand on the scrollbar does; it resolves when a row
// there is drawn, to the milliseconds that it took.
func scroll(index int) string {
	return fmt.Sprintf(`(async () => {
		const view = document.querySelector('#grid .ag-body-viewport, #grid .ag-grid-viewport');
		const began = performance.now();
		view.scrollTop = %d * 32;
		for (;;) {
			await new Promise(requestAnimationFrame);
			if (document.querySelector('#grid .ag-row[row-index="%d"] [col-id="id"] a')) return performance.now() - began;
		}
	})()`, index, index+3)
}

func testScroll(t *testing.T, browser context.Context, g *grid) {
	p := open(t, browser, g.url)
	p.until(ready)
	require.Equal(t, "order-099999", p.rows()[0], "the newest first")
	var took float64
	for _, at := range []int{50_000, 12_345, 99_900, 0} {
		p.js(scroll(at), &took)
		require.Contains(t, p.rows(), fmt.Sprintf("order-%06d", many-1-at-3))
	}
	p.until(`document.querySelector('#grid [role="grid"]').getAttribute('aria-rowcount') == '100001'`)
}

func testChoose(t *testing.T, browser context.Context, g *grid) {
	p := open(t, browser, g.url)
	p.until(ready)
	total := `document.getElementById('status').textContent`
	p.click(one(`#grid .ag-header-cell[col-id="id"]`))
	p.until(cell("order-000000", "id"))
	p.click(one(`#grid .ag-header-cell[col-id="id"]`))
	p.until(cell("order-099999", "id"))
	require.Equal(t, "descending", p.text(`document.querySelector('#grid .ag-header-cell[col-id="id"]').getAttribute('aria-sort')`))
	p.js(`(() => { const s = document.querySelector('select[name=state]'); s.value = 'FAILED'; s.dispatchEvent(new Event('input', {bubbles: true})) })()`, nil)
	p.until(total + `.startsWith('33,333 ')`)
	p.until(cell("order-099997", "state") + `?.textContent === 'FAILED'`)
	p.write(`input[name=q]`, "customer 4999")
	p.until(total + `.startsWith('7 ')`)
	p.until(`document.querySelectorAll('#grid .ag-row [col-id="id"] a').length === 7`)
	p.write(`input[name=q]`, `no such "order"`)
	p.until(total + `.startsWith('0 ')`)
	p.until(`document.querySelector('#grid').innerText.includes('No orders')`)
	p.write(`input[name=q]`, "")
	p.until(cell("order-099997", "id"))
}

func testColumns(t *testing.T, browser context.Context, g *grid) {
	p := open(t, browser, g.url)
	p.until(ready)
	shown := func(column string) string {
		return `document.querySelector('#grid .ag-header-cell[col-id="` + column + `"]')`
	}
	p.until(shown("level") + ` && !` + shown("customerId"))
	p.click(one(`#columns summary`))
	for _, name := range []string{"Level", "Customer no."} {
		p.click(`[...document.querySelectorAll('#columns label')].find((l) => l.textContent === '` + name + `')`)
	}
	p.until(`!` + shown("level") + ` && ` + shown("customerId"))
	p.do(chromedp.Reload())
	p.until(ready)
	p.until(`!` + shown("level") + ` && ` + shown("customerId"))
	require.Equal(t, "false", p.text(`String([...document.querySelectorAll('#columns label')].find((l) => l.textContent === 'Level').querySelector('input').checked)`))
}

func testKeyboard(t *testing.T, browser context.Context, g *grid) {
	p := open(t, browser, g.url)
	p.until(ready)
	at := `(document.activeElement.closest('.ag-row')?.getAttribute('row-index') + ' ' + document.activeElement.getAttribute('col-id'))`
	p.js(`document.querySelector('#columns summary').focus()`, nil)
	p.do(chromedp.KeyEvent(kb.Tab))
	p.until(`document.activeElement.closest('.ag-header-cell')`)
	p.do(chromedp.KeyEvent(kb.ArrowDown))
	p.until(at + `=== '0 created'`)
	p.do(chromedp.KeyEvent(kb.ArrowRight), chromedp.KeyEvent(kb.ArrowDown), chromedp.KeyEvent(kb.ArrowDown))
	p.until(at + `=== '2 id'`)
	p.do(chromedp.KeyEvent(kb.Enter))
	p.until(`document.getElementById('story').open && document.getElementById('story-title').textContent === 'Order order-099997'`)
	p.until(`document.getElementById('story-body').textContent === 'Nothing has been told of it yet.'`)
	p.do(chromedp.KeyEvent(kb.Escape))
	p.until(`!document.getElementById('story').open`)
	p.until(at + `=== '2 id'`)
	p.do(chromedp.KeyEvent(kb.End, chromedp.KeyModifiers(chromedp.ModifierCtrl)))
	p.until(cell("order-000000", "id"))
}

func testMarkup(t *testing.T, browser context.Context, g *grid, _ *transacttest.Broker) {
	p := open(t, browser, g.url)
	p.until(ready)
	id := `[...document.querySelectorAll('#grid .ag-row')].find((r) => r.querySelector('[col-id=id] a')?.textContent === '<b>2')`
	p.until(id)
	require.Equal(t, "<i>Franz</i> Kafka", p.text(id+`.querySelector('[col-id=customer]').textContent`))
	require.Equal(t, "<img src=x onerror=window.hacked=1>", p.text(id+`.querySelector('[col-id=product]').textContent`))
	p.click(cell("1", "id"))
	p.until(`document.querySelector('#story code')`)
	require.Contains(t, p.text(`document.querySelector('#story code').textContent`), "</code><img src=x")
	p.do(chromedp.Navigate(g.url + "/orders/" + url.PathEscape("<b>2")))
	require.Equal(t, "Order <b>2", p.text(`document.querySelector('h1').textContent`))
	p.do(chromedp.Navigate(g.url + "/orders/1"))
	require.Equal(t, "undefined", p.text(`typeof window.hacked`))
	require.Equal(t, "0", p.text(`String(document.querySelectorAll('main img, main i, main script').length)`))
}

// watch resolves when a cell has a text, and says whether it flashed and when, in
// milliseconds since 1970.
func watch(id, column, text string) string {
	return fmt.Sprintf(`window.seen = new Promise((done) => {
		const look = () => {
			const cell = document.querySelector('#grid [row-id="%s"] [col-id="%s"]');
			if (cell?.textContent !== %q) return;
			watcher.disconnect();
			requestAnimationFrame(() => setTimeout(() => done({at: Date.now(), flashed: cell.classList.contains('ag-cell-data-changed')})));
		};
		const watcher = new MutationObserver(look);
		watcher.observe(document.getElementById('grid'), {subtree: true, childList: true, characterData: true, attributes: true, attributeFilter: ['class']});
	}), 0`, id, column, text)
}

type seen struct {
	At      int64
	Flashed bool
}

func testLive(t *testing.T, browser context.Context, g *grid, b *transacttest.Broker) {
	put(b, "live", "CREATED")
	p := open(t, browser, g.url)
	p.until(isLive)
	p.until(cell("live", "state") + `?.textContent === 'CREATED'`)
	p.js(watch("live", "state", "FAILED"), nil)
	put(b, "live", "FAILED")
	var s seen
	p.js(`window.seen`, &s)
	require.True(t, s.Flashed, "the changed cell flashes")
	require.NotContains(t, p.text(cell("live", "product")+`.className`), "ag-cell-data-changed", "the others don't")

	p.js(watch("brand-new", "state", "CREATED"), nil)
	put(b, "brand-new", "CREATED")
	p.js(`window.seen`, &s)
	require.Equal(t, "brand-new", p.rows()[0])
	b.Put(rowsTopic, "brand-new", "")
}

func testStory(t *testing.T, browser context.Context, g *grid, b *transacttest.Broker) {
	put(b, "told", "CREATED")
	b.Put("orders", "told", `{"id":"told","state":"CREATED"}`)
	b.Put("payments", "pay-told", `{"id":"pay-told","orderId":"told","amount":15.75}`)
	p := open(t, browser, g.url)
	p.until(cell("told", "state"))
	p.click(cell("told", "state"))
	p.until(`document.querySelectorAll('#story tbody tr').length === 2`)
	require.Equal(t, "orders", p.text(`document.querySelector('#story tbody tr').cells[1].textContent`))
	for _, column := range []string{"0", "2", "3"} {
		require.Regexp(t, `\d`, p.text(`document.querySelector('#story tbody tr').cells[`+column+`].textContent`))
	}
	require.Contains(t, p.text(`document.querySelector('#story-body').textContent`), `"amount":15.75`)

	// What happens while it is open is told too.
	b.Put("orders", "told", `{"id":"told","state":"VALIDATED"}`)
	put(b, "told", "VALIDATED")
	p.until(`document.querySelectorAll('#story tbody tr').length === 3`)
}

func testPlace(t *testing.T, browser context.Context, g *grid, b *transacttest.Broker) {
	p := open(t, browser, g.url)
	p.until(isLive)
	placed := `document.getElementById('placed').textContent`
	p.write(`#place [name=quantity]`, "-1")
	p.do(chromedp.KeyEvent(kb.Enter))
	p.until(placed + `.includes('quantity: must be more than 0, <b>really</b>')`)
	p.expected = regexp.MustCompile(`status of 422`) // the browser's own line about it

	p.write(`#place [name=quantity]`, "2")
	p.do(chromedp.KeyEvent(kb.Enter))
	p.until(placed + `.includes('checks are under way')`)
	id := p.text(placed + `.split(' ')[1]`)
	put(b, id, "CREATED")
	p.until(cell(id, "state") + `?.textContent === 'CREATED'`)
	put(b, id, "VALIDATED")
	p.until(placed + `.startsWith('Order ` + id + ` is VALIDATED after ')`)
	p.until(cell(id, "state") + `?.textContent === 'VALIDATED'`)
}

func testWithoutScript(t *testing.T, browser context.Context, g *grid, b *transacttest.Broker) {
	for i := range 60 {
		b.Put(rowsTopic, fmt.Sprintf("plain%02d", i), `{"CUSTOMERID":1,"STATE":"SHIPPED","PRODUCT":"PLAIN","QUANTITY":1,"PRICE":1.00,"VERSION":1}`)
	}
	require.Eventually(t, func() bool {
		_, body := g.get("/api/rows?limit=1&state=SHIPPED")
		return regexp.MustCompile(`"total":60,`).MatchString(body)
	}, transacttest.Patience, 10*time.Millisecond)
	p := open(t, browser, g.url, scripts(false))
	first := `document.querySelector('#table tbody th').innerText`
	follow := func(selector string) {
		t.Helper()
		p.js(`window.before = true`, nil)
		p.click(one(selector))
		p.until(`!window.before && document.readyState === 'complete'`)
	}
	require.Equal(t, "true", p.text(`String(document.getElementById('grid').hidden && document.getElementById('table').offsetHeight > 0)`))
	p.js(one(`select[name=state]`)+`.value = 'SHIPPED'`, nil)
	follow(`#filters button`)
	require.Contains(t, p.text(`document.querySelector('caption').innerText`), "Orders 1 to 50 of 60")
	follow(`#table thead th:nth-child(2) a`)
	require.Equal(t, "plain00", p.text(first))
	follow(`a[rel=next]`)
	require.Equal(t, "plain50", p.text(first))
	follow(`#table tbody th a`)
	require.Equal(t, "Order plain50", p.text(`document.querySelector('h1').innerText`))
	follow(`header a`)
	// The order's page waits for the order's end.
	go func() {
		put(b, "made-here", "CREATED")
		put(b, "made-here", "VALIDATED")
	}()
	follow(`#place button`)
	require.Equal(t, "Order made-here", p.text(`document.querySelector('h1').innerText`))
	require.Equal(t, "VALIDATED", p.text(`document.querySelector('dd').innerText`))
}

func testAccessible(t *testing.T, browser context.Context, g *grid, b *transacttest.Broker) {
	script := axe(t)
	put(b, "open", "CREATED")
	b.Put("orders", "open", `{"id":"open","state":"CREATED"}`)
	for _, name := range []string{"light", "dark"} {
		p := open(t, browser, g.url, scheme(name))
		p.until(cell("open", "state"))
		p.until(isLive)
		require.Empty(t, p.violations(script), "the page, %s", name)
		p.click(one(`#columns summary`))
		require.Empty(t, p.violations(script), "the columns' choice, %s", name)
		p.do(chromedp.KeyEvent(kb.Escape))
		p.until(`!document.getElementById('columns').open`)
		p.click(cell("open", "state"))
		p.until(`document.querySelectorAll('#story tbody tr').length > 0`)
		require.Empty(t, p.violations(script), "an order's story, %s", name)
		for _, path := range []string{"/orders/1", "/orders/open", "/orders/never"} {
			p.expected = regexp.MustCompile(`status of 404`)
			p.do(chromedp.Navigate(g.url + path))
			require.Empty(t, p.violations(script), "%s, %s", path, name)
		}
		p = open(t, browser, g.url, scheme(name), scripts(false))
		p.do(scripts(true))
		require.Empty(t, p.violations(script), "without JavaScript, %s", name)
		dark := p.text(`getComputedStyle(document.body).backgroundColor`) != "rgb(255, 255, 255)"
		require.Equal(t, name == "dark", dark)
	}
}

// testComesBack: the program ends and starts anew while a page is open, which then
// has what changed meanwhile, and learns how its order ended.
func testComesBack(t *testing.T, browser context.Context) {
	b := newBroker(t)
	put(b, "1", "CREATED")
	dir := t.TempDir()
	g := startGrid(t, b, dir)
	p := open(t, browser, g.url)
	p.expected = regexp.MustCompile(`Failed to load resource|ERR_CONNECTION_REFUSED|ERR_INCOMPLETE_CHUNKED|ERR_EMPTY|ERR_CONNECTION`)
	p.until(isLive)
	p.until(cell("1", "state") + `?.textContent === 'CREATED'`)
	p.click(one(`#place button`))
	placed := `document.getElementById('placed').textContent`
	p.until(placed + `.includes('checks are under way')`)
	id := p.text(placed + `.split(' ')[1]`)
	g.stop()
	p.until(`document.getElementById('status').textContent.endsWith('connecting again')`)
	put(b, "1", "FAILED")
	put(b, "2", "CREATED")
	put(b, id, "VALIDATED")
	_, port, err := net.SplitHostPort(g.url[len("http://"):])
	require.NoError(t, err)
	startGridAt(t, b, dir, "127.0.0.1:"+port)
	p.until(isLive)
	p.until(cell("1", "state") + `?.textContent === 'FAILED' && ` + cell("2", "state"))
	p.until(placed + `.startsWith('Order ` + id + ` is VALIDATED after ')`)
}

// BenchmarkBrowser is what someone at the page waits for, with 100,000 rows: from
// the address to the first paint and to the grid's rows; from a jump of the
// scrollbar to rows drawn there; from a record's time to its cell drawn. The
// middle ones of many.
func BenchmarkBrowser(b *testing.B) {
	browser := startBrowser(b)
	broker := newBroker(b)
	g := startMany(b, broker)
	figures := map[string][]float64{}
	note := func(unit string, ms float64) { figures[unit] = append(figures[unit], ms) }
	for b.Loop() {
		var ms float64
		p := open(b, browser, g.url)
		p.until(ready)
		p.until(isLive)
		p.js(`performance.getEntriesByName('first-contentful-paint')[0].startTime`, &ms)
		note("paint-ms", ms)
		p.js(`performance.getEntriesByName('rows')[0].startTime`, &ms)
		note("rows-ms", ms)
		for i := range 20 {
			p.js(scroll((i*39_119+50_000)%(many-100)), &ms)
			note("scroll-ms", ms)
		}
		p.js(scroll(0), &ms)
		for i := range 10 {
			update := func(unit, id, state string) {
				p.js(watch(id, "state", state), nil)
				began := time.Now()
				broker.PutAt(rowsTopic, id, fmt.Sprintf(`{"CUSTOMERID":15,"STATE":%q,"PRODUCT":"SOCKS","QUANTITY":3,"PRICE":5.25,"VERSION":9}`, state), began)
				var s seen
				p.js(`window.seen`, &s)
				note(unit, float64(s.At-began.UnixMilli()))
			}
			id, state := p.rows()[4], "FAILED"
			if p.text(cell(id, "state")+".textContent") == state {
				state = "SHIPPED"
			}
			update("update-ms", id, state)
			update("new-row-ms", fmt.Sprintf("new-%d-%d", len(figures["paint-ms"]), i), "CREATED")
		}
		p.close()
	}
	for unit, all := range figures {
		slices.Sort(all)
		b.ReportMetric(all[len(all)/2], unit)
		b.ReportMetric(all[len(all)-1], "most-"+unit)
	}
}
