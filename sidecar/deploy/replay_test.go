package deploy

import (
	"bytes"
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"
)

func TestRecordingKeepsEveryByte(t *testing.T) {
	for _, r := range []Recorded{
		{Topic: "a", Partition: 3, Offset: 7, Time: 12, Key: []byte("k"), Value: []byte(`{"n": 1.50, "s": "<&>ü"}`)},
		{Topic: "a", Key: []byte{0, 0, 0, 7}, Value: []byte{0xff, 0}, Headers: []RecordedHeader{{"h", []byte{1}}, {"h", []byte{}}}},
		{Topic: "a", Key: nil, Value: nil},
		{Topic: "a", Key: []byte{}, Value: []byte{}},
	} {
		line, err := json.Marshal(r)
		require.NoError(t, err)
		require.NotContains(t, string(line), "\n")
		got, err := ReadRecording("f", bytes.NewReader(line))
		require.NoError(t, err)
		require.Equal(t, []Recorded{r}, got.Records, string(line))
	}
	_, err := ReadRecording("f.jsonl", strings.NewReader("{\"topic\":\"a\"}\n\n{\"topic\":\"a\",\"offst\":1}\n"))
	require.ErrorContains(t, err, "f.jsonl:3: not a record of a recording: ")
	_, err = ReadRecording("f.jsonl", strings.NewReader("{}\n"))
	require.ErrorContains(t, err, "f.jsonl:1: a record needs a topic")
}

// Records of a live broker, an aborted transaction among them, go through SQL that
// has changed.
func TestReplay(t *testing.T) {
	_, ledger := system(t)
	ctx := bounded(t)
	cl, err := kgo.NewClient(kgo.SeedBrokers(ledger.kafka.brokers...), kgo.TransactionalID("writer"))
	require.NoError(t, err)
	defer cl.Close()
	write := func(end kgo.TransactionEndTry, records ...*kgo.Record) {
		require.NoError(t, cl.BeginTransaction())
		require.NoError(t, cl.ProduceSync(ctx, records...).FirstErr())
		require.NoError(t, cl.EndTransaction(ctx, end))
	}
	record := func(key, value string) *kgo.Record {
		return &kgo.Record{Topic: "a", Key: []byte(key), Value: []byte(value)}
	}
	write(kgo.TryCommit, record("x", `{"N": 3}`), record("y", `{"N": 4}`), record("x", `{"N": 5}`))
	write(kgo.TryAbort, record("x", `{"N": 100}`))
	write(kgo.TryCommit, record("y", `{"N": 6}`), record("y", `{"N": "many"}`))

	dir := t.TempDir()
	load := func(name, sql string) *Folder {
		f := filepath.Join(dir, name, "service")
		writeFile(t, f, sql)
		folder, err := LoadFolder(f, nil)
		require.NoError(t, err)
		return folder
	}
	before := load("before", source+limited+"CREATE STREAM gone AS SELECT id, n FROM b EMIT CHANGES;\n")
	after := load("after", source+"CREATE STREAM b AS SELECT id, CASE WHEN n > 5 THEN 0 ELSE n END AS n, 'new' AS v FROM a WHERE n > 4 EMIT CHANGES;\n"+
		"CREATE TABLE c AS SELECT id, COUNT(*) AS n FROM b GROUP BY id EMIT CHANGES;\n")
	topics, err := InputTopics(after)
	require.NoError(t, err)
	require.Equal(t, []string{"a"}, topics)

	rec := &Recording{}
	rec.Partitions, err = ledger.kafka.Record(ctx, topics, RecordOptions{}, func(r Recorded) error {
		rec.Records = append(rec.Records, r)
		return nil
	})
	require.NoError(t, err)
	require.Equal(t, map[string]int{"a": 2}, rec.Partitions)
	require.Len(t, rec.Records, 5)

	got, err := Replay(ctx, before, after, rec)
	require.NoError(t, err)
	require.True(t, got.Differs())
	require.Equal(t, 5, got.Records)
	require.Empty(t, got.Problems, "both can't read the last record")
	require.Len(t, got.Outputs, 3)
	b := got.Outputs[0]
	require.Equal(t, "B", b.Name)
	require.Equal(t, []int{3, 2, 1}, []int{b.Before, b.After, b.Same})
	require.Equal(t, []string{"V"}, b.Added)
	require.Equal(t, map[string]int{"N": 1}, b.Changed)
	var signs []string
	for _, d := range b.Diff {
		signs = append(signs, d.Sign+" "+strings.Split(d.Record, ", ROWTIME")[0])
	}
	require.Equal(t, []string{"- ID='y', N=6", "+ ID='y', N=0", "- ID='y', N=4"}, signs)
	require.Equal(t, "after", got.Outputs[1].Only)
	require.Equal(t, "before", got.Outputs[2].Only)

	// The same SQL gives the same.
	got, err = Replay(ctx, after, after, rec)
	require.NoError(t, err)
	require.False(t, got.Differs())

	// Only the latest, and only of topics that there are.
	n := 0
	_, err = ledger.kafka.Record(ctx, topics, RecordOptions{Max: 2}, func(Recorded) error { n++; return nil })
	require.NoError(t, err)
	require.LessOrEqual(t, n, 2)
	_, err = ledger.kafka.Record(ctx, []string{"nothing"}, RecordOptions{}, nil)
	require.EqualError(t, err, "there is no topic nothing")
	_, err = Replay(ctx, after, after, &Recording{Partitions: map[string]int{}})
	require.ErrorContains(t, err, "no record of the topics that the SQL reads")
}

func writeFile(t *testing.T, dir, sql string) { write(t, dir, "01-x.sql", sql) }
