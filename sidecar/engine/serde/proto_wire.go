package serde

import (
	"errors"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// protoRaw is a value on the wire: a number, or bytes.
type protoRaw struct {
	typ    protowire.Type
	number uint64
	bytes  []byte
}

// wireType is how values of a kind are on the wire.
func wireType(k protoreflect.Kind) protowire.Type {
	switch k {
	case protoreflect.StringKind, protoreflect.BytesKind, protoreflect.MessageKind:
		return protowire.BytesType
	case protoreflect.GroupKind:
		return protowire.StartGroupType
	case protoreflect.FloatKind, protoreflect.Fixed32Kind, protoreflect.Sfixed32Kind:
		return protowire.Fixed32Type
	case protoreflect.DoubleKind, protoreflect.Fixed64Kind, protoreflect.Sfixed64Kind:
		return protowire.Fixed64Type
	}
	return protowire.VarintType
}

var errProtoShort = errors.New("invalid PROTOBUF data: the record ends too early")

// protoWalk goes through the fields of a message; groups are passed by.
type protoWalk struct {
	data   []byte
	number protowire.Number
	raw    protoRaw
	err    error
}

// next takes the next field, unless the message is at its end or broken.
func (w *protoWalk) next() bool {
	for len(w.data) > 0 {
		number, typ, n := protowire.ConsumeTag(w.data)
		if n < 0 {
			w.err = errProtoShort
			return false
		}
		w.data = w.data[n:]
		group := typ == protowire.StartGroupType
		if group {
			n = protowire.ConsumeFieldValue(number, typ, w.data)
		} else {
			w.raw, n = consumeProto(typ, w.data)
		}
		if n <= 0 {
			w.err = errProtoShort
			return false
		}
		w.data = w.data[n:]
		if !group {
			w.number = number
			return true
		}
	}
	return false
}

// consumeProto takes a value off data; n is 0 for a group, negative when it is cut
// short.
func consumeProto(typ protowire.Type, data []byte) (r protoRaw, n int) {
	r.typ = typ
	switch typ {
	case protowire.VarintType:
		r.number, n = protowire.ConsumeVarint(data)
	case protowire.Fixed32Type:
		var v uint32
		v, n = protowire.ConsumeFixed32(data)
		r.number = uint64(v)
	case protowire.Fixed64Type:
		r.number, n = protowire.ConsumeFixed64(data)
	case protowire.BytesType:
		r.bytes, n = protowire.ConsumeBytes(data)
	}
	return r, n
}

// protoNumbers reads the numbers of a small message of the well-known types.
func protoNumbers(data []byte) (to [4]int64, err error) {
	w := protoWalk{data: data}
	for w.next() {
		if int(w.number) <= len(to) && w.raw.typ == protowire.VarintType {
			to[w.number-1] = int64(w.raw.number)
		}
	}
	return to, w.err
}
