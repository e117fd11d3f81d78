package main

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestWhatAnAttemptLeaves(t *testing.T) {
	begin := time.UnixMilli(1_700_000_000_000)
	hold := policy{retryMin: time.Second, retryMax: 10 * time.Second, retryFor: time.Hour}
	resend := hold
	resend.resend = true
	for name, c := range map[string]struct {
		o      outcome
		p      policy
		after  time.Duration
		want   status
		reason string
	}{
		"delivered":             {outcome{delivered, ""}, hold, 0, sent, ""},
		"rejected":              {outcome{rejected, "550"}, hold, 0, refused, "550"},
		"failed":                {outcome{failed, "451"}, hold, 0, queued, "451"},
		"failed for too long":   {outcome{failed, "451"}, hold, 2 * time.Hour, held, "not sent within 1h0m0s; last: 451"},
		"unknown, hold":         {outcome{unknown, "gone"}, hold, 0, held, "gone; it may have been delivered, look for its Message-ID before you send it"},
		"unknown, resend":       {outcome{unknown, "gone"}, resend, 0, queued, "gone"},
		"delivered, resend too": {outcome{delivered, ""}, resend, 0, sent, ""},
		"not started":           {outcome{notStarted, ""}, hold, 0, queued, ""},
	} {
		l := sample()
		l.Status, l.Attempt, l.Attempts = sending, "x/1", 3
		now := begin.Add(c.after)
		l.settle(c.o, c.p, now)
		require.Equal(t, c.want, l.Status, name)
		require.Equal(t, c.reason, l.Reason, name)
		require.Empty(t, l.Attempt, name)
		require.Equal(t, c.want == sent, l.Row == nil, "%s: what is needed to send it is kept until then", name)
		if c.want == sent {
			require.Equal(t, now.UnixMilli(), *l.SentAt)
		}
		if c.want == queued && c.o.kind != notStarted {
			require.Equal(t, now.Add(4*time.Second).UnixMilli(), l.RetryAt, name)
		}
	}
}

func TestPausesGrow(t *testing.T) {
	p := policy{retryMin: time.Second, retryMax: 5 * time.Second}
	var got []time.Duration
	for n := 1; n <= 5; n++ {
		got = append(got, p.pause(n))
	}
	require.Equal(t, []time.Duration{time.Second, 2 * time.Second, 4 * time.Second, 5 * time.Second, 5 * time.Second}, got)
}

func TestLetterRoundTrip(t *testing.T) {
	l := sample()
	got, err := decodeLetter(l.encode())
	require.NoError(t, err)
	require.Equal(t, l, got)
	require.Equal(t, `{"status":"QUEUED","orderId":"o-1","to":"franz@example.com","level":"gold","kind":"order","reason":"","messageId":"order-70559761390a7c2d7877b260@example.com","attempts":0,"createdAt":1700000000000,"sentAt":null,"row":{"customerId":15,"product":"UNDERPANTS","quantity":3,"price":5.00,"paymentId":"Payment:1234","amount":1000.00,"ccy":"CZK","firstName":"Franz","lastName":"Kafka","email":"franz@example.com","level":"gold","kind":"order"}}`, string(l.encode()))
}

func TestRowsThatNoMailCanBeMadeOf(t *testing.T) {
	for text, want := range map[string]string{
		`{`:        "not JSON",
		"\x00\xff": "not JSON",
		`[]`:       "not a JSON object",
		`{}`:       "no product",
		`{"PRODUCT":"HATS","PAYMENTID":"p","QUANTITY":0}`: "quantity is 0",
		`{"PRODUCT":"HATS","QUANTITY":1}`:                 "no paymentId",
		`{"PRODUCT":7}`:                                   "PRODUCT: must be text",
		`{"PRICE":"5"}`:                                   "PRICE: must be a number",
		`{"AMOUNT":1e99}`:                                 "AMOUNT",
	} {
		_, err := decodeRow([]byte(text))
		require.ErrorContains(t, err, want, text)
	}
	r, err := decodeRow([]byte(`{"PRODUCT":"HATS","QUANTITY":2,"PAYMENTID":"p","EMAIL":null,"FIRSTNAME":null,"NEW":[1]}`))
	require.NoError(t, err)
	require.Equal(t, row{Product: "HATS", Quantity: 2, PaymentID: "p"}, r)
}
