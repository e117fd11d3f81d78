package main

import (
	"context"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"
)

// idleConnection is how long a connection waits for another mail.
const idleConnection = 2 * time.Second

// sender has the workers, which give the mails to the SMTP server.
type sender struct {
	desk    *desk
	smtp    smtpSettings
	render  *renderer
	workers int
	log     *slog.Logger
	m       *metrics
}

// metrics are those of the mails.
type metrics struct {
	attempts *prometheus.CounterVec
	outages  prometheus.Counter
	up       prometheus.Gauge
	seconds  prometheus.Histogram
}

func newMetrics(reg prometheus.Registerer, d *desk) *metrics {
	m := &metrics{
		attempts: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "email_attempts_total",
			Help: "Attempts to send a mail, by outcome: delivered, rejected, failed (tried again), unknown (held or sent again), not-started."}, []string{"outcome"}),
		outages: prometheus.NewCounter(prometheus.CounterOpts{Name: "email_smtp_connect_failures_total",
			Help: "Times that no connection to the SMTP server could be made."}),
		up: prometheus.NewGauge(prometheus.GaugeOpts{Name: "email_smtp_up",
			Help: "1 when the last connection to the SMTP server was made."}),
		seconds: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "email_send_seconds",
			Help:    "Time that the SMTP server took for a mail.",
			Buckets: prometheus.ExponentialBuckets(0.002, 2, 15)}),
	}
	waiting := prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "email_waiting",
		Help: "Mails of this replica's partitions that wait to be sent."}, func() float64 { n, _ := d.counts(); return float64(n) })
	busy := prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "email_under_way",
		Help: "Mails in the hands of this replica's workers."}, func() float64 { _, n := d.counts(); return float64(n) })
	reg.MustRegister(m.attempts, m.outages, m.up, m.seconds, waiting, busy)
	return m
}

// run works until ctx ends; then what is under way is cut off.
func (s *sender) run(ctx context.Context) error {
	var g errgroup.Group
	for range s.workers {
		g.Go(func() error { s.work(ctx); return nil })
	}
	return g.Wait()
}

// work sends one mail after the other. A mail is offered to the server before it
// is put on record as being sent, so that a server that is away, or refuses it,
// leaves no doubt.
func (s *sender) work(ctx context.Context) {
	var c *connection
	for ctx.Err() == nil {
		a := s.next(ctx, c)
		if a == nil {
			if c != nil {
				c.quit()
				c = nil
			}
			continue
		}
		if c != nil && !c.usable() {
			c.cut()
			c = nil
		}
		if c == nil {
			if c = s.connect(ctx, a); c == nil {
				continue
			}
		}
		if !s.send(ctx, c, a) {
			c.cut()
			c = nil
		}
	}
	if c != nil {
		c.cut()
	}
}

// next waits for a mail, with a connection only for a short time.
func (s *sender) next(ctx context.Context, c *connection) *attempt {
	if c != nil {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, idleConnection)
		defer cancel()
	}
	return s.desk.next(ctx)
}

func (s *sender) connect(ctx context.Context, a *attempt) *connection {
	c, err := connect(ctx, s.smtp)
	if err != nil {
		s.m.outages.Inc()
		s.m.up.Set(0)
		if s.desk.giveBack(a) && ctx.Err() == nil {
			s.log.Warn("no connection to the SMTP server; the mails wait", "host", s.smtp.host, "port", s.smtp.port, "error", err)
		}
		return nil
	}
	s.m.up.Set(1)
	if s.desk.connected() {
		s.log.Info("the SMTP server is there again", "host", s.smtp.host, "port", s.smtp.port)
	}
	return c
}

// send takes a mail through its steps, and tells whether the connection is of use
// afterwards.
func (s *sender) send(ctx context.Context, c *connection, a *attempt) bool {
	began := time.Now()
	w, no := c.offer(ctx, a.to)
	if no != nil {
		s.desk.finish(a, no.outcome)
		return no.again
	}
	l := s.desk.claim(ctx, a)
	if l == nil {
		return false // the server waits for a text
	}
	m, err := s.render.message(l)
	if err != nil {
		s.desk.finish(a, outcome{rejected, "the mail can't be made: " + err.Error()})
		return false
	}
	o, again := c.deliver(ctx, w, m)
	s.m.seconds.Observe(time.Since(began).Seconds())
	s.desk.finish(a, o)
	return again
}

// ended counts and logs the end of an attempt.
func (s *sender) ended(l *letter, o outcome) {
	s.m.attempts.WithLabelValues(o.kind.String()).Inc()
	switch {
	case o.kind == delivered:
		s.log.Debug("sent", "order", l.OrderID, "to", l.To, "messageId", l.MessageID)
	case l.Status.waits():
		s.log.Warn("a mail waits for an operator (GET /admin/held)", "order", l.OrderID, "status", l.Status, "reason", l.Reason)
	case o.kind != notStarted:
		s.log.Info("a mail is tried again", "order", l.OrderID, "attempts", l.Attempts, "at", time.UnixMilli(l.RetryAt), "reason", l.Reason)
	}
}
