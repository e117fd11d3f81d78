package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sidestream/sidestream/services/internal/config"
	"github.com/sidestream/sidestream/services/transact/transacttest"
)

// grid is the program in the test's process, with an orders API that takes every
// order whose quantity isn't negative.
type grid struct {
	t    testing.TB
	url  string
	stop func()
}

func startGrid(t testing.TB, b *transacttest.Broker, dir string) *grid {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	addr := l.Addr().String()
	require.NoError(t, l.Close())
	return startGridAt(t, b, dir, addr)
}

func startGridAt(t testing.TB, b *transacttest.Broker, dir, addr string) *grid {
	orders := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		var o struct {
			ID       string
			Quantity json.Number
		}
		w.Header().Set("Content-Type", "application/json")
		if err := json.Unmarshal(body, &o); err != nil || strings.HasPrefix(o.Quantity.String(), "-") {
			w.WriteHeader(http.StatusUnprocessableEntity)
			fmt.Fprint(w, `{"detail":"The body has wrong fields.","errors":[{"field":"quantity","detail":"must be more than 0, <b>really</b>"}]}`)
			return
		}
		if o.ID == "" {
			o.ID = "made-here"
		}
		w.WriteHeader(http.StatusCreated)
		fmt.Fprintf(w, `{"id":%q,"state":"CREATED"}`, o.ID)
	}))
	t.Cleanup(orders.Close)
	at, err := url.Parse(orders.URL)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		done <- run(ctx, settings{Common: config.Common{Brokers: b.Addr, HTTPAddr: addr, StateDir: dir, StartTimeout: transacttest.Patience},
			orders: at, story: []string{"orders", "payments", "no-such-topic"}, heartbeat: time.Second, streams: 1100}, slog.New(slog.NewTextHandler(io.Discard, nil)))
	}()
	g := &grid{t: t, url: "http://" + addr}
	g.stop = sync.OnceFunc(func() {
		cancel()
		require.NoError(t, <-done)
	})
	t.Cleanup(g.stop)
	require.Eventually(t, func() bool {
		select {
		case err := <-done:
			require.NoError(t, err, "the program ended")
			return true
		default:
		}
		resp, err := http.Get(g.url + "/readyz")
		if err != nil {
			return false
		}
		resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	}, transacttest.Patience, 10*time.Millisecond)
	return g
}

func (g *grid) get(path string) (int, string) {
	g.t.Helper()
	resp, err := http.Get(g.url + path)
	require.NoError(g.t, err)
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	require.NoError(g.t, err)
	return resp.StatusCode, string(b)
}

func newBroker(t testing.TB) *transacttest.Broker {
	b := transacttest.NewBroker(t)
	b.Compacted(rowsTopic, 4)
	b.Compacted("orders", 4)
	b.Topic("payments", 4)
	return b
}

func put(b *transacttest.Broker, id, state string) {
	b.Put(rowsTopic, id, fmt.Sprintf(`{"CUSTOMERID":15,"STATE":%q,"PRODUCT":"SOCKS","QUANTITY":3,"PRICE":5.25,"REASONS":null,"VERSION":1,"FIRSTNAME":"<i>Franz</i>","LASTNAME":"Kafka","LEVEL":"gold","PAID":null}`, state))
}

func TestRowsAndStories(t *testing.T) {
	b := newBroker(t)
	put(b, "1", "CREATED")
	b.Put("orders", "1", `{"id":"1","state":"CREATED"}`)
	b.Put("payments", "pay-1", `{"id":"pay-1","orderId":"1","amount":15.75}`)
	b.Put("payments", "pay-x", `not JSON`)
	b.Put(rowsTopic, "bad", `{"QUANTITY":"many"}`)
	dir := t.TempDir()
	g := startGrid(t, b, dir)
	status, body := g.get("/api/rows/1")
	require.Equal(t, 200, status, body)
	var r row
	require.NoError(t, json.Unmarshal([]byte(body), &r))
	require.Equal(t, "<i>Franz</i> Kafka", r.Customer)
	require.EqualValues(t, 1575, r.Total)
	require.Nil(t, r.Paid)
	require.Contains(t, body, `"total":15.75`)
	status, body = g.get("/api/rows/1/story")
	require.Equal(t, 200, status)
	require.Contains(t, body, `"topic":"orders"`)
	require.Contains(t, body, `"topic":"payments"`)
	_, body = g.get("/api/rows?sort=-total&state=CREATED,FAILED&q=sock")
	require.Contains(t, body, `"total":1,`)
	status, _ = g.get("/api/rows/2")
	require.Equal(t, 404, status)
	for _, bad := range []string{"sort=reasons", "limit=x", "limit=5000", "offset=-1", "q=" + strings.Repeat("x", 201)} {
		status, body = g.get("/api/rows?" + bad)
		require.Equal(t, 400, status, bad)
		require.Contains(t, body, `"in":"query"`)
	}

	// After a restart the view goes on where it was.
	g.stop()
	put(b, "2", "CREATED")
	b.Put("orders", "1", `{"id":"1","state":"VALIDATED"}`)
	g = startGrid(t, b, dir)
	_, body = g.get("/api/rows?sort=id")
	require.Contains(t, body, `"total":2,`)
	_, body = g.get("/api/rows/1/story")
	require.Equal(t, 3, strings.Count(body, `"topic"`), body)
}

func TestPagesWithoutJavaScript(t *testing.T) {
	b := newBroker(t)
	for i := range 60 {
		put(b, fmt.Sprintf("o%02d", i), "VALIDATED")
	}
	b.Put("orders", "o59", `{"id":"o59","note":"</code><script>alert(1)</script>"}`)
	g := startGrid(t, b, "")
	status, body := g.get("/?sort=id")
	require.Equal(t, 200, status)
	require.Contains(t, body, "Orders 1 to 50 of 60")
	require.Contains(t, body, "&lt;i&gt;Franz&lt;/i&gt; Kafka")
	require.NotContains(t, body, "<i>Franz")
	require.Contains(t, body, `href="/?offset=50&amp;sort=id" rel="next"`)
	require.Contains(t, body, `aria-sort="ascending"`)
	_, body = g.get("/?sort=id&offset=50")
	require.Contains(t, body, "Orders 51 to 60 of 60")
	require.Contains(t, body, `rel="prev"`)
	status, body = g.get("/orders/o59")
	require.Equal(t, 200, status)
	require.NotContains(t, body, "<script>alert")
	require.Contains(t, body, "15.75 in all")
	status, body = g.get("/orders/never")
	require.Equal(t, 404, status)
	require.Contains(t, body, `<a href="/orders/never?wait=10s">Look again</a>`)
	status, _ = g.get("/orders/never?wait=1h")
	require.Equal(t, 400, status)
	go put(b, "o-late", "VALIDATED")
	status, body = g.get("/orders/o-late?wait=10s")
	require.Equal(t, 200, status)
	require.Contains(t, body, "15.75 in all")

	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	form := url.Values{"customerId": {"15"}, "product": {"SOCKS"}, "quantity": {"1"}, "price": {"0.10"}}
	resp, err := client.PostForm(g.url+"/orders", form)
	require.NoError(t, err)
	resp.Body.Close()
	require.Equal(t, http.StatusSeeOther, resp.StatusCode)
	require.Equal(t, "/orders/made-here?wait=10s", resp.Header.Get("Location"))
	form.Set("quantity", "-1")
	form.Set("product", `"><script>`)
	resp, err = client.PostForm(g.url+"/orders", form)
	require.NoError(t, err)
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.Equal(t, http.StatusUnprocessableEntity, resp.StatusCode)
	require.Contains(t, string(answer), "quantity: must be more than 0, &lt;b&gt;really")
	require.NotContains(t, string(answer), `"><script>`)

	req, err := http.NewRequestWithContext(t.Context(), "POST", g.url+"/orders", strings.NewReader(form.Encode()))
	require.NoError(t, err)
	req.Header.Set("Sec-Fetch-Site", "cross-site")
	resp, err = client.Do(req)
	require.NoError(t, err)
	resp.Body.Close()
	require.Equal(t, http.StatusForbidden, resp.StatusCode)
}

// TestAThousandStreams: each of a thousand clients sees a change, and one that
// comes back misses nothing.
func TestAThousandStreams(t *testing.T) {
	b := newBroker(t)
	g := startGrid(t, b, "")
	const n = 1000
	var ready, seen sync.WaitGroup
	ready.Add(n)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	last := make(chan string, n)
	for range n {
		seen.Go(func() {
			req, err := http.NewRequestWithContext(ctx, "GET", g.url+"/api/changes", nil)
			if err != nil {
				t.Error(err)
				return
			}
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Error(err)
				ready.Done()
				return
			}
			defer resp.Body.Close()
			lines := bufio.NewScanner(resp.Body)
			id := ""
			for lines.Scan() {
				switch line := lines.Text(); {
				case line == "event: hello":
					ready.Done()
				case strings.HasPrefix(line, "id: "):
					id = line[4:]
				case strings.HasPrefix(line, "data: {\"rows\""):
					last <- id
					return
				}
			}
			t.Error("a stream ended early:", lines.Err())
		})
	}
	ready.Wait()
	put(b, "1", "CREATED")
	seen.Wait()
	require.Len(t, last, n)

	put(b, "2", "CREATED")
	req, err := http.NewRequestWithContext(ctx, "GET", g.url+"/api/changes", nil)
	require.NoError(t, err)
	req.Header.Set("Last-Event-ID", <-last)
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	lines := bufio.NewScanner(resp.Body)
	for lines.Scan() && !strings.Contains(lines.Text(), `"id":"2"`) {
		require.NotContains(t, lines.Text(), "event: reset")
	}
	require.NoError(t, lines.Err())

	// After an hour, or another life of the program, all is asked anew.
	req.Header.Set("Last-Event-ID", "another-17")
	resp, err = http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	lines = bufio.NewScanner(resp.Body)
	for lines.Scan() && lines.Text() != "event: reset" {
	}
	require.Equal(t, "event: reset", lines.Text())
}
