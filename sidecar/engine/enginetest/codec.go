package enginetest

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"

	"github.com/sidestream/sidestream/sidecar/engine/catalog"
	"github.com/sidestream/sidestream/sidecar/engine/plan"
	"github.com/sidestream/sidestream/sidecar/engine/schema"
	"github.com/sidestream/sidestream/sidecar/engine/serde"
	"github.com/sidestream/sidestream/sidecar/engine/types"
)

// Records of cases are JSON whatever the topic's format; these functions turn
// them into the topic's bytes and back. They know the formats of text by
// themselves, so that a mistake of package serde doesn't hide itself.

func isNull(raw json.RawMessage) bool {
	return len(raw) == 0 || bytes.Equal(bytes.TrimSpace(raw), []byte("null"))
}

func encode(raw json.RawMessage, f plan.Format, cols []schema.Column, o serde.Options) ([]byte, error) {
	if isNull(raw) {
		return nil, nil
	}
	switch f.Name {
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
		return encodeKafka(raw, cols)
	}
	return encodeByEngine(raw, f, cols, o)
}

// encodeByEngine goes through the engine's own serdes: JSON to columns, columns
// to bytes.
func encodeByEngine(raw json.RawMessage, f plan.Format, cols []schema.Column, o serde.Options) ([]byte, error) {
	dec, err := serde.NewDecoder(plan.Format{Name: serde.JSON, Unwrapped: f.Unwrapped}, cols, serde.Options{IsKey: o.IsKey && f.Name != serde.Protobuf})
	if err != nil {
		return nil, err
	}
	row := make([]types.Value, len(cols))
	if _, err := dec.Decode(raw, row); err != nil {
		return nil, err
	}
	enc, err := serde.NewEncoder(f, cols, o)
	if err != nil {
		return nil, err
	}
	return enc.Encode([]byte{}, row)
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
	enc, err := serde.NewEncoder(plan.Format{Name: serde.JSON, Unwrapped: f.Unwrapped}, cols, serde.Options{IsKey: o.IsKey && f.Name != serde.Protobuf})
	if err != nil {
		return nil, err
	}
	text, err := enc.Encode([]byte{}, row)
	if err != nil {
		return nil, err
	}
	return decode(text, plan.Format{Name: serde.JSON}, cols, o)
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

// decode turns bytes into a tree of JSON values, numbers as json.Number.
func decode(data []byte, f plan.Format, cols []schema.Column, o serde.Options) (any, error) {
	if data == nil {
		return nil, nil
	}
	switch f.Name {
	case serde.JSON:
		d := json.NewDecoder(bytes.NewReader(data))
		d.UseNumber()
		var v any
		return v, d.Decode(&v)
	case serde.None:
		return nil, nil
	case serde.Delimited:
		return string(data), nil
	case serde.Kafka:
		return decodeKafka(data, cols)
	}
	return decodeByEngine(data, f, cols, o)
}

func decodeKafka(data []byte, cols []schema.Column) (any, error) {
	if len(cols) == 0 {
		return string(data), nil
	}
	number := func(v any) (any, error) { return json.Number(fmt.Sprint(v)), nil }
	switch kind := cols[0].Type.Kind; {
	case kind == types.Integer && len(data) == 4:
		return number(int32(binary.BigEndian.Uint32(data)))
	case kind == types.Bigint && len(data) == 8:
		return number(int64(binary.BigEndian.Uint64(data)))
	case kind == types.Double && len(data) == 8:
		return json.Number(types.FormatDouble(math.Float64frombits(binary.BigEndian.Uint64(data)))), nil
	case kind == types.Bytes:
		return base64.StdEncoding.EncodeToString(data), nil
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
