package engine

import (
	"context"
	"io"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
)

func ownerConfig(t *testing.T) (*Config, *kadm.Client, *kgo.Client) {
	c, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.BrokerConfigs(map[string]string{"default.replication.factor": "1"}))
	require.NoError(t, err)
	t.Cleanup(c.Close)
	cfg := &Config{ServiceID: "s_", Client: []kgo.Opt{kgo.SeedBrokers(c.ListenAddrs()...)}, Logger: slog.New(slog.NewTextHandler(io.Discard, nil))}
	cl, err := kgo.NewClient(cfg.Client...)
	require.NoError(t, err)
	t.Cleanup(cl.Close)
	return cfg, kadm.NewClient(cl), cl
}

// TestSilentOwner: an owner that answers nothing loses the service id, and ends
// when it comes to itself.
func TestSilentOwner(t *testing.T) {
	cfg, adm, kafka := ownerConfig(t)
	ctx := context.Background()
	first, err := acquire(ctx, cfg, adm, kafka)
	require.NoError(t, err)
	first.stop() // it stands still
	<-first.done

	second, err := acquire(ctx, cfg, adm, kafka)
	require.NoError(t, err)
	defer second.release()

	first.done = make(chan struct{}) // it wakes up
	woken, stop := context.WithCancel(ctx)
	first.stop = stop
	go first.watch(woken)
	defer first.cl.Close()
	select {
	case <-first.Lost:
		require.ErrorContains(t, first.err(), `service id "s_" was taken over by another instance`)
	case <-time.After(10 * time.Second):
		t.Fatal("the first owner doesn't notice its successor")
	}
	require.NoError(t, second.err())
}

// TestDeadOwner: whose process is gone is not waited for.
func TestDeadOwner(t *testing.T) {
	me := &note{Host: "h", PID: 10, Process: "p"}
	require.True(t, (&note{Host: "h", PID: 10, Process: "q"}).dead(me), "its number was given to this process")
	require.True(t, (&note{Host: "h", PID: 1 << 30, Process: "q"}).dead(me), "there is no such process")
	require.False(t, (&note{Host: "h", PID: 10, Process: "p"}).dead(me), "it is this process")
	require.False(t, (&note{Host: "elsewhere", PID: 1 << 30, Process: "q"}).dead(me), "nobody knows")
}

// TestLogIsFenced: who opens the log ends those who wrote it before.
func TestLogIsFenced(t *testing.T) {
	cfg, adm, kafka := ownerConfig(t)
	ctx := context.Background()
	first, entries, err := openLog(ctx, cfg, adm, kafka)
	require.NoError(t, err)
	defer first.close()
	require.Empty(t, entries)
	offset, err := first.append(ctx, &entry{CommandID: "a", Statement: "A;"})
	require.NoError(t, err)
	require.Zero(t, offset)
	offset, err = first.append(ctx, &entry{CommandID: "b", Statement: "B;", QueryID: "CSAS_B_1", Properties: map[string]string{"x": "y"}})
	require.NoError(t, err)
	require.EqualValues(t, 2, offset, "a transaction's end takes a place too")
	_, err = first.append(ctx, &entry{CommandID: "b", Undone: &offset})
	require.NoError(t, err)

	second, entries, err := openLog(ctx, cfg, adm, kafka)
	require.NoError(t, err)
	defer second.close()
	require.Len(t, entries, 3)
	require.Equal(t, "A;", entries[0].Statement)
	require.Empty(t, entries[1].Statement, "it was taken back")
	require.EqualValues(t, 5, second.next)
	_, err = first.append(ctx, &entry{CommandID: "c", Statement: "C;"})
	require.ErrorIs(t, err, errFenced)
	_, err = second.append(ctx, &entry{CommandID: "c", Statement: "C;"})
	require.NoError(t, err)
}

// TestLogAfterFailure: a statement that was answered as failed, but whose entry
// stands, is taken back before the next is written.
func TestLogAfterFailure(t *testing.T) {
	cfg, adm, kafka := ownerConfig(t)
	ctx := context.Background()
	l, _, err := openLog(ctx, cfg, adm, kafka)
	require.NoError(t, err)
	defer func() { l.close() }()
	_, err = l.append(ctx, &entry{CommandID: "a", Statement: "A;"})
	require.NoError(t, err)
	next := l.next
	_, err = l.append(ctx, &entry{CommandID: "b", Statement: "B;"})
	require.NoError(t, err)
	l.next, l.unsure = next, true // as when the answer to B's commit was lost

	_, err = l.append(ctx, &entry{CommandID: "c", Statement: "C;"})
	require.NoError(t, err)
	entries, err := readLog(ctx, cfg, adm, l.topic)
	require.NoError(t, err)
	var stand []string
	for _, e := range entries {
		if e.Statement != "" {
			stand = append(stand, e.Statement)
		}
	}
	require.Equal(t, []string{"A;", "C;"}, stand)
	require.Equal(t, entries[len(entries)-1].offset+1, l.next)
}
