package rest

import (
	"encoding/base64"
	"fmt"

	"github.com/sidestream/sidestream/sidecar/engine/plan"
	"github.com/sidestream/sidestream/sidecar/engine/serde"
	"github.com/sidestream/sidestream/sidecar/engine/types"
)

// protoRows writes rows as Protobuf messages: the header of the answer has their
// schema, each row the bytes of a message in base64.
type protoRows struct {
	encoder serde.Encoder
	message []byte
}

// protoHeader begins the answer; the error says which column no message can hold.
func (o *rowWriter) protoHeader() error {
	format := plan.Format{Name: serde.ProtobufNoSR}
	schema, err := serde.Schema(format, o.rows.Columns, serde.Options{})
	if err == nil {
		o.proto.encoder, err = serde.NewEncoder(format, o.rows.Columns, serde.Options{})
	}
	if err != nil {
		return fmt.Errorf("the rows can't be Protobuf messages: %w", err)
	}
	b := append(o.buf[:0], `[{"header":{"queryId":`...)
	b = types.AppendJSONString(b, o.rows.ID)
	b = append(b, `,"protobufSchema":`...)
	b = types.AppendJSONString(b, schema)
	return o.write(append(b, "}}"...))
}

func (o *rowWriter) protoRow(row []types.Value, tombstone bool) error {
	var err error
	if o.proto.message, err = o.proto.encoder.Encode(o.proto.message[:0], row); err != nil {
		return err
	}
	b := append(o.buf[:0], ",\n{\"row\":{\"protobufBytes\":\""...)
	b = base64.StdEncoding.AppendEncode(b, o.proto.message)
	b = append(b, '"')
	if tombstone {
		b = append(b, `,"tombstone":true`...)
	}
	return o.write(append(b, "}}"...))
}
