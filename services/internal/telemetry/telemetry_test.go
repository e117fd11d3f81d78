package telemetry

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestLogger(t *testing.T) {
	var b bytes.Buffer
	Logger(&b, "details", slog.LevelWarn, "json").Info("not this")
	require.Empty(t, b.String())
	Logger(&b, "details", slog.LevelInfo, "json").Info("this")
	var line map[string]any
	require.NoError(t, json.Unmarshal(b.Bytes(), &line))
	require.Equal(t, "details", line["service"])
	b.Reset()
	Logger(&b, "details", slog.LevelInfo, "text").Info("this")
	require.Contains(t, b.String(), "msg=this service=details")
}

func TestRegistry(t *testing.T) {
	families, err := Registry().Gather()
	require.NoError(t, err)
	require.NotEmpty(t, families)
}
