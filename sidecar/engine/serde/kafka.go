package serde

import (
	"encoding/binary"
	"fmt"
	"math"
	"strings"
	"unicode/utf8"
	"unsafe"

	"github.com/sidestream/sidestream/sidecar/engine/plan"
	"github.com/sidestream/sidestream/sidecar/engine/schema"
	"github.com/sidestream/sidestream/sidecar/engine/types"
)

// kafkaSerde is the format of Kafka's own serializers: one bare number, text or
// byte array.
type kafkaSerde struct {
	kind types.Kind
	skip bool // there is no column
}

func newKafkaDecoder(_ plan.Format, cols []schema.Column, _ Options) (Decoder, error) {
	if len(cols) == 0 {
		return kafkaSerde{skip: true}, nil
	}
	return kafkaSerde{kind: cols[0].Type.Kind}, nil
}

func newKafkaEncoder(_ plan.Format, cols []schema.Column, _ Options) (Encoder, error) {
	if len(cols) == 0 {
		return kafkaSerde{skip: true}, nil
	}
	return kafkaSerde{kind: cols[0].Type.Kind}, nil
}

func (s kafkaSerde) Decode(data []byte, dst []types.Value) (bool, error) {
	if s.skip {
		return true, nil
	}
	switch s.kind {
	case types.Integer:
		if len(data) != 4 {
			return false, sizeError("IntegerDeserializer", 4)
		}
		dst[0] = types.NewInt(int32(binary.BigEndian.Uint32(data)))
	case types.Bigint:
		if len(data) != 8 {
			return false, sizeError("LongDeserializer", 8)
		}
		dst[0] = types.NewBigint(int64(binary.BigEndian.Uint64(data)))
	case types.Double:
		if len(data) != 8 {
			return false, sizeError("Deserializer", 8)
		}
		dst[0] = types.NewDouble(math.Float64frombits(binary.BigEndian.Uint64(data)))
	case types.String:
		dst[0] = types.NewString(text(data))
	case types.Bytes:
		dst[0] = types.NewBytes(data)
	}
	return true, nil
}

func sizeError(who string, size int) error {
	return fmt.Errorf("Size of data received by %s is not %d", who, size)
}

// text is data as a string that shares its bytes; what is not UTF-8 is replaced.
func text(data []byte) string {
	s := unsafe.String(unsafe.SliceData(data), len(data))
	if !utf8.ValidString(s) {
		return strings.ToValidUTF8(s, "\uFFFD")
	}
	return s
}

func (s kafkaSerde) Encode(dst []byte, row []types.Value) ([]byte, error) {
	if s.skip || row[0].IsNull() {
		return nil, nil
	}
	v := row[0]
	if dst == nil {
		dst = []byte{} // an empty text is not null
	}
	switch s.kind {
	case types.Integer:
		return binary.BigEndian.AppendUint32(dst, uint32(v.Int())), nil
	case types.Bigint:
		return binary.BigEndian.AppendUint64(dst, uint64(v.Int())), nil
	case types.Double:
		return binary.BigEndian.AppendUint64(dst, math.Float64bits(v.Float())), nil
	case types.String:
		return append(dst, v.Str()...), nil
	default:
		return append(dst, v.Bytes()...), nil
	}
}

// noneSerde is the format of keys that aren't there.
type noneSerde struct{}

func newNoneDecoder(plan.Format, []schema.Column, Options) (Decoder, error) {
	return noneSerde{}, nil
}

func newNoneEncoder(plan.Format, []schema.Column, Options) (Encoder, error) {
	return noneSerde{}, nil
}

func (noneSerde) Decode([]byte, []types.Value) (bool, error)       { return true, nil }
func (noneSerde) Encode(_ []byte, _ []types.Value) ([]byte, error) { return nil, nil }
