package sqltest

import (
	"fmt"

	"github.com/sidestream/sidestream/sidecar/engine/types"
)

// differences says where two values of a type differ, down to the elements and
// fields: a line each, with the type of what differs.
func differences(path string, want, have types.Value, t types.Type) []string {
	if types.Equal(want, have) {
		return nil
	}
	plain := []string{fmt.Sprintf("%s %s: expected %s, got %s", path, t, show(want, t), show(have, t))}
	if want.IsNull() || have.IsNull() {
		return plain
	}
	var out []string
	switch t.Kind {
	case types.Struct:
		w, h := want.Items(), have.Items()
		if len(w) != len(h) {
			return plain
		}
		for i, f := range t.Fields {
			out = append(out, differences(path+"->"+f.Name, w[i], h[i], f.Type)...)
		}
	case types.Array:
		w, h := want.Items(), have.Items()
		if len(w) != len(h) {
			return []string{fmt.Sprintf("%s %s: expected %d elements, got %d: expected %s, got %s", path, t, len(w), len(h), show(want, t), show(have, t))}
		}
		for i := range w { // SQL counts elements from 1
			out = append(out, differences(fmt.Sprintf("%s[%d]", path, i+1), w[i], h[i], *t.Elem)...)
		}
	case types.Map:
		out = mapDifferences(path, want, have, t)
	}
	if len(out) == 0 {
		return plain
	}
	return out
}

func mapDifferences(path string, want, have types.Value, t types.Type) []string {
	key := types.TString
	if t.Key != nil {
		key = *t.Key
	}
	var out []string
	for _, e := range want.Entries() {
		at := path + "[" + show(e.Key, key) + "]"
		v, ok := have.Lookup(e.Key)
		if !ok {
			out = append(out, fmt.Sprintf("%s %s: expected %s, got no such key", at, *t.Elem, show(e.Value, *t.Elem)))
			continue
		}
		out = append(out, differences(at, e.Value, v, *t.Elem)...)
	}
	for _, e := range have.Entries() {
		if _, ok := want.Lookup(e.Key); !ok {
			out = append(out, fmt.Sprintf("%s[%s] %s: expected no such key, got %s", path, show(e.Key, key), *t.Elem, show(e.Value, *t.Elem)))
		}
	}
	return out
}
