package main

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/viper"
)

// settings are the environment variables of the same names, in capitals.
type settings struct {
	brokers    string
	sidecar    string
	httpAddr   string
	instance   string
	stateDir   string
	logLevel   slog.Level
	logFormat  string
	deadline   time.Duration
	checks     []string
	postTime   time.Duration
	readTime   time.Duration
	startTime  time.Duration
	drainDelay time.Duration
	heartbeat  time.Duration
	recent     int
}

func readSettings() (settings, error) {
	v := viper.New()
	v.AutomaticEnv()
	host, err := os.Hostname()
	if err != nil || host == "" {
		host = "orders-0"
	}
	for name, value := range map[string]any{
		"kafka_bootstrap_servers": "127.0.0.1:9092",
		"sidecar_url":             "http://127.0.0.1:8088",
		"http_addr":               ":8080",
		"instance_id":             host,
		"state_dir":               filepath.Join("data", "orders"),
		"log_level":               "info",
		"log_format":              "text",
		"order_deadline":          "60s",
		"order_checks":            "FRAUD_CHECK,INVENTORY_CHECK,ORDER_DETAILS_CHECK",
		"post_timeout":            "5s",
		"read_timeout":            "2s",
		"start_timeout":           "15s",
		"drain_delay":             "0s",
		"sse_heartbeat":           "15s",
		"recent_records":          "8192",
	} {
		v.SetDefault(name, value)
	}
	s := settings{
		brokers:   v.GetString("kafka_bootstrap_servers"),
		sidecar:   v.GetString("sidecar_url"),
		httpAddr:  v.GetString("http_addr"),
		instance:  v.GetString("instance_id"),
		stateDir:  v.GetString("state_dir"),
		logFormat: strings.ToLower(v.GetString("log_format")),
		recent:    v.GetInt("recent_records"),
	}
	var errs []string
	bad := func(name, want string) {
		errs = append(errs, fmt.Sprintf("%s is %q: give %s", strings.ToUpper(name), v.GetString(name), want))
	}
	duration := func(name string, least time.Duration) time.Duration {
		d, err := time.ParseDuration(v.GetString(name))
		if err != nil || d < least {
			bad(name, fmt.Sprintf("a time of at least %v, as 60s", least))
		}
		return d
	}
	s.deadline = duration("order_deadline", time.Millisecond)
	s.postTime = duration("post_timeout", 100*time.Millisecond)
	s.readTime = duration("read_timeout", 10*time.Millisecond)
	s.startTime = duration("start_timeout", time.Second)
	s.drainDelay = duration("drain_delay", 0)
	s.heartbeat = duration("sse_heartbeat", time.Second)
	if err := s.logLevel.UnmarshalText([]byte(v.GetString("log_level"))); err != nil {
		bad("log_level", "debug, info, warn or error")
	}
	if s.logFormat != "text" && s.logFormat != "json" {
		bad("log_format", "text or json")
	}
	if s.recent < 1 {
		bad("recent_records", "a number of records of at least 1")
	}
	for c := range strings.SplitSeq(v.GetString("order_checks"), ",") {
		if c = strings.TrimSpace(c); c != "" {
			s.checks = append(s.checks, c)
		}
		if strings.ContainsAny(c, " \n") {
			bad("order_checks", "names of checks, divided by commas")
		}
	}
	if len(errs) > 0 {
		return s, fmt.Errorf("settings: %s", strings.Join(errs, "; "))
	}
	return s, nil
}

func (s settings) logger() *slog.Logger {
	opts := &slog.HandlerOptions{Level: s.logLevel}
	if s.logFormat == "json" {
		return slog.New(slog.NewJSONHandler(os.Stderr, opts)).With("service", "orders")
	}
	return slog.New(slog.NewTextHandler(os.Stderr, opts)).With("service", "orders")
}
