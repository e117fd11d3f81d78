package web

import (
	"net"
	"net/http"
	"strings"
)

// Headers sets the headers that keep browsers from doing more with an answer
// than it is for. A handler that serves a page puts its own
// Content-Security-Policy in the place of the one that allows nothing.
func Headers(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		if r.TLS != nil || strings.EqualFold(r.Header.Get("X-Forwarded-Proto"), "https") {
			h.Set("Strict-Transport-Security", "max-age=31536000") // browsers heed it over TLS only
		}
		next.ServeHTTP(w, r)
	})
}

// ClientIP is the address that a request comes from. proxies is how many proxies
// of one's own stand before the service, each of which adds to X-Forwarded-For
// where it was called from; what stands further left there was written by
// whoever called, and isn't believed.
func ClientIP(r *http.Request, proxies int) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		host = r.RemoteAddr
	}
	if proxies <= 0 {
		return host
	}
	var hops []string
	for _, line := range r.Header.Values("X-Forwarded-For") {
		for hop := range strings.SplitSeq(line, ",") {
			hops = append(hops, strings.TrimSpace(hop))
		}
	}
	if len(hops) < proxies {
		return host // it came another way than through all of them
	}
	hop := hops[len(hops)-proxies]
	if net.ParseIP(hop) == nil {
		return host
	}
	return hop
}
