package main

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/sidestream/sidestream/services/internal/config"
	"github.com/sidestream/sidestream/services/internal/web"
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
	maxBody    int64
	proxies    int // of one's own before the service
	rate       *web.Rate
	streams    *web.Streams
	auth       *web.Auth // nil: no tokens are asked for
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
		maxBody:    int64(c.Whole("MAX_BODY", maxBody, 256, 16<<20)),
		proxies:    c.Whole("TRUSTED_PROXIES", 0, 0, 16),
	}
	perSecond := c.Whole("RATE_LIMIT", 0, 0, 1_000_000)
	s.rate = &web.Rate{PerSecond: float64(perSecond), Burst: c.Whole("RATE_BURST", 2*perSecond, 0, 10_000_000)}
	s.streams = &web.Streams{Total: c.Whole("MAX_STREAMS", 1000, 0, 1_000_000), PerClient: c.Whole("MAX_STREAMS_PER_CLIENT", 0, 0, 1_000_000)}
	var err error
	if s.auth, err = authSettings(c); err != nil {
		return s, errors.Join(c.Err(), err)
	}
	for check := range strings.SplitSeq(c.Text("ORDER_CHECKS", "FRAUD_CHECK,INVENTORY_CHECK,ORDER_DETAILS_CHECK"), ",") {
		if check = strings.TrimSpace(check); check == "" || strings.ContainsAny(check, " \t\n") {
			return s, errors.Join(c.Err(), errors.New("ORDER_CHECKS: give names of checks without blanks, divided by commas"))
		}
		s.checks = append(s.checks, check)
	}
	return s, c.Err()
}

// authSettings are those of tokens; nil where none are asked for.
func authSettings(c *config.Source) (*web.Auth, error) {
	a := &web.Auth{Issuer: c.Text("AUTH_ISSUER", ""), JWKS: c.Text("AUTH_JWKS_URL", ""), Audience: c.Text("AUTH_AUDIENCE", ""),
		ReadScope: c.Text("AUTH_READ_SCOPE", ""), WriteScope: c.Text("AUTH_WRITE_SCOPE", ""), Realm: "orders"}
	if a.Issuer == "" {
		if a.JWKS+a.Audience+a.ReadScope+a.WriteScope != "" {
			return nil, errors.New("AUTH_ISSUER isn't set, but other AUTH_ settings are: without the issuer no token is asked for")
		}
		return nil, nil
	}
	if a.Audience == "" {
		return nil, errors.New("AUTH_AUDIENCE isn't set: without it, tokens that the issuer made for other services would be taken")
	}
	for name, value := range map[string]string{"AUTH_ISSUER": a.Issuer, "AUTH_JWKS_URL": a.JWKS} {
		if u, err := url.Parse(value); value != "" && (err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http") {
			return nil, fmt.Errorf("%s is %q: give a URL, https://…", name, value)
		}
	}
	return a, nil
}
