package main

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/uuid"

	"github.com/sidestream/sidestream/services/internal/order"
	"github.com/sidestream/sidestream/services/internal/web"
)

// Limits of what a client may send.
const (
	maxProduct        = 256     // bytes
	maxIdempotencyKey = 255     // bytes
	maxWait           = 60_000  // ms
	defaultWait       = 10_000  // ms, of a GET …/validated
	maxPage           = 500     // orders
	defaultPage       = 50      // orders
	maxBody           = 1 << 16 // bytes, unless MAX_BODY says otherwise
)

// badID says what is wrong with an order id, or "". An id is a path segment
// and an SQL literal, and must not be mistaken for another path.
func badID(id string) string {
	if id == "events" || id == "validated" {
		return fmt.Sprintf("is %q, which means something else in a path", id)
	}
	return order.BadID(id)
}

// parseOrder reads the body of a POST. Every member is checked, and the problem
// names all that are wrong. What the members say is the validators' matter: a
// quantity of -1 is an order that fails its details check.
func parseOrder(b []byte) (order.Order, *web.Problem) {
	malformed := func(detail string) *web.Problem {
		return &web.Problem{Code: "malformed", Status: http.StatusBadRequest, Detail: detail}
	}
	var o order.Order
	if len(bytes.TrimSpace(b)) == 0 {
		return o, malformed("The body is empty: send an order as JSON.")
	}
	var errs []web.FieldError
	bad := func(field, format string, args ...any) {
		errs = append(errs, web.BodyError(field, fmt.Sprintf(format, args...)))
	}
	seen := map[string]bool{}
	d := jsontext.NewDecoder(bytes.NewReader(b))
	syntax := func(err error) *web.Problem {
		if errors.Is(err, jsontext.ErrDuplicateName) {
			return malformed(fmt.Sprintf("The body names a member twice: %v.", err))
		}
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return malformed("The body isn't complete JSON: it ends too early.")
		}
		return malformed(fmt.Sprintf("The body isn't JSON: %v.", err))
	}
	if d.PeekKind() != '{' {
		v, err := d.ReadValue()
		if err != nil {
			return o, syntax(err)
		}
		return o, web.BadFields(web.BodyError("", fmt.Sprintf("must be a JSON object, is %s", kindName(v.Kind()))))
	}
	if _, err := d.ReadToken(); err != nil {
		return o, syntax(err)
	}
	for d.PeekKind() != '}' {
		t, err := d.ReadToken()
		if err != nil {
			return o, syntax(err)
		}
		name := t.String()
		kind := d.PeekKind()
		raw, err := d.ReadValue()
		if err != nil {
			return o, syntax(err)
		}
		seen[name] = true
		setMember(&o, name, kind, raw, bad)
	}
	if _, err := d.ReadToken(); err != nil {
		return o, syntax(err)
	}
	if _, err := d.ReadToken(); !errors.Is(err, io.EOF) {
		return o, malformed("The body goes on behind the order: send one JSON object.")
	}
	for _, name := range []string{"customerId", "product", "quantity", "price"} {
		if !seen[name] {
			bad(name, "is missing")
		}
	}
	if len(errs) > 0 {
		return o, web.BadFields(errs...)
	}
	return o, nil
}

func setMember(o *order.Order, name string, kind jsontext.Kind, raw jsontext.Value, bad func(field, format string, args ...any)) {
	want := func(k jsontext.Kind, what string) bool {
		if kind != k {
			bad(name, "must be %s, is %s", what, kindName(kind))
		}
		return kind == k
	}
	whole := func(bits int) int64 {
		if !want('0', "a whole number") {
			return 0
		}
		n, err := strconv.ParseInt(string(raw), 10, bits)
		if err != nil {
			if errors.Is(err, strconv.ErrRange) {
				bad(name, "%s doesn't fit in %d bits", raw, bits)
			} else {
				bad(name, "must be a whole number without exponent, is %s", raw)
			}
		}
		return n
	}
	text := func() string {
		if !want('"', "text") {
			return ""
		}
		s, _ := jsontext.AppendUnquote(nil, []byte(raw)) // the decoder has seen that it is right
		return string(s)
	}
	switch name {
	case "id":
		if o.ID = text(); kind == '"' {
			if problem := badID(o.ID); problem != "" {
				bad(name, "%s", problem)
			}
		}
	case "customerId":
		o.CustomerID = whole(64)
	case "product":
		if o.Product = text(); len(o.Product) > maxProduct {
			bad(name, "is longer than %d bytes", maxProduct)
		}
	case "quantity":
		o.Quantity = int32(whole(32))
	case "price":
		if want('0', "a number") {
			var err error
			if o.Price, err = order.ParseMoney(string(raw)); err != nil {
				bad(name, "%v", err)
			}
		}
	case "state", "version", "reasons":
		bad(name, "can't be set by a client")
	default:
		for _, known := range []string{"id", "customerId", "product", "quantity", "price"} {
			if strings.EqualFold(name, known) {
				bad(name, "is unknown; did you mean %s?", known)
				return
			}
		}
		bad(name, "is unknown; an order has id, customerId, product, quantity and price")
	}
}

func kindName(k jsontext.Kind) string {
	switch k {
	case 'n':
		return "null"
	case 't', 'f':
		return "a boolean"
	case '"':
		return "text"
	case '0':
		return "a number"
	case '[':
		return "an array"
	default:
		return "an object"
	}
}

// keyNamespace makes ids of Idempotency-Keys (UUID, version 5).
var keyNamespace = uuid.MustParse("0197b7b4-6f0e-7cc1-9d5e-3f1c58a1d0b7")

// idempotencyKey reads the header and returns the id that it stands for, or ""
// without one.
func idempotencyKey(h http.Header) (string, *web.Problem) {
	values := h.Values("Idempotency-Key")
	if len(values) == 0 {
		return "", nil
	}
	bad := func(detail string) (string, *web.Problem) {
		return "", web.BadParameters(web.FieldError{In: "header", Field: "Idempotency-Key", Detail: detail})
	}
	key := values[0]
	switch {
	case len(values) > 1:
		return bad("is there more than once")
	case key == "":
		return bad("is empty")
	case len(key) > maxIdempotencyKey:
		return bad(fmt.Sprintf("is longer than %d characters", maxIdempotencyKey))
	case strings.ContainsFunc(key, func(c rune) bool { return c < ' ' || c > '~' }):
		return bad("has characters outside of printable ASCII")
	}
	return uuid.NewSHA1(keyNamespace, []byte(key)).String(), nil
}

// params reads query parameters and gathers what is wrong with them.
type params struct {
	values url.Values
	errs   []web.FieldError
}

// query reads the request's parameters; those not in known are errors.
func query(r *http.Request, known ...string) *params {
	p := &params{}
	if r.URL.RawQuery == "" {
		return p
	}
	var err error
	if p.values, err = url.ParseQuery(r.URL.RawQuery); err != nil {
		p.bad("", "the query can't be read: "+err.Error())
	}
	for name, v := range p.values {
		ok := false
		for _, k := range known {
			ok = ok || k == name
		}
		switch {
		case !ok && len(known) == 0:
			p.bad(name, "is unknown: this request takes no parameters")
		case !ok:
			p.bad(name, "is unknown: this request takes "+strings.Join(known, ", "))
		case len(v) > 1:
			p.bad(name, "is there more than once")
		}
	}
	return p
}

func (p *params) bad(name, detail string) { p.errs = append(p.errs, web.QueryError(name, detail)) }

func (p *params) problem() *web.Problem {
	if len(p.errs) == 0 {
		return nil
	}
	return web.BadParameters(p.errs...)
}

// whole reads a number from lo to hi.
func (p *params) whole(name string, lo, hi, missing int) int {
	if !p.values.Has(name) {
		return missing
	}
	n, err := strconv.Atoi(p.values.Get(name))
	if err != nil || n < lo || n > hi {
		p.bad(name, fmt.Sprintf("must be a whole number from %d to %d, is %q", lo, hi, p.values.Get(name)))
		return missing
	}
	return n
}

// timeout reads the time to wait, in milliseconds.
func (p *params) timeout(missing int) time.Duration {
	return time.Duration(p.whole("timeout", 0, maxWait, missing)) * time.Millisecond
}

// filter reads the parameters of a listing.
func (p *params) filter() filter {
	f := filter{limit: p.whole("limit", 1, maxPage, defaultPage)}
	if p.values.Has("customerId") {
		n, err := strconv.ParseInt(p.values.Get("customerId"), 10, 64)
		if err != nil {
			p.bad("customerId", fmt.Sprintf("must be a whole number of 64 bits, is %q", p.values.Get("customerId")))
		}
		f.customerID = &n
	}
	if p.values.Has("state") {
		f.state = order.State(strings.ToUpper(p.values.Get("state")))
		if !f.state.Valid() {
			p.bad("state", fmt.Sprintf("must be CREATED, VALIDATED, FAILED or SHIPPED, is %q", p.values.Get("state")))
		}
	}
	if p.values.Has("cursor") {
		id, err := base64.RawURLEncoding.DecodeString(p.values.Get("cursor"))
		if err != nil || !utf8.Valid(id) || badID(string(id)) != "" {
			p.bad("cursor", "isn't one that this service gave: take it from nextCursor of the page before")
		}
		f.after = string(id)
	}
	return f
}

func cursorOf(id string) string { return base64.RawURLEncoding.EncodeToString([]byte(id)) }
