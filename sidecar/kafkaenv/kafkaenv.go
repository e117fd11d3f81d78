// Package kafkaenv says how to reach a Kafka that is closed: by TLS, by SASL.
//
// In: environment variables, and the files that they name. Out: options for a
// franz-go client.
//
// The environment is the only way in. A flag would show a password to everybody
// who lists processes, and a file of our own would be one more to keep. A
// password comes better from a file (KAFKA_SASL_PASSWORD_FILE): it is read at
// each connection, so that a changed secret needs no restart, and isn't shown by
// what prints a process's environment.
//
//	KAFKA_SECURITY_PROTOCOL         PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL
//	KAFKA_SASL_MECHANISM            PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512
//	KAFKA_SASL_USERNAME
//	KAFKA_SASL_PASSWORD, KAFKA_SASL_PASSWORD_FILE
//	KAFKA_SSL_CA_LOCATION           PEM; none: the system's authorities
//	KAFKA_SSL_CERTIFICATE_LOCATION, KAFKA_SSL_KEY_LOCATION  PEM, where Kafka wants a client's
//
// The thin halves have the same names (services/internal/config).
//
// Next: sidestream's commands and package deploy connect with it.
package kafkaenv

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"
)

// Options are those of a client, by the process's environment: none when it
// says nothing.
func Options() ([]kgo.Opt, error) { return From(os.Getenv) }

// From is Options with an environment of its own.
func From(getenv func(string) string) ([]kgo.Opt, error) {
	get := func(name string) string { return strings.TrimSpace(getenv(name)) }
	protocol := strings.ToUpper(get("KAFKA_SECURITY_PROTOCOL"))
	var out []kgo.Opt
	switch protocol {
	case "", "PLAINTEXT":
		for _, name := range []string{"KAFKA_SASL_MECHANISM", "KAFKA_SASL_USERNAME", "KAFKA_SSL_CA_LOCATION"} {
			if get(name) != "" {
				return nil, fmt.Errorf("%s is set, but KAFKA_SECURITY_PROTOCOL isn't: give SSL, SASL_PLAINTEXT or SASL_SSL", name)
			}
		}
		return nil, nil
	case "SSL", "SASL_SSL":
		config, err := tlsConfig(get)
		if err != nil {
			return nil, err
		}
		out = append(out, kgo.DialTLSConfig(config))
	case "SASL_PLAINTEXT":
	default:
		return nil, fmt.Errorf("KAFKA_SECURITY_PROTOCOL is %q: give PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL", protocol)
	}
	if !strings.HasPrefix(protocol, "SASL_") {
		return out, nil
	}
	m, err := mechanism(getenv)
	if err != nil {
		return nil, err
	}
	return append(out, kgo.SASL(m)), nil
}

func tlsConfig(get func(string) string) (*tls.Config, error) {
	out := &tls.Config{MinVersion: tls.VersionTLS12}
	if ca := get("KAFKA_SSL_CA_LOCATION"); ca != "" {
		raw, err := os.ReadFile(ca)
		if err != nil {
			return nil, fmt.Errorf("KAFKA_SSL_CA_LOCATION: %w", err)
		}
		out.RootCAs = x509.NewCertPool()
		if !out.RootCAs.AppendCertsFromPEM(raw) {
			return nil, fmt.Errorf("KAFKA_SSL_CA_LOCATION: %s holds no certificate (PEM)", ca)
		}
	}
	cert, key := get("KAFKA_SSL_CERTIFICATE_LOCATION"), get("KAFKA_SSL_KEY_LOCATION")
	if (cert == "") != (key == "") {
		return nil, errors.New("KAFKA_SSL_CERTIFICATE_LOCATION and KAFKA_SSL_KEY_LOCATION belong together")
	}
	if cert != "" {
		if _, err := tls.LoadX509KeyPair(cert, key); err != nil {
			return nil, fmt.Errorf("KAFKA_SSL_CERTIFICATE_LOCATION, KAFKA_SSL_KEY_LOCATION: %w", err)
		}
		out.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			pair, err := tls.LoadX509KeyPair(cert, key) // it may have been renewed
			return &pair, err
		}
	}
	return out, nil
}

// mechanism reads the password at each connection.
func mechanism(getenv func(string) string) (sasl.Mechanism, error) {
	name := strings.ToUpper(strings.TrimSpace(getenv("KAFKA_SASL_MECHANISM")))
	if !slices.Contains([]string{"PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"}, name) {
		return nil, fmt.Errorf("KAFKA_SASL_MECHANISM is %q: give PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512", name)
	}
	user := strings.TrimSpace(getenv("KAFKA_SASL_USERNAME"))
	if user == "" {
		return nil, errors.New("KAFKA_SASL_USERNAME is needed with KAFKA_SECURITY_PROTOCOL SASL_…")
	}
	file, text := strings.TrimSpace(getenv("KAFKA_SASL_PASSWORD_FILE")), getenv("KAFKA_SASL_PASSWORD")
	if (file == "") == (text == "") {
		return nil, errors.New("give the password by one of KAFKA_SASL_PASSWORD_FILE and KAFKA_SASL_PASSWORD")
	}
	password := func() (string, error) {
		if file == "" {
			return text, nil
		}
		raw, err := os.ReadFile(file)
		if err != nil {
			return "", fmt.Errorf("KAFKA_SASL_PASSWORD_FILE: %w", err)
		}
		return strings.TrimRight(string(raw), "\r\n"), nil
	}
	if p, err := password(); err != nil {
		return nil, err
	} else if p == "" {
		return nil, fmt.Errorf("KAFKA_SASL_PASSWORD_FILE: %s is empty", file)
	}
	if name == "PLAIN" {
		return plain.Plain(func(context.Context) (plain.Auth, error) {
			p, err := password()
			return plain.Auth{User: user, Pass: p}, err
		}), nil
	}
	auth := func(context.Context) (scram.Auth, error) {
		p, err := password()
		return scram.Auth{User: user, Pass: p}, err
	}
	if name == "SCRAM-SHA-256" {
		return scram.Sha256(auth), nil
	}
	return scram.Sha512(auth), nil
}
