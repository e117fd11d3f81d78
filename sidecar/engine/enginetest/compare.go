package enginetest

import (
	"encoding/json"
	"fmt"
	"math"
	"math/big"
	"strings"

	"github.com/cockroachdb/apd/v3"
)

// comparer tells what differs between an expected tree of JSON values and the
// one that came out.
type comparer struct {
	// loose compares numbers with a point as doubles.
	loose bool
}

func (c comparer) diff(want, got any, path string) error {
	differ := func() error { return fmt.Errorf("%s: expected %s, got %s", path, show(want), show(got)) }
	switch w := want.(type) {
	case nil:
		if got != nil {
			return differ()
		}
	case bool:
		if g, ok := got.(bool); !ok || g != w {
			return differ()
		}
	case string:
		switch g := got.(type) {
		case string:
			if g != w {
				return differ()
			}
		case json.Number:
			if !sameDecimal(w, g.String()) {
				return differ()
			}
		default:
			return differ()
		}
	case json.Number:
		g, ok := got.(json.Number)
		if s, isText := got.(string); isText {
			// a DELIMITED record of one number
			if s == w.String() {
				return nil
			}
			return differ()
		}
		if !ok || !c.sameNumber(w.String(), g.String()) {
			return differ()
		}
	case []any:
		g, ok := got.([]any)
		if !ok || len(g) != len(w) {
			return differ()
		}
		for i := range w {
			if err := c.diff(w[i], g[i], fmt.Sprintf("%s[%d]", path, i)); err != nil {
				return err
			}
		}
	case map[string]any:
		g, ok := got.(map[string]any)
		if !ok {
			return differ()
		}
		return c.diffObjects(w, g, path)
	}
	return nil
}

func (c comparer) diffObjects(want, got map[string]any, path string) error {
	matched := 0
	for name, w := range want {
		g, ok := got[name]
		if !ok {
			g, ok = got[strings.ToUpper(name)]
		}
		if ok {
			matched++
		} else if w != nil {
			return fmt.Errorf("%s: expected a field %s, got %s", path, name, show(got))
		}
		if err := c.diff(w, g, path+"."+name); err != nil {
			return err
		}
	}
	if len(want) != len(got) && matched != len(got) {
		return fmt.Errorf("%s: expected %d fields, got %s", path, len(want), show(got))
	}
	return nil
}

// sameNumber compares by the type that came out: whole numbers as such, others
// with their scale.
func (c comparer) sameNumber(want, got string) bool {
	if !strings.ContainsAny(got, ".eE") {
		g, ok := new(big.Int).SetString(got, 10)
		w, _, err := apd.NewFromString(want)
		if !ok || err != nil {
			return false
		}
		whole := new(apd.Decimal)
		if _, err := apd.BaseContext.WithPrecision(100).Floor(whole, w); err != nil {
			return false
		}
		return whole.Text('f') == g.String() || sameDecimal(want, got)
	}
	if c.loose {
		var w, g float64
		if _, err := fmt.Sscan(want, &w); err != nil {
			return false
		}
		if _, err := fmt.Sscan(got, &g); err != nil {
			return false
		}
		return math.Abs(w-g) < 1e-6
	}
	return sameDecimal(want, got)
}

// sameDecimal: 1.0 is not 1.00.
func sameDecimal(want, got string) bool {
	w, _, err := apd.NewFromString(want)
	if err != nil {
		return false
	}
	g, _, err := apd.NewFromString(got)
	if err != nil {
		return false
	}
	return w.Cmp(g) == 0 && (w.Exponent == g.Exponent || w.Exponent >= 0 && g.Exponent >= 0)
}

func show(v any) string {
	data, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	if len(data) > 400 {
		return string(data[:400]) + "…"
	}
	return string(data)
}
