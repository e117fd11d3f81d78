package monitor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Serve looks and answers on addr until ctx is done.
func (m *Monitor) Serve(ctx context.Context, addr string) error {
	ln, err := net.Listen("tcp", addr)
	if errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("%s is in use by another process; choose another address", addr)
	}
	if err != nil {
		return fmt.Errorf("can't listen on %s: %w", addr, err)
	}
	srv := &http.Server{Handler: m.Handler(), ReadHeaderTimeout: 5 * time.Second}
	failed := make(chan error, 1)
	go func() { failed <- srv.Serve(ln) }() // ends with Shutdown below
	looked := make(chan struct{})
	looking, stop := context.WithCancel(ctx)
	go func() { m.Run(looking); close(looked) }()
	select {
	case err = <-failed:
	case <-ctx.Done():
		bound, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		err = srv.Shutdown(bound)
	}
	stop()
	<-looked
	return err
}

// Handler has /healthz, /readyz, /metrics, and /sidecar/metrics, which passes on
// the embedded engine's own.
func (m *Monitor) Handler() http.Handler {
	reg := prometheus.NewRegistry()
	reg.MustRegister(&collector{m}, collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { answer(w, http.StatusOK, "up") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if err := m.Ready(); err != nil {
			answer(w, http.StatusServiceUnavailable, err.Error())
			return
		}
		answer(w, http.StatusOK, "ready")
	})
	mux.Handle("GET /metrics", promhttp.HandlerFor(reg, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /sidecar/metrics", m.passOn)
	return mux
}

func answer(w http.ResponseWriter, status int, text string) {
	b, err := json.Marshal(map[string]string{"status": text})
	if err != nil {
		b = []byte("{}")
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(append(b, '\n')) // a prober that went away needs no answer
}

// passOn is the server's /metrics, which listens to its pod alone. ksqlDB has none.
func (m *Monitor) passOn(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := m.bound(r.Context())
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, m.cfg.Server.URL()+"/metrics", nil)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	defer resp.Body.Close()
	w.Header().Set("Content-Type", resp.Header.Get("Content-Type"))
	w.WriteHeader(resp.StatusCode)
	_, _ = io.Copy(w, resp.Body) // a scraper that went away needs no answer
}

// collector gives what the last round saw.
type collector struct{ m *Monitor }

var (
	upDesc    = prometheus.NewDesc("sidestream_sidecar_up", "1 when the sidecar says RUNNING.", nil, nil)
	viewDesc  = prometheus.NewDesc("sidestream_sidecar_view_ready", "1 when the table answers as it should.", []string{"view"}, nil)
	queryDesc = prometheus.NewDesc("sidestream_sidecar_query_hosts", "Hosts that have the query in the state.", []string{"query", "state"}, nil)
	lagDesc   = prometheus.NewDesc("sidestream_sidecar_store_lag_records", "Records that a store on a host is behind its changelog.", []string{"host", "store"}, nil)
)

// Describe is prometheus.Collector's.
func (c *collector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{upDesc, viewDesc, queryDesc, lagDesc} {
		ch <- d
	}
}

// Collect is prometheus.Collector's.
func (c *collector) Collect(ch chan<- prometheus.Metric) {
	c.m.mu.Lock()
	v := c.m.view
	c.m.mu.Unlock()
	if !v.round {
		return
	}
	gauge := func(d *prometheus.Desc, value float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
	}
	gauge(upDesc, truth(v.up == nil))
	for name, err := range v.tables {
		gauge(viewDesc, truth(err == nil), name)
	}
	for _, q := range v.queries {
		states := q.StatusCount
		if len(states) == 0 {
			states = map[string]int{q.State: 1}
		}
		for state, n := range states {
			gauge(queryDesc, float64(n), q.ID, state)
		}
	}
	for at, lag := range v.lags {
		gauge(lagDesc, float64(lag), at.Host, at.Store)
	}
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
