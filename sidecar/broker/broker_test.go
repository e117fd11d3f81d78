package broker

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// TestMain is also the child process of the tests that kill: with
// BROKER_TEST_DIR it is a broker until it is killed or its input ends.
func TestMain(m *testing.M) {
	dir := os.Getenv("BROKER_TEST_DIR")
	if dir == "" {
		os.Exit(m.Run())
	}
	if os.Getenv("BROKER_TEST_DIE_IN_RECOVERY") != "" {
		afterStep = func(step string) error {
			if step != "marker" {
				return nil
			}
			fmt.Println("dying")
			syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {}
		}
	}
	b, err := Open(context.Background(), Config{Dir: dir, Addr: os.Getenv("BROKER_TEST_ADDR")})
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println("ready " + b.Addr())
	os.Stdin.Read(make([]byte, 1)) // the parent holds the other end
	if err := b.Close(); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	os.Exit(0)
}

// child starts a broker process and returns what it said first.
func child(t *testing.T, dir, addr string, env ...string) (*exec.Cmd, string) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), append(env, "BROKER_TEST_DIR="+dir, "BROKER_TEST_ADDR="+addr)...)
	cmd.Stderr = os.Stderr
	_, err := cmd.StdinPipe()
	require.NoError(t, err)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	buf := make([]byte, 4096)
	n, err := out.Read(buf)
	require.NoError(t, err)
	return cmd, strings.TrimSpace(string(buf[:n]))
}

func kill(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	require.NoError(t, cmd.Process.Kill())
	cmd.Wait()
}

func freeAddr(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer ln.Close()
	return ln.Addr().String()
}

func bounded(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func newClient(t *testing.T, addr string, opts ...kgo.Opt) *kgo.Client {
	t.Helper()
	cl, err := kgo.NewClient(append(opts, kgo.SeedBrokers(addr))...)
	require.NoError(t, err)
	t.Cleanup(cl.Close)
	return cl
}

func produce(t *testing.T, cl *kgo.Client, topic string, values ...string) {
	t.Helper()
	for _, v := range values {
		r := &kgo.Record{Topic: topic, Key: []byte(v), Value: []byte(v)}
		require.NoError(t, cl.ProduceSync(bounded(t), r).FirstErr())
	}
}

// committed reads a topic from its start to its end, committed records only.
func committed(t *testing.T, addr, topic string) []string {
	t.Helper()
	ctx := bounded(t)
	cl := newClient(t, addr, kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.KeepControlRecords(),
		kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	ends, err := kadm.NewClient(cl).ListEndOffsets(ctx, topic)
	require.NoError(t, err)
	left := map[int32]int64{}
	ends.Each(func(o kadm.ListedOffset) {
		if o.Offset > 0 {
			left[o.Partition] = o.Offset
		}
	})
	var out []string
	for len(left) > 0 {
		fetches := cl.PollFetches(ctx)
		require.NoError(t, fetches.Err())
		fetches.EachRecord(func(r *kgo.Record) {
			if !r.Attrs.IsControl() {
				out = append(out, string(r.Value))
			}
			if r.Offset+1 >= left[r.Partition] {
				delete(left, r.Partition)
			}
		})
	}
	slices.Sort(out)
	return out
}

func TestRecoveryAfterKill(t *testing.T) {
	dir, addr := t.TempDir(), freeAddr(t)
	cmd, said := child(t, dir, addr)
	require.Equal(t, "ready "+addr, said)
	ctx := bounded(t)
	_, err := kadm.NewClient(newClient(t, addr)).CreateTopics(ctx, 2, 1, nil, "t")
	require.NoError(t, err)

	txn := newClient(t, addr, kgo.TransactionalID("x"))
	require.NoError(t, txn.BeginTransaction())
	produce(t, txn, "t", "base1", "base2", "base3")
	require.NoError(t, txn.EndTransaction(ctx, kgo.TryCommit))
	require.NoError(t, txn.BeginTransaction())
	produce(t, txn, "t", "open1", "open2", "open3")
	require.NoError(t, txn.Flush(ctx))
	kill(t, cmd)

	// The recovery itself is killed after its first marker.
	cmd, said = child(t, dir, addr, "BROKER_TEST_DIE_IN_RECOVERY=1")
	require.Equal(t, "dying", said)
	cmd.Wait()

	cmd, said = child(t, dir, addr)
	require.Equal(t, "ready "+addr, said)
	require.Equal(t, []string{"base1", "base2", "base3"}, committed(t, addr, "t"))

	txn = newClient(t, addr, kgo.TransactionalID("x"))
	require.NoError(t, txn.BeginTransaction())
	produce(t, txn, "t", "good1", "good2", "good3")
	require.NoError(t, txn.EndTransaction(ctx, kgo.TryCommit))
	want := []string{"base1", "base2", "base3", "good1", "good2", "good3"}
	require.Equal(t, want, committed(t, addr, "t"))

	// The new commit must not take the old records with it at the next replay.
	kill(t, cmd)
	_, said = child(t, dir, addr)
	require.Equal(t, "ready "+addr, said)
	require.Equal(t, want, committed(t, addr, "t"))
}

func TestOpenTransactionSurvivesClose(t *testing.T) {
	dir, addr := t.TempDir(), freeAddr(t)
	ctx := bounded(t)
	b, err := Open(ctx, Config{Dir: dir, Addr: addr})
	require.NoError(t, err)
	_, err = kadm.NewClient(newClient(t, addr)).CreateTopics(ctx, 1, 1, nil, "t")
	require.NoError(t, err)
	txn := newClient(t, addr, kgo.TransactionalID("x"))
	require.NoError(t, txn.BeginTransaction())
	produce(t, txn, "t", "one")
	require.NoError(t, b.Close())
	require.FileExists(t, filepath.Join(dir, cleanFile))

	b, err = Open(ctx, Config{Dir: dir, Addr: addr})
	require.NoError(t, err)
	defer b.Close()
	require.NoFileExists(t, filepath.Join(dir, cleanFile))
	produce(t, txn, "t", "two")
	require.NoError(t, txn.EndTransaction(ctx, kgo.TryCommit))
	require.Equal(t, []string{"one", "two"}, committed(t, addr, "t"))
}

func TestDirectoryInUse(t *testing.T) {
	dir := t.TempDir()
	cmd, said := child(t, dir, "127.0.0.1:0")
	require.Contains(t, said, "ready")
	_, err := Open(bounded(t), Config{Dir: dir})
	require.ErrorContains(t, err, fmt.Sprintf("data directory %s is in use by another sidestream process (pid %d)", dir, cmd.Process.Pid))

	kill(t, cmd) // the lock dies with its process
	b, err := Open(bounded(t), Config{Dir: dir})
	require.NoError(t, err)
	require.NoError(t, b.Close())
	require.NoError(t, b.Close(), "closing twice is closing once")
}

func TestPortInUse(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer ln.Close()
	dir := t.TempDir()
	_, err = Open(bounded(t), Config{Dir: dir, Addr: ln.Addr().String()})
	require.ErrorContains(t, err, ln.Addr().String()+" is in use by another process")

	b, err := Open(bounded(t), Config{Dir: dir}) // and the directory was let go
	require.NoError(t, err)
	require.NoError(t, b.Close())
}

func TestAddressesRefused(t *testing.T) {
	for _, addr := range []string{"0.0.0.0:9092", ":9092", "[::]:9092", "localhost"} {
		_, err := Open(bounded(t), Config{Dir: t.TempDir(), Addr: addr})
		require.ErrorContains(t, err, fmt.Sprintf("address %q", addr))
	}
}

func TestTickerCompactsAndExpires(t *testing.T) {
	ctx := bounded(t)
	dir := t.TempDir()
	b, err := Open(ctx, Config{Dir: dir, Clean: -1})
	require.NoError(t, err)
	adm := kadm.NewClient(newClient(t, b.Addr()))
	set := func(v string) *string { return &v }
	_, err = adm.CreateTopics(ctx, 1, 1, map[string]*string{"cleanup.policy": set("compact"), "segment.bytes": set("1024")}, "compacted")
	require.NoError(t, err)
	_, err = adm.CreateTopics(ctx, 1, 1, map[string]*string{"retention.ms": set("1"), "segment.bytes": set("1024")}, "expiring")
	require.NoError(t, err)
	cl := newClient(t, b.Addr())
	for range 50 {
		produce(t, cl, "compacted", "same")
		produce(t, cl, "expiring", "old")
	}
	require.NoError(t, b.Close())

	// The ticker must run over a directory that is opened again.
	b, err = Open(ctx, Config{Dir: dir, Clean: 10 * time.Millisecond})
	require.NoError(t, err)
	defer b.Close()
	adm = kadm.NewClient(newClient(t, b.Addr()))
	require.Eventually(t, func() bool {
		starts, err := adm.ListStartOffsets(ctx, "expiring")
		require.NoError(t, err)
		o, _ := starts.Lookup("expiring", 0)
		return o.Offset > 0 && len(committed(t, b.Addr(), "compacted")) < 10
	}, 20*time.Second, 20*time.Millisecond)
}

func TestCompactedTopicKeepsOldKeys(t *testing.T) {
	ctx := bounded(t)
	b, err := Open(ctx, Config{Dir: t.TempDir()})
	require.NoError(t, err)
	defer b.Close()
	cl := newClient(t, b.Addr())
	compact := "compact"
	_, err = kadm.NewClient(cl).CreateTopics(ctx, 1, 1, map[string]*string{"cleanup.policy": &compact}, "changelog")
	require.NoError(t, err)
	for _, key := range []string{"a", "b"} {
		r := &kgo.Record{Topic: "changelog", Key: []byte(key), Value: []byte(key), Timestamp: time.UnixMilli(1000)}
		require.NoError(t, cl.ProduceSync(ctx, r).FirstErr())
	}
	b.Compact()
	require.Equal(t, []string{"a", "b"}, committed(t, b.Addr(), "changelog"))
}

func TestRefusesWhatKafkaRefuses(t *testing.T) {
	ctx := bounded(t)
	b, err := Open(ctx, Config{Dir: t.TempDir()})
	require.NoError(t, err)
	defer b.Close()
	adm := kadm.NewClient(newClient(t, b.Addr()))
	set := func(v string) *string { return &v }

	for range 2 { // the fence must outlive its first use
		resp, err := adm.CreateTopics(ctx, 1, 1, nil, "bad name!", "fine")
		require.NoError(t, err)
		require.ErrorIs(t, resp["bad name!"].Err, kerr.InvalidTopicException)
		require.Contains(t, resp["bad name!"].ErrMessage, "Topic name is invalid: 'bad name!' contains")
		require.ErrorIs(t, resp["fine"].Err, kerr.InvalidRequest)
	}
	_, err = adm.CreateTopic(ctx, 1, 1, map[string]*string{"bogus.key": set("1")}, "t")
	require.ErrorIs(t, err, kerr.InvalidConfig)
	_, err = adm.CreateTopic(ctx, 1, 1, map[string]*string{"retention.ms": set("a day")}, "t")
	require.ErrorIs(t, err, kerr.InvalidConfig)
	_, err = adm.CreateTopic(ctx, -1, -1, map[string]*string{"retention.ms": set("1000")}, "t")
	require.NoError(t, err)
	topics, err := adm.ListTopics(ctx, "t", "fine")
	require.NoError(t, err)
	require.Len(t, topics["t"].Partitions, DefaultPartitions)
	require.ErrorIs(t, topics["fine"].Err, kerr.UnknownTopicOrPartition)

	alter := func(c kadm.AlterConfig) error {
		resp, err := adm.AlterTopicConfigs(ctx, []kadm.AlterConfig{c}, "t")
		require.NoError(t, err)
		return resp[0].Err
	}
	require.ErrorIs(t, alter(kadm.AlterConfig{Op: kadm.SetConfig, Name: "bogus.key", Value: set("1")}), kerr.InvalidConfig)
	require.NoError(t, alter(kadm.AlterConfig{Op: kadm.SetConfig, Name: "retention.ms", Value: set("2000")}))
	require.NoError(t, alter(kadm.AlterConfig{Op: kadm.DeleteConfig, Name: "retention.ms"}))
}

func TestOffsetsOfUnknownGroup(t *testing.T) {
	ctx := bounded(t)
	b, err := Open(ctx, Config{Dir: t.TempDir()})
	require.NoError(t, err)
	defer b.Close()
	cl := newClient(t, b.Addr())
	adm := kadm.NewClient(cl)
	_, err = adm.CreateTopics(ctx, 1, 1, nil, "t")
	require.NoError(t, err)

	req := kmsg.NewPtrOffsetFetchRequest()
	req.Group = "nobody"
	rt := kmsg.NewOffsetFetchRequestTopic()
	rt.Topic, rt.Partitions = "t", []int32{0}
	req.Topics = append(req.Topics, rt)
	resp, err := req.RequestWith(ctx, cl)
	require.NoError(t, err)
	require.Zero(t, resp.ErrorCode)

	var offsets kadm.Offsets
	offsets.Add(kadm.Offset{Topic: "t", Partition: 0, At: 7, LeaderEpoch: -1})
	_, err = adm.CommitOffsets(ctx, "somebody", offsets)
	require.NoError(t, err)
	got, err := adm.FetchOffsets(ctx, "somebody")
	require.NoError(t, err)
	o, _ := got.Lookup("t", 0)
	require.Equal(t, int64(7), o.At)
}
