package broker

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// torn are the states between the intent of a commit and its answer.
type torn struct {
	intent, done files
	data         []string     // the logs that get a marker
	p, q         *rawProducer // the committing one, the other one
}

// commitUnderway runs a transaction over three partitions with two offsets, and
// takes the files just before and just after its commit. Another producer has a
// transaction open meanwhile, on one of the same partitions.
func commitUnderway(t *testing.T, newer, commit bool) torn {
	dir := t.TempDir()
	b := open(t, dir)
	makeTopic(t, b.Addr(), "a", 2)
	makeTopic(t, b.Addr(), "b", 1)
	p := newRaw(t, b.Addr(), "x", newer)
	p.send("a", 0, "base")
	p.send("b", 0, "base")
	require.NoError(t, p.offset("g", -1, "a", 0, 1))
	require.NoError(t, p.end(!commit)) // so that the wrong answer to a retry shows
	q := newRaw(t, b.Addr(), "other", newer)
	q.send("a", 0, "before")
	require.NoError(t, q.end(true))
	q.send("a", 0, "never")
	p.send("a", 0, "one")
	p.send("a", 1, "two", "three")
	p.send("b", 0, "four")
	require.NoError(t, p.offset("g", -1, "a", 0, 7))
	require.NoError(t, p.offset("g", -1, "a", 1, 8))
	before := killed(t, dir)
	at := *p
	require.NoError(t, p.end(commit))
	s := torn{done: killed(t, dir), p: &at, q: q}
	// The intent is the next line of the journal.
	rest := strings.TrimPrefix(s.done[journalFile], before[journalFile])
	line, _, ok := strings.Cut(rest, "\n")
	require.True(t, ok)
	s.intent = before.with(nil)
	s.intent[journalFile] = before[journalFile] + line + "\n"
	for _, name := range before.changed(s.done) {
		if strings.HasSuffix(name, ".dat") {
			s.data = append(s.data, name)
		}
	}
	require.Len(t, s.data, 3)
	return s
}

func index(data string) string { return strings.TrimSuffix(data, ".dat") + ".idx" }

// states are all that a kill can leave: every choice of markers, each with and
// without its index entry, then the offsets one by one, then the end.
func (s torn) states(commit bool) map[string]files {
	out := map[string]files{"intent": s.intent}
	for set := 1; set < 8; set++ {
		state := s.intent
		last := ""
		for i, name := range s.data {
			if set&(1<<i) != 0 {
				state = state.with(s.done, name, index(name))
				last = name
			}
		}
		out[fmt.Sprintf("markers %03b", set)] = state
		out[fmt.Sprintf("markers %03b, no index", set)] = state.with(s.intent, index(last))
		if set == 7 && commit {
			// groups.log is appended to, an offset at a time.
			add := strings.TrimPrefix(s.done[groupsFile], s.intent[groupsFile])
			first := state.with(nil)
			first[groupsFile] = s.intent[groupsFile] + add[:len(add)/2]
			out["all markers, one offset"] = first
			cut := state.with(nil)
			cut[groupsFile] = s.intent[groupsFile] + add[:len(add)/2-3]
			out["all markers, half an offset"] = cut
		}
		if set == 7 {
			out["all but the end"] = state.with(s.done, groupsFile)
			out["all but the answer"] = state.with(s.done, groupsFile, producersFile)
		}
	}
	return out
}

// requireWhole checks that the transaction is there wholly, or not at all, that
// its producer is told so, that the other one isn't told of a commit, and that
// both can go on.
func (s torn) requireWhole(t *testing.T, dir string, newer, commit bool) {
	t.Helper()
	b := open(t, dir)
	inA, inB, offset0, offset1 := []string{"base", "before"}, []string{"base"}, int64(1), int64(-1)
	if commit { // and the first one was aborted
		inA, inB, offset0, offset1 = []string{"before", "one", "three", "two"}, []string{"four"}, 7, 8
	}
	require.Equal(t, inA, committed(t, b.Addr(), "a"))
	require.Equal(t, inB, committed(t, b.Addr(), "b"))
	require.Equal(t, offset0, committedOffset(t, b.Addr(), "g", "a", 0))
	require.Equal(t, offset1, committedOffset(t, b.Addr(), "g", "a", 1))

	q := *s.q
	q.t = t
	q.connect(b.Addr(), newer)
	require.Error(t, q.end(true), "a transaction that was lost")
	require.NoError(t, q.init())
	q.send("a", 0, "now")
	require.NoError(t, q.end(true))

	p := *s.p
	p.t, p.seq = t, map[string]map[int32]int32{"b": {0: s.p.seq["b"][0]}}
	p.connect(b.Addr(), newer)
	require.NoError(t, p.end(commit), "the end is asked for again")
	p.send("b", 0, "more")
	require.NoError(t, p.end(true))
	require.Equal(t, append(inB, "more"), committed(t, b.Addr(), "b"))
	require.Len(t, committed(t, b.Addr(), "a"), len(inA)+1)
}

func TestTornEndIsFinished(t *testing.T) {
	for _, newer := range []bool{false, true} {
		for _, commit := range []bool{true, false} {
			s := commitUnderway(t, newer, commit)
			for name, state := range s.states(commit) {
				t.Run(fmt.Sprintf("newer=%v,commit=%v,%s", newer, commit, name), func(t *testing.T) {
					s.requireWhole(t, state.put(t), newer, commit)
				})
			}
		}
	}
}

// TestRecoveryMayBeKilled ends the recovery after each of its steps.
func TestRecoveryMayBeKilled(t *testing.T) {
	t.Cleanup(func() { afterStep = func(string) error { return nil } })
	errKilled := errors.New("killed")
	for _, newer := range []bool{false, true} {
		s := commitUnderway(t, newer, true)
		state := s.intent.with(s.done, s.data[1])
		for steps := 1; ; steps++ {
			dir := state.put(t)
			var done []string
			afterStep = func(step string) error {
				if done = append(done, step); len(done) == steps {
					return errKilled
				}
				return nil
			}
			_, err := Open(t.Context(), Config{Dir: dir})
			afterStep = func(string) error { return nil }
			if err == nil {
				require.Greater(t, steps, 9, "steps: %v", done)
				break
			}
			require.ErrorIs(t, err, errKilled)
			t.Run(fmt.Sprintf("newer=%v,%d,%s", newer, steps, done[steps-1]), func(t *testing.T) {
				s.requireWhole(t, dir, newer, true)
			})
		}
	}
}

// TestLostTransactionIsNeverSaidToBeCommitted kills the broker under a
// transaction whose producer's last one was committed, and has the producer
// commit it all the same.
func TestLostTransactionIsNeverSaidToBeCommitted(t *testing.T) {
	for _, newer := range []bool{false, true} {
		for _, closed := range []bool{false, true} {
			for _, data := range []bool{false, true} {
				t.Run(fmt.Sprintf("newer=%v,closed=%v,data=%v", newer, closed, data), func(t *testing.T) {
					dir := t.TempDir()
					b := open(t, dir)
					makeTopic(t, b.Addr(), "a", 1)
					p := newRaw(t, b.Addr(), "x", newer)
					p.send("a", 0, "base")
					require.NoError(t, p.offset("g", -1, "a", 0, 1))
					require.NoError(t, p.end(true))
					begin := func() {
						if data {
							p.send("a", 0, "lost")
						}
						require.NoError(t, p.offset("g", -1, "a", 0, 2))
					}
					if closed {
						begin()
						require.NoError(t, b.Close())
						b = open(t, dir)
						p.connect(b.Addr(), newer)
					} else {
						begin()
					}
					b = open(t, killed(t, dir).put(t))
					p.connect(b.Addr(), newer)
					require.Error(t, p.end(true))
					require.Equal(t, []string{"base"}, committed(t, b.Addr(), "a"))
					require.Equal(t, int64(1), committedOffset(t, b.Addr(), "g", "a", 0))
					require.NoError(t, p.init())
					p.send("a", 0, "next")
					require.NoError(t, p.offset("g", -1, "a", 0, 2))
					require.NoError(t, p.end(true))
					require.Equal(t, []string{"base", "next"}, committed(t, b.Addr(), "a"))
				})
			}
		}
	}
}

// TestTornAbortBySuccessor: the broker dies while it aborts a transaction for a
// new instance of the producer.
func TestTornAbortBySuccessor(t *testing.T) {
	dir := t.TempDir()
	b := open(t, dir)
	makeTopic(t, b.Addr(), "a", 1)
	p := newRaw(t, b.Addr(), "x", false)
	p.send("a", 0, "base")
	require.NoError(t, p.end(true))
	p.send("a", 0, "lost")
	before := killed(t, dir)
	newRaw(t, b.Addr(), "x", false)
	after := killed(t, dir)
	state := after.with(before, producersFile) // the marker is there, the new epoch isn't
	lines := strings.SplitAfter(after[journalFile], "\n")
	state[journalFile] = strings.Join(lines[:len(lines)-2], "") // nor the answer
	require.Contains(t, lines[len(lines)-2], `"done"`)

	b = open(t, state.put(t))
	p.connect(b.Addr(), false)
	require.Error(t, p.end(true))
	require.Equal(t, []string{"base"}, committed(t, b.Addr(), "a"))
}

// TestTornTimeout: the broker dies while it gives up a transaction that took too
// long. Its markers have the next epoch, and the log of producers hasn't.
func TestTornTimeout(t *testing.T) {
	dir := t.TempDir()
	b := open(t, dir)
	makeTopic(t, b.Addr(), "a", 2)
	p := newRaw(t, b.Addr(), "x", false)
	p.send("a", 0, "base")
	p.send("a", 1, "base")
	require.NoError(t, p.end(true))
	p.send("a", 0, "lost")
	p.send("a", 1, "lost")
	dir = killed(t, dir).put(t)
	part := openPartition(dir, "a", 0)
	require.NoError(t, part.scan(func(batch) {}))
	require.NoError(t, part.append(marker(p.id, p.epoch+1, false)))
	part = openPartition(dir, "a", 1)
	require.NoError(t, part.scan(func(batch) {}))
	require.NoError(t, part.append(marker(p.id, p.epoch+1, false)))

	b = open(t, dir)
	p.connect(b.Addr(), false)
	require.ErrorIs(t, p.end(true), kerr.ProducerFenced)
	require.Equal(t, []string{"base", "base"}, committed(t, b.Addr(), "a"))
}

// TestZombiesIntentIsNotCarriedOut: what kfake refuses is no intent.
func TestZombiesIntentIsNotCarriedOut(t *testing.T) {
	dir := t.TempDir()
	b := open(t, dir)
	makeTopic(t, b.Addr(), "a", 1)
	zombie := newRaw(t, b.Addr(), "x", false)
	zombie.send("a", 0, "given up")
	require.NoError(t, zombie.offset("g", -1, "a", 0, 100))
	successor := newRaw(t, b.Addr(), "x", false)
	successor.send("a", 0, "open")
	require.ErrorIs(t, zombie.offset("g", -1, "a", 0, 100), kerr.ProducerFenced)
	require.ErrorIs(t, zombie.end(true), kerr.ProducerFenced)
	state := killed(t, dir)
	lines := strings.SplitAfter(state[journalFile], "\n")
	require.Contains(t, lines[len(lines)-2], `"done"`)
	state[journalFile] = strings.Join(lines[:len(lines)-2], "")

	b = open(t, state.put(t))
	require.Empty(t, committed(t, b.Addr(), "a"))
	require.Equal(t, int64(-1), committedOffset(t, b.Addr(), "g", "a", 0))
	successor.connect(b.Addr(), false)
	require.ErrorIs(t, successor.end(true), kerr.ProducerFenced)
}

// TestRefusedOffsetsAreNotCommitted: a client that commits although its offsets
// were refused gets what the broker accepted.
func TestRefusedOffsetsAreNotCommitted(t *testing.T) {
	dir := t.TempDir()
	b := open(t, dir)
	makeTopic(t, b.Addr(), "a", 1)
	p := newRaw(t, b.Addr(), "x", false)
	p.send("a", 0, "one")
	require.NoError(t, p.offset("g", -1, "a", 0, 1))
	require.Error(t, p.offset("elsewhere", 5, "a", 0, 100), "of a generation that never was")
	before := killed(t, dir)
	require.NoError(t, p.end(true))
	after := killed(t, dir)
	line, _, _ := strings.Cut(strings.TrimPrefix(after[journalFile], before[journalFile]), "\n")
	before[journalFile] += line + "\n"

	b = open(t, before.put(t))
	require.Equal(t, []string{"one"}, committed(t, b.Addr(), "a"))
	require.Equal(t, int64(1), committedOffset(t, b.Addr(), "g", "a", 0))
	require.Equal(t, int64(-1), committedOffset(t, b.Addr(), "elsewhere", "a", 0))
}

// TestOpenTransactionOverCloseAndKill: the snapshot of the close says that
// records are hidden, and nothing else remembers why.
func TestOpenTransactionOverCloseAndKill(t *testing.T) {
	dir := t.TempDir()
	b := open(t, dir)
	makeTopic(t, b.Addr(), "a", 1)
	p := newRaw(t, b.Addr(), "x", false)
	p.send("a", 0, "base")
	require.NoError(t, p.end(true))
	p.send("a", 0, "lost")
	require.NoError(t, b.Close())
	b = open(t, dir)
	state := killed(t, dir)
	require.NoError(t, b.Close())
	b = open(t, state.put(t))
	require.Equal(t, []string{"base"}, committed(t, b.Addr(), "a"))
	p = newRaw(t, b.Addr(), "x", false)
	p.send("a", 0, "next")
	require.NoError(t, p.end(true))
	require.Equal(t, []string{"base", "next"}, committed(t, b.Addr(), "a"))
}

// TestSequenceNumbersSurvive: a batch whose answer the kill swallowed is sent
// again, and is there once.
func TestSequenceNumbersSurvive(t *testing.T) {
	for _, closed := range []bool{false, true} {
		t.Run(fmt.Sprintf("closed=%v", closed), func(t *testing.T) {
			dir := t.TempDir()
			b := open(t, dir)
			makeTopic(t, b.Addr(), "a", 1)
			p := newRaw(t, b.Addr(), "", false)
			for i := range int32(7) {
				_, err := p.sendAs("a", 0, i, fmt.Sprint(i))
				require.NoError(t, err)
			}
			if closed { // its numbers are out of date after the next batches
				require.NoError(t, b.Close())
				b = open(t, dir)
				p.connect(b.Addr(), false)
			}
			for i := int32(7); i < 10; i++ {
				_, err := p.sendAs("a", 0, i, fmt.Sprint(i))
				require.NoError(t, err)
			}
			b = open(t, killed(t, dir).put(t))
			p.connect(b.Addr(), false)
			for i := int32(5); i < 12; i++ {
				at, err := p.sendAs("a", 0, i, fmt.Sprint(i))
				require.NoError(t, err)
				require.Equal(t, int64(i), at)
			}
			_, err := p.sendAs("a", 0, 20, "a gap")
			require.ErrorIs(t, err, kerr.OutOfOrderSequenceNumber)
			require.Len(t, committed(t, b.Addr(), "a"), 12)
		})
	}
}

// TestCutOffBatch: a kill in a write leaves a part of a batch, or a batch without
// an entry in the index. The entries of the batches after it must be their own.
func TestCutOffBatch(t *testing.T) {
	dir := t.TempDir()
	b := open(t, dir)
	makeTopic(t, b.Addr(), "a", 1)
	p := newRaw(t, b.Addr(), "x", false)
	p.send("a", 0, "base")
	require.NoError(t, p.end(true))
	before := killed(t, dir)
	p.send("a", 0, "cut")
	after := killed(t, dir)
	data := before.changed(after)
	require.Contains(t, data, filepath.Join("partitions", "a-0", "0.dat"))
	name := filepath.Join("partitions", "a-0", "0.dat")
	full := after[name]
	for _, cut := range []int{1, 30, len(full) - len(before[name]) - 1, len(full) - len(before[name])} {
		state := before.with(nil)
		state[name] = full[:len(before[name])+cut]
		for range 2 { // the second kill finds what was written after the first
			dir := state.put(t)
			b := open(t, dir)
			p := newRaw(t, b.Addr(), "x", false)
			p.send("a", 0, "next")
			require.NoError(t, p.end(true))
			p.send("a", 0, "lost")
			state = killed(t, dir)
		}
		b := open(t, state.put(t))
		require.Equal(t, []string{"base", "next", "next"}, committed(t, b.Addr(), "a"))
	}
}

// TestStaticMemberAfterKill: the broker has lost its members, and says so; that
// another one has the member's name would be fatal for its client.
func TestStaticMemberAfterKill(t *testing.T) {
	dir := t.TempDir()
	b := open(t, dir)
	makeTopic(t, b.Addr(), "a", 1)
	join := func(p *rawProducer) *kmsg.JoinGroupResponse {
		req := kmsg.NewPtrJoinGroupRequest()
		req.Group, req.InstanceID, req.ProtocolType = "g", kmsg.StringPtr("one"), "consumer"
		req.SessionTimeoutMillis, req.RebalanceTimeoutMillis = 10_000, 10_000
		protocol := kmsg.NewJoinGroupRequestProtocol()
		protocol.Name = "range"
		req.Protocols = append(req.Protocols, protocol)
		resp, err := req.RequestWith(t.Context(), p.cl)
		require.NoError(t, err)
		return resp
	}
	heartbeat := func(p *rawProducer, member string) error {
		req := kmsg.NewPtrHeartbeatRequest()
		req.Group, req.InstanceID, req.MemberID, req.Generation = "g", kmsg.StringPtr("one"), member, 1
		resp, err := req.RequestWith(t.Context(), p.cl)
		require.NoError(t, err)
		return kerr.ErrorForCode(resp.ErrorCode)
	}
	p := newRaw(t, b.Addr(), "", false)
	resp := join(p)
	require.NoError(t, kerr.ErrorForCode(resp.ErrorCode))
	require.NoError(t, heartbeat(p, resp.MemberID))
	require.ErrorIs(t, heartbeat(p, ""), kerr.UnknownMemberID)
	require.ErrorIs(t, heartbeat(p, "impostor"), kerr.FencedInstanceID)

	b = open(t, killed(t, dir).put(t))
	p.connect(b.Addr(), false)
	require.ErrorIs(t, heartbeat(p, resp.MemberID), kerr.UnknownMemberID)
	require.ErrorIs(t, heartbeat(p, ""), kerr.UnknownMemberID)
	again := join(p)
	require.NoError(t, kerr.ErrorForCode(again.ErrorCode))
	require.NotEqual(t, resp.MemberID, again.MemberID)
}

// TestDirectoryOfAnotherVersion is refused rather than repaired by guess.
func TestDirectoryOfAnotherVersion(t *testing.T) {
	dir := t.TempDir()
	b := open(t, dir)
	makeTopic(t, b.Addr(), "a", 1)
	state := killed(t, dir)
	meta, err := json.Marshal(map[string]any{"version": 2, "cluster_id": "sidestream"})
	require.NoError(t, err)
	state[metaFile] = string(meta)
	_, err = Open(t.Context(), Config{Dir: state.put(t)})
	require.ErrorContains(t, err, "its format has version 2, and this program knows version 1")
}

// TestEpochsRunOut: the next producer of the transactional id has another
// producer id, as the old one's epochs are all void.
func TestEpochsRunOut(t *testing.T) {
	dir := t.TempDir()
	b := open(t, dir)
	makeTopic(t, b.Addr(), "a", 1)
	p := newRaw(t, b.Addr(), "x", false)
	p.send("a", 0, "base")
	require.NoError(t, p.end(true))
	require.NoError(t, b.Close())
	ps, err := readProducers(dir)
	require.NoError(t, err)
	ps.byID[p.id].Epoch = math.MaxInt16 - 1
	require.NoError(t, ps.write())
	b = open(t, dir)
	p.epoch = math.MaxInt16 - 1
	p.connect(b.Addr(), false)
	_, err = p.sendAs("a", 0, 0, "lost")
	require.NoError(t, err)

	b = open(t, killed(t, dir).put(t))
	p.connect(b.Addr(), false)
	require.Error(t, p.end(true))
	old := p.id
	require.NoError(t, p.init())
	require.NotEqual(t, old, p.id)
	p.send("a", 0, "next")
	require.NoError(t, p.end(true))
	require.Equal(t, []string{"base", "next"}, committed(t, b.Addr(), "a"))
}
