package main

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/url"
	"time"
)

// placer hands orders to the orders API: the page's form can then stay with the
// page's own origin.
type placer struct {
	orders *url.URL
	client *http.Client
}

func newPlacer(orders *url.URL) *placer {
	return &placer{orders: orders, client: &http.Client{Timeout: 15 * time.Second}}
}

// post returns the status and the body of the answer. An Authorization header of
// the client's goes along.
func (p *placer) post(ctx context.Context, order []byte, authorization string) (int, []byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, p.orders.JoinPath("/v1/orders").String(), bytes.NewReader(order))
	if err != nil {
		return 0, nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	if authorization != "" {
		req.Header.Set("Authorization", authorization)
	}
	resp, err := p.client.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	return resp.StatusCode, body, err
}
