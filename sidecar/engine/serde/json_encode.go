package serde

import (
	"encoding/base64"
	"fmt"
	"math"
	"strconv"

	"github.com/sidestream/sidestream/sidecar/engine/plan"
	"github.com/sidestream/sidestream/sidecar/engine/schema"
	"github.com/sidestream/sidestream/sidecar/engine/types"
)

// jsonEncoder writes a row as an object of all its columns, NULLs included, or
// its only column bare.
type jsonEncoder struct {
	cols []schema.Column
	// heads[i] is what stands before the value of column i: `{"A":`, `,"B":`.
	heads [][]byte
	bare  bool
}

func newJSONEncoder(f plan.Format, cols []schema.Column, o Options) (Encoder, error) {
	e := &jsonEncoder{cols: cols, bare: unwrapped(f, cols, o)}
	for i, c := range cols {
		head := []byte{','}
		if i == 0 {
			head[0] = '{'
		}
		e.heads = append(e.heads, append(types.AppendJSONString(head, c.Name), ':'))
	}
	return e, nil
}

func (e *jsonEncoder) Encode(dst []byte, row []types.Value) ([]byte, error) {
	if e.bare {
		if row[0].IsNull() {
			return nil, nil
		}
		return appendJSON(dst, row[0], &e.cols[0].Type)
	}
	if len(e.cols) == 0 {
		return append(dst, "{}"...), nil
	}
	var err error
	for i := range e.cols {
		dst = append(dst, e.heads[i]...)
		if dst, err = appendJSON(dst, row[i], &e.cols[i].Type); err != nil {
			return nil, fmt.Errorf("column %s: %w", schema.Quote(e.cols[i].Name), err)
		}
	}
	return append(dst, '}'), nil
}

// appendJSON appends a value of type t.
func appendJSON(dst []byte, v types.Value, t *types.Type) ([]byte, error) {
	switch v.Kind() {
	case types.Null:
		return append(dst, "null"...), nil
	case types.Boolean:
		return strconv.AppendBool(dst, v.Bool()), nil
	case types.Integer, types.Bigint, types.Date, types.Time, types.Timestamp:
		return strconv.AppendInt(dst, v.Int(), 10), nil
	case types.Double:
		if f := v.Float(); math.IsNaN(f) || math.IsInf(f, 0) {
			return append(types.AppendDouble(append(dst, '"'), f), '"'), nil
		}
		return types.AppendDouble(dst, v.Float()), nil
	case types.Decimal:
		return types.AppendDecimal(dst, v), nil
	case types.String:
		return types.AppendJSONString(dst, v.Str()), nil
	case types.Bytes:
		dst = base64.StdEncoding.AppendEncode(append(dst, '"'), v.Bytes())
		return append(dst, '"'), nil
	}
	var err error
	switch {
	case v.Kind() == types.Array && t.Kind == types.Array:
		dst = append(dst, '[')
		for i, x := range v.Items() {
			if i > 0 {
				dst = append(dst, ',')
			}
			if dst, err = appendJSON(dst, x, t.Elem); err != nil {
				return nil, err
			}
		}
		return append(dst, ']'), nil
	case v.Kind() == types.Map && t.Kind == types.Map:
		dst = append(dst, '{')
		for i, x := range v.Entries() {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = append(types.AppendJSONString(dst, types.Text(x.Key, *t.Key)), ':')
			if dst, err = appendJSON(dst, x.Value, t.Elem); err != nil {
				return nil, err
			}
		}
		return append(dst, '}'), nil
	case v.Kind() == types.Struct && t.Kind == types.Struct && len(v.Items()) == len(t.Fields):
		dst = append(dst, '{')
		for i, x := range v.Items() {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = append(types.AppendJSONString(dst, t.Fields[i].Name), ':')
			if dst, err = appendJSON(dst, x, &t.Fields[i].Type); err != nil {
				return nil, err
			}
		}
		return append(dst, '}'), nil
	}
	return nil, fmt.Errorf("a %s can't be written as %s", v.Kind(), t)
}
