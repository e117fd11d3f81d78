package broker

import (
	"crypto/tls"
	"crypto/x509"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/sasl"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"
)

// TestTransactionsOnAClosedBroker: the journal sees through TLS, and takes no
// intent from who hasn't said who it is.
func TestTransactionsOnAClosedBroker(t *testing.T) {
	web := httptest.NewTLSServer(nil)
	web.Close()
	pool := x509.NewCertPool()
	pool.AddCert(web.Certificate())
	cfg := Config{Dir: t.TempDir(), Clean: -1, Security: Security{
		Users: []User{{Name: "shop", Password: "secret", Admin: true}}, ACLs: true,
		TLS: &tls.Config{Certificates: web.TLS.Certificates, MinVersion: tls.VersionTLS12},
	}}
	for name, auth := range map[string]sasl.Mechanism{
		"PLAIN":         plain.Auth{User: "shop", Pass: "secret"}.AsMechanism(),
		"SCRAM-SHA-256": scram.Auth{User: "shop", Pass: "secret"}.AsSha256Mechanism(),
		"SCRAM-SHA-512": scram.Auth{User: "shop", Pass: "secret"}.AsSha512Mechanism(),
	} {
		t.Run(name, func(t *testing.T) {
			cfg := cfg
			cfg.Dir = t.TempDir()
			b, err := Open(t.Context(), cfg)
			require.NoError(t, err)
			t.Cleanup(func() { require.NoError(t, b.Close()) })
			encrypted := kgo.DialTLSConfig(&tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12})
			p := newRaw(t, b.Addr(), "x", false, encrypted, kgo.SASL(auth))
			_, err = kadm.NewClient(p.cl).CreateTopic(t.Context(), 1, 1, nil, "a")
			require.NoError(t, err)
			p.send("a", 0, "one")
			require.NoError(t, p.offset("g", -1, "a", 0, 1))
			require.NoError(t, p.end(true))
			journal := killed(t, cfg.Dir)[journalFile]
			for _, kind := range []string{noteInit, noteOffsets, noteEnd, noteDone} {
				require.Contains(t, journal, `"kind":"`+kind+`"`)
			}

			stranger, err := kgo.NewClient(kgo.SeedBrokers(b.Addr()), encrypted, kgo.RequestRetries(0))
			require.NoError(t, err)
			defer stranger.Close()
			req := kmsg.NewPtrEndTxnRequest()
			req.TransactionalID, req.ProducerID, req.ProducerEpoch, req.Commit = "x", p.id, p.epoch, true
			_, err = stranger.Broker(0).Request(bounded(t), req)
			require.Error(t, err)
			_, err = stranger.SeedBrokers()[0].Request(bounded(t), req)
			require.Error(t, err)
			require.Equal(t, journal, killed(t, cfg.Dir)[journalFile])
			p.send("a", 0, "two") // the broker lives
			require.NoError(t, p.end(true))
			require.Equal(t, 2, strings.Count(killed(t, cfg.Dir)[journalFile], `"kind":"`+noteEnd+`"`))
		})
	}
}
