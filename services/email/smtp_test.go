package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	netmail "net/mail"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	mail "github.com/wneessen/go-mail"

	"github.com/sidestream/sidestream/services/email/smtptest"
)

func smtpAt(t *testing.T, s *smtptest.Server) smtpSettings {
	host, port, err := net.SplitHostPort(s.Addr())
	require.NoError(t, err)
	n, err := strconv.Atoi(port)
	require.NoError(t, err)
	set := smtpSettings{
		host: host, port: n, security: "none", helo: "localhost", timeout: 10 * time.Second,
		from: &netmail.Address{Name: "Shop", Address: "shop@example.com"},
		tls:  &tls.Config{ServerName: host, MinVersion: tls.VersionTLS12},
	}
	if ca := s.CA(); ca != nil {
		set.tls.RootCAs = x509.NewCertPool()
		require.True(t, set.tls.RootCAs.AppendCertsFromPEM(ca))
	}
	return set
}

func sample() *letter {
	return newLetter("o-1", row{
		CustomerID: 15, Product: "UNDERPANTS", Quantity: 3, Price: 500, PaymentID: "Payment:1234", Amount: 100000, Currency: "CZK",
		FirstName: "Franz", LastName: "Kafka", Email: "franz@example.com", Level: "gold", Kind: "order",
	}, "example.com", time.UnixMilli(1_700_000_000_000))
}

// trySend is one attempt: connecting, and sending if that worked.
func trySend(t *testing.T, s smtpSettings) (outcome, error) {
	c, err := connect(t.Context(), s)
	if err != nil {
		return outcome{}, err
	}
	defer c.cut()
	w, no := c.offer(t.Context(), sample().To)
	if no != nil {
		return no.outcome, nil
	}
	o, _ := c.deliver(t.Context(), w, message(t, s))
	return o, nil
}

func message(t *testing.T, s smtpSettings) *mail.Msg {
	r, err := newRenderer(s.from)
	require.NoError(t, err)
	m, err := r.message(sample())
	require.NoError(t, err)
	return m
}

// What the server does at a step decides what is known about the mail.
func TestOutcomeOfEachStep(t *testing.T) {
	reply, hang := smtptest.Reply, smtptest.HangUp
	for _, c := range []struct {
		step  smtptest.Step
		do    smtptest.Action
		fails bool // no connection
		want  outcomeKind
		taken bool // whether the server has it
	}{
		{smtptest.Connect, hang(), true, 0, false},
		{smtptest.Connect, reply("421 not now"), true, 0, false},
		{smtptest.Connect, reply("554 go away"), true, 0, false},
		{smtptest.Hello, hang(), true, 0, false},
		{smtptest.Mail, hang(), false, failed, false},
		{smtptest.Mail, reply("451 later"), false, failed, false},
		{smtptest.Mail, reply("550 not you"), false, failed, false},
		{smtptest.Rcpt, hang(), false, failed, false},
		{smtptest.Rcpt, reply("450 mailbox busy"), false, failed, false},
		{smtptest.Rcpt, reply("550 no such mailbox"), false, rejected, false},
		{smtptest.Data, hang(), false, failed, false},
		{smtptest.Data, reply("451 later"), false, failed, false},
		{smtptest.Data, reply("554 no"), false, rejected, false},
		{smtptest.Dot, reply("452 full"), false, failed, false},
		{smtptest.Dot, reply("554 spam"), false, rejected, false},
		{smtptest.Dot, hang(), false, unknown, false},
		{smtptest.Taken, hang(), false, unknown, true},
	} {
		s := smtptest.Start(t, smtptest.Options{})
		s.At(c.step, 1, c.do)
		o, err := trySend(t, smtpAt(t, s))
		if c.fails {
			require.Error(t, err, "%s %v", c.step, c.do)
		} else {
			require.NoError(t, err, "%s %v", c.step, c.do)
			require.Equal(t, c.want, o.kind, "%s %v: %s", c.step, c.do, o.reason)
		}
		n := 0
		if c.taken {
			n = 1
		}
		require.Len(t, s.Mails(), n, "%s %v", c.step, c.do)
		s.Stop()
	}
}

// The making of a mail may break off when half of it is out. It must not be ended
// by a QUIT: the server would take the half.
func TestHalfAMailIsNotEnded(t *testing.T) {
	s := smtptest.Start(t, smtptest.Options{})
	c, err := connect(t.Context(), smtpAt(t, s))
	require.NoError(t, err)
	m := mail.NewMsg()
	require.NoError(t, m.From("shop@example.com"))
	require.NoError(t, m.To("franz@example.com"))
	m.SetBodyWriter(mail.TypeTextPlain, func(w io.Writer) (int64, error) {
		n, _ := w.Write([]byte("the first half"))
		return int64(n), errors.New("no more")
	})
	w, no := c.offer(t.Context(), "franz@example.com")
	require.Nil(t, no)
	o, again := c.deliver(t.Context(), w, m)
	require.Equal(t, failed, o.kind, o.reason)
	require.False(t, again)
	c.cut()
	s.Stop() // waits for the connection's end
	require.Empty(t, s.Mails())
}

func TestASlowServerIsNotWaitedForForEver(t *testing.T) {
	for _, step := range []smtptest.Step{smtptest.Connect, smtptest.Hello, smtptest.Mail, smtptest.Rcpt, smtptest.Data, smtptest.Dot} {
		s := smtptest.Start(t, smtptest.Options{})
		hold := make(chan struct{})
		s.At(step, 1, smtptest.WaitFor(hold))
		set := smtpAt(t, s)
		set.timeout = 200 * time.Millisecond
		o, err := trySend(t, set)
		if step == smtptest.Connect || step == smtptest.Hello {
			require.Error(t, err, step)
		} else if step == smtptest.Dot {
			require.Equal(t, unknown, o.kind)
		} else {
			require.Equal(t, failed, o.kind, step)
		}
		s.Stop()
	}
}

func TestEncryptionAndAuthentication(t *testing.T) {
	for security, opts := range map[string]smtptest.Options{
		"none":          {},
		"opportunistic": {OfferTLS: true, User: "shop", Password: "secret"},
		"starttls":      {OfferTLS: true, User: "shop", Password: "secret"},
		"tls":           {ImplicitTLS: true, User: "shop", Password: "secret"},
	} {
		s := smtptest.Start(t, opts)
		set := smtpAt(t, s)
		set.security, set.user, set.password = security, opts.User, opts.Password
		o, err := trySend(t, set)
		require.NoError(t, err, security)
		require.Equal(t, delivered, o.kind, "%s: %s", security, o.reason)
		if opts.User == "" {
			continue
		}
		require.Equal(t, 1, s.Seen(smtptest.Auth), security)
		set.password = "wrong"
		_, err = trySend(t, set)
		require.ErrorContains(t, err, "535", security)
		set.tls = &tls.Config{ServerName: set.host, MinVersion: tls.VersionTLS12}
		_, err = trySend(t, set)
		require.ErrorContains(t, err, "certificate", security)
	}
	plain := smtptest.Start(t, smtptest.Options{})
	set := smtpAt(t, plain)
	set.security = "starttls"
	_, err := trySend(t, set)
	require.ErrorContains(t, err, "STARTTLS")
	require.Zero(t, plain.Seen(smtptest.Mail), "nothing goes out unencrypted")
}

func TestAStopCutsASendOff(t *testing.T) {
	s := smtptest.Start(t, smtptest.Options{})
	hold := make(chan struct{})
	defer close(hold)
	s.At(smtptest.Taken, 1, smtptest.WaitFor(hold))
	c, err := connect(t.Context(), smtpAt(t, s))
	require.NoError(t, err)
	w, no := c.offer(t.Context(), "franz@example.com")
	require.Nil(t, no)
	ctx, cancel := context.WithCancel(t.Context())
	go func() { s.AwaitStep(smtptest.Taken, 1); cancel() }()
	o, again := c.deliver(ctx, w, message(t, smtpAt(t, s)))
	require.Equal(t, unknown, o.kind)
	require.False(t, again)
}

func TestARefusalLeavesTheConnectionUsable(t *testing.T) {
	s := smtptest.Start(t, smtptest.Options{})
	c, err := connect(t.Context(), smtpAt(t, s))
	require.NoError(t, err)
	defer c.cut()
	for _, step := range []smtptest.Step{smtptest.Mail, smtptest.Rcpt, smtptest.Data} {
		s.At(step, 1, smtptest.Reply("451 later"))
		_, no := c.offer(t.Context(), "franz@example.com")
		require.NotNil(t, no, step)
		require.True(t, no.again, step)
	}
	s.At(smtptest.Mail, 1, smtptest.Reply("421 closing"))
	_, no := c.offer(t.Context(), "franz@example.com")
	require.False(t, no.again)
	require.Equal(t, 1, s.Seen(smtptest.Connect))
}
