package function

import (
	"cmp"
	"encoding/binary"
	"hash/fnv"
	"math"
	"math/bits"
	"slices"
	"strconv"

	"github.com/sidestream/sidestream/sidecar/engine/types"
)

// with is a list and one more value, the list itself unchanged.
func with(items []types.Value, v types.Value) types.Value {
	return types.NewArray(append(append(make([]types.Value, 0, len(items)+1), items...), v))
}

// without is a list without its element i.
func without(items []types.Value, i int) types.Value {
	return types.NewArray(slices.Delete(slices.Clone(items), i, i+1))
}

func indexOf(items []types.Value, v types.Value) int {
	return slices.IndexFunc(items, func(x types.Value) bool { return types.Equal(x, v) })
}

func collectListFunction(limit int) *Aggregate {
	return &Aggregate{Name: "COLLECT_LIST", Author: author,
		Doc: "Gather all of the values from an input grouping into a single Array field.",
		Overloads: []AggregateOverload{aggregateOver("T val", "", "ARRAY<T>", "collect values of a field into a single Array", func(args []types.Type, _ []types.Value) (Aggregator, error) {
			t := types.TArray(args[0])
			return &undoable{aggregator{
				state: t, result: t, init: types.NewArray([]types.Value{}),
				add: func(s types.Value, args []types.Value) (types.Value, error) {
					if len(s.Items()) >= limit {
						return s, nil
					}
					return with(s.Items(), args[0]), nil
				},
				merge: func(a, b types.Value) (types.Value, error) {
					items := append(slices.Clone(a.Items()), b.Items()...)
					return types.NewArray(items[:min(len(items), limit)]), nil
				},
			}, func(s types.Value, args []types.Value) (types.Value, error) {
				items := s.Items()
				for i := len(items) - 1; i >= 0; i-- {
					if types.Equal(items[i], args[0]) {
						return without(items, i), nil
					}
				}
				return s, nil
			}}, nil
		})}}
}

func collectSetFunction(limit int) *Aggregate {
	add := func(s, v types.Value) types.Value {
		if len(s.Items()) >= limit || indexOf(s.Items(), v) >= 0 {
			return s
		}
		return with(s.Items(), v)
	}
	return &Aggregate{Name: "COLLECT_SET", Author: author,
		Doc: "Gather all of the distinct values from an input grouping into a single Array.",
		Overloads: []AggregateOverload{aggregateOver("T val", "", "ARRAY<T>", "collect distinct values of a field into a single Array", func(args []types.Type, _ []types.Value) (Aggregator, error) {
			t := types.TArray(args[0])
			return &aggregator{
				state: t, result: t, init: types.NewArray([]types.Value{}),
				add: func(s types.Value, args []types.Value) (types.Value, error) { return add(s, args[0]), nil },
				merge: func(a, b types.Value) (types.Value, error) {
					for _, v := range b.Items() {
						a = add(a, v)
					}
					return a, nil
				},
			}, nil
		})}}
}

// counted is a map of counts with one of them changed; a count of zero leaves.
func counted(entries []types.Entry, key types.Value, by int64, limit int) types.Value {
	out := slices.Clone(entries)
	for i, e := range out {
		if types.Equal(e.Key, key) {
			n := e.Value.Int() + by
			if n < 1 {
				return types.NewMap(slices.Delete(out, i, i+1))
			}
			out[i].Value = bigint(n)
			return types.NewMap(out)
		}
	}
	if by > 0 && len(out) < limit {
		out = append(out, types.Entry{Key: key, Value: bigint(by)})
	}
	return types.NewMap(out)
}

func histogramFunction(limit int) *Aggregate {
	t := types.TMap(types.TString, types.TBigint)
	step := func(by int64) func(s types.Value, args []types.Value) (types.Value, error) {
		return func(s types.Value, args []types.Value) (types.Value, error) {
			if args[0].IsNull() {
				return s, nil
			}
			return counted(s.Entries(), args[0], by, limit), nil
		}
	}
	return &Aggregate{Name: "HISTOGRAM", Author: author,
		Doc: "Returns a map of each distinct String from the input Stream or Table and how many times each occurs. This version limits the size of the resultant Map to 1000 entries. Any entries added beyond this limit will be ignored.",
		Overloads: []AggregateOverload{aggregateOver("STRING val", "", "MAP<STRING, BIGINT>", "Returns a map of each distinct String from the input Stream or Table and how many times each occurs.", func([]types.Type, []types.Value) (Aggregator, error) {
			return &undoable{aggregator{
				state: t, result: t, init: types.NewMap([]types.Entry{}), add: step(1),
				merge: func(a, b types.Value) (types.Value, error) {
					for _, e := range b.Entries() {
						a = counted(a.Entries(), e.Key, e.Value.Int(), limit)
					}
					return a, nil
				},
			}, step(-1)}, nil
		})}}
}

// attrFunction is ATTR: the value that all rows of a group have, else NULL. It
// keeps every distinct value with its count, so that rows can be taken back.
func attrFunction() *Aggregate {
	change := func(s, v types.Value, by int64) types.Value {
		items := s.Items()
		for i, x := range items {
			if !types.Equal(x.Items()[0], v) {
				continue
			}
			n := x.Items()[1].Int() + by
			if n < 1 {
				return without(items, i)
			}
			out := slices.Clone(items)
			out[i] = types.NewStruct([]types.Value{v, types.NewInt(int32(n))})
			return types.NewArray(out)
		}
		if by < 1 {
			return s
		}
		return with(items, types.NewStruct([]types.Value{v, types.NewInt(int32(by))}))
	}
	return &Aggregate{Name: "ATTR", Author: author,
		Doc: "Collects all values of a column and returns the one value that all of them are, or NULL if they differ.",
		Overloads: []AggregateOverload{aggregateOver("T val", "", "T", "Collect all values for a column and if they are unique return them.", func(args []types.Type, _ []types.Value) (Aggregator, error) {
			entry := structOf(types.Field{Name: "VALUE", Type: args[0]}, types.Field{Name: "COUNT", Type: types.TInteger})
			return &undoable{aggregator{
				state: types.TArray(entry), result: args[0], init: types.NewArray([]types.Value{}),
				add: func(s types.Value, args []types.Value) (types.Value, error) { return change(s, args[0], 1), nil },
				merge: func(a, b types.Value) (types.Value, error) {
					for _, x := range b.Items() {
						a = change(a, x.Items()[0], x.Items()[1].Int())
					}
					return a, nil
				},
				final: func(s types.Value) (types.Value, error) {
					if len(s.Items()) != 1 {
						return none, nil
					}
					return s.Items()[0].Items()[0], nil
				},
			}, func(s types.Value, args []types.Value) (types.Value, error) { return change(s, args[0], -1), nil }}, nil
		})}}
}

// topkFunction is TOPK or TOPKDISTINCT: the k largest values, or the rows that
// have them.
func topkFunction(name string, distinct bool) *Aggregate {
	f := &Aggregate{Name: name, Author: author, Doc: "Computes the top k values for a column, per key, in descending order."}
	if distinct {
		f.Doc = "Calculates the Topk distinct values for a column, per key."
	}
	for _, t := range comparableTypes {
		f.Overloads = append(f.Overloads, aggregateOver(t+" val", "INTEGER k", "ARRAY<"+t+">", f.Doc, func(args []types.Type, consts []types.Value) (Aggregator, error) {
			return topk(args[0], int(consts[0].Int()), distinct,
				func(args []types.Value) types.Value { return args[0] }, func(v types.Value) types.Value { return v }), nil
		}))
		if distinct {
			continue
		}
		f.Overloads = append(f.Overloads, aggregateOver(t+" sortColumn, ANY column, ANY... columns", "INTEGER k", "ARRAY<STRUCT>", "Computes the rows with the top k values of a column.", func(args []types.Type, consts []types.Value) (Aggregator, error) {
			row := types.Type{Kind: types.Struct}
			for i, t := range args {
				field := "sort_col"
				if i > 0 {
					field = "col" + strconv.Itoa(i-1)
				}
				row.Fields = append(row.Fields, types.Field{Name: field, Type: t})
			}
			return topk(row, int(consts[0].Int()), false,
				func(args []types.Value) types.Value { return types.NewStruct(slices.Clone(args)) },
				func(v types.Value) types.Value { return v.Items()[0] }), nil
		}))
	}
	return f
}

// topk keeps at most k elements, the largest first; of equal ones the earlier
// stays before the later.
func topk(elem types.Type, k int, distinct bool, make func(args []types.Value) types.Value, key func(types.Value) types.Value) Aggregator {
	insert := func(s, v types.Value) types.Value {
		items := s.Items()
		at := len(items)
		for i, x := range items {
			switch c := types.Compare(key(v), key(x)); {
			case c == 0 && distinct:
				return s
			case c > 0 && at == len(items):
				at = i
			}
		}
		if at >= k {
			return s
		}
		out := slices.Insert(slices.Clone(items), at, v)
		return types.NewArray(out[:min(len(out), k)])
	}
	t := types.TArray(elem)
	return &aggregator{
		state: t, result: t, init: types.NewArray([]types.Value{}),
		add: func(s types.Value, args []types.Value) (types.Value, error) {
			if args[0].IsNull() {
				return s, nil
			}
			return insert(s, make(args)), nil
		},
		merge: func(a, b types.Value) (types.Value, error) {
			for _, v := range b.Items() {
				a = insert(a, v)
			}
			return a, nil
		},
	}
}

// COUNT_DISTINCT counts exactly while there are few distinct values, and
// estimates behind that, with an error of about 1.6 %: a HyperLogLog of 2^12
// registers. Its state is BYTES: the sorted 64-bit hashes, or a mark and the
// registers.
const (
	distinctExact     = 1024
	distinctBits      = 12
	distinctRegisters = 1 << distinctBits
)

func countDistinctFunction() *Aggregate {
	return &Aggregate{Name: "COUNT_DISTINCT", Author: author,
		Doc: "This function returns the number of items found in a group. The implementation is probabilistic with a typical accuracy (standard error) of less than 2 percent where there are many.",
		Overloads: []AggregateOverload{aggregateOver("T val", "", "BIGINT", "Count distinct values of a field", func([]types.Type, []types.Value) (Aggregator, error) {
			return &aggregator{
				state: types.TBytes, result: types.TBigint, init: types.NewBytes(nil),
				add: func(s types.Value, args []types.Value) (types.Value, error) {
					if args[0].IsNull() {
						return s, nil
					}
					return types.NewBytes(distinctAdd(s.Bytes(), distinctHash(args[0]))), nil
				},
				merge: func(a, b types.Value) (types.Value, error) {
					return types.NewBytes(distinctMerge(a.Bytes(), b.Bytes())), nil
				},
				final: func(s types.Value) (types.Value, error) { return bigint(distinctCount(s.Bytes())), nil },
			}, nil
		})}}
}

// distinctHash is a hash of a value in which all bits are mixed.
func distinctHash(v types.Value) uint64 {
	h := fnv.New64a()
	_, _ = h.Write(types.AppendBinary(nil, v))
	x := h.Sum64()
	x = (x ^ x>>33) * 0xff51afd7ed558ccd
	x = (x ^ x>>33) * 0xc4ceb9fe1a85ec53
	return x ^ x>>33
}

func isEstimate(s []byte) bool { return len(s) == distinctRegisters+1 }

func distinctAdd(s []byte, h uint64) []byte {
	if isEstimate(s) {
		out := slices.Clone(s)
		register(out, h)
		return out
	}
	n := len(s) / 8
	i, found := searchHash(s, h)
	if found {
		return s
	}
	if n >= distinctExact {
		out := toEstimate(s)
		register(out, h)
		return out
	}
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], h)
	return slices.Insert(slices.Clone(s), i*8, b[:]...)
}

// searchHash finds a hash among sorted ones.
func searchHash(s []byte, h uint64) (int, bool) {
	lo, hi := 0, len(s)/8
	for lo < hi {
		mid := (lo + hi) / 2
		switch x := binary.BigEndian.Uint64(s[mid*8:]); cmp.Compare(x, h) {
		case 0:
			return mid, true
		case -1:
			lo = mid + 1
		default:
			hi = mid
		}
	}
	return lo, false
}

func toEstimate(s []byte) []byte {
	out := make([]byte, distinctRegisters+1)
	for i := 0; i+8 <= len(s); i += 8 {
		register(out, binary.BigEndian.Uint64(s[i:]))
	}
	return out
}

func register(s []byte, h uint64) {
	r := &s[1+h>>(64-distinctBits)]
	*r = max(*r, byte(bits.LeadingZeros64(h<<distinctBits|1<<(distinctBits-1))+1))
}

func distinctMerge(a, b []byte) []byte {
	if !isEstimate(a) && !isEstimate(b) {
		for i := 0; i+8 <= len(b); i += 8 {
			a = distinctAdd(a, binary.BigEndian.Uint64(b[i:]))
		}
		return a
	}
	x, y := slices.Clone(a), b
	if !isEstimate(x) {
		x = toEstimate(x)
	}
	if !isEstimate(y) {
		y = toEstimate(y)
	}
	for i := range x {
		x[i] = max(x[i], y[i])
	}
	return x
}

func distinctCount(s []byte) int64 {
	if !isEstimate(s) {
		return int64(len(s) / 8)
	}
	sum, empty := 0.0, 0
	for _, r := range s[1:] {
		sum += math.Ldexp(1, -int(r))
		if r == 0 {
			empty++
		}
	}
	m := float64(distinctRegisters)
	estimate := 0.7213 / (1 + 1.079/m) * m * m / sum
	if estimate <= 2.5*m && empty > 0 {
		estimate = m * math.Log(m/float64(empty))
	}
	return int64(math.Round(estimate))
}
