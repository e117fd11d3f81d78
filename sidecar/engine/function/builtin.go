package function

import (
	"slices"
	"sort"
	"strings"
	"sync"

	"github.com/sidestream/sidestream/sidecar/engine/types"
)

// Builtin is the catalogue of ksqlDB's own functions. It is made once and may be
// used from many goroutines.
func Builtin() Registry { return builtin() }

var builtin = sync.OnceValue(func() Registry { return Configured(nil) })

// Configured is the catalogue with settings of the functions, by ksqlDB's
// names: ksql.functions.collect_list.limit, ….collect_set.limit and
// ….histogram.limit bound what those keep. Values that are no numbers are
// ignored.
func Configured(config map[string]string) Registry { return Extended(config, nil, nil, nil) }

// Extended is Configured with more functions, which take the place of built-in
// ones of the same name.
func Extended(config map[string]string, scalars []*Scalar, aggregates []*Aggregate, tables []*Table) Registry {
	return newRegistry(append(scalarFamilies(), scalars...), append(aggregateFunctions(config), aggregates...), append(tableFunctions(), tables...))
}

// Params reads parameters as DESCRIBE FUNCTION shows them, for functions added
// to the built-in ones: "ARRAY<T> list, STRING... rest".
func Params(text string) (params []Param, variadic bool) { return signature(text) }

// scalarFamilies are the functions of one row, a file a family.
func scalarFamilies() []*Scalar {
	return slices.Concat(mathFunctions(), roundFunctions(), stringFunctions(), padFunctions(), maskFunctions(), bytesFunctions(),
		conditionalFunctions(), arrayFunctions(), setFunctions(), mapFunctions(), lambdaFunctions(), jsonFunctions(),
		regexFunctions(), urlFunctions(), dateFunctions(), timestampFunctions(), otherFunctions())
}

// The categories of SHOW FUNCTIONS.
const (
	categoryAggregate   = "AGGREGATE"
	categoryArray       = "ARRAY"
	categoryConditional = "CONDITIONAL"
	categoryConversions = "CONVERSIONS"
	categoryDateTime    = "DATE / TIME"
	categoryJSON        = "JSON"
	categoryLambda      = "LAMBDA"
	categoryMap         = "MAP"
	categoryMath        = "MATHEMATICAL"
	categoryOther       = "OTHER"
	categoryRegex       = "REGULAR EXPRESSION"
	categoryString      = "STRING"
	categoryTable       = "TABLE"
	categoryURL         = "URL"

	author = "Confluent"
)

func newRegistry(scalars []*Scalar, aggregates []*Aggregate, tables []*Table) *registry {
	r := &registry{scalars: map[string]*scalarEntry{}, tables: map[string]*tableEntry{}, aggregates: map[string]*aggregateEntry{}}
	for _, f := range scalars {
		e := &scalarEntry{Scalar: f}
		for _, o := range f.Overloads {
			e.variants = append(e.variants, variant{o.Params, o.Variadic, 0})
		}
		if f.Display == "" {
			f.Display = f.Name
		}
		r.scalars[f.Name] = e
		r.list = append(r.list, Listing{f.Name, "SCALAR", f.Category})
	}
	for _, f := range aggregates {
		r.aggregates[f.Name] = &aggregateEntry{f, aggregateVariants(f)}
		r.list = append(r.list, Listing{f.Name, "AGGREGATE", categoryAggregate})
	}
	for _, f := range tables {
		e := &tableEntry{Table: f}
		for _, o := range f.Overloads {
			e.variants = append(e.variants, variant{o.Params, o.Variadic, 0})
		}
		if f.Display == "" {
			f.Display = f.Name
		}
		r.tables[f.Name] = e
		r.list = append(r.list, Listing{f.Name, "TABLE", categoryTable})
	}
	sort.Slice(r.list, func(i, j int) bool { return r.list[i].Name < r.list[j].Name })
	return r
}

type evalFunc = func(args []types.Value) (types.Value, error)

// scalar declares a function; display is its name as messages write it.
func scalar(display, category, doc string, overloads ...Overload) *Scalar {
	return &Scalar{Name: strings.ToUpper(display), Display: display, Author: author, Doc: doc, Category: category, Overloads: overloads}
}

// over declares an overload: its parameters, its result, its code.
func over(params, result string, eval evalFunc) Overload {
	o := Overload{Eval: eval}
	o.Params, o.Variadic = signature(params)
	shape := resultShape(result)
	if t, ok := plainType(shape); ok {
		o.Return = t
	} else {
		o.result = shape
	}
	return o
}

// nullable declares an overload whose result is NULL as soon as an argument is.
func nullable(params, result string, eval evalFunc) Overload {
	return over(params, result, strict(eval))
}

func strict(eval evalFunc) evalFunc {
	return func(args []types.Value) (types.Value, error) {
		for _, a := range args {
			if a.IsNull() {
				return types.Value{}, nil
			}
		}
		return eval(args)
	}
}

// computed declares an overload whose result is a DECIMAL that depends on the
// arguments.
func computed(params string, result func(args []types.Type) (types.Type, error), eval evalFunc) Overload {
	o := Overload{Eval: eval, ReturnFor: result, result: &Shape{Kind: types.Decimal}}
	o.Params, o.Variadic = signature(params)
	return o
}

// docs describes the overload and its parameters, in order.
func (o Overload) docs(doc string, params ...string) Overload {
	o.Doc = doc
	for i, p := range params {
		o.Params[i].Doc = p
	}
	return o
}

var (
	none    = types.Value{}
	text    = types.NewString
	boolean = types.NewBool
	bigint  = types.NewBigint
	integer = func(i int) types.Value { return types.NewInt(int32(i)) }
	double  = types.NewDouble
)
