package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

const (
	mediaV1        = "application/vnd.ksql.v1+json"
	mediaJSON      = "application/json"
	mediaDelimited = "application/vnd.ksqlapi.delimited.v1"

	defaultTimeout = 30 * time.Second
	// maxBody bounds what is read of an answer that is held in memory whole.
	maxBody = 64 << 20
)

// Client is one server (or one load-balanced set of servers). It is safe for
// use by many goroutines, which share its connections.
type Client struct {
	base    string
	http    *http.Client // everything but inserts
	h2c     *http.Client // full duplex; the same as http with WithHTTP2
	sockets *http.Client // websockets begin in HTTP/1.1
	timeout time.Duration
	header  http.Header
}

type options struct {
	timeout      time.Duration
	http2        bool
	gzip         bool
	maxIdle      int
	header       http.Header
	roundTripper http.RoundTripper
}

// Option changes how a Client connects.
type Option func(*options)

// WithTimeout bounds each call that ends by itself (30 s by default), in
// addition to the caller's context. Push queries and inserts aren't bounded by
// it, only their start is. Zero means no bound.
func WithTimeout(d time.Duration) Option { return func(o *options) { o.timeout = d } }

// WithHTTP2 sends every call over HTTP/2 (clear text with prior knowledge for
// http URLs), so that many open queries share one connection.
func WithHTTP2() Option { return func(o *options) { o.http2 = true } }

// WithGzip asks for compressed answers. It is off by default: between a
// program and its sidecar the network is memory, and compression only costs.
func WithGzip() Option { return func(o *options) { o.gzip = true } }

// WithMaxIdleConns keeps up to n idle connections open (64 by default).
func WithMaxIdleConns(n int) Option { return func(o *options) { o.maxIdle = n } }

// WithBasicAuth sends the credentials with each call.
func WithBasicAuth(user, password string) Option {
	return func(o *options) {
		r := http.Request{Header: o.header}
		r.SetBasicAuth(user, password)
	}
}

// WithHeader adds a header to each call.
func WithHeader(name, value string) Option {
	return func(o *options) { o.header.Add(name, value) }
}

// WithRoundTripper replaces the transport, for tests and for TLS set-ups of
// one's own. WithHTTP2, WithGzip and WithMaxIdleConns have no effect on it.
func WithRoundTripper(rt http.RoundTripper) Option {
	return func(o *options) { o.roundTripper = rt }
}

// New returns a client of the server at baseURL ("http://localhost:8088").
// It doesn't connect: the first call does.
func New(baseURL string, opts ...Option) (*Client, error) {
	u, err := url.Parse(baseURL)
	if err != nil {
		return nil, fmt.Errorf("ksqlDB URL %q: %w", baseURL, err)
	}
	if (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		return nil, fmt.Errorf("ksqlDB URL %q: give scheme and host, as in http://localhost:8088", baseURL)
	}
	if u.RawQuery != "" || u.Fragment != "" {
		return nil, fmt.Errorf("ksqlDB URL %q: must not have a query or fragment", baseURL)
	}
	o := options{timeout: defaultTimeout, maxIdle: 64, header: http.Header{}}
	if u.User != nil {
		password, _ := u.User.Password()
		WithBasicAuth(u.User.Username(), password)(&o)
		u.User = nil
	}
	for _, opt := range opts {
		opt(&o)
	}
	c := &Client{base: strings.TrimRight(u.String(), "/"), timeout: o.timeout, header: o.header}
	switch {
	case o.roundTripper != nil:
		c.http = &http.Client{Transport: o.roundTripper, CheckRedirect: noRedirect}
		c.h2c, c.sockets = c.http, c.http
	default:
		c.h2c = &http.Client{Transport: newTransport(o, true), CheckRedirect: noRedirect}
		c.sockets = &http.Client{Transport: newTransport(o, false), CheckRedirect: noRedirect}
		c.http = c.sockets
		if o.http2 {
			c.http = c.h2c
		}
	}
	return c, nil
}

// noRedirect hands a redirect to the caller: no endpoint used here redirects,
// and following one would send statements and credentials elsewhere.
func noRedirect(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

func newTransport(o options, http2 bool) *http.Transport {
	t := &http.Transport{
		DialContext:         (&net.Dialer{Timeout: 5 * time.Second, KeepAlive: 15 * time.Second}).DialContext,
		MaxIdleConns:        o.maxIdle,
		MaxIdleConnsPerHost: o.maxIdle,
		IdleConnTimeout:     90 * time.Second,
		TLSHandshakeTimeout: 5 * time.Second,
		DisableCompression:  !o.gzip,
		Protocols:           new(http.Protocols),
	}
	if http2 {
		// With HTTP/1 left out, an http URL is spoken to in HTTP/2 at once.
		t.Protocols.SetHTTP2(true)
		t.Protocols.SetUnencryptedHTTP2(true)
	} else {
		t.Protocols.SetHTTP1(true)
	}
	return t
}

// URL is the server's address, without credentials.
func (c *Client) URL() string { return c.base }

// Close closes idle connections. Calls under way go on.
func (c *Client) Close() {
	c.http.CloseIdleConnections()
	c.h2c.CloseIdleConnections()
	c.sockets.CloseIdleConnections()
}

// bound applies the client's time-out to a call that ends by itself.
func (c *Client) bound(ctx context.Context) (context.Context, context.CancelFunc) {
	if c.timeout <= 0 {
		return context.WithCancel(ctx)
	}
	return context.WithTimeoutCause(ctx, c.timeout,
		fmt.Errorf("no answer from %s within the client's time-out of %v: %w", c.base, c.timeout, context.DeadlineExceeded))
}

// send makes one request. A status outside 2xx comes back as *Error, with the
// body read and closed.
func (c *Client) send(ctx context.Context, hc *http.Client, method, path, accept string, body io.Reader, contentType string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, body)
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", method, path, err)
	}
	for name, values := range c.header {
		req.Header[name] = values
	}
	req.Header.Set("Accept", accept)
	if body != nil {
		req.Header.Set("Content-Type", contentType)
	}
	resp, err := hc.Do(req)
	if err != nil {
		if cause := context.Cause(ctx); cause != nil && ctx.Err() != nil {
			return nil, fmt.Errorf("%s %s: %w", method, c.base+path, cause)
		}
		var ue *url.Error
		if errors.As(err, &ue) {
			err = ue.Err // its text repeats method and URL
		}
		return nil, fmt.Errorf("%s %s: %w", method, c.base+path, err)
	}
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		defer resp.Body.Close()
		return nil, readError(resp, method+" "+path)
	}
	return resp, nil
}

// call makes a bounded request with a JSON body (nil for none) and decodes the
// JSON answer into out (nil to ignore it).
func (c *Client) call(ctx context.Context, method, path string, in, out any) error {
	ctx, cancel := c.bound(ctx)
	defer cancel()
	var body io.Reader
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return fmt.Errorf("%s %s: the request can't be written as JSON: %w", method, path, err)
		}
		body = bytes.NewReader(b)
	}
	resp, err := c.send(ctx, c.http, method, path, mediaV1, body, mediaV1)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxBody+1))
	if err != nil {
		return fmt.Errorf("%s %s: reading the answer: %w", method, c.base+path, err)
	}
	if len(b) > maxBody {
		return fmt.Errorf("%s %s: the answer is larger than %d MB", method, c.base+path, maxBody>>20)
	}
	if out == nil {
		return nil
	}
	if err := decode(b, out); err != nil {
		return fmt.Errorf("%s %s: the answer isn't what ksqlDB sends (%w): %s", method, c.base+path, err, excerpt(b))
	}
	return nil
}

// decode reads JSON and keeps numbers exact where the target is untyped.
func decode(b []byte, out any) error {
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	return d.Decode(out)
}

// excerpt is the start of a body, for an error text.
func excerpt(b []byte) string {
	const most = 200
	if len(b) > most {
		return string(b[:most]) + "…"
	}
	return string(b)
}
