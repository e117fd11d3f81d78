package engine

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"

	"github.com/sidestream/sidestream/sidecar/engine/plan"
	"github.com/sidestream/sidestream/sidecar/engine/schema"
	"github.com/sidestream/sidestream/sidecar/engine/serde"
	"github.com/sidestream/sidestream/sidecar/engine/types"
)

// printedSchemas reads, for PRINT, records that name a schema of the registry.
type printedSchemas struct {
	registry serde.SchemaRegistry
	byID     map[uint32]*printedSchema
}

// printedSchema reads the records of one schema; format is "" when that isn't
// known, or can't be shown.
type printedSchema struct {
	format string
	bare   bool
	cols   []schema.Column
	dec    serde.Decoder
}

func newPrintedSchemas(registry serde.SchemaRegistry) *printedSchemas {
	return &printedSchemas{registry: registry, byID: map[uint32]*printedSchema{}}
}

// of finds the schema that a record names; nil for none.
func (p *printedSchemas) of(data []byte) *printedSchema {
	if p.registry == nil || len(data) < 5 || data[0] != 0 {
		return nil
	}
	id := binary.BigEndian.Uint32(data[1:])
	s, ok := p.byID[id]
	if !ok {
		s = p.open(int(id))
		p.byID[id] = s
	}
	if s.format == "" {
		return nil
	}
	return s
}

func (p *printedSchemas) open(id int) *printedSchema {
	kind, text, refs, err := p.registry.ByID(id)
	if err != nil {
		return &printedSchema{}
	}
	for _, name := range []string{serde.Avro, serde.Protobuf, serde.JSONSchema} {
		if kind != serde.SchemaType(name) {
			continue
		}
		for _, bare := range []bool{false, true} {
			f := plan.Format{Name: name, Unwrapped: bare}
			cols, err := serde.Infer(f, text, refs, false, true)
			if err != nil {
				continue
			}
			dec, err := serde.NewDecoder(f, cols, serde.Options{Registry: p.registry})
			if err == nil {
				return &printedSchema{name, bare, cols, dec}
			}
		}
	}
	return &printedSchema{}
}

// fits tells whether a record is of that format and can be read.
func (p *printedSchemas) fits(format string, data []byte) bool {
	s := p.of(data)
	if s == nil || s.format != format {
		return false
	}
	_, err := s.dec.Decode(data, make([]types.Value, len(s.cols)))
	return err == nil
}

// show writes a record that fits: as JSON, with names as the schema has them.
func (p *printedSchemas) show(data []byte) string {
	s := p.of(data)
	row := make([]types.Value, len(s.cols))
	if present, err := s.dec.Decode(data, row); err != nil || !present {
		return "null"
	}
	if s.bare {
		return printValue(row[0], s.cols[0].Type)
	}
	parts := make([]string, len(row))
	for i, c := range s.cols {
		parts[i] = strconv.Quote(c.Name) + ": " + printValue(row[i], c.Type)
	}
	return "{" + strings.Join(parts, ", ") + "}"
}

func printValue(v types.Value, t types.Type) string {
	switch v.Kind() {
	case types.Null:
		return "null"
	case types.String:
		return strconv.Quote(v.Str())
	case types.Bytes:
		return strconv.Quote(base64.StdEncoding.EncodeToString(v.Bytes()))
	case types.Date, types.Time, types.Timestamp:
		return fmt.Sprint(v.Int())
	case types.Array:
		parts := make([]string, len(v.Items()))
		for i, x := range v.Items() {
			parts[i] = printValue(x, *t.Elem)
		}
		return "[" + strings.Join(parts, ", ") + "]"
	case types.Map:
		parts := make([]string, len(v.Entries()))
		for i, e := range v.Entries() {
			parts[i] = strconv.Quote(types.Text(e.Key, *t.Key)) + ": " + printValue(e.Value, *t.Elem)
		}
		return "{" + strings.Join(parts, ", ") + "}"
	case types.Struct:
		parts := make([]string, len(v.Items()))
		for i, x := range v.Items() {
			parts[i] = strconv.Quote(t.Fields[i].Name) + ": " + printValue(x, t.Fields[i].Type)
		}
		return "{" + strings.Join(parts, ", ") + "}"
	}
	return types.Text(v, t)
}
