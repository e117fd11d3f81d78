package feed

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// API is the orders API.
type API struct {
	base string
	http *http.Client
}

// NewAPI makes a client of the orders API at a base URL, for so many requests at
// a time.
func NewAPI(base string, concurrency int) (*API, error) {
	u, err := url.Parse(base)
	if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
		return nil, fmt.Errorf("orders API %q: give its address, as in http://127.0.0.1:8080", base)
	}
	t := &http.Transport{MaxIdleConns: concurrency, MaxIdleConnsPerHost: concurrency, IdleConnTimeout: time.Minute}
	return &API{strings.TrimRight(base, "/"), &http.Client{Transport: t, Timeout: 70 * time.Second}}, nil
}

// Refused is an order that the API didn't take.
type Refused struct {
	Status int
	Text   string
}

func (r *Refused) Error() string { return fmt.Sprintf("refused with %d: %s", r.Status, r.Text) }

// Post places an order. While the service is away (503, or no answer) it tries
// again until the context ends: the same id with the same content makes one
// order. The id of the order comes back.
func (a *API) Post(ctx context.Context, order []byte) (string, error) {
	for {
		id, wait, err := a.post(ctx, order)
		if wait == 0 {
			return id, err
		}
		select {
		case <-ctx.Done():
			return "", err
		case <-time.After(wait):
		}
	}
}

func (a *API) post(ctx context.Context, order []byte) (id string, retry time.Duration, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, a.base+"/v1/orders", bytes.NewReader(order))
	if err != nil {
		return "", 0, err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := a.http.Do(req)
	if err != nil {
		if ctx.Err() != nil || !hasID(order) {
			return "", 0, err // without an id, trying again could place it twice
		}
		return "", 200 * time.Millisecond, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return "", 0, err
	}
	switch {
	case resp.StatusCode == http.StatusCreated || resp.StatusCode == http.StatusOK:
		var made struct {
			ID string `json:"id"`
		}
		if err := json.Unmarshal(body, &made); err != nil {
			return "", 0, fmt.Errorf("the answer is no order: %w", err)
		}
		return made.ID, 0, nil
	case resp.StatusCode == http.StatusServiceUnavailable && hasID(order):
		wait := time.Second
		if s, err := strconv.Atoi(resp.Header.Get("Retry-After")); err == nil && s > 0 {
			wait = time.Duration(s) * time.Second
		}
		return "", wait, problem(resp.StatusCode, body)
	}
	return "", 0, problem(resp.StatusCode, body)
}

func hasID(order []byte) bool {
	var o struct {
		ID string `json:"id"`
	}
	return json.Unmarshal(order, &o) == nil && o.ID != ""
}

// problem reads a problem document.
func problem(status int, body []byte) error {
	var p struct {
		Title  string `json:"title"`
		Detail string `json:"detail"`
		Errors []struct {
			Field   string `json:"field"`
			Pointer string `json:"pointer"`
			Detail  string `json:"detail"`
		} `json:"errors"`
	}
	if json.Unmarshal(body, &p) != nil || p.Title == "" {
		return &Refused{status, strings.TrimSpace(string(body))}
	}
	text := p.Title
	if p.Detail != "" {
		text = p.Detail
	}
	for _, e := range p.Errors {
		text += "; " + strings.TrimLeft(e.Field+e.Pointer, "#/") + ": " + e.Detail
	}
	return &Refused{status, text}
}

// IsRefused tells whether the service itself said no, as against not answering.
func IsRefused(err error) bool {
	var r *Refused
	return errors.As(err, &r)
}
