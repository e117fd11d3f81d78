package web

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coreos/go-oidc/v3/oidc/oidctest"
	"github.com/stretchr/testify/require"
)

// issuer is an OpenID Connect issuer with one key, whose requests are counted.
type issuer struct {
	*httptest.Server
	key    *ecdsa.PrivateKey
	served *oidctest.Server
	mu     sync.Mutex
	asked  map[string]int
}

func newIssuer(t *testing.T) *issuer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	i := &issuer{key: key, asked: map[string]int{}}
	i.served = &oidctest.Server{PublicKeys: []oidctest.PublicKey{{PublicKey: key.Public(), KeyID: "one", Algorithm: "ES256"}}}
	i.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		i.mu.Lock()
		i.asked[r.URL.Path]++
		i.mu.Unlock()
		i.served.ServeHTTP(w, r)
	}))
	t.Cleanup(i.Close)
	i.served.SetIssuer(i.URL)
	return i
}

func (i *issuer) token(claims string) string {
	return oidctest.SignIDToken(i.key, "one", "ES256", fmt.Sprintf(`{"iss":%q,"aud":["other","orders"],"sub":"ann","exp":%d%s}`,
		i.URL, time.Now().Add(time.Hour).Unix(), claims))
}

// guarded answers who sends the request.
func guarded(t *testing.T, g *Guard) func(method, path, token string, header ...string) *httptest.ResponseRecorder {
	t.Helper()
	r := NewRouter()
	r.Use(g.Middleware())
	r.HandleFunc("/who", func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, ClientOf(r.Context())) })
	r.HandleFunc("/healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "up") })
	return func(method, path, token string, header ...string) *httptest.ResponseRecorder {
		req := httptest.NewRequest(method, path, nil)
		if token != "" {
			req.Header.Set("Authorization", token)
		}
		for i := 0; i+1 < len(header); i += 2 {
			req.Header.Add(header[i], header[i+1])
		}
		w := httptest.NewRecorder()
		Headers(r).ServeHTTP(w, req)
		return w
	}
}

func TestTokens(t *testing.T) {
	i := newIssuer(t)
	var log strings.Builder
	ask := guarded(t, &Guard{Open: []string{"/healthz"}, Auth: &Auth{Issuer: i.URL, Audience: "orders", ReadScope: "orders:read", WriteScope: "orders:write",
		Realm: "orders", Log: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))}})
	stranger := newIssuer(t)
	all := `,"scope":"openid orders:read orders:write"`

	for name, c := range map[string]struct {
		method, token string
		status        int
		challenge     string
	}{
		"none":              {"GET", "", 401, `Bearer realm="orders"`},
		"basic":             {"GET", "Basic YTpi", 401, `error="invalid_request"`},
		"empty":             {"GET", "Bearer ", 401, `error="invalid_request"`},
		"nonsense":          {"GET", "Bearer x", 401, "The token isn't a JWT."},
		"good":              {"GET", "Bearer " + i.token(all), 200, ""},
		"good, small":       {"GET", "bearer " + i.token(all), 200, ""},
		"good, list":        {"GET", "Bearer " + i.token(`,"scp":["orders:read"]`), 200, ""},
		"good, post":        {"POST", "Bearer " + i.token(all), 200, ""},
		"read only":         {"POST", "Bearer " + i.token(`,"scope":"orders:read"`), 403, `error="insufficient_scope"`},
		"no scope":          {"GET", "Bearer " + i.token(""), 403, `error="insufficient_scope"`},
		"expired":           {"GET", "Bearer " + i.token(all+`,"exp":1`), 401, "The token has expired"},
		"not yet":           {"GET", "Bearer " + i.token(all+fmt.Sprintf(`,"nbf":%d`, time.Now().Add(time.Hour).Unix())), 401, "isn't valid yet"},
		"other audience":    {"GET", "Bearer " + i.token(all+`,"aud":"other"`), 401, "for another audience"},
		"other issuer":      {"GET", "Bearer " + i.token(all+`,"iss":"https://other"`), 401, "of another issuer"},
		"nobody":            {"GET", "Bearer " + i.token(all+`,"sub":""`), 401, "names nobody"},
		"stranger's key":    {"GET", "Bearer " + oidctest.SignIDToken(stranger.key, "one", "ES256", fmt.Sprintf(`{"iss":%q,"aud":"orders","sub":"eve","exp":9999999999}`, i.URL)), 401, "signature"},
		"without signature": {"GET", "Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiJldmUifQ.", 401, "error="},
		"changed":           {"GET", "Bearer " + strings.Replace(i.token(all), ".", ".e30", 1), 401, "error="},
	} {
		w := ask(c.method, "/who", c.token)
		require.Equal(t, c.status, w.Code, "%s: %s", name, w.Body)
		if c.status == 200 {
			require.Equal(t, "sub:ann", w.Body.String(), name)
			continue
		}
		p := problemOf(t, w)
		require.Contains(t, w.Header().Get("WWW-Authenticate"), c.challenge, name)
		require.NotContains(t, fmt.Sprint(p), "eyJ", name)
	}
	require.Equal(t, 200, ask("GET", "/healthz", "").Code)
	require.NotContains(t, log.String(), "eyJ", "tokens aren't logged")
	require.Equal(t, 1, i.asked["/.well-known/openid-configuration"], "the keys are asked for once")
}

func TestAnIssuerThatIsAway(t *testing.T) {
	i := newIssuer(t)
	token := "Bearer " + i.token("")
	i.Close()
	for _, jwks := range []string{"", i.URL + "/keys"} {
		ask := guarded(t, &Guard{Auth: &Auth{Issuer: i.URL, JWKS: jwks, Audience: "orders", Realm: "orders", Log: quiet()}})
		w := ask("GET", "/who", token)
		require.Equal(t, 503, w.Code, "nobody is let in unseen")
		require.NotEmpty(t, w.Header().Get("Retry-After"))
	}
}

// A token with a key that isn't known has the keys fetched again, but not
// without end.
func TestUnknownKeysDoNotFloodTheIssuer(t *testing.T) {
	i := newIssuer(t)
	ask := guarded(t, &Guard{Auth: &Auth{Issuer: i.URL, Audience: "orders", Realm: "orders", Log: quiet()}})
	require.Equal(t, 200, ask("GET", "/who", "Bearer "+i.token("")).Code)
	stranger := newIssuer(t)
	for n := range 50 {
		ask("GET", "/who", "Bearer "+oidctest.SignIDToken(stranger.key, fmt.Sprint("key", n), "ES256", fmt.Sprintf(`{"iss":%q,"aud":"orders","sub":"eve","exp":9999999999}`, i.URL)))
	}
	require.LessOrEqual(t, i.asked["/keys"], 8)
	require.Equal(t, 200, ask("GET", "/who", "Bearer "+i.token("")).Code, "good tokens are let in all the while")
}

func TestRates(t *testing.T) {
	now := time.Unix(0, 0)
	limit := &Rate{PerSecond: 2, Burst: 3, now: func() time.Time { return now }}
	ask := guarded(t, &Guard{Rate: limit, Proxies: 1, Open: []string{"/healthz"}})
	for range 3 {
		require.Equal(t, 200, ask("GET", "/who", "", "X-Forwarded-For", "9.9.9.9, 1.1.1.1").Code)
	}
	w := ask("GET", "/who", "", "X-Forwarded-For", "8.8.8.8, 1.1.1.1")
	require.Equal(t, 429, w.Code, "what the client wrote itself counts for nothing")
	require.Equal(t, "too-many-requests", problemOf(t, w)["code"])
	require.Equal(t, "1", w.Header().Get("Retry-After"))
	require.Equal(t, "ip:2.2.2.2", ask("GET", "/who", "", "X-Forwarded-For", "2.2.2.2").Body.String(), "others go on")
	require.Equal(t, 200, ask("GET", "/healthz", "", "X-Forwarded-For", "1.1.1.1").Code)
	now = now.Add(500 * time.Millisecond)
	require.Equal(t, 200, ask("GET", "/who", "", "X-Forwarded-For", "1.1.1.1").Code)
	require.Equal(t, 429, ask("GET", "/who", "", "X-Forwarded-For", "1.1.1.1").Code)

	for n := range MaxClients + 10 {
		require.Nil(t, limit.Take(fmt.Sprint(n)))
	}
	require.Len(t, limit.clients, MaxClients, "memory is bounded")
}

// Bad tokens count against the address, good ones against who they name.
func TestRatesWithTokens(t *testing.T) {
	i := newIssuer(t)
	now := time.Unix(0, 0)
	ask := guarded(t, &Guard{Rate: &Rate{PerSecond: 1, Burst: 2, now: func() time.Time { return now }},
		Auth: &Auth{Issuer: i.URL, Audience: "orders", Realm: "orders", Log: quiet()}})
	ann, bob := "Bearer "+i.token(""), "Bearer "+i.token(`,"sub":"bob"`)
	for _, want := range []int{200, 200, 429} {
		require.Equal(t, want, ask("GET", "/who", ann).Code)
	}
	require.Equal(t, 200, ask("GET", "/who", bob).Code, "the same address, another one")
	for _, want := range []int{401, 401, 429} {
		require.Equal(t, want, ask("GET", "/who", "Bearer x").Code)
	}
}

func TestStreams(t *testing.T) {
	open := 0
	s := &Streams{Total: 3, PerClient: 2, Gauge: func(n int) { open = n }}
	a, p := s.Enter("a")
	require.Nil(t, p)
	_, p = s.Enter("a")
	require.Nil(t, p)
	_, p = s.Enter("a")
	require.Equal(t, 429, p.Status)
	_, p = s.Enter("b")
	require.Nil(t, p)
	_, p = s.Enter("c")
	require.Equal(t, 503, p.Status)
	require.Equal(t, 3, open)
	a()
	a() // twice is once
	require.Equal(t, 2, open)
	_, p = s.Enter("c")
	require.Nil(t, p)
}

func TestHeaders(t *testing.T) {
	ask := guarded(t, &Guard{})
	for _, path := range []string{"/who", "/nothing"} {
		h := ask("GET", path, "").Header()
		require.Equal(t, "nosniff", h.Get("X-Content-Type-Options"), path)
		require.Contains(t, h.Get("Content-Security-Policy"), "default-src 'none'", path)
		require.Equal(t, "DENY", h.Get("X-Frame-Options"), path)
		require.Empty(t, h.Get("Strict-Transport-Security"), path)
	}
	require.NotEmpty(t, ask("GET", "/who", "", "X-Forwarded-Proto", "https").Header().Get("Strict-Transport-Security"))
}

func TestClientIP(t *testing.T) {
	for _, c := range []struct {
		proxies int
		header  []string
		want    string
	}{
		{0, []string{"1.1.1.1"}, "192.0.2.1"},
		{1, []string{"1.1.1.1"}, "1.1.1.1"},
		{1, []string{"6.6.6.6, 1.1.1.1"}, "1.1.1.1"},
		{2, []string{"6.6.6.6, 1.1.1.1", "10.0.0.1"}, "1.1.1.1"},
		{2, []string{"1.1.1.1"}, "192.0.2.1"},
		{1, []string{"unknown"}, "192.0.2.1"},
		{1, []string{"2001:db8::1"}, "2001:db8::1"},
		{1, nil, "192.0.2.1"},
	} {
		r := httptest.NewRequest("GET", "/", nil) // from 192.0.2.1
		for _, h := range c.header {
			r.Header.Add("X-Forwarded-For", h)
		}
		require.Equal(t, c.want, ClientIP(r, c.proxies), "%+v", c)
	}
}
