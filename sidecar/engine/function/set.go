package function

import "github.com/sidestream/sidestream/sidecar/engine/types"

// valueSet is a set of values that remembers in which order they came.
type valueSet struct {
	items []types.Value
	seen  map[string]bool
}

func newSet() *valueSet { return &valueSet{items: []types.Value{}, seen: map[string]bool{}} }

func (s *valueSet) has(v types.Value) bool { return s.seen[string(types.AppendBinary(nil, v))] }

func (s *valueSet) add(v types.Value) {
	key := string(types.AppendBinary(nil, v))
	if !s.seen[key] {
		s.seen[key] = true
		s.items = append(s.items, v)
	}
}

func setOf(v types.Value) *valueSet {
	s := newSet()
	for _, x := range v.Items() {
		s.add(x)
	}
	return s
}

func setFunctions() []*Scalar {
	return []*Scalar{
		scalar("array_distinct", categoryArray, "Returns an array of all the distinct values, including NULL if present, from the input array, in the order in which they come first.",
			nullable("ARRAY<T> array", "ARRAY<T>", func(a []types.Value) (types.Value, error) { return types.NewArray(setOf(a[0]).items), nil })),
		scalar("array_union", categoryArray, "Returns an array of all the distinct elements from both input arrays.",
			nullable("ARRAY<T> left, ARRAY<T> right", "ARRAY<T>", func(a []types.Value) (types.Value, error) {
				s := setOf(a[0])
				for _, x := range a[1].Items() {
					s.add(x)
				}
				return types.NewArray(s.items), nil
			})),
		scalar("array_intersect", categoryArray, "Returns an array of all the distinct elements from the intersection of both input arrays.",
			nullable("ARRAY<T> left, ARRAY<T> right", "ARRAY<T>", func(a []types.Value) (types.Value, error) {
				return types.NewArray(kept(a[0], setOf(a[1]), true)), nil
			})),
		scalar("array_except", categoryArray, "Returns an array of all the distinct elements of the first array that are not in the second.",
			nullable("ARRAY<T> left, ARRAY<T> right", "ARRAY<T>", func(a []types.Value) (types.Value, error) {
				return types.NewArray(kept(a[0], setOf(a[1]), false)), nil
			})),
	}
}

// kept are the distinct elements that are in the other set, or that are not.
func kept(v types.Value, other *valueSet, in bool) []types.Value {
	out := newSet()
	for _, x := range v.Items() {
		if other.has(x) == in {
			out.add(x)
		}
	}
	return out.items
}
