package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/mail"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/sidestream/sidestream/services/internal/config"
)

// settings are environment variables; README.md has them in a table.
type settings struct {
	config.Common
	sidecar string
	policy  policy
	workers int
	drain   time.Duration
	smtp    smtpSettings
}

// smtpSettings say how to reach the SMTP server.
type smtpSettings struct {
	host     string
	port     int
	security string // none, opportunistic, starttls, tls
	tls      *tls.Config
	user     string
	password string
	from     *mail.Address
	helo     string
	timeout  time.Duration // of one attempt, from connecting to the server's last answer
}

// domain is the part of the sender's address behind the @.
func (s smtpSettings) domain() string {
	_, domain, _ := strings.Cut(s.from.Address, "@")
	return domain
}

func readSettings() (settings, error) {
	c := config.New()
	s := settings{
		Common:  c.Common(),
		sidecar: c.Text("SIDECAR_URL", "http://127.0.0.1:8088"),
		policy: policy{
			resend:   c.Choice("EMAIL_CRASH_POLICY", "hold", "hold", "resend") == "resend",
			retryMin: c.Duration("EMAIL_RETRY_MIN", time.Second, time.Millisecond),
			retryMax: c.Duration("EMAIL_RETRY_MAX", 5*time.Minute, time.Millisecond),
			retryFor: c.Duration("EMAIL_RETRY_FOR", 24*time.Hour, time.Millisecond),
		},
		workers: c.Whole("EMAIL_WORKERS", 8, 1, 256),
		drain:   c.Duration("EMAIL_DRAIN", 20*time.Second, 0),
		smtp: smtpSettings{
			security: c.Choice("SMTP_TLS", "opportunistic", "none", "opportunistic", "starttls", "tls"),
			user:     c.Text("SMTP_USER", ""),
			password: c.Secret("SMTP_PASSWORD"),
			helo:     c.Text("SMTP_HELO", "localhost"),
			timeout:  c.Duration("SMTP_TIMEOUT", 30*time.Second, 10*time.Millisecond),
		},
	}
	more := func(format string, args ...any) error {
		return errors.Join(c.Err(), fmt.Errorf(format, args...))
	}
	addr := c.Text("SMTP_ADDR", "127.0.0.1:1025")
	host, port, err := net.SplitHostPort(addr)
	if err == nil {
		s.smtp.host = host
		s.smtp.port, err = strconv.Atoi(port)
	}
	if err != nil || host == "" || s.smtp.port < 1 || s.smtp.port > 65535 {
		return s, more("SMTP_ADDR is %q: give host:port of an SMTP server", addr)
	}
	from := c.Text("SMTP_FROM", "Sidestream Shop <shop@example.com>")
	if s.smtp.from, err = mail.ParseAddress(from); err != nil {
		return s, more("SMTP_FROM is %q: give an address, as shop@example.com or Shop <shop@example.com>", from)
	}
	s.smtp.tls = &tls.Config{ServerName: host, MinVersion: tls.VersionTLS12}
	if file := c.Text("SMTP_CA_FILE", ""); file != "" {
		pem, err := os.ReadFile(file)
		if err != nil {
			return s, more("SMTP_CA_FILE: %w", err)
		}
		s.smtp.tls.RootCAs = x509.NewCertPool()
		if !s.smtp.tls.RootCAs.AppendCertsFromPEM(pem) {
			return s, more("SMTP_CA_FILE is %s: there is no certificate in PEM in it", file)
		}
	}
	return s, c.Err()
}
