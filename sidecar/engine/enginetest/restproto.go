package enginetest

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"sort"
	"strings"

	"github.com/bufbuild/protocompile"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"
)

// protoItems compares an answer whose rows are Protobuf messages: the schema as
// text, the rows, which the case has in Protobuf's text form, as messages in any
// order.
func (r *restRun) protoItems(field string, want, got []item) error {
	var schema string
	var rows []proto.Message
	var message protoreflect.MessageDescriptor
	for _, it := range got {
		switch {
		case it["header"] != nil:
			var h struct {
				Schema string `json:"protoSchema"`
				Other  string `json:"protobufSchema"`
			}
			if err := json.Unmarshal(it["header"], &h); err != nil {
				return err
			}
			schema = h.Schema + h.Other
			var err error
			if message, err = firstMessage(schema); err != nil {
				return fmt.Errorf("%s: the schema can't be read: %w\n%s", field, err, schema)
			}
		case it["row"] != nil:
			var row struct {
				Bytes string `json:"protobufBytes"`
			}
			if err := json.Unmarshal(it["row"], &row); err != nil {
				return err
			}
			data, err := base64.StdEncoding.DecodeString(row.Bytes)
			if err != nil {
				return err
			}
			if message == nil {
				return fmt.Errorf("%s: a row before the schema", field)
			}
			m := dynamicpb.NewMessage(message)
			if err := proto.Unmarshal(data, m); err != nil {
				return fmt.Errorf("%s: a row is no message of the schema: %w", field, err)
			}
			rows = append(rows, m)
		}
	}
	final := func(all []item) string {
		for _, it := range all {
			if it["finalMessage"] != nil {
				return string(it["finalMessage"])
			}
		}
		return "none"
	}
	if a, b := final(want), final(got); a != b {
		r.found.text(field+".finalMessage", a, b)
	}
	return r.protoRows(field, want, schema, message, rows)
}

func (r *restRun) protoRows(field string, want []item, schema string, message protoreflect.MessageDescriptor, rows []proto.Message) error {
	n := 0
	for _, it := range want {
		if raw := it["header"]; raw != nil {
			var h struct {
				Schema string `json:"protoSchema"`
			}
			if err := json.Unmarshal(raw, &h); err != nil {
				return err
			}
			if strings.TrimSpace(h.Schema) != strings.TrimSpace(schema) {
				r.found.text(field+".protoSchema", h.Schema, schema)
			}
			continue
		}
		raw := it["row"]
		if raw == nil {
			continue
		}
		n++
		var text string
		if err := json.Unmarshal(raw, &text); err != nil {
			return err
		}
		if message == nil {
			continue
		}
		m := dynamicpb.NewMessage(message)
		if err := prototext.Unmarshal([]byte(text), m); err != nil {
			r.found.text(field+".row", text, "a schema that has no such row: "+err.Error())
			continue
		}
		at := -1
		for i, g := range rows {
			if proto.Equal(sortEntries(m), sortEntries(g)) {
				at = i
			}
		}
		if at < 0 {
			r.found.text(field+".row", text, fmt.Sprintf("none such among %d", len(rows)))
			continue
		}
		rows = append(rows[:at:at], rows[at+1:]...)
	}
	for _, m := range rows {
		r.found.text(field+".row", fmt.Sprintf("%d rows", n), "also "+prototext.Format(m))
	}
	return nil
}

// sortEntries puts the entries of maps, whose order means nothing, in order.
func sortEntries(m proto.Message) proto.Message {
	m.ProtoReflect().Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		if !f.IsList() || f.Message() == nil || !strings.HasSuffix(string(f.Message().Name()), "Entry") {
			return true
		}
		list := v.List()
		entries := make([]protoreflect.Value, list.Len())
		for i := range entries {
			entries[i] = list.Get(i)
		}
		sort.SliceStable(entries, func(i, j int) bool {
			return prototext.Format(entries[i].Message().Interface()) < prototext.Format(entries[j].Message().Interface())
		})
		for i := range entries {
			list.Set(i, entries[i])
		}
		return true
	})
	return m
}

// firstMessage is the first message type of a schema.
func firstMessage(schema string) (protoreflect.MessageDescriptor, error) {
	files := map[string]string{"row.proto": schema}
	c := protocompile.Compiler{Resolver: protocompile.WithStandardImports(&protocompile.SourceResolver{Accessor: protocompile.SourceAccessorFromMap(files)})}
	compiled, err := c.Compile(context.Background(), "row.proto")
	if err != nil {
		return nil, err
	}
	messages := compiled[0].Messages()
	if messages.Len() == 0 {
		return nil, fmt.Errorf("it has no message")
	}
	return messages.Get(0), nil
}
