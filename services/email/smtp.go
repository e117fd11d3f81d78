package main

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"strings"
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
		mail.WithoutNoop(), // usable asks before the mail is on record as being sent
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

// send gives the mail to the server. The connection is of use afterwards when
// again is true. When ctx ends, the connection is cut.
func (c *connection) send(ctx context.Context, m *mail.Msg) (o outcome, again bool) {
	stop := context.AfterFunc(ctx, c.cut)
	defer stop()
	err := c.client.SendWithSMTPClient(c.smtp, m)
	if m.IsDelivered() {
		return outcome{kind: delivered}, err == nil
	}
	if err == nil {
		return outcome{failed, "the mail client did nothing"}, false
	}
	return classify(err)
}

// classify tells what an error means for the mail. Until the line with the dot
// that ends it, the server must not take it; its answer to that line is the one
// thing that can be missed. A sender that is refused is the shop's trouble and
// not that of the mail: it may be cured, so it is tried again.
func classify(err error) (o outcome, again bool) {
	var e *mail.SendError
	if !errors.As(err, &e) {
		return outcome{failed, err.Error()}, false
	}
	code := e.ErrorCode()
	answered := code >= 400
	reason, _, _ := strings.Cut(err.Error(), ", affected ")
	switch e.Reason {
	case mail.ErrSMTPDataClose:
		if !answered {
			return outcome{unknown, "no answer to the mail (" + reason + ")"}, false
		}
		if code >= 500 {
			return outcome{rejected, reason}, true
		}
	case mail.ErrSMTPRcptTo, mail.ErrSMTPData:
		if code >= 500 {
			return outcome{rejected, reason}, true
		}
	case mail.ErrGetSender, mail.ErrGetRcpts:
		return outcome{rejected, reason}, false
	}
	return outcome{failed, reason}, answered && code != 421
}
