package main

import (
	"errors"
	"strings"
	"time"

	"github.com/sidestream/sidestream/services/internal/config"
)

// settings are environment variables; README.md has them in a table.
type settings struct {
	config.Common
	sidecar    string
	deadline   time.Duration
	checks     []string
	postTime   time.Duration
	readTime   time.Duration
	drainDelay time.Duration
	heartbeat  time.Duration
	recent     int
}

func readSettings() (settings, error) {
	c := config.New()
	s := settings{
		Common:     c.Common(),
		sidecar:    c.Text("SIDECAR_URL", "http://127.0.0.1:8088"),
		deadline:   c.Duration("ORDER_DEADLINE", time.Minute, time.Millisecond),
		postTime:   c.Duration("POST_TIMEOUT", 5*time.Second, 100*time.Millisecond),
		readTime:   c.Duration("READ_TIMEOUT", 2*time.Second, 10*time.Millisecond),
		drainDelay: c.Duration("DRAIN_DELAY", 0, 0),
		heartbeat:  c.Duration("SSE_HEARTBEAT", 15*time.Second, time.Second),
		recent:     c.Whole("RECENT_RECORDS", 8192, 1, 10_000_000),
	}
	for check := range strings.SplitSeq(c.Text("ORDER_CHECKS", "FRAUD_CHECK,INVENTORY_CHECK,ORDER_DETAILS_CHECK"), ",") {
		if check = strings.TrimSpace(check); check == "" || strings.ContainsAny(check, " \t\n") {
			return s, errors.Join(c.Err(), errors.New("ORDER_CHECKS: give names of checks without blanks, divided by commas"))
		}
		s.checks = append(s.checks, check)
	}
	return s, c.Err()
}
