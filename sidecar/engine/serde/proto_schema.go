package serde

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/bufbuild/protocompile"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/sidestream/sidestream/sidecar/engine/plan"
	"github.com/sidestream/sidestream/sidecar/engine/schema"
	"github.com/sidestream/sidestream/sidecar/engine/types"
)

// How NULL is written in PROTOBUF, by the format's option
// "nullableRepresentation": not at all (it is read as the type's default), by
// `optional` fields, or by the wrapper messages.
const (
	nullOptional = "OPTIONAL"
	nullWrapper  = "WRAPPER"
)

// defaultProtoName is what messages are called, with a number behind it.
const defaultProtoName = "ConnectDefault"

// protoSchema is the text of the schema of the columns: a message with a field
// for each in their order, numbered from 1, with the messages inside it nested.
func protoSchema(f plan.Format, cols []schema.Column, bare bool) (string, error) {
	b := &protoBuilder{null: strings.ToUpper(prop(f, "nullableRepresentation")), imports: map[string]bool{}}
	fields := make([]types.Field, len(cols))
	for i, c := range cols {
		fields[i] = types.Field{Name: c.Name, Type: c.Type}
	}
	if bare {
		fields = []types.Field{{Name: "value", Type: cols[0].Type}}
		if cols[0].Type.Kind == types.Struct {
			fields = cols[0].Type.Fields
		}
	}
	pkg, name := "", prop(f, "fullSchemaName")
	if i := strings.LastIndexByte(name, '.'); i >= 0 {
		pkg, name = name[:i], name[i+1:]
	}
	if name == "" {
		name = b.nextName()
	}
	body := b.message(name, fields, "")
	out := "syntax = \"proto3\";\n"
	if pkg != "" {
		out += "package " + pkg + ";\n"
	}
	var imports []string
	for name := range b.imports {
		imports = append(imports, name)
	}
	slices.Sort(imports)
	for i, name := range imports {
		if i == 0 {
			out += "\n"
		}
		out += fmt.Sprintf("import %q;\n", name)
	}
	return out + "\n" + body, b.err
}

type protoBuilder struct {
	null    string
	imports map[string]bool
	made    int
	err     error
}

func (b *protoBuilder) nextName() string {
	b.made++
	return fmt.Sprintf("%s%d", defaultProtoName, b.made)
}

func (b *protoBuilder) fail(format string, args ...any) {
	if b.err == nil {
		b.err = fmt.Errorf(format, args...)
	}
}

func (b *protoBuilder) message(name string, fields []types.Field, indent string) string {
	var body, nested strings.Builder
	inner := indent + "  "
	for i, f := range fields {
		if !isAvroName(f.Name) {
			b.fail("Schema is not compatible with Protobuf: the name %s may hold only letters, digits and '_', and not begin with a digit", schema.Quote(f.Name))
		}
		t, label := f.Type, ""
		single := t.Kind != types.Array && t.Kind != types.Map
		switch t.Kind {
		case types.Array:
			label, t = "repeated ", *t.Elem
		case types.Map:
			t = *t.Elem
		}
		if t.Kind == types.Array || t.Kind == types.Map {
			b.fail("the PROTOBUF format can't hold an ARRAY or a MAP directly inside another, column: %s: put a STRUCT between them", schema.Quote(f.Name))
		}
		var text, options string
		if f.Type.Kind == types.Map {
			label, text = "repeated ", b.entry(t, inner, &nested)
		} else {
			text, options = b.typ(t, single, inner, &nested)
		}
		if single && b.null == nullOptional {
			label = "optional "
		}
		fmt.Fprintf(&body, "%s%s%s %s = %d%s;\n", inner, label, text, f.Name, i+1, options)
	}
	if nested.Len() > 0 {
		body.WriteString("\n" + nested.String())
	}
	return fmt.Sprintf("%smessage %s {\n%s%s}\n", indent, name, body.String(), indent)
}

// entry is the message of a MAP's entries, which ksqlDB declares itself; on the
// wire it is the same as a map.
func (b *protoBuilder) entry(t types.Type, indent string, nested *strings.Builder) (name string) {
	name = b.nextName() + "Entry"
	var within strings.Builder
	text, options := b.typ(t, false, indent+"  ", &within)
	fmt.Fprintf(nested, "%[1]smessage %[2]s {\n%[1]s  string key = 1;\n%[1]s  %[3]s value = 2%[4]s;\n", indent, name, text, options)
	if within.Len() > 0 {
		nested.WriteString("\n" + within.String())
	}
	nested.WriteString(indent + "}\n")
	return name
}

// typ is what a type is called, and the options of its field. Messages that it
// needs are written to nested.
func (b *protoBuilder) typ(t types.Type, single bool, indent string, nested *strings.Builder) (name, options string) {
	wrapped := single && b.null == nullWrapper
	scalar := func(plain, wrapper string) (string, string) {
		if !wrapped {
			return plain, ""
		}
		b.imports["google/protobuf/wrappers.proto"] = true
		return "google.protobuf." + wrapper, ""
	}
	switch t.Kind {
	case types.Boolean:
		return scalar("bool", "BoolValue")
	case types.Integer:
		return scalar("int32", "Int32Value")
	case types.Bigint:
		return scalar("int64", "Int64Value")
	case types.Double:
		return scalar("double", "DoubleValue")
	case types.String:
		return scalar("string", "StringValue")
	case types.Bytes:
		return scalar("bytes", "BytesValue")
	case types.Decimal:
		b.imports["confluent/meta.proto"] = true
		b.imports["confluent/type/decimal.proto"] = true
		return "confluent.type.Decimal", fmt.Sprintf(" [(confluent.field_meta) = {\n%[1]s  params: [\n%[1]s    {\n%[1]s      key: \"precision\",\n%[1]s      value: \"%[2]d\"\n%[1]s    },\n"+
			"%[1]s    {\n%[1]s      key: \"scale\",\n%[1]s      value: \"%[3]d\"\n%[1]s    }\n%[1]s  ]\n%[1]s}]", indent, t.Precision, t.Scale)
	case types.Date:
		b.imports["google/type/date.proto"] = true
		return "google.type.Date", ""
	case types.Time:
		b.imports["google/type/timeofday.proto"] = true
		return "google.type.TimeOfDay", ""
	case types.Timestamp:
		b.imports["google/protobuf/timestamp.proto"] = true
		return "google.protobuf.Timestamp", ""
	case types.Struct:
		name := b.nextName()
		nested.WriteString(b.message(name, t.Fields, indent))
		return name, ""
	}
	b.fail("the PROTOBUF format does not support the type %s", t)
	return "string", ""
}

// builtinProtos are files that schemas import without naming them as references.
// Those of google/protobuf are the compiler's.
var builtinProtos = map[string]string{
	"confluent/meta.proto": `syntax = "proto3"; package confluent; import "google/protobuf/descriptor.proto";
message Meta { string doc = 1; map<string, string> params = 2; repeated string tags = 3; }
extend google.protobuf.FileOptions { Meta file_meta = 1088; }
extend google.protobuf.MessageOptions { Meta message_meta = 1088; }
extend google.protobuf.FieldOptions { Meta field_meta = 1088; }
extend google.protobuf.EnumOptions { Meta enum_meta = 1088; }
extend google.protobuf.EnumValueOptions { Meta enum_value_meta = 1088; }`,
	// The public import serves schemas that name the options without importing them.
	"confluent/type/decimal.proto": `syntax = "proto3"; package confluent.type; import public "confluent/meta.proto";
message Decimal { bytes value = 1; uint32 precision = 2; int32 scale = 3; }`,
	"google/type/date.proto":      `syntax = "proto3"; package google.type; message Date { int32 year = 1; int32 month = 2; int32 day = 3; }`,
	"google/type/timeofday.proto": `syntax = "proto3"; package google.type; message TimeOfDay { int32 hours = 1; int32 minutes = 2; int32 seconds = 3; int32 nanos = 4; }`,
}

// ParseProtobuf reads the text of a PROTOBUF schema; refs are the texts of the
// files that it imports, by name. Those that every registry knows (google/protobuf,
// google/type, confluent) need none.
func ParseProtobuf(text string, refs map[string]string) (protoreflect.FileDescriptor, error) {
	const root = "schema.proto"
	files := map[string]string{}
	for name, text := range builtinProtos {
		files[name] = text
	}
	for name, text := range refs {
		files[name] = text
	}
	name := root
	for files[name] != "" {
		name = "_" + name
	}
	files[name] = text
	c := protocompile.Compiler{Resolver: protocompile.WithStandardImports(&protocompile.SourceResolver{Accessor: protocompile.SourceAccessorFromMap(files)})}
	compiled, err := c.Compile(context.Background(), name)
	if err != nil {
		return nil, fmt.Errorf("the PROTOBUF schema can't be read: %w", err)
	}
	return compiled[0], nil
}

// protoMessage finds the message of a full name, the first one when it is empty,
// and the way to it: its place in the file, then in the messages around it.
func protoMessage(f protoreflect.FileDescriptor, fullName string) (protoreflect.MessageDescriptor, []int, error) {
	if f.Messages().Len() == 0 {
		return nil, nil, fmt.Errorf("the PROTOBUF schema holds no message")
	}
	if fullName == "" {
		return f.Messages().Get(0), []int{0}, nil
	}
	if m, path := findMessage(f.Messages(), fullName); m != nil {
		return m, path, nil
	}
	return nil, nil, fmt.Errorf("the PROTOBUF schema holds no message %s", fullName)
}

func findMessage(in protoreflect.MessageDescriptors, fullName string) (protoreflect.MessageDescriptor, []int) {
	for i := range in.Len() {
		m := in.Get(i)
		if string(m.FullName()) == fullName {
			return m, []int{i}
		}
		if inner, path := findMessage(m.Messages(), fullName); inner != nil {
			return inner, append([]int{i}, path...)
		}
	}
	return nil, nil
}

// protoAt is the message at a way.
func protoAt(f protoreflect.FileDescriptor, path []int) (protoreflect.MessageDescriptor, error) {
	in := f.Messages()
	var m protoreflect.MessageDescriptor
	for _, i := range path {
		if i < 0 || i >= in.Len() {
			return nil, fmt.Errorf("invalid PROTOBUF data: the schema has no message at %v", path)
		}
		m = in.Get(i)
		in = m.Messages()
	}
	return m, nil
}
