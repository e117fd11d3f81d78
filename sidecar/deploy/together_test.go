package deploy

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Three replicas start at once: each statement is carried out once, and all three
// find it done.
func TestThreeAppliers(t *testing.T) {
	c, ledger := system(t)
	f := folder(t, source, limited, counted, more)
	var wg sync.WaitGroup
	results, errs := make([]*Result, 3), make([]error, 3)
	for i := range 3 {
		wg.Go(func() {
			own, err := OpenLedger(bounded(t), ledger.kafka.brokers, ledger.service)
			if err != nil {
				errs[i] = err
				return
			}
			defer own.Close()
			results[i], errs[i] = Apply(bounded(t), c, f, Options{Ledger: own})
		})
	}
	wg.Wait()
	made := 0
	for i := range 3 {
		require.NoError(t, errs[i])
		for _, c := range results[i].Changes {
			if c.Action == Created {
				made++
			}
		}
	}
	require.Equal(t, len(f.Statements), made)
	require.Len(t, queryIDs(t, c), 3)
}

func TestLease(t *testing.T) {
	_, first := system(t)
	first.TTL = time.Second
	other := func() *Ledger {
		l, err := OpenLedger(bounded(t), first.kafka.brokers, first.service)
		require.NoError(t, err)
		t.Cleanup(l.Close)
		l.TTL = time.Second
		return l
	}
	held, unlock, err := first.Lock(bounded(t), nil)
	require.NoError(t, err)
	require.NoError(t, first.Save(held, "A", &Entry{SQL: "a"}))

	// Held and renewed, it isn't given away, however long one waits.
	second := other()
	short, cancel := context.WithTimeout(t.Context(), 2500*time.Millisecond)
	defer cancel()
	told := ""
	_, _, err = second.Lock(short, func(holder string) { told = holder })
	require.ErrorContains(t, err, "waiting for "+first.holder)
	require.Equal(t, first.holder, told)
	require.NoError(t, held.Err())
	require.NoError(t, first.Save(held, "A", &Entry{SQL: "b"}))

	// Given back, the next one has it at once.
	unlock()
	_, unlock, err = second.Lock(bounded(t), nil)
	require.NoError(t, err)
	require.NoError(t, second.Save(bounded(t), "A", &Entry{SQL: "c"}))
	unlock()

	// One that stops renewing loses it, and can't write any more.
	third, fourth := other(), other()
	require.NoError(t, third.acquire(bounded(t), nil)) // without anybody who renews
	_, unlock, err = fourth.Lock(bounded(t), nil)
	require.NoError(t, err)
	defer unlock()
	require.ErrorIs(t, third.Save(bounded(t), "A", &Entry{SQL: "d"}), errLeaseLost)
	entries, err := fourth.Load(bounded(t))
	require.NoError(t, err)
	require.Equal(t, "c", entries["A"].SQL)
}

// An applier is killed at one moment after the other of a rebuild; in the end
// every record has come out once.
func TestKilledAppliers(t *testing.T) {
	e := lab(t, "killed")
	before := `CREATE STREAM s (id STRING KEY, n INT, a INT) WITH (KAFKA_TOPIC='in', VALUE_FORMAT='JSON');
CREATE STREAM c WITH (KAFKA_TOPIC='killed-c') AS SELECT id, n, a FROM s EMIT CHANGES;
CREATE TABLE w WITH (KAFKA_TOPIC='killed-w') AS SELECT id, LATEST_BY_OFFSET(n) AS n, COUNT(*) AS c FROM c GROUP BY id EMIT CHANGES;
`
	f, err := e.folder(before)
	require.NoError(t, err)
	_, err = Apply(e.ctx(), e.client, f, Options{Ledger: e.ledger})
	require.NoError(t, err)
	e.readTopics("killed-c", "killed-w")

	f, err = e.folder(strings.Replace(before, "id, n, a FROM s", "id, a, n FROM s", 1))
	require.NoError(t, err)
	moments := []func(*operation) bool{
		func(op *operation) bool { return !op.Cut && len(op.Queries) > 0 },
		func(op *operation) bool { return !op.Cut && len(op.Paused) > 0 },
	}
	for done := 1; done < 40; done += killEvery() {
		moments = append(moments, func(op *operation) bool { return op.Cut && op.Done >= done })
	}
	kills := 0
	for _, moment := range moments {
		if !e.applyProcess(f.Dir, moment) {
			kills++
		}
	}
	t.Logf("%d kills", kills)
	require.Greater(t, kills, 3)
	require.True(t, e.applyProcess(f.Dir, func(*operation) bool { return false }))
	require.Equal(t, "lost 0, doubled 0; the reader has gone over to killed-c_v2", e.counted("killed-c", "all", "all", "none", false))
	require.Equal(t, "lost 0, doubled 0, gaps in the counts 0; the reader has gone over to killed-w_v2", e.counted("killed-w", "all", "all", "none", true))
	p, err := MakePlan(e.ctx(), e.client, f, Options{Ledger: e.ledger})
	require.NoError(t, err)
	require.Equal(t, ExitNothing, p.ExitCode())
}

// killEvery is how many steps of a rebuild lie between two kills: 1 on request
// (DEPLOY_KILLS=all).
func killEvery() int {
	if os.Getenv("DEPLOY_KILLS") == "all" {
		return 1
	}
	return 3
}

// applyProcess runs sidestream apply and kills it when the ledger shows that
// moment of an operation; false: it was killed.
func (e *edit) applyProcess(dir string, when func(*operation) bool) bool {
	cmd := exec.Command(e.bin, "apply", dir, "--server", e.client.URL(), "--bootstrap", e.broker, "--allow-rebuild", "--lease", "500ms", "--define", "t="+e.name+"-")
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &out
	require.NoError(e.t, cmd.Start())
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	killed := false
	for {
		select {
		case err := <-ended:
			if !killed {
				require.NoError(e.t, err, out.String())
			}
			return !killed
		case <-time.After(2 * time.Millisecond):
		}
		b, err := e.ledger.load(e.ctx())
		require.NoError(e.t, err)
		if b.operation != nil && when(b.operation) && !killed {
			killed = true
			cmd.Process.Kill()
		}
	}
}

func TestFoldersOfOthersAreLeftAlone(t *testing.T) {
	c, ledger := system(t)
	dir := t.TempDir()
	load := func(service, sql string) *Folder {
		write(t, dir, filepath.Join(service, "01-x.sql"), sql)
		f, err := LoadFolder(filepath.Join(dir, service), nil)
		require.NoError(t, err)
		return f
	}
	o := Options{Ledger: ledger}
	did(t, c, load("one", source+limited), o)
	two := source + "CREATE STREAM e AS SELECT id, n FROM a EMIT CHANGES;\n"
	require.Equal(t, []Action{Same, Created}, did(t, c, load("two", two), o))
	require.Len(t, queryIDs(t, c), 2, "B of the first folder still runs")
}
