package function

import (
	"slices"

	"github.com/sidestream/sidestream/sidecar/engine/types"
)

// javaOrder are the entries of a map in the order in which Java's HashMap, which
// holds every map in ksqlDB, goes through them: results that depend on it, such
// as REDUCE over a map, must agree. Keys other than strings and integers stay as
// they are.
func javaOrder(entries []types.Entry) []types.Entry {
	if len(entries) < 2 {
		return entries
	}
	buckets := uint32(1) // the table is made for the number of entries
	for buckets < uint32(len(entries)) {
		buckets *= 2
	}
	for float64(len(entries)) > 0.75*float64(buckets) {
		buckets *= 2
	}
	type placed struct {
		types.Entry
		bucket uint32
	}
	list := make([]placed, len(entries))
	for i, e := range entries {
		h, ok := javaHash(e.Key)
		if !ok {
			return entries
		}
		list[i] = placed{e, (h ^ h>>16) & (buckets - 1)}
	}
	slices.SortStableFunc(list, func(a, b placed) int { return int(a.bucket) - int(b.bucket) })
	out := make([]types.Entry, len(list))
	for i, p := range list {
		out[i] = p.Entry
	}
	return out
}

func javaHash(v types.Value) (uint32, bool) {
	switch v.Kind() {
	case types.String:
		var h uint32
		for _, u := range utf16Of(v.Str()) {
			h = 31*h + uint32(u)
		}
		return h, true
	case types.Integer:
		return uint32(v.Int()), true
	case types.Bigint:
		return uint32(v.Int()) ^ uint32(v.Int()>>32), true
	case types.Null:
		return 0, true
	}
	return 0, false
}
