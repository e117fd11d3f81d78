package registry

import (
	"fmt"

	"google.golang.org/protobuf/reflect/protoreflect"
)

// unreadableProto finds what keeps a reader from reading what a writer wrote: in
// PROTOBUF a field is known by its number, and what its bytes mean must stay.
func unreadableProto(reader, writer protoreflect.FileDescriptor, readerName, writerName string) []string {
	c := &protoComparison{reader: readerName, writer: writerName, seen: map[[2]protoreflect.FullName]bool{}}
	c.messages(reader.Messages(), writer.Messages(), "#/")
	return c.problems
}

type protoComparison struct {
	reader, writer string
	seen           map[[2]protoreflect.FullName]bool
	problems       []string
}

func (c *protoComparison) fail(kind, path, format string, args ...any) {
	c.problems = append(c.problems, problem(kind, "%s at path '%s' in the %s schema", fmt.Sprintf(format, args...), path, c.reader))
}

// messages compares the messages of the same name; one that the writer has must
// be there.
func (c *protoComparison) messages(r, w protoreflect.MessageDescriptors, path string) {
	for i := range w.Len() {
		m := w.Get(i)
		if m.IsMapEntry() {
			continue
		}
		at := path + string(m.Name())
		if own := r.ByName(m.Name()); own != nil {
			c.message(own, m, at)
		} else {
			c.fail("MESSAGE_REMOVED", at, "The message of the %s schema is missing", c.writer)
		}
	}
}

func (c *protoComparison) message(r, w protoreflect.MessageDescriptor, path string) {
	pair := [2]protoreflect.FullName{r.FullName(), w.FullName()}
	if c.seen[pair] {
		return
	}
	c.seen[pair] = true
	c.messages(r.Messages(), w.Messages(), path+"/")
	moved := map[protoreflect.FullName]int{}
	for i := range w.Fields().Len() {
		f := w.Fields().Get(i)
		at := fmt.Sprintf("%s/%d", path, f.Number())
		own := r.Fields().ByNumber(f.Number())
		switch {
		case own == nil && f.Cardinality() == protoreflect.Required:
			c.fail("REQUIRED_FIELD_REMOVED", at, "The required field of the %s schema is missing", c.writer)
		case own == nil && realOneof(f) != nil && r.Oneofs().ByName(realOneof(f).Name()) != nil:
			c.fail("ONEOF_FIELD_REMOVED", at, "The field of a oneof of the %s schema is missing", c.writer)
		case own != nil:
			c.field(own, f, at)
			if o := realOneof(own); o != nil && realOneof(f) == nil {
				moved[o.FullName()]++
			}
		}
	}
	for name, n := range moved {
		if n > 1 {
			c.fail("MULTIPLE_FIELDS_MOVED_TO_ONEOF", path, "%d fields of the %s schema are in the oneof %s", n, c.writer, name)
		}
	}
	for i := range r.Fields().Len() {
		f := r.Fields().Get(i)
		if f.Cardinality() == protoreflect.Required && w.Fields().ByNumber(f.Number()) == nil {
			c.fail("REQUIRED_FIELD_ADDED", fmt.Sprintf("%s/%d", path, f.Number()), "The %s schema lacks the required field", c.writer)
		}
	}
}

// realOneof is the oneof that a field is in; `optional` is none.
func realOneof(f protoreflect.FieldDescriptor) protoreflect.OneofDescriptor {
	if o := f.ContainingOneof(); o != nil && !o.IsSynthetic() {
		return o
	}
	return nil
}

func (c *protoComparison) field(r, w protoreflect.FieldDescriptor, path string) {
	if r.IsList() != w.IsList() || r.IsMap() != w.IsMap() {
		// Of several texts or messages the last one is taken; numbers are packed.
		if wire(r.Kind()) == 0 {
			c.fail("FIELD_STRING_OR_BYTES_LABEL_CHANGED", path, "The field is repeated in one schema only")
		} else {
			c.fail("FIELD_NUMERIC_LABEL_CHANGED", path, "The field is repeated in one schema only")
		}
		return
	}
	rm, wm := r.Message(), w.Message()
	switch {
	case (rm == nil) != (wm == nil):
		c.fail("FIELD_KIND_CHANGED", path, "The kind of the field is %s, in the %s schema %s", r.Kind(), c.writer, w.Kind())
	case rm != nil && r.IsMap():
		c.field(r.MapKey(), w.MapKey(), path+"/key")
		c.field(r.MapValue(), w.MapValue(), path+"/value")
	case rm != nil && rm.Name() != wm.Name():
		c.fail("FIELD_NAMED_TYPE_CHANGED", path, "The type of the field is %s, in the %s schema %s", rm.FullName(), c.writer, wm.FullName())
	case rm != nil:
		c.message(rm, wm, path)
	case r.Kind() != w.Kind() && (wire(r.Kind()) != wire(w.Kind())):
		c.fail("FIELD_SCALAR_KIND_CHANGED", path, "The kind of the field is %s, in the %s schema %s", r.Kind(), c.writer, w.Kind())
	}
}

// wire groups the kinds whose values look the same in a record.
func wire(k protoreflect.Kind) int {
	switch k {
	case protoreflect.StringKind, protoreflect.BytesKind, protoreflect.MessageKind, protoreflect.GroupKind:
		return 0
	case protoreflect.Int32Kind, protoreflect.Int64Kind, protoreflect.Uint32Kind, protoreflect.Uint64Kind, protoreflect.BoolKind, protoreflect.EnumKind:
		return 1
	case protoreflect.Sint32Kind, protoreflect.Sint64Kind:
		return 2
	case protoreflect.Fixed32Kind, protoreflect.Sfixed32Kind:
		return 3
	case protoreflect.Fixed64Kind, protoreflect.Sfixed64Kind:
		return 4
	case protoreflect.FloatKind:
		return 5
	}
	return 6 // double
}
