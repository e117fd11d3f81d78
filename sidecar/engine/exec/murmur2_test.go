package exec

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// The hashes that the Java client's own tests expect, and placements recorded
// from a real broker.
func TestMurmur2(t *testing.T) {
	for key, want := range map[string]int32{
		"21":                         -973932308,
		"foobar":                     -790332482,
		"a-little-bit-long-string":   -985981536,
		"a-little-bit-longer-string": -1486304829,
		"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8": -58897971,
		"abc": 479470107,
	} {
		require.Equal(t, want, int32(murmur2([]byte(key))), key)
	}
}

func TestPartitionLikeRecorded(t *testing.T) {
	for key, want := range map[string]int32{"o17": 0, "o7": 1, "": 1, "o20": 1, "o6": 2} { // golden c01, 4 partitions
		require.Equal(t, want, Partition([]byte(key), 4), key)
	}
}
