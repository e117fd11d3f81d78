package broker

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// TestJournalIsWrittenAnew: it keeps what matters, and little else.
func TestJournalIsWrittenAnew(t *testing.T) {
	dir := t.TempDir()
	j, err := openJournal(dir, false)
	require.NoError(t, err)
	open := note{Kind: noteOffsets, Producer: 7, Epoch: 3, Group: "g", Offsets: []stagedOffset{{Topic: "t", At: 5}}}
	require.NoError(t, j.write(note{Kind: noteOffsets, Producer: 7, Epoch: 2, Group: "given up"}))
	require.NoError(t, j.write(open))
	end := note{Kind: noteEnd, Producer: 1, Commit: true, TxnID: strings.Repeat("x", 1000)}
	done := end
	done.Kind = noteDone
	most := int64(0)
	for range journalMax / 900 {
		require.NoError(t, j.write(note{Kind: noteOffsets, Producer: 1, Group: "g"}))
		require.NoError(t, j.write(end))
		require.NoError(t, j.write(done))
		info, err := os.Stat(filepath.Join(dir, journalFile))
		require.NoError(t, err)
		most = max(most, info.Size())
	}
	require.Less(t, most, int64(journalMax+5000))
	require.Greater(t, most, int64(journalMax*9/10))
	require.NoError(t, j.write(end))
	require.NoError(t, j.close())

	// A kill in the middle of a line: what it says has not begun.
	require.NoError(t, appendFile(filepath.Join(dir, journalFile), []byte(`{"kind":"end","produ`)))
	state, err := readIntents(dir)
	require.NoError(t, err)
	require.Equal(t, map[life][]note{{7, 3}: {open}}, state.staged)
	require.Equal(t, &end, state.last)

	// Closed in order: nothing is unfinished.
	j, err = openJournal(dir, false)
	require.NoError(t, err)
	require.Nil(t, j.state.last)
	require.Equal(t, map[life][]note{{7, 3}: {open}}, j.state.staged)
	require.NoError(t, j.close())
}

// TestNoEndWithoutJournal: what can't be written down isn't done.
func TestNoEndWithoutJournal(t *testing.T) {
	b := open(t, t.TempDir())
	makeTopic(t, b.Addr(), "a", 1)
	p := newRaw(t, b.Addr(), "x", false)
	p.send("a", 0, "one")
	whole := b.journal.file
	shut, err := os.Open(os.DevNull) // can't be written to
	require.NoError(t, err)
	b.journal.mu.Lock()
	b.journal.file = shut
	b.journal.mu.Unlock()
	end := kmsg.NewPtrEndTxnRequest()
	end.TransactionalID, end.ProducerID, end.ProducerEpoch, end.Commit = "x", p.id, p.epoch, true
	raw, err := p.cl.Broker(0).Request(bounded(t), end) // which doesn't try again
	require.NoError(t, err)
	require.Equal(t, kerr.CoordinatorNotAvailable.Code, raw.(*kmsg.EndTxnResponse).ErrorCode)
	init := kmsg.NewPtrInitProducerIDRequest()
	init.TransactionalID, init.TransactionTimeoutMillis = kmsg.StringPtr("x"), 1000
	raw, err = p.cl.Broker(0).Request(bounded(t), init)
	require.NoError(t, err)
	require.Equal(t, kerr.CoordinatorNotAvailable.Code, raw.(*kmsg.InitProducerIDResponse).ErrorCode)
	b.journal.mu.Lock()
	b.journal.file = whole
	b.journal.mu.Unlock()
	require.NoError(t, shut.Close())
	require.NoError(t, p.init())
	p.send("a", 0, "two")
	require.NoError(t, p.end(true))
	require.Equal(t, []string{"two"}, committed(t, b.Addr(), "a"))
}
