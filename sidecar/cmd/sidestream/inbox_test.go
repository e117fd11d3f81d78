package main

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestInbox(t *testing.T) {
	away := false
	mailpit := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case away:
			w.WriteHeader(http.StatusServiceUnavailable)
		case r.URL.Path == "/api/v1/messages":
			require.Equal(t, "50", r.URL.Query().Get("limit"))
			fmt.Fprintf(w, `{"total":120,"start":%s,"messages":[{"ID":"abc","Subject":"Order <b>1</b>","Created":"2026-01-02T03:04:05Z","To":[{"Name":"F","Address":"f@example.com"}]}]}`, r.URL.Query().Get("start"))
		default:
			fmt.Fprint(w, "mailpit: ", r.URL.Path)
		}
	}))
	defer mailpit.Close()
	at, err := url.Parse(mailpit.URL)
	require.NoError(t, err)
	page := httptest.NewServer(newInbox(at))
	defer page.Close()
	get := func(path string) (int, string) {
		resp, err := http.Get(page.URL + path)
		require.NoError(t, err)
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		return resp.StatusCode, string(b)
	}
	status, body := get("/")
	require.Equal(t, 200, status)
	require.Contains(t, body, "120 mails.")
	require.Contains(t, body, `<a href="/view/abc.html">Order &lt;b&gt;1&lt;/b&gt;</a>`)
	require.Contains(t, body, `href="/?start=1" rel="next"`)
	require.NotContains(t, body, `rel="prev"`)
	_, body = get("/?start=60")
	require.Contains(t, body, `href="/?start=10" rel="prev"`)
	_, body = get("/view/abc.html")
	require.Equal(t, "mailpit: /view/abc.html", body)
	_, body = get("/readyz")
	require.Equal(t, "mailpit: /readyz", body)
	away = true
	status, body = get("/")
	require.Equal(t, 502, status)
	require.Contains(t, body, "Mailpit doesn't answer")
}
