package transact_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// TestFencedMemberBeginsAnew has the broker take the consumer for another one
// of its name. The client calls that fatal, and can't be closed any more.
func TestFencedMemberBeginsAnew(t *testing.T) {
	b := newBroker(t)
	if b.Cluster == nil {
		t.Skip("only a broker in the test's process can be told to answer with an error")
	}
	_, stop := start(t, config(b.Addr), counter{})
	b.PutAll(inputs(0, 100))
	b.WaitCount("out", 100)
	done := fail(t, 1, b, func(req *kmsg.HeartbeatRequest) kmsg.Response {
		resp := req.ResponseKind().(*kmsg.HeartbeatResponse)
		resp.ErrorCode = kerr.FencedInstanceID.Code
		return resp
	})
	<-done
	b.PutAll(inputs(100, 100))
	requireExactlyOnce(t, b.WaitCount("out", 200), 200)
	require.NoError(t, stop())
}
