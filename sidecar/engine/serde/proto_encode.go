package serde

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/sidestream/sidestream/sidecar/engine/plan"
	"github.com/sidestream/sidestream/sidecar/engine/schema"
	"github.com/sidestream/sidestream/sidecar/engine/types"
)

// protoEncoder writes rows of one message type by a plan made once.
type protoEncoder struct {
	written
	cols  []schema.Column
	sr    bool // in front stand the schema's id and the way to the message
	bare  bool
	text  string // the schema made from the columns
	path  []byte
	write protoWriter
}

// protoWriter appends the content of a message: the fields of a STRUCT.
type protoWriter func(dst []byte, row []types.Value) ([]byte, error)

func newProtoEncoder(f plan.Format, cols []schema.Column, o Options) (Encoder, error) {
	if o.Registry == nil {
		return nil, errNoRegistry(Protobuf)
	}
	e := &protoEncoder{written: written{format: Protobuf, f: f, o: o}, cols: cols, sr: true}
	_, bound, err := schemaID(f)
	if err != nil || bound {
		return e, err // the schema is fetched at first use
	}
	if e.text, err = protoSchema(f, cols, false); err != nil {
		return nil, err
	}
	return e, e.compile(e.text, nil)
}

func newProtoNoSREncoder(f plan.Format, cols []schema.Column, o Options) (Encoder, error) {
	m, bare, err := ownProto(f, cols, o)
	if err != nil {
		return nil, err
	}
	e := &protoEncoder{cols: cols, bare: bare}
	fields := columnFields(cols)
	if bare {
		fields = []types.Field{{Name: "value", Type: cols[0].Type}}
		if cols[0].Type.Kind == types.Struct {
			fields = cols[0].Type.Fields
		}
	}
	e.write, err = compileProtoWriter(m, fields)
	return e, err
}

// compile makes the plan for a schema.
func (e *protoEncoder) compile(text string, refs map[string]string) error {
	file, err := ParseProtobuf(text, refs)
	if err != nil {
		return err
	}
	m, path, err := protoMessage(file, prop(e.f, "fullSchemaName"))
	if err != nil {
		return err
	}
	e.path = []byte{0}
	if len(path) > 1 || path[0] != 0 {
		e.path = binary.AppendVarint(nil, int64(len(path)))
		for _, i := range path {
			e.path = binary.AppendVarint(e.path, int64(i))
		}
	}
	e.write, err = compileProtoWriter(m, columnFields(e.cols))
	return err
}

func (e *protoEncoder) Encode(dst []byte, row []types.Value) ([]byte, error) {
	if e.bare {
		if row[0].IsNull() {
			return nil, nil
		}
		if e.cols[0].Type.Kind == types.Struct {
			row = row[0].Items()
		}
	}
	if e.sr {
		id, err := e.use(e.text, e.compile)
		if err != nil {
			return nil, err
		}
		dst = append(appendHeader(dst, id), e.path...)
	}
	if dst == nil {
		dst = []byte{} // a message of nothing but defaults has no bytes, and is no NULL
	}
	return e.write(dst, row)
}

// protoValue appends one value with its field's tag; an absent one appends
// nothing.
type protoValue func(dst []byte, v types.Value) ([]byte, error)

// compileProtoWriter makes the function that writes fields as m.
func compileProtoWriter(m protoreflect.MessageDescriptor, fields []types.Field) (protoWriter, error) {
	type step struct {
		number protowire.Number
		from   int
		within int // the place in a oneof's STRUCT, or -1
		write  protoValue
	}
	var steps []step
	members := protoMembers(m)
	names := make([]string, len(members))
	for i := range members {
		names[i] = members[i].name
	}
	columns := make([]string, len(fields))
	for i := range fields {
		columns[i] = fields[i].Name
	}
	for i, at := range matchFields(names, columns) {
		if at < 0 {
			continue
		}
		t := fields[at].Type
		if fd := members[i].field; fd != nil {
			w, err := protoFieldWriter(fd, t)
			if err != nil {
				return nil, err
			}
			steps = append(steps, step{fd.Number(), at, -1, w})
			continue
		}
		for _, fd := range members[i].oneof {
			for j, f := range t.Fields {
				if matchName(string(fd.Name()), f.Name) {
					w, err := protoFieldWriter(fd, f.Type)
					if err != nil {
						return nil, err
					}
					steps = append(steps, step{fd.Number(), at, j, w})
				}
			}
		}
	}
	slices.SortFunc(steps, func(a, b step) int { return int(a.number) - int(b.number) })
	return func(dst []byte, row []types.Value) ([]byte, error) {
		var err error
		for _, s := range steps {
			v := row[s.from]
			if s.within >= 0 {
				if v.IsNull() {
					continue
				}
				v = v.Items()[s.within]
			}
			if v.IsNull() {
				continue // read back as the field's default
			}
			if dst, err = s.write(dst, v); err != nil {
				return nil, err
			}
		}
		return dst, nil
	}, nil
}

// matchName tells whether a name in the data stands for the column.
func matchName(data, column string) bool {
	return matchFields([]string{data}, []string{column})[0] == 0
}

func protoFieldWriter(fd protoreflect.FieldDescriptor, t types.Type) (protoValue, error) {
	number := fd.Number()
	if key, value, ok := protoEntry(fd); ok && t.Kind == types.Map {
		return protoMapWriter(number, key, value, t)
	}
	if !fd.IsList() {
		return protoSingleWriter(fd, t, fd.HasPresence())
	}
	if t.Kind != types.Array {
		return nil, fmt.Errorf("a %s can't be written as the list %s of the schema", t, fd.FullName())
	}
	item, err := protoSingleWriter(fd, *t.Elem, true)
	if err != nil {
		return nil, err
	}
	var pack func(dst []byte, v types.Value) []byte
	if fd.IsPacked() {
		pack = protoNumber(fd)
	}
	return func(dst []byte, v types.Value) ([]byte, error) {
		items := v.Items()
		for _, x := range items {
			if x.IsNull() {
				return nil, fmt.Errorf("an ARRAY with a NULL in it can't be written as PROTOBUF: field %s", fd.Name())
			}
		}
		if pack != nil {
			if len(items) == 0 {
				return dst, nil
			}
			dst = protowire.AppendTag(dst, number, protowire.BytesType)
			start := len(dst)
			dst = append(dst, 0)
			for _, x := range items {
				dst = pack(dst, x)
			}
			return closeMessage(dst, start), nil
		}
		var err error
		for _, x := range items {
			if dst, err = item(dst, x); err != nil {
				return nil, err
			}
		}
		return dst, nil
	}, nil
}

func protoMapWriter(number protowire.Number, key, value protoreflect.FieldDescriptor, t types.Type) (protoValue, error) {
	k, err := protoSingleWriter(key, *t.Key, true)
	if err != nil {
		return nil, err
	}
	w, err := protoSingleWriter(value, *t.Elem, true)
	if err != nil {
		return nil, err
	}
	return func(dst []byte, v types.Value) ([]byte, error) {
		for _, e := range v.Entries() {
			if e.Key.IsNull() || e.Value.IsNull() {
				return nil, fmt.Errorf("a MAP with a NULL in it can't be written as PROTOBUF")
			}
			dst = protowire.AppendTag(dst, number, protowire.BytesType)
			start := len(dst)
			var err error
			if dst, err = k(append(dst, 0), e.Key); err != nil {
				return nil, err
			}
			if dst, err = w(dst, e.Value); err != nil {
				return nil, err
			}
			dst = closeMessage(dst, start)
		}
		return dst, nil
	}, nil
}

// protoSingleWriter writes one value; defaults are left out unless present.
func protoSingleWriter(fd protoreflect.FieldDescriptor, t types.Type, present bool) (protoValue, error) {
	own, err := protoOwnType(fd)
	if err != nil {
		return nil, err
	}
	number := fd.Number()
	message := func(content protoValue) protoValue {
		return func(dst []byte, v types.Value) ([]byte, error) {
			dst = protowire.AppendTag(dst, number, protowire.BytesType)
			start := len(dst)
			dst, err := content(append(dst, 0), v)
			if err != nil {
				return nil, err
			}
			return closeMessage(dst, start), nil
		}
	}
	switch {
	case own.Kind == types.Struct && t.Kind == types.Struct:
		w, err := compileProtoWriter(fd.Message(), t.Fields)
		return message(func(dst []byte, v types.Value) ([]byte, error) { return w(dst, v.Items()) }), err
	case own.Kind == types.Decimal && t.Kind == types.Decimal:
		return message(protoDecimalWriter(own)), nil
	case own.Kind == t.Kind && (t.Kind == types.Date || t.Kind == types.Time || t.Kind == types.Timestamp):
		return message(writeProtoTime), nil
	case own.Kind == t.Kind && own.Kind != types.Struct, own.Kind == types.Bigint && t.Kind == types.Integer:
	default:
		return nil, fmt.Errorf("a %s can't be written as the schema's %s (field %s)", t, own, fd.FullName())
	}
	if m := fd.Message(); m != nil { // a wrapper
		inner, err := protoSingleWriter(m.Fields().Get(0), t, false)
		return message(inner), err
	}
	switch fd.Kind() {
	case protoreflect.StringKind, protoreflect.BytesKind:
		return func(dst []byte, v types.Value) ([]byte, error) {
			if t.Kind == types.Bytes {
				if len(v.Bytes()) == 0 && !present {
					return dst, nil
				}
				return protowire.AppendBytes(protowire.AppendTag(dst, number, protowire.BytesType), v.Bytes()), nil
			}
			if v.Str() == "" && !present {
				return dst, nil
			}
			return protowire.AppendString(protowire.AppendTag(dst, number, protowire.BytesType), v.Str()), nil
		}, nil
	case protoreflect.EnumKind:
		return func(dst []byte, v types.Value) ([]byte, error) {
			s := fd.Enum().Values().ByName(protoreflect.Name(v.Str()))
			if s == nil {
				return nil, fmt.Errorf("%q is not a value of the enum %s", v.Str(), fd.Enum().FullName())
			}
			if s.Number() == 0 && !present {
				return dst, nil
			}
			return protowire.AppendVarint(protowire.AppendTag(dst, number, protowire.VarintType), uint64(int64(s.Number()))), nil
		}, nil
	}
	append := protoNumber(fd)
	typ := protowire.VarintType
	switch fd.Kind() {
	case protoreflect.FloatKind, protoreflect.Fixed32Kind, protoreflect.Sfixed32Kind:
		typ = protowire.Fixed32Type
	case protoreflect.DoubleKind, protoreflect.Fixed64Kind, protoreflect.Sfixed64Kind:
		typ = protowire.Fixed64Type
	}
	return func(dst []byte, v types.Value) ([]byte, error) {
		if !present && v.Int() == 0 { // the bits: -0.0 is written
			return dst, nil
		}
		return append(protowire.AppendTag(dst, number, typ), v), nil
	}, nil
}

// closeMessage writes the length of what stands behind the byte at start, which was
// left for it.
func closeMessage(dst []byte, start int) []byte {
	n := len(dst) - start - 1
	if n < 0x80 {
		dst[start] = byte(n)
		return dst
	}
	var length [binary.MaxVarintLen64]byte
	return slices.Replace(dst, start, start+1, length[:binary.PutUvarint(length[:], uint64(n))]...)
}

// protoNumber appends a number as the field has it on the wire.
func protoNumber(fd protoreflect.FieldDescriptor) func(dst []byte, v types.Value) []byte {
	switch fd.Kind() {
	case protoreflect.FloatKind:
		return func(dst []byte, v types.Value) []byte {
			return protowire.AppendFixed32(dst, math.Float32bits(float32(v.Float())))
		}
	case protoreflect.DoubleKind:
		return func(dst []byte, v types.Value) []byte {
			return protowire.AppendFixed64(dst, math.Float64bits(v.Float()))
		}
	case protoreflect.Fixed32Kind, protoreflect.Sfixed32Kind:
		return func(dst []byte, v types.Value) []byte { return protowire.AppendFixed32(dst, uint32(v.Int())) }
	case protoreflect.Fixed64Kind, protoreflect.Sfixed64Kind:
		return func(dst []byte, v types.Value) []byte { return protowire.AppendFixed64(dst, uint64(v.Int())) }
	case protoreflect.Sint32Kind, protoreflect.Sint64Kind:
		return func(dst []byte, v types.Value) []byte {
			return protowire.AppendVarint(dst, protowire.EncodeZigZag(v.Int()))
		}
	case protoreflect.Uint32Kind:
		return func(dst []byte, v types.Value) []byte { return protowire.AppendVarint(dst, uint64(uint32(v.Int()))) }
	}
	return func(dst []byte, v types.Value) []byte { return protowire.AppendVarint(dst, uint64(v.Int())) }
}

// appendNumbers appends the fields 1, 2, … of a message, zeros left out.
func appendNumbers(dst []byte, values ...int64) []byte {
	for i, n := range values {
		if n != 0 {
			dst = protowire.AppendVarint(protowire.AppendTag(dst, protowire.Number(i+1), protowire.VarintType), uint64(n))
		}
	}
	return dst
}

func writeProtoTime(dst []byte, v types.Value) ([]byte, error) {
	n := v.Int()
	switch v.Kind() {
	case types.Date:
		d := time.Unix(n*86400, 0).UTC()
		return appendNumbers(dst, int64(d.Year()), int64(d.Month()), int64(d.Day())), nil
	case types.Time:
		return appendNumbers(dst, n/3600000, n/60000%60, n/1000%60, n%1000*1e6), nil
	}
	seconds, ms := n/1000, n%1000
	if ms < 0 {
		seconds, ms = seconds-1, ms+1000
	}
	return appendNumbers(dst, seconds, ms*1e6), nil
}

func protoDecimalWriter(own types.Type) protoValue {
	return func(dst []byte, v types.Value) ([]byte, error) {
		scale := 0
		if _, s, ok := v.SmallDecimal(); ok {
			scale = s
		} else {
			scale = int(-v.Apd().Exponent)
		}
		if scale < own.Scale {
			fitted, err := types.Fit(v, types.TDecimal(math.MaxInt16, own.Scale))
			if err != nil {
				return nil, err
			}
			v, scale = fitted, own.Scale
		}
		var buf [8]byte
		dst = protowire.AppendBytes(protowire.AppendTag(dst, 1, protowire.BytesType), unscaledBytes(buf[:0], v))
		dst = protowire.AppendVarint(protowire.AppendTag(dst, 2, protowire.VarintType), uint64(own.Precision))
		if scale != 0 {
			dst = protowire.AppendVarint(protowire.AppendTag(dst, 3, protowire.VarintType), uint64(scale))
		}
		return dst, nil
	}
}
