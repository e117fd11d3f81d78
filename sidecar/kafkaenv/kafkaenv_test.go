package kafkaenv

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/sidestream/sidestream/sidecar/broker"
)

func environment(pairs ...string) func(string) string {
	m := map[string]string{}
	for i := 0; i+1 < len(pairs); i += 2 {
		m[pairs[i]] = pairs[i+1]
	}
	return func(name string) string { return m[name] }
}

func TestMistakes(t *testing.T) {
	empty := filepath.Join(t.TempDir(), "empty")
	require.NoError(t, os.WriteFile(empty, []byte("\n"), 0o600))
	sasl := []string{"KAFKA_SECURITY_PROTOCOL", "SASL_PLAINTEXT", "KAFKA_SASL_MECHANISM", "PLAIN", "KAFKA_SASL_USERNAME", "a"}
	for want, env := range map[string][]string{
		`KAFKA_SECURITY_PROTOCOL is "TLS"`:                              {"KAFKA_SECURITY_PROTOCOL", "tls"},
		"KAFKA_SASL_USERNAME is set, but KAFKA_SECURITY_PROTOCOL isn't": {"KAFKA_SASL_USERNAME", "a"},
		`KAFKA_SASL_MECHANISM is ""`:                                    {"KAFKA_SECURITY_PROTOCOL", "SASL_SSL"},
		"KAFKA_SASL_USERNAME is needed":                                 {"KAFKA_SECURITY_PROTOCOL", "SASL_PLAINTEXT", "KAFKA_SASL_MECHANISM", "PLAIN"},
		"give the password by one of":                                   sasl,
		"give the password by one of KAFKA_SASL_PASSWORD_FILE and":      append(sasl, "KAFKA_SASL_PASSWORD", "hush", "KAFKA_SASL_PASSWORD_FILE", empty),
		"is empty":                       append(sasl, "KAFKA_SASL_PASSWORD_FILE", empty),
		"KAFKA_SASL_PASSWORD_FILE: open": append(sasl, "KAFKA_SASL_PASSWORD_FILE", empty+"x"),
		"KAFKA_SSL_CA_LOCATION: open":    {"KAFKA_SECURITY_PROTOCOL", "SSL", "KAFKA_SSL_CA_LOCATION", empty + "x"},
		"holds no certificate":           {"KAFKA_SECURITY_PROTOCOL", "SSL", "KAFKA_SSL_CA_LOCATION", empty},
		"belong together":                {"KAFKA_SECURITY_PROTOCOL", "SSL", "KAFKA_SSL_KEY_LOCATION", empty},
	} {
		_, err := From(environment(env...))
		require.ErrorContains(t, err, want)
		require.NotContains(t, err.Error(), "hush")
	}
	for _, env := range [][]string{nil, {"KAFKA_SECURITY_PROTOCOL", "plaintext"}} {
		opts, err := From(environment(env...))
		require.NoError(t, err)
		require.Empty(t, opts)
	}
}

// The password's file is read at each connection: a changed secret needs no
// restart.
func TestEachMechanismAndAChangedPassword(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	b, err := broker.Open(ctx, broker.Config{Dir: t.TempDir(), Clean: -1, Security: broker.Security{Users: []broker.User{{Name: "a", Password: "right"}}}})
	require.NoError(t, err)
	defer b.Close()
	file := filepath.Join(t.TempDir(), "password")
	for _, m := range []string{"PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"} {
		require.NoError(t, os.WriteFile(file, []byte("wrong"), 0o600))
		opts, err := From(environment("KAFKA_SECURITY_PROTOCOL", "SASL_PLAINTEXT", "KAFKA_SASL_MECHANISM", m, "KAFKA_SASL_USERNAME", "a", "KAFKA_SASL_PASSWORD_FILE", file))
		require.NoError(t, err)
		cl, err := kgo.NewClient(append(opts, kgo.SeedBrokers(b.Addr()), kgo.RequestRetries(0))...)
		require.NoError(t, err)
		require.Error(t, cl.Ping(ctx), m)
		require.NoError(t, os.WriteFile(file, []byte("right\n"), 0o600))
		require.NoError(t, cl.Ping(ctx), m)
		cl.Close()
	}
}
