package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/stretchr/testify/require"
)

var web = &http.Client{Timeout: 70 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 64}}

// order is an order as the API shows it.
type order struct {
	ID         string      `json:"id"`
	CustomerID int64       `json:"customerId"`
	State      string      `json:"state"`
	Product    string      `json:"product"`
	Quantity   int         `json:"quantity"`
	Price      json.Number `json:"price"`
	Reasons    []string    `json:"reasons"`
	Version    int         `json:"version"`
}

type answer struct {
	status int
	header http.Header
	body   []byte
}

func (a answer) order(s *stack) order {
	s.t.Helper()
	var o order
	require.NoError(s.t, json.Unmarshal(a.body, &o), "%d %s", a.status, a.body)
	return o
}

func call(method, url string, body any, header ...string) (answer, error) {
	var in io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return answer{}, err
		}
		in = bytes.NewReader(b)
	}
	req, err := http.NewRequest(method, url, in)
	if err != nil {
		return answer{}, err
	}
	req.Header.Set("Content-Type", "application/json")
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := web.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return answer{resp.StatusCode, resp.Header, b}, err
}

func (s *stack) call(method, url string, body any, header ...string) answer {
	s.t.Helper()
	a, err := call(method, url, body, header...)
	require.NoError(s.t, err)
	return a
}

// post places an order and wants it accepted.
func (s *stack) post(o fieldsOf) answer {
	s.t.Helper()
	a := s.call("POST", s.orders+"/v1/orders", o)
	require.Equal(s.t, http.StatusCreated, a.status, "%s", a.body)
	return a
}

func newOrder(id string, customer int, product string, quantity int, price string) fieldsOf {
	return fieldsOf{"id": id, "customerId": customer, "product": product, "quantity": quantity, "price": json.Number(price)}
}

// final waits for an order's final state.
func (s *stack) final(id string) order {
	s.t.Helper()
	a := s.call("GET", fmt.Sprintf("%s/v1/orders/%s/validated?timeout=30000", s.orders, id), nil)
	if a.status != http.StatusOK {
		s.t.Logf("the story of order %s:\n%s", id, s.story(id))
		s.keepLogs()
	}
	require.Equal(s.t, http.StatusOK, a.status, "%s", a.body)
	return a.order(s)
}
