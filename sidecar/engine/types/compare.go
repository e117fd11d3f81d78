package types

import (
	"bytes"
	"cmp"
	"strings"

	"github.com/cockroachdb/apd/v3"
)

// Equal tells whether two values are the same: NULL equals NULL, numbers are
// compared by value across kinds, arrays and structs element by element, maps
// without regard to order.
func Equal(a, b Value) bool {
	if a.IsNull() || b.IsNull() {
		return a.IsNull() && b.IsNull()
	}
	if a.Kind() == Map && b.Kind() == Map {
		x, y := a.Entries(), b.Entries()
		if len(x) != len(y) {
			return false
		}
		for _, e := range x {
			if o, ok := b.Lookup(e.Key); !ok || !Equal(e.Value, o) {
				return false
			}
		}
		return true
	}
	return Compare(a, b) == 0
}

// Compare orders two values of comparable types: negative, zero or positive.
// NULL comes first. Numbers compare by value across kinds.
func Compare(a, b Value) int {
	ka, kb := a.Kind(), b.Kind()
	if ka == Null || kb == Null {
		return cmp.Compare(boolInt(ka != Null), boolInt(kb != Null))
	}
	if ka == kb {
		switch ka {
		case String:
			return strings.Compare(a.Str(), b.Str())
		case Bytes:
			return bytes.Compare(a.Bytes(), b.Bytes())
		case Double:
			return cmp.Compare(a.Float(), b.Float())
		case Array, Struct:
			x, y := a.Items(), b.Items()
			for i := range min(len(x), len(y)) {
				if c := Compare(x[i], y[i]); c != 0 {
					return c
				}
			}
			return cmp.Compare(len(x), len(y))
		case Map:
			x, y := a.Entries(), b.Entries()
			for i := range min(len(x), len(y)) {
				if c := Compare(x[i].Key, y[i].Key); c != 0 {
					return c
				}
				if c := Compare(x[i].Value, y[i].Value); c != 0 {
					return c
				}
			}
			return cmp.Compare(len(x), len(y))
		case Decimal:
			return compareDecimal(a, b)
		default:
			return cmp.Compare(a.Int(), b.Int())
		}
	}
	if ka == Double || kb == Double {
		return cmp.Compare(AsFloat(a), AsFloat(b))
	}
	if ka == Decimal || kb == Decimal {
		return compareDecimal(AsDecimal(a), AsDecimal(b))
	}
	return cmp.Compare(a.Int(), b.Int())
}

func compareDecimal(a, b Value) int {
	ua, sa, oka := a.SmallDecimal()
	ub, sb, okb := b.SmallDecimal()
	if oka && okb && sa == sb {
		return cmp.Compare(ua, ub)
	}
	return a.Apd().Cmp(b.Apd())
}

func boolInt(b bool) int {
	if b {
		return 1
	}
	return 0
}

// AsFloat is a number as a DOUBLE's value.
func AsFloat(v Value) float64 {
	switch v.Kind() {
	case Double:
		return v.Float()
	case Decimal:
		f, _ := v.Apd().Float64()
		return f
	default:
		return float64(v.Int())
	}
}

// AsDecimal is an INTEGER or BIGINT as a DECIMAL of scale 0; a DECIMAL is
// returned as it is.
func AsDecimal(v Value) Value {
	if v.Kind() == Decimal {
		return v
	}
	return NewApd(apd.New(v.Int(), 0))
}
