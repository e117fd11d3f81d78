package broker

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kmsg"
)

func makeCompacted(t *testing.T, p *rawProducer, topic string) {
	t.Helper()
	_, err := kadm.NewClient(p.cl).CreateTopic(t.Context(), 1, 1, map[string]*string{
		"cleanup.policy": kmsg.StringPtr("compact"), "segment.bytes": kmsg.StringPtr("200"),
	}, topic)
	require.NoError(t, err)
}

// TestKilledCompaction: kfake removes a partition's segments, then writes the new
// ones. Whatever of that is done, no key's last value is lost.
func TestKilledCompaction(t *testing.T) {
	dir := t.TempDir()
	b := open(t, dir)
	p := newRaw(t, b.Addr(), "x", false)
	makeCompacted(t, p, "log")
	for _, v := range []string{"a", "b", "a", "c", "a", "b", "d", "a"} {
		p.send("log", 0, v)
		require.NoError(t, p.end(true))
	}
	topics, err := b.compacted()
	require.NoError(t, err)
	require.Len(t, topics, 1)
	require.NoError(t, b.keep(topics))
	kept := killed(t, dir)
	require.NoError(t, b.unkeep(topics))
	b.Compact()
	compacted := killed(t, dir)
	p.send("log", 0, "after")
	require.NoError(t, p.end(true))
	written := killed(t, dir)

	part := filepath.Join("partitions", "log-0")
	segments := func(f files, keep func(i int) bool) files {
		out := f.with(nil)
		i := 0
		for name := range f {
			if filepath.Dir(name) == part && (strings.HasSuffix(name, ".dat") || strings.HasSuffix(name, ".idx")) {
				if !keep(i) {
					delete(out, name)
				}
				i++
			}
		}
		return out
	}
	// withKept adds what was kept to another state.
	withKept := func(f files) files {
		out := f.with(nil)
		for name, content := range kept {
			if strings.HasPrefix(name, filepath.Join(part, keptDir)) {
				out[name] = content
			}
		}
		return out
	}
	keys := func(f files) map[string]bool {
		b := open(t, f.put(t))
		out := map[string]bool{}
		for _, v := range committed(t, b.Addr(), "log") {
			out[v] = true
		}
		return out
	}
	all := map[string]bool{"a": true, "b": true, "c": true, "d": true}
	require.Equal(t, all, keys(kept), "before it")
	require.Equal(t, all, keys(segments(kept, func(int) bool { return false })), "all segments removed")
	require.Equal(t, all, keys(segments(kept, func(i int) bool { return i%2 == 0 })), "half of them")
	require.Equal(t, all, keys(segments(withKept(compacted), func(i int) bool { return i%2 == 0 })), "half of the new ones written")
	require.Equal(t, all, keys(withKept(compacted)), "all of them")
	all["after"] = true
	require.Equal(t, all, keys(withKept(written)), "and used")
	require.Equal(t, all, keys(written), "after it")
}

// TestCompactionWaitsForTransactions: a value that may still be aborted must not
// displace a committed one.
func TestCompactionWaitsForTransactions(t *testing.T) {
	patience := quietPatience
	quietPatience = 400 * time.Millisecond
	t.Cleanup(func() { quietPatience = patience })
	b := open(t, t.TempDir())
	p := newRaw(t, b.Addr(), "x", false)
	makeCompacted(t, p, "log")
	p.send("log", 0, "a")
	require.NoError(t, p.end(true))
	p.send("log", 0, "a")
	p.send("log", 0, "b")
	b.Compact()
	require.NoError(t, p.end(false))
	require.Equal(t, []string{"a"}, committed(t, b.Addr(), "log"))

	p.send("log", 0, "a")
	require.NoError(t, p.end(true))
	p.send("log", 0, "last")
	require.NoError(t, p.end(true))
	b.Compact()
	require.Equal(t, []string{"a", "last"}, committed(t, b.Addr(), "log"))
}
