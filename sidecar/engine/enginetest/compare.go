package enginetest

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math"
	"math/big"
	"sort"
	"strconv"
	"strings"

	"github.com/cockroachdb/apd/v3"
)

// Difference is a place where what came out isn't what was expected.
type Difference struct {
	Field        string `json:"field"`
	Expected     string `json:"expected"`
	ExpectedType string `json:"expectedType,omitempty"`
	Actual       string `json:"actual"`
	ActualType   string `json:"actualType,omitempty"`
}

func (d Difference) String() string {
	kind := func(t string) string {
		if t == "" {
			return ""
		}
		return " (" + t + ")"
	}
	return fmt.Sprintf("%s: expected %s%s, got %s%s", d.Field, d.Expected, kind(d.ExpectedType), d.Actual, kind(d.ActualType))
}

// Differences are an error that says more than one thing.
type Differences []Difference

func (ds Differences) Error() string {
	lines := make([]string, len(ds))
	for i, d := range ds {
		lines[i] = d.String()
	}
	return strings.Join(lines, "\n")
}

// orNil is nil where nothing differs.
func (ds Differences) orNil() error {
	if len(ds) == 0 {
		return nil
	}
	return ds
}

func (ds *Differences) add(field string, want, got any) {
	*ds = append(*ds, Difference{Field: field, Expected: show(want), ExpectedType: typeName(want), Actual: show(got), ActualType: typeName(got)})
}

// text adds a difference of things that have no types.
func (ds *Differences) text(field string, want, got any) {
	*ds = append(*ds, Difference{Field: field, Expected: fmt.Sprint(want), Actual: fmt.Sprint(got)})
}

// comparer compares trees by the rules of ksqlDB's own runner.
type comparer struct {
	// loose compares decimals as doubles.
	loose bool

	found Differences
}

func (c *comparer) compare(want, got any, field string) {
	switch w := want.(type) {
	case map[string]any:
		if g, ok := got.(map[string]any); ok {
			c.objects(w, g, field)
			return
		}
	case []any:
		if g, ok := got.([]any); ok && len(g) == len(w) {
			for i := range w {
				c.compare(w[i], g[i], fmt.Sprintf("%s[%d]", field, i))
			}
			return
		}
	default:
		if c.sameLeaf(want, got) {
			return
		}
	}
	c.found.add(field, want, got)
}

// objects matches names as they are, then in capitals; a null and nothing are
// the same.
func (c *comparer) objects(want, got map[string]any, field string) {
	names := make([]string, 0, len(want))
	for name := range want {
		names = append(names, name)
	}
	sort.Strings(names)
	matched := map[string]bool{}
	for _, name := range names {
		key := name
		g, ok := got[key]
		if !ok {
			key = strings.ToUpper(name)
			g, ok = got[key]
		}
		if ok {
			matched[key] = true
		}
		c.compare(want[name], g, field+"."+name)
	}
	if len(want) == len(got) {
		return
	}
	extra := make([]string, 0, len(got))
	for name := range got {
		if !matched[name] {
			extra = append(extra, name)
		}
	}
	sort.Strings(extra)
	for _, name := range extra {
		c.found = append(c.found, Difference{Field: field + "." + name, Expected: "no such field",
			Actual: show(got[name]), ActualType: typeName(got[name])})
	}
}

func (c *comparer) sameLeaf(want, got any) bool {
	switch g := got.(type) {
	case nil:
		return want == nil
	case bool:
		return want == g
	case string:
		if n, ok := want.(json.Number); ok { // a DELIMITED record of one number
			return n.String() == g
		}
		return want == g
	case []byte:
		return want == base64.StdEncoding.EncodeToString(g)
	case *big.Int:
		n, ok := want.(json.Number)
		return ok && truncated(n) != nil && truncated(n).Cmp(g) == 0
	case float64:
		n, ok := want.(json.Number)
		if !ok {
			return false
		}
		w, err := strconv.ParseFloat(n.String(), 64)
		return err == nil && (w == g || math.Abs(w-g) < 1e-6)
	case *apd.Decimal:
		return c.sameDecimal(want, g)
	}
	return false
}

// truncated is a number without what is behind its point; nil when it's none.
func truncated(n json.Number) *big.Int {
	d, _, err := apd.NewFromString(n.String())
	if err != nil || d.Form != apd.Finite {
		return nil
	}
	var whole, rest apd.Decimal
	d.Modf(&whole, &rest)
	i, ok := new(big.Int).SetString(whole.Text('f'), 10)
	if !ok {
		return nil
	}
	return i
}

// sameDecimal: 1.0 is not 1.00; a whole number is only one without a point.
func (c *comparer) sameDecimal(want any, got *apd.Decimal) bool {
	var text string
	switch w := want.(type) {
	case string:
		text = w
	case json.Number:
		text = w.String()
	default:
		return false
	}
	w, _, err := apd.NewFromString(text)
	if err != nil {
		return false
	}
	if c.loose {
		if _, isText := want.(string); !isText {
			a, errA := w.Float64()
			b, errB := got.Float64()
			return errA == nil && errB == nil && (a == b || math.Abs(a-b) < 1e-6)
		}
	}
	return w.Cmp(got) == 0 && (w.Exponent == got.Exponent || w.Exponent >= 0 && got.Exponent >= 0)
}
