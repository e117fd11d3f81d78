package deploy

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kadm"

	"github.com/sidestream/sidestream/sidecar/client"
)

// live is a ksqlDB by URL (KSQLDB_URL, `make test-ksqldb`), or the embedded engine:
// the same tests hold on either. Names are new at each run, and all is removed
// afterwards. KAFKA_BOOTSTRAP_SERVERS is needed when the server reaches Kafka by an
// address that doesn't lead there from here.
func live(t *testing.T) (*client.Client, *Ledger, string) {
	t.Helper()
	url := os.Getenv("KSQLDB_URL")
	if url == "" {
		c, ledger := system(t)
		return c, ledger, "live"
	}
	ctx := bounded(t)
	c, err := client.New(url)
	require.NoError(t, err)
	t.Cleanup(c.Close)
	info, err := WaitReady(ctx, c)
	require.NoError(t, err)
	t.Logf("ksqlDB %s at %s, service id %s", info.Version, url, info.ServiceID)
	brokers := strings.Split(os.Getenv("KAFKA_BOOTSTRAP_SERVERS"), ",")
	if brokers[0] == "" {
		brokers, err = BrokersOf(ctx, c)
		require.NoError(t, err)
	}
	prefix := fmt.Sprintf("live%d", time.Now().UnixNano()%1_000_000_000)
	// A service of its own, so that it doesn't touch what was applied to the server.
	ledger, err := OpenLedger(ctx, brokers, prefix)
	require.NoError(t, err)
	t.Cleanup(ledger.Close)
	t.Cleanup(func() { sweep(t, c, brokers, prefix) })
	return c, ledger, prefix
}

// sweep removes what the run made: queries, then streams and tables, then topics.
func sweep(t *testing.T, c *client.Client, brokers []string, prefix string) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	mine := func(name string) bool { return strings.HasPrefix(strings.ToLower(name), prefix) }
	queries, err := c.Exec(ctx, "SHOW QUERIES;")
	if err != nil {
		t.Log("not swept:", err)
		return
	}
	for _, q := range queries[0].Queries {
		if len(q.Sinks) > 0 && mine(q.Sinks[0]) {
			_, err := c.Exec(ctx, "TERMINATE "+q.ID+";")
			t.Log("TERMINATE", q.ID, err)
		}
	}
	for range 5 { // readers before what they read
		for kind, show := range map[string]string{"STREAM": "SHOW STREAMS;", "TABLE": "SHOW TABLES;"} {
			list, err := c.Exec(ctx, show)
			if err != nil {
				t.Log(err)
				continue
			}
			for _, s := range append(list[0].Streams, list[0].Tables...) {
				if mine(s.Name) {
					_, err := c.Exec(ctx, "DROP "+kind+" IF EXISTS "+s.Name+";")
					t.Log("DROP", s.Name, err)
				}
			}
		}
	}
	cl, err := connect(ctx, brokers)
	if err != nil {
		t.Log("topics are not swept:", err)
		return
	}
	defer cl.Close()
	adm := kadm.NewClient(cl)
	topics, err := adm.ListTopics(ctx)
	if err != nil {
		t.Log("topics are not swept:", err)
		return
	}
	for _, name := range topics.Names() {
		if mine(name) {
			_, err := adm.DeleteTopic(ctx, name)
			t.Log("topic", name, err)
		}
	}
}

// within asks until the check finds nothing wrong.
func within(t *testing.T, limit time.Duration, check func(ctx context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(bounded(t), limit)
	defer cancel()
	var err error
	for {
		if err = check(ctx); err == nil {
			return
		}
		select {
		case <-ctx.Done():
			require.NoError(t, err, "not within %v", limit)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// TestLive is a life of a folder on a server: applied, applied again, edited in
// place while records come, refused where an edit can't be made, and read back.
func TestLive(t *testing.T) {
	c, ledger, p := live(t)
	ctx := bounded(t)
	o := Options{Ledger: ledger, Properties: map[string]string{
		"auto.offset.reset": "earliest", "cache.max.bytes.buffering": "0", "commit.interval.ms": "100",
		"consumer.internal.leave.group.on.close": "true",
	}}
	if os.Getenv("KSQLDB_URL") == "" {
		delete(o.Properties, "consumer.internal.leave.group.on.close")
	}
	source := fmt.Sprintf("CREATE STREAM %[1]s_in (id STRING KEY, n INT) WITH (KAFKA_TOPIC='%[1]s-in', VALUE_FORMAT='JSON', PARTITIONS=2);\n", p)
	filter := func(condition string) string {
		return fmt.Sprintf("CREATE STREAM %[1]s_some WITH (KAFKA_TOPIC='%[1]s-some') AS SELECT id, n FROM %[1]s_in WHERE %[2]s EMIT CHANGES;\n", p, condition)
	}
	count := fmt.Sprintf("CREATE TABLE %[1]s_counts WITH (KAFKA_TOPIC='%[1]s-counts') AS SELECT n, COUNT(*) AS times FROM %[1]s_some GROUP BY n EMIT CHANGES;\n", p)
	table := p + "_counts"

	require.Equal(t, []Action{Created, Created, Created}, did(t, c, folder(t, source, filter("n < 5"), count), o))
	insert := func(rows int) {
		t.Helper()
		acked, err := c.InsertAll(ctx, p+"_in", func(yield func(any) bool) {
			for i := range rows {
				if !yield(map[string]any{"ID": fmt.Sprint(i % 7), "N": i % 10}) {
					return
				}
			}
		})
		require.NoError(t, err)
		require.Equal(t, int64(rows), acked)
	}
	times := func(n, want int64) {
		t.Helper()
		within(t, 90*time.Second, func(ctx context.Context) error {
			r, err := c.Pull(ctx, "SELECT times FROM "+table+" WHERE n = ?;", n)
			if err != nil {
				return err
			}
			if len(r.Rows) != 1 {
				return fmt.Errorf("%d rows for n = %d", len(r.Rows), n)
			}
			var got int64
			if err := r.Rows[0].Scan(&got); err != nil {
				return err
			}
			if got != want {
				return fmt.Errorf("n = %d: %d times, want %d", n, got, want)
			}
			return nil
		})
	}
	insert(200)
	for n := range int64(5) {
		times(n, 20)
	}

	require.Equal(t, []Action{Same, Same, Same}, did(t, c, folder(t, source, filter("n < 5"), count), o))

	// In place: from its offsets on, nothing lost, nothing read twice.
	require.Equal(t, []Action{Same, Replaced, Same}, did(t, c, folder(t, source, filter("n < 3"), count), o))
	insert(100)
	for n := range int64(3) {
		times(n, 30)
	}
	times(4, 20)

	// A column in the middle can't be: the server is left as it is.
	middle := fmt.Sprintf("CREATE STREAM %[1]s_some WITH (KAFKA_TOPIC='%[1]s-some') AS SELECT id, n + 1 AS m, n FROM %[1]s_in EMIT CHANGES;\n", p)
	_, err := Apply(ctx, c, folder(t, source, middle, count), o)
	var fault *Fault
	require.ErrorAs(t, err, &fault)
	insert(10)
	times(0, 31)

	// What a server says to mistakes.
	_, err = c.Exec(ctx, "DROP STREAM "+p+"_some;")
	require.ErrorContains(t, err, "Cannot drop")
	_, err = c.Exec(ctx, "CREATE STREAM x AS SELECT nothing FROM "+p+"_in EMIT CHANGES;")
	require.ErrorContains(t, err, "NOTHING")
	require.Equal(t, 40001, client.Code(err))

	rows, err := c.Push(ctx, client.Query{SQL: "SELECT * FROM " + p + "_in EMIT CHANGES LIMIT 1;", Properties: map[string]any{"auto.offset.reset": "earliest"}})
	require.NoError(t, err)
	defer rows.Close()
	row, err := rows.Next()
	require.NoError(t, err)
	id, ok := row.Get("ID")
	require.True(t, ok)
	require.NotEmpty(t, id)
}
