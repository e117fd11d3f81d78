package serde

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strconv"
	"time"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/sidestream/sidestream/sidecar/engine/plan"
	"github.com/sidestream/sidestream/sidecar/engine/schema"
	"github.com/sidestream/sidestream/sidecar/engine/types"
)

// protoRows reads rows of one message type by a plan made once.
type protoRows struct{ fields *protoFields }

func (d *protoRows) Decode(data []byte, dst []types.Value) (bool, error) {
	clear(dst)
	return true, d.fields.read(data, dst, 0)
}

// protoBare reads the only column, which stands for the whole message.
type protoBare struct{ read protoRead }

func (d *protoBare) Decode(data []byte, dst []types.Value) (bool, error) {
	v, err := d.read(protoRaw{typ: protowire.BytesType, bytes: data}, 0)
	dst[0] = v
	return err == nil, err
}

// protoSRDecoder reads records that name their schema, and their message in it.
type protoSRDecoder struct{ *framed }

// protoByMessage reads the records of one schema; each may be of another message.
type protoByMessage struct {
	file   protoreflect.FileDescriptor
	cols   []schema.Column
	o      Options
	opened map[string]opened // by the bytes of the way to the message
}

func newProtoDecoder(f plan.Format, cols []schema.Column, o Options) (Decoder, error) {
	fr, err := newFramed(Protobuf, o, func(text string, refs map[string]string) (Decoder, error) {
		file, err := ParseProtobuf(text, refs)
		return &protoByMessage{file: file, cols: cols, o: o, opened: map[string]opened{}}, err
	})
	return protoSRDecoder{fr}, err
}

func (d protoSRDecoder) Decode(data []byte, dst []types.Value) (bool, error) {
	dec, rest, err := d.decoder(data)
	if err != nil {
		return false, err
	}
	return dec.Decode(rest, dst)
}

func (d *protoByMessage) Decode(data []byte, dst []types.Value) (bool, error) {
	path, size, err := splitProtoPath(data)
	if err != nil {
		return false, err
	}
	dec, ok := d.opened[string(data[:size])]
	if !ok {
		m, err := protoAt(d.file, path)
		if err != nil {
			return false, err
		}
		dec.Decoder = &protoRows{compileProto(m, columnFields(d.cols), d.o.used)}
		d.opened[string(data[:size])] = dec
	}
	return dec.Decode(data[size:], dst)
}

// splitProtoPath reads the places that lead to a message: a count and as many
// numbers, or a single zero for the first message.
func splitProtoPath(data []byte) (path []int, size int, err error) {
	bad := errors.New("invalid PROTOBUF data: the record doesn't say which message of its schema it holds")
	n, size := binary.Varint(data)
	if size <= 0 || n < 0 || n > 100 {
		return nil, 0, bad
	}
	if n == 0 {
		return []int{0}, size, nil
	}
	for range n {
		i, k := binary.Varint(data[size:])
		if k <= 0 || i < 0 || i > math.MaxInt32 {
			return nil, 0, bad
		}
		path, size = append(path, int(i)), size+k
	}
	return path, size, nil
}

// newProtoNoSRDecoder reads messages of the schema that the columns make.
func newProtoNoSRDecoder(f plan.Format, cols []schema.Column, o Options) (Decoder, error) {
	m, bare, err := ownProto(f, cols, o)
	if err != nil {
		return nil, err
	}
	if bare {
		return &protoBare{protoBareReader(m, cols[0].Type)}, nil
	}
	return &protoRows{compileProto(m, columnFields(cols), o.used)}, nil
}

// ownProto is the message that the columns make, without a registry.
func ownProto(f plan.Format, cols []schema.Column, o Options) (m protoreflect.MessageDescriptor, bare bool, err error) {
	bare = unwrapped(f, cols, o)
	text, err := protoSchema(f, cols, bare)
	if err != nil {
		return nil, false, err
	}
	file, err := ParseProtobuf(text, nil)
	if err != nil {
		return nil, false, err
	}
	m, _, err = protoMessage(file, "")
	return m, bare, err
}

func protoBareReader(m protoreflect.MessageDescriptor, t types.Type) protoRead {
	if t.Kind == types.Struct {
		return protoStruct(compileProto(m, t.Fields, nil), len(t.Fields))
	}
	fields := compileProto(m, []types.Field{{Name: "value", Type: t}}, nil)
	return func(r protoRaw, depth int) (types.Value, error) {
		var row [1]types.Value
		err := fields.read(r.bytes, row[:], depth+1)
		return row[0], err
	}
}

func columnFields(cols []schema.Column) []types.Field {
	fields := make([]types.Field, len(cols))
	for i, c := range cols {
		fields[i] = types.Field{Name: c.Name, Type: c.Type}
	}
	return fields
}

// protoRaw is a value on the wire: a number, or bytes.
type protoRaw struct {
	typ    protowire.Type
	number uint64
	bytes  []byte
}

// protoRead turns a value on the wire into one of SQL.
type protoRead func(r protoRaw, depth int) (types.Value, error)

// protoFields says what to do with a message's fields.
type protoFields struct {
	byNumber map[protowire.Number]*protoField
	wanted   []*protoField
}

// protoField reads one field.
type protoField struct {
	to, within        int // the column; the place in the STRUCT of a oneof, or -1
	width             int // of that STRUCT
	zero              types.Value
	hasZero           bool
	read              protoRead
	packed            protowire.Type // what a list's items are on the wire when packed, BytesType when they can't be
	list, isMap, skip bool
	key, value        *protoField // of a map's entry
}

// compileProto makes the plan that reads m into fields. used may be nil.
func compileProto(m protoreflect.MessageDescriptor, fields []types.Field, used func(int) bool) *protoFields {
	out := &protoFields{byNumber: map[protowire.Number]*protoField{}}
	members := protoMembers(m)
	names := make([]string, len(members))
	for i := range members {
		names[i] = members[i].name
	}
	columns := make([]string, len(fields))
	for i := range fields {
		columns[i] = fields[i].Name
	}
	add := func(fd protoreflect.FieldDescriptor, f *protoField) {
		out.byNumber[fd.Number()] = f
		out.wanted = append(out.wanted, f)
	}
	for i, at := range matchFields(names, columns) {
		if at < 0 {
			continue
		}
		skip := used != nil && !used(at)
		if fd := members[i].field; fd != nil {
			f := protoFieldReader(fd, fields[at].Type, "->"+fields[at].Name)
			f.to, f.within, f.skip = at, -1, skip
			add(fd, f)
			continue
		}
		t := fields[at].Type
		inner := make([]string, len(members[i].oneof))
		for j, fd := range members[i].oneof {
			inner[j] = string(fd.Name())
		}
		var targets []string
		for _, f := range t.Fields {
			targets = append(targets, f.Name)
		}
		for j, place := range matchFields(inner, targets) {
			if place >= 0 {
				f := protoFieldReader(members[i].oneof[j], t.Fields[place].Type, "->"+fields[at].Name+"->"+targets[place])
				f.to, f.within, f.width, f.hasZero, f.skip = at, place, len(targets), false, skip
				add(members[i].oneof[j], f)
			}
		}
	}
	return out
}

// protoFieldReader makes the reader of a field as t.
func protoFieldReader(fd protoreflect.FieldDescriptor, t types.Type, path string) *protoField {
	f := &protoField{within: -1, packed: protowire.BytesType}
	if key, value, ok := protoEntry(fd); ok && t.Kind == types.Map {
		f.isMap = true
		f.key, f.value = protoFieldReader(key, *t.Key, path+"[]"), protoFieldReader(value, *t.Elem, path+"[]")
		// Entries leave out what is the type's default.
		f.key.hasZero, f.key.zero = true, protoZero(key, *t.Key)
		f.value.hasZero = f.value.hasZero || value.Message() == nil
		f.zero, f.hasZero = types.NewMap([]types.Entry{}), true
		return f
	}
	if fd.IsList() {
		if t.Kind != types.Array {
			f.read = cannotProto(fd, t, path)
			return f
		}
		f.list, f.zero, f.hasZero = true, types.NewArray([]types.Value{}), true
		f.read = protoSingle(fd, *t.Elem, path+"[]")
		switch fd.Kind() {
		case protoreflect.StringKind, protoreflect.BytesKind, protoreflect.MessageKind, protoreflect.GroupKind:
		case protoreflect.FloatKind, protoreflect.Fixed32Kind, protoreflect.Sfixed32Kind:
			f.packed = protowire.Fixed32Type
		case protoreflect.DoubleKind, protoreflect.Fixed64Kind, protoreflect.Sfixed64Kind:
			f.packed = protowire.Fixed64Type
		default:
			f.packed = protowire.VarintType
		}
		return f
	}
	f.read = protoSingle(fd, t, path)
	if !fd.HasPresence() {
		f.zero, f.hasZero = protoZero(fd, t), true
	}
	return f
}

// protoZero is what a field without presence holds when it isn't there.
func protoZero(fd protoreflect.FieldDescriptor, t types.Type) types.Value {
	v, err := protoSingle(fd, t, "")(protoRaw{bytes: []byte{}}, 0)
	if err != nil {
		return types.Value{}
	}
	return v
}

func cannotProto(fd protoreflect.FieldDescriptor, t types.Type, path string) protoRead {
	from, _ := protoFieldType(fd, nil)
	err := fmt.Errorf("Cannot deserialize type %s as type %s for path %s", from, t, path)
	return func(protoRaw, int) (types.Value, error) { return types.Value{}, err }
}

// protoSingle makes the function that reads one value of a field as t.
func protoSingle(fd protoreflect.FieldDescriptor, t types.Type, path string) protoRead {
	own, err := protoOwnType(fd)
	if err != nil {
		return func(protoRaw, int) (types.Value, error) { return types.Value{}, err }
	}
	switch {
	case own.Kind == types.Struct && t.Kind == types.Struct:
		return protoStruct(compileProto(fd.Message(), t.Fields, nil), len(t.Fields))
	case own.Kind == t.Kind && own.Kind != types.Struct, own.Kind == types.Integer && t.Kind == types.Bigint,
		t.Kind == types.String && own.Kind >= types.Boolean && own.Kind <= types.Double && own.Kind != types.Decimal:
	default:
		return cannotProto(fd, t, path)
	}
	switch own.Kind {
	case types.Decimal:
		return readProtoDecimal(own, t)
	case types.Date, types.Time, types.Timestamp:
		return readProtoTime(own.Kind)
	}
	if m := fd.Message(); m != nil { // a wrapper
		inner := protoFieldReader(m.Fields().Get(0), t, path)
		fields := &protoFields{byNumber: map[protowire.Number]*protoField{1: inner}, wanted: []*protoField{inner}}
		return func(r protoRaw, depth int) (types.Value, error) {
			var row [1]types.Value
			err := fields.read(r.bytes, row[:], depth+1)
			return row[0], err
		}
	}
	return readProtoScalar(fd, t)
}

// protoOwnType is the type of a single value; STRUCTs without their fields, since
// a message may hold itself.
func protoOwnType(fd protoreflect.FieldDescriptor) (types.Type, error) {
	if m := fd.Message(); m != nil && !isWrapper(m.FullName()) {
		switch m.FullName() {
		case "confluent.type.Decimal", "google.type.Date", "google.type.TimeOfDay", "google.protobuf.Timestamp":
		default:
			return types.TStruct(), nil
		}
	}
	return protoSingleType(fd, nil)
}

func protoStruct(fields *protoFields, width int) protoRead {
	return func(r protoRaw, depth int) (types.Value, error) {
		row := make([]types.Value, width)
		if err := fields.read(r.bytes, row, depth+1); err != nil {
			return types.Value{}, err
		}
		return types.NewStruct(row), nil
	}
}

func readProtoScalar(fd protoreflect.FieldDescriptor, t types.Type) protoRead {
	text := t.Kind == types.String
	switch kind := fd.Kind(); kind {
	case protoreflect.BoolKind:
		return func(r protoRaw, _ int) (types.Value, error) {
			if text {
				return types.NewString(strconv.FormatBool(r.number != 0)), nil
			}
			return types.NewBool(r.number != 0), nil
		}
	case protoreflect.FloatKind, protoreflect.DoubleKind:
		return func(r protoRaw, _ int) (types.Value, error) {
			f := math.Float64frombits(r.number)
			if kind == protoreflect.FloatKind {
				f = float64(math.Float32frombits(uint32(r.number)))
			}
			if text {
				return types.NewString(types.FormatDouble(f)), nil
			}
			return types.NewDouble(f), nil
		}
	case protoreflect.StringKind:
		return func(r protoRaw, _ int) (types.Value, error) {
			if !utf8.Valid(r.bytes) {
				return types.Value{}, errors.New("invalid PROTOBUF data: a string is not UTF-8")
			}
			return types.NewString(string(r.bytes)), nil
		}
	case protoreflect.BytesKind:
		return func(r protoRaw, _ int) (types.Value, error) { return types.NewBytes(append([]byte{}, r.bytes...)), nil }
	case protoreflect.EnumKind:
		values := fd.Enum().Values()
		return func(r protoRaw, _ int) (types.Value, error) {
			if v := values.ByNumber(protoreflect.EnumNumber(int32(r.number))); v != nil {
				return types.NewString(string(v.Name())), nil
			}
			return types.NewString(fmt.Sprintf("UNKNOWN_ENUM_VALUE_%s_%d", fd.Enum().Name(), int32(r.number))), nil
		}
	default:
		return func(r protoRaw, _ int) (types.Value, error) {
			n := int64(r.number)
			switch kind {
			case protoreflect.Int32Kind, protoreflect.Sfixed32Kind:
				n = int64(int32(r.number))
			case protoreflect.Uint32Kind, protoreflect.Fixed32Kind:
				n = int64(uint32(r.number))
			case protoreflect.Sint32Kind:
				n = int64(int32(protowire.DecodeZigZag(r.number & math.MaxUint32)))
			case protoreflect.Sint64Kind:
				n = protowire.DecodeZigZag(r.number)
			}
			if text {
				return types.NewString(strconv.FormatInt(n, 10)), nil
			}
			return newCounted(t.Kind, n), nil
		}
	}
}

// protoNumbers reads the numbers of a small message of the well-known types.
func protoNumbers(data []byte, to ...*int64) error {
	return walkProto(data, func(n protowire.Number, r protoRaw) error {
		if int(n) <= len(to) && r.typ == protowire.VarintType {
			*to[n-1] = int64(r.number)
		}
		return nil
	})
}

func readProtoTime(kind types.Kind) protoRead {
	return func(r protoRaw, _ int) (types.Value, error) {
		var a, b, c, d int64
		if err := protoNumbers(r.bytes, &a, &b, &c, &d); err != nil {
			return types.Value{}, err
		}
		switch kind {
		case types.Date:
			year := int(int32(a))
			day := time.Date(year, time.Month(b), int(c), 0, 0, 0, 0, time.UTC)
			if b < 1 || b > 12 || c < 1 || c > 31 || day.Day() != int(c) {
				return types.Value{}, fmt.Errorf("invalid PROTOBUF data: %d-%d-%d is not a date", year, b, c)
			}
			return types.NewDate(day.Unix() / 86400), nil
		case types.Time:
			return types.NewTime(((a*60+b)*60+c)*1000 + d/1e6), nil
		}
		return types.NewTimestamp(a*1000 + b/1e6), nil
	}
}

// readProtoDecimal reads unscaled digits with the scale that the record states.
func readProtoDecimal(own, t types.Type) protoRead {
	return func(r protoRaw, _ int) (types.Value, error) {
		digits, scale := []byte{0}, int64(0)
		err := walkProto(r.bytes, func(n protowire.Number, r protoRaw) error {
			switch {
			case n == 1 && r.typ == protowire.BytesType && len(r.bytes) > 0:
				digits = r.bytes
			case n == 3 && r.typ == protowire.VarintType:
				scale = int64(int32(r.number))
			}
			return nil
		})
		if err != nil {
			return types.Value{}, err
		}
		if scale < 0 || scale > 10000 || len(digits) > 4096 {
			return types.Value{}, fmt.Errorf("invalid PROTOBUF data: a decimal of scale %d and %d bytes", scale, len(digits))
		}
		return types.Fit(decimalOf(digits, int(scale)), t)
	}
}

var errProtoShort = errors.New("invalid PROTOBUF data: the record ends too early")

// walkProto calls see for each field of a message; groups are passed by.
func walkProto(data []byte, see func(protowire.Number, protoRaw) error) error {
	for len(data) > 0 {
		number, typ, n := protowire.ConsumeTag(data)
		if n < 0 {
			return errProtoShort
		}
		data = data[n:]
		r, n := consumeProto(typ, data)
		if n == 0 && typ == protowire.StartGroupType {
			if n = protowire.ConsumeFieldValue(number, typ, data); n < 0 {
				return errProtoShort
			}
			data = data[n:]
			continue
		}
		if n <= 0 {
			return errProtoShort
		}
		data = data[n:]
		if err := see(number, r); err != nil {
			return err
		}
	}
	return nil
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

// read reads a message into row.
func (p *protoFields) read(data []byte, row []types.Value, depth int) error {
	if depth > 100 {
		return errors.New("invalid PROTOBUF data: messages are nested too deep")
	}
	for _, f := range p.wanted {
		if f.hasZero {
			row[f.to] = f.zero
		}
	}
	// Items of lists and entries of maps are gathered, then made values.
	var items map[*protoField][]types.Value
	err := walkProto(data, func(number protowire.Number, r protoRaw) error {
		f := p.byNumber[number]
		if f == nil {
			return nil
		}
		if f.list || f.isMap {
			if items == nil {
				items = map[*protoField][]types.Value{}
			}
			got, err := f.items(items[f], r, depth)
			items[f] = got
			return err
		}
		v, err := f.read(r, depth)
		if err != nil {
			return err
		}
		if f.within < 0 {
			row[f.to] = v
			return nil
		}
		one := make([]types.Value, f.width)
		one[f.within] = v
		row[f.to] = types.NewStruct(one)
		return nil
	})
	if err != nil {
		return err
	}
	for f, got := range items {
		if f.list {
			row[f.to] = types.NewArray(got)
			continue
		}
		row[f.to] = types.NewMap(distinct(got))
	}
	for _, f := range p.wanted {
		if f.skip {
			row[f.to] = types.Value{}
		}
	}
	return nil
}

// items appends what a list's or a map's field holds, keys before their values.
func (f *protoField) items(got []types.Value, r protoRaw, depth int) ([]types.Value, error) {
	if f.isMap {
		var pair [2]types.Value
		entry := &protoFields{byNumber: map[protowire.Number]*protoField{1: f.key, 2: f.value}, wanted: []*protoField{f.key, f.value}}
		f.key.to, f.value.to = 0, 1
		err := entry.read(r.bytes, pair[:], depth+1)
		return append(got, pair[0], pair[1]), err
	}
	if r.typ != protowire.BytesType || f.packed == protowire.BytesType {
		v, err := f.read(r, depth)
		return append(got, v), err
	}
	for rest := r.bytes; len(rest) > 0; {
		one, n := consumeProto(f.packed, rest)
		if n <= 0 {
			return got, errProtoShort
		}
		rest = rest[n:]
		v, err := f.read(one, depth)
		if err != nil {
			return got, err
		}
		got = append(got, v)
	}
	return got, nil
}

// distinct makes entries of keys and values in turn; of equal keys the last counts.
func distinct(pairs []types.Value) []types.Entry {
	out := make([]types.Entry, 0, len(pairs)/2)
	places := map[string]int{}
	for i := 0; i+1 < len(pairs); i += 2 {
		key := pairs[i]
		name := key.Str()
		if key.Kind() != types.String {
			name = types.Text(key, types.TString)
		}
		if at, ok := places[name]; ok {
			out[at].Value = pairs[i+1]
			continue
		}
		places[name] = len(out)
		out = append(out, types.Entry{Key: key, Value: pairs[i+1]})
	}
	return out
}
