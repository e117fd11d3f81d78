package main

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/coreos/go-oidc/v3/oidc/oidctest"
	"github.com/stretchr/testify/require"

	"github.com/sidestream/sidestream/services/internal/web"
)

// openEvents opens the events and returns its status and a reader of its lines.
func (in *instance) openEvents(header ...string) (*http.Response, *bufio.Reader) {
	in.t.Helper()
	req, err := http.NewRequest("GET", in.url+"/v1/orders/events", nil)
	require.NoError(in.t, err)
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	require.NoError(in.t, err)
	in.t.Cleanup(func() { resp.Body.Close() })
	return resp, bufio.NewReader(resp.Body)
}

func TestTokensAreAskedFor(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	issuer := &oidctest.Server{PublicKeys: []oidctest.PublicKey{{PublicKey: key.Public(), KeyID: "one", Algorithm: "ES256"}}}
	server := httptest.NewServer(issuer)
	t.Cleanup(server.Close)
	issuer.SetIssuer(server.URL)
	token := func(lasts time.Duration, scope string) []string {
		return []string{"Authorization", "Bearer " + oidctest.SignIDToken(key, "one", "ES256",
			fmt.Sprintf(`{"iss":%q,"aud":"orders","sub":"ann","exp":%d,"scope":%q}`, server.URL, time.Now().Add(lasts).Unix(), scope))}
	}
	t.Setenv("AUTH_ISSUER", server.URL)
	t.Setenv("AUTH_AUDIENCE", "orders")
	t.Setenv("AUTH_READ_SCOPE", "read")
	t.Setenv("AUTH_WRITE_SCOPE", "write")
	read, err := readSettings()
	require.NoError(t, err)

	b := newSerialBroker(t)
	in := startInstance(t, b, newFakeView(t, b), "orders-0", func(s *settings) { s.auth = read.auth })
	a := in.post(jumpers("1")).is(401)
	require.Contains(t, a.header.Get("WWW-Authenticate"), "Bearer")
	in.get("/v1/orders/1").is(401)
	in.get("/orders/1").is(401)
	in.post(jumpers("1"), token(time.Hour, "read")...).is(403)
	in.post(jumpers("1"), token(time.Hour, "write")...).is(201)
	in.get("/v1/orders/1", token(time.Hour, "read")...).is(200)
	for _, open := range []string{"/healthz", "/readyz", "/metrics", "/openapi.yaml"} {
		in.get(open).is(200)
	}
	resp, _ := in.openEvents()
	require.Equal(t, 401, resp.StatusCode)

	// A stream ends with its token.
	resp, lines := in.openEvents(token(2*time.Second, "read")...)
	require.Equal(t, 200, resp.StatusCode)
	for {
		if _, err := lines.ReadString('\n'); err != nil {
			require.ErrorContains(t, err, "EOF")
			break
		}
	}
}

func TestLimits(t *testing.T) {
	b := newBroker(t)
	in := startInstance(t, b, newFakeView(t, b), "orders-0", func(s *settings) {
		s.maxBody = 300
		s.rate = &web.Rate{PerSecond: 0.001, Burst: 8}
		s.streams = &web.Streams{Total: 2, PerClient: 1}
		s.proxies = 1
	})
	from := func(ip string) []string { return []string{"X-Forwarded-For", ip} }
	in.post(jumpers("1"), from("1.1.1.1")...).is(201)
	in.post(strings.Replace(jumpers("2"), "JUMPERS", strings.Repeat("J", 300), 1), from("1.1.1.1")...).is(413)

	first, _ := in.openEvents(from("1.1.1.1")...)
	require.Equal(t, 200, first.StatusCode)
	again, _ := in.openEvents(from("1.1.1.1")...)
	require.Equal(t, 429, again.StatusCode)
	other, _ := in.openEvents(from("2.2.2.2")...)
	require.Equal(t, 200, other.StatusCode)
	third, _ := in.openEvents(from("3.3.3.3")...)
	require.Equal(t, 503, third.StatusCode)
	first.Body.Close()
	require.Eventually(t, func() bool { // when the service has seen that the client left
		resp, _ := in.openEvents(from("4.4.4.4")...)
		return resp.StatusCode == 200
	}, 10*time.Second, 500*time.Millisecond)

	for range 4 {
		in.get("/v1/orders/1", from("1.1.1.1")...).is(200)
	}
	a := in.get("/v1/orders/1", from("1.1.1.1")...).is(429)
	require.NotEmpty(t, a.header.Get("Retry-After"))
	in.get("/v1/orders/1", from("5.5.5.5")...).is(200)
	require.Equal(t, "nosniff", a.header.Get("X-Content-Type-Options"))
}

func TestBadSecuritySettings(t *testing.T) {
	for name, c := range map[string]struct {
		env  map[string]string
		want string
	}{
		"no audience": {map[string]string{"AUTH_ISSUER": "https://issuer"}, "AUTH_AUDIENCE isn't set"},
		"no issuer":   {map[string]string{"AUTH_AUDIENCE": "orders"}, "AUTH_ISSUER isn't set"},
		"no url":      {map[string]string{"AUTH_ISSUER": "issuer", "AUTH_AUDIENCE": "orders"}, `AUTH_ISSUER is "issuer"`},
		"rate":        {map[string]string{"RATE_LIMIT": "many"}, "RATE_LIMIT"},
	} {
		t.Run(name, func(t *testing.T) {
			for k, v := range c.env {
				t.Setenv(k, v)
			}
			_, err := readSettings()
			require.ErrorContains(t, err, c.want)
		})
	}
}
