package runtime

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"sort"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/sidestream/sidestream/sidecar/engine/exec"
)

// Record batches as they are on the wire (Kafka's format 2). They are written
// and read here, in place, since a record object for each record is what a
// stream engine's cost would mostly be.
//
//	0 base offset   8 length    12 leader epoch  16 magic   17 crc       21 attributes
//	23 last delta  27 base time 35 max time      43 pid     51 epoch     53 sequence
//	57 count       61 records
const (
	batchHeader     = 61
	attrCompression = 0x07
	attrAppendTime  = 0x08
	attrTxn         = 0x10
	attrControl     = 0x20
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// batchWriter gathers records for one partition.
type batchWriter struct {
	buf      []byte // header and records
	count    int32
	baseTime int64
	maxTime  int64
}

func (w *batchWriter) reset() {
	if cap(w.buf) < batchHeader {
		w.buf = make([]byte, batchHeader, 1<<10)
	}
	w.buf = w.buf[:batchHeader]
	w.count = 0
}

// add appends a record.
func (w *batchWriter) add(key, value []byte, ms int64, headers []exec.Header) {
	if w.count == 0 {
		w.reset()
		w.baseTime, w.maxTime = ms, ms
	}
	if ms > w.maxTime {
		w.maxTime = ms
	}
	n := 1 + varintLen(ms-w.baseTime) + varintLen(int64(w.count)) + bytesLen(key) + bytesLen(value) + varintLen(int64(len(headers)))
	for i := range headers {
		n += varintLen(int64(len(headers[i].Key))) + len(headers[i].Key) + bytesLen(headers[i].Value)
	}
	b := binary.AppendVarint(w.buf, int64(n))
	b = append(b, 0)
	b = binary.AppendVarint(b, ms-w.baseTime)
	b = binary.AppendVarint(b, int64(w.count))
	b = appendBytes(b, key)
	b = appendBytes(b, value)
	b = binary.AppendVarint(b, int64(len(headers)))
	for i := range headers {
		b = binary.AppendVarint(b, int64(len(headers[i].Key)))
		b = append(b, headers[i].Key...)
		b = appendBytes(b, headers[i].Value)
	}
	w.buf = b
	w.count++
}

// finish fills the header in and gives the batch's bytes, valid until reset.
func (w *batchWriter) finish(pid int64, epoch int16, sequence int32, txn bool, c *compression) []byte {
	attrs := uint16(0)
	if txn {
		attrs |= attrTxn
	}
	b := w.buf
	if packed, codec := c.pack(b[batchHeader:]); codec != 0 {
		attrs |= uint16(codec)
		b = append(append(make([]byte, 0, batchHeader+len(packed)), b[:batchHeader]...), packed...)
	}
	be := binary.BigEndian
	be.PutUint64(b[0:], 0)
	be.PutUint32(b[8:], uint32(len(b)-12))
	be.PutUint32(b[12:], 0xffffffff)
	b[16] = 2
	be.PutUint16(b[21:], attrs)
	be.PutUint32(b[23:], uint32(w.count-1))
	be.PutUint64(b[27:], uint64(w.baseTime))
	be.PutUint64(b[35:], uint64(w.maxTime))
	be.PutUint64(b[43:], uint64(pid))
	be.PutUint16(b[51:], uint16(epoch))
	be.PutUint32(b[53:], uint32(sequence))
	be.PutUint32(b[57:], uint32(w.count))
	be.PutUint32(b[17:], crc32.Checksum(b[21:], castagnoli))
	return b
}

// compression packs batches; nil doesn't.
type compression struct {
	c   kgo.Compressor
	dst bytes.Buffer
}

func newCompression(codec kgo.CompressionCodec) (*compression, error) {
	if codec == (kgo.CompressionCodec{}) {
		return nil, nil
	}
	c, err := kgo.DefaultCompressor(codec)
	if err != nil || c == nil {
		return nil, err
	}
	return &compression{c: c}, nil
}

func (c *compression) pack(src []byte) ([]byte, kgo.CompressionCodecType) {
	if c == nil {
		return nil, 0
	}
	c.dst.Reset()
	return c.c.Compress(&c.dst, src)
}

func varintLen(v int64) int {
	u := uint64(v)<<1 ^ uint64(v>>63)
	n := 1
	for u >= 0x80 {
		u >>= 7
		n++
	}
	return n
}

func bytesLen(b []byte) int {
	if b == nil {
		return 1
	}
	return varintLen(int64(len(b))) + len(b)
}

func appendBytes(dst, b []byte) []byte {
	if b == nil {
		return append(dst, 1) // -1
	}
	return append(binary.AppendVarint(dst, int64(len(b))), b...)
}

var errBatch = errors.New("record batch is damaged")

// batchesEnd is the offset behind the last whole batch of what a fetch brought.
func batchesEnd(data []byte, from int64) (next int64, whole []byte, err error) {
	next = from
	rest := data
	for len(rest) >= batchHeader {
		n := int(int32(binary.BigEndian.Uint32(rest[8:]))) + 12
		if n > len(rest) {
			break // cut off by the fetch's size limit
		}
		if n < batchHeader {
			return next, nil, errBatch
		}
		if rest[16] != 2 {
			return next, nil, fmt.Errorf("record batch has format %d, only 2 (Kafka 0.11) is understood", rest[16])
		}
		base := int64(binary.BigEndian.Uint64(rest))
		if end := base + int64(int32(binary.BigEndian.Uint32(rest[23:]))) + 1; end > next {
			next = end
		}
		rest = rest[n:]
	}
	return next, data[:len(data)-len(rest)], nil
}

// aborted are the transactions of a fetched range that were aborted, as a fetch
// lists them.
type aborted []kmsg.FetchResponseTopicPartitionAbortedTransaction

// batchReader walks over the records of fetched batches, passing by those that
// were aborted, control records, and those below an offset.
type batchReader struct {
	data    []byte
	aborts  aborted
	dead    map[int64]bool // producers in the middle of an aborted transaction
	from    int64          // records below are passed by
	unpack  kgo.Decompressor
	records []byte // of the current batch
	left    int32
	base    int64
	first   int64 // base time
	append  int64 // the broker's time when it counts, or -1
}

func (r *batchReader) open(data []byte, aborts aborted, from int64) {
	r.data, r.aborts, r.from, r.left = data, aborts, from, 0
	if len(aborts) > 1 {
		r.aborts = append(aborted(nil), aborts...)
		sort.Slice(r.aborts, func(i, j int) bool { return r.aborts[i].FirstOffset < r.aborts[j].FirstOffset })
	}
	clear(r.dead)
}

// next fills in, whose bytes point into the fetched data. ok is false at the end.
func (r *batchReader) next(in *exec.Input) (ok bool, err error) {
	for {
		for r.left == 0 {
			if more, err := r.nextBatch(); err != nil || !more {
				return false, err
			}
		}
		r.left--
		offset, err := r.record(in)
		if err != nil {
			return false, err
		}
		if offset >= r.from {
			return true, nil
		}
	}
}

func (r *batchReader) nextBatch() (bool, error) {
	for len(r.data) > 0 {
		b := r.data
		n := int(int32(binary.BigEndian.Uint32(b[8:]))) + 12
		b, r.data = b[:n:n], b[n:]
		base := int64(binary.BigEndian.Uint64(b))
		attrs := binary.BigEndian.Uint16(b[21:])
		pid := int64(binary.BigEndian.Uint64(b[43:]))
		for len(r.aborts) > 0 && r.aborts[0].FirstOffset <= base+int64(int32(binary.BigEndian.Uint32(b[23:]))) {
			if r.dead == nil {
				r.dead = map[int64]bool{}
			}
			r.dead[r.aborts[0].ProducerID] = true
			r.aborts = r.aborts[1:]
		}
		if attrs&attrControl != 0 {
			delete(r.dead, pid)
			continue
		}
		if attrs&attrTxn != 0 && r.dead[pid] {
			continue
		}
		if last := base + int64(int32(binary.BigEndian.Uint32(b[23:]))); last < r.from {
			continue
		}
		r.records = b[batchHeader:]
		if codec := kgo.CompressionCodecType(attrs & attrCompression); codec != 0 {
			var err error
			if r.records, err = r.unpack.Decompress(r.records, codec); err != nil {
				return false, fmt.Errorf("%w: %w", errBatch, err)
			}
		}
		r.left = int32(binary.BigEndian.Uint32(b[57:]))
		r.base = base
		r.first = int64(binary.BigEndian.Uint64(b[27:]))
		r.append = -1
		if attrs&attrAppendTime != 0 {
			r.append = int64(binary.BigEndian.Uint64(b[35:]))
		}
		if r.left > 0 {
			return true, nil
		}
	}
	return false, nil
}

// record decodes the record at the front of the batch.
func (r *batchReader) record(in *exec.Input) (offset int64, err error) {
	b := r.records
	size, w := binary.Varint(b)
	if w <= 0 || size < 1 || size > int64(len(b)-w) {
		return 0, errBatch
	}
	rec := b[w : w+int(size)]
	r.records = b[w+int(size):]
	rec = rec[1:] // attributes: none are in use
	dt, w := binary.Varint(rec)
	if w <= 0 {
		return 0, errBatch
	}
	rec = rec[w:]
	delta, w := binary.Varint(rec)
	if w <= 0 {
		return 0, errBatch
	}
	rec = rec[w:]
	in.Offset = r.base + delta
	in.Time = r.first + dt
	if r.append >= 0 {
		in.Time = r.append
	}
	if in.Key, rec, err = cutBytes(rec); err != nil {
		return 0, err
	}
	if in.Value, rec, err = cutBytes(rec); err != nil {
		return 0, err
	}
	n, w := binary.Varint(rec)
	if w <= 0 || n < 0 || n > int64(len(rec)) {
		return 0, errBatch
	}
	in.Headers = nil
	if n == 0 || in.Offset < r.from {
		return in.Offset, nil
	}
	rec = rec[w:]
	in.Headers = make([]exec.Header, n)
	for i := range in.Headers {
		var k []byte
		if k, rec, err = cutBytes(rec); err != nil {
			return 0, err
		}
		in.Headers[i].Key = string(k)
		if in.Headers[i].Value, rec, err = cutBytes(rec); err != nil {
			return 0, err
		}
	}
	return in.Offset, nil
}

// cutBytes cuts bytes with their length in front; nil when the length is -1.
func cutBytes(b []byte) (cut, rest []byte, err error) {
	n, w := binary.Varint(b)
	if w <= 0 || n > int64(len(b)-w) {
		return nil, nil, errBatch
	}
	b = b[w:]
	if n < 0 {
		return nil, b, nil
	}
	return b[:n:n], b[n:], nil
}
