package main

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"html/template"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/gorilla/mux"

	"github.com/sidestream/sidestream/services/internal/web"
)

// admin is the operators' API. What it shows comes from SQL, so that every
// replica knows all of it; what it is told goes to the replica that has the mail.
type admin struct {
	view     *sqlView
	commands *commands
	log      *slog.Logger
}

func (a *admin) routes(r *mux.Router) {
	sub := r.PathPrefix("/admin").Subrouter()
	sub.Use(http.NewCrossOriginProtection().Handler) // other sites' pages can't press these buttons
	sub.Handle("/stats", web.Handler(a.stats)).Methods(http.MethodGet, http.MethodHead)
	sub.Handle("/held", web.Handler(a.held)).Methods(http.MethodGet, http.MethodHead)
	sub.Handle("/held/{id}/{action:send|drop}", web.Handler(a.decide)).Methods(http.MethodPost)
}

// answerTime bounds a request's work on the sidecar and on Kafka.
const answerTime = 5 * time.Second

//go:embed pages/stats.html
var statsPage string

var statsTemplate = template.Must(template.New("stats").Parse(statsPage))

// stats answers with JSON, or with a page where the client prefers one.
func (a *admin) stats(w http.ResponseWriter, r *http.Request) *web.Problem {
	ctx, cancel := context.WithTimeout(r.Context(), answerTime)
	defer cancel()
	hours, problem := hoursOf(r)
	if problem != nil {
		return problem
	}
	s, err := a.view.stats(ctx, time.Now(), hours)
	if err != nil {
		return a.away(err)
	}
	if !prefersHTML(r) {
		return writeJSON(w, http.StatusOK, s)
	}
	s.Held, err = a.view.held(ctx)
	if err != nil {
		return a.away(err)
	}
	var page bytes.Buffer
	if err := statsTemplate.Execute(&page, newStatsView(s)); err != nil {
		a.log.Error("the stats page", "error", err)
		return &web.Problem{Code: "internal", Status: http.StatusInternalServerError, Detail: "The page can't be made; the log says why."}
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'")
	w.Header().Set("Cache-Control", "no-store")
	_, _ = w.Write(page.Bytes()) // a client that went away needs no answer
	return nil
}

// prefersHTML tells whether a browser asks.
func prefersHTML(r *http.Request) bool {
	for part := range strings.SplitSeq(r.Header.Get("Accept"), ",") {
		switch media, _, _ := strings.Cut(strings.TrimSpace(part), ";"); media {
		case "text/html":
			return true
		case "application/json":
			return false
		}
	}
	return false
}

func (a *admin) held(w http.ResponseWriter, r *http.Request) *web.Problem {
	ctx, cancel := context.WithTimeout(r.Context(), answerTime)
	defer cancel()
	list, err := a.view.held(ctx)
	if err != nil {
		return a.away(err)
	}
	return writeJSON(w, http.StatusOK, map[string]any{"held": list})
}

// decide takes an operator's decision. 202: it is on its way to the replica that
// has the mail; GET /admin/held shows when it is done.
func (a *admin) decide(w http.ResponseWriter, r *http.Request) *web.Problem {
	ctx, cancel := context.WithTimeout(r.Context(), answerTime)
	defer cancel()
	id, c := mux.Vars(r)["id"], command{Action: mux.Vars(r)["action"]}
	if r.ContentLength != 0 {
		b, problem := web.ReadJSON(w, r, 4096, answerTime)
		if problem != nil {
			return problem
		}
		if problem := decodeDecision(b, &c); problem != nil {
			return problem
		}
	}
	h, err := a.view.one(ctx, id)
	switch {
	case err != nil:
		return a.away(err)
	case h == nil:
		return web.NotFound(fmt.Sprintf("Order %s has no mail.", id))
	case !h.Status.waits():
		return &web.Problem{Code: "not-held", Status: http.StatusConflict,
			Detail: fmt.Sprintf("The mail of order %s is %s: there is nothing to decide.", id, h.Status)}
	case c.Action == "send" && c.To == "" && h.Status == noAddress:
		return web.BadFields(web.BodyError("to", "is needed: the customer has no address"))
	}
	if err := a.commands.send(ctx, id, c); err != nil {
		a.log.Warn("a decision could not be written", "order", id, "error", err)
		return web.Unavailable("Kafka didn't take the decision: " + err.Error())
	}
	return writeJSON(w, http.StatusAccepted, map[string]any{"orderId": id, "action": c.Action})
}

// decodeDecision reads the body of a decision: {"to": "…"} for send, nothing else.
func decodeDecision(b []byte, c *command) *web.Problem {
	var body struct {
		To *string `json:"to"`
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(&body); err != nil {
		return web.BadFields(web.BodyError("", "give {\"to\": \"an address\"} or nothing: "+err.Error()))
	}
	if body.To == nil {
		return nil
	}
	if c.Action != "send" {
		return web.BadFields(web.BodyError("to", "belongs to send"))
	}
	to, err := address(*body.To)
	if err != nil {
		return web.BadFields(web.BodyError("to", err.Error()))
	}
	c.To = to
	return nil
}

func (a *admin) away(err error) *web.Problem {
	a.log.Warn("the sidecar doesn't answer", "error", err)
	return web.Unavailable("The sidecar, which has the figures, doesn't answer: " + err.Error())
}

func writeJSON(w http.ResponseWriter, status int, v any) *web.Problem {
	b, err := json.Marshal(v)
	if err != nil {
		return &web.Problem{Code: "internal", Status: http.StatusInternalServerError, Detail: err.Error()}
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(append(b, '\n')) // a client that went away needs no answer
	return nil
}
