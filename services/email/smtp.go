package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/textproto"
	"time"

	mail "github.com/wneessen/go-mail"
	"github.com/wneessen/go-mail/smtp"
)

// outcome is how an attempt to send a mail ended.
type outcome struct {
	kind   outcomeKind
	reason string // for people; "" when delivered
}

type outcomeKind int

const (
	delivered  outcomeKind = iota // the server answered 250 to the mail
	rejected                      // the server said no for good (5xx)
	failed                        // surely not taken: try again
	unknown                       // the mail was out, its answer never came
	notStarted                    // the server never saw anything of it
)

// String names the outcome in the metrics.
func (k outcomeKind) String() string {
	return [...]string{"delivered", "rejected", "failed", "unknown", "not-started"}[k]
}

// connection is one to the SMTP server, ready for a mail. One goroutine uses it.
type connection struct {
	settings smtpSettings
	client   *mail.Client
	smtp     *smtp.Client
	raw      net.Conn
}

// connect connects, encrypts and authenticates, all within the timeout.
func connect(ctx context.Context, s smtpSettings) (*connection, error) {
	c := &connection{settings: s}
	opts := []mail.Option{
		mail.WithPort(s.port), mail.WithTimeout(s.timeout), mail.WithHELO(s.helo), mail.WithTLSConfig(s.tls),
		mail.WithDialContextFunc(c.dial),
	}
	auth := mail.SMTPAuthAutoDiscover
	switch s.security {
	case "none":
		opts = append(opts, mail.WithTLSPolicy(mail.NoTLS))
	case "tls":
		// dial encrypts from the first byte on, of which the client knows nothing.
		opts = append(opts, mail.WithTLSPolicy(mail.NoTLS))
		auth = mail.SMTPAuthPlain
	case "starttls":
		opts = append(opts, mail.WithTLSPolicy(mail.TLSMandatory))
	default:
		opts = append(opts, mail.WithTLSPolicy(mail.TLSOpportunistic))
	}
	if s.user != "" {
		opts = append(opts, mail.WithSMTPAuth(auth), mail.WithUsername(s.user), mail.WithPassword(s.password))
	}
	var err error
	if c.client, err = mail.NewClient(s.host, opts...); err != nil {
		return nil, err
	}
	if c.smtp, err = c.client.DialToSMTPClientWithContext(ctx); err != nil {
		c.cut()
		return nil, err
	}
	return c, nil
}

// dial bounds everything until the next deadline is set, and not the connecting
// alone: a server that says nothing must not hold a worker for ever.
func (c *connection) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	var d interface {
		DialContext(ctx context.Context, network, addr string) (net.Conn, error)
	} = &net.Dialer{}
	if c.settings.security == "tls" {
		d = &tls.Dialer{Config: c.settings.tls}
	}
	conn, err := d.DialContext(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	c.raw = conn
	return conn, conn.SetDeadline(time.Now().Add(c.settings.timeout))
}

// usable asks the server whether it is still there.
func (c *connection) usable() bool {
	return c.smtp.UpdateDeadline(c.settings.timeout) == nil && c.smtp.Noop() == nil
}

// cut ends the connection without a word. A QUIT would first end a mail that is
// only half out, and the server would take it.
func (c *connection) cut() {
	if c.raw != nil {
		_ = c.raw.Close() // there is nothing left to lose on it
	}
}

// quit ends the connection politely.
func (c *connection) quit() {
	_ = c.smtp.UpdateDeadline(time.Second)
	_ = c.smtp.Quit()
	c.cut()
}

// refusal is an answer or an error before the text of a mail is out: the server
// has not taken it. The connection is of use afterwards when again is true.
type refusal struct {
	outcome
	again bool
}

// offer asks the server to take a mail, up to the point where it waits for the
// text; nil: it does. Then comes deliver, or the connection is cut.
//
// A sender that is refused is the shop's trouble and not that of the mail: it may
// be cured, so it is tried again.
func (c *connection) offer(ctx context.Context, to string) (io.WriteCloser, *refusal) {
	stop := context.AfterFunc(ctx, c.cut)
	defer stop()
	if err := c.smtp.UpdateDeadline(c.settings.timeout); err != nil {
		return nil, &refusal{outcome{failed, "SMTP: " + err.Error()}, false}
	}
	if err := c.smtp.Mail(path(c.settings.from.Address)); err != nil {
		return nil, c.refused("MAIL FROM", err, false)
	}
	if err := c.smtp.Rcpt(path(to)); err != nil {
		return nil, c.refused("RCPT TO", err, true)
	}
	w, err := c.smtp.Data()
	if err != nil {
		return nil, c.refused("DATA", err, true)
	}
	return w, nil
}

// path is an address as SMTP's commands have it.
func path(address string) string { return "<" + address + ">" }

// refused tells what an error before the text means.
func (c *connection) refused(step string, err error, final bool) *refusal {
	r := &refusal{outcome: outcome{failed, step + ": " + words(err)}}
	code := answered(err)
	if final && code >= 500 {
		r.kind = rejected
	}
	r.again = code != 0 && code != 421 && c.smtp.Reset() == nil
	return r
}

// words are an error's for people: the server's own, where it answered.
func words(err error) string {
	var e *textproto.Error
	if errors.As(err, &e) {
		return fmt.Sprintf("%d %s", e.Code, line(e.Msg))
	}
	return err.Error()
}

// answered is the code of the server's answer that an error is, 0 for none.
func answered(err error) int {
	var e *textproto.Error
	if errors.As(err, &e) && e.Code >= 400 {
		return e.Code
	}
	return 0
}

// deliver sends the text of a mail that was offered. Until the line with the dot
// that ends it, the server must not take it; its answer to that line is the one
// thing that can be missed. When ctx ends, the connection is cut.
func (c *connection) deliver(ctx context.Context, w io.WriteCloser, m *mail.Msg) (o outcome, again bool) {
	stop := context.AfterFunc(ctx, c.cut)
	defer stop()
	if _, err := m.WriteTo(w); err != nil {
		return outcome{failed, "the text: " + err.Error()}, false
	}
	err := w.Close()
	code := answered(err)
	switch {
	case err == nil:
		return outcome{kind: delivered}, true
	case code == 0:
		return outcome{unknown, "no answer to the mail (" + err.Error() + ")"}, false
	case code >= 500:
		return outcome{rejected, "the mail: " + words(err)}, true
	}
	return outcome{failed, "the mail: " + words(err)}, code != 421
}
