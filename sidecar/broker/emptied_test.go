package broker

import (
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kadm"
)

// TestOffsetsGoOnInAnEmptiedPartition: all records of a partition are deleted,
// by hand or by retention, and the next one has the next offset all the same.
func TestOffsetsGoOnInAnEmptiedPartition(t *testing.T) {
	for _, how := range []string{"closed", "killed"} {
		t.Run(how, func(t *testing.T) {
			ctx := bounded(t)
			dir := t.TempDir()
			b := open(t, dir)
			makeTopic(t, b.Addr(), "a", 1)
			cl := newClient(t, b.Addr())
			produce(t, cl, "a", "one", "two", "three")
			var all kadm.Offsets
			all.Add(kadm.Offset{Topic: "a", Partition: 0, At: 3, LeaderEpoch: -1})
			_, err := kadm.NewClient(cl).DeleteRecords(ctx, all)
			require.NoError(t, err)
			if how == "killed" {
				dir = killed(t, dir).put(t)
			} else {
				require.NoError(t, b.Close())
			}
			b = open(t, dir)
			cl = newClient(t, b.Addr())
			produce(t, cl, "a", "four")
			ends, err := kadm.NewClient(cl).ListEndOffsets(ctx, "a")
			require.NoError(t, err)
			end, _ := ends.Lookup("a", 0)
			require.Equal(t, int64(4), end.Offset)
			require.Equal(t, []string{"four"}, committed(t, b.Addr(), "a"))
		})
	}
}
