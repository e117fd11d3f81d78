package main

import (
	"bytes"
	netmail "net/mail"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sidestream/sidestream/services/email/smtptest"
)

func rendered(t *testing.T, change func(*row)) smtptest.Message {
	r, err := newRenderer(&netmail.Address{Name: "Shop", Address: "shop@example.com"})
	require.NoError(t, err)
	r.now = func() time.Time { return time.UnixMilli(1_700_000_000_000) }
	l := sample()
	change(l.Row)
	l.Kind = l.Row.Kind
	m, err := r.message(l)
	require.NoError(t, err)
	var b bytes.Buffer
	_, err = m.WriteTo(&b)
	require.NoError(t, err)
	return smtptest.Message{Raw: b.Bytes()}
}

func TestMail(t *testing.T) {
	m := rendered(t, func(*row) {})
	require.Equal(t, "Your order o-1: 3 × UNDERPANTS", m.Header("Subject"))
	require.Equal(t, `"Franz Kafka" <franz@example.com>`, m.Header("To"))
	require.Equal(t, `"Shop" <shop@example.com>`, m.Header("From"))
	require.Equal(t, "<"+messageID("o-1", "example.com")+">", m.Header("Message-ID"))
	require.Equal(t, "o-1", m.OrderID())
	require.Equal(t, "auto-generated", m.Header("Auto-Submitted"))
	for _, media := range []string{"text/plain", "text/html"} {
		body := m.Part(media)
		for _, want := range []string{"o-1", "3 × UNDERPANTS at 5.00", "1000.00 CZK", "Payment:1234", "Hello Franz,"} {
			if media == "text/html" && want == "3 × UNDERPANTS at 5.00" {
				want = "3 × UNDERPANTS</td><td>at 5.00"
			}
			require.Contains(t, body, want, media)
		}
	}
}

func TestMessageIDIsTheSameEachTime(t *testing.T) {
	// The Node.js emailer makes the same: a mail that one of them left in doubt is
	// known by it when the other sends it again.
	require.Equal(t, "order-70559761390a7c2d7877b260@example.com", messageID("o-1", "example.com"))
	require.NotEqual(t, messageID("o-1", "example.com"), messageID("o-2", "example.com"))
}

func TestPlatinumMail(t *testing.T) {
	m := rendered(t, func(r *row) { r.Kind = "platinum" })
	require.Equal(t, "Platinum: your order o-1 goes first", m.Header("Subject"))
	require.Contains(t, m.Part("text/plain"), "as a platinum customer you come first")
	require.Contains(t, m.Part("text/html"), "<strong>platinum</strong>")
}

func TestAKindWithoutATemplateIsOrdinary(t *testing.T) {
	m := rendered(t, func(r *row) { r.Kind = "../stats" })
	require.Equal(t, "Your order o-1: 3 × UNDERPANTS", m.Header("Subject"))
}

func TestMarkupInNamesIsEscaped(t *testing.T) {
	m := rendered(t, func(r *row) {
		r.FirstName, r.Product = `<script>alert("x")</script>`, `SOCKS & <b>SHOES</b>`
	})
	html := m.Part("text/html")
	require.NotContains(t, html, "<script>")
	require.NotContains(t, html, "<b>SHOES")
	require.Contains(t, html, "&lt;script&gt;")
	require.Contains(t, html, "SOCKS &amp; &lt;b&gt;")
	require.Contains(t, m.Part("text/plain"), `<script>alert("x")</script>`, "plain text is no markup")
}

func TestLineEndsMakeNoHeaders(t *testing.T) {
	m := rendered(t, func(r *row) {
		r.FirstName = "Eve\r\nBcc: all@example.com\r\n\r\nbody"
		r.Product = "HATS\r\nX-Injected: yes"
	})
	require.Empty(t, m.Header("Bcc"))
	require.Empty(t, m.Header("X-Injected"))
	to, err := netmail.ParseAddress(m.Header("To"))
	require.NoError(t, err)
	require.Equal(t, "Eve Bcc: all@example.com body Kafka", to.Name)
	require.Equal(t, "franz@example.com", to.Address)
}

func TestAddresses(t *testing.T) {
	for text, want := range map[string]string{"a@b.example": "a@b.example", "  a@b.example ": "a@b.example"} {
		got, err := address(text)
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	for _, text := range []string{"", " ", "a", "a@", "@b", "a@b\r\nBcc: c@d", "A <a@b.example>", "a@b.example, c@d.example", "a b@c.example"} {
		_, err := address(text)
		require.Error(t, err, text)
	}
}
