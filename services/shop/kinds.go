package main

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/sidestream/sidestream/services/internal/order"
	"github.com/sidestream/sidestream/services/internal/web"
)

// kind is one sort of thing that the shop has.
type kind struct {
	path  string // /v1/<path>/{id}
	topic string
	id    string // the member that names it, in answers
	// key reads the path's id as the topic's key; "" and what is wrong if it is none.
	key func(id string) (key, problem string)
	// name is the inverse of key, as JSON.
	name func(key string) []byte
	// fields are the body's members: all that may be there, with what they must be.
	fields []field
}

// field is one member of a body.
type field struct {
	name     string
	optional bool
	// read returns the value as it is written to the topic, or what is wrong.
	read func(kind jsontext.Kind, raw jsontext.Value) ([]byte, string)
}

var kinds = []kind{
	{
		path: "stock", topic: "warehouse-inventory", id: "product", key: productKey, name: quoted,
		fields: []field{{name: "stock", read: whole(0)}},
	},
	{
		path: "products", topic: "products", id: "product", key: productKey, name: quoted,
		fields: []field{{name: "listPrice", read: money}},
	},
	{
		path: "customers", topic: "customers", id: "id", key: customerKey, name: customerID,
		fields: []field{
			{name: "firstName", read: text(200)},
			{name: "lastName", read: text(200)},
			{name: "email", optional: true, read: address},
			{name: "address", optional: true, read: text(1000)},
			{name: "level", read: oneOf("platinum", "gold", "silver", "bronze")},
		},
	},
}

// parse reads a body and returns the record's value: the id and all members.
func (k kind) parse(key string, body []byte) ([]byte, *web.Problem) {
	values := map[string][]byte{}
	var errs []web.FieldError
	err := order.Fields(body, func(name string, kind jsontext.Kind, raw jsontext.Value) error {
		i := slices.IndexFunc(k.fields, func(f field) bool { return f.name == name })
		switch {
		case name == k.id:
			if string(raw) != string(k.name(key)) {
				errs = append(errs, web.BodyError(name, fmt.Sprintf("is %s, but the path says %s", raw, k.name(key))))
			}
		case i < 0:
			errs = append(errs, web.BodyError(name, "isn't a field of this"))
		case kind == 'n' && k.fields[i].optional:
			values[name] = []byte("null")
		default:
			v, problem := k.fields[i].read(kind, raw)
			if problem != "" {
				errs = append(errs, web.BodyError(name, problem))
			}
			values[name] = v
		}
		return nil
	})
	if err != nil {
		return nil, &web.Problem{Code: "malformed", Status: 400, Detail: "The body can't be read: " + err.Error() + "."}
	}
	value := append([]byte(`{"`+k.id+`":`), k.name(key)...)
	for _, f := range k.fields {
		v, ok := values[f.name]
		if !ok && f.optional {
			v = []byte("null")
		} else if !ok {
			errs = append(errs, web.BodyError(f.name, "is missing"))
		}
		value = append(append(value, `,"`+f.name+`":`...), v...)
	}
	if len(errs) > 0 {
		return nil, web.BadFields(errs...)
	}
	return append(value, '}'), nil
}

func productKey(id string) (string, string) { return id, order.BadProduct(id) }

// customerKey writes a BIGINT as the KAFKA format does: eight bytes, big-endian.
func customerKey(id string) (string, string) {
	n, err := strconv.ParseInt(id, 10, 64)
	if err != nil || n < 0 {
		return "", "must be a whole number from 0 on"
	}
	return string(binary.BigEndian.AppendUint64(nil, uint64(n))), ""
}

func customerID(key string) []byte {
	if len(key) != 8 {
		return []byte("null")
	}
	return strconv.AppendInt(nil, int64(binary.BigEndian.Uint64([]byte(key))), 10)
}

func quoted(s string) []byte {
	b, err := jsontext.AppendQuote(nil, s)
	if err != nil {
		b, _ = jsontext.AppendQuote(nil, strings.ToValidUTF8(s, "\uFFFD"))
	}
	return b
}

func whole(least int64) func(jsontext.Kind, jsontext.Value) ([]byte, string) {
	return func(kind jsontext.Kind, raw jsontext.Value) ([]byte, string) {
		n, err := order.Int(kind, raw, 32)
		switch {
		case err != nil:
			return nil, err.Error()
		case kind == 'n' || n < least:
			return nil, fmt.Sprintf("must be a whole number of at least %d, is %s", least, raw)
		}
		return strconv.AppendInt(nil, n, 10), ""
	}
}

func money(kind jsontext.Kind, raw jsontext.Value) ([]byte, string) {
	if kind != '0' {
		return nil, fmt.Sprintf("must be a number, is %s", raw)
	}
	m, err := order.ParseMoney(string(raw))
	switch {
	case err != nil:
		return nil, err.Error()
	case m < 0:
		return nil, fmt.Sprintf("is %s, must not be less than 0", m)
	}
	return []byte(m.String()), ""
}

func text(most int) func(jsontext.Kind, jsontext.Value) ([]byte, string) {
	return func(kind jsontext.Kind, raw jsontext.Value) ([]byte, string) {
		s, err := order.Text(kind, raw)
		switch {
		case err != nil:
			return nil, err.Error()
		case strings.TrimSpace(s) == "":
			return nil, "is empty"
		case len(s) > most:
			return nil, fmt.Sprintf("has %d bytes, at most %d are possible", len(s), most)
		}
		return quoted(s), ""
	}
}

// address is text that a mail can be sent to, as far as its form tells.
func address(kind jsontext.Kind, raw jsontext.Value) ([]byte, string) {
	b, problem := text(320)(kind, raw)
	if problem != "" {
		return nil, problem
	}
	s, _ := order.Text(kind, raw)
	local, domain, ok := strings.Cut(s, "@")
	if !ok || local == "" || domain == "" || strings.ContainsAny(s, " \t\r\n<>,;") {
		return nil, fmt.Sprintf("is %q, which isn't an address of the form name@host", s)
	}
	return b, ""
}

func oneOf(words ...string) func(jsontext.Kind, jsontext.Value) ([]byte, string) {
	return func(kind jsontext.Kind, raw jsontext.Value) ([]byte, string) {
		s, err := order.Text(kind, raw)
		if err != nil {
			return nil, err.Error()
		}
		if !slices.Contains(words, s) {
			return nil, fmt.Sprintf("is %q, must be one of %s", s, strings.Join(words, ", "))
		}
		return quoted(s), ""
	}
}
