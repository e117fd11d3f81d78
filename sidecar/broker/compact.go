package broker

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

const (
	// keptDir holds a partition's segments while kfake compacts it: it removes
	// them before it writes the new ones.
	keptDir   = "kept"
	keptWhole = "whole"
	// quietIdle is how long no request comes before a moment counts as quiet.
	quietIdle = 200 * time.Millisecond
)

// quietPatience is how long compaction waits for a quiet moment.
var quietPatience = 10 * time.Second

// Compact runs compaction and retention now, as the ticker does.
//
// kfake takes the newest record of a key, be it committed or not: were its
// transaction aborted afterwards, the key's value would be gone. So compaction
// waits for a moment in which no compacted topic has an open transaction; if
// there is none in ten seconds, it is left for the next time.
func (b *Broker) Compact() {
	b.compacting.Lock()
	defer b.compacting.Unlock()
	fail := func(what string, err error) bool {
		if err != nil {
			b.cfg.Log.Error("broker: "+what, "error", err)
		}
		return err != nil
	}
	if fail("the ends of partitions can't be noted; nothing is compacted or deleted", b.ends.noteAll(b.cluster)) {
		return
	}
	topics, err := b.compacted()
	if fail("nothing is compacted or deleted", err) {
		return
	}
	done := b.whenQuiet(topics, func() {
		if err = b.keep(topics); err == nil {
			b.cluster.Compact() // applies retention, too
		}
	})
	if done {
		err = errors.Join(err, b.unkeep(topics))
		fail("compaction", err)
	} else {
		b.cfg.Log.Info("broker: there was no moment without an open transaction: compaction waits for the next time")
	}
	b.cluster.ApplyRetention()
	fail("the ends of partitions can't be noted", b.ends.noteAll(b.cluster)) // of what came and went meanwhile
}

// compacted are the compacted topics.
func (b *Broker) compacted() ([]topicEntry, error) {
	topics, err := readTopics(b.cfg.Dir)
	var out []topicEntry
	for _, t := range topics {
		info := b.cluster.TopicInfo(t.Name)
		if info == nil {
			continue
		}
		if policy := info.Configs["cleanup.policy"]; policy != nil && strings.Contains(*policy, "compact") {
			out = append(out, t)
		}
	}
	return out, err
}

// quiet tells whether no transaction is open on the topics.
func (b *Broker) quiet(topics []topicEntry) bool {
	for _, t := range topics {
		for _, p := range b.cluster.PartitionInfos(t.Name) {
			if p.LastStableOffset != p.HighWatermark {
				return false
			}
		}
	}
	return true
}

// whenQuiet does something in a moment in which no transaction is open on the
// topics: between two requests, so that none can be opened meanwhile. It tells
// whether there was such a moment.
func (b *Broker) whenQuiet(topics []topicEntry, do func()) bool {
	var mu sync.Mutex
	var over, done bool
	var checked time.Time
	finished := make(chan struct{})
	try := func() {
		if mu.Lock(); !over && time.Since(checked) > 2*time.Millisecond {
			checked = time.Now()
			if b.quiet(topics) {
				do()
				over, done = true, true
				close(finished)
			}
		}
		mu.Unlock()
	}
	b.cluster.Control(func(kmsg.Request) (kmsg.Response, error, bool) {
		try()
		mu.Lock()
		defer mu.Unlock()
		if over {
			b.cluster.DropControl()
		}
		return nil, nil, false
	})
	late := time.After(quietPatience)
	idle := time.NewTicker(quietIdle)
	defer idle.Stop()
	for {
		select {
		case <-finished:
		case <-idle.C:
			mu.Lock()
			asked := time.Since(checked) < quietIdle
			mu.Unlock()
			if !asked {
				try()
			}
			continue
		case <-late:
		case <-b.stop:
		}
		mu.Lock()
		defer mu.Unlock()
		over = true
		return done
	}
}

// keep links or copies the segments aside.
func (b *Broker) keep(topics []topicEntry) error {
	return eachPartition(b.cfg.Dir, topics, func(p *partition) error {
		bases, err := p.segments()
		if err != nil || len(bases) == 0 {
			return err
		}
		kept := filepath.Join(p.dir, keptDir)
		if err := os.RemoveAll(kept + ".tmp"); err != nil {
			return err
		}
		if err := os.MkdirAll(kept+".tmp", 0o755); err != nil {
			return err
		}
		for _, base := range bases {
			from := p.file(base, ".dat")
			to := filepath.Join(kept+".tmp", filepath.Base(from))
			if os.Link(from, to) == nil {
				continue
			}
			raw, err := os.ReadFile(from) // a file system without links
			if err == nil {
				err = os.WriteFile(to, raw, 0o644)
			}
			if err != nil {
				return err
			}
		}
		return os.Rename(kept+".tmp", kept)
	})
}

// unkeep drops what was kept.
func (b *Broker) unkeep(topics []topicEntry) error {
	return eachPartition(b.cfg.Dir, topics, (*partition).unkeep)
}

func (p *partition) unkeep() error {
	kept := filepath.Join(p.dir, keptDir)
	// The name goes at once, the files one by one.
	if err := os.Rename(kept, kept+".tmp"); err != nil && !os.IsNotExist(err) {
		return err
	}
	return os.RemoveAll(kept + ".tmp")
}

func eachPartition(dir string, topics []topicEntry, do func(*partition) error) error {
	for _, t := range topics {
		for i := range t.Partitions {
			if err := do(openPartition(dir, t.Name, i)); err != nil {
				return fmt.Errorf("%s-%d: %w", t.Name, i, err)
			}
		}
	}
	return nil
}

// restore undoes a compaction in which a kill came: the segments from before,
// and what was written after it.
func (p *partition) restore() error {
	kept := filepath.Join(p.dir, keptDir)
	if !exists(kept) {
		return p.unkeep()
	}
	whole := filepath.Join(kept, keptWhole)
	if !exists(whole) {
		if err := p.writeWhole(whole); err != nil {
			return err
		}
	}
	base, err := firstOffset(whole)
	if err != nil {
		return err
	}
	bases, err := p.segments()
	if err != nil {
		return err
	}
	for _, b := range bases {
		if err := errors.Join(removeFile(p.file(b, ".dat")), removeFile(p.file(b, ".idx"))); err != nil {
			return err
		}
	}
	if err := os.Rename(whole, p.file(base, ".dat")); err != nil {
		return err
	}
	return p.unkeep()
}

// writeWhole joins what was kept and what came after into one file.
func (p *partition) writeWhole(path string) error {
	before := &partition{topic: p.topic, index: p.index, dir: filepath.Join(p.dir, keptDir)}
	f, err := os.Create(path + ".tmp")
	if err != nil {
		return err
	}
	defer f.Close()
	w := bufio.NewWriterSize(f, 1<<20)
	end := int64(0)
	for _, from := range []*partition{before, p} {
		if end, err = from.copyBehind(w, end); err != nil {
			return err
		}
	}
	if err := errors.Join(w.Flush(), f.Sync()); err != nil {
		return err
	}
	return os.Rename(path+".tmp", path)
}

// copyBehind copies the batches from an offset on, and returns where they end.
func (p *partition) copyBehind(w io.Writer, from int64) (int64, error) {
	bases, err := p.segments()
	if err != nil {
		return 0, err
	}
	end := from
	buf := make([]byte, batchHeader)
	for _, base := range bases {
		f, err := os.Open(p.file(base, ".dat"))
		if err != nil {
			return 0, err
		}
		r := bufio.NewReaderSize(f, 1<<20)
		for {
			b, err := readBatch(r, &buf)
			if errors.Is(err, io.EOF) || errors.Is(err, errTorn) {
				break
			}
			if err == nil && b.first >= from {
				_, err = w.Write(buf)
				end = b.last + 1
			}
			if err != nil {
				return 0, errors.Join(err, f.Close())
			}
		}
		if err := f.Close(); err != nil {
			return 0, err
		}
	}
	return end, nil
}

// firstOffset is that of the first batch of a segment; 0 if there is none.
func firstOffset(path string) (int64, error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	var head [8]byte
	if _, err := io.ReadFull(f, head[:]); err != nil && !errors.Is(err, io.EOF) {
		return 0, err
	}
	return int64(binary.BigEndian.Uint64(head[:])), nil
}
