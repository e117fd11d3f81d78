package web

import (
	"context"
	"net/http"

	"github.com/gorilla/mux"
)

// Guard is what a request must pass before a handler sees it: who sends it, and
// whether that one sends too much.
type Guard struct {
	Auth *Auth // nil: everybody may
	Rate *Rate // nil: any number
	// Proxies of one's own before the service (ClientIP).
	Proxies int
	// Open are the paths that need neither (/healthz, /metrics).
	Open []string
}

type clientKey struct{}

// ClientOf names who sent a request that passed a Guard: the token's subject, or
// where no token is asked for, the address.
func ClientOf(ctx context.Context) string {
	name, _ := ctx.Value(clientKey{}).(string)
	return name
}

// Middleware guards all routes of a router but the open ones.
func (g *Guard) Middleware() mux.MiddlewareFunc {
	open := map[string]bool{}
	for _, p := range g.Open {
		open[p] = true
	}
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if open[r.URL.Path] {
				next.ServeHTTP(w, r)
				return
			}
			ctx, p := g.pass(r)
			if p != nil {
				p.Write(w, r)
				return
			}
			next.ServeHTTP(w, r.WithContext(ctx))
		})
	}
}

func (g *Guard) pass(r *http.Request) (context.Context, *Problem) {
	ctx, client := r.Context(), "ip:"+ClientIP(r, g.Proxies)
	if g.Auth != nil {
		// Tokens that aren't taken count against the address, so that nobody can
		// try them without end; those that are count against their subject.
		if p := g.Rate.Spent(client); p != nil {
			return nil, p
		}
		id, p := g.Auth.Check(r)
		if p != nil {
			_ = g.Rate.Take(client)
			return nil, p
		}
		ctx, client = context.WithValue(ctx, identityKey{}, id), "sub:"+id.Subject
	}
	if p := g.Rate.Take(client); p != nil {
		return nil, p
	}
	return context.WithValue(ctx, clientKey{}, client), nil
}
