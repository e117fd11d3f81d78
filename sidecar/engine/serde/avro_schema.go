package serde

import (
	"fmt"
	"slices"
	"strings"

	"github.com/hamba/avro/v2"

	"github.com/sidestream/sidestream/sidecar/engine/plan"
	"github.com/sidestream/sidestream/sidecar/engine/schema"
	"github.com/sidestream/sidestream/sidecar/engine/types"
)

// defaultAvroName is the record that ksqlDB's values are written as.
const defaultAvroName = "io.confluent.ksql.avro_schemas.KsqlDataSourceSchema"

// avroSchema is the text of the schema of the columns: a record of nullable
// fields, or the only column's own schema. Records inside are named by the way
// that leads to them: KsqlDataSourceSchema_ADDRESS_STREET.
func avroSchema(f plan.Format, cols []schema.Column, bare bool) (string, error) {
	name := prop(f, "fullSchemaName")
	if name == "" {
		name = defaultAvroName
	}
	b := &avroBuilder{}
	if bare {
		b.value(cols[0].Type, name)
		return b.text()
	}
	fields := make([]types.Field, len(cols))
	for i, c := range cols {
		fields[i] = types.Field{Name: c.Name, Type: c.Type}
	}
	b.record(fields, name)
	return b.text()
}

type avroBuilder struct {
	out       strings.Builder
	namespace string // of the records around
	err       error
}

func (b *avroBuilder) text() (string, error) { return b.out.String(), b.err }

func (b *avroBuilder) write(format string, args ...any) { fmt.Fprintf(&b.out, format, args...) }

// open begins a named record, up to its fields.
func (b *avroBuilder) open(fullName string) (outer string) {
	outer = b.namespace
	namespace, name := "", fullName
	if i := strings.LastIndexByte(fullName, '.'); i >= 0 {
		namespace, name = fullName[:i], fullName[i+1:]
	}
	b.write(`{"type":"record","name":%q`, name)
	if namespace != outer {
		b.write(`,"namespace":%q`, namespace)
		b.namespace = namespace
	}
	b.write(`,"fields":[`)
	return outer
}

func (b *avroBuilder) record(fields []types.Field, fullName string) {
	outer := b.open(fullName)
	for i, f := range fields {
		if i > 0 {
			b.write(",")
		}
		if err := checkAvroName(f.Name); err != nil && b.err == nil {
			b.err = err
		}
		b.write(`{"name":%s,"type":["null",`, types.AppendJSONString(nil, f.Name))
		b.value(f.Type, fullName+"_"+f.Name)
		b.write(`],"default":null}`)
	}
	b.write(`],"connect.name":%q}`, fullName)
	b.namespace = outer
}

func isAvroName(name string) bool {
	for i, c := range name {
		letter := c == '_' || c|0x20 >= 'a' && c|0x20 <= 'z'
		if !letter && (i == 0 || c < '0' || c > '9') {
			return false
		}
	}
	return name != ""
}

func checkAvroName(name string) error {
	if isAvroName(name) {
		return nil
	}
	if name == "" || !isAvroName(name[:1]) {
		return fmt.Errorf("Schema is not compatible with Avro: Illegal initial character: %s", name)
	}
	return fmt.Errorf("Schema is not compatible with Avro: Illegal character in: %s", name)
}

// checkAvroNames refuses names that AVRO has no place for, also of fields inside.
func checkAvroNames(name string, t types.Type) error {
	if err := checkAvroName(name); err != nil {
		return err
	}
	switch t.Kind {
	case types.Array, types.Map:
		return checkAvroNames(name, *t.Elem)
	case types.Struct:
		for _, f := range t.Fields {
			if err := checkAvroNames(f.Name, f.Type); err != nil {
				return err
			}
		}
	}
	return nil
}

// value writes the schema of a value that is not NULL; name is what a record
// there is called.
func (b *avroBuilder) value(t types.Type, name string) {
	logical := func(avroType, connect, logicalType string) {
		b.write(`{"type":%q,"connect.version":1,"connect.name":"org.apache.kafka.connect.data.%s","logicalType":%q}`,
			avroType, connect, logicalType)
	}
	switch t.Kind {
	case types.Boolean:
		b.write(`"boolean"`)
	case types.Integer:
		b.write(`"int"`)
	case types.Bigint:
		b.write(`"long"`)
	case types.Double:
		b.write(`"double"`)
	case types.Bytes:
		b.write(`"bytes"`)
	case types.Decimal:
		b.write(`{"type":"bytes","scale":%d,"precision":%d,"connect.version":1,"connect.parameters":{"scale":"%d","connect.decimal.precision":"%d"},"connect.name":"org.apache.kafka.connect.data.Decimal","logicalType":"decimal"}`,
			t.Scale, t.Precision, t.Scale, t.Precision)
	case types.Date:
		logical("int", "Date", "date")
	case types.Time:
		logical("int", "Time", "time-millis")
	case types.Timestamp:
		logical("long", "Timestamp", "timestamp-millis")
	case types.Array:
		b.write(`{"type":"array","items":["null",`)
		b.value(*t.Elem, name)
		b.write(`]}`)
	case types.Map:
		// A MAP's keys may be NULL for Connect, so it is a list of entries.
		b.write(`{"type":"array","items":`)
		outer := b.open(name)
		b.write(`{"name":"key","type":["null",`)
		b.value(*t.Key, name+"_MapKey")
		b.write(`],"default":null},{"name":"value","type":["null",`)
		b.value(*t.Elem, name+"_MapValue")
		b.write(`],"default":null}],"connect.internal.type":"MapEntry"}`)
		b.namespace = outer
		b.write(`,"connect.name":%q}`, name)
	case types.Struct:
		b.record(t.Fields, name)
	default:
		b.write(`"string"`)
	}
}

// ParseAvro reads the text of an AVRO schema; refs are the texts of schemas that it
// names, by name.
func ParseAvro(text string, refs map[string]string) (avro.Schema, error) {
	cache := &avro.SchemaCache{}
	names := make([]string, 0, len(refs))
	for name := range refs {
		names = append(names, name)
	}
	slices.Sort(names)
	for len(names) > 0 { // references may need one another: again until none can be read
		var left []string
		var err error
		for _, name := range names {
			if _, e := avro.ParseBytesWithCache([]byte(refs[name]), "", cache); e != nil {
				left, err = append(left, name), e
			}
		}
		if len(left) == len(names) {
			return nil, fmt.Errorf("the referenced schema %s can't be read: %w", left[0], err)
		}
		names = left
	}
	s, err := avro.ParseBytesWithCache([]byte(text), "", cache)
	if err != nil {
		return nil, fmt.Errorf("the AVRO schema can't be read: %w", err)
	}
	return s, nil
}

// resolved is the schema that a reference by name stands for.
func resolved(s avro.Schema) avro.Schema {
	if r, ok := s.(*avro.RefSchema); ok {
		return r.Schema()
	}
	return s
}

// logicalType is the logical type of a schema, "" without, and a decimal's
// parameters.
func logicalType(s avro.Schema) (name string, precision, scale int) {
	var l avro.LogicalSchema
	switch s := s.(type) {
	case *avro.PrimitiveSchema:
		l = s.Logical()
	case *avro.FixedSchema:
		l = s.Logical()
	}
	if l == nil {
		return "", 0, 0
	}
	if d, ok := l.(*avro.DecimalLogicalSchema); ok {
		return string(d.Type()), d.Precision(), d.Scale()
	}
	return string(l.Type()), 0, 0
}

// entryFields are the key and the value of a list that stands for a map.
func entryFields(s avro.Schema) (key, value avro.Schema, ok bool) {
	r, isRecord := s.(*avro.RecordSchema)
	if !isRecord || len(r.Fields()) != 2 || r.Fields()[0].Name() != "key" || r.Fields()[1].Name() != "value" {
		return nil, nil, false
	}
	return r.Fields()[0].Type(), r.Fields()[1].Type(), true
}

func isMapEntry(s avro.Schema) bool {
	r, ok := s.(*avro.RecordSchema)
	if !ok {
		return false
	}
	_, _, pair := entryFields(s)
	return pair && (r.Prop("connect.internal.type") == "MapEntry" || r.FullName() == "io.confluent.connect.avro.MapEntry")
}

// inferAvro is the type that a schema describes.
func inferAvro(text string, refs map[string]string) (types.Type, error) {
	s, err := ParseAvro(text, refs)
	if err != nil {
		return types.Type{}, err
	}
	return avroType(s, nil)
}

func avroType(s avro.Schema, inside []avro.Schema) (types.Type, error) {
	s = resolved(s)
	if slices.Contains(inside, s) {
		return types.Type{}, fmt.Errorf("the type %s holds itself, which SQL can't", s.(avro.NamedSchema).FullName())
	}
	logical, precision, scale := logicalType(s)
	switch s := s.(type) {
	case *avro.UnionSchema:
		return avroUnionType(s, inside)
	case *avro.ArraySchema:
		items := resolved(s.Items())
		if isMapEntry(items) {
			k, v, _ := entryFields(items)
			key, err := avroType(k, inside)
			if err != nil {
				return key, err
			}
			value, err := avroType(v, append(inside, items))
			return types.TMap(key, value), err
		}
		t, err := avroType(items, inside)
		return types.TArray(t), err
	case *avro.MapSchema:
		t, err := avroType(s.Values(), inside)
		return types.TMap(types.TString, t), err
	case *avro.RecordSchema:
		row := types.TStruct()
		for _, f := range s.Fields() {
			t, err := avroType(f.Type(), append(inside, s))
			if err != nil {
				return t, fmt.Errorf("%s: %w", f.Name(), err)
			}
			row.Fields = append(row.Fields, types.Field{Name: f.Name(), Type: t})
		}
		return row, nil
	case *avro.EnumSchema:
		return types.TString, nil
	case *avro.NullSchema:
		return types.Type{}, fmt.Errorf("a field that is always null has no SQL type")
	}
	if logical == "decimal" {
		return types.TDecimal(precision, scale), nil
	}
	switch s.Type() {
	case avro.Boolean:
		return types.TBoolean, nil
	case avro.Int:
		switch logical {
		case "date":
			return types.TDate, nil
		case "time-millis":
			return types.TTime, nil
		}
		return types.TInteger, nil
	case avro.Long:
		if logical == "timestamp-millis" {
			return types.TTimestamp, nil
		}
		return types.TBigint, nil
	case avro.Float, avro.Double:
		return types.TDouble, nil
	case avro.Bytes, avro.Fixed:
		return types.TBytes, nil
	case avro.String:
		return types.TString, nil
	}
	return types.Type{}, fmt.Errorf("the AVRO type %s is not supported", s.Type())
}

// avroUnionType is the one branch beside null; several make a STRUCT with a
// field for each, as Connect has it.
func avroUnionType(s *avro.UnionSchema, inside []avro.Schema) (types.Type, error) {
	some := unionBranches(s)
	if len(some) == 1 {
		return avroType(some[0], inside)
	}
	row := types.TStruct()
	for _, b := range some {
		t, err := avroType(b, inside)
		if err != nil {
			return t, err
		}
		row.Fields = append(row.Fields, types.Field{Name: branchName(b), Type: t})
	}
	return row, nil
}

func unionBranches(s *avro.UnionSchema) []avro.Schema {
	var some []avro.Schema
	for _, b := range s.Types() {
		if b.Type() != avro.Null {
			some = append(some, resolved(b))
		}
	}
	return some
}

// branchName is what Connect calls a branch of a union.
func branchName(s avro.Schema) string {
	if n, ok := s.(avro.NamedSchema); ok {
		return n.Name()
	}
	return string(s.Type())
}
