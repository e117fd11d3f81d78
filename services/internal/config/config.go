// Package config reads a program's settings from environment variables, with
// viper, and gathers what is wrong with them into one message.
//
//	s := config.New("inventory")
//	brokers := s.Text("KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:9092")
//	…
//	if err := s.Err(); err != nil { … }
//
// Common are the settings that every thin half has; a service reads its own
// beside them.
package config

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/viper"
)

// Source gives settings by their variables' names, and remembers what is wrong.
type Source struct {
	v    *viper.Viper
	errs []error
}

// New reads the environment.
func New() *Source {
	v := viper.New()
	v.AutomaticEnv()
	return &Source{v: v}
}

// Text is the variable, or missing where it is not set or empty.
func (s *Source) Text(name, missing string) string {
	s.v.SetDefault(name, missing)
	return strings.TrimSpace(s.v.GetString(name))
}

// Choice is Text that must be one of the given words, in any case.
func (s *Source) Choice(name, missing string, of ...string) string {
	text := s.Text(name, missing)
	for _, o := range of {
		if strings.EqualFold(text, o) {
			return o
		}
	}
	s.bad(name, text, strings.Join(of, " or "))
	return missing
}

// Duration is a time of at least the given length, as 250ms or 60s.
func (s *Source) Duration(name string, missing, least time.Duration) time.Duration {
	text := s.Text(name, missing.String())
	d, err := time.ParseDuration(text)
	if err != nil || d < least {
		s.bad(name, text, fmt.Sprintf("a time of at least %v, as 250ms or 60s", least))
		return missing
	}
	return d
}

// Whole is a whole number in [least, most].
func (s *Source) Whole(name string, missing, least, most int) int {
	text := s.Text(name, strconv.Itoa(missing))
	n, err := strconv.Atoi(text)
	if err != nil || n < least || n > most {
		s.bad(name, text, fmt.Sprintf("a whole number from %d to %d", least, most))
		return missing
	}
	return n
}

// Level is a log level.
func (s *Source) Level(name string, missing slog.Level) slog.Level {
	text := s.Text(name, missing.String())
	var l slog.Level
	if err := l.UnmarshalText([]byte(text)); err != nil {
		s.bad(name, text, "debug, info, warn or error")
		return missing
	}
	return l
}

func (s *Source) bad(name, value, want string) {
	s.errs = append(s.errs, fmt.Errorf("%s is %q: give %s", name, value, want))
}

// Err says all that is wrong with what was read.
func (s *Source) Err() error {
	if err := errors.Join(s.errs...); err != nil {
		return fmt.Errorf("settings: %s", strings.ReplaceAll(err.Error(), "\n", "; "))
	}
	return nil
}

// Common are the settings of every thin half.
type Common struct {
	Brokers    string     // KAFKA_BOOTSTRAP_SERVERS
	HTTPAddr   string     // HTTP_ADDR
	InstanceID string     // INSTANCE_ID: this replica's name, the same after a restart
	StateDir   string     // STATE_DIR; empty: no state on disk
	LogLevel   slog.Level // LOG_LEVEL
	LogFormat  string     // LOG_FORMAT: text or json
	// StartTimeout is how long the broker may be away at start (START_TIMEOUT).
	StartTimeout time.Duration
	// Kafka is more configuration of the Kafka client by librdkafka's names, for TLS
	// and SASL (kafka.go). It may hold a password.
	Kafka map[string]string
}

// Common reads the settings that every thin half has.
func (s *Source) Common() Common {
	host, err := os.Hostname()
	if err != nil || host == "" {
		host = "0"
	}
	c := Common{
		Brokers:      s.Text("KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:9092"),
		HTTPAddr:     s.Text("HTTP_ADDR", ":8080"),
		InstanceID:   s.Text("INSTANCE_ID", host),
		StateDir:     s.Text("STATE_DIR", ""),
		LogLevel:     s.Level("LOG_LEVEL", slog.LevelInfo),
		LogFormat:    s.Choice("LOG_FORMAT", "text", "text", "json"),
		StartTimeout: s.Duration("START_TIMEOUT", 15*time.Second, 100*time.Millisecond),
	}
	c.Kafka = s.kafka()
	return c
}
