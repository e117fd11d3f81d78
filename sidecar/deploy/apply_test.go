package deploy

import (
	"context"
	"log/slog"
	"net"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sidestream/sidestream/sidecar/broker"
	"github.com/sidestream/sidestream/sidecar/client"
	"github.com/sidestream/sidestream/sidecar/engine"
	"github.com/sidestream/sidestream/sidecar/engine/rest"
)

// server is an embedded engine behind REST, on a broker of its own.
func system(t *testing.T) (*client.Client, *Ledger) {
	t.Helper()
	ctx := bounded(t)
	quiet := slog.New(slog.DiscardHandler)
	b, err := broker.Open(ctx, broker.Config{Dir: t.TempDir(), Clean: -1, Log: quiet})
	require.NoError(t, err)
	t.Cleanup(func() { b.Close() })
	_, err = ApplyTopics(ctx, []string{b.Addr()}, []Topic{{Name: "a", Owner: "x", Cleanup: "delete", Retention: Forever, Partitions: 2}}, false)
	require.NoError(t, err)
	e, err := engine.New(ctx, engine.Config{Brokers: []string{b.Addr()}, ServiceID: "deploy_", Logger: quiet})
	require.NoError(t, err)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	serve, stop := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- rest.New(e, quiet).Serve(serve, ln) }()
	t.Cleanup(func() { stop(); <-served; e.Close() })
	c, err := client.New("http://" + ln.Addr().String())
	require.NoError(t, err)
	t.Cleanup(c.Close)
	info, err := WaitReady(ctx, c)
	require.NoError(t, err)
	require.Equal(t, "deploy_", info.ServiceID)
	brokers, err := BrokersOf(ctx, c)
	require.NoError(t, err)
	ledger, err := OpenLedger(ctx, brokers, info.ServiceID)
	require.NoError(t, err)
	t.Cleanup(ledger.Close)
	return c, ledger
}

const (
	source  = "CREATE STREAM a (id STRING KEY, n INT) WITH (KAFKA_TOPIC='a', VALUE_FORMAT='JSON');\n"
	limited = "CREATE STREAM b AS SELECT id, n FROM a WHERE n > 3 EMIT CHANGES;\n"
	counted = "CREATE TABLE c AS SELECT id, COUNT(*) AS n FROM b WINDOW TUMBLING (SIZE 1 HOUR) GROUP BY id EMIT CHANGES;\n"
	more    = "CREATE STREAM d (id STRING KEY, n INT) WITH (KAFKA_TOPIC='d', VALUE_FORMAT='JSON', PARTITIONS=2);\nINSERT INTO d SELECT id, n FROM b EMIT CHANGES;\n"
)

// folder is a service's folder with these files, 01 and so on.
func folder(t *testing.T, files ...string) *Folder {
	t.Helper()
	dir := t.TempDir()
	for i, text := range files {
		write(t, dir, "0"+string(rune('1'+i))+"-x.sql", text)
	}
	f, err := LoadFolder(dir, nil)
	require.NoError(t, err)
	return f
}

func did(t *testing.T, c *client.Client, f *Folder, o Options) []Action {
	t.Helper()
	require.NoError(t, Check(f))
	r, err := Apply(bounded(t), c, f, o)
	require.NoError(t, err)
	var out []Action
	for _, c := range r.Changes {
		out = append(out, c.Action)
	}
	return out
}

func queryIDs(t *testing.T, c *client.Client) []string {
	t.Helper()
	entities, err := c.Exec(bounded(t), "SHOW QUERIES;")
	require.NoError(t, err)
	var out []string
	for _, q := range entities[0].Queries {
		out = append(out, q.ID)
	}
	return out
}

func TestApply(t *testing.T) {
	c, ledger := system(t)
	o := Options{Ledger: ledger}

	dry := o
	dry.DryRun = true
	require.Equal(t, []Action{Created, Created, Created, Created, Created}, did(t, c, folder(t, source, limited, counted, more), dry))
	require.Empty(t, queryIDs(t, c))

	require.Equal(t, []Action{Created, Created, Created, Created, Created}, did(t, c, folder(t, source, limited, counted, more), o))
	ids := queryIDs(t, c)
	require.Len(t, ids, 3)

	// The same again, another layout, a comment: nothing is sent.
	laid := "-- why\nCREATE STREAM b AS\n  SELECT id, n FROM a\n  WHERE n > 3 EMIT CHANGES ;\n"
	require.Equal(t, []Action{Same, Same, Same, Same, Same}, did(t, c, folder(t, source, laid, counted, more), o))
	require.ElementsMatch(t, ids, queryIDs(t, c))

	// A limit is replaced in place, with the query's id, offsets and topic.
	edited := "CREATE STREAM b AS SELECT id, n FROM a WHERE n > 4 EMIT CHANGES;\n"
	require.Equal(t, []Action{Same, Replaced, Same, Same, Same}, did(t, c, folder(t, source, edited, counted, more), o))
	require.ElementsMatch(t, ids, queryIDs(t, c))
	require.Equal(t, []Action{Same, Same, Same, Same, Same}, did(t, c, folder(t, source, edited, counted, more), o))
}

func TestWhatCannotBeReplaced(t *testing.T) {
	c, ledger := system(t)
	o := Options{Ledger: ledger}
	did(t, c, folder(t, source, limited, counted, more), o)
	ids := queryIDs(t, c)

	// A window: refused, and everything goes on.
	wider := "CREATE TABLE c AS SELECT id, COUNT(*) AS n FROM b WINDOW TUMBLING (SIZE 2 HOURS) GROUP BY id EMIT CHANGES;\n"
	f := folder(t, source, limited, wider, more)
	_, err := Apply(bounded(t), c, f, o)
	var fault *Fault
	require.ErrorAs(t, err, &fault)
	require.Contains(t, fault.Text, f.Statements[2].Place()+": ")
	require.Contains(t, fault.Text, "    CREATE TABLE c AS SELECT")
	require.Contains(t, fault.Text, "The running query is untouched.")
	require.ElementsMatch(t, ids, queryIDs(t, c))

	// In development it is made again.
	o.Rebuild = true
	require.Equal(t, []Action{Same, Same, Rebuilt, Same, Same}, did(t, c, f, o))

	// Columns in another order: the readers are made again with it.
	turned := "CREATE STREAM b AS SELECT id, n + 1 AS m, n FROM a WHERE n > 3 EMIT CHANGES;\n"
	require.Equal(t, []Action{Same, Rebuilt, Rebuilt, Same, Rebuilt}, sorted(t, c, folder(t, source, turned, wider, more), o))
	require.Len(t, queryIDs(t, c), 3)
	require.Equal(t, []Action{Same, Same, Same, Same, Same}, did(t, c, folder(t, source, turned, wider, more), o))
}

// sorted is did with the changes in the order of the folder.
func sorted(t *testing.T, c *client.Client, f *Folder, o Options) []Action {
	t.Helper()
	r, err := Apply(bounded(t), c, f, o)
	require.NoError(t, err)
	var out []Action
	for _, s := range f.Statements {
		for _, change := range r.Changes {
			if change.Place == s.Place() {
				out = append(out, change.Action)
			}
		}
	}
	return out
}

func TestChangedInsert(t *testing.T) {
	c, ledger := system(t)
	o := Options{Ledger: ledger}
	did(t, c, folder(t, source, limited, more), o)
	changed := "CREATE STREAM d (id STRING KEY, n INT) WITH (KAFKA_TOPIC='d', VALUE_FORMAT='JSON', PARTITIONS=2);\nINSERT INTO d SELECT id, n * 2 AS n FROM b EMIT CHANGES;\n"
	f := folder(t, source, limited, changed)
	require.Equal(t, []Action{Same, Same, Same, Resumed}, did(t, c, f, o))
	require.Len(t, queryIDs(t, c), 2)
	require.Equal(t, []Action{Same, Same, Same, Same}, did(t, c, f, o))

	// A query that no folder has made is left alone, and named.
	_, err := c.Exec(bounded(t), "INSERT INTO d SELECT id, n FROM a EMIT CHANGES;")
	require.NoError(t, err)
	r, err := Apply(bounded(t), c, f, o)
	require.NoError(t, err)
	require.Len(t, r.Extras, 1)
}

func TestCheckShowsEveryMistake(t *testing.T) {
	f := folder(t, source,
		"CREATE STREAM b AS SELECT id, m FROM a EMIT CHANGES;\nCREATE STREAM c AS SELECT x FROM b EMIT CHANGES;\n",
		"CREATE STREAM d AS SELECT id FROM nowhere EMIT CHANGES;\n")
	err := Check(f)
	var fault *Fault
	require.ErrorAs(t, err, &fault)
	require.Contains(t, fault.Text, "02-x.sql:1:31: ")
	require.Contains(t, fault.Text, "                                  ^\n")
	require.Contains(t, fault.Text, "03-x.sql:1:35: ")
	require.NotContains(t, fault.Text, "02-x.sql:2:", "a reader of what is wrong has no mistake of its own")
}

// What somebody else did on the server is seen, and taken back by applying again.
func TestChangedByHand(t *testing.T) {
	c, ledger := system(t)
	o := Options{Ledger: ledger}
	f := folder(t, source, limited)
	did(t, c, f, o)
	_, err := c.Exec(bounded(t), "CREATE OR REPLACE STREAM b AS SELECT id, n FROM a WHERE n > 99 EMIT CHANGES;")
	require.NoError(t, err)
	p, err := MakePlan(bounded(t), c, f, o)
	require.NoError(t, err)
	require.Equal(t, InPlace, p.Steps[1].Class)
	require.Equal(t, []string{"- WHERE (B.N > 99)", "+ WHERE (N > 3)"}, whereOf(p.Steps[1].Diff))
	require.Contains(t, p.Steps[1].Notes, "somebody has changed it on the server since it was applied")
	require.Equal(t, []Action{Same, Replaced}, did(t, c, f, o))
	require.Equal(t, []Action{Same, Same}, did(t, c, f, o))
}

func whereOf(diff []string) []string {
	var out []string
	for _, l := range diff {
		if strings.Contains(l, "WHERE") {
			out = append(out, strings.ReplaceAll(l, "A.N", "B.N"))
		}
	}
	return out
}

// Without a ledger texts are compared in the server's own form.
func TestWithoutLedger(t *testing.T) {
	c, _ := system(t)
	f := folder(t, source, limited, counted)
	did(t, c, f, Options{})
	require.Equal(t, []Action{Same, Same, Same}, did(t, c, folder(t, source, "create stream B as select ID, N from A where (n > 3);\n", counted), Options{}))
	require.Equal(t, []Action{Same, Replaced, Same}, did(t, c, folder(t, source, "CREATE STREAM b AS SELECT id, n FROM a WHERE n > 4 EMIT CHANGES;\n", counted), Options{}))
}

// SQL that is not understood here goes to the server as it is, if that is wanted.
func TestUnchecked(t *testing.T) {
	c, ledger := system(t)
	f := folder(t, source, "CREATE STREAM b AS SELECT id, NO_SUCH_FUNCTION(n) AS n FROM a EMIT CHANGES;\n")
	_, err := MakePlan(bounded(t), c, f, Options{Ledger: ledger})
	require.ErrorContains(t, err, "02-x.sql:1:31: ")
	p, err := MakePlan(bounded(t), c, f, Options{Ledger: ledger, Unchecked: true})
	require.NoError(t, err)
	require.Equal(t, New, p.Steps[1].Class)
	r, err := Apply(bounded(t), c, f, Options{Ledger: ledger, Unchecked: true})
	require.ErrorContains(t, err, "02-x.sql:1:1: ")
	require.Equal(t, []string{f.Statements[1].Place()}, r.Left)
	require.Equal(t, Created, r.Changes[0].Action)
}
