package web

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/time/rate"
)

// Auth checks bearer tokens: JWTs that the issuer has signed for this audience.
// Nothing is asked of the issuer but its keys, when they are first needed and
// when a token names one that isn't known.
type Auth struct {
	// Issuer is who must have signed (iss), as an OpenID Connect issuer's URL.
	// Without JWKS its discovery document says where the keys are.
	Issuer string
	// JWKS is the URL of the keys; "" asks the issuer's discovery document.
	JWKS string
	// Audience must be among the token's (aud).
	Audience string
	// ReadScope and WriteScope must be among the token's (scope or scp), for GET
	// and HEAD and for everything else; "" asks for none.
	ReadScope, WriteScope string
	// Realm names the service in WWW-Authenticate.
	Realm string
	Log   *slog.Logger

	mu   sync.Mutex
	keys oidc.KeySet
	http *http.Client
}

// Identity is who sends a request.
type Identity struct {
	Subject string
	Scopes  []string
	Expires time.Time // of the token
}

type identityKey struct{}

// IdentityOf is who sent the request, by an Auth before it; nil where none was
// asked for.
func IdentityOf(ctx context.Context) *Identity {
	id, _ := ctx.Value(identityKey{}).(*Identity)
	return id
}

// signatures are those that a token may have: no shared secrets, and never none.
var signatures = []string{oidc.RS256, oidc.RS384, oidc.RS512, oidc.ES256, oidc.ES384, oidc.ES512, oidc.PS256, oidc.PS384, oidc.PS512, oidc.EdDSA}

// Check finds out who sends a request. Problems are 401, 403 and, where the keys
// can't be had, 503. No message and no log has the token.
func (a *Auth) Check(r *http.Request) (*Identity, *Problem) {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if scheme == "" {
		return nil, a.refuse("", "Send a token: Authorization: Bearer ….")
	}
	if token = strings.TrimSpace(token); !strings.EqualFold(scheme, "Bearer") || token == "" {
		return nil, a.refuse("invalid_request", "The Authorization header isn't of the form: Bearer ….")
	}
	ctx, cancel := context.WithTimeout(r.Context(), 5*time.Second)
	defer cancel()
	keys, err := a.keySet(ctx)
	if err != nil {
		return nil, a.away(err)
	}
	verifier := oidc.NewVerifier(a.Issuer, keys, &oidc.Config{ClientID: a.Audience, SupportedSigningAlgs: signatures})
	verified, err := verifier.Verify(ctx, token)
	if err != nil {
		if unreachable(err) {
			return nil, a.away(err)
		}
		return nil, a.refuse("invalid_token", refusal(err))
	}
	var claims struct {
		Scope json.RawMessage `json:"scope"`
		SCP   json.RawMessage `json:"scp"`
	}
	if err := verified.Claims(&claims); err != nil {
		return nil, a.refuse("invalid_token", "The token's claims can't be read.")
	}
	id := &Identity{Subject: verified.Subject, Expires: verified.Expiry, Scopes: append(scopes(claims.Scope), scopes(claims.SCP)...)}
	if id.Subject == "" {
		return nil, a.refuse("invalid_token", "The token names nobody (sub).")
	}
	need := a.WriteScope
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		need = a.ReadScope
	}
	if need != "" && !slices.Contains(id.Scopes, need) {
		p := a.refuse("insufficient_scope", fmt.Sprintf("The token doesn't allow this: it needs the scope %s.", need))
		p.Code, p.Status = "forbidden", http.StatusForbidden
		return nil, p
	}
	return id, nil
}

// scopes are a list, or one text with blanks between them.
func scopes(raw json.RawMessage) []string {
	var list []string
	if json.Unmarshal(raw, &list) == nil {
		return list
	}
	var text string
	_ = json.Unmarshal(raw, &text) // anything else gives no scope
	return strings.Fields(text)
}

// refusal words why a token isn't taken, without what stands in it.
func refusal(err error) string {
	var expired *oidc.TokenExpiredError
	switch text := err.Error(); {
	case errors.As(err, &expired):
		return "The token has expired: get a new one."
	case strings.Contains(text, "different provider"):
		return "The token is of another issuer."
	case strings.Contains(text, "expected audience"):
		return "The token is for another audience."
	case strings.Contains(text, "before the nbf"):
		return "The token isn't valid yet."
	case strings.Contains(text, "malformed"):
		return "The token isn't a JWT."
	}
	return "The token's signature isn't one of the issuer's."
}

// refuse is a 401 with what RFC 6750 wants in WWW-Authenticate.
func (a *Auth) refuse(code, detail string) *Problem {
	challenge := fmt.Sprintf("Bearer realm=%q", a.Realm)
	if code != "" {
		challenge += fmt.Sprintf(", error=%q, error_description=%q", code, detail)
	}
	return &Problem{Code: "unauthorized", Status: http.StatusUnauthorized, Detail: detail, Header: http.Header{"Www-Authenticate": {challenge}}}
}

func (a *Auth) away(err error) *Problem {
	a.Log.Warn("the token issuer's keys can't be had", "issuer", a.Issuer, "error", err)
	return Unavailable("Tokens can't be checked now: the issuer's keys can't be had. Try again.")
}

// errAway marks that the issuer's server couldn't be asked.
var errAway = errors.New("the issuer doesn't answer")

// unreachable tells an issuer that is away from a token that is wrong.
func unreachable(err error) bool {
	// go-oidc has no type for it: its own words come first.
	return errors.Is(err, errAway) || strings.Contains(err.Error(), "fetching keys")
}

// keySet gives the keys, and asks the discovery document for their place at
// first. What failed is tried again with the next request.
func (a *Auth) keySet(ctx context.Context) (oidc.KeySet, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.keys != nil {
		return a.keys, nil
	}
	if a.http == nil {
		a.http = &http.Client{Timeout: 5 * time.Second, Transport: &patient{next: http.DefaultTransport, limit: rate.NewLimiter(rate.Every(2*time.Second), 5)}}
	}
	at := a.JWKS
	if at == "" {
		provider, err := oidc.NewProvider(oidc.ClientContext(ctx, a.http), a.Issuer)
		if err != nil {
			return nil, err
		}
		var doc struct {
			JWKS string `json:"jwks_uri"`
		}
		if err := provider.Claims(&doc); err != nil || doc.JWKS == "" {
			return nil, fmt.Errorf("the discovery document of %s names no keys: %w", a.Issuer, err)
		}
		at = doc.JWKS
	}
	// The set lives longer than the request.
	a.keys = oidc.NewRemoteKeySet(oidc.ClientContext(context.Background(), a.http), at)
	return a.keys, nil
}

// patient bounds how often the issuer is asked: each token with a key that isn't
// known would have the keys fetched again.
type patient struct {
	next  http.RoundTripper
	limit *rate.Limiter
}

func (p *patient) RoundTrip(r *http.Request) (*http.Response, error) {
	if !p.limit.Allow() {
		return nil, fmt.Errorf("%w: it was asked a moment ago", errAway)
	}
	resp, err := p.next.RoundTrip(r)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errAway, err)
	}
	return resp, nil
}
