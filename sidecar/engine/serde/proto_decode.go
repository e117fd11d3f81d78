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
	// last is the message of the last record: a way is never the start of another.
	last     Decoder
	lastPath string
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
	if n := len(d.lastPath); d.last != nil && len(data) >= n && string(data[:n]) == d.lastPath {
		return d.last.Decode(data[n:], dst)
	}
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
	d.last, d.lastPath = dec.Decoder, string(data[:size])
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

// protoRead turns a value on the wire into one of SQL.
type protoRead func(r protoRaw, depth int) (types.Value, error)

// protoFields says what to do with a message's fields.
type protoFields struct {
	byNumber map[protowire.Number]*protoField
	wanted   []*protoField
	lists    int // how many are lists or maps
}

func (p *protoFields) add(n protowire.Number, f *protoField) {
	if f.list || f.isMap {
		f.place = p.lists
		p.lists++
	}
	p.byNumber[n] = f
	p.wanted = append(p.wanted, f)
}

// protoField reads one field.
type protoField struct {
	to, within        int // the column; the place in the STRUCT of a oneof, or -1
	width             int // of that STRUCT
	zero              types.Value
	hasZero           bool
	read              protoRead
	wire              protowire.Type // of a value; of another type it is passed by, as an unknown field
	list, isMap, skip bool
	place             int          // among the lists and maps of the message
	entry             *protoFields // of a map: its key and its value
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
	for i, at := range matchFields(names, columns) {
		if at < 0 {
			continue
		}
		skip := used != nil && !used(at)
		if fd := members[i].field; fd != nil {
			f := protoFieldReader(fd, fields[at].Type, "->"+fields[at].Name)
			f.to, f.within, f.skip = at, -1, skip
			out.add(fd.Number(), f)
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
				out.add(members[i].oneof[j].Number(), f)
			}
		}
	}
	return out
}

// protoFieldReader makes the reader of a field as t.
func protoFieldReader(fd protoreflect.FieldDescriptor, t types.Type, path string) *protoField {
	f := &protoField{within: -1, wire: wireType(fd.Kind())}
	if key, value, ok := protoEntry(fd); ok && t.Kind == types.Map {
		f.isMap = true
		k, v := protoFieldReader(key, *t.Key, path+"[]"), protoFieldReader(value, *t.Elem, path+"[]")
		// Entries leave out what is the type's default.
		k.hasZero, k.zero = true, protoZero(key, *t.Key)
		v.hasZero, v.to = v.hasZero || value.Message() == nil, 1
		f.entry = &protoFields{byNumber: map[protowire.Number]*protoField{}}
		f.entry.add(1, k)
		f.entry.add(2, v)
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
		fields := &protoFields{byNumber: map[protowire.Number]*protoField{}}
		fields.add(1, inner)
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
	asText := t.Kind == types.String
	switch kind := fd.Kind(); kind {
	case protoreflect.BoolKind:
		return func(r protoRaw, _ int) (types.Value, error) {
			if asText {
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
			if asText {
				return types.NewString(types.FormatDouble(f)), nil
			}
			return types.NewDouble(f), nil
		}
	case protoreflect.StringKind:
		return func(r protoRaw, _ int) (types.Value, error) {
			if !utf8.Valid(r.bytes) {
				return types.Value{}, errors.New("invalid PROTOBUF data: a string is not UTF-8")
			}
			return types.NewString(text(r.bytes)), nil
		}
	case protoreflect.BytesKind:
		return func(r protoRaw, _ int) (types.Value, error) { return types.NewBytes(r.bytes), nil }
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
			if asText {
				return types.NewString(strconv.FormatInt(n, 10)), nil
			}
			return newCounted(t.Kind, n), nil
		}
	}
}

func readProtoTime(kind types.Kind) protoRead {
	return func(r protoRaw, _ int) (types.Value, error) {
		n, err := protoNumbers(r.bytes)
		if err != nil {
			return types.Value{}, err
		}
		a, b, c, d := n[0], n[1], n[2], n[3]
		switch kind {
		case types.Date:
			year := int(int32(a))
			day := time.Date(year, time.Month(b), int(c), 0, 0, 0, 0, time.UTC)
			if b < 1 || b > 12 || c < 1 || c > 31 || day.Day() != int(c) {
				return types.Value{}, fmt.Errorf("invalid PROTOBUF data: %d-%d-%d is not a date", year, b, c)
			}
			return types.NewDate(day.Unix() / 86400), nil
		case types.Time:
			if a < 0 || a > 23 || b < 0 || b > 59 || c < 0 || c > 59 || d < 0 || d >= 1e9 {
				return types.Value{}, fmt.Errorf("invalid PROTOBUF data: %d:%d:%d is not a time of day", a, b, c)
			}
			return types.NewTime(((a*60+b)*60+c)*1000 + d/1e6), nil
		}
		return types.NewTimestamp(a*1000 + b/1e6), nil
	}
}

// readProtoDecimal reads unscaled digits with the scale that the record states.
func readProtoDecimal(own, t types.Type) protoRead {
	return func(r protoRaw, _ int) (types.Value, error) {
		var digits []byte
		scale := int32(0)
		w := protoWalk{data: r.bytes}
		for w.next() {
			switch {
			case w.number == 1 && w.raw.typ == protowire.BytesType:
				digits = w.raw.bytes
			case w.number == 3 && w.raw.typ == protowire.VarintType:
				scale = int32(w.raw.number)
			}
		}
		if w.err != nil {
			return types.Value{}, w.err
		}
		if scale < 0 || scale > 10000 || len(digits) > 4096 {
			return types.Value{}, fmt.Errorf("invalid PROTOBUF data: a decimal of scale %d and %d bytes", scale, len(digits))
		}
		return types.Fit(decimalOf(digits, int(scale)), t)
	}
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
	var few [4][]types.Value
	got := few[:]
	if p.lists > len(few) {
		got = make([][]types.Value, p.lists)
	}
	w := protoWalk{data: data}
	for w.next() {
		f := p.byNumber[w.number]
		var err error
		switch {
		case f == nil:
		case f.list || f.isMap:
			got[f.place], err = f.items(got[f.place], w.raw, depth)
		case w.raw.typ == f.wire:
			err = f.one(w.raw, row, depth)
		}
		if err != nil {
			return err
		}
	}
	if w.err != nil {
		return w.err
	}
	for _, f := range p.wanted {
		switch {
		case f.skip:
			row[f.to] = types.Value{}
		case f.list && len(got[f.place]) > 0:
			row[f.to] = types.NewArray(got[f.place])
		case f.isMap && len(got[f.place]) > 0:
			row[f.to] = types.NewMap(distinct(got[f.place]))
		}
	}
	return nil
}

// one reads a single value to its place.
func (f *protoField) one(r protoRaw, row []types.Value, depth int) error {
	v, err := f.read(r, depth)
	if err != nil || f.skip {
		return err
	}
	if f.within < 0 {
		row[f.to] = v
		return nil
	}
	oneof := make([]types.Value, f.width)
	oneof[f.within] = v
	row[f.to] = types.NewStruct(oneof)
	return nil
}

// items appends what a list's or a map's field holds, keys before their values.
// Of a field that isn't asked for nothing is kept.
func (f *protoField) items(got []types.Value, r protoRaw, depth int) ([]types.Value, error) {
	switch {
	case f.isMap && r.typ == protowire.BytesType:
		var pair [2]types.Value
		if err := f.entry.read(r.bytes, pair[:], depth+1); err != nil {
			return got, err
		}
		return f.keep(f.keep(got, pair[0]), pair[1]), nil
	case f.isMap:
	case r.typ == f.wire:
		v, err := f.read(r, depth)
		return f.keep(got, v), err
	case r.typ == protowire.BytesType: // numbers, packed
		for rest := r.bytes; len(rest) > 0; {
			one, n := consumeProto(f.wire, rest)
			if n <= 0 {
				return got, errProtoShort
			}
			rest = rest[n:]
			v, err := f.read(one, depth)
			if err != nil {
				return got, err
			}
			got = f.keep(got, v)
		}
	}
	return got, nil
}

func (f *protoField) keep(got []types.Value, v types.Value) []types.Value {
	if f.skip {
		return nil
	}
	if got == nil {
		got = make([]types.Value, 0, 4)
	}
	return append(got, v)
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
