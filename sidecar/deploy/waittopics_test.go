package deploy

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sidestream/sidestream/sidecar/broker"
)

// A service waits for topics that somebody makes later, on a broker that comes
// later, too.
func TestWaitTopics(t *testing.T) {
	ctx := bounded(t)
	quiet := slog.New(slog.DiscardHandler)
	first, err := broker.Open(ctx, broker.Config{Dir: t.TempDir(), Clean: -1, Log: quiet})
	require.NoError(t, err)
	addr := []string{first.Addr()}
	require.NoError(t, first.Close())

	list := []Topic{
		{Name: "a", Owner: "x", Cleanup: "delete", Retention: Forever, Partitions: 1},
		{Name: "b", Owner: "x", Cleanup: "delete", Retention: Forever, Partitions: 1},
	}
	short, cancel := context.WithTimeout(ctx, 100*time.Millisecond)
	defer cancel()
	require.Error(t, WaitKafka(short, addr))

	waited := make(chan error, 1)
	go func() { waited <- WaitTopics(ctx, addr, list) }()
	b, err := broker.Open(ctx, broker.Config{Dir: t.TempDir(), Addr: addr[0], Clean: -1, Log: quiet})
	require.NoError(t, err)
	defer b.Close()
	require.NoError(t, WaitKafka(ctx, addr))
	_, err = ApplyTopics(ctx, addr, list[:1], false)
	require.NoError(t, err)

	short, cancel = context.WithTimeout(ctx, time.Second)
	defer cancel()
	err = WaitTopics(short, addr, list)
	require.ErrorContains(t, err, "has no topic b: `sidestream topics apply` makes those of topics.yaml")
	select {
	case err := <-waited:
		t.Fatal("it didn't wait for b: ", err)
	default:
	}
	_, err = ApplyTopics(ctx, addr, list, false)
	require.NoError(t, err)
	require.NoError(t, <-waited)
}
