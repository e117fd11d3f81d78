package config

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestKafkaSettings(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		return path
	}
	password, ca := file("password", " hush,= \r\n"), file("ca.pem", "x")
	sasl := map[string]string{"KAFKA_SECURITY_PROTOCOL": "sasl_ssl", "KAFKA_SASL_MECHANISM": "scram-sha-512", "KAFKA_SASL_USERNAME": "orders",
		"KAFKA_SASL_PASSWORD_FILE": password, "KAFKA_SSL_CA_LOCATION": ca, "KAFKA_CLIENT": "client.rack=a"}
	for name, c := range map[string]struct {
		env  map[string]string
		want map[string]string
		err  string
	}{
		"nothing": {},
		"all": {env: sasl, want: map[string]string{"security.protocol": "sasl_ssl", "sasl.mechanism": "SCRAM-SHA-512", "sasl.username": "orders",
			"sasl.password": " hush,= ", "ssl.ca.location": ca, "client.rack": "a"}},
		"protocol":      {env: map[string]string{"KAFKA_SECURITY_PROTOCOL": "TLS"}, err: "KAFKA_SECURITY_PROTOCOL"},
		"no protocol":   {env: map[string]string{"KAFKA_SASL_USERNAME": "a"}, err: "KAFKA_SECURITY_PROTOCOL isn't"},
		"no password":   {env: map[string]string{"KAFKA_SECURITY_PROTOCOL": "SASL_PLAINTEXT", "KAFKA_SASL_MECHANISM": "PLAIN", "KAFKA_SASL_USERNAME": "a"}, err: "KAFKA_SASL_PASSWORD_FILE"},
		"two passwords": {env: map[string]string{"KAFKA_SECURITY_PROTOCOL": "SASL_PLAINTEXT", "KAFKA_SASL_MECHANISM": "PLAIN", "KAFKA_SASL_USERNAME": "a", "KAFKA_SASL_PASSWORD": "hush", "KAFKA_SASL_PASSWORD_FILE": password}, err: "both set"},
		"no CA":         {env: map[string]string{"KAFKA_SECURITY_PROTOCOL": "SSL", "KAFKA_SSL_CA_LOCATION": ca + "x"}, err: "KAFKA_SSL_CA_LOCATION"},
		"half a pair":   {env: map[string]string{"KAFKA_SECURITY_PROTOCOL": "SSL", "KAFKA_SSL_KEY_LOCATION": ca}, err: "belong together"},
	} {
		t.Run(name, func(t *testing.T) {
			for k, v := range c.env {
				t.Setenv(k, v)
			}
			s := New()
			got := s.Common().Kafka
			if c.err != "" {
				require.ErrorContains(t, s.Err(), c.err)
				require.NotContains(t, s.Err().Error(), "hush")
				return
			}
			require.NoError(t, s.Err())
			require.Equal(t, c.want, got)
		})
	}
}
