package function

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strconv"
	"strings"
)

// node is a JSON value that keeps the order of its fields and its numbers as
// they were written.
type node struct {
	kind  byte   // 'n'ull, 't'rue, 'f'alse, '0' number, '"' string, '[' and '{'
	text  string // of numbers and strings
	items []node // of arrays, and the values of objects
	names []string
}

// parseJSON reads one JSON value; ok is false for what is none.
func parseJSON(s string) (n node, ok bool) {
	d := json.NewDecoder(strings.NewReader(s))
	d.UseNumber()
	t, err := d.Token()
	if err != nil {
		return node{}, false
	}
	if n, err = readNode(d, t); err != nil {
		return node{}, false
	}
	_, err = d.Token()
	return n, errors.Is(err, io.EOF)
}

func readNode(d *json.Decoder, t json.Token) (node, error) {
	switch t := t.(type) {
	case nil:
		return node{kind: 'n'}, nil
	case bool:
		if t {
			return node{kind: 't'}, nil
		}
		return node{kind: 'f'}, nil
	case json.Number:
		return node{kind: '0', text: t.String()}, nil
	case string:
		return node{kind: '"', text: t}, nil
	case json.Delim:
		n := node{kind: byte(t)}
		for d.More() {
			if t == '{' {
				key, err := d.Token()
				if err != nil {
					return n, err
				}
				name, ok := key.(string)
				if !ok {
					return n, errors.New("a field needs a name")
				}
				n.names = append(n.names, name)
			}
			t, err := d.Token()
			if err != nil {
				return n, err
			}
			item, err := readNode(d, t)
			if err != nil {
				return n, err
			}
			n.items = append(n.items, item)
		}
		if _, err := d.Token(); err != nil {
			return n, err
		}
		if n.kind == '{' {
			n.dropDuplicates()
		}
		return n, nil
	}
	return node{}, errors.New("not JSON")
}

// dropDuplicates keeps the last value of a name, at its first place.
func (n *node) dropDuplicates() {
	at := make(map[string]int, len(n.names))
	names, items := n.names[:0], n.items[:0]
	for i, name := range n.names {
		if j, ok := at[name]; ok {
			items[j] = n.items[i]
			continue
		}
		at[name] = len(names)
		names, items = append(names, name), append(items, n.items[i])
	}
	n.names, n.items = names, items
}

// field is the value of a name.
func (n *node) field(name string) (*node, bool) {
	if n.kind == '{' {
		for i, x := range n.names {
			if x == name {
				return &n.items[i], true
			}
		}
	}
	return nil, false
}

// set puts a field, at the end if it is new.
func (n *node) set(name string, v node) {
	if old, ok := n.field(name); ok {
		*old = v
		return
	}
	n.names, n.items = append(n.names, name), append(n.items, v)
}

// append writes the value without spaces.
func (n *node) append(dst []byte) []byte {
	switch n.kind {
	case 'n':
		return append(dst, "null"...)
	case 't':
		return append(dst, "true"...)
	case 'f':
		return append(dst, "false"...)
	case '0':
		return append(dst, n.text...)
	case '"':
		return appendJSONString(dst, n.text)
	}
	dst = append(dst, n.kind)
	for i := range n.items {
		if i > 0 {
			dst = append(dst, ',')
		}
		if n.kind == '{' {
			dst = append(appendJSONString(dst, n.names[i]), ':')
		}
		dst = n.items[i].append(dst)
	}
	return append(dst, n.kind+2) // ] and } are two behind [ and {
}

// String is a string's content, and the text of anything else.
func (n *node) String() string {
	if n.kind == '"' {
		return n.text
	}
	return string(n.append(nil))
}

func appendJSONString(dst []byte, s string) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(s); err != nil {
		return strconv.AppendQuote(dst, s)
	}
	out := bytes.TrimRight(b.Bytes(), "\n")
	// U+2028 and U+2029 need no escape.
	out = bytes.ReplaceAll(out, []byte(`\u2028`), []byte("\u2028"))
	return append(dst, bytes.ReplaceAll(out, []byte(`\u2029`), []byte("\u2029"))...)
}

// jsonStep is a step of a path: a field's name, or an array's index.
type jsonStep struct {
	name  string
	index int
	array bool
}

// parsePath reads a path such as $.a.b[0]['c']; ok is false where it is none.
func parsePath(path string) (steps []jsonStep, ok bool) {
	if !strings.HasPrefix(path, "$") {
		return nil, false
	}
	for s := path[1:]; s != ""; {
		switch s[0] {
		case '.':
			n := 1
			for n < len(s) && s[n] != '.' && s[n] != '[' {
				n++
			}
			if n == 1 {
				return nil, false
			}
			steps, s = append(steps, jsonStep{name: s[1:n]}), s[n:]
		case '[':
			end := strings.IndexByte(s, ']')
			if end < 2 {
				return nil, false
			}
			inside := s[1:end]
			if q := inside[0]; q == '"' || q == '\'' {
				if len(inside) < 2 || inside[len(inside)-1] != q {
					return nil, false
				}
				steps, s = append(steps, jsonStep{name: inside[1 : len(inside)-1]}), s[end+1:]
				break
			}
			i, err := strconv.Atoi(inside)
			if err != nil {
				return nil, false
			}
			steps, s = append(steps, jsonStep{index: i, array: true}), s[end+1:]
		default:
			return nil, false
		}
	}
	return steps, true
}

// follow walks a path; ok is false where it leads nowhere.
func (n *node) follow(steps []jsonStep) (*node, bool) {
	for _, s := range steps {
		if s.array {
			if n.kind != '[' || s.index < 0 || s.index >= len(n.items) {
				return nil, false
			}
			n = &n.items[s.index]
			continue
		}
		var ok bool
		if n, ok = n.field(s.name); !ok {
			return nil, false
		}
	}
	return n, true
}
