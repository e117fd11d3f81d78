package transact

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics count what a Runner does. All carry the label "group".
type metrics struct {
	records, poison     *prometheus.CounterVec // by topic
	outputs             prometheus.Counter
	commits, aborts     prometheus.Counter
	lives, left         prometheus.Counter
	restored            prometheus.Counter
	partitions, ready   prometheus.Gauge
	commitTime, latency prometheus.Histogram
}

func newMetrics(reg prometheus.Registerer, group string) *metrics {
	labels := prometheus.Labels{"group": group}
	counter := func(name, help string) prometheus.Counter {
		return register(reg, prometheus.NewCounter(prometheus.CounterOpts{Name: "transact_" + name, Help: help, ConstLabels: labels}))
	}
	byTopic := func(name, help string) *prometheus.CounterVec {
		return register(reg, prometheus.NewCounterVec(prometheus.CounterOpts{Name: "transact_" + name, Help: help, ConstLabels: labels}, []string{"topic"}))
	}
	gauge := func(name, help string) prometheus.Gauge {
		return register(reg, prometheus.NewGauge(prometheus.GaugeOpts{Name: "transact_" + name, Help: help, ConstLabels: labels}))
	}
	histogram := func(name, help string) prometheus.Histogram {
		return register(reg, prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "transact_" + name, Help: help, ConstLabels: labels,
			Buckets: prometheus.ExponentialBuckets(0.0005, 2, 15),
		}))
	}
	return &metrics{
		records:    byTopic("records_total", "Records processed, and committed."),
		poison:     byTopic("poison_records_total", "Records that could not be used and were passed by."),
		outputs:    counter("outputs_total", "Records written and committed."),
		commits:    counter("commits_total", "Transactions committed."),
		aborts:     counter("aborts_total", "Transactions aborted."),
		lives:      counter("restarts_total", "Times the Kafka clients were made anew after an error."),
		left:       counter("consumers_left_behind_total", "Kafka consumers that could not be closed after a fatal error."),
		restored:   counter("restored_records_total", "Changelog records read to restore state."),
		partitions: gauge("partitions", "Partitions owned."),
		ready:      gauge("ready", "1 when partitions are assigned and their state is restored."),
		commitTime: histogram("commit_seconds", "Time from the end of processing to the committed transaction."),
		latency:    histogram("latency_seconds", "Time from a record's timestamp to its committed transaction."),
	}
}

// register gives back the collector that is there already, so that two Runners
// of one group in one process share it.
func register[C prometheus.Collector](reg prometheus.Registerer, c C) C {
	if reg == nil {
		return c
	}
	var there prometheus.AlreadyRegisteredError
	if err := reg.Register(c); errors.As(err, &there) {
		if old, ok := there.ExistingCollector.(C); ok {
			return old
		}
	}
	return c
}
