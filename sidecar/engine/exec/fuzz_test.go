package exec_test

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sidestream/sidestream/sidecar/engine/analyze"
	"github.com/sidestream/sidestream/sidecar/engine/ast"
	"github.com/sidestream/sidestream/sidecar/engine/catalog"
	"github.com/sidestream/sidestream/sidecar/engine/chance"
	"github.com/sidestream/sidestream/sidecar/engine/driver"
	"github.com/sidestream/sidestream/sidecar/engine/exec"
	"github.com/sidestream/sidestream/sidecar/engine/function"
	"github.com/sidestream/sidestream/sidecar/engine/parser"
	"github.com/sidestream/sidestream/sidecar/engine/plan"
	"github.com/sidestream/sidestream/sidecar/engine/serde"
	"github.com/sidestream/sidestream/sidecar/engine/types"
)

// fuzzColumns has a column of each kind.
const fuzzColumns = "S STRING, T STRING, B BOOLEAN, I INT, J INT, L BIGINT, D DOUBLE, M DECIMAL(12,2), N DECIMAL(38,30), X BYTES, DAY DATE, TOD TIME, TS TIMESTAMP, " +
	"AI ARRAY<INT>, AST ARRAY<STRING>, AA ARRAY<ARRAY<DOUBLE>>, MS MAP<STRING, STRING>, MI MAP<STRING, BIGINT>, ST STRUCT<F STRING, G INT, H ARRAY<BIGINT>>"

// FuzzExpressions evaluates expressions by chance over rows by chance. Each row
// in gives one row out, whatever it holds: what can't be computed is NULL, with a
// note in the processing log, and the query goes on.
func FuzzExpressions(f *testing.F) {
	f.Add([]byte{0}, []byte{0})
	for i := range byte(100) {
		seed := sha256.Sum256([]byte{i})
		f.Add(seed[:], slices.Repeat(seed[:], 8))
	}
	functions := function.Builtin()
	f.Fuzz(func(t *testing.T, expression, rows []byte) {
		chance.Bound(t, len(expression)+len(rows), func() {
			w := &writer{Source: chance.New(expression), functions: functions}
			value, condition := w.any(4), w.typed(types.TBoolean, 2)
			fold, rowsOf := w.fold(), w.table()
			m := newMachine(t, functions)
			src, _ := m.env.Catalog.Source("S")
			cols := src.Schema.Value
			all := m.create("CREATE STREAM V AS SELECT K, " + value + " AS V FROM S;")
			some := m.create("CREATE STREAM W AS SELECT * FROM S WHERE " + condition + ";")
			folds := newMachine(t, functions) // a sum that overflows ends its query
			folds.create("CREATE STREAM X AS SELECT K, " + rowsOf + " AS V FROM S;")
			folds.create("CREATE TABLE A AS SELECT K, " + fold + " FROM S " + w.pick("", "WINDOW TUMBLING (SIZE 1 HOUR) ", "WINDOW HOPPING (SIZE 1 HOUR, ADVANCE BY 20 MINUTES) ", "WINDOW SESSION (1 HOUR) ") + "GROUP BY K;")
			enc, err := serde.NewEncoder(plan.Format{Name: serde.JSON}, cols, serde.Options{})
			require.NoError(t, err)
			s := chance.New(rows)
			for n := 1; n <= 3; n++ {
				data, err := enc.Encode([]byte{}, s.Row(cols))
				require.NoError(t, err)
				require.NoError(t, m.driver.Pipe("s", driver.Record{Key: []byte("k"), Value: data}), "%s | %s", value, condition)
				err = folds.driver.Pipe("s", driver.Record{Key: []byte("k"), Value: data, Time: int64(s.Byte()) << 16})
				require.True(t, err == nil || strings.Contains(err.Error(), "overflow"), "%s: %v", fold, err)
				if all {
					require.Len(t, m.driver.Read("V"), n, "%s of %s", value, data)
				}
				if some {
					require.LessOrEqual(t, len(m.driver.Read("W")), n, condition)
				}
			}
		})
	})
}

// machine is a catalogue and a driver.
type machine struct {
	t      *testing.T
	env    *analyze.Env
	driver *driver.Driver
}

func newMachine(t *testing.T, functions function.Registry) *machine {
	m := &machine{t: t, env: &analyze.Env{Catalog: catalog.New(), Functions: functions}}
	m.driver = driver.New(driver.Options{Functions: functions, OnProblem: func(string, exec.Problem) {}})
	list, err := parser.Parse("CREATE STREAM S (K STRING KEY, " + fuzzColumns + ") WITH (KAFKA_TOPIC='s', VALUE_FORMAT='JSON', PARTITIONS=1);")
	require.NoError(t, err)
	c, err := analyze.CreateSource(m.env, list[0].(*ast.CreateSource), "CST_S_0")
	require.NoError(t, err)
	m.env.Catalog.Put(c.Source)
	return m
}

// create starts a query, unless the statement has a mistake.
func (m *machine) create(sql string) bool {
	list, err := parser.Parse(sql)
	require.NoError(m.t, err, sql)
	s := list[0].(*ast.CreateAs)
	p, err := analyze.CreateAs(m.env, s, "CSAS_"+s.Name.Name+"_0")
	if err != nil {
		return false
	}
	_, err = m.driver.AddQuery(p.Plan)
	require.NoError(m.t, err, sql)
	return true
}

// writer writes expressions.
type writer struct {
	*chance.Source
	functions function.Registry
	lambdas   []types.Type // of the parameters in scope: P0, P1, …
	exploding bool         // an argument of a table function is being written
}

func (w *writer) pick(of ...string) string { return of[w.Intn(len(of))] }

// scalars are the types that arguments of any type get.
var scalars = []types.Type{types.TString, types.TInteger, types.TBigint, types.TDouble, types.TDecimal(12, 2), types.TBoolean,
	types.TBytes, types.TDate, types.TTime, types.TTimestamp, types.TArray(types.TInteger), types.TArray(types.TString), types.TMap(types.TString, types.TString)}

// any is an expression of whatever type.
func (w *writer) any(depth int) string {
	if depth > 0 && w.Intn(4) > 0 {
		return w.call(depth)
	}
	return w.typed(scalars[w.Intn(len(scalars))], depth)
}

// typed is an expression of a type, as far as it is known beforehand.
func (w *writer) typed(t types.Type, depth int) string {
	if depth <= 0 || w.Done() {
		return w.leaf(t)
	}
	a := func() string { return w.typed(t, depth-1) }
	switch w.Intn(9) {
	case 0:
		return w.leaf(t)
	case 1:
		return fmt.Sprintf("CASE WHEN %s THEN %s ELSE %s END", w.typed(types.TBoolean, depth-1), a(), a())
	case 2:
		return "COALESCE(" + a() + ", " + a() + ")"
	case 3:
		from := types.TString // which can be any scalar
		if t.Kind == types.Array || t.Kind == types.Map || w.Intn(8) == 0 {
			from = scalars[w.Intn(len(scalars))]
		}
		return "CAST(" + w.typed(from, depth-1) + " AS " + t.String() + ")"
	case 4:
		return w.typed(types.TArray(t), depth-1) + "[" + w.typed(types.TInteger, depth-1) + "]"
	case 5:
		return w.typed(types.TMap(types.TString, t), depth-1) + "[" + w.typed(types.TString, depth-1) + "]"
	}
	switch {
	case t.IsNumeric():
		if w.Intn(4) == 0 {
			return "(- " + a() + ")"
		}
		return "(" + a() + w.pick(" + ", " - ", " * ", " / ", " % ") + a() + ")"
	case t.Kind == types.Boolean:
		return w.condition(depth)
	case t.Kind == types.String:
		return "(" + a() + " + " + a() + ")"
	case t.Kind == types.Array:
		return "ARRAY[" + w.typed(*t.Elem, depth-1) + ", " + w.typed(*t.Elem, depth-1) + "]"
	case t.Kind == types.Map:
		return "MAP('k' := " + w.typed(*t.Elem, depth-1) + ")"
	}
	return w.leaf(t)
}

func (w *writer) condition(depth int) string {
	of := scalars[w.Intn(len(scalars))]
	x := func() string { return w.typed(of, depth-1) }
	b := func() string { return w.typed(types.TBoolean, depth-1) }
	switch w.Intn(8) {
	case 0:
		return "(" + b() + w.pick(" AND ", " OR ") + b() + ")"
	case 1:
		return "(NOT " + b() + ")"
	case 2:
		return "(" + x() + w.pick(" IS NULL", " IS NOT NULL") + ")"
	case 3:
		return "(" + x() + " BETWEEN " + x() + " AND " + x() + ")"
	case 4:
		return "(" + x() + w.pick(" IN (", " NOT IN (") + x() + ", " + x() + "))"
	case 5:
		return "(" + w.typed(types.TString, depth-1) + " LIKE " + w.leaf(types.TString) + w.pick("", " ESCAPE '!'") + ")"
	case 6:
		return "(" + x() + " IS DISTINCT FROM " + x() + ")"
	}
	return "(" + x() + w.pick(" = ", " <> ", " < ", " >= ") + x() + ")"
}

// leaf is a column, a literal or a lambda's parameter.
func (w *writer) leaf(t types.Type) string {
	for i, p := range w.lambdas {
		if p.Equal(t) && w.Bool() {
			return fmt.Sprintf("P%d", i)
		}
	}
	number := func() string { return fmt.Sprint(w.Int64()) }
	switch t.Kind {
	case types.String:
		return w.pick("S", "T", "ST->F", "AST[1]", "MS['a']", "'"+strings.ReplaceAll(w.Text(), "'", "''")+"'", "'"+w.pick(words...)+"'", "CAST(NULL AS STRING)")
	case types.Integer:
		return w.pick("I", "J", "ST->G", "AI[1]", "-1", "0", "2147483647", fmt.Sprint(int32(w.Int64())), "3", "100000000")
	case types.Bigint:
		return w.pick("L", "MI['a']", number(), "9223372036854775807")
	case types.Double:
		return w.pick("D", "AA[1][1]", "1E308", "0E0", "-1.5E-3")
	case types.Decimal:
		return w.pick("M", "N", "0.00", "-12345678901234567890123456.789", "1.5")
	case types.Boolean:
		return w.pick("B", "TRUE", "FALSE")
	case types.Bytes:
		return w.pick("X", "TO_BYTES(S, 'utf8')", "TO_BYTES('ff00', 'hex')")
	case types.Date:
		return w.pick("DAY", "FROM_DAYS(I)", "CAST('2024-02-29' AS DATE)")
	case types.Time:
		return w.pick("TOD", "CAST('23:59:59.999' AS TIME)")
	case types.Timestamp:
		return w.pick("TS", "FROM_UNIXTIME(L)", "CAST('-0001-01-01T00:00' AS TIMESTAMP)")
	case types.Array:
		switch t.Elem.Kind {
		case types.Integer:
			if w.exploding { // a million rows are not what is looked for
				return "AI"
			}
			return w.pick("AI", "ARRAY[I, J, NULL]", "GENERATE_SERIES(1, I)")
		case types.String:
			return w.pick("AST", "SPLIT(S, ',')", "MAP_KEYS(MS)")
		case types.Double:
			return w.pick("AA[1]", "ARRAY[D]")
		}
		return "ARRAY[" + w.typed(*t.Elem, 0) + "]"
	case types.Map:
		switch t.Elem.Kind {
		case types.String:
			return "MS"
		case types.Bigint:
			return "MI"
		}
		return "MAP('a' := " + w.typed(*t.Elem, 0) + ")"
	}
	return w.pick("NULL", "ST", "AA", "S")
}

// words are texts that mean something to some function.
var words = []string{"(a+)+$", "(?<n>a)\\k<n>", "[^,]*,", "(", "a|b|", "(?=x)y*", "yyyy-MM-dd", "HH:mm:ss.SSS", "yyyy-MM-dd''T''HH:mm:ssXXX", "EEEE, d MMM GGGG", "Europe/Paris", "UTC", "+18:00",
	"$.a[0].b", "$..x", "$", "{\"a\":[{\"b\":1e400}]}", "[1,2,{\"x\":null}]", "https://u:p@host:80/p%20a?q=1&r=%zz#f", "utf8", "hex", "base64", "ascii", "%a_!%", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!", "2024-02-30", "23:59", "X", "x"}

// call is a function of the catalogue with arguments that one of its overloads takes.
func (w *writer) call(depth int) string {
	list := w.functions.List()
	var f *function.Scalar
	for i := int(w.Byte())<<8 | int(w.Byte()); ; i++ {
		var ok bool
		if f, ok = w.functions.Scalar(list[i%len(list)].Name); ok {
			break
		}
	}
	o := f.Overloads[w.Intn(len(f.Overloads))]
	holes := map[string]types.Type{}
	var args []string
	for i, p := range o.Params {
		n := 1
		if o.Variadic && i == len(o.Params)-1 {
			n = 1 + w.Intn(3)
		}
		for range n {
			args = append(args, w.argument(p, holes, depth-1))
		}
	}
	return f.Name + "(" + strings.Join(args, ", ") + ")"
}

// fold is an aggregate function, with what stands behind it in a SELECT.
func (w *writer) fold() string {
	list := w.functions.List()
	for i := int(w.Byte()); ; i++ {
		f, ok := w.functions.Aggregate(list[i%len(list)].Name)
		if !ok {
			continue
		}
		o := f.Overloads[w.Intn(len(f.Overloads))]
		args := w.arguments(o.Params, o.Variadic)
		for _, c := range o.Consts {
			switch c.Type.Kind {
			case types.Boolean:
				args = append(args, w.pick("TRUE", "FALSE"))
			default:
				args = append(args, w.pick("3", "1", "0", "-1", "1000000000"))
			}
		}
		return f.Name + "(" + strings.Join(args, ", ") + ") AS V" + w.pick("", ", COUNT(*) AS N", ", MAX(D) AS N")
	}
}

// table is a table function.
func (w *writer) table() string {
	w.exploding = true
	defer func() { w.exploding = false }()
	list := w.functions.List()
	for i := int(w.Byte()); ; i++ {
		if f, ok := w.functions.Table(list[i%len(list)].Name); ok {
			o := f.Overloads[w.Intn(len(f.Overloads))]
			return f.Name + "(" + strings.Join(w.arguments(o.Params, o.Variadic), ", ") + ")"
		}
	}
}

func (w *writer) arguments(params []function.Param, variadic bool) (args []string) {
	holes := map[string]types.Type{}
	for i, p := range params {
		n := 1
		if variadic && i == len(params)-1 {
			n = 1 + w.Intn(2)
		}
		for range n {
			args = append(args, w.argument(p, holes, 1))
		}
	}
	return args
}

func (w *writer) argument(p function.Param, holes map[string]types.Type, depth int) string {
	if p.Shape == nil {
		if p.Type.Kind == types.IntervalUnit {
			return w.pick("MILLISECONDS", "SECONDS", "MINUTES", "HOURS", "DAYS")
		}
		return w.typed(concrete(p.Type), depth)
	}
	if p.Shape.Kind == types.Lambda && p.Shape.Var == "" {
		outer := len(w.lambdas)
		var params []string
		for i := range p.Shape.Params {
			params = append(params, fmt.Sprintf("P%d", len(w.lambdas)))
			w.lambdas = append(w.lambdas, w.fill(&p.Shape.Params[i], holes))
		}
		body := w.typed(w.fill(p.Shape.Result, holes), depth)
		w.lambdas = w.lambdas[:outer]
		return "(" + strings.Join(params, ", ") + ") => " + body
	}
	return w.typed(w.fill(p.Shape, holes), depth)
}

// concrete gives a DECIMAL that stands for any a size.
func concrete(t types.Type) types.Type {
	switch {
	case t.Kind == types.Decimal && t.Precision == 0:
		return types.TDecimal(12, 2)
	case t.Kind == types.Array:
		return types.TArray(concrete(*t.Elem))
	}
	return t
}

// fill gives the holes of a shape types.
func (w *writer) fill(s *function.Shape, holes map[string]types.Type) types.Type {
	switch {
	case s == nil:
		return types.TString
	case s.Var != "":
		t, ok := holes[s.Var]
		if !ok {
			t = scalars[w.Intn(len(scalars))]
			holes[s.Var] = t
		}
		return t
	case s.Kind == types.Array:
		return types.TArray(w.fill(s.Elem, holes))
	case s.Kind == types.Map:
		return types.TMap(w.fill(s.Key, holes), w.fill(s.Elem, holes))
	case s.Kind == types.Decimal:
		return types.TDecimal(12, 2)
	}
	return types.Type{Kind: s.Kind}
}
