package config

import (
	"errors"
	"fmt"
	"os"
	"strings"
)

// kafka reads how to reach a Kafka that is closed, as configuration of the Kafka
// client by librdkafka's names:
//
//	KAFKA_SECURITY_PROTOCOL         PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL
//	KAFKA_SASL_MECHANISM            PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512
//	KAFKA_SASL_USERNAME
//	KAFKA_SASL_PASSWORD, KAFKA_SASL_PASSWORD_FILE
//	KAFKA_SSL_CA_LOCATION           PEM; none: the system's authorities
//	KAFKA_SSL_CERTIFICATE_LOCATION, KAFKA_SSL_KEY_LOCATION  PEM, where Kafka wants a client's
//	KAFKA_CLIENT                    any more, name=value, divided by commas
//
// The sidecar has the same. No message repeats a password.
func (s *Source) kafka() map[string]string {
	out := map[string]string{}
	protocol := s.Choice("KAFKA_SECURITY_PROTOCOL", "PLAINTEXT", "PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL")
	if protocol == "PLAINTEXT" {
		for _, name := range []string{"KAFKA_SASL_MECHANISM", "KAFKA_SASL_USERNAME", "KAFKA_SSL_CA_LOCATION"} {
			if s.Text(name, "") != "" {
				s.fault("%s is set, but KAFKA_SECURITY_PROTOCOL isn't: give SSL, SASL_PLAINTEXT or SASL_SSL", name)
			}
		}
	} else {
		out["security.protocol"] = strings.ToLower(protocol)
	}
	if strings.HasSuffix(protocol, "SSL") {
		for name, to := range map[string]string{"KAFKA_SSL_CA_LOCATION": "ssl.ca.location",
			"KAFKA_SSL_CERTIFICATE_LOCATION": "ssl.certificate.location", "KAFKA_SSL_KEY_LOCATION": "ssl.key.location"} {
			file := s.Text(name, "")
			if file == "" {
				continue
			}
			if _, err := os.Stat(file); err != nil {
				s.fault("%s: %v", name, err)
			}
			out[to] = file
		}
		if (out["ssl.certificate.location"] == "") != (out["ssl.key.location"] == "") {
			s.fault("KAFKA_SSL_CERTIFICATE_LOCATION and KAFKA_SSL_KEY_LOCATION belong together")
		}
	}
	if strings.HasPrefix(protocol, "SASL_") {
		out["sasl.mechanism"] = s.Choice("KAFKA_SASL_MECHANISM", "", "PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")
		if out["sasl.username"] = s.Text("KAFKA_SASL_USERNAME", ""); out["sasl.username"] == "" {
			s.fault("KAFKA_SASL_USERNAME is needed with KAFKA_SECURITY_PROTOCOL %s", protocol)
		}
		out["sasl.password"] = s.Secret("KAFKA_SASL_PASSWORD")
		if out["sasl.password"] == "" {
			s.fault("give the password by one of KAFKA_SASL_PASSWORD_FILE and KAFKA_SASL_PASSWORD")
		}
	}
	if text := s.Text("KAFKA_CLIENT", ""); text != "" {
		for pair := range strings.SplitSeq(text, ",") {
			name, value, ok := strings.Cut(pair, "=")
			if name = strings.TrimSpace(name); !ok || name == "" {
				// The value may be a secret: it isn't repeated.
				s.errs = append(s.errs, errors.New("KAFKA_CLIENT: give settings of the Kafka client as name=value, divided by commas"))
				break
			}
			out[name] = strings.TrimSpace(value)
		}
	}
	if len(out) == 0 {
		return nil
	}
	return out
}

// Secret is the variable, or the content of the file that the variable with _FILE
// at its end names, without the line's end; "" where neither is set. Messages
// never repeat it.
func (s *Source) Secret(name string) string {
	// Not Text: a password may begin or end with a blank.
	text, file := s.v.GetString(name), s.Text(name+"_FILE", "")
	if file == "" {
		return text
	}
	if text != "" {
		s.fault("%s and %s_FILE are both set: give one", name, name)
		return ""
	}
	raw, err := os.ReadFile(file)
	if err != nil {
		s.fault("%s_FILE: %v", name, err)
		return ""
	}
	if text = strings.TrimRight(string(raw), "\r\n"); text == "" {
		s.fault("%s_FILE: %s is empty", name, file)
	}
	return text
}

func (s *Source) fault(format string, args ...any) {
	s.errs = append(s.errs, fmt.Errorf(format, args...))
}
