package main

import (
	"embed"
	"encoding/json"
	"fmt"
	"html/template"
	"io/fs"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/gorilla/mux"

	"github.com/sidestream/sidestream/services/internal/order"
	"github.com/sidestream/sidestream/services/internal/web"
)

// Everything that a browser needs is in the program: nothing comes from elsewhere.
//
//go:embed web
var files embed.FS

// pageRows is how many rows a page has where no script runs.
const pageRows = 50

// pages are the HTML: a table that can be read, sorted, filtered and paged without
// JavaScript, which app.js turns into the grid.
type pages struct {
	api       *api
	templates *template.Template
	static    http.Handler
}

func newPages(a *api) (*pages, error) {
	t, err := template.New("").Funcs(template.FuncMap{
		"time": func(ms int64) string { return time.UnixMilli(ms).UTC().Format("2006-01-02 15:04:05.000") },
		"iso":  func(ms int64) string { return time.UnixMilli(ms).UTC().Format(time.RFC3339Nano) },
		"text": func(v json.RawMessage) string { return string(v) },
	}).ParseFS(files, "web/*.html")
	if err != nil {
		return nil, err
	}
	static, err := fs.Sub(files, "web/static")
	if err != nil {
		return nil, err
	}
	return &pages{api: a, templates: t, static: http.StripPrefix("/static/", http.FileServerFS(static))}, nil
}

func (p *pages) routes(r *mux.Router) {
	get := []string{http.MethodGet, http.MethodHead}
	r.Handle("/", web.Handler(p.grid)).Methods(get...)
	r.Handle("/orders/{id}", web.Handler(p.order)).Methods(get...)
	r.Handle("/orders", web.Handler(p.place)).Methods(http.MethodPost)
	r.PathPrefix("/static/").Handler(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		w.Header().Set("Cache-Control", "no-cache") // a new version of the program has new files
		p.static.ServeHTTP(w, req)
	})).Methods(get...)
}

// gridPage is what grid.html shows.
type gridPage struct {
	Rows     []row
	Total    int
	From, To int
	Query    url.Values
	Columns  []column
	States   []count
	Levels   []count
	Back, On string // addresses of the pages before and behind; "" if there is none
	Problem  string // what was wrong with an order that was to be placed
	Order    map[string]string
}

// column of the table.
type column struct {
	Name, Title, Sort string // Sort: the address that sorts by it
	Arrow             string
	Number            bool
}

var gridColumns = []column{
	{Name: "created", Title: "Placed"}, {Name: "id", Title: "Order"}, {Name: "state", Title: "State"}, {Name: "customer", Title: "Customer"},
	{Name: "level", Title: "Level"}, {Name: "product", Title: "Product"}, {Name: "quantity", Title: "Quantity", Number: true},
	{Name: "price", Title: "Price", Number: true}, {Name: "total", Title: "Total", Number: true}, {Name: "paid", Title: "Paid", Number: true},
}

func (p *pages) grid(w http.ResponseWriter, r *http.Request) *web.Problem {
	page, problem := p.gridPage(r)
	if problem != nil {
		return problem
	}
	return p.write(w, r, http.StatusOK, "grid.html", page)
}

func (p *pages) gridPage(r *http.Request) (*gridPage, *web.Problem) {
	q, errs := parseQuery(r)
	if len(errs) > 0 {
		return nil, web.BadParameters(errs...)
	}
	q.limit = pageRows
	rows, total, err := p.api.store.rows(r.Context(), q)
	if err != nil {
		return nil, p.api.fault("rows", err)
	}
	page := &gridPage{Rows: rows, Total: total, From: min(q.offset+1, total), To: q.offset + len(rows), Query: r.URL.Query(), Order: map[string]string{}}
	with := func(name, value string) string {
		v := url.Values{}
		for k, old := range r.URL.Query() {
			v[k] = old
		}
		v.Set(name, value)
		if name == "sort" {
			v.Del("offset")
		}
		return "/?" + v.Encode()
	}
	for _, c := range gridColumns {
		c.Sort = with("sort", c.Name)
		if q.sort == c.Name {
			c.Arrow = "ascending"
			if q.down {
				c.Arrow = "descending"
			} else {
				c.Sort = with("sort", "-"+c.Name)
			}
		}
		page.Columns = append(page.Columns, c)
	}
	if q.offset > 0 {
		page.Back = with("offset", strconv.Itoa(max(0, q.offset-pageRows)))
	}
	if q.offset+len(rows) < total {
		page.On = with("offset", strconv.Itoa(q.offset+pageRows))
	}
	if page.States, err = p.api.store.counts(r.Context(), "state", 10); err != nil {
		return nil, p.api.fault("facets", err)
	}
	if page.Levels, err = p.api.store.counts(r.Context(), "level", 10); err != nil {
		return nil, p.api.fault("facets", err)
	}
	return page, nil
}

// orderPage is what order.html shows.
type orderPage struct {
	ID     string
	Row    *row
	Events []event
	Wait   string // where to look again; "" if it has its final state
}

// maxWait bounds how long an order's page waits for its final state.
const maxWait = 30 * time.Second

// waits asks again whenever something changed, until an order has its final state or
// the time is over.
func (p *pages) waits(r *http.Request, id string, most time.Duration) (row row, ok bool, err error) {
	over := time.After(most)
	for {
		_, _, more, _ := p.api.feed.since(p.api.feed.now())
		row, ok, err = p.api.store.row(r.Context(), id)
		if err != nil || ok && row.State != string(order.Created) || most == 0 {
			return row, ok, err
		}
		select {
		case <-more:
		case <-over:
			most = 0
		case <-web.Draining(r.Context()):
			most = 0
		case <-r.Context().Done():
			return row, ok, r.Context().Err()
		}
	}
}

func (p *pages) order(w http.ResponseWriter, r *http.Request) *web.Problem {
	id := mux.Vars(r)["id"]
	page := orderPage{ID: id}
	var most time.Duration
	if text := r.URL.Query().Get("wait"); text != "" {
		var err error
		if most, err = time.ParseDuration(text); err != nil || most < 0 || most > maxWait {
			return web.BadParameters(web.QueryError("wait", fmt.Sprintf("must be a time up to %s, as 10s, is %q", maxWait, text)))
		}
	}
	row, ok, err := p.waits(r, id, most)
	if r.Context().Err() != nil {
		return nil // the client went away
	}
	if err != nil {
		return p.api.fault("row", err)
	}
	if ok {
		page.Row = &row
	}
	if page.Events, err = p.api.store.story(r.Context(), id); err != nil {
		return p.api.fault("story", err)
	}
	if !ok || row.State == string(order.Created) {
		page.Wait = waitingPage(id)
	}
	status := http.StatusOK
	if !ok && len(page.Events) == 0 {
		status = http.StatusNotFound
	}
	return p.write(w, r, status, "order.html", page)
}

// waitingPage is the address of an order's page that waits for its final state.
func waitingPage(id string) string { return "/orders/" + url.PathEscape(id) + "?wait=10s" }

// place takes the form where no script runs, and leads to the order's page.
func (p *pages) place(w http.ResponseWriter, r *http.Request) *web.Problem {
	// A page elsewhere mustn't place orders by its visitors' hands.
	if site := r.Header.Get("Sec-Fetch-Site"); site != "" && site != "same-origin" && site != "none" {
		return &web.Problem{Code: "cross-site", Status: http.StatusForbidden, Detail: "The form was sent by a page of another site."}
	}
	r.Body = http.MaxBytesReader(w, r.Body, 16<<10)
	if err := r.ParseForm(); err != nil {
		return &web.Problem{Code: "malformed", Status: http.StatusBadRequest, Detail: "The form can't be read: " + err.Error()}
	}
	sent := map[string]string{}
	for _, name := range []string{"id", "customerId", "product", "quantity", "price"} {
		sent[name] = strings.TrimSpace(r.PostForm.Get(name))
	}
	status, answer, err := p.api.place.post(r.Context(), orderJSON(sent), r.Header.Get("Authorization"))
	var got struct {
		ID     string `json:"id"`
		Detail string `json:"detail"`
		Errors []struct{ Field, Detail string }
	}
	problem := ""
	switch {
	case err != nil:
		problem = "The orders API doesn't answer. Send the form again: with the same id an order is placed once."
	case json.Unmarshal(answer, &got) != nil:
		problem = fmt.Sprintf("The orders API answered %d.", status)
	case status >= 400:
		problem = got.Detail
		for _, e := range got.Errors {
			problem += fmt.Sprintf(" %s: %s.", e.Field, e.Detail)
		}
	default:
		http.Redirect(w, r, waitingPage(got.ID), http.StatusSeeOther)
		return nil
	}
	r.URL.RawQuery = ""
	page, p2 := p.gridPage(r)
	if p2 != nil {
		return p2
	}
	page.Problem, page.Order = problem, sent
	if status < 400 {
		status = http.StatusServiceUnavailable
	}
	return p.write(w, r, status, "grid.html", page)
}

// orderJSON writes what a form has as the orders API wants it: numbers as numbers
// if they are such, so that the API's own messages tell what is wrong.
func orderJSON(sent map[string]string) []byte {
	out := map[string]any{}
	for name, text := range sent {
		if name == "id" && text == "" {
			continue
		}
		var n json.Number
		if name != "id" && name != "product" && json.Unmarshal([]byte(text), &n) == nil {
			out[name] = n
			continue
		}
		out[name] = text
	}
	b, err := json.Marshal(out)
	if err != nil {
		return []byte("{}")
	}
	return b
}

func (p *pages) write(w http.ResponseWriter, r *http.Request, status int, name string, page any) *web.Problem {
	var out strings.Builder
	if err := p.templates.ExecuteTemplate(&out, name, page); err != nil {
		return p.api.fault("page "+name, err)
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "same-origin")
	// The grid's library sets styles of elements, hence unsafe-inline for those.
	h.Set("Content-Security-Policy", "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self' data:; frame-ancestors 'none'; base-uri 'none'; form-action 'self'")
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		_, _ = w.Write([]byte(out.String())) // a client that went away needs no answer
	}
	return nil
}
