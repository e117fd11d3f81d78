package deploy

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kadm"

	"github.com/sidestream/sidestream/sidecar/broker"
)

func bounded(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func write(t *testing.T, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
	require.NoError(t, os.WriteFile(path, []byte(text), 0o644))
	return path
}

func TestApplyTopics(t *testing.T) {
	ctx := bounded(t)
	b, err := broker.Open(ctx, broker.Config{Dir: t.TempDir(), Clean: -1})
	require.NoError(t, err)
	defer b.Close()
	addr := []string{b.Addr()}
	topics := []Topic{
		{Name: "a", Owner: "x", Cleanup: "delete", Retention: time.Hour, Partitions: 2},
		{Name: "b", Owner: "x", Cleanup: "compact", Retention: Forever, Partitions: 4},
	}
	states, err := CheckTopics(ctx, addr, topics)
	require.EqualError(t, err, "topics aren't as topics.yaml says:\n  a: is missing\n  b: is missing")
	require.Equal(t, "missing", states[0].State)

	for _, want := range []string{"created", "same"} {
		states, err = ApplyTopics(ctx, addr, topics, false)
		require.NoError(t, err)
		require.Equal(t, []TopicState{{Name: "a", State: want}, {Name: "b", State: want}}, states)
	}

	topics[0].Partitions, topics[0].Retention = 3, 2*time.Hour
	topics[1].Cleanup, topics[1].Retention = "compact,delete", time.Hour
	_, err = ApplyTopics(ctx, addr, topics, false)
	require.EqualError(t, err, `topics aren't as topics.yaml says:
  a: has 2 partitions instead of 3 (keys would move: make a new topic)
  a: retention.ms is "3600000" instead of "7200000" (--alter changes it)
  b: cleanup.policy is "compact" instead of "compact,delete" (--alter changes it)
  b: retention.ms is "-1" instead of "3600000" (--alter changes it)`)

	_, err = ApplyTopics(ctx, addr, topics, true)
	require.EqualError(t, err, "topics aren't as topics.yaml says:\n  a: has 2 partitions instead of 3 (keys would move: make a new topic)")
	topics[0].Partitions = 2
	_, err = CheckTopics(ctx, addr, topics)
	require.NoError(t, err)

	cl, err := connect(ctx, addr)
	require.NoError(t, err)
	defer cl.Close()
	_, err = kadm.NewClient(cl).DeleteTopics(ctx, "a", "b")
	require.NoError(t, err)
}

func TestNoBroker(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	addr := ln.Addr().String()
	ln.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	_, err = CheckTopics(ctx, []string{addr}, nil)
	require.ErrorContains(t, err, "no Kafka broker answers at "+addr)
}
