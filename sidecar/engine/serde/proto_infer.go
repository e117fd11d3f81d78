package serde

import (
	"fmt"
	"slices"
	"strconv"

	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/sidestream/sidestream/sidecar/engine/types"
)

// protoMember is a field of a message as SQL sees it. The fields of a oneof are
// together one STRUCT, of which one field isn't NULL.
type protoMember struct {
	name  string
	field protoreflect.FieldDescriptor   // nil for a oneof
	oneof []protoreflect.FieldDescriptor // its fields
}

// protoMembers are a message's fields: oneofs first, as Connect has them.
func protoMembers(m protoreflect.MessageDescriptor) []protoMember {
	var out []protoMember
	n := 0
	for i := range m.Oneofs().Len() {
		o := m.Oneofs().Get(i)
		if o.IsSynthetic() {
			continue
		}
		member := protoMember{name: string(o.Name()) + "_" + strconv.Itoa(n)}
		for j := range o.Fields().Len() {
			member.oneof = append(member.oneof, o.Fields().Get(j))
		}
		out = append(out, member)
		n++
	}
	for i := range m.Fields().Len() {
		f := m.Fields().Get(i)
		if o := f.ContainingOneof(); o == nil || o.IsSynthetic() {
			out = append(out, protoMember{name: string(f.Name()), field: f})
		}
	}
	return out
}

// inferProto is the type that a message describes.
func inferProto(m protoreflect.MessageDescriptor, inside []protoreflect.FullName) (types.Type, error) {
	if slices.Contains(inside, m.FullName()) {
		return types.Type{}, fmt.Errorf("the type %s holds itself, which SQL can't", m.FullName())
	}
	inside = append(inside, m.FullName())
	row := types.TStruct()
	for _, member := range protoMembers(m) {
		t := types.TStruct()
		var err error
		if member.field != nil {
			t, err = protoFieldType(member.field, inside)
		}
		for _, f := range member.oneof {
			var ft types.Type
			if ft, err = protoFieldType(f, inside); err != nil {
				break
			}
			t.Fields = append(t.Fields, types.Field{Name: string(f.Name()), Type: ft})
		}
		if err != nil {
			return t, fmt.Errorf("%s: %w", member.name, err)
		}
		row.Fields = append(row.Fields, types.Field{Name: member.name, Type: t})
	}
	return row, nil
}

func protoFieldType(f protoreflect.FieldDescriptor, inside []protoreflect.FullName) (types.Type, error) {
	if key, value, ok := protoEntry(f); ok {
		k, err := protoSingleType(key, inside)
		if err != nil {
			return k, err
		}
		v, err := protoSingleType(value, inside)
		return types.TMap(k, v), err
	}
	t, err := protoSingleType(f, inside)
	if err == nil && f.IsList() {
		return types.TArray(t), nil
	}
	return t, err
}

// protoEntry are the key and the value of a field that is a map, also of one
// spelt out as a list of entries.
func protoEntry(f protoreflect.FieldDescriptor) (key, value protoreflect.FieldDescriptor, ok bool) {
	if f.IsMap() {
		return f.MapKey(), f.MapValue(), true
	}
	m := f.Message()
	if m == nil || !f.IsList() || m.Fields().Len() != 2 {
		return nil, nil, false
	}
	name := string(m.Name())
	key, value = m.Fields().Get(0), m.Fields().Get(1)
	return key, value, len(name) > 5 && name[len(name)-5:] == "Entry" && key.Name() == "key" && value.Name() == "value" && !key.IsList() && !value.IsList()
}

// protoSingleType is the type of one value of a field.
func protoSingleType(f protoreflect.FieldDescriptor, inside []protoreflect.FullName) (types.Type, error) {
	switch f.Kind() {
	case protoreflect.BoolKind:
		return types.TBoolean, nil
	case protoreflect.Int32Kind, protoreflect.Sint32Kind, protoreflect.Sfixed32Kind:
		return types.TInteger, nil
	case protoreflect.Uint32Kind, protoreflect.Fixed32Kind, protoreflect.Int64Kind, protoreflect.Sint64Kind, protoreflect.Sfixed64Kind,
		protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		return types.TBigint, nil
	case protoreflect.FloatKind, protoreflect.DoubleKind:
		return types.TDouble, nil
	case protoreflect.StringKind, protoreflect.EnumKind:
		return types.TString, nil
	case protoreflect.BytesKind:
		return types.TBytes, nil
	}
	switch m := f.Message(); m.FullName() {
	case "confluent.type.Decimal":
		return protoDecimal(f), nil
	case "google.type.Date":
		return types.TDate, nil
	case "google.type.TimeOfDay":
		return types.TTime, nil
	case "google.protobuf.Timestamp":
		return types.TTimestamp, nil
	default:
		if isWrapper(m.FullName()) {
			return protoSingleType(m.Fields().Get(0), inside)
		}
		return inferProto(m, inside)
	}
}

func isWrapper(name protoreflect.FullName) bool {
	switch name {
	case "google.protobuf.BoolValue", "google.protobuf.Int32Value", "google.protobuf.Int64Value", "google.protobuf.UInt32Value", "google.protobuf.UInt64Value",
		"google.protobuf.FloatValue", "google.protobuf.DoubleValue", "google.protobuf.StringValue", "google.protobuf.BytesValue":
		return true
	}
	return false
}

// protoDecimal is a DECIMAL as the field's options say: DECIMAL(64, 0) where they
// say nothing.
func protoDecimal(f protoreflect.FieldDescriptor) types.Type {
	precision, scale := 64, 0
	f.Options().ProtoReflect().Range(func(fd protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		if fd.FullName() != "confluent.field_meta" {
			return true
		}
		meta := v.Message()
		params := meta.Descriptor().Fields().ByName("params")
		if params == nil {
			return true
		}
		m := meta.Get(params).Map()
		read := func(name string, to *int) {
			if n, err := strconv.Atoi(m.Get(protoreflect.ValueOfString(name).MapKey()).String()); err == nil {
				*to = n
			}
		}
		read("precision", &precision)
		read("scale", &scale)
		return true
	})
	return types.TDecimal(precision, scale)
}
