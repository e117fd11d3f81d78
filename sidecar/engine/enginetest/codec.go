package enginetest

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"math/big"
	"strings"

	"github.com/sidestream/sidestream/sidecar/engine/catalog"
	"github.com/sidestream/sidestream/sidecar/engine/plan"
	"github.com/sidestream/sidestream/sidecar/engine/schema"
	"github.com/sidestream/sidestream/sidecar/engine/serde"
	"github.com/sidestream/sidestream/sidecar/engine/types"
)

// Records of cases are JSON whatever the topic's format. A half turns the keys or
// the values of a topic into bytes and back. It knows the formats of text by
// itself, so that a mistake of package serde doesn't hide itself.
type half struct {
	format   plan.Format
	columns  []schema.Column
	topic    string
	isKey    bool
	registry serde.SchemaRegistry
}

// halves are the key and the value of a topic; src may be nil for a topic that
// no source is over.
func halves(topic string, src *catalog.Source, registry serde.SchemaRegistry) (key, value half) {
	key = half{format: plan.Format{Name: serde.JSON}, topic: topic, isKey: true, registry: registry}
	value = half{format: plan.Format{Name: serde.JSON}, topic: topic, registry: registry}
	if src != nil {
		key.format, key.columns = src.KeyFormat, src.Schema.Key
		value.format, value.columns = src.ValueFormat, valueColumns(src)
	}
	return key, value
}

func (h *half) options() serde.Options {
	o := serde.Options{IsKey: h.isKey, Subject: h.topic + "-value", Registry: h.registry}
	if h.isKey {
		o.Subject = h.topic + "-key"
	}
	return o
}

func isNull(raw json.RawMessage) bool {
	return len(raw) == 0 || bytes.Equal(bytes.TrimSpace(raw), []byte("null"))
}

func (h *half) encode(raw json.RawMessage) ([]byte, error) {
	if isNull(raw) {
		return nil, nil
	}
	switch h.format.Name {
	case serde.JSON:
		return raw, nil
	case serde.None:
		return nil, nil
	case serde.Delimited:
		var text string
		if err := json.Unmarshal(raw, &text); err == nil {
			return []byte(text), nil
		}
		return raw, nil
	case serde.Kafka:
		return encodeKafka(raw, h.columns)
	}
	f, columns, o := h.format, h.columns, h.options()
	if id, cols := h.registered(); cols != nil {
		f, columns = withSchema(f, id), cols
	}
	// Names in records of cases match whatever their case.
	row, err := h.row(raw, capitals(columns))
	if err != nil {
		return nil, err
	}
	enc, err := serde.NewEncoder(f, columns, o)
	if err != nil {
		return nil, err
	}
	return enc.Encode([]byte{}, row)
}

// row reads a record's JSON as columns.
func (h *half) row(raw json.RawMessage, cols []schema.Column) ([]types.Value, error) {
	f := plan.Format{Name: serde.JSON, Unwrapped: h.format.Unwrapped}
	dec, err := serde.NewDecoder(f, cols, serde.Options{IsKey: h.isKey && h.format.Name != serde.Protobuf})
	if err != nil {
		return nil, err
	}
	row := make([]types.Value, len(cols))
	_, err = dec.Decode(raw, row)
	return row, err
}

// capitals are the columns with all their names in capitals.
func capitals(cols []schema.Column) []schema.Column {
	out := make([]schema.Column, len(cols))
	for i, c := range cols {
		out[i] = schema.Column{Name: strings.ToUpper(c.Name), Type: capitalType(c.Type)}
	}
	return out
}

func capitalType(t types.Type) types.Type {
	switch t.Kind {
	case types.Array, types.Map:
		elem := capitalType(*t.Elem)
		t.Elem = &elem
	case types.Struct:
		fields := make([]types.Field, len(t.Fields))
		for i, f := range t.Fields {
			fields[i] = types.Field{Name: strings.ToUpper(f.Name), Type: capitalType(f.Type)}
		}
		t.Fields = fields
	}
	return t
}

// registered gives the schema of the topic, when there is one in the registry:
// what writes to the topic uses it, whatever a statement says.
func (h *half) registered() (id int, columns []schema.Column) {
	if h.registry == nil || serde.SchemaType(h.format.Name) == "" {
		return 0, nil
	}
	id, _, text, refs, err := h.registry.Latest(h.options().Subject)
	if err != nil || id == 0 {
		return 0, nil
	}
	columns, err = serde.Infer(h.format, text, refs, h.isKey, true)
	if err != nil {
		return 0, nil
	}
	return id, columns
}

func withSchema(f plan.Format, id int) plan.Format {
	props := map[string]string{}
	for k, v := range f.Props {
		props[k] = v
	}
	props["schemaId"] = fmt.Sprint(id)
	f.Props = props
	return f
}

func encodeKafka(raw json.RawMessage, cols []schema.Column) ([]byte, error) {
	kind := types.String
	if len(cols) > 0 {
		kind = cols[0].Type.Kind
	}
	var number json.Number
	switch kind {
	case types.Integer, types.Bigint:
		if err := json.Unmarshal(raw, &number); err != nil {
			return nil, err
		}
		n, err := number.Int64()
		if err != nil {
			return nil, err
		}
		if kind == types.Integer {
			return binary.BigEndian.AppendUint32(nil, uint32(n)), nil
		}
		return binary.BigEndian.AppendUint64(nil, uint64(n)), nil
	case types.Double:
		var f float64
		if err := json.Unmarshal(raw, &f); err != nil {
			return nil, err
		}
		return binary.BigEndian.AppendUint64(nil, math.Float64bits(f)), nil
	}
	var text string
	if err := json.Unmarshal(raw, &text); err != nil {
		return raw, nil // a number where a text is read
	}
	if kind == types.Bytes {
		return base64.StdEncoding.DecodeString(text)
	}
	return []byte(text), nil
}

// decode turns bytes into a typed tree.
func (h *half) decode(data []byte) (any, error) {
	if data == nil {
		return nil, nil
	}
	switch h.format.Name {
	case serde.JSON:
		return jsonTree(data)
	case serde.None:
		return nil, nil
	case serde.Delimited:
		return string(data), nil
	case serde.Kafka:
		return decodeKafka(data, h.columns)
	}
	columns := h.columns
	if cols := h.written(data); cols != nil {
		columns = cols
	}
	return decodeByEngine(data, h.format, columns, h.options())
}

// written are the columns of the schema that a record was written with.
func (h *half) written(data []byte) []schema.Column {
	if h.registry == nil || serde.SchemaType(h.format.Name) == "" || len(data) < 5 {
		return nil
	}
	_, text, refs, err := h.registry.ByID(int(binary.BigEndian.Uint32(data[1:])))
	if err != nil {
		return nil
	}
	columns, err := serde.Infer(h.format, text, refs, h.isKey, true)
	if err != nil {
		return nil
	}
	return columns
}

func decodeByEngine(data []byte, f plan.Format, cols []schema.Column, o serde.Options) (any, error) {
	dec, err := serde.NewDecoder(f, cols, o)
	if err != nil {
		return nil, err
	}
	row := make([]types.Value, len(cols))
	if present, err := dec.Decode(data, row); err != nil || !present {
		return nil, err
	}
	if len(cols) == 1 && (f.Unwrapped || o.IsKey) && f.Name != serde.Protobuf {
		return rowTree(row[0], cols[0].Type), nil
	}
	out := map[string]any{}
	for i, c := range cols {
		out[c.Name] = rowTree(row[i], c.Type)
	}
	return out, nil
}

func decodeKafka(data []byte, cols []schema.Column) (any, error) {
	if len(cols) == 0 {
		return string(data), nil
	}
	switch kind := cols[0].Type.Kind; {
	case kind == types.Integer && len(data) == 4:
		return big.NewInt(int64(int32(binary.BigEndian.Uint32(data)))), nil
	case kind == types.Bigint && len(data) == 8:
		return big.NewInt(int64(binary.BigEndian.Uint64(data))), nil
	case kind == types.Double && len(data) == 8:
		return math.Float64frombits(binary.BigEndian.Uint64(data)), nil
	case kind == types.Bytes:
		return data, nil
	case kind == types.String:
		return string(data), nil
	}
	return nil, fmt.Errorf("%d bytes are no %s", len(data), cols[0].Type)
}

// window of a record, both ends in ms.
type window struct {
	Start int64  `json:"start"`
	End   int64  `json:"end"`
	Type  string `json:"type"`
}

func (w *window) String() string {
	if w == nil {
		return "none"
	}
	return fmt.Sprintf("%s %d to %d", w.Type, w.Start, w.End)
}

func (w *window) append(key []byte) []byte {
	if w == nil {
		return key
	}
	if w.Type == "session" || w.Type == "SESSION" {
		key = binary.BigEndian.AppendUint64(key, uint64(w.End))
	}
	return binary.BigEndian.AppendUint64(key, uint64(w.Start))
}

// cutWindow takes the window off a key.
func cutWindow(key []byte, src *catalog.Source) ([]byte, *window) {
	if src == nil || key == nil {
		return key, nil
	}
	word := func(from int) int64 { return int64(binary.BigEndian.Uint64(key[from:])) }
	n := len(key)
	switch {
	case src.Window == plan.TimeWindow && n >= 8:
		start := word(n - 8)
		return key[:n-8], &window{Start: start, End: start + src.WindowSize, Type: "time"}
	case src.Window == plan.SessionWindow && n >= 16:
		return key[:n-16], &window{Start: word(n - 8), End: word(n - 16), Type: "session"}
	}
	return key, nil
}
