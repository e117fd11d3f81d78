package exec

import (
	"strings"

	"github.com/sidestream/sidestream/sidecar/engine/plan"
	"github.com/sidestream/sidestream/sidecar/engine/schema"
	"github.com/sidestream/sidestream/sidecar/engine/types"
)

// protoDefaults gives the rows of a table whose format is PROTOBUF the values
// that they have when they are read back: that format has no NULL for numbers,
// texts and lists.
type protoDefaults struct {
	cols []schema.Column
	vals []types.Value
	row  Row
}

// newProtoDefaults is nil for tables whose format has NULL.
func newProtoDefaults(m *plan.Materialized) *protoDefaults {
	if !strings.HasPrefix(m.Format.Name, "PROTOBUF") || m.Format.Props["nullableRepresentation"] != "" {
		return nil
	}
	return &protoDefaults{cols: m.Stored.Schema.Value, vals: make([]types.Value, len(m.Stored.Schema.Value))}
}

// of is the row as it is read back; it is valid until the next call.
func (d *protoDefaults) of(r *Row) *Row {
	if d == nil || r.Value == nil {
		return r
	}
	for i, v := range r.Value {
		d.vals[i] = protoDefault(v, d.cols[i].Type)
	}
	d.row = *r
	d.row.Value = d.vals
	return &d.row
}

func protoDefault(v types.Value, t types.Type) types.Value {
	if !v.IsNull() {
		if t.Kind != types.Struct {
			return v
		}
		fields := make([]types.Value, len(t.Fields))
		for i, f := range v.Items() {
			fields[i] = protoDefault(f, t.Fields[i].Type)
		}
		return types.NewStruct(fields)
	}
	switch t.Kind {
	case types.Boolean:
		return types.NewBool(false)
	case types.Integer:
		return types.NewInt(0)
	case types.Bigint:
		return types.NewBigint(0)
	case types.Double:
		return types.NewDouble(0)
	case types.String:
		return types.NewString("")
	case types.Bytes:
		return types.NewBytes(nil)
	case types.Array:
		return types.NewArray([]types.Value{})
	case types.Map:
		return types.NewMap(nil)
	}
	return v // messages may be missing
}
