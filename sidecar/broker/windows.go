package broker

import (
	"cmp"
	"math"
	"path/filepath"
	"slices"
)

// sequenceWindow is what the broker must know of a producer on a partition to
// recognise a batch that is sent again: the last five batches, and which
// sequence number comes next.
type sequenceWindow struct {
	Producer  int64            `json:"pid"`
	Topic     string           `json:"topic"`
	Partition int32            `json:"partition"`
	Entries   [5]sequenceEntry `json:"entries"`
	Count     uint8            `json:"count"` // of entries
	At        uint8            `json:"at"`    // the entry that is written next
	Epoch     int16            `json:"epoch"`
	Seen      bool             `json:"seen"`
	Next      int32            `json:"next_seq"`
}

type sequenceEntry struct {
	First  int32 `json:"first_seq"`
	Next   int32 `json:"next_seq"`
	Offset int64 `json:"offset"`
}

// windowsOf finds the windows of a partition while its log is read.
type windowsOf struct {
	p    *partition
	by   map[int64]*sequenceWindow
	next int64 // the offset behind the last batch; 0 before the first
}

func (w *windowsOf) take(b batch) {
	if b.first != w.next && w.next > 0 {
		// Compaction was here. What it took away may have been a producer's last
		// batch, and a wrong number is worse than none: any one is accepted then.
		clear(w.by)
	}
	w.next = b.last + 1
	if b.control || b.producer < 0 || b.sequence < 0 {
		return
	}
	s := w.by[b.producer]
	if s == nil || s.Epoch != b.pepoch {
		s = &sequenceWindow{Producer: b.producer, Topic: w.p.topic, Partition: w.p.index, Epoch: b.pepoch, Seen: true}
		w.by[b.producer] = s
	}
	s.Next = int32((int64(b.sequence) + b.last - b.first + 1) % math.MaxInt32) // as kfake counts
	s.Entries[s.At] = sequenceEntry{b.sequence, s.Next, b.first}
	s.At = (s.At + 1) % uint8(len(s.Entries))
	s.Count = min(s.Count+1, uint8(len(s.Entries)))
}

func (w *windowsOf) found() []sequenceWindow {
	var out []sequenceWindow
	for _, s := range w.by {
		out = append(out, *s)
	}
	slices.SortFunc(out, func(a, b sequenceWindow) int { return cmp.Compare(a.Producer, b.Producer) })
	return out
}

func writeWindows(dir string, windows []sequenceWindow) error {
	return writeJSON(filepath.Join(dir, windowsFile), map[string]any{"version": diskVersion, "windows": windows})
}
