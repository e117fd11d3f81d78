package main

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/gorilla/mux"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/sidestream/sidestream/services/internal/order"
	"github.com/sidestream/sidestream/services/internal/web"
	"github.com/sidestream/sidestream/sidecar/client"
)

//go:embed openapi.yaml
var openAPI []byte

// api answers the requests. What it needs is given to it; it starts nothing.
type api struct {
	requests  *requests
	recent    *recent
	view      *view
	kafka     kafkaAt // for SSE clients that come back
	away      func() bool
	postTime  time.Duration // the most that a POST waits for its outcome
	readTime  time.Duration // the most that a pull query takes
	heartbeat time.Duration // of SSE
	maxBody   int64         // bytes
	streams   *web.Streams  // that may be open
	log       *slog.Logger
	posted    *prometheus.CounterVec // by outcome
	viewAway  atomic.Bool            // for the log
}

// routes adds the API's paths in both shapes: /v1/orders… and /orders….
func (a *api) routes(r *mux.Router) {
	get := []string{http.MethodGet, http.MethodHead}
	r.HandleFunc("/openapi.yaml", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/yaml")
		_, _ = w.Write(openAPI)
	}).Methods(get...)
	for _, base := range []string{"/v1/orders", "/orders"} {
		r.Handle(base, web.Handler(a.post)).Methods(http.MethodPost)
		r.Handle(base, web.Handler(a.list)).Methods(get...)
		r.Handle(base+"/events", web.Handler(a.events)).Methods(http.MethodGet)
		r.Handle(base+"/validated/{id}", web.Handler(a.validated)).Methods(get...)
		r.Handle(base+"/{id}/validated", web.Handler(a.validated)).Methods(get...)
		r.Handle(base+"/{id}", web.Handler(a.get)).Methods(get...)
	}
}

// post takes an order.
func (a *api) post(w http.ResponseWriter, r *http.Request) *web.Problem {
	q := query(r, "timeout")
	wait := min(time.Duration(q.whole("timeout", 1, maxWait, maxWait))*time.Millisecond, a.postTime)
	if p := q.problem(); p != nil {
		return p
	}
	alias, p := idempotencyKey(r.Header)
	if p != nil {
		return p
	}
	body, p := web.ReadJSON(w, r, a.maxBody, 10*time.Second)
	if p != nil {
		return p
	}
	o, p := parseOrder(body)
	if p != nil {
		return p
	}
	o.State, o.Version = order.Created, 1
	switch {
	case o.ID == "" && alias != "":
		o.ID, alias = alias, "" // the key's id is the order's
	case o.ID == "":
		id, err := uuid.NewV7()
		if err != nil {
			return web.Unavailable("The service could not make an id: " + err.Error())
		}
		o.ID = id.String()
	}

	// A client that goes away doesn't take its order back.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), wait)
	defer cancel()
	out, err := a.requests.submit(ctx, &o, alias)
	if err != nil {
		a.posted.WithLabelValues("unknown").Inc()
		a.log.Warn("an order's outcome is unknown", "order", o.ID, "error", err)
		return web.Unavailable(fmt.Sprintf("The order system did not answer in time, so it isn't known whether order %s is placed. "+
			"Send the same order again with this id (or the same Idempotency-Key): it is placed once, however often it is sent.", o.ID)).With("orderId", o.ID)
	}
	a.posted.WithLabelValues(out.kind).Inc()
	location := basePath(r) + "/" + url.PathEscape(o.ID)
	switch out.kind {
	case created:
		w.Header().Set("Location", location)
		w.Header().Set("ETag", etag(1))
		return writeJSON(w, r, http.StatusCreated, out.order)
	case same:
		w.Header().Set("Location", location)
		return a.writeOrder(w, r, out.order, nil)
	default:
		return conflictProblem(out, &o)
	}
}

// conflictProblem names the fields in which the order differs from the one
// that is there.
func conflictProblem(out outcome, o *order.Order) *web.Problem {
	first, err := order.Decode(out.order)
	if err != nil {
		return &web.Problem{Code: "internal", Status: http.StatusInternalServerError, Detail: "The order that is there can't be read: " + err.Error()}
	}
	p := &web.Problem{Code: "conflict", Status: http.StatusConflict,
		Detail: fmt.Sprintf("Order %s exists with other content: see errors.", first.ID)}
	if out.kind == keyConflict {
		p.Detail = "The Idempotency-Key was used for an order with other content: see errors."
	}
	differs := func(field string, d bool) {
		if d {
			p.Errors = append(p.Errors, web.BodyError(field, "isn't what the first order with this id or key has"))
		}
	}
	differs("id", first.ID != o.ID)
	differs("customerId", first.CustomerID != o.CustomerID)
	differs("product", first.Product != o.Product)
	differs("quantity", first.Quantity != o.Quantity)
	differs("price", first.Price != o.Price)
	return p.With("orderId", first.ID)
}

// get answers with an order as the SQL view has it, or as a newer record has it
// that this replica has seen: who posts here and reads here finds the order.
func (a *api) get(w http.ResponseWriter, r *http.Request) *web.Problem {
	q := query(r, "timeout")
	wait := q.timeout(0)
	if p := q.problem(); p != nil {
		return p
	}
	id, p := pathID(r)
	if p != nil {
		return p
	}
	found, p := a.await(r.Context(), id, wait, true, func(*order.Order) bool { return true })
	if p != nil {
		return p
	}
	if !found.ok {
		return web.NotFound(fmt.Sprintf("There is no order %s%s.", id, after(wait))).With("orderId", id)
	}
	return a.writeOrder(w, r, found.raw, &found.order)
}

// validated answers when the order is decided.
func (a *api) validated(w http.ResponseWriter, r *http.Request) *web.Problem {
	q := query(r, "timeout")
	wait := q.timeout(defaultWait)
	if p := q.problem(); p != nil {
		return p
	}
	id, p := pathID(r)
	if p != nil {
		return p
	}
	found, p := a.await(r.Context(), id, wait, false, func(o *order.Order) bool { return o.State.Decided() })
	if p != nil {
		return p
	}
	if found.ok && found.order.State.Decided() {
		return a.writeOrder(w, r, found.raw, &found.order)
	}
	p = &web.Problem{Code: "not-decided", Status: http.StatusGatewayTimeout, RetryAfter: time.Second}
	if found.ok {
		p.Detail = fmt.Sprintf("Order %s is still %s%s.", id, found.order.State, after(wait))
		p = p.With("state", found.order.State)
	} else {
		p.Detail = fmt.Sprintf("There is no order %s%s.", id, after(wait))
	}
	return p.With("orderId", id)
}

func after(wait time.Duration) string {
	if wait == 0 {
		return ""
	}
	return fmt.Sprintf(" after %d ms", wait.Milliseconds())
}

// list answers with a page of orders.
func (a *api) list(w http.ResponseWriter, r *http.Request) *web.Problem {
	q := query(r, "customerId", "state", "cursor", "limit")
	f := q.filter()
	if p := q.problem(); p != nil {
		return p
	}
	ctx, cancel := context.WithTimeout(r.Context(), 5*a.readTime) // it reads more than one row
	defer cancel()
	page, more, err := a.view.list(ctx, f)
	if p := a.viewProblem(err); p != nil {
		return p
	}
	b := []byte(`{"orders":[`)
	for i := range page {
		if i > 0 {
			b = append(b, ',')
		}
		b = page[i].Append(b)
	}
	b = append(b, ']')
	if more {
		cursor := cursorOf(page[len(page)-1].ID)
		next := r.URL.Query()
		next.Set("cursor", cursor)
		w.Header().Set("Link", fmt.Sprintf(`<%s?%s>; rel="next"`, basePath(r), next.Encode()))
		b = append(append(append(b, `,"nextCursor":"`...), cursor...), '"')
	}
	return writeJSON(w, r, http.StatusOK, append(b, '}'))
}

// viewProblem words a failed pull query, and logs the change of weather.
func (a *api) viewProblem(err error) *web.Problem {
	if err == nil {
		if a.viewAway.Load() && a.viewAway.Swap(false) {
			a.log.Info("the SQL view answers again")
		}
		return nil
	}
	if !a.viewAway.Swap(true) && !errors.Is(err, context.Canceled) {
		a.log.Warn("the SQL view can't be read", "error", err)
	}
	p := web.Unavailable("The orders can't be read now: the SQL engine doesn't answer. Nothing is lost; try again.")
	var e *client.Error
	if errors.As(err, &e) && !client.Retryable(err) {
		p.Detail = "The orders can't be read now: the SQL engine has no usable orders_view (are the statements of ksql/orders applied?)."
	}
	return p
}

func pathID(r *http.Request) (string, *web.Problem) {
	id := mux.Vars(r)["id"]
	if problem := badID(id); problem != "" {
		return "", web.BadParameters(web.FieldError{In: "path", Field: "id", Detail: problem})
	}
	return id, nil
}

// basePath is the shape of path that the request uses.
func basePath(r *http.Request) string {
	if strings.HasPrefix(r.URL.Path, "/v1/") {
		return "/v1/orders"
	}
	return "/orders"
}

func etag(version int32) string { return `"` + strconv.Itoa(int(version)) + `"` }

// writeOrder answers with an order, or with 304 if the client has this version.
// raw is its JSON, o (may be nil) the same.
func (a *api) writeOrder(w http.ResponseWriter, r *http.Request, raw []byte, o *order.Order) *web.Problem {
	if o == nil {
		decoded, err := order.Decode(raw)
		if err != nil {
			return &web.Problem{Code: "internal", Status: http.StatusInternalServerError, Detail: "The order can't be read: " + err.Error()}
		}
		o = &decoded
	}
	tag := etag(o.Version)
	w.Header().Set("ETag", tag)
	w.Header().Set("Cache-Control", "no-cache") // keep it, but ask
	if r.Method != http.MethodPost && matches(r.Header.Values("If-None-Match"), tag) {
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	return writeJSON(w, r, http.StatusOK, raw)
}

// matches compares weakly, as If-None-Match does.
func matches(headers []string, tag string) bool {
	for _, h := range headers {
		for t := range strings.SplitSeq(h, ",") {
			if t = strings.TrimSpace(t); t == "*" || strings.TrimPrefix(t, "W/") == tag {
				return true
			}
		}
	}
	return false
}

func writeJSON(w http.ResponseWriter, r *http.Request, status int, body []byte) *web.Problem {
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(body) // a client that went away needs no answer
	}
	return nil
}
