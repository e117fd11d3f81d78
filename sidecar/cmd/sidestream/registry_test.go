package main

import (
	"log/slog"
	"net"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sidestream/sidestream/sidecar/registry"
)

// The registry keeps its schemas over restarts; sidecars find it by flag or by
// the environment that a ksqlDB server reads.
func TestRegistry(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	addr, dir, log := ln.Addr().String(), t.TempDir(), slog.New(slog.DiscardHandler)
	_, err = serveRegistry(addr, dir, log)
	require.EqualError(t, err, addr+" is in use by another process; stop it or choose another port")
	require.NoError(t, ln.Close())

	id := 0
	for range 2 {
		stop, err := serveRegistry(addr, dir, log)
		require.NoError(t, err)
		schemas, err := schemaRegistry("http://"+addr, map[string]string{})
		require.NoError(t, err)
		if id == 0 {
			id, err = schemas.Register("s", registry.Avro, `"int"`)
			require.NoError(t, err)
		}
		got, _, text, _, err := schemas.Latest("s")
		require.NoError(t, err)
		require.Equal(t, []any{id, `"int"`}, []any{got, text})
		require.NoError(t, stop())
	}

	none, err := schemaRegistry("", map[string]string{})
	require.NoError(t, err)
	require.Nil(t, none)
	t.Setenv(registryUserEnv, "user:secret")
	props := map[string]string{registryURL: "http://a:1"}
	_, err = schemaRegistry("http://b:1", props)
	require.NoError(t, err)
	require.Equal(t, map[string]string{registryURL: "http://a:1", registryUser: "user:secret"}, props)
	_, err = schemaRegistry("localhost:8081", map[string]string{})
	require.ErrorContains(t, err, "is not a URL such as http://127.0.0.1:8081")
}
