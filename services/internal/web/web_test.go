package web

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
)

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

func problemOf(t *testing.T, w *httptest.ResponseRecorder) map[string]any {
	t.Helper()
	require.Equal(t, ProblemType, w.Header().Get("Content-Type"))
	var p map[string]any
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &p))
	require.EqualValues(t, w.Code, p["status"])
	require.Equal(t, http.StatusText(w.Code), p["title"])
	require.Contains(t, p["type"], "urn:sidestream:problem:")
	return p
}

func TestReadJSON(t *testing.T) {
	for _, c := range []struct {
		name, media, encoding, body string
		chunked                     bool
		status                      int
	}{
		{"plain", "application/json", "", `{"a":1}`, false, 200},
		{"chunked", "application/json", "", `{"a":1}`, true, 200},
		{"charset", "application/json; charset=UTF-8", "", `{}`, false, 200},
		{"suffix", "application/order+json", "identity", `{}`, false, 200},
		{"just fits", "application/json", "", strings.Repeat("x", 16), false, 200},
		{"too large", "application/json", "", strings.Repeat("x", 17), false, 413},
		{"too large, chunked", "application/json", "", strings.Repeat("x", 17), true, 413},
		{"no type", "", "", `{}`, false, 415},
		{"form", "application/x-www-form-urlencoded", "", `{}`, false, 415},
		{"text", "text/json", "", `{}`, false, 415},
		{"broken type", "application/json; =", "", `{}`, false, 415},
		{"latin", "application/json; charset=latin1", "", `{}`, false, 415},
		{"gzip", "application/json", "gzip", `{}`, false, 415},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := httptest.NewRequest("POST", "/x?y=1", strings.NewReader(c.body))
			if c.chunked {
				r.ContentLength = -1
			}
			r.Header.Set("Content-Type", c.media)
			r.Header.Set("Content-Encoding", c.encoding)
			w := httptest.NewRecorder()
			b, p := ReadJSON(w, r, 16, time.Second)
			if c.status == 200 {
				require.Nil(t, p)
				require.Equal(t, c.body, string(b))
				return
			}
			require.NotNil(t, p)
			p.Write(w, r)
			require.Equal(t, c.status, w.Code)
			require.Equal(t, "/x?y=1", problemOf(t, w)["instance"])
		})
	}
}

func TestSlowBody(t *testing.T) {
	s := httptest.NewServer(Handler(func(w http.ResponseWriter, r *http.Request) *Problem {
		_, p := ReadJSON(w, r, 100, 20*time.Millisecond)
		return p
	}))
	defer s.Close()
	conn, err := net.Dial("tcp", s.Listener.Addr().String())
	require.NoError(t, err)
	defer conn.Close()
	_, err = io.WriteString(conn, "POST / HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 10\r\n\r\n{")
	require.NoError(t, err)
	b, err := io.ReadAll(conn) // the server answers and closes
	require.NoError(t, err)
	require.Contains(t, string(b), "408 Request Timeout")
}

func TestProblem(t *testing.T) {
	w := httptest.NewRecorder()
	r := httptest.NewRequest("POST", "/v1/orders", nil)
	p := BadFields(BodyError("a/b~ c", "no"), QueryError("limit", "neither"))
	p.RetryAfter = 1200 * time.Millisecond
	p.With("orderId", "7").Write(w, r)
	got := problemOf(t, w)
	require.Equal(t, 422, w.Code)
	require.Equal(t, "2", w.Header().Get("Retry-After"))
	require.Equal(t, "7", got["orderId"])
	require.Equal(t, []any{
		map[string]any{"in": "body", "field": "a/b~ c", "pointer": "#/a~1b~0%20c", "detail": "no"},
		map[string]any{"in": "query", "field": "limit", "detail": "neither"},
	}, got["errors"])
}

func TestRouterAndMiddleware(t *testing.T) {
	reg := prometheus.NewRegistry()
	router := NewRouter()
	router.Use(Metrics(reg), Recover(quiet()))
	router.HandleFunc("/a/{id}", func(http.ResponseWriter, *http.Request) { panic("oh") }).Methods("GET")
	router.HandleFunc("/a/{id}", func(http.ResponseWriter, *http.Request) {}).Methods("DELETE")
	router.Handle("/metrics", MetricsHandler(reg))
	do := func(method, path string) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		router.ServeHTTP(w, httptest.NewRequest(method, path, nil))
		return w
	}
	w := do("GET", "/nowhere")
	require.Equal(t, 404, w.Code)
	problemOf(t, w)
	w = do("POST", "/a/1")
	require.Equal(t, 405, w.Code)
	require.Equal(t, "DELETE, GET", w.Header().Get("Allow"))
	problemOf(t, w)
	w = do("GET", "/a/1")
	require.Equal(t, 500, w.Code)
	problemOf(t, w)
	require.Equal(t, 200, do("DELETE", "/a/1").Code)
	metrics := do("GET", "/metrics").Body.String()
	require.Contains(t, metrics, `http_request_duration_seconds_count{method="GET",route="/a/{id}",status="500"} 1`)
	require.Contains(t, metrics, `http_request_duration_seconds_count{method="DELETE",route="/a/{id}",status="200"} 1`)
}

func TestHealth(t *testing.T) {
	var h Health
	var broken error
	h.Check("broker", func(context.Context) error { return broken })
	router := NewRouter()
	h.Route(router)
	get := func(path string) (int, string) {
		w := httptest.NewRecorder()
		router.ServeHTTP(w, httptest.NewRequest("GET", path, nil))
		return w.Code, w.Body.String()
	}
	code, _ := get("/readyz")
	require.Equal(t, 200, code)
	broken = errors.New("away")
	code, body := get("/readyz")
	require.Equal(t, 503, code)
	require.JSONEq(t, `{"status":"not ready","checks":{"broker":"away"}}`, body)
	broken = nil
	h.Drain()
	code, body = get("/readyz")
	require.Equal(t, 503, code)
	require.Contains(t, body, "draining")
	code, _ = get("/healthz")
	require.Equal(t, 200, code)
}

func TestServerDrains(t *testing.T) {
	started, finish := make(chan struct{}, 2), make(chan struct{})
	var h Health
	router := NewRouter()
	h.Route(router)
	router.HandleFunc("/wait", func(w http.ResponseWriter, r *http.Request) {
		started <- struct{}{}
		<-Draining(r.Context())
		io.WriteString(w, "drained")
	})
	router.HandleFunc("/work", func(w http.ResponseWriter, r *http.Request) {
		started <- struct{}{}
		<-finish
		if r.Context().Err() == nil {
			io.WriteString(w, "done")
		}
	})
	s := &Server{Handler: router, Health: &h, Log: quiet()}
	require.NoError(t, s.Listen("127.0.0.1:0"))
	other := &Server{Log: quiet()}
	require.ErrorContains(t, other.Listen(s.Addr()), "in use by another program")

	ctx, stop := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- s.Serve(ctx) }()
	answers := map[string]chan string{"/wait": make(chan string, 1), "/work": make(chan string, 1)}
	for path, ch := range answers {
		go func() {
			resp, err := http.Get("http://" + s.Addr() + path)
			if err != nil {
				ch <- err.Error()
				return
			}
			defer resp.Body.Close()
			b, _ := io.ReadAll(resp.Body)
			ch <- string(b)
		}()
	}
	<-started
	<-started
	stop()
	require.Equal(t, "drained", <-answers["/wait"])
	require.True(t, h.draining.Load())
	close(finish)
	require.Equal(t, "done", <-answers["/work"])
	require.NoError(t, <-served)
}
