package client

import (
	"encoding/json"

	"github.com/go-json-experiment/json/jsontext"
)

// readArray reads a JSON array into Go values: nil, bool, string, json.Number,
// []any and map[string]any.
func readArray(d *jsontext.Decoder) ([]any, error) {
	if _, err := d.ReadToken(); err != nil { // '['
		return nil, err
	}
	values := []any{}
	for d.PeekKind() != ']' {
		v, err := readValue(d)
		if err != nil {
			return nil, err
		}
		values = append(values, v)
	}
	_, err := d.ReadToken()
	return values, err
}

func readValue(d *jsontext.Decoder) (any, error) {
	switch d.PeekKind() {
	case '[':
		return readArray(d)
	case '{':
		if _, err := d.ReadToken(); err != nil {
			return nil, err
		}
		m := map[string]any{}
		for d.PeekKind() != '}' {
			name, err := d.ReadToken()
			if err != nil {
				return nil, err
			}
			key := name.String() // before the next read reuses its bytes
			if m[key], err = readValue(d); err != nil {
				return nil, err
			}
		}
		_, err := d.ReadToken()
		return m, err
	case '0':
		raw, err := d.ReadValue()
		return json.Number(raw), err
	default:
		t, err := d.ReadToken()
		if err != nil {
			return nil, err
		}
		switch t.Kind() {
		case 'n':
			return nil, nil
		case 't', 'f':
			return t.Bool(), nil
		default:
			return t.String(), nil
		}
	}
}
