package exec

import (
	"fmt"

	"github.com/sidestream/sidestream/sidecar/engine/plan"
	"github.com/sidestream/sidestream/sidecar/engine/types"
)

// timestamps takes the time of a row from a column.
type timestamps struct {
	column Expr
	name   string
	parse  func(text types.Value) (types.Value, error) // STRING columns
	step   string
	log    func(Problem)
}

func (b *builder) timestamps(step string, t *plan.Timestamp) (*timestamps, error) {
	ts := &timestamps{column: column(&t.Column), name: t.Column.Name, step: step, log: b.env.Log}
	if t.Column.Type.Kind != types.String {
		return ts, nil
	}
	args := []types.Type{types.TString, types.TString}
	overload, _, err := b.env.Functions.ResolveScalar("STRINGTOTIMESTAMP", args)
	if err != nil {
		return nil, fmt.Errorf("%s: timestamp column %s: %w", step, t.Column.Name, err)
	}
	eval := overload.Eval
	if eval == nil {
		eval = overload.EvalTyped(args, types.TBigint)
	}
	buf := []types.Value{{}, types.NewString(t.Layout)}
	ts.parse = func(text types.Value) (types.Value, error) {
		buf[0] = text
		return eval(buf)
	}
	return ts, nil
}

// of gives the row's time. A row without one goes to the processing log.
func (t *timestamps) of(r *Row) (ms int64, ok bool) {
	v, err := t.column(r)
	if err == nil && t.parse != nil && !v.IsNull() {
		v, err = t.parse(v)
	}
	switch {
	case err == nil && v.IsNull():
		err = fmt.Errorf("column %s is null", t.name)
	case err == nil && v.Int() < 0:
		err = fmt.Errorf("column %s is negative: %d", t.name, v.Int())
	}
	if err != nil {
		t.log(Problem{
			Type: recordProcessing, Logger: t.step, Row: r, Cause: []string{err.Error()},
			Message: fmt.Sprintf("Failed to extract timestamp from row: %v", err),
		})
		return 0, false
	}
	return v.Int(), true
}
