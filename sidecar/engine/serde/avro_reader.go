package serde

import (
	"encoding/binary"
	"errors"
	"math"

	"github.com/sidestream/sidestream/sidecar/engine/types"
)

// avroReader takes values off the front of a record.
type avroReader struct {
	data  []byte
	depth int
	// stack holds the items of the lists being read.
	stack []types.Value
	// free counts list items that took no bytes, which could go on forever.
	free int
}

var errAvroShort = errors.New("invalid AVRO data: the record ends too early")

func (r *avroReader) enter() error {
	if r.depth++; r.depth > maxDepth {
		return errors.New("invalid AVRO data: values are nested too deep")
	}
	return nil
}

func (r *avroReader) leave() { r.depth-- }

func (r *avroReader) long() (int64, error) {
	n, size := binary.Varint(r.data)
	if size <= 0 {
		return 0, errAvroShort
	}
	r.data = r.data[size:]
	return n, nil
}

func (r *avroReader) bytes(n int) ([]byte, error) {
	if n < 0 || n > len(r.data) {
		return nil, errAvroShort
	}
	b := r.data[:n:n]
	r.data = r.data[n:]
	return b, nil
}

func (r *avroReader) prefixed() ([]byte, error) {
	n, err := r.long()
	if err != nil {
		return nil, err
	}
	if n < 0 || n > int64(len(r.data)) {
		return nil, errAvroShort
	}
	return r.bytes(int(n))
}

func (r *avroReader) float(double bool) (float64, error) {
	if double {
		b, err := r.bytes(8)
		if err != nil {
			return 0, err
		}
		return math.Float64frombits(binary.LittleEndian.Uint64(b)), nil
	}
	b, err := r.bytes(4)
	if err != nil {
		return 0, err
	}
	return float64(math.Float32frombits(binary.LittleEndian.Uint32(b))), nil
}

// blocks calls read for each item of a list or map.
func (r *avroReader) blocks(read func(*avroReader) error) error {
	if err := r.enter(); err != nil {
		return err
	}
	defer r.leave()
	for {
		n, err := r.long()
		if err != nil || n == 0 {
			return err
		}
		if n < 0 { // followed by the block's size
			if _, err := r.long(); err != nil {
				return err
			}
			if n = -n; n < 0 {
				return errAvroShort
			}
		}
		for range n {
			before := len(r.data)
			if err := read(r); err != nil {
				return err
			}
			if len(r.data) == before {
				if r.free++; r.free > 1<<20 {
					return errors.New("invalid AVRO data: a list is too long")
				}
			}
		}
	}
}
