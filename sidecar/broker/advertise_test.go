package broker

import (
	"context"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// A broker behind a name (a Service of Kubernetes): clients are told the name,
// whatever address it listens on now.
func TestAdvertise(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	b, err := Open(ctx, Config{Dir: t.TempDir(), Addr: "0.0.0.0:0", Advertise: "kafka.example:9092"})
	require.NoError(t, err)
	defer b.Close()
	require.Equal(t, "kafka.example:9092", b.Addr())
	// Only a dialer of ours knows where the name leads.
	cl, err := kgo.NewClient(kgo.SeedBrokers("kafka.example:9092"), kgo.Dialer(func(ctx context.Context, network, host string) (net.Conn, error) {
		require.Equal(t, "kafka.example:9092", host)
		_, port, err := net.SplitHostPort(b.ListensOn())
		if err != nil {
			return nil, err
		}
		return new(net.Dialer).DialContext(ctx, network, net.JoinHostPort("127.0.0.1", port))
	}))
	require.NoError(t, err)
	defer cl.Close()
	resp, err := kmsg.NewPtrMetadataRequest().RequestWith(ctx, cl)
	require.NoError(t, err)
	require.Equal(t, "kafka.example", resp.Brokers[0].Host)
	require.Equal(t, int32(9092), resp.Brokers[0].Port)

	_, err = Open(ctx, Config{Dir: t.TempDir(), Addr: "0.0.0.0:0"})
	require.ErrorContains(t, err, "Advertise")
	_, err = Open(ctx, Config{Dir: t.TempDir(), Addr: "0.0.0.0:0", Advertise: "kafka"})
	require.ErrorContains(t, err, `advertised address "kafka"`)
}
