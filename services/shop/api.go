package main

import (
	"bytes"
	"context"
	_ "embed"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/gorilla/mux"

	"github.com/sidestream/sidestream/services/internal/lookup"
	"github.com/sidestream/sidestream/services/internal/web"
)

//go:embed openapi.yaml
var openAPI []byte

const maxBody = 16 << 10

// api answers the requests.
type api struct {
	things []thing
	write  *writer
	wait   time.Duration // the most that a write waits for the broker, and to be seen
}

// thing is a kind with what there is of it.
type thing struct {
	kind
	table *lookup.Table
}

func (a *api) routes(r *mux.Router) {
	get := []string{http.MethodGet, http.MethodHead}
	r.HandleFunc("/openapi.yaml", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/yaml")
		_, _ = w.Write(openAPI)
	}).Methods(get...)
	for _, t := range a.things {
		one := "/v1/" + t.path + "/{id}"
		r.Handle("/v1/"+t.path, web.Handler(func(w http.ResponseWriter, r *http.Request) *web.Problem { return a.list(w, r, t) })).Methods(get...)
		r.Handle(one, web.Handler(func(w http.ResponseWriter, r *http.Request) *web.Problem { return a.get(w, r, t) })).Methods(get...)
		r.Handle(one, web.Handler(func(w http.ResponseWriter, r *http.Request) *web.Problem { return a.put(w, r, t) })).Methods(http.MethodPut)
		r.Handle(one, web.Handler(func(w http.ResponseWriter, r *http.Request) *web.Problem { return a.remove(w, r, t) })).Methods(http.MethodDelete)
	}
}

func key(r *http.Request, t thing) (string, *web.Problem) {
	id := mux.Vars(r)["id"]
	k, problem := t.key(id)
	if problem != "" {
		return "", web.BadParameters(web.FieldError{In: "path", Field: t.id, Detail: problem})
	}
	return k, nil
}

func (a *api) get(w http.ResponseWriter, r *http.Request, t thing) *web.Problem {
	k, p := key(r, t)
	if p != nil {
		return p
	}
	v, ok := t.table.Get(k)
	if !ok {
		return web.NotFound(fmt.Sprintf("There is no %s %s.", t.id, t.name(k)))
	}
	return writeJSON(w, r, http.StatusOK, t.row(k, v))
}

// list answers with everything, sorted by id: a shop's customers are few enough.
func (a *api) list(w http.ResponseWriter, r *http.Request, t thing) *web.Problem {
	rows := t.table.All()
	var b bytes.Buffer
	b.WriteString(`{"` + t.path + `":[`)
	for i, k := range slices.Sorted(maps.Keys(rows)) {
		if i > 0 {
			b.WriteByte(',')
		}
		b.Write(t.row(k, rows[k]))
	}
	b.WriteString("]}")
	return writeJSON(w, r, http.StatusOK, b.Bytes())
}

func (a *api) put(w http.ResponseWriter, r *http.Request, t thing) *web.Problem {
	k, p := key(r, t)
	if p != nil {
		return p
	}
	body, p := web.ReadJSON(w, r, maxBody, 10*time.Second)
	if p != nil {
		return p
	}
	value, p := t.parse(k, body)
	if p != nil {
		return p
	}
	_, there := t.table.Get(k)
	if p := a.commit(r.Context(), t, k, value); p != nil {
		return p
	}
	status := http.StatusCreated
	if there {
		status = http.StatusOK
	}
	return writeJSON(w, r, status, value)
}

func (a *api) remove(w http.ResponseWriter, r *http.Request, t thing) *web.Problem {
	k, p := key(r, t)
	if p != nil {
		return p
	}
	if _, there := t.table.Get(k); !there {
		return web.NotFound(fmt.Sprintf("There is no %s %s.", t.id, t.name(k)))
	}
	if p := a.commit(r.Context(), t, k, nil); p != nil {
		return p
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// commit writes, and waits until this replica sees what it wrote, so that a GET
// behind it does. Another write of the same key may come between; then what is
// seen is that.
func (a *api) commit(ctx context.Context, t thing, k string, value []byte) *web.Problem {
	// A client that goes away doesn't take its write back.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), a.wait)
	defer cancel()
	seen := t.table.Changed(k)
	if err := a.write.put(ctx, t.topic, k, value); err != nil {
		return web.Unavailable(fmt.Sprintf("Kafka did not take the record in time (%v). To send it again does no harm.", err))
	}
	select {
	case <-seen:
	case <-ctx.Done(): // it is written; this replica is only late to see it
	}
	return nil
}

// row is a record's value with its id, which a loader may have left out.
func (k kind) row(key string, value []byte) []byte {
	if _, rest, ok := bytes.Cut(value, []byte("{")); ok && !bytes.Contains(value, []byte(`"`+k.id+`"`)) {
		out := append([]byte(`{"`+k.id+`":`), k.name(key)...)
		if !bytes.HasPrefix(bytes.TrimSpace(rest), []byte("}")) {
			out = append(out, ',')
		}
		return append(out, rest...)
	}
	return value
}

func writeJSON(w http.ResponseWriter, r *http.Request, status int, body []byte) *web.Problem {
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(body) // a client that went away needs no answer
	}
	return nil
}
