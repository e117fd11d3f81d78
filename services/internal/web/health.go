package web

import (
	"context"
	"encoding/json"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gorilla/mux"
)

// Health answers /healthz (the process works) and /readyz (send it requests).
type Health struct {
	mu       sync.Mutex
	names    []string
	checks   map[string]func(context.Context) error
	draining atomic.Bool
}

// Check adds a condition of readiness; nil means that it holds. It is asked at
// each /readyz and has two seconds.
func (h *Health) Check(name string, check func(context.Context) error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.checks == nil {
		h.checks = map[string]func(context.Context) error{}
	}
	if _, ok := h.checks[name]; !ok {
		h.names = append(h.names, name)
	}
	h.checks[name] = check
}

// Drain makes /readyz answer 503 from now on.
func (h *Health) Drain() { h.draining.Store(true) }

// Route adds the two paths.
func (h *Health) Route(r *mux.Router) {
	r.HandleFunc("/healthz", h.live).Methods(http.MethodGet, http.MethodHead)
	r.HandleFunc("/readyz", h.ready).Methods(http.MethodGet, http.MethodHead)
}

func (h *Health) live(w http.ResponseWriter, _ *http.Request) {
	writeStatus(w, http.StatusOK, map[string]any{"status": "up"})
}

func (h *Health) ready(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), 2*time.Second)
	defer cancel()
	h.mu.Lock()
	names, checks := h.names, h.checks
	h.mu.Unlock()
	results := map[string]string{}
	status, word := http.StatusOK, "ready"
	for _, name := range names {
		results[name] = "ok"
		if err := checks[name](ctx); err != nil {
			results[name] = err.Error()
			status, word = http.StatusServiceUnavailable, "not ready"
		}
	}
	if h.draining.Load() {
		status, word = http.StatusServiceUnavailable, "draining"
	}
	writeStatus(w, status, map[string]any{"status": word, "checks": results})
}

func writeStatus(w http.ResponseWriter, status int, body any) {
	b, err := json.Marshal(body)
	if err != nil {
		b = []byte("{}")
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	if status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "1")
	}
	w.WriteHeader(status)
	_, _ = w.Write(append(b, '\n')) // a prober that went away needs no answer
}
