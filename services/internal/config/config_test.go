package config

import (
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestCommon(t *testing.T) {
	t.Setenv("KAFKA_BOOTSTRAP_SERVERS", "kafka-0:9092,kafka-1:9092")
	t.Setenv("INSTANCE_ID", "inventory-0")
	t.Setenv("LOG_LEVEL", "DEBUG")
	t.Setenv("LOG_FORMAT", "JSON")
	t.Setenv("START_TIMEOUT", "250ms")
	t.Setenv("KAFKA_CLIENT", "security.protocol=SASL_SSL, sasl.password=a=b")
	s := New()
	c := s.Common()
	require.NoError(t, s.Err())
	require.Equal(t, Common{
		Brokers: "kafka-0:9092,kafka-1:9092", HTTPAddr: ":8080", InstanceID: "inventory-0",
		LogLevel: slog.LevelDebug, LogFormat: "json", StartTimeout: 250 * time.Millisecond,
		Kafka: map[string]string{"security.protocol": "SASL_SSL", "sasl.password": "a=b"},
	}, c)
}

func TestAllThatIsWrongIsNamedAtOnce(t *testing.T) {
	t.Setenv("LOG_LEVEL", "loud")
	t.Setenv("LOG_FORMAT", "xml")
	t.Setenv("START_TIMEOUT", "soon")
	t.Setenv("KAFKA_CLIENT", "hush")
	t.Setenv("SIZE", "12")
	s := New()
	s.Common()
	s.Whole("SIZE", 3, 1, 10)
	err := s.Err()
	for _, want := range []string{`LOG_LEVEL is "loud"`, `LOG_FORMAT is "xml": give text or json`, `START_TIMEOUT is "soon"`, "KAFKA_CLIENT: ", `SIZE is "12": give a whole number from 1 to 10`} {
		require.ErrorContains(t, err, want)
	}
	require.NotContains(t, err.Error(), "hush")
	require.NotContains(t, err.Error(), "\n")
}
