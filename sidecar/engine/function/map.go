package function

import (
	"slices"
	"strings"

	"github.com/sidestream/sidestream/sidecar/engine/types"
)

// put sets a key in a list of entries that the caller owns.
func put(entries []types.Entry, k, v types.Value) []types.Entry {
	for i := range entries {
		if types.Equal(entries[i].Key, k) {
			entries[i].Value = v
			return entries
		}
	}
	return append(entries, types.Entry{Key: k, Value: v})
}

func mapFunctions() []*Scalar {
	each := func(f func(e types.Entry) types.Value) evalFunc {
		return func(a []types.Value) (types.Value, error) {
			items := make([]types.Value, len(a[0].Entries()))
			for i, e := range javaOrder(a[0].Entries()) {
				items[i] = f(e)
			}
			return types.NewArray(items), nil
		}
	}
	entries := over("MAP<STRING, V> map, BOOLEAN sorted", "ARRAY<STRUCT>", strict(func(a []types.Value) (types.Value, error) {
		list := slices.Clone(javaOrder(a[0].Entries()))
		if a[1].Bool() {
			slices.SortStableFunc(list, func(x, y types.Entry) int { return strings.Compare(x.Key.Str(), y.Key.Str()) })
		}
		items := make([]types.Value, len(list))
		for i, e := range list {
			items[i] = types.NewStruct([]types.Value{e.Key, e.Value})
		}
		return types.NewArray(items), nil
	}))
	entries.ReturnFor = func(args []types.Type) (types.Type, error) {
		if args[0].Elem == nil {
			return types.TNull, nil
		}
		return types.TArray(types.TStruct(types.Field{Name: "K", Type: types.TString}, types.Field{Name: "V", Type: *args[0].Elem})), nil
	}
	return []*Scalar{
		scalar("map_keys", categoryMap, "Returns an array of all the keys from the specified map, or NULL if the input map is NULL.",
			nullable("MAP<K, V> input", "ARRAY<K>", each(func(e types.Entry) types.Value { return e.Key }))),
		scalar("map_values", categoryMap, "Returns an array of all the values from the specified map, or NULL if the input map is NULL.",
			nullable("MAP<K, V> input", "ARRAY<V>", each(func(e types.Entry) types.Value { return e.Value }))),
		scalar("map_union", categoryMap, "Returns a new map with the union of all entries from both input maps. If a key is present in both, the entry of the second is taken.",
			over("MAP<K, V> map1, MAP<K, V> map2", "MAP<K, V>", func(a []types.Value) (types.Value, error) {
				if a[0].IsNull() {
					return a[1], nil
				}
				out := slices.Clone(a[0].Entries())
				for _, e := range a[1].Entries() {
					out = put(out, e.Key, e.Value)
				}
				return types.NewMap(out), nil
			})),
		scalar("as_map", categoryMap, "Construct a list based on some inputs: the first array has the keys, the second the values.",
			nullable("ARRAY<STRING> keys, ARRAY<V> values", "MAP<STRING, V>", func(a []types.Value) (types.Value, error) {
				out := []types.Entry{}
				keys, values := a[0].Items(), a[1].Items()
				for i := range min(len(keys), len(values)) {
					out = put(out, keys[i], values[i])
				}
				return types.NewMap(out), nil
			})),
		scalar("entries", categoryMap, "Construct an array from the entries in a map, as structs with the fields K and V.", entries),
	}
}
