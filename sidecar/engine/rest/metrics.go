package rest

import (
	"net/http"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// stats are the numbers of /metrics.
type stats struct {
	registry *prometheus.Registry
	requests *prometheus.HistogramVec
	sent     *prometheus.CounterVec
	inserts  prometheus.Counter
}

func newStats(e Engine) *stats {
	s := &stats{
		registry: prometheus.NewRegistry(),
		requests: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "sidestream_request_seconds", Help: "Time to answer a request, by path; push queries last as long as their clients want.",
			Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 5, 30}}, []string{"path"}),
		sent:    prometheus.NewCounterVec(prometheus.CounterOpts{Name: "sidestream_rows_sent_total", Help: "Rows sent to clients, by kind of query."}, []string{"query"}),
		inserts: prometheus.NewCounter(prometheus.CounterOpts{Name: "sidestream_rows_inserted_total", Help: "Rows taken by /inserts-stream."}),
	}
	s.registry.MustRegister(s.requests, s.sent, s.inserts, &queryCollector{e},
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return s
}

func (s *stats) handler() http.Handler {
	return promhttp.HandlerFor(s.registry, promhttp.HandlerOpts{})
}

// request counts a request, under the first part of its path.
func (s *stats) request(path string, took time.Duration) {
	first, _, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	switch first {
	case "info", "healthcheck", "clusterStatus", "status", "is_valid_property", "v1", "chc", "ksql", "query", "query-stream", "close-query", "inserts-stream", "ws", "metrics":
	default:
		first = "other"
	}
	s.requests.WithLabelValues(first).Observe(took.Seconds())
}

func (s *stats) rows(push bool, n int) {
	kind := "pull"
	if push {
		kind = "push"
	}
	s.sent.WithLabelValues(kind).Add(float64(n))
}

func (s *stats) inserted(n int64) { s.inserts.Add(float64(n)) }

// queryCollector reads the engine's queries when it is asked.
type queryCollector struct{ engine Engine }

var (
	byQuery    = []string{"query"}
	processed  = prometheus.NewDesc("sidestream_query_records_processed_total", "Records that a query has read.", byQuery, nil)
	emitted    = prometheus.NewDesc("sidestream_query_records_emitted_total", "Records that a query has written to its topic.", byQuery, nil)
	problems   = prometheus.NewDesc("sidestream_query_problems_total", "Records that a query could not use; the processing log has them.", byQuery, nil)
	commits    = prometheus.NewDesc("sidestream_query_commits_total", "Transactions that a query has committed.", byQuery, nil)
	restarts   = prometheus.NewDesc("sidestream_query_restarts_total", "Times that a query failed and began again.", byQuery, nil)
	restored   = prometheus.NewDesc("sidestream_query_restore_records", "Changelog records read since the last start.", byQuery, nil)
	toRestore  = prometheus.NewDesc("sidestream_query_restore_records_total", "Changelog records to read since the last start.", byQuery, nil)
	queryState = prometheus.NewDesc("sidestream_query_state", "1 for the state that a query is in.", []string{"query", "state"}, nil)
	pushOpen   = prometheus.NewDesc("sidestream_push_queries_open", "Push queries that are open.", nil, nil)
)

func (c *queryCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{processed, emitted, problems, commits, restarts, restored, toRestore, queryState, pushOpen} {
		ch <- d
	}
}

func (c *queryCollector) Collect(ch chan<- prometheus.Metric) {
	send := func(d *prometheus.Desc, kind prometheus.ValueType, v int64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, kind, float64(v), labels...)
	}
	send(pushOpen, prometheus.GaugeValue, int64(c.engine.OpenQueries()))
	for _, q := range c.engine.Metrics() {
		send(processed, prometheus.CounterValue, q.Processed, q.ID)
		send(emitted, prometheus.CounterValue, q.Emitted, q.ID)
		send(problems, prometheus.CounterValue, q.Problems, q.ID)
		send(commits, prometheus.CounterValue, q.Commits, q.ID)
		send(restarts, prometheus.CounterValue, q.Restarts, q.ID)
		send(restored, prometheus.GaugeValue, q.Restored, q.ID)
		send(toRestore, prometheus.GaugeValue, q.ToRestore, q.ID)
		send(queryState, prometheus.GaugeValue, 1, q.ID, q.State)
	}
}
