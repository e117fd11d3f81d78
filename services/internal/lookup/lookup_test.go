package lookup

import (
	"context"
	"io"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sidestream/sidestream/services/transact/transacttest"
)

func config(b *transacttest.Broker) Config {
	return Config{Brokers: b.Addr, Log: slog.New(slog.NewTextHandler(io.Discard, nil))}
}

func TestTable(t *testing.T) {
	b := transacttest.NewBroker(t)
	b.Compacted("prices", 4)
	for _, r := range [][2]string{{"SOCKS", "4"}, {"HATS", "20"}, {"JUMPERS", "30"}, {"SOCKS", "5"}} {
		b.Put("prices", r[0], r[1])
	}
	ctx, cancel := context.WithTimeout(t.Context(), transacttest.Patience)
	defer cancel()
	table := New("prices")
	require.NoError(t, table.Start(ctx, config(b)))
	defer table.Close()
	for key, want := range map[string]string{"SOCKS": "5", "HATS": "20", "JUMPERS": "30"} {
		got, ok := table.Get(key)
		require.True(t, ok, key)
		require.Equal(t, want, string(got), "what was there at the start")
	}
	_, ok := table.Get("MOONS")
	require.False(t, ok)

	b.Put("prices", "MOONS", "1")
	require.Eventually(t, func() bool { _, ok := table.Get("MOONS"); return ok }, transacttest.Patience, 10*time.Millisecond)
}

// A topic that is written all the time never shows its end; what was there at the
// start is enough.
func TestStartWhileTheTopicIsWritten(t *testing.T) {
	b := transacttest.NewBroker(t)
	b.Compacted("prices", 1)
	ctx, cancel := context.WithTimeout(t.Context(), transacttest.Patience)
	defer cancel()
	b.Put("prices", "HATS", "20")
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			select {
			case <-stop:
				return
			default:
				b.Put("prices", "SOCKS", "5")
			}
		}
	}()
	defer func() { close(stop); <-stopped }()
	table := New("prices")
	require.NoError(t, table.Start(ctx, config(b)))
	defer table.Close()
	_, ok := table.Get("HATS")
	require.True(t, ok)
}

func TestStartFails(t *testing.T) {
	b := transacttest.NewBroker(t)
	ctx, cancel := context.WithTimeout(t.Context(), transacttest.Patience)
	defer cancel()
	require.ErrorContains(t, New("nothing").Start(ctx, config(b)), "topic nothing does not exist; create what is missing")

	gone, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	require.ErrorIs(t, New("prices").Start(gone, Config{Brokers: "127.0.0.1:1", Log: slog.New(slog.NewTextHandler(io.Discard, nil))}), context.DeadlineExceeded)
}
