package web

import (
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/gorilla/mux"
)

// NewRouter returns a router that answers unknown paths with 404 and known
// ones with the wrong method with 405 and Allow, both as problems.
func NewRouter() *mux.Router {
	r := mux.NewRouter()
	r.NotFoundHandler = http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		NotFound(fmt.Sprintf("There is nothing at %s.", req.URL.Path)).Write(w, req)
	})
	r.MethodNotAllowedHandler = http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		allow := allowed(r, req)
		w.Header().Set("Allow", allow)
		p := &Problem{Code: "method-not-allowed", Status: http.StatusMethodNotAllowed,
			Detail: fmt.Sprintf("%s isn't possible at %s, only %s.", req.Method, req.URL.Path, allow)}
		p.Write(w, req)
	})
	return r
}

// allowed lists the methods that the request's path takes.
func allowed(router *mux.Router, req *http.Request) string {
	var methods []string
	for _, m := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"} {
		probe := req.Clone(req.Context())
		probe.Method = m
		var match mux.RouteMatch
		if router.Match(probe, &match) && match.MatchErr == nil {
			methods = append(methods, m)
		}
	}
	slices.Sort(methods)
	return strings.Join(methods, ", ")
}

// Handler is a handler whose errors are problems.
type Handler func(w http.ResponseWriter, r *http.Request) *Problem

// ServeHTTP calls f and writes the problem that it returns.
func (f Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if p := f(w, r); p != nil {
		p.Write(w, r)
	}
}

// Recover answers 500 where a handler panics, and logs it.
func Recover(log *slog.Logger) mux.MiddlewareFunc {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			defer func() {
				v := recover()
				if v == nil {
					return
				}
				if v == http.ErrAbortHandler {
					panic(v)
				}
				log.Error("a request panicked", "method", r.Method, "path", r.URL.Path, "panic", v, "stack", string(debug.Stack()))
				p := &Problem{Code: "internal", Status: http.StatusInternalServerError, Detail: "A fault of the service; it is in the log."}
				p.Write(w, r)
			}()
			next.ServeHTTP(w, r)
		})
	}
}
