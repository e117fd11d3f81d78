package main

import (
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"encoding/json"

	"github.com/gorilla/mux"

	"github.com/sidestream/sidestream/services/internal/web"
)

// api answers the page's requests.
type api struct {
	store     *store
	feed      *feed
	place     *placer
	heartbeat time.Duration
	streams   chan struct{} // a place for each open stream
	log       *slog.Logger
}

func (a *api) routes(r *mux.Router) {
	get := []string{http.MethodGet, http.MethodHead}
	r.Handle("/api/rows", web.Handler(a.rows)).Methods(get...)
	r.Handle("/api/rows/{id}", web.Handler(a.row)).Methods(get...)
	r.Handle("/api/rows/{id}/story", web.Handler(a.story)).Methods(get...)
	r.Handle("/api/facets", web.Handler(a.facets)).Methods(get...)
	r.Handle("/api/changes", web.Handler(a.changes)).Methods(http.MethodGet)
	r.Handle("/api/orders", web.Handler(a.order)).Methods(http.MethodPost)
}

// rows answers {"total": n, "rows": […]}: of `q` (search), `state`, `level` and
// `product` (values, divided by commas), from `offset` on, `limit` of them, by
// `sort` (a column, "-" before it for downwards).
func (a *api) rows(w http.ResponseWriter, r *http.Request) *web.Problem {
	q, errs := parseQuery(r)
	if len(errs) > 0 {
		return web.BadParameters(errs...)
	}
	rows, total, err := a.store.rows(r.Context(), q)
	if err != nil {
		return a.fault("rows", err)
	}
	return writeJSON(w, r, http.StatusOK, struct {
		Total int   `json:"total"`
		Rows  []row `json:"rows"`
	}{total, rows})
}

func parseQuery(r *http.Request) (query, []web.FieldError) {
	var errs []web.FieldError
	values := r.URL.Query()
	whole := func(name string, missing, most int) int {
		text := values.Get(name)
		if text == "" {
			return missing
		}
		n, err := strconv.Atoi(text)
		if err != nil || n < 0 || n > most {
			errs = append(errs, web.QueryError(name, fmt.Sprintf("must be a whole number from 0 to %d, is %q", most, text)))
			return missing
		}
		return n
	}
	q := query{search: strings.TrimSpace(values.Get("q")), in: map[string][]string{}}
	q.offset = whole("offset", 0, 1_000_000_000)
	q.limit = whole("limit", 100, 1000)
	for _, column := range []string{"state", "level", "product"} {
		for _, text := range values[column] {
			q.in[column] = append(q.in[column], strings.Split(text, ",")...)
		}
	}
	if len(q.search) > 200 {
		errs = append(errs, web.QueryError("q", "has more than 200 bytes"))
	}
	q.sort, q.down = "created", true
	if text := values.Get("sort"); text != "" {
		q.sort, q.down = strings.CutPrefix(text, "-")
		if !slices.Contains(sortable, q.sort) {
			errs = append(errs, web.QueryError("sort", fmt.Sprintf("must be one of %s, with - before it for downwards, is %q", strings.Join(sortable, ", "), text)))
		}
	}
	return q, errs
}

func (a *api) row(w http.ResponseWriter, r *http.Request) *web.Problem {
	id := mux.Vars(r)["id"]
	row, ok, err := a.store.row(r.Context(), id)
	switch {
	case err != nil:
		return a.fault("row", err)
	case !ok:
		return web.NotFound(fmt.Sprintf("There is no order %s here, or not yet.", id))
	}
	return writeJSON(w, r, http.StatusOK, row)
}

// story answers {"id": …, "events": […]}: each record about the order, with topic,
// partition, offset and time.
func (a *api) story(w http.ResponseWriter, r *http.Request) *web.Problem {
	id := mux.Vars(r)["id"]
	events, err := a.store.story(r.Context(), id)
	if err != nil {
		return a.fault("story", err)
	}
	return writeJSON(w, r, http.StatusOK, struct {
		ID     string  `json:"id"`
		Events []event `json:"events"`
	}{id, events})
}

// facets are the values to filter by, with how many rows have them.
func (a *api) facets(w http.ResponseWriter, r *http.Request) *web.Problem {
	out := map[string][]count{}
	for _, column := range []string{"state", "level", "product"} {
		counts, err := a.store.counts(r.Context(), column, 50)
		if err != nil {
			return a.fault("facets", err)
		}
		out[column] = counts
	}
	return writeJSON(w, r, http.StatusOK, out)
}

// sendTime bounds a write to a client that doesn't read.
const sendTime = 30 * time.Second

// changes streams what changes as server-sent events: `change` has {"rows": […],
// "gone": [ids], "told": [ids of orders whose stories have grown]}, `reset` says that changes were missed and all is to be asked anew.
func (a *api) changes(w http.ResponseWriter, r *http.Request) *web.Problem {
	select {
	case a.streams <- struct{}{}:
		defer func() { <-a.streams }()
	default:
		return web.Unavailable("Too many streams are open; come back later.")
	}
	at, known := a.feed.now(), true
	if last := r.Header.Get("Last-Event-ID"); last != "" {
		at, known = a.feed.place(last)
	}
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no")
	rc := http.NewResponseController(w)
	send := func(text string) bool {
		_ = rc.SetWriteDeadline(time.Now().Add(sendTime)) // no deadline where it can't be set
		_, err := w.Write([]byte(text))
		return err == nil && rc.Flush() == nil
	}
	// The first comment opens the stream through proxies.
	if !send("retry: 1000\n: changes from here on\n\nid: " + a.feed.id(at) + "\nevent: hello\ndata: {}\n\n") {
		return nil
	}
	beat := time.NewTicker(a.heartbeat)
	defer beat.Stop()
	for {
		changes, next, more, ok := a.feed.since(at)
		at, known = next, known && ok
		var out strings.Builder
		if !known {
			fmt.Fprintf(&out, "id: %s\nevent: reset\ndata: {}\n\n", a.feed.id(at))
			known = true
		}
		for i, c := range changes {
			fmt.Fprintf(&out, "id: %s\nevent: change\ndata: %s\n\n", a.feed.id(next-int64(len(changes)-1-i)), c)
		}
		if out.Len() > 0 && !send(out.String()) {
			return nil
		}
		select {
		case <-more:
		case <-beat.C:
			if !send(": alive\n\n") {
				return nil
			}
		case <-web.Draining(r.Context()):
			return nil // the client comes back, to another replica
		case <-r.Context().Done():
			return nil
		}
	}
}

// order places an order at the orders API, and passes its answer on.
func (a *api) order(w http.ResponseWriter, r *http.Request) *web.Problem {
	body, p := web.ReadJSON(w, r, 16<<10, 10*time.Second)
	if p != nil {
		return p
	}
	status, answer, err := a.place.post(r.Context(), body, r.Header.Get("Authorization"))
	if err != nil {
		a.log.Warn("the orders API is away", "error", err)
		return web.Unavailable("The orders API doesn't answer, so it isn't known whether the order is placed. Send it again with the same id: it is placed once.")
	}
	w.Header().Set("Content-Type", "application/json")
	if status >= 400 {
		w.Header().Set("Content-Type", web.ProblemType)
	}
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(answer) // a client that went away needs no answer
	return nil
}

func (a *api) fault(what string, err error) *web.Problem {
	a.log.Error("the view can't be read", "what", what, "error", err)
	return &web.Problem{Code: "internal", Status: http.StatusInternalServerError, Detail: "A fault of the service; it is in the log."}
}

func writeJSON(w http.ResponseWriter, r *http.Request, status int, v any) *web.Problem {
	b, err := json.Marshal(v)
	if err != nil {
		return &web.Problem{Code: "internal", Status: http.StatusInternalServerError, Detail: err.Error()}
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Length", strconv.Itoa(len(b)))
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(b) // a client that went away needs no answer
	}
	return nil
}
