package serde

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"unsafe"

	"github.com/sidestream/sidestream/sidecar/engine/plan"
	"github.com/sidestream/sidestream/sidecar/engine/schema"
	"github.com/sidestream/sidestream/sidecar/engine/types"
)

// jsonDecoder reads JSON by the columns' types. Fields that are no columns are
// passed over; columns that aren't asked for are checked (a record with a value
// that doesn't fit is dropped, whatever a query selects) but not built.
type jsonDecoder struct {
	scanner
	root  *jsonReader
	bare  bool // the only column's value stands without an object around it
	stack []types.Value
}

// jsonReader reads values of one type.
type jsonReader struct {
	t      types.Type
	unused bool
	elem   *jsonReader
	object *objectReader
}

// objectReader knows the fields of a STRUCT, or of a row.
type objectReader struct {
	fields []*jsonReader
	names  []string
	known  map[string]*fieldMatch
	// order has the names that the last object had: most topics hold objects of
	// one shape, and comparing is quicker than looking up.
	order []*fieldMatch
}

// fieldMatch says which fields a name in the data stands for: the one of that
// very name, and the one whose name is its upper case; -1 for none.
type fieldMatch struct {
	name         string
	exact, upper int
}

// maxKnown bounds what is remembered of names that are in the data.
const maxKnown = 4096

// coercionError tells that a value can't be what its column wants.
type coercionError struct {
	source, target, path string
	cause                error
}

func (e *coercionError) Error() string {
	return fmt.Sprintf("Can't convert type. sourceType: %s, requiredTargetType: %s, path: $%s", e.source, e.target, e.path)
}

func (e *coercionError) Unwrap() error { return e.cause }

// within puts a step in front of the path of a coercion error.
func within(err error, step func() string) error {
	if c, ok := err.(*coercionError); ok {
		c.path = step() + c.path
	}
	return err
}

func newJSONDecoder(f plan.Format, cols []schema.Column, o Options) (Decoder, error) {
	d := &jsonDecoder{}
	if unwrapped(f, cols, o) {
		d.root, d.bare = newJSONReader(cols[0].Type), true
		d.root.unused = !o.used(0)
		return d, nil
	}
	fields := make([]types.Field, len(cols))
	for i, c := range cols {
		fields[i] = types.Field{Name: c.Name, Type: c.Type}
	}
	d.root = newJSONReader(types.TStruct(fields...))
	for i := range cols {
		d.root.object.fields[i].unused = !o.used(i)
	}
	return d, nil
}

func newJSONReader(t types.Type) *jsonReader {
	r := &jsonReader{t: t}
	switch t.Kind {
	case types.Array, types.Map:
		r.elem = newJSONReader(*t.Elem)
	case types.Struct:
		r.object = &objectReader{known: map[string]*fieldMatch{}}
		for _, f := range t.Fields {
			r.object.fields = append(r.object.fields, newJSONReader(f.Type))
			r.object.names = append(r.object.names, f.Name)
		}
	}
	return r
}

func (d *jsonDecoder) Decode(data []byte, dst []types.Value) (bool, error) {
	d.data, d.pos, d.stack = data, 0, d.stack[:0]
	if len(data) > 2 && string(data[:3]) == "\xef\xbb\xbf" {
		d.pos = 3
	}
	switch c := d.peek(); {
	case c == 0 && d.pos == len(data):
		return false, &coercionError{source: "MissingNode", target: d.root.t.String()}
	case c == 'n':
		return false, d.literal("null")
	case d.bare:
		if d.root.unused {
			err := d.check(d.root, 0)
			return err == nil, err
		}
		v, err := d.value(d.root, 0)
		dst[0] = v
		return err == nil, err
	case c != '{':
		return false, d.mismatch(d.root.t)
	}
	clear(dst) // fields that are missing are NULL
	if err := d.fields(d.root.object, dst, 0); err != nil {
		return false, err
	}
	return true, nil
}

// mismatch is the coercion error of the value at the position, which it passes.
func (d *jsonDecoder) mismatch(t types.Type) error {
	start := d.pos
	source := ""
	switch c := d.peek(); c {
	case '"':
		source = "TextNode"
	case '{':
		source = "ObjectNode"
	case '[':
		source = "ArrayNode"
	case 't', 'f':
		source = "BooleanNode"
	default:
		n, err := d.number()
		if err != nil {
			return err
		}
		switch {
		case !n.integral:
			source = "DecimalNode"
		case n.small && n.i == int64(int32(n.i)):
			source = "IntNode"
		case n.small:
			source = "LongNode"
		default:
			source = "BigIntegerNode"
			if _, err := strconv.ParseInt(n.text, 10, 64); err == nil {
				source = "LongNode"
			}
		}
		d.pos = start
	}
	if err := d.scanner.skip(0); err != nil {
		return err
	}
	return &coercionError{source: source, target: t.String()}
}

// match finds the fields for the i-th name of an object.
func (o *objectReader) match(i int, raw []byte, escaped bool) *fieldMatch {
	if escaped {
		raw = unescape(raw)
	}
	if i < len(o.order) && o.order[i].name == string(raw) {
		return o.order[i]
	}
	m, ok := o.known[string(raw)]
	if !ok {
		name := string(raw)
		m = &fieldMatch{name: name, exact: o.find(name), upper: -1}
		if up := strings.ToUpper(name); up != name {
			m.upper = o.find(up)
		}
		if len(o.known) < maxKnown {
			o.known[name] = m
		}
	}
	if i < len(o.order) {
		o.order[i] = m
	} else if i == len(o.order) && i < maxKnown {
		o.order = append(o.order, m)
	}
	return m
}

func (o *objectReader) find(name string) int {
	for i, n := range o.names {
		if n == name {
			return i
		}
	}
	return -1
}

// fields reads an object into dst. Of duplicates the last one counts, but a name
// that is exact counts more than one of another case. So a value that can't be
// converted is an error only when no other one takes its place.
func (d *jsonDecoder) fields(o *objectReader, dst []types.Value, depth int) error {
	var exact bitset
	var failed []fieldError
	first := true
	for i := 0; ; i++ {
		more, err := d.next('}', &first, depth)
		if err != nil {
			return err
		}
		if !more {
			break
		}
		raw, escaped, err := d.name()
		if err != nil {
			return err
		}
		m := o.match(i, raw, escaped)
		if m.exact < 0 && m.upper < 0 {
			if err := d.scanner.skip(depth + 1); err != nil {
				return err
			}
			continue
		}
		start := d.pos
		if m.exact >= 0 {
			exact.set(m.exact)
			if err := d.field(o, m.exact, dst, depth, &failed); err != nil {
				return err
			}
		}
		if m.upper >= 0 {
			end := d.pos
			d.pos = start
			if exact.has(m.upper) {
				if m.exact >= 0 {
					d.pos = end
				} else if err := d.scanner.skip(depth + 1); err != nil {
					return err
				}
			} else if err := d.field(o, m.upper, dst, depth, &failed); err != nil {
				return err
			}
		}
	}
	if len(failed) > 0 {
		return failed[0].err
	}
	return nil
}

// fieldError is a field's value that could not be converted.
type fieldError struct {
	field int
	err   error
}

// check passes a value that must be of the reader's type.
func (d *jsonDecoder) check(r *jsonReader, depth int) error {
	c := d.peek()
	first := true
	switch {
	case r.t.Kind == types.String:
		return d.scanner.skip(depth)
	case r.t.Kind == types.Array && c == '[':
		for i := 0; ; i++ {
			if more, err := d.next(']', &first, depth); err != nil || !more {
				return err
			}
			if err := d.check(r.elem, depth+1); err != nil {
				return within(err, func() string { return "[" + strconv.Itoa(i) + "]" })
			}
		}
	case r.t.Kind == types.Map && c == '{':
		for {
			if more, err := d.next('}', &first, depth); err != nil || !more {
				return err
			}
			name, _, err := d.name()
			if err != nil {
				return err
			}
			if err := d.check(r.elem, depth+1); err != nil {
				return within(err, func() string { return "." + string(name) + ".value" })
			}
		}
	}
	_, err := d.value(r, depth)
	return err
}

// field reads the value of field i; a coercion error is noted in failed, and the
// value passed.
func (d *jsonDecoder) field(o *objectReader, i int, dst []types.Value, depth int, failed *[]fieldError) error {
	for j, f := range *failed {
		if f.field == i {
			*failed = append((*failed)[:j:j], (*failed)[j+1:]...)
			break
		}
	}
	start, base := d.pos, len(d.stack)
	var err error
	if r := o.fields[i]; r.unused {
		err = d.check(r, depth+1)
	} else {
		dst[i], err = d.value(r, depth+1)
	}
	if err == nil {
		return nil
	}
	c, ok := err.(*coercionError)
	if !ok {
		return err
	}
	c.path = "." + o.names[i] + c.path
	*failed = append(*failed, fieldError{i, err})
	d.pos, d.stack = start, d.stack[:base]
	return d.scanner.skip(depth + 1)
}

// bitset is a set of small numbers that needs no memory for the first 128.
type bitset struct {
	low  [2]uint64
	more map[int]bool
}

func (b *bitset) set(i int) {
	if i < 128 {
		b.low[i/64] |= 1 << (i % 64)
		return
	}
	if b.more == nil {
		b.more = map[int]bool{}
	}
	b.more[i] = true
}

func (b *bitset) has(i int) bool {
	if i < 128 {
		return b.low[i/64]&(1<<(i%64)) != 0
	}
	return b.more[i]
}

// value reads a value as the reader's type.
func (d *jsonDecoder) value(r *jsonReader, depth int) (types.Value, error) {
	c := d.peek()
	if c == 'n' {
		return types.Value{}, d.literal("null")
	}
	switch r.t.Kind {
	case types.String:
		return d.stringValue(c, depth)
	case types.Boolean:
		switch c {
		case 't':
			return types.NewBool(true), d.literal("true")
		case 'f':
			return types.NewBool(false), d.literal("false")
		}
	case types.Bytes:
		if c == '"' {
			return d.bytesValue(r.t)
		}
	case types.Array:
		if c == '[' {
			return d.array(r, depth)
		}
	case types.Map:
		if c == '{' {
			return d.mapValue(r, depth)
		}
	case types.Struct:
		if c == '{' {
			row := make([]types.Value, len(r.object.fields))
			if err := d.fields(r.object, row, depth); err != nil {
				return types.Value{}, err
			}
			return types.NewStruct(row), nil
		}
	default:
		switch {
		case c == '"':
			return d.numberInText(r.t)
		case c == '-' || c >= '0' && c <= '9':
			n, err := d.number()
			if err != nil {
				return types.Value{}, err
			}
			return convertNumber(n, r.t)
		}
	}
	return types.Value{}, d.mismatch(r.t)
}

func (d *jsonDecoder) stringValue(c byte, depth int) (types.Value, error) {
	switch c {
	case '"':
		s, err := d.str()
		return types.NewString(s), err
	case '{':
		b, err := d.appendCompact(nil, depth)
		return types.NewString(unsafe.String(unsafe.SliceData(b), len(b))), err
	case '[':
		b, err := d.appendList(nil, depth)
		return types.NewString(unsafe.String(unsafe.SliceData(b), len(b))), err
	case 't':
		return types.NewString("true"), d.literal("true")
	case 'f':
		return types.NewString("false"), d.literal("false")
	case '-', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9':
		n, err := d.number()
		if err != nil {
			return types.Value{}, err
		}
		return types.NewString(numberText(n)), nil
	}
	return types.Value{}, d.literal("null") // which says what is wrong
}

func (d *jsonDecoder) bytesValue(t types.Type) (types.Value, error) {
	s, err := d.str()
	if err != nil {
		return types.Value{}, err
	}
	b, err := parseJSONBase64(s)
	if err != nil {
		return types.Value{}, &coercionError{source: "TextNode", target: t.String(), cause: err}
	}
	return types.NewBytes(b), nil
}

func (d *jsonDecoder) array(r *jsonReader, depth int) (types.Value, error) {
	base, first := len(d.stack), true
	for i := 0; ; i++ {
		more, err := d.next(']', &first, depth)
		if err != nil {
			return types.Value{}, err
		}
		if !more {
			items := make([]types.Value, len(d.stack)-base)
			copy(items, d.stack[base:])
			d.stack = d.stack[:base]
			return types.NewArray(items), nil
		}
		v, err := d.value(r.elem, depth+1)
		if err != nil {
			return types.Value{}, within(err, func() string { return "[" + strconv.Itoa(i) + "]" })
		}
		d.stack = append(d.stack, v)
	}
}

func (d *jsonDecoder) mapValue(r *jsonReader, depth int) (types.Value, error) {
	entries := []types.Entry{}
	var places map[string]int // made when there are many
	first := true
	for {
		more, err := d.next('}', &first, depth)
		if err != nil {
			return types.Value{}, err
		}
		if !more {
			return types.NewMap(entries), nil
		}
		raw, escaped, err := d.name()
		if err != nil {
			return types.Value{}, err
		}
		if escaped {
			raw = unescape(raw)
		}
		key := unsafe.String(unsafe.SliceData(raw), len(raw))
		v, err := d.value(r.elem, depth+1)
		if err != nil {
			return types.Value{}, within(err, func() string { return "." + key + ".value" })
		}
		at := -1
		if len(entries) == 16 {
			places = make(map[string]int, 32)
			for i, e := range entries {
				places[e.Key.Str()] = i
			}
		}
		if places != nil {
			if i, ok := places[key]; ok {
				at = i
			} else {
				places[key] = len(entries)
			}
		} else {
			for i, e := range entries {
				if e.Key.Str() == key {
					at = i
				}
			}
		}
		if at >= 0 {
			entries[at].Value = v
		} else {
			entries = append(entries, types.Entry{Key: types.NewString(key), Value: v})
		}
	}
}

// numberInText reads a number, date or time that stands in quotes.
func (d *jsonDecoder) numberInText(t types.Type) (types.Value, error) {
	s, err := d.str()
	if err != nil {
		return types.Value{}, err
	}
	v, err := numberFromText(s, t)
	if err != nil {
		return types.Value{}, &coercionError{source: "TextNode", target: t.String(), cause: err}
	}
	return v, nil
}

func numberFromText(s string, t types.Type) (types.Value, error) {
	switch t.Kind {
	case types.Double:
		f, err := parseDouble(s)
		return types.NewDouble(f), err
	case types.Decimal:
		v, err := types.ParseDecimal(s)
		if err != nil {
			return v, err
		}
		return types.Fit(v, t)
	}
	size := 64
	if t.Kind == types.Integer {
		size = 32
	}
	i, err := strconv.ParseInt(s, 10, size)
	if err != nil {
		return types.Value{}, inputError(s)
	}
	return counted(t.Kind, i)
}

// convertNumber makes a number what its column wants: integers lose a fraction
// and wrap, decimals must fit.
func convertNumber(n number, t types.Type) (types.Value, error) {
	if n.small {
		switch t.Kind {
		case types.Double:
			return types.NewDouble(float64(n.i)), nil
		case types.Decimal:
			return fit(types.NewDecimal(n.i, 0), t)
		}
		return countedJSON(n.i, t)
	}
	if t.Kind == types.Double {
		f, err := strconv.ParseFloat(n.text, 64)
		if err != nil && !math.IsInf(f, 0) {
			return types.Value{}, &coercionError{source: "DecimalNode", target: t.String(), cause: err}
		}
		return types.NewDouble(f), nil
	}
	v, err := types.ParseDecimal(n.text)
	if err != nil {
		return types.Value{}, &coercionError{source: "DecimalNode", target: t.String(), cause: err}
	}
	if t.Kind == types.Decimal {
		return fit(v, t)
	}
	return countedJSON(types.AsInt(v), t)
}

func countedJSON(i int64, t types.Type) (types.Value, error) {
	v, err := counted(t.Kind, i)
	if err != nil {
		err = &coercionError{source: "LongNode", target: t.String(), cause: err}
	}
	return v, err
}

func fit(v types.Value, t types.Type) (types.Value, error) {
	fitted, err := types.Fit(v, t)
	if err != nil {
		return v, &coercionError{source: "DecimalNode", target: t.String(), cause: err}
	}
	return fitted, nil
}
