package analyze

import (
	"fmt"
	"math"
	"strings"

	"github.com/sidestream/sidestream/sidecar/engine/ast"
	"github.com/sidestream/sidestream/sidecar/engine/diagnostic"
	"github.com/sidestream/sidestream/sidecar/engine/exec"
	"github.com/sidestream/sidestream/sidecar/engine/plan"
	"github.com/sidestream/sidestream/sidecar/engine/schema"
	"github.com/sidestream/sidestream/sidecar/engine/types"
)

// whereHelp tells what a WHERE clause may be.
const whereHelp = "\nPull queries require a WHERE clause that:\n" +
	" - includes a key equality expression, e.g. `SELECT * FROM X WHERE <key-column> = Y;`.\n" +
	" - in the case of a multi-column key, is a conjunction of equality expressions that cover all key columns.\n" +
	" - to support range expressions, e.g.,  SELECT * FROM X WHERE <key-column> < Y;`, range scans need to be enabled by setting " + configRangeScan + "=true\n" +
	"If more flexible queries are needed, , table scans can be enabled by setting " + configTableScan + "=true."

// needsScan refuses a query that needs what is switched off.
func needsScan(pos ast.Pos, why string) error {
	return diagnostic.At(pos, "%s %s%s", why, pullHelp, whereHelp)
}

// pullWhere types the WHERE clause and finds out which rows it can be true for.
// The whole clause is tested on each of these, so that what is found out only
// has to hold at least the rows wanted.
func pullWhere(env *Env, p *planner, row *tableRow, out *Pull) error {
	where := plainRefs(p.query.Where)
	if err := unsupportedWhere(where); err != nil {
		return err
	}
	if err := checkKeyLists(row, where); err != nil {
		return err
	}
	a := *p.expr
	a.Stage = "expression"
	pred, err := a.Predicate(where, row, "WHERE")
	if err != nil {
		return err
	}
	out.Where = pred
	f := &finder{env: env, keys: row.source.def.Schema.Key}
	found := f.of(pred)
	if env.off(configTableScan) {
		if err := f.allowed(found, where); err != nil {
			return err
		}
	}
	out.Selection = found.selection(f.keys)
	return nil
}

// unsupportedWhere refuses what ksqlDB's pull queries refuse: conditions other
// than comparisons, BETWEEN, IN, LIKE and what joins them.
func unsupportedWhere(e ast.Expr) error {
	switch e := e.(type) {
	case *ast.Logical:
		if err := unsupportedWhere(e.L); err != nil {
			return err
		}
		return unsupportedWhere(e.R)
	case *ast.Not:
		return unsupportedWhere(e.X)
	case *ast.Compare, *ast.Between, *ast.In, *ast.Like:
		return nil
	}
	return diagnostic.At(e.Position(), "Unsupported expression in WHERE clause: %s.  %s%s", exprText(e), pullHelp, whereHelp)
}

// checkKeyLists refuses lists of keys with something that can't be a key.
func checkKeyLists(row *tableRow, where ast.Expr) error {
	var failed error
	ast.Walk(where, func(e ast.Expr) bool {
		in, ok := e.(*ast.In)
		if !ok || failed != nil {
			return failed == nil
		}
		ref, ok := in.X.(*ast.ColumnRef)
		if !ok {
			return true
		}
		i := row.source.def.Schema.FindKey(ref.Name)
		if i < 0 {
			return true
		}
		t := row.source.def.Schema.Key[i].Type
		for _, item := range in.List {
			switch item.(type) {
			case *ast.NullLit:
				failed = pullError(item.Position(), "Primary key columns can not be NULL: (%s = null).", plainName(ref.Name))
			case *ast.StringLit:
				if t.IsNumeric() || t.Kind == types.Boolean {
					failed = pullError(item.Position(), "%s can not be converted to the type of the key column: %s %s KEY.", exprText(item), plainName(ref.Name), t)
				}
			}
		}
		return true
	})
	return failed
}

// found says for which rows a condition can be true.
type found struct {
	// keys are the values each key column can have; nil for any. At the end of
	// alternatives, whole are the keys themselves.
	keys  [][]types.Value
	whole [][]types.Value
	// low and high bound the only key column.
	low, high                          *exec.KeyBound
	startFrom, startTo, endFrom, endTo int64
}

func (f *finder) anything() *found {
	return &found{keys: make([][]types.Value, len(f.keys)), startFrom: math.MinInt64, startTo: math.MaxInt64, endFrom: math.MinInt64, endTo: math.MaxInt64}
}

// selection is what to look up.
func (r *found) selection(keys []schema.Column) exec.Selection {
	out := exec.Everything()
	out.StartFrom, out.StartTo, out.EndFrom, out.EndTo = r.startFrom, r.startTo, r.endFrom, r.endTo
	if whole := r.combined(); whole != nil {
		out.Keys = whole
		return out
	}
	if len(keys) == 1 {
		out.Low, out.High = r.low, r.high
	}
	return out
}

// combined are all keys made of the values of the columns, nil where one of
// them can be anything.
func (r *found) combined() [][]types.Value {
	if r.whole != nil {
		return r.whole
	}
	out := [][]types.Value{{}}
	for _, values := range r.keys {
		if values == nil {
			return nil
		}
		var next [][]types.Value
		for _, prefix := range out {
			for _, v := range values {
				next = append(next, append(append([]types.Value(nil), prefix...), v))
			}
		}
		out = next
	}
	if out == nil {
		out = [][]types.Value{} // no key at all
	}
	return out
}

// finder finds out.
type finder struct {
	env  *Env
	keys []schema.Column
}

func (f *finder) of(e plan.Expr) *found {
	out := f.anything()
	switch e := e.(type) {
	case *plan.And:
		return f.both(f.of(e.L), f.of(e.R))
	case *plan.Or:
		return f.either(f.of(e.L), f.of(e.R))
	case *plan.Compare:
		f.compare(out, e.Op, e.L, e.R)
	case *plan.Between:
		f.compare(out, plan.GreaterEqual, e.X, e.Low)
		f.compare(out, plan.LessEqual, e.X, e.High)
	case *plan.In:
		column, ok := e.X.(*plan.Column)
		if !ok || !column.InKey {
			break
		}
		values := []types.Value{}
		for _, item := range e.List {
			v, ok := f.constant(item)
			if !ok {
				return out
			}
			if v.IsNull() {
				continue
			}
			switch v, ok := asKey(v, item.ResultType(), column.Type); {
			case ok:
				values = appendValue(values, v)
			case !item.ResultType().IsNumeric():
				return out
			}
		}
		out.keys[column.Index] = values
	}
	return out
}

// compare adds what a comparison of a key column or a window's bound with a
// constant says.
func (f *finder) compare(out *found, op plan.CompareOp, l, r plan.Expr) {
	v, ok := f.constant(r)
	t := r.ResultType()
	if !ok {
		if v, ok = f.constant(l); !ok {
			return
		}
		l, t, op = r, l.ResultType(), mirrored(op)
	}
	if v.IsNull() {
		return
	}
	switch x := l.(type) {
	case *plan.Column:
		if !x.InKey {
			return
		}
		if v, ok = asKey(v, t, x.Type); !ok {
			return // every row is tested instead
		}
		switch op {
		case plan.Equal:
			out.keys[x.Index] = []types.Value{v}
		case plan.Less, plan.LessEqual:
			out.high = &exec.KeyBound{Value: v, Inclusive: op == plan.LessEqual}
		case plan.Greater, plan.GreaterEqual:
			out.low = &exec.KeyBound{Value: v, Inclusive: op == plan.GreaterEqual}
		}
	case *plan.Pseudo:
		switch x.Kind {
		case plan.WindowStart:
			bound(&out.startFrom, &out.startTo, op, v)
		case plan.WindowEnd:
			bound(&out.endFrom, &out.endTo, op, v)
		}
	}
}

// asKey is the constant as a value of the key column's type, by which keys are
// found; ok is false where that type can't hold it.
func asKey(v types.Value, from, to types.Type) (types.Value, bool) {
	if from.Equal(to) {
		return v, true
	}
	if !from.IsNumeric() || !to.IsNumeric() {
		return v, false
	}
	out, err := types.Cast(v, from, to)
	return out, err == nil && types.Compare(out, v) == 0
}

// bound narrows a range of times.
func bound(from, to *int64, op plan.CompareOp, v types.Value) {
	if k := v.Kind(); k != types.Bigint && k != types.Integer {
		return
	}
	n := v.Int()
	switch op {
	case plan.Equal:
		*from, *to = n, n
	case plan.Less:
		*to = max(n, math.MinInt64+1) - 1
	case plan.LessEqual:
		*to = n
	case plan.Greater:
		*from = min(n, math.MaxInt64-1) + 1
	case plan.GreaterEqual:
		*from = n
	}
}

// mirrored is the operator with its sides exchanged.
func mirrored(op plan.CompareOp) plan.CompareOp {
	switch op {
	case plan.Less:
		return plan.Greater
	case plan.LessEqual:
		return plan.GreaterEqual
	case plan.Greater:
		return plan.Less
	case plan.GreaterEqual:
		return plan.LessEqual
	}
	return op
}

// constant is the value of an expression that is the same for every row.
func (f *finder) constant(e plan.Expr) (types.Value, bool) {
	if lit, ok := e.(*plan.Literal); ok {
		return lit.Value, true
	}
	if !rowless(e) {
		return types.Value{}, false
	}
	v, err := exec.EvalConst(e, f.env.Functions)
	return v, err == nil
}

// rowless tells whether an expression reads nothing of the row.
func rowless(e plan.Expr) bool {
	out := true
	plan.Walk(e, func(x plan.Expr) {
		switch x := x.(type) {
		case *plan.Column, *plan.Pseudo:
			out = false
		case *plan.Call:
			// These differ from call to call.
			out = out && x.Name != "RANDOM" && x.Name != "UUID" && x.Name != "UNIX_TIMESTAMP"
		}
	})
	return out
}

func appendValue(list []types.Value, v types.Value) []types.Value {
	for _, other := range list {
		if types.Compare(other, v) == 0 {
			return list
		}
	}
	return append(list, v)
}

// both is for rows of which both conditions are true.
func (f *finder) both(a, b *found) *found {
	out := f.anything()
	out.startFrom, out.startTo = max(a.startFrom, b.startFrom), min(a.startTo, b.startTo)
	out.endFrom, out.endTo = max(a.endFrom, b.endFrom), min(a.endTo, b.endTo)
	for i := range out.keys {
		switch {
		case a.keys[i] == nil:
			out.keys[i] = b.keys[i]
		default:
			out.keys[i] = a.keys[i] // the other condition is tested on the rows
		}
	}
	// Either side's keys hold all rows: the shorter list is taken.
	out.whole = a.whole
	if out.whole == nil || b.whole != nil && len(b.whole) < len(out.whole) {
		out.whole = b.whole
	}
	out.low, out.high = tighter(a.low, b.low, 1), tighter(a.high, b.high, -1)
	return out
}

// tighter is the bound that leaves fewer rows; sign is 1 for low ends.
func tighter(a, b *exec.KeyBound, sign int) *exec.KeyBound {
	if a == nil {
		return b
	}
	if b == nil {
		return a
	}
	switch c := types.Compare(a.Value, b.Value) * sign; {
	case c > 0, c == 0 && !a.Inclusive:
		return a
	}
	return b
}

// either is for rows of which one condition is true.
func (f *finder) either(a, b *found) *found {
	out := f.anything()
	out.startFrom, out.startTo = min(a.startFrom, b.startFrom), max(a.startTo, b.startTo)
	out.endFrom, out.endTo = min(a.endFrom, b.endFrom), max(a.endTo, b.endTo)
	left, right := a.combined(), b.combined()
	if left == nil || right == nil {
		return out
	}
	out.whole = append([][]types.Value{}, left...)
	for _, key := range right {
		if !hasKey(out.whole, key) {
			out.whole = append(out.whole, key)
		}
	}
	return out
}

func hasKey(list [][]types.Value, key []types.Value) bool {
	for _, other := range list {
		same := true
		for i := range key {
			same = same && types.Compare(other[i], key[i]) == 0
		}
		if same {
			return true
		}
	}
	return false
}

// allowed says why a query needs a scan of the table, where scans are off.
func (f *finder) allowed(r *found, where ast.Expr) error {
	if r.combined() != nil {
		return f.mixed(where)
	}
	pos := where.Position()
	var names []string
	for _, k := range f.keys {
		names = append(names, schema.Quote(k.Name)+" "+k.Type.String()+" KEY")
	}
	comparisons, keyColumns := 0, map[string]bool{}
	var refused error
	var visit func(e ast.Expr)
	visit = func(e ast.Expr) {
		if refused != nil {
			return
		}
		switch e := e.(type) {
		case *ast.Logical:
			visit(e.L)
			visit(e.R)
			if e.Or && refused == nil && r.combined() == nil {
				refused = needsScan(pos, "Query requires table scan to be enabled.")
			}
		case *ast.Compare:
			name, bare, constant := f.sides(e)
			switch {
			case name == "":
			case isBound(name):
			case !f.isKey(name):
			case !bare:
				refused = needsScan(e.Pos, "A comparison must directly reference a key column.")
			case !constant:
				refused = needsScan(e.Pos, "A comparison must be between a key column and a resolvable expression.")
			case e.Op == ast.NotEqual:
				refused = needsScan(e.Pos, fmt.Sprintf("Bound on key columns '[%s]' must currently be '='.", strings.Join(names, ", ")))
			default:
				comparisons++
				keyColumns[name] = true
			}
		case *ast.Like:
			if _, isText := e.X.(*ast.StringLit); isText {
				refused = needsScan(e.Pos, "Like condition must be between strings and a key column.")
			}
		}
	}
	visit(where)
	switch {
	case refused != nil:
		return refused
	case comparisons == 0:
		return needsScan(pos, fmt.Sprintf("WHERE clause missing key column for disjunct: %s.", exprText(where)))
	case len(keyColumns) < len(f.keys):
		return needsScan(pos, fmt.Sprintf("Multi-column sources must specify every key in the WHERE clause. Specified: %d Expected: [%s].", len(keyColumns), strings.Join(names, ", ")))
	case comparisons > 1 && len(f.keys) == 1:
		return needsScan(pos, "A comparison condition on the key column cannot be combined with other comparisons such as an IN predicate.")
	}
	if len(f.keys) == 1 && f.keys[0].Type.Kind == types.String && !f.env.off(configRangeScan) {
		return nil
	}
	return needsScan(pos, "Query requires table scan to be enabled.")
}

// mixed refuses a key given twice.
func (f *finder) mixed(where ast.Expr) error {
	if l, ok := where.(*ast.Logical); ok && !l.Or {
		in, compare := 0, 0
		for _, side := range []ast.Expr{l.L, l.R} {
			switch e := side.(type) {
			case *ast.In:
				if ref, ok := e.X.(*ast.ColumnRef); ok && f.isKey(ref.Name) {
					in++
				}
			case *ast.Compare:
				if name, bare, _ := f.sides(e); bare && f.isKey(name) {
					compare++
				}
			}
		}
		if in > 0 && compare > 0 {
			return needsScan(where.Position(), "A comparison condition on the key column cannot be combined with other comparisons such as an IN predicate.")
		}
	}
	return nil
}

// sides looks at a comparison: the first column in it, whether that column is
// one side of it by itself, and whether the other side has no column.
func (f *finder) sides(e *ast.Compare) (name string, bare, constant bool) {
	for i, side := range []ast.Expr{e.L, e.R} {
		column := ""
		ast.Walk(side, func(x ast.Expr) bool {
			if ref, ok := x.(*ast.ColumnRef); ok && column == "" {
				column = ref.Name
			}
			return true
		})
		if column == "" {
			continue
		}
		other := []ast.Expr{e.R, e.L}[i]
		constant = true
		ast.Walk(other, func(x ast.Expr) bool {
			if _, ok := x.(*ast.ColumnRef); ok {
				constant = false
			}
			return constant
		})
		_, bare = side.(*ast.ColumnRef)
		return column, bare, constant
	}
	return "", false, false
}

func (f *finder) isKey(name string) bool {
	for _, k := range f.keys {
		if k.Name == name {
			return true
		}
	}
	return false
}
