package broker

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// This file knows what kfake keeps on the disk, as far as recovery reads and
// changes it:
//
//	meta.json                         the format's version
//	topics.json                       names, ids and partition counts
//	partitions/<topic>-<n>/<base>.dat record batches as they are on the wire
//	partitions/<topic>-<n>/<base>.idx an entry of 15 bytes for each of them
//	partitions/<topic>-<n>/snapshot.json what follows from both, if their sizes are those
//	pids.log, groups.log              framed JSON entries: producers; groups and offsets
//	seq_windows.json                  the last sequence numbers of each producer
//	session_state.json                members and open transactions at the last close

const (
	metaFile      = "meta.json"
	topicsFile    = "topics.json"
	producersFile = "pids.log"
	groupsFile    = "groups.log"
	windowsFile   = "seq_windows.json"
	sessionFile   = "session_state.json"
	// diskVersion is that of all these formats.
	diskVersion = 1
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// checkVersion refuses a directory of another format.
func checkVersion(dir string) error {
	var meta struct {
		Version int `json:"version"`
	}
	if err := readJSON(filepath.Join(dir, metaFile), &meta); err != nil {
		return err
	}
	if meta.Version != diskVersion {
		return fmt.Errorf("its format has version %d, and this program knows version %d", meta.Version, diskVersion)
	}
	return nil
}

type topicEntry struct {
	Name       string `json:"name"`
	ID         []byte `json:"id"`
	Partitions int32  `json:"partitions"`
}

func readTopics(dir string) ([]topicEntry, error) {
	var file struct {
		Topics []topicEntry `json:"topics"`
	}
	err := readJSON(filepath.Join(dir, topicsFile), &file)
	return file.Topics, err
}

// partition is one partition's directory.
type partition struct {
	topic string
	index int32
	dir   string
	// Known after scan:
	bases []int64 // of its segments, in order
	end   int64   // the offset behind the last record
	epoch int32   // of the leader
	cut   int64   // bytes of a batch without its end
}

func (p *partition) String() string { return fmt.Sprintf("%s-%d", p.topic, p.index) }

func openPartition(dir, topic string, index int32) *partition {
	name := fmt.Sprintf("%s-%d", url.PathEscape(topic), index)
	return &partition{topic: topic, index: index, dir: filepath.Join(dir, "partitions", name)}
}

func (p *partition) file(base int64, ext string) string {
	return filepath.Join(p.dir, strconv.FormatInt(base, 10)+ext)
}

// batch is the header of a record batch.
type batch struct {
	size     int
	first    int64
	last     int64 // offset of its last record
	epoch    int32
	maxTime  int64 // ms
	producer int64
	pepoch   int16
	sequence int32
	txn      bool
	control  bool
	commit   bool // a control batch that commits
}

const batchHeader = 61

// scan reads the batches of a partition in order. On its way it takes away what
// a kill left of a batch at a segment's end, and completes an index that lacks
// the last batch's entry: what kfake would write next would otherwise be taken
// for that one's.
func (p *partition) scan(visit func(batch)) error {
	var err error
	if p.bases, err = p.segments(); err != nil {
		return err
	}
	for _, base := range p.bases {
		if err := p.scanSegment(base, visit); err != nil {
			return fmt.Errorf("%s: %w", p.file(base, ".dat"), err)
		}
	}
	return nil
}

// segments are the base offsets of the segments, in order.
func (p *partition) segments() ([]int64, error) {
	entries, err := os.ReadDir(p.dir)
	if err != nil && !os.IsNotExist(err) { // nothing was written yet
		return nil, err
	}
	var out []int64
	for _, e := range entries {
		if name, ok := strings.CutSuffix(e.Name(), ".dat"); ok {
			if base, err := strconv.ParseInt(name, 10, 64); err == nil {
				out = append(out, base)
			}
		}
	}
	slices.Sort(out)
	return out, nil
}

func (p *partition) scanSegment(base int64, visit func(batch)) error {
	f, err := os.OpenFile(p.file(base, ".dat"), os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	r := bufio.NewReaderSize(f, 1<<20)
	var index []byte
	var size, newest int64
	buf := make([]byte, batchHeader)
	for {
		b, err := readBatch(r, &buf)
		if errors.Is(err, errTorn) {
			info, err := f.Stat()
			if err != nil {
				return err
			}
			p.cut += info.Size() - size
			if err := f.Truncate(size); err != nil {
				return err
			}
			break
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		size += int64(b.size)
		newest = max(newest, b.maxTime)
		p.end, p.epoch = b.last+1, b.epoch
		index = appendIndex(index, b.epoch, newest, b.txn && !b.control)
		visit(b)
	}
	path := p.file(base, ".idx")
	if info, err := os.Stat(path); err == nil && info.Size() == int64(len(index)) {
		return nil
	}
	return replaceFile(path, index)
}

// errTorn: the file ends within a batch.
var errTorn = errors.New("a batch without its end")

// readBatch reads one batch, or returns io.EOF at the end. buf is used again.
func readBatch(r io.Reader, buf *[]byte) (batch, error) {
	h := (*buf)[:batchHeader]
	if n, err := io.ReadFull(r, h); err != nil {
		if n > 0 && errors.Is(err, io.ErrUnexpectedEOF) {
			err = errTorn
		}
		return batch{}, err
	}
	size := 12 + int(int32(binary.BigEndian.Uint32(h[8:])))
	if size < batchHeader || size > 1<<30 {
		return batch{}, errTorn
	}
	*buf = slices.Grow(h, size-batchHeader)[:size]
	raw := *buf
	if _, err := io.ReadFull(r, raw[batchHeader:]); err != nil {
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			err = errTorn
		}
		return batch{}, err
	}
	if crc32.Checksum(raw[21:], castagnoli) != binary.BigEndian.Uint32(raw[17:]) {
		return batch{}, errTorn
	}
	attributes := binary.BigEndian.Uint16(raw[21:])
	b := batch{
		size:     size,
		first:    int64(binary.BigEndian.Uint64(raw)),
		epoch:    int32(binary.BigEndian.Uint32(raw[12:])),
		maxTime:  int64(binary.BigEndian.Uint64(raw[35:])),
		producer: int64(binary.BigEndian.Uint64(raw[43:])),
		pepoch:   int16(binary.BigEndian.Uint16(raw[51:])),
		sequence: int32(binary.BigEndian.Uint32(raw[53:])),
		txn:      attributes&0x10 != 0,
		control:  attributes&0x20 != 0,
	}
	b.last = b.first + int64(int32(binary.BigEndian.Uint32(raw[23:])))
	if b.control {
		var rec kmsg.Record
		if err := rec.ReadFrom(raw[batchHeader:]); err == nil && len(rec.Key) >= 4 {
			b.commit = binary.BigEndian.Uint16(rec.Key[2:]) == 1
		}
	}
	return b, nil
}

func appendIndex(to []byte, epoch int32, newest int64, txn bool) []byte {
	entry := make([]byte, 15)
	entry[0] = diskVersion
	binary.LittleEndian.PutUint32(entry[2:], uint32(epoch))
	binary.LittleEndian.PutUint64(entry[6:], uint64(newest))
	if txn {
		entry[14] = 1
	}
	entry[1] = byte(crc32.Checksum(entry[2:], castagnoli))
	return append(to, entry...)
}

// append writes a batch behind the last one. The partition has been scanned and
// has a segment.
func (p *partition) append(b kmsg.RecordBatch) error {
	b.FirstOffset, b.PartitionLeaderEpoch = p.end, p.epoch
	base := p.bases[len(p.bases)-1]
	if err := appendFile(p.file(base, ".dat"), encodeBatch(b)); err != nil {
		return err
	}
	p.end += int64(b.LastOffsetDelta) + 1
	return appendFile(p.file(base, ".idx"), appendIndex(nil, p.epoch, b.MaxTimestamp, false))
}

// encodeBatch sets the length and the checksum.
func encodeBatch(b kmsg.RecordBatch) []byte {
	b.Length = int32(len(b.AppendTo(nil)) - 12)
	raw := b.AppendTo(nil)
	b.CRC = int32(crc32.Checksum(raw[21:], castagnoli))
	return b.AppendTo(nil)
}

// readFrames reads the entries of a framed log, up to its end or to one that a
// kill cut off. A frame is a length and a CRC-32C (4 bytes each), both of what
// follows: a version (2 bytes) and the entry. All little-endian.
func readFrames[T any](path string) ([]T, error) {
	raw, err := os.ReadFile(path)
	if err != nil && !os.IsNotExist(err) {
		return nil, err
	}
	var out []T
	for len(raw) >= 10 {
		n := int(binary.LittleEndian.Uint32(raw))
		if n < 2 || 8+n > len(raw) || crc32.Checksum(raw[8:8+n], castagnoli) != binary.LittleEndian.Uint32(raw[4:]) {
			break
		}
		var entry T
		if err := json.Unmarshal(raw[10:8+n], &entry); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		out = append(out, entry)
		raw = raw[8+n:]
	}
	return out, nil
}

// writeFrames replaces a framed log.
func writeFrames[T any](path string, entries []T) error {
	var out []byte
	for _, e := range entries {
		data, err := json.Marshal(e)
		if err != nil {
			return err
		}
		body := binary.LittleEndian.AppendUint16(nil, diskVersion)
		body = append(body, data...)
		out = binary.LittleEndian.AppendUint32(out, uint32(len(body)))
		out = binary.LittleEndian.AppendUint32(out, crc32.Checksum(body, castagnoli))
		out = append(out, body...)
	}
	return replaceFile(path, out)
}

// readJSON leaves v as it is when there is no such file.
func readJSON(path string, v any) error {
	raw, err := os.ReadFile(path)
	if os.IsNotExist(err) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := json.Unmarshal(raw, v); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

func writeJSON(path string, v any) error {
	raw, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return replaceFile(path, raw)
}

// replaceFile writes a file so that a kill leaves the old or the new one.
func replaceFile(path string, content []byte) error {
	tmp := path + ".tmp" // kfake removes those that are left
	f, err := os.Create(tmp)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	return os.Rename(tmp, path)
}

func appendFile(path string, content []byte) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	return errors.Join(err, f.Close())
}

// removeFile removes a file that may not be there.
func removeFile(path string) error {
	if err := os.Remove(path); err != nil && !os.IsNotExist(err) {
		return err
	}
	return nil
}
