package serde

import (
	"fmt"
	"math"
	"math/big"
	"strconv"
	"strings"

	"github.com/cockroachdb/apd/v3"
	"github.com/hamba/avro/v2"

	"github.com/sidestream/sidestream/sidecar/engine/plan"
	"github.com/sidestream/sidestream/sidecar/engine/schema"
	"github.com/sidestream/sidestream/sidecar/engine/types"
)

// avroDecoder reads a record with the schema that it was written with: a plan
// made once for a schema reads what the columns want and passes over the rest.
type avroDecoder struct{ *framed }

func newAvroDecoder(f plan.Format, cols []schema.Column, o Options) (Decoder, error) {
	bare := unwrapped(f, cols, o)
	fr, err := newFramed(Avro, o, func(text string, refs map[string]string) (Decoder, error) {
		s, err := ParseAvro(text, refs)
		if err != nil {
			return nil, err
		}
		return compileAvro(s, cols, o, bare)
	})
	return avroDecoder{fr}, err
}

func (d avroDecoder) Decode(data []byte, dst []types.Value) (bool, error) {
	dec, rest, err := d.decoder(data)
	if err != nil {
		return false, err
	}
	return dec.Decode(rest, dst)
}

// avroRows reads rows written with one schema.
type avroRows struct {
	in     avroReader
	bare   avroFunc     // for an unwrapped column
	fields []avroColumn // for a record: what to do with each of its fields
}

// avroColumn reads a field into columns; to is -1 for a field nobody wants.
type avroColumn struct {
	read avroFunc
	to   int
}

// avroFunc reads a value.
type avroFunc func(r *avroReader) (types.Value, error)

func (d *avroRows) Decode(data []byte, dst []types.Value) (bool, error) {
	d.in = avroReader{data: data, stack: d.in.stack[:0]}
	if d.bare != nil {
		v, err := d.bare(&d.in)
		if err != nil {
			return false, err
		}
		dst[0] = v
		return !v.IsNull(), nil
	}
	for _, f := range d.fields {
		v, err := f.read(&d.in)
		if err != nil {
			return false, err
		}
		if f.to >= 0 {
			dst[f.to] = v
		}
	}
	return true, nil
}

func compileAvro(s avro.Schema, cols []schema.Column, o Options, bare bool) (Decoder, error) {
	c := &avroCompiler{skips: map[avro.Schema]*avroFunc{}}
	if bare {
		return &avroRows{bare: c.reader(s, cols[0].Type, "")}, nil
	}
	s = resolved(s)
	if u, ok := s.(*avro.UnionSchema); ok { // ["null", record]: a row that may be absent
		for i, b := range u.Types() {
			if r, ok := resolved(b).(*avro.RecordSchema); ok {
				d, err := compileAvro(r, cols, o, false)
				return &avroOptional{branch: int64(i), row: d}, err
			}
		}
	}
	r, ok := s.(*avro.RecordSchema)
	if !ok {
		return nil, fmt.Errorf("Cannot deserialize type %s as type STRUCT: the schema is not a record", connectType(s))
	}
	names := make([]string, len(cols))
	for i, col := range cols {
		names[i] = col.Name
	}
	d := &avroRows{}
	for i, at := range matchFields(fieldNames(r), names) {
		f := r.Fields()[i]
		col := avroColumn{to: -1}
		if at >= 0 {
			// A column that isn't asked for is read too, if its values may spoil the record.
			col.read = c.reader(f.Type(), cols[at].Type, "->"+f.Name())
			if o.used(at) {
				col.to = at
			} else if alwaysFits(f.Type(), cols[at].Type) {
				col.read = c.skipper(f.Type())
			}
		} else {
			col.read = c.skipper(f.Type())
		}
		d.fields = append(d.fields, col)
	}
	return d, nil
}

type avroOptional struct {
	branch int64
	row    Decoder
}

func (d *avroOptional) Decode(data []byte, dst []types.Value) (bool, error) {
	r := avroReader{data: data}
	n, err := r.long()
	if err != nil || n != d.branch {
		return false, err
	}
	return d.row.Decode(r.data, dst)
}

func fieldNames(r *avro.RecordSchema) []string {
	names := make([]string, len(r.Fields()))
	for i, f := range r.Fields() {
		names[i] = f.Name()
	}
	return names
}

// matchFields says, for each name in the data, which column takes it: the one of
// that very name, else the one that the name is in capitals; -1 for none.
func matchFields(data, columns []string) []int {
	match := make([]int, len(data))
	taken := make([]bool, len(columns))
	for i, name := range data {
		match[i] = -1
		for j, col := range columns {
			if col == name {
				match[i], taken[j] = j, true
			}
		}
	}
	for i, name := range data {
		for j, col := range columns {
			if match[i] < 0 && !taken[j] && strings.ToUpper(name) == col {
				match[i], taken[j] = j, true
			}
		}
	}
	return match
}

// avroCompiler makes functions for a schema.
type avroCompiler struct {
	// skips are the functions that pass over named schemas, which may hold
	// themselves.
	skips map[avro.Schema]*avroFunc
}

// cannot reads nothing and says that the types don't go together.
func cannot(s avro.Schema, t types.Type, path string) avroFunc {
	err := fmt.Errorf("Cannot deserialize type %s as type %s for path %s", connectType(s), t, path)
	return func(*avroReader) (types.Value, error) { return types.Value{}, err }
}

// connectType is what Connect calls a schema's type.
func connectType(s avro.Schema) string {
	switch s.Type() {
	case avro.Int:
		return "INT32"
	case avro.Long:
		return "INT64"
	case avro.Float:
		return "FLOAT32"
	case avro.Double:
		return "FLOAT64"
	case avro.Enum:
		return "STRING"
	case avro.Fixed:
		return "BYTES"
	case avro.Record:
		return "STRUCT"
	}
	return strings.ToUpper(string(s.Type()))
}

// reader makes the function that reads s as t.
func (c *avroCompiler) reader(s avro.Schema, t types.Type, path string) avroFunc {
	s = resolved(s)
	logical, _, scale := logicalType(s)
	switch s := s.(type) {
	case *avro.UnionSchema:
		return c.union(s, t, path)
	case *avro.NullSchema:
		return func(*avroReader) (types.Value, error) { return types.Value{}, nil }
	case *avro.EnumSchema:
		if t.Kind == types.String {
			return readEnum(s)
		}
	case *avro.ArraySchema:
		items := resolved(s.Items())
		if key, value, ok := entryFields(items); ok && t.Kind == types.Map {
			return readList(c.entry(key, value, t, path), true)
		}
		if t.Kind == types.Array {
			return readList(plainItem(c.reader(items, *t.Elem, path+"[]")), false)
		}
	case *avro.MapSchema:
		if t.Kind == types.Map {
			key := c.reader(avro.NewPrimitiveSchema(avro.String, nil), *t.Key, path+"[]")
			return readList(pair(key, c.reader(s.Values(), *t.Elem, path+"[]")), true)
		}
	case *avro.RecordSchema:
		if t.Kind == types.Struct {
			return c.record(s, t, path)
		}
	default:
		if f := readScalar(s, logical, scale, t); f != nil {
			return f
		}
	}
	return cannot(s, t, path)
}

func (c *avroCompiler) union(s *avro.UnionSchema, t types.Type, path string) avroFunc {
	branches := make([]avroFunc, len(s.Types()))
	several := len(unionBranches(s)) > 1
	for i, b := range s.Types() {
		b = resolved(b)
		branches[i] = c.reader(b, t, path)
		if !several || t.Kind != types.Struct || b.Type() == avro.Null {
			continue
		}
		// A STRUCT with a field for each branch, as inference makes it.
		for j, f := range t.Fields {
			if strings.EqualFold(f.Name, branchName(b)) {
				read := c.reader(b, f.Type, path+"->"+f.Name)
				branches[i] = func(r *avroReader) (types.Value, error) {
					row := make([]types.Value, len(t.Fields))
					var err error
					row[j], err = read(r)
					return types.NewStruct(row), err
				}
			}
		}
	}
	return func(r *avroReader) (types.Value, error) {
		n, err := r.long()
		if err != nil {
			return types.Value{}, err
		}
		if n < 0 || n >= int64(len(branches)) {
			return types.Value{}, fmt.Errorf("invalid AVRO data: a union has no branch %d", n)
		}
		return branches[n](r)
	}
}

func (c *avroCompiler) record(s *avro.RecordSchema, t types.Type, path string) avroFunc {
	names := make([]string, len(t.Fields))
	for i, f := range t.Fields {
		names[i] = f.Name
	}
	steps := make([]avroColumn, len(s.Fields()))
	for i, at := range matchFields(fieldNames(s), names) {
		f := s.Fields()[i]
		steps[i].to = at
		if at >= 0 {
			steps[i].read = c.reader(f.Type(), t.Fields[at].Type, path+"->"+f.Name())
		} else {
			steps[i].read = c.skipper(f.Type())
		}
	}
	width := len(names)
	return func(r *avroReader) (types.Value, error) {
		if err := r.enter(); err != nil {
			return types.Value{}, err
		}
		defer r.leave()
		row := make([]types.Value, width)
		for _, s := range steps {
			v, err := s.read(r)
			if err != nil {
				return v, err
			}
			if s.to >= 0 {
				row[s.to] = v
			}
		}
		return types.NewStruct(row), nil
	}
}

// alwaysFits tells whether every value that a schema allows can be a t. It says no
// where it isn't sure.
func alwaysFits(s avro.Schema, t types.Type) bool {
	s = resolved(s)
	logical, _, scale := logicalType(s)
	switch s := s.(type) {
	case *avro.UnionSchema:
		return len(unionBranches(s)) == 1 && alwaysFits(unionBranches(s)[0], t)
	case *avro.ArraySchema:
		_, _, pairs := entryFields(resolved(s.Items()))
		return t.Kind == types.Array && !pairs && alwaysFits(s.Items(), *t.Elem)
	case *avro.MapSchema:
		return t.Kind == types.Map && t.Key.Kind == types.String && alwaysFits(s.Values(), *t.Elem)
	case *avro.RecordSchema, *avro.EnumSchema, *avro.NullSchema:
		return false
	}
	return t.Kind != types.Decimal && t.Kind != types.Time && readScalar(s, logical, scale, t) != nil
}

func readScalar(s avro.Schema, logical string, scale int, t types.Type) avroFunc {
	switch s.Type() {
	case avro.Boolean:
		if t.Kind == types.Boolean || t.Kind == types.String {
			return func(r *avroReader) (types.Value, error) {
				b, err := r.bytes(1)
				if err != nil || t.Kind == types.Boolean {
					return types.NewBool(err == nil && b[0] != 0), err
				}
				return types.NewString(strconv.FormatBool(b[0] != 0)), nil
			}
		}
	case avro.Int, avro.Long:
		isInt := s.Type() == avro.Int
		micros := int64(1)
		if strings.HasSuffix(logical, "-micros") && t.Kind != types.Bigint {
			micros = 1000
		}
		switch {
		case t.Kind == types.Bigint, t.Kind == types.Timestamp,
			isInt && (t.Kind == types.Integer || t.Kind == types.Date || t.Kind == types.Time),
			micros > 1 && t.Kind == types.Time:
			return func(r *avroReader) (types.Value, error) {
				n, err := r.long()
				if err != nil {
					return types.Value{}, err
				}
				return counted(t.Kind, n/micros)
			}
		case t.Kind == types.String:
			return func(r *avroReader) (types.Value, error) {
				n, err := r.long()
				return types.NewString(strconv.FormatInt(n, 10)), err
			}
		}
	case avro.Float, avro.Double:
		if t.Kind == types.Double || t.Kind == types.String {
			double := s.Type() == avro.Double
			return func(r *avroReader) (types.Value, error) {
				f, err := r.float(double)
				if err == nil && t.Kind == types.String {
					return types.NewString(types.FormatDouble(f)), nil
				}
				return types.NewDouble(f), err
			}
		}
	case avro.String:
		if t.Kind == types.String {
			return func(r *avroReader) (types.Value, error) {
				b, err := r.prefixed()
				return types.NewString(text(b)), err
			}
		}
	case avro.Bytes, avro.Fixed:
		take := (*avroReader).prefixed
		if f, ok := s.(*avro.FixedSchema); ok {
			take = func(r *avroReader) ([]byte, error) { return r.bytes(f.Size()) }
		}
		switch {
		case t.Kind == types.Decimal && logical == "decimal":
			return func(r *avroReader) (types.Value, error) {
				b, err := take(r)
				if err != nil {
					return types.Value{}, err
				}
				return types.Fit(decimalOf(b, scale), t)
			}
		case t.Kind == types.Bytes && logical != "decimal":
			return func(r *avroReader) (types.Value, error) {
				b, err := take(r)
				return types.NewBytes(b), err
			}
		}
	}
	return nil
}

// decimalOf is a big-endian two's complement number with a scale.
func decimalOf(b []byte, scale int) types.Value {
	if len(b) <= 8 && scale < 128 {
		var n int64
		if len(b) > 0 && b[0] >= 0x80 {
			n = -1
		}
		for _, c := range b {
			n = n<<8 | int64(c)
		}
		return types.NewDecimal(n, scale)
	}
	n := new(big.Int).SetBytes(b)
	if b[0] >= 0x80 {
		n.Sub(n, new(big.Int).Lsh(big.NewInt(1), uint(len(b)*8)))
	}
	d := &apd.Decimal{Exponent: -int32(scale), Negative: n.Sign() < 0}
	d.Coeff.SetMathBigInt(n.Abs(n))
	return types.NewApd(d)
}

func readEnum(s *avro.EnumSchema) avroFunc {
	return func(r *avroReader) (types.Value, error) {
		n, err := r.long()
		if err != nil {
			return types.Value{}, err
		}
		name, ok := s.Symbol(int(n))
		if !ok || n > math.MaxInt32 {
			return types.Value{}, fmt.Errorf("invalid AVRO data: the enum %s has no symbol %d", s.FullName(), n)
		}
		return types.NewString(name), nil
	}
}

// item reads an element of a list, or an entry of a map.
type item func(r *avroReader) (key, value types.Value, err error)

func plainItem(read avroFunc) item {
	return func(r *avroReader) (k, v types.Value, err error) {
		v, err = read(r)
		return k, v, err
	}
}

func pair(key, value avroFunc) item {
	return func(r *avroReader) (k, v types.Value, err error) {
		if k, err = key(r); err == nil {
			v, err = value(r)
		}
		return k, v, err
	}
}

func (c *avroCompiler) entry(key, value avro.Schema, t types.Type, path string) item {
	return pair(c.reader(key, *t.Key, path+"[]"), c.reader(value, *t.Elem, path+"[]"))
}

// readList reads an array, or a map when asMap.
func readList(read item, asMap bool) avroFunc {
	return func(r *avroReader) (types.Value, error) {
		base := len(r.stack)
		err := r.blocks(func(r *avroReader) error {
			k, v, err := read(r)
			if asMap {
				r.stack = append(r.stack, k)
			}
			r.stack = append(r.stack, v)
			return err
		})
		got := r.stack[base:]
		r.stack = r.stack[:base]
		if err != nil {
			return types.Value{}, err
		}
		if asMap {
			return types.NewMap(distinct(got)), nil
		}
		items := make([]types.Value, len(got))
		copy(items, got)
		return types.NewArray(items), nil
	}
}

// skipper makes the function that passes over a value of s.
func (c *avroCompiler) skipper(s avro.Schema) avroFunc {
	s = resolved(s)
	if _, ok := s.(avro.NamedSchema); ok {
		if f, ok := c.skips[s]; ok { // being made, or made: go there when it is needed
			return func(r *avroReader) (types.Value, error) { return (*f)(r) }
		}
		f := new(avroFunc)
		c.skips[s] = f
		*f = c.makeSkipper(s)
		return *f
	}
	return c.makeSkipper(s)
}

func (c *avroCompiler) makeSkipper(s avro.Schema) avroFunc {
	null := types.Value{}
	switch s := s.(type) {
	case *avro.UnionSchema:
		var branches []avroFunc
		for _, b := range s.Types() {
			branches = append(branches, c.skipper(b))
		}
		return func(r *avroReader) (types.Value, error) {
			n, err := r.long()
			if err != nil {
				return null, err
			}
			if n < 0 || n >= int64(len(branches)) {
				return null, fmt.Errorf("invalid AVRO data: a union has no branch %d", n)
			}
			return branches[n](r)
		}
	case *avro.RecordSchema:
		var fields []avroFunc
		for _, f := range s.Fields() {
			fields = append(fields, c.skipper(f.Type()))
		}
		return func(r *avroReader) (types.Value, error) {
			if err := r.enter(); err != nil {
				return null, err
			}
			defer r.leave()
			for _, skip := range fields {
				if _, err := skip(r); err != nil {
					return null, err
				}
			}
			return null, nil
		}
	case *avro.ArraySchema:
		return skipBlocks(c.skipper(s.Items()))
	case *avro.MapSchema:
		value := c.skipper(s.Values())
		return skipBlocks(func(r *avroReader) (types.Value, error) {
			if _, err := r.prefixed(); err != nil {
				return null, err
			}
			return value(r)
		})
	case *avro.FixedSchema:
		return func(r *avroReader) (types.Value, error) { _, err := r.bytes(s.Size()); return null, err }
	}
	switch s.Type() {
	case avro.Int, avro.Long, avro.Enum:
		return func(r *avroReader) (types.Value, error) { _, err := r.long(); return null, err }
	case avro.Boolean:
		return func(r *avroReader) (types.Value, error) { _, err := r.bytes(1); return null, err }
	case avro.Float:
		return func(r *avroReader) (types.Value, error) { _, err := r.bytes(4); return null, err }
	case avro.Double:
		return func(r *avroReader) (types.Value, error) { _, err := r.bytes(8); return null, err }
	case avro.String, avro.Bytes:
		return func(r *avroReader) (types.Value, error) { _, err := r.prefixed(); return null, err }
	}
	return func(*avroReader) (types.Value, error) { return null, nil } // null
}

func skipBlocks(skip avroFunc) avroFunc {
	return func(r *avroReader) (types.Value, error) {
		return types.Value{}, r.blocks(func(r *avroReader) error { _, err := skip(r); return err })
	}
}
