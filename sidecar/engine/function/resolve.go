package function

import (
	"errors"
	"fmt"
	"strings"

	"github.com/sidestream/sidestream/sidecar/engine/types"
)

// variant is what the choice of an overload looks at.
type variant struct {
	params   []Param
	variadic bool
	// tail counts the parameters behind the one that may repeat.
	tail int
}

// param is the parameter that takes argument i of n, or false.
func (v *variant) param(i, n int) (*Param, bool) {
	if !v.variadic {
		if i >= len(v.params) {
			return nil, false
		}
		return &v.params[i], true
	}
	repeated := len(v.params) - 1 - v.tail
	switch {
	case i < repeated:
		return &v.params[i], true
	case i >= n-v.tail:
		return &v.params[len(v.params)-(n-i)], true
	}
	return &v.params[repeated], true
}

// takes tells whether n arguments may be given.
func (v *variant) takes(n int) bool {
	if v.variadic {
		return n >= len(v.params)-1
	}
	return n == len(v.params)
}

// generics counts the parameters with type variables.
func (v *variant) generics() int {
	n := 0
	for _, p := range v.params {
		if p.Shape != nil {
			n++
		}
	}
	return n
}

// bindings are the types that type variables stand for.
type bindings map[string]types.Type

// match tells whether the variant takes arguments of these types. With casts,
// numbers may widen. lambdas are the result types of lambdas, where known.
func (v *variant) match(args []types.Type, lambdas map[int]types.Type, casts bool) (bindings, bool) {
	if !v.takes(len(args)) {
		return nil, false
	}
	bound := bindings{}
	for i, a := range args {
		p, _ := v.param(i, len(args))
		if p.Shape == nil {
			if !accepts(p.Type, a, casts) {
				return nil, false
			}
			continue
		}
		if a.Kind == types.Lambda {
			continue
		}
		if !bound.bind(p.Shape, a) {
			return nil, false
		}
	}
	for i, a := range args {
		p, _ := v.param(i, len(args))
		isLambda := p.Shape != nil && p.Shape.Kind == types.Lambda
		if (a.Kind == types.Lambda) != isLambda {
			if a.Kind == types.Null {
				continue
			}
			return nil, false
		}
		if !isLambda {
			continue
		}
		if r, ok := lambdas[i]; ok && !bound.bind(p.Shape.Result, r) {
			return nil, false
		}
	}
	return bound, true
}

// accepts tells whether a parameter of a plain type takes an argument.
func accepts(p, a types.Type, casts bool) bool {
	switch {
	case a.Kind == types.Null:
		return true
	case p.Kind == a.Kind:
		switch p.Kind {
		case types.Decimal:
			return p.Precision == 0 || p.Equal(a)
		case types.Array:
			return accepts(*p.Elem, *a.Elem, false)
		case types.Map:
			return accepts(*p.Key, *a.Key, false) && accepts(*p.Elem, *a.Elem, false)
		case types.Struct:
			return p.Equal(a)
		}
		return true
	}
	return casts && (p.IsNumeric() && a.IsNumeric() && a.Kind < p.Kind || a.Kind == types.String && isTime(p.Kind))
}

func isTime(k types.Kind) bool { return k == types.Date || k == types.Time || k == types.Timestamp }

// bind fits a shape to a type, and gives its variables the types that they
// stand for.
func (b bindings) bind(s *Shape, t types.Type) bool {
	switch {
	case t.Kind == types.Null || s.Var == anyVar:
		return true
	case s.Var != "":
		if old, ok := b[s.Var]; ok {
			return old.Equal(t)
		}
		b[s.Var] = t
		return true
	case s.Kind != t.Kind:
		return false
	case s.Kind == types.Array:
		return b.bind(s.Elem, *t.Elem)
	case s.Kind == types.Map:
		return b.bind(s.Key, *t.Key) && b.bind(s.Elem, *t.Elem)
	}
	return true
}

// typeOf fills a shape's variables in; false where one is unknown.
func (b bindings) typeOf(s *Shape) (types.Type, bool) {
	if s.Var != "" {
		t, ok := b[s.Var]
		return t, ok
	}
	t := types.Type{Kind: s.Kind, Fields: s.fields}
	if s.Key != nil {
		k, ok := b.typeOf(s.Key)
		if !ok {
			return t, false
		}
		t.Key = &k
	}
	if s.Elem != nil {
		e, ok := b.typeOf(s.Elem)
		if !ok {
			return t, false
		}
		t.Elem = &e
	}
	return t, true
}

// choose picks the variant for the arguments: the only one that takes them, or
// the most specific one (a fixed number of parameters before a repeated one,
// fewer type variables before more), first without casts, then with them.
func choose(display string, variants []variant, args []types.Type, lambdas map[int]types.Type) (int, bindings, error) {
	for _, casts := range []bool{false, true} {
		best, tie := -1, false
		var found bindings
		for i := range variants {
			bound, ok := variants[i].match(args, lambdas, casts)
			if !ok {
				continue
			}
			if best < 0 {
				best, found = i, bound
				continue
			}
			switch c := variants[i].compare(&variants[best]); {
			case c > 0:
				best, found, tie = i, bound, false
			case c == 0:
				tie = true
			}
		}
		if tie {
			return 0, nil, fmt.Errorf("Function '%s' cannot be resolved due to ambiguous method parameters %s.\nUse CAST() to explicitly cast your parameters to one of the supported signatures.\n%s",
				display, argList(args), alternatives(display, variants))
		}
		if best >= 0 {
			return best, found, nil
		}
	}
	return 0, nil, fmt.Errorf("Function '%s' does not accept parameters %s.\n%s", display, argList(args), alternatives(display, variants))
}

// compare is positive where v is more specific than o.
func (v *variant) compare(o *variant) int {
	if v.variadic != o.variadic {
		if o.variadic {
			return 1
		}
		return -1
	}
	return o.generics() - v.generics()
}

func argList(args []types.Type) string {
	parts := make([]string, len(args))
	for i, a := range args {
		switch a.Kind {
		case types.Null:
			parts[i] = "null"
		default:
			parts[i] = a.String()
		}
	}
	return "(" + strings.Join(parts, ", ") + ")"
}

func alternatives(display string, variants []variant) string {
	var b strings.Builder
	b.WriteString("Valid alternatives are:\n")
	for _, v := range variants {
		b.WriteString(display + "(" + v.text() + ")\n")
	}
	b.WriteString("For detailed information on a function run: DESCRIBE FUNCTION <Function-Name>;")
	return b.String()
}

func (v *variant) text() string {
	parts := make([]string, len(v.params))
	for i, p := range v.params {
		parts[i] = p.TypeText()
		if v.variadic && i == len(v.params)-1-v.tail {
			parts[i] += "..."
		}
		if p.Name != "" {
			parts[i] += " " + p.Name
		}
	}
	return strings.Join(parts, ", ")
}

// registry is the catalogue of the built-in functions.
type registry struct {
	scalars    map[string]*scalarEntry
	tables     map[string]*tableEntry
	aggregates map[string]*aggregateEntry
	list       []Listing
}

type scalarEntry struct {
	*Scalar
	variants []variant
}

type tableEntry struct {
	*Table
	variants []variant
}

type aggregateEntry struct {
	*Aggregate
	variants []variant
}

func (r *registry) Scalar(name string) (*Scalar, bool) {
	e, ok := r.scalars[name]
	if !ok {
		return nil, false
	}
	return e.Scalar, true
}

func (r *registry) Aggregate(name string) (*Aggregate, bool) {
	e, ok := r.aggregates[name]
	if !ok {
		return nil, false
	}
	return e.Aggregate, true
}

func (r *registry) Table(name string) (*Table, bool) {
	e, ok := r.tables[name]
	if !ok {
		return nil, false
	}
	return e.Table, true
}

func (r *registry) List() []Listing { return r.list }

func (r *registry) ResolveScalar(name string, args []types.Type) (*Overload, types.Type, error) {
	return r.ResolveScalarLambda(name, args, nil)
}

func unknown(name string) error {
	return fmt.Errorf("Can't find any functions with the name '%s'", name)
}

func (r *registry) ResolveScalarLambda(name string, args []types.Type, lambdas map[int]types.Type) (*Overload, types.Type, error) {
	e, ok := r.scalars[name]
	if !ok {
		return nil, types.Type{}, unknown(name)
	}
	i, bound, err := choose(e.Display, e.variants, args, lambdas)
	if err != nil {
		return nil, types.Type{}, err
	}
	o := &e.Overloads[i]
	t, err := resultType(bound, o.result, o.Return, o.ReturnFor, args)
	return o, t, err
}

func resultType(bound bindings, shape *Shape, fixed types.Type, compute func([]types.Type) (types.Type, error), args []types.Type) (types.Type, error) {
	if compute != nil {
		return compute(args)
	}
	if shape == nil {
		return fixed, nil
	}
	t, ok := bound.typeOf(shape)
	if !ok {
		return t, errors.New("Can't infer a type of null. Please explicitly cast it to a required type, e.g. CAST(null AS VARCHAR).")
	}
	return t, nil
}

func (r *registry) LambdaParams(name string, args []types.Type, arg, params int) ([]types.Type, bool) {
	e, ok := r.scalars[name]
	if !ok {
		return nil, false
	}
	for _, casts := range []bool{false, true} {
		for i := range e.variants {
			v := &e.variants[i]
			p, ok := v.param(arg, len(args))
			if !ok || p.Shape == nil || p.Shape.Kind != types.Lambda || len(p.Shape.Params) != params {
				continue
			}
			bound, ok := v.match(args, nil, casts)
			if !ok {
				continue
			}
			out := make([]types.Type, params)
			for j := range out {
				if out[j], ok = bound.typeOf(&p.Shape.Params[j]); !ok {
					break
				}
			}
			if ok {
				return out, true
			}
		}
	}
	return nil, false
}

func (r *registry) ResolveTable(name string, args []types.Type) (*TableOverload, types.Type, error) {
	e, ok := r.tables[name]
	if !ok {
		return nil, types.Type{}, unknown(name)
	}
	i, bound, err := choose(e.Display, e.variants, args, nil)
	if err != nil {
		return nil, types.Type{}, err
	}
	o := &e.Overloads[i]
	t, err := resultType(bound, o.result, o.Return, o.ReturnFor, args)
	return o, t, err
}

func (r *registry) ResolveAggregate(name string, args []types.Type, consts []types.Value) (Aggregator, error) {
	e, ok := r.aggregates[name]
	if !ok {
		return nil, unknown(name)
	}
	all := append([]types.Type(nil), args...)
	for _, c := range consts {
		all = append(all, types.Type{Kind: c.Kind()})
	}
	i, _, err := choose(e.Name, e.variants, all, nil)
	if err != nil {
		return nil, err
	}
	return e.Overloads[i].New(args, consts)
}

// SplitAggregate tells how many of the arguments of a call are read from every
// row; those behind must be literals.
func SplitAggregate(f *Aggregate, args []types.Type) (int, error) {
	i, _, err := choose(f.Name, aggregateVariants(f), args, nil)
	if err != nil {
		return 0, err
	}
	return len(args) - len(f.Overloads[i].Consts), nil
}

func aggregateVariants(f *Aggregate) []variant {
	out := make([]variant, len(f.Overloads))
	for i, o := range f.Overloads {
		out[i] = variant{append(append([]Param(nil), o.Params...), o.Consts...), o.Variadic, len(o.Consts)}
	}
	return out
}
