// Package web is what the thin halves' HTTP servers share.
//
//	request ──► Router (mux; 404 and 405 as problems)
//	              ──► Metrics (count, time, in flight, by route template)
//	              ──► Recover (a panic is a problem, logged once)
//	              ──► handler ── ReadJSON (media type, size, time) ── Problem (RFC 9457)
//
// Beside it: Health (/healthz, /readyz) and Server (listen, drain).
package web
