package main

import (
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/gorilla/mux"
	"github.com/stretchr/testify/require"

	"github.com/sidestream/sidestream/services/internal/lookup"
	"github.com/sidestream/sidestream/services/internal/web"
	"github.com/sidestream/sidestream/services/transact/transacttest"
)

func start(t *testing.T, b *transacttest.Broker) (call func(method, path, body string) (int, string)) {
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	w, err := newWriter(b.Addr, nil, log)
	require.NoError(t, err)
	t.Cleanup(w.close)
	a := &api{write: w, wait: transacttest.Patience}
	for _, k := range kinds {
		table := lookup.New(k.topic)
		require.NoError(t, table.Start(t.Context(), lookup.Config{Brokers: b.Addr, Log: log}))
		t.Cleanup(table.Close)
		a.things = append(a.things, thing{kind: k, table: table})
	}
	var router *mux.Router = web.NewRouter()
	a.routes(router)
	server := httptest.NewServer(router)
	t.Cleanup(server.Close)
	return func(method, path, body string) (int, string) {
		req, err := http.NewRequestWithContext(t.Context(), method, server.URL+path, strings.NewReader(body))
		require.NoError(t, err)
		req.Header.Set("Content-Type", "application/json")
		resp, err := http.DefaultClient.Do(req)
		require.NoError(t, err)
		defer resp.Body.Close()
		answer, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		return resp.StatusCode, string(answer)
	}
}

func newBroker(t *testing.T) *transacttest.Broker {
	b := transacttest.NewBroker(t)
	for _, k := range kinds {
		b.Compacted(k.topic, 4)
	}
	return b
}

func TestEachKind(t *testing.T) {
	b := newBroker(t)
	b.Put("warehouse-inventory", "SOCKS", `{"stock":75}`) // a loader's
	call := start(t, b)
	for _, c := range []struct{ path, body, want string }{
		{"/v1/stock/HATS", `{"stock":10}`, `{"product":"HATS","stock":10}`},
		{"/v1/products/HATS", `{"listPrice":20}`, `{"product":"HATS","listPrice":20.00}`},
		{"/v1/customers/15", `{"id":15,"firstName":"Franz","lastName":"Kafka","email":"franz@example.com","level":"gold"}`,
			`{"id":15,"firstName":"Franz","lastName":"Kafka","email":"franz@example.com","address":null,"level":"gold"}`},
	} {
		status, body := call("GET", c.path, "")
		require.Equal(t, 404, status, body)
		status, body = call("PUT", c.path, c.body)
		require.Equal(t, 201, status, body)
		require.Equal(t, c.want, body)
		status, body = call("PUT", c.path, c.body)
		require.Equal(t, 200, status, body)
		status, body = call("GET", c.path, "")
		require.Equal(t, 200, status, body)
		require.Equal(t, c.want, body)
	}
	_, body := call("GET", "/v1/stock", "")
	require.Equal(t, `{"stock":[{"product":"HATS","stock":10},{"product":"SOCKS","stock":75}]}`, body)

	// As the key that SQL reads: BIGINT in eight bytes.
	rs := b.Committed("customers")
	require.Len(t, rs, 2)
	require.Equal(t, []byte{0, 0, 0, 0, 0, 0, 0, 15}, rs[0].Key)

	status, _ := call("DELETE", "/v1/stock/HATS", "")
	require.Equal(t, 204, status)
	status, _ = call("DELETE", "/v1/stock/HATS", "")
	require.Equal(t, 404, status)
	rs = b.Committed("warehouse-inventory")
	require.Nil(t, rs[len(rs)-1].Value, "a tombstone")
}

func TestBadInput(t *testing.T) {
	call := start(t, newBroker(t))
	for _, c := range []struct {
		method, path, body string
		status             int
		want               []string
	}{
		{"PUT", "/v1/stock/HATS", `{`, 400, []string{"malformed"}},
		{"PUT", "/v1/stock/HATS", `[]`, 400, []string{"not a JSON object"}},
		{"PUT", "/v1/stock/HATS", `{}`, 422, []string{`"field":"stock"`, "is missing"}},
		{"PUT", "/v1/stock/HATS", `{"stock":-1}`, 422, []string{"must be a whole number of at least 0, is -1"}},
		{"PUT", "/v1/stock/HATS", `{"stock":1.5,"colour":"red"}`, 422, []string{"whole number of 32 bits", `"field":"colour"`}},
		{"PUT", "/v1/stock/HATS", `{"stock":1,"product":"SOCKS"}`, 422, []string{"but the path says"}},
		{"PUT", "/v1/stock/%20", `{"stock":1}`, 400, []string{`"in":"path"`}},
		{"PUT", "/v1/stock/HATS", `{"stock":"` + strings.Repeat("1", maxBody) + `"}`, 413, []string{"too-large"}},
		{"PUT", "/v1/products/HATS", `{"listPrice":1.234}`, 422, []string{"more than two decimals"}},
		{"PUT", "/v1/products/HATS", `{"listPrice":-1}`, 422, []string{"must not be less than 0"}},
		{"PUT", "/v1/customers/x", `{}`, 400, []string{"must be a whole number"}},
		{"PUT", "/v1/customers/1", `{"firstName":"","lastName":1,"email":"nobody","level":"tin"}`, 422,
			[]string{"is empty", "must be text", "isn't an address", "must be one of platinum, gold, silver, bronze"}},
		{"PUT", "/v1/customers/1", `{"firstName":"a","lastName":"b","level":"gold","email":"a@b\r\nBcc: c@d"}`, 422, []string{"isn't an address"}},
		{"POST", "/v1/stock/HATS", `{}`, 405, []string{"only DELETE, GET, HEAD, PUT"}},
		{"GET", "/v1/nothing", ``, 404, []string{"There is nothing at"}},
	} {
		status, body := call(c.method, c.path, c.body)
		require.Equal(t, c.status, status, "%s %s %s: %s", c.method, c.path, c.body, body)
		require.True(t, json.Valid([]byte(body)), body)
		for _, w := range c.want {
			require.Contains(t, body, w)
		}
	}
}

func TestTheBrokerIsAway(t *testing.T) {
	b := newBroker(t)
	call := start(t, b)
	status, _ := call("PUT", "/v1/stock/HATS", `{"stock":1}`)
	require.Equal(t, 201, status)
	if b.Cluster == nil {
		t.Skip("the Kafka of TEST_KAFKA isn't ours to stop")
	}
	b.Close()
	status, body := call("PUT", "/v1/stock/HATS", `{"stock":2}`)
	require.Equal(t, 503, status, body)
	require.Contains(t, body, "To send it again does no harm")
	status, body = call("GET", "/v1/stock/HATS", "")
	require.Equal(t, 200, status)
	require.Equal(t, `{"product":"HATS","stock":1}`, body, "what was there is still told")
}
