package worker

import (
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sidestream/sidestream/services/transact"
	"github.com/sidestream/sidestream/services/transact/transacttest"
)

func echo() Service {
	return Service{
		Config: transact.Config{Inputs: []string{"in"}, Outputs: []string{"out"}},
		Processor: transact.ProcessorFunc(func(tx *transact.Tx, r transact.Record) error {
			tx.Emit(transact.Record{Topic: "out", Key: r.Key, Value: r.Value})
			return nil
		}),
	}
}

func get(url string) (int, string) {
	resp, err := http.Get(url)
	if err != nil {
		return 0, err.Error()
	}
	defer resp.Body.Close()
	b, _ := io.ReadAll(resp.Body)
	return resp.StatusCode, string(b)
}

func freeAddr(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	return l.Addr().String()
}

func TestRun(t *testing.T) {
	b := transacttest.NewBroker(t)
	b.Topic("in", 2)
	b.Topic("out", 2)
	addr := freeAddr(t)
	t.Setenv("KAFKA_BOOTSTRAP_SERVERS", b.Addr)
	t.Setenv("HTTP_ADDR", addr)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- Run(ctx, "echo", echo()) }()
	require.Eventually(t, func() bool {
		code, _ := get("http://" + addr + "/readyz")
		return code == http.StatusOK
	}, transacttest.Patience, time.Millisecond)
	code, _ := get("http://" + addr + "/healthz")
	require.Equal(t, http.StatusOK, code)

	b.Put("in", "k", "v")
	require.Equal(t, "v", string(b.WaitCount("out", 1)[0].Value))
	// Metrics follow the commit.
	require.Eventually(t, func() bool {
		_, metrics := get("http://" + addr + "/metrics")
		return strings.Contains(metrics, `transact_records_total{group="echo",topic="in"} 1`) && strings.Contains(metrics, "go_goroutines")
	}, transacttest.Patience, time.Millisecond)

	require.ErrorContains(t, Run(t.Context(), "echo", echo()), "address "+addr+" is in use")
	cancel()
	select {
	case err := <-done:
		require.NoError(t, err)
	case <-time.After(transacttest.Patience):
		require.Fail(t, "the service did not stop")
	}
}

func TestErrorsAtStart(t *testing.T) {
	t.Setenv("HTTP_ADDR", "127.0.0.1:0")
	t.Setenv("KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:1")
	t.Setenv("START_TIMEOUT", "200ms")
	require.ErrorContains(t, Run(t.Context(), "echo", echo()), "no Kafka broker answers at 127.0.0.1:1")
	t.Setenv("START_TIMEOUT", "x")
	require.ErrorContains(t, Run(t.Context(), "echo", echo()), `START_TIMEOUT is "x"`)
}
