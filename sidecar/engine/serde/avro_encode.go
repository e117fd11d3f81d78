package serde

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/big"
	"strings"

	"github.com/hamba/avro/v2"

	"github.com/sidestream/sidestream/sidecar/engine/plan"
	"github.com/sidestream/sidestream/sidecar/engine/schema"
	"github.com/sidestream/sidestream/sidecar/engine/types"
)

// avroEncoder writes rows by a plan made once for its schema.
type avroEncoder struct {
	written
	cols  []schema.Column
	bare  bool
	text  string // the schema made from the columns
	write avroWriter
	rows  avroRowWriter // where the schema is a record: no STRUCT is made of the row
}

// avroWriter appends a value, avroRowWriter a record's fields.
type (
	avroWriter    func(dst []byte, v types.Value) ([]byte, error)
	avroRowWriter func(dst []byte, row []types.Value) ([]byte, error)
)

func newAvroEncoder(f plan.Format, cols []schema.Column, o Options) (Encoder, error) {
	if o.Registry == nil {
		return nil, errNoRegistry(Avro)
	}
	e := &avroEncoder{written: written{format: Avro, f: f, o: o}, cols: cols, bare: unwrapped(f, cols, o)}
	_, bound, err := schemaID(f)
	if err != nil || bound {
		return e, err // the schema is fetched at first use
	}
	if e.text, err = avroSchema(f, cols, e.bare); err != nil {
		return nil, err
	}
	return e, e.compile(e.text, nil)
}

// compile makes the plan for a schema.
func (e *avroEncoder) compile(text string, refs map[string]string) error {
	s, err := ParseAvro(text, refs)
	if err != nil {
		return err
	}
	t := types.TStruct()
	if e.bare {
		t = e.cols[0].Type
	} else {
		for _, c := range e.cols {
			t.Fields = append(t.Fields, types.Field{Name: c.Name, Type: c.Type})
		}
	}
	if r, ok := resolved(s).(*avro.RecordSchema); ok && !e.bare {
		e.rows, err = compileAvroRowWriter(r, t, "")
		return err
	}
	e.write, err = compileAvroWriter(s, t, "")
	return err
}

func (e *avroEncoder) Encode(dst []byte, row []types.Value) ([]byte, error) {
	if e.bare && row[0].IsNull() {
		return nil, nil
	}
	id, err := e.use(e.text, e.compile)
	if err != nil {
		return nil, err
	}
	switch dst = appendHeader(dst, id); {
	case e.bare:
		return e.write(dst, row[0])
	case e.rows != nil:
		return e.rows(dst, row)
	}
	return e.write(dst, types.NewStruct(row))
}

// compileAvroWriter makes the function that writes values of t as s.
func compileAvroWriter(s avro.Schema, t types.Type, path string) (avroWriter, error) {
	s = resolved(s)
	logical, _, scale := logicalType(s)
	switch s := s.(type) {
	case *avro.UnionSchema:
		return avroUnionWriter(s, t, path)
	case *avro.RecordSchema:
		if t.Kind == types.Struct {
			rows, err := compileAvroRowWriter(s, t, path)
			return required(path, s, func(dst []byte, v types.Value) ([]byte, error) { return rows(dst, v.Items()) }), err
		}
	case *avro.EnumSchema:
		if t.Kind == types.String {
			return func(dst []byte, v types.Value) ([]byte, error) {
				for i, symbol := range s.Symbols() {
					if symbol == v.Str() && !v.IsNull() {
						return binary.AppendVarint(dst, int64(i)), nil
					}
				}
				return nil, fmt.Errorf("%s: %q is not a symbol of the enum %s", path, types.Text(v, t), s.FullName())
			}, nil
		}
	case *avro.ArraySchema:
		if key, value, ok := entryFields(resolved(s.Items())); ok && t.Kind == types.Map {
			return avroMapWriter(key, value, t, path)
		}
		if t.Kind == types.Array {
			item, err := compileAvroWriter(s.Items(), *t.Elem, path+"[]")
			if err != nil {
				return nil, err
			}
			return required(path, s, avroArrayWriter(item)), nil
		}
	case *avro.MapSchema:
		if t.Kind == types.Map {
			return avroMapWriter(avro.NewPrimitiveSchema(avro.String, nil), s.Values(), t, path)
		}
	default:
		if w := avroScalarWriter(s, logical, scale, t, path); w != nil {
			return required(path, s, w), nil
		}
	}
	return nil, fmt.Errorf("%s: a %s can't be written as the schema's %s", path, t, connectType(s))
}

// required refuses NULL where the schema has no place for it.
func required(path string, s avro.Schema, w avroWriter) avroWriter {
	return func(dst []byte, v types.Value) ([]byte, error) {
		if v.IsNull() {
			return nil, fmt.Errorf("Invalid value: null used for required field: \"%s\", schema type: %s",
				strings.TrimPrefix(path, "->"), connectType(s))
		}
		return w(dst, v)
	}
}

func avroScalarWriter(s avro.Schema, logical string, scale int, t types.Type, path string) avroWriter {
	switch s.Type() {
	case avro.Boolean:
		if t.Kind == types.Boolean {
			return func(dst []byte, v types.Value) ([]byte, error) {
				if v.Bool() {
					return append(dst, 1), nil
				}
				return append(dst, 0), nil
			}
		}
	case avro.Int, avro.Long:
		factor := int64(1)
		if strings.HasSuffix(logical, "-micros") {
			factor = 1000
		}
		switch {
		case t.Kind == types.Integer, s.Type() == avro.Long && (t.Kind == types.Bigint || t.Kind == types.Timestamp),
			t.Kind == types.Date && s.Type() == avro.Int, t.Kind == types.Time:
			return func(dst []byte, v types.Value) ([]byte, error) {
				return binary.AppendVarint(dst, v.Int()*factor), nil
			}
		}
	case avro.Float:
		if t.Kind == types.Double {
			return func(dst []byte, v types.Value) ([]byte, error) {
				return binary.LittleEndian.AppendUint32(dst, math.Float32bits(float32(v.Float()))), nil
			}
		}
	case avro.Double:
		if t.Kind == types.Double {
			return func(dst []byte, v types.Value) ([]byte, error) {
				return binary.LittleEndian.AppendUint64(dst, math.Float64bits(v.Float())), nil
			}
		}
	case avro.String:
		if t.Kind == types.String {
			return func(dst []byte, v types.Value) ([]byte, error) {
				return append(binary.AppendVarint(dst, int64(len(v.Str()))), v.Str()...), nil
			}
		}
	case avro.Bytes, avro.Fixed:
		size := -1
		if f, ok := s.(*avro.FixedSchema); ok {
			size = f.Size()
		}
		if t.Kind == types.Bytes && logical != "decimal" {
			return func(dst []byte, v types.Value) ([]byte, error) { return appendAvroBytes(dst, v.Bytes(), size, path) }
		}
		if t.Kind == types.Decimal && logical == "decimal" {
			return func(dst []byte, v types.Value) ([]byte, error) {
				if _, has, small := v.SmallDecimal(); !small || has != scale {
					var err error
					if v, err = types.Fit(v, types.TDecimal(math.MaxInt16, scale)); err != nil {
						return nil, fmt.Errorf("%s: %w", path, err)
					}
				}
				var buf [8]byte
				b := unscaledBytes(buf[:0], v)
				for size > len(b) {
					b = append([]byte{byte(int8(b[0]) >> 7)}, b...)
				}
				return appendAvroBytes(dst, b, size, path)
			}
		}
	}
	return nil
}

// appendAvroBytes appends bytes with their length, or a fixed number of them.
func appendAvroBytes(dst, b []byte, fixed int, path string) ([]byte, error) {
	if fixed < 0 {
		return append(binary.AppendVarint(dst, int64(len(b))), b...), nil
	}
	if len(b) != fixed {
		return nil, fmt.Errorf("%s: %d bytes don't fit the schema's fixed %d", path, len(b), fixed)
	}
	return append(dst, b...), nil
}

// unscaledBytes are the digits of a DECIMAL as a big-endian two's complement
// number, as short as can be. They stand in buf when it has room for 8 bytes.
func unscaledBytes(buf []byte, v types.Value) []byte {
	if u, _, ok := v.SmallDecimal(); ok {
		b := binary.BigEndian.AppendUint64(buf, uint64(u))
		i := 0
		for i < 7 && (b[i] == 0 && b[i+1] < 0x80 || b[i] == 0xff && b[i+1] >= 0x80) {
			i++
		}
		return b[i:]
	}
	d := v.Apd()
	n := new(big.Int).Set(d.Coeff.MathBigInt())
	size := uint(n.BitLen()/8 + 1)
	if d.Negative {
		n.Sub(new(big.Int).Lsh(big.NewInt(1), size*8), n)
	}
	return n.FillBytes(make([]byte, size))
}

func avroArrayWriter(item avroWriter) avroWriter {
	return func(dst []byte, v types.Value) ([]byte, error) {
		items := v.Items()
		if len(items) > 0 {
			dst = binary.AppendVarint(dst, int64(len(items)))
		}
		var err error
		for _, x := range items {
			if dst, err = item(dst, x); err != nil {
				return nil, err
			}
		}
		return append(dst, 0), nil
	}
}

func avroMapWriter(key, value avro.Schema, t types.Type, path string) (avroWriter, error) {
	k, err := compileAvroWriter(key, *t.Key, path+"[]")
	if err != nil {
		return nil, err
	}
	x, err := compileAvroWriter(value, *t.Elem, path+"[]")
	if err != nil {
		return nil, err
	}
	return required(path, value, func(dst []byte, v types.Value) ([]byte, error) {
		entries := v.Entries()
		if len(entries) > 0 {
			dst = binary.AppendVarint(dst, int64(len(entries)))
		}
		var err error
		for _, e := range entries {
			if dst, err = k(dst, e.Key); err != nil {
				return nil, err
			}
			if dst, err = x(dst, e.Value); err != nil {
				return nil, err
			}
		}
		return append(dst, 0), nil
	}), nil
}

// avroUnionWriter writes NULL as the null branch, anything else as the first
// branch that takes its type. A STRUCT made from a union of several branches
// goes back into the branch of its field that isn't NULL.
func avroUnionWriter(s *avro.UnionSchema, t types.Type, path string) (avroWriter, error) {
	null, branch := int64(-1), int64(-1)
	var w avroWriter
	var firstErr error
	for i, b := range s.Types() {
		b = resolved(b)
		if b.Type() == avro.Null {
			null = int64(i)
			continue
		}
		x, err := compileAvroWriter(b, t, path)
		if err == nil && branch < 0 {
			w, branch = x, int64(i)
		} else if firstErr == nil {
			firstErr = err
		}
	}
	if branch < 0 && t.Kind == types.Struct {
		return avroBranchWriter(s, t, null, path)
	}
	if branch < 0 {
		return nil, firstErr
	}
	return func(dst []byte, v types.Value) ([]byte, error) {
		if v.IsNull() && null >= 0 {
			return binary.AppendVarint(dst, null), nil
		}
		return w(binary.AppendVarint(dst, branch), v)
	}, nil
}

func avroBranchWriter(s *avro.UnionSchema, t types.Type, null int64, path string) (avroWriter, error) {
	type place struct {
		branch int64
		write  avroWriter
	}
	places := make([]place, len(t.Fields))
	for j, f := range t.Fields {
		places[j].branch = -1
		for i, b := range s.Types() {
			if b = resolved(b); strings.EqualFold(branchName(b), f.Name) {
				w, err := compileAvroWriter(b, f.Type, path+"->"+f.Name)
				if err != nil {
					return nil, err
				}
				places[j] = place{int64(i), w}
			}
		}
		if places[j].branch < 0 {
			return nil, fmt.Errorf("%s: the schema's union has no branch %s", path, f.Name)
		}
	}
	return func(dst []byte, v types.Value) ([]byte, error) {
		for j, x := range v.Items() {
			if !x.IsNull() {
				return places[j].write(binary.AppendVarint(dst, places[j].branch), x)
			}
		}
		if null < 0 {
			return nil, fmt.Errorf("%s: the schema's union has no place for NULL", path)
		}
		return binary.AppendVarint(dst, null), nil
	}, nil
}

// compileAvroRowWriter makes the function that writes the fields that the schema wants, in its order. One
// that t hasn't, or that is NULL where it may not be, takes the schema's default.
func compileAvroRowWriter(s *avro.RecordSchema, t types.Type, path string) (avroRowWriter, error) {
	type step struct {
		from     int // -1: not in t
		write    avroWriter
		fallback []byte // the default, written; nil without
		nullable bool
	}
	names := make([]string, len(t.Fields))
	for i, f := range t.Fields {
		names[i] = f.Name
	}
	steps := make([]step, len(s.Fields()))
	for i, at := range matchFields(fieldNames(s), names) {
		f := s.Fields()[i]
		st := step{from: at, nullable: isNullable(f.Type())}
		if f.HasDefault() {
			b, err := appendAvroDefault(nil, f.Type(), f.Default())
			if err != nil {
				return nil, fmt.Errorf("the default of %s: %w", f.Name(), err)
			}
			st.fallback = b
		} else if st.nullable && at < 0 {
			st.fallback = avroNull(f.Type())
		}
		if at >= 0 {
			var err error
			if st.write, err = compileAvroWriter(f.Type(), t.Fields[at].Type, path+"->"+f.Name()); err != nil {
				return nil, err
			}
		} else {
			st.write = required("->"+f.Name(), resolved(f.Type()), nil)
		}
		steps[i] = st
	}
	return func(dst []byte, row []types.Value) ([]byte, error) {
		var err error
		for _, st := range steps {
			x := types.Value{}
			if st.from >= 0 {
				x = row[st.from]
			}
			if x.IsNull() && st.fallback != nil && (st.from < 0 || !st.nullable) {
				dst = append(dst, st.fallback...)
				continue
			}
			if dst, err = st.write(dst, x); err != nil {
				return nil, err
			}
		}
		return dst, nil
	}, nil
}

func isNullable(s avro.Schema) bool { return avroNull(s) != nil }

// avroNull is how NULL is written in a schema, nil when it can't be.
func avroNull(s avro.Schema) []byte {
	switch s := resolved(s).(type) {
	case *avro.NullSchema:
		return []byte{}
	case *avro.UnionSchema:
		for i, b := range s.Types() {
			if b.Type() == avro.Null {
				return binary.AppendVarint(nil, int64(i))
			}
		}
	}
	return nil
}

// appendAvroDefault appends a field's default, as the schema's parser gives it.
func appendAvroDefault(dst []byte, s avro.Schema, v any) ([]byte, error) {
	s = resolved(s)
	var err error
	switch s := s.(type) {
	case *avro.UnionSchema: // the default is of the first branch
		return appendAvroDefault(binary.AppendVarint(dst, 0), s.Types()[0], v)
	case *avro.NullSchema:
		return dst, nil
	case *avro.EnumSchema:
		for i, symbol := range s.Symbols() {
			if symbol == v {
				return binary.AppendVarint(dst, int64(i)), nil
			}
		}
	case *avro.ArraySchema:
		if items, ok := v.([]any); ok {
			if len(items) > 0 {
				dst = binary.AppendVarint(dst, int64(len(items)))
			}
			for _, x := range items {
				if dst, err = appendAvroDefault(dst, s.Items(), x); err != nil {
					return nil, err
				}
			}
			return append(dst, 0), nil
		}
	case *avro.MapSchema:
		if m, ok := v.(map[string]any); ok {
			if len(m) > 0 {
				dst = binary.AppendVarint(dst, int64(len(m)))
			}
			for k, x := range m {
				dst = append(binary.AppendVarint(dst, int64(len(k))), k...)
				if dst, err = appendAvroDefault(dst, s.Values(), x); err != nil {
					return nil, err
				}
			}
			return append(dst, 0), nil
		}
	case *avro.RecordSchema:
		if m, ok := v.(map[string]any); ok {
			for _, f := range s.Fields() {
				x, ok := m[f.Name()]
				if !ok {
					x = f.Default()
				}
				if dst, err = appendAvroDefault(dst, f.Type(), x); err != nil {
					return nil, err
				}
			}
			return dst, nil
		}
	}
	switch v := v.(type) {
	case bool:
		if v {
			return append(dst, 1), nil
		}
		return append(dst, 0), nil
	case int:
		return binary.AppendVarint(dst, int64(v)), nil
	case int32:
		return binary.AppendVarint(dst, int64(v)), nil
	case int64:
		return binary.AppendVarint(dst, v), nil
	case float32:
		return binary.LittleEndian.AppendUint32(dst, math.Float32bits(v)), nil
	case float64:
		return binary.LittleEndian.AppendUint64(dst, math.Float64bits(v)), nil
	case string:
		return append(binary.AppendVarint(dst, int64(len(v))), v...), nil
	case []byte:
		if f, ok := s.(*avro.FixedSchema); ok {
			return appendAvroBytes(dst, v, f.Size(), "")
		}
		return append(binary.AppendVarint(dst, int64(len(v))), v...), nil
	}
	return nil, fmt.Errorf("%v doesn't fit %s", v, s.Type())
}
